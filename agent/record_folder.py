"""The folder that a run is recorded in: new or empty, and never another run's."""

import contextlib
import itertools
import re
from datetime import datetime
from pathlib import Path

from foveate.actions.errors import UsageError


def make_folder(folder: Path | None, task: str) -> Path:
    """Make a run's folder, or take an empty one.

    Raises:
        UsageError: If it is in use.
        OSError: If it cannot be made.
    """
    if folder is not None:
        refuse_used_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    stem = name = f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{slug(task)}"
    runs = Path("runs")
    runs.mkdir(exist_ok=True)
    for suffix in itertools.count(2):
        with contextlib.suppress(FileExistsError):
            (runs / name).mkdir()
            break
        name = f"{stem}-{suffix}"
    return runs / name


def refuse_used_folder(folder: Path) -> None:
    """Check that a record can be begun in a folder: it is new or empty.

    Raises:
        UsageError: If it is a file or holds something.
        OSError: If it cannot be read.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: a record needs a folder that is new or empty")
    if folder.is_dir() and next(folder.iterdir(), None) is not None:
        raise UsageError(f"{folder} is not empty: a record needs a folder that is new or empty")


def slug(task: str) -> str:
    """Give a task as a piece of a file name: at most 40 letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", task.lower()).strip("-")[:40].strip("-") or "run"
