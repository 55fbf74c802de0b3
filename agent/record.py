"""A record on disk: its files, how they are written whole, and how a folder is read again."""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from foveate.actions.errors import RecordError, UsageError
from foveate.agent.record_step import RecordedEpisode, RecordedStep

EPISODE_FILE = "episode.json"
STEPS_FILE = "steps.jsonl"
FRAMES_FOLDER = "frames"
DOWNLOADS_FOLDER = "downloads"
REPORT_FILE = "report.html"
ERROR_FILE = "error.log"

_MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """A record that was read.

    Attributes:
        folder: Where it lies.
        episode: Its head; empty fields where ``episode.json`` is missing or broken.
        steps: Its lines, in order.
        notes: What was wrong with the files, a sentence each.
    """

    folder: Path
    episode: RecordedEpisode
    steps: tuple[RecordedStep, ...] = ()
    notes: tuple[str, ...] = ()

    def picture(self, path: str | None) -> Path | None:
        """Give the file of a picture that a line names; None where it is missing or outside the record."""
        if not path:
            return None
        root = self.folder.resolve()
        file = (root / path).resolve()
        return file if file.is_relative_to(root) and file.is_file() else None


def read_record(folder: Path) -> Record:
    """Read a record, an unfinished or damaged one too.

    Raises:
        UsageError: If the folder is no record.
        RecordError: If its files cannot be read.
    """
    if not (folder / STEPS_FILE).is_file() and not (folder / EPISODE_FILE).is_file():
        raise UsageError(f"{folder} is no record: it has neither {EPISODE_FILE} nor {STEPS_FILE}")
    notes: list[str] = []
    try:
        episode = _read_episode(folder / EPISODE_FILE, notes)
        steps = _read_steps(folder / STEPS_FILE, notes)
    except OSError as exc:
        raise RecordError(f"the record {folder} cannot be read: {exc.strerror or exc}") from exc
    if episode.result is None:
        notes.append("the run is unfinished: it still goes on, or it was killed")
    return Record(folder, episode, steps, tuple(notes))


def _read_episode(file: Path, notes: list[str]) -> RecordedEpisode:
    try:
        return RecordedEpisode.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        notes.append(f"{EPISODE_FILE} is missing")
    except ValidationError as exc:
        notes.append(f"{EPISODE_FILE} is damaged: {_first(exc)}")
    return RecordedEpisode()


def _read_steps(file: Path, notes: list[str]) -> tuple[RecordedStep, ...]:
    if not file.is_file():
        return ()
    size = file.stat().st_size
    if size > _MOST_BYTES:
        notes.append(f"{STEPS_FILE} has {size / 2**20:.0f} MiB: only the first {_MOST_BYTES >> 20} are read")
    with file.open("rb") as lines:
        data = lines.read(_MOST_BYTES)
    steps = []
    *whole, rest = data.split(b"\n")
    for number, line in enumerate(whole, start=1):
        try:
            steps.append(RecordedStep.model_validate_json(line))
        except ValidationError as exc:
            notes.append(f"line {number} of {STEPS_FILE} is damaged and left out: {_first(exc)}")
    if rest:
        notes.append(f"the last line of {STEPS_FILE} was only half written and is left out")
    return tuple(steps)


def _first(exc: ValidationError) -> str:
    error = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in error["loc"])
    return f"{where}: {error['msg']}" if where else str(error["msg"])


def to_json(data: object, *, indent: int | None = None) -> bytes:
    """Write data as UTF-8 JSON."""
    text = json.dumps(_finite(data), ensure_ascii=False, indent=indent, separators=None if indent else (",", ":"))
    return text.encode("utf-8", "replace")


def replace_file(file: Path, data: bytes) -> None:
    """Write a file so that it is either the old or the new one, whatever happens.

    Raises:
        OSError: If it cannot be written; the old file stays.
    """
    draft = file.with_name(f".{file.name}.part")
    try:
        draft.write_bytes(data)
        draft.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def _finite(data: object) -> object:
    """Copy data with infinities and NaN, which JSON lacks, as null."""
    if isinstance(data, float):
        return data if data - data == 0.0 else None
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return data
