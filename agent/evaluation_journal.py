"""The journal of an evaluation: every item is on disk as soon as it is done, so that a killed run can go on.

It lies beside the file of figures (``FILE.json.journal``), one JSON object a line, the first one what the items depend
on. When the figures are written it goes; the figures hold the items too, and a later run can go on from them.
"""

import contextlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from foveate.actions.errors import RecordError, UsageError
from foveate.agent.evaluation_items import Done, Item
from foveate.agent.whole import write_whole


class Journal:
    """Keeps what is done; made anew or, with ``resume``, gone on with.

    Args:
        out: The file of figures; None keeps the items in memory alone.
        head: What the items depend on, JSON data; a journal with another head cannot be gone on with.
        resume: Take over what an earlier run did.

    Raises:
        UsageError: If there is an unfinished journal and ``resume`` is not given, or one of other settings and it is.
        RecordError: If a file cannot be read or written.
    """

    def __init__(self, out: Path | None, head: Mapping[str, Any], *, resume: bool = False) -> None:
        self.path = None if out is None else out.with_name(f"{out.name}.journal")
        self._out = out
        self._head = json.loads(json.dumps(dict(head)))
        self.done: dict[str, Done] = {}
        if self.path is not None and out is not None:
            self._begin(out, self.path, resume)
        elif resume:
            raise UsageError("--resume needs the file of the run that it goes on with: --out FILE.json")
        self._file: IO[str] | None = None

    def _begin(self, out: Path, path: Path, resume: bool) -> None:
        if not resume and path.exists():
            raise UsageError(f"{path} is the journal of an unfinished run: go on with --resume, or delete it")
        if resume:
            self._take(_finished(out), out)
            self._take(_lines(path), path)

    def __enter__(self) -> Self:
        if self.path is not None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                lines = (self._head, *(as_data(done) for done in self.done.values()))
                write_whole(self.path, "".join(map(_line, lines)).encode())
                self._file = self.path.open("a", encoding="utf-8")
            except OSError as exc:
                raise _failed(self.path, exc) from exc
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # what could not be written was an error when it was added
                self._file.close()

    def add(self, done: Done) -> None:
        """Keep an item.

        Raises:
            RecordError: If it cannot be written.
        """
        if self._file is not None and self.path is not None:
            try:
                self._file.write(_line(as_data(done)))
                self._file.flush()
            except OSError as exc:
                raise _failed(self.path, exc) from exc
        self.done[done.item.key] = done

    def finish(self, text: str) -> None:
        """Write the file of figures; the journal goes.

        Raises:
            RecordError: If it cannot be written.
        """
        if self._out is None or self.path is None:
            return
        try:
            write_whole(self._out, text.encode())
            self.path.unlink(missing_ok=True)
        except OSError as exc:
            raise _failed(self._out, exc) from exc

    def _take(self, read: tuple[Mapping[str, Any], Iterable[Mapping[str, Any]]] | None, path: Path) -> None:
        if read is None:
            return
        head, items = read
        for name in sorted({*self._head, *head}):
            if self._head.get(name) != head.get(name):
                raise UsageError(
                    f"{path} was made with another {name} ({head.get(name)}, now {self._head.get(name)}): "
                    "leave --resume out and give another --out"
                )
        for data in items:
            done = of_data(data)
            self.done[done.item.key] = done


def as_data(done: Done) -> dict[str, Any]:
    """Give an item as JSON data."""
    item = done.item
    where = {"application": item.application} if item.application else {}
    return {"suite": item.suite, "seed": item.seed, "split": item.split, **where, **done.found}


def of_data(data: Mapping[str, Any]) -> Done:
    """Read an item from JSON data.

    Raises:
        UsageError: If it is none.
    """
    found = dict(data)
    try:
        item = Item(found.pop("suite"), found.pop("seed"), found.pop("split"), found.pop("application", ""))
    except KeyError as exc:
        raise UsageError(f"an item of an evaluation has no {exc}: is this a file of foveate eval?") from exc
    return Done(item, found)


def _finished(path: Path) -> tuple[Mapping[str, Any], Iterable[Mapping[str, Any]]] | None:
    """Read a file of figures; None where there is none."""
    text = _read(path)
    if text is None:
        return None
    try:
        data = json.loads(text)
        return data["head"], data["items"]
    except (ValueError, KeyError, TypeError) as exc:
        raise UsageError(f"{path} holds no figures of foveate eval: give another --out") from exc


def _lines(path: Path) -> tuple[Mapping[str, Any], Iterable[Mapping[str, Any]]] | None:
    """Read a journal; its last line may have been cut off by a kill."""
    text = _read(path)
    if text is None or "\n" not in text:
        return None
    try:
        head, *items = [json.loads(line) for line in text.split("\n")[:-1]]
    except ValueError as exc:
        raise UsageError(f"{path} is no journal of foveate eval ({exc}): delete it and begin anew") from exc
    return head, items


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8") if path.exists() else None
    except (OSError, UnicodeDecodeError) as exc:
        raise RecordError(f"{path} cannot be read: {exc}") from exc


def _line(data: Mapping[str, Any]) -> str:
    return json.dumps(data, separators=(",", ":"), allow_nan=False) + "\n"


def _failed(path: Path, exc: OSError) -> RecordError:
    reason = exc.strerror or str(exc)
    return RecordError(f"{path} cannot be written: {reason}: free some space or give another --out; --resume goes on")
