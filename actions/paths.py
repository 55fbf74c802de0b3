"""Paths as people write them."""

from pathlib import Path


def at_home(path: str | Path) -> Path:
    """Replace a leading ``~`` by its home folder; one of a user that there is not stays as it is written."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
