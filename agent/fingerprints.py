"""What tells a model's files from others."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

_HASHED_WHOLE = 64 * 1024 * 1024
"""Weights up to this size are told apart by their content, larger ones by their size alone."""


def weights_in(folder: Path) -> str:
    """Tell a checkpoint's weights and settings from others."""
    return fingerprint((*folder.glob("*.json"), *folder.glob("*.safetensors")))


def fingerprint(files: Iterable[Path]) -> str:
    """Tell files by their names, sizes and, but for large ones, contents."""
    found = hashlib.sha256()
    for path in sorted(files):
        size = path.stat().st_size
        found.update(f"{path.name} {size}\n".encode())
        if size <= _HASHED_WHOLE:
            found.update(path.read_bytes())
    return found.hexdigest()[:16]
