"""A folder that is there whole, or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import safetensors

from foveate.actions.errors import UsageError


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Write a folder beside its place, and move it there at the end.

    Args:
        out: The folder: new, or empty.

    Yields:
        Where to write meanwhile.

    Raises:
        UsageError: If ``out`` is in use, or cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is in use: give a folder that is new or empty")
    place = out.absolute()
    part = place.with_name(f"{place.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        yield part
        if place.exists():
            place.rmdir()
        part.rename(place)
    except (OSError, safetensors.SafetensorError) as exc:
        raise UsageError(f"{out} cannot be written: {exc}: give a folder on a disk with room") from exc
    finally:
        shutil.rmtree(part, ignore_errors=True)
