"""A folder that training works in, kept to one process."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foveate.actions.errors import UsageError


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep the work folder to one run; it is made where it is missing.

    Raises:
        UsageError: If another one has it, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as exc:
        raise UsageError(f"--work {folder} cannot be used: {exc.strerror or exc}: give another folder") from exc
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise UsageError(f"--work {folder}: another run is training there: wait for it, or give another") from exc
        yield
