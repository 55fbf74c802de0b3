"""The thread that writes: jobs in order, behind a bounded queue that waits and never drops."""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from foveate.actions.errors import RecordError

_ROOM = 16
"""Jobs that may wait for the writing thread; further ones wait outside."""

_WRITE_S = 60.0
"""Longest wait for the writing thread, in seconds: a disk that takes longer is a fault."""


class Writer:
    """One thread that does jobs in order; the first one that fails ends the writing.

    Args:
        describe: Makes the error that callers get from an OSError.
    """

    def __init__(self, describe: Callable[[OSError], RecordError]) -> None:
        self.busy_s = 0.0
        self._describe = describe
        self._error: Exception | None = None
        self._told = False
        self._room = asyncio.Semaphore(_ROOM)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="foveate-recorder", daemon=True).start()

    async def put(self, do: Callable[[], None]) -> None:
        """Queue a job; waits while the queue is full.

        Raises:
            RecordError: If an earlier job failed, or the queue stays full.
        """
        self._raise()
        await self._queue(_Job(do))

    async def done(self, do: Callable[[], None], *, limit_s: float = _WRITE_S, last: bool = False) -> None:
        """Queue a job and wait until it is done.

        Args:
            do: The job.
            limit_s: Longest wait in seconds.
            last: Try it even after a failure, and raise only what nobody was told yet.

        Raises:
            RecordError: If this job or an earlier one failed, or it takes too long.
        """
        if not last:
            self._raise()
        event = asyncio.Event()
        await self._queue(_Job(do, event.set, last))
        await self._bounded(event.wait(), limit_s)
        if not (last and self._told):
            self._raise()

    def close(self) -> None:
        """End the thread once the queue is empty."""
        self._jobs.put(None)

    def _raise(self) -> None:
        if self._error is not None:
            self._told = True
            raise self._error

    async def _queue(self, job: "_Job") -> None:
        await self._bounded(self._room.acquire(), _WRITE_S)
        loop = asyncio.get_running_loop()

        def finished() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._room.release)
                loop.call_soon_threadsafe(job.done)

        self._jobs.put(replace(job, done=finished))

    async def _bounded(self, waiting: Coroutine[Any, Any, Any], limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await waiting
        except TimeoutError:
            raise self._describe(OSError(f"the disk took longer than {limit_s:g} s")) from None

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            begun = time.monotonic()
            if self._error is None or job.last:
                try:
                    job.do()
                except OSError as exc:
                    self._error = self._error or self._describe(exc)
                except Exception as exc:  # noqa: BLE001 - kept, and raised by every further call
                    self._error = self._error or exc
            self.busy_s += time.monotonic() - begun
            job.done()


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class _Job:
    """What the writing thread does, what it calls then, and whether it tries after a failure too."""

    do: Callable[[], None]
    done: Callable[[], None] = _nothing
    last: bool = False
