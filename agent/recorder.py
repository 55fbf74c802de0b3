"""Writes an episode to a folder as it happens: what was done is on disk before the loop goes on."""

import contextlib
import errno
import os
import platform
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from foveate.actions.errors import RecordError
from foveate.actions.limits import Limits
from foveate.agent.masked import masked_data
from foveate.agent.record import (
    DOWNLOADS_FOLDER,
    EPISODE_FILE,
    ERROR_FILE,
    FRAMES_FOLDER,
    STEPS_FILE,
    replace_file,
    to_json,
)
from foveate.agent.record_folder import make_folder
from foveate.agent.record_step import RecordedEpisode, RecordedResult, RecordedStep, writable
from foveate.agent.trajectory import EpisodeHead, Result, StepLine
from foveate.agent.writer import Writer
from foveate.envs.base import Image, Observation

_REPORT_S = 300.0
"""Longest wait for the report of a long run, in seconds."""


class Recorder:
    """Writes one episode: ``episode.json``, ``steps.jsonl``, ``frames/``, ``downloads/`` and ``report.html``.

    An error that ended it leaves its traceback in ``error.log``. One thread writes, behind a bounded queue that waits
    and never drops. After the first failure nothing more is written, and every further call raises it.

    Args:
        folder: The run's folder, new or empty; None makes ``runs/<time>-<slug>`` under the current folder.
        task: The instruction, for the folder's name.
        limits: Its secrets' values are replaced by their placeholders in everything that is written as text.
    """

    def __init__(self, folder: Path | None = None, *, task: str = "", limits: Limits | None = None) -> None:
        self._folder = folder
        self._limits = limits or Limits()
        self._task = self._limits.mask_secrets(task)
        self._head = RecordedEpisode()
        self._lines: BinaryIO  # from ``_begin`` on, and nothing is written before
        self._recent: deque[tuple[Observation, str]] = deque(maxlen=4)
        self._pictures = 0
        self._steps = 0
        self._writer: Writer | None = None

    @property
    def folder(self) -> Path:
        """The run's folder.

        Raises:
            RecordError: Before ``open``, where no folder was given.
        """
        if self._folder is None:
            raise RecordError("the record has no folder yet: open it first")
        return self._folder

    @property
    def downloads(self) -> Path:
        """Where what the environment downloads belongs."""
        return self.folder / DOWNLOADS_FOLDER

    async def open(self, head: EpisodeHead) -> None:
        """Make the folder and write ``episode.json`` without a result.

        Raises:
            UsageError: If the folder is in use.
            RecordError: If it cannot be written.
        """
        self._head = RecordedEpisode(
            task=writable(head.task),
            env=writable(head.env),
            policy=head.policy,
            model=head.model,
            versions=versions() | dict(head.versions),
            seed=head.seed,
            episode=head.episode,
            started=datetime.now().astimezone().isoformat(timespec="milliseconds"),
        )
        self._writer = Writer(self._failure)
        try:
            await self._writer.done(self._begin)
        except BaseException:
            self._writer.close()
            self._writer = None
            raise

    async def picture(self, observation: Observation) -> str:
        """Store a picture; returns at once unless the queue is full.

        Args:
            observation: Its captured bytes are stored where it has them, else its pixels; one that is among the
                last four is not stored again.

        Returns:
            The file's path, relative to the folder.

        Raises:
            RecordError: If the record cannot be written.
        """
        for known, path in self._recent:
            if known is observation:
                return path
        encoded, image = observation.encoded, observation.image
        suffix = "jpg" if encoded is not None and encoded.media_type == "image/jpeg" else "png"
        path = f"{FRAMES_FOLDER}/{self._pictures:04d}.{suffix}"
        file = self.folder / path
        if encoded is None:
            await self._open_writer().put(lambda: _save_png(file, image))
        else:
            data = encoded.data
            await self._open_writer().put(lambda: _save_bytes(file, data))
        self._pictures += 1
        self._recent.append((observation, path))
        return path

    async def turn(self, line: StepLine) -> None:
        """Write a step's line; returns when it is on disk, after every picture that was stored before it.

        Raises:
            RecordError: If the record cannot be written.
        """
        await self._open_writer().done(lambda: self._append(RecordedStep.of(line)))

    async def close(
        self, result: Result, versions: Mapping[str, str] = MappingProxyType({}), *, trace: str | None = None
    ) -> None:
        """Write the result and the report, and end the thread; does nothing where the record is not open.

        Args:
            result: How the episode ended.
            versions: What is known of versions by now and was not when it began, the browser's say.
            trace: The traceback of the error that ended it, for ``error.log``.

        After a failure that was raised before, what can still be written is, without raising it again.

        Raises:
            RecordError: If the record cannot be written.
        """
        writer, self._writer = self._writer, None
        if writer is None:
            return

        def finish() -> None:
            self._finish(result, dict(versions), writer.busy_s)
            if trace is not None:
                replace_file(self.folder / ERROR_FILE, self._limits.mask_secrets(writable(trace)).encode())
            from foveate.agent.report import write_report  # here, so that an import of foveate.agent stays light

            write_report(self.folder)

        try:
            await writer.done(finish, limit_s=_REPORT_S, last=True)
        finally:
            writer.close()
            self._recent.clear()

    def _open_writer(self) -> Writer:
        if self._writer is None:
            raise RecordError("the record is not open")
        return self._writer

    # On the writing thread ------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._folder = make_folder(self._folder, self._task)
        (self._folder / FRAMES_FOLDER).mkdir()
        self.downloads.mkdir()
        self._lines = (self._folder / STEPS_FILE).open("ab", buffering=0)
        self._write_head(self._head)

    def _append(self, step: RecordedStep) -> None:
        lines = self._lines
        data = to_json(masked_data(self._limits, step.model_dump(mode="json"))) + b"\n"
        end = lines.seek(0, os.SEEK_END)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[lines.write(rest) :]
        except OSError:
            with contextlib.suppress(OSError):
                lines.truncate(end)
            raise
        self._steps += 1

    def _finish(self, result: Result, versions: dict[str, str], busy_s: float) -> None:
        self._lines.close()
        ended = RecordedResult(
            status=result.status,
            verified=result.verified,
            reason=result.reason,
            answer=result.answer and writable(result.answer),
            error=result.error and writable(result.error),
            steps=result.steps,
            seconds=round(result.trajectory.seconds, 3),
        )
        last = {
            "task": self._head.task
            or writable(result.trajectory.task),  # an environment's own is known after the reset
            "versions": self._head.versions | versions,
            "result": ended,
            "writing_ms": round(busy_s * 1000, 1),
        }
        self._write_head(self._head.model_copy(update=last))
        with contextlib.suppress(OSError):
            self.downloads.rmdir()  # only where nothing was downloaded

    def _write_head(self, head: RecordedEpisode) -> None:
        replace_file(
            self.folder / EPISODE_FILE,
            to_json(masked_data(self._limits, head.model_dump(mode="json")), indent=2) + b"\n",
        )

    def _failure(self, exc: OSError) -> RecordError:
        saved = "1 step is saved" if self._steps == 1 else f"{self._steps} steps are saved"
        full = exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        remedy = "free space there" if full else "make it writable"
        return RecordError(
            f"the record {self._folder or 'runs'} cannot be written: {exc.strerror or exc}; {saved}: {remedy}, "
            "record elsewhere with --record DIR, or use --no-record"
        )


def versions() -> dict[str, str]:
    """Give the versions of foveate, Python, the platform and the libraries, without importing any of them."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in ("foveate", "torch", "transformers", "playwright"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _save_bytes(file: Path, data: bytes) -> None:
    try:
        file.write_bytes(data)
    except OSError:
        _drop(file)
        raise


def _save_png(file: Path, image: Image) -> None:
    from PIL import Image as PillowImage  # here, so that an import of foveate.agent stays light

    try:
        PillowImage.fromarray(image).save(file, "PNG", compress_level=1)
    except OSError:
        _drop(file)
        raise


def _drop(file: Path) -> None:
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)
