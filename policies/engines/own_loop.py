"""A thread with an event loop of its own, for a library that wants to live in one."""

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar, cast

from foveate.actions.errors import ModelUnavailable
from foveate.policies.engines.base import Delta
from foveate.policies.engines.streaming import Give, Work, finished, streamed

T = TypeVar("T")

_log = logging.getLogger(__name__)


class OwnLoop:
    """Runs coroutines in a thread until it is stopped.

    A library that blocks its loop for good (a hang in a driver, say) is left behind after ``grace_s``, with its thread.

    Args:
        grace_s: Longest wait for something that was cancelled, and for the thread's end.
        name: The thread's, and what is said where something is asked of it while it does not run.
    """

    def __init__(self, name: str, *, grace_s: float = 30.0) -> None:
        self.name = name
        self._grace_s = grace_s
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._ready = threading.Event()
        self._waiting: set[concurrent.futures.Future[Any]] = set()

    def start(self) -> None:
        """Start the thread, and wait until its loop runs."""
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """End the loop, whatever runs in it, and the thread; blocks."""
        loop, over, thread = self._loop, self._over, self._thread
        if loop is not None and over is not None:
            with suppress(RuntimeError):  # it ended by itself
                loop.call_soon_threadsafe(over.set)
        if thread is not None:
            thread.join(self._grace_s)
            if thread.is_alive():
                _log.warning("%s hangs: its thread is left behind", self.name)
        self._thread = None

    def submit(self, work: Coroutine[Any, Any, Any]) -> Work:
        """Begin something.

        Raises:
            ModelUnavailable: If the loop does not run.
        """
        done: concurrent.futures.Future[Any] = concurrent.futures.Future()
        done.set_running_or_notify_cancel()  # from here on only the task itself says how it ended
        tasks: list[asyncio.Task[Any]] = []
        loop = self._loop

        def begin() -> None:
            tasks.append(asyncio.ensure_future(work))
            tasks[0].add_done_callback(ended)

        def ended(task: "asyncio.Task[Any]") -> None:
            self._waiting.discard(done)
            if task.cancelled():
                done.set_exception(ModelUnavailable(f"{self.name} was closed while it answered"))
            elif (error := task.exception()) is not None:
                done.set_exception(error)
            else:
                done.set_result(task.result())

        def cancel() -> None:
            if loop is not None:
                with suppress(RuntimeError):  # the loop is closed, and everything in it over
                    loop.call_soon_threadsafe(lambda: tasks[0].cancel())

        try:
            if loop is None:
                raise RuntimeError
            self._waiting.add(done)  # before it is begun: a loop that ends meanwhile never begins it
            loop.call_soon_threadsafe(begin)
        except RuntimeError as exc:
            self._waiting.discard(done)
            work.close()
            raise ModelUnavailable(f"{self.name} is closed") from exc
        return Work(asyncio.wrap_future(done), cancel)

    async def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something; a caller that is cancelled leaves nothing running."""
        begun = self.submit(work)
        try:
            return cast(T, await asyncio.shield(begun.future))
        finally:
            begun.cancel()
            await finished(begun.future, self._grace_s)

    def stream(
        self, answer: Callable[[Give], Coroutine[Any, Any, None]], limit_s: float
    ) -> AsyncGenerator[Delta, None]:
        """Answer a request piece by piece; closing the stream cancels it, and returns when that is done.

        Args:
            answer: Answers in the loop, and gives each piece as it comes.
            limit_s: Longest wait for a piece.

        Raises:
            ModelUnavailable: If the answer ends without its last piece.
            ModelTimeout: If a piece does not come in time.
        """
        return streamed(
            lambda give: self.submit(answer(give)),
            f"{self.name} ended its answer without saying why: ask again",
            piece_s=limit_s,
            late=f"{self.name} has said nothing for {limit_s:g} s: look at its log",
            grace_s=self._grace_s,
        )

    def _run(self) -> None:
        try:
            asyncio.run(self._live())  # what still runs at the end is cancelled by it
        finally:
            self._loop = None
            self._ready.set()
            for done in tuple(self._waiting):
                done.set_exception(ModelUnavailable(f"{self.name} ended by itself: look at its log"))
            self._waiting.clear()

    async def _live(self) -> None:
        self._over = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        await self._over.wait()
