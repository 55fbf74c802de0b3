"""What outlives a killed run: its state, replaced whole or not at all, and a log that is cut back to it."""

import contextlib
import io
import json
import os
import pickle
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch

from foveate.actions.errors import TrainingError


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state beside its place and move it there once it is safe.

    Args:
        path: Its file; what was there before is kept until the new one is complete.
        state: Tensors, numbers, texts, lists and mappings of them.

    Raises:
        TrainingError: If it cannot be written; what was there before still is.
    """
    packed = io.BytesIO()  # torch's own writing of files does not say why it failed
    torch.save(dict(state), packed)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(packed.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as exc:
        with contextlib.suppress(OSError):
            part.unlink()
        kept, then = (
            ("the one saved before is kept", "go on with --resume")
            if path.exists()
            else ("none was saved before", "begin again without it")
        )
        raise TrainingError(
            f"the state {path} cannot be saved: {exc.strerror or exc} ({kept}): make room for "
            f"{packed.getbuffer().nbytes >> 20} MiB there, then {then}"
        ) from exc


def read_state(path: Path, *, holding: Collection[str] = ()) -> dict[str, Any]:
    """Read a state; its tensors are on the CPU.

    Args:
        path: Its file.
        holding: What it must hold.

    Raises:
        TrainingError: If it is missing or broken, or holds something else.
    """
    try:
        saved = io.BytesIO(path.read_bytes())
        with zipfile.ZipFile(saved) as archive:  # torch compares no checksum
            if archive.testzip() is not None:
                raise ValueError("a byte of it has changed")
        saved.seek(0)
        state = torch.load(saved, map_location="cpu", weights_only=True)
    except FileNotFoundError as exc:
        raise TrainingError(f"{path.parent} holds no state to go on from: leave --resume out to begin there") from exc
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, zipfile.BadZipFile, pickle.UnpicklingError) as exc:
        # what torch advises for a file that is no state of its own, to run its code, is no advice
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else "it is no state that was saved whole"
        raise TrainingError(f"the state {path} cannot be read: {why}: begin again in another --work folder") from exc
    if not isinstance(state, dict) or not set(holding) <= set(state):
        raise TrainingError(f"{path} holds no state: begin again in another --work folder")
    return state


class Log:
    """Lines of JSON, in the order of training.

    Args:
        path: The file; it is made with the first line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, line: Mapping[str, Any]) -> None:
        """Add a line.

        Raises:
            TrainingError: If it cannot be written.
        """
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as exc:
            raise TrainingError(
                f"the log {self._path} cannot be written: {exc.strerror or exc}: make room there"
            ) from exc

    def size(self) -> int:
        """Give its length in bytes, all of which are safe on the disk afterwards."""
        if not self._path.exists():
            return 0
        with self._path.open("rb") as file:
            os.fsync(file.fileno())
            return os.fstat(file.fileno()).st_size

    def cut(self, size: int) -> None:
        """Forget what was added after it had this length: the steps it tells of are taken again."""
        if self._path.exists():
            os.truncate(self._path, min(size, self._path.stat().st_size))

    def lines(self) -> list[dict[str, Any]]:
        """Read all lines; one that a kill cut off is left out."""
        return read_log(self._path)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read the lines of a log; empty where there is none, without one that a kill cut off."""
    if not path.exists():
        return []
    lines: list[dict[str, Any]] = []
    for text in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):
            lines.append(json.loads(text))
    return lines
