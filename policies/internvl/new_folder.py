"""A folder that is there whole, or not at all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import safetensors

from foveate.actions.errors import RecordError, UsageError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_SAID = (os.strerror(errno.ENOSPC), " requested and ")
"""Words of safetensors and of numpy, whose errors have no number, on a full disk."""


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Write a folder beside its place, and move it there at the end.

    Args:
        out: The folder: new, or empty.

    Yields:
        Where to write meanwhile.

    Raises:
        UsageError: If ``out`` is in use, or nothing can be written there.
        RecordError: If the disk is full.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is in use: give a folder that is new or empty")
    place = out.absolute()
    part: Path | None = None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{place.name}.", suffix=".part", dir=place.parent))
        part.chmod(0o777 & ~_umask())
        yield part
        if place.exists():
            place.rmdir()
        part.rename(place)
    except (OSError, safetensors.SafetensorError) as exc:
        if getattr(exc, "errno", None) in _FULL or any(words in str(exc) for words in _SAID):
            raise RecordError(f"{out} cannot be written, the disk is full: give a folder on one with room") from exc
        raise UsageError(f"{out} cannot be written: {exc}: give a folder that you may write to") from exc
    finally:
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)


def _umask() -> int:
    """Read what new files of this process are kept from; it cannot be read without being set."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
