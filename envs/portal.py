"""The one door from synchronous code to the event loop: a thread that runs one loop for an object's life."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

from foveate.actions.errors import EnvClosed

ResultT = TypeVar("ResultT")

_STOP_S = 10.0


class Portal:
    """A thread with one event loop, open from ``open`` to ``close``.

    What is opened through a portal belongs to its loop, and must be used and closed through the same portal.
    """

    def __init__(self, name: str = "foveate-portal") -> None:
        self._name = name
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()

    def open(self) -> None:
        """Start the thread; does nothing where it runs."""
        if self._thread is not None:
            return
        self._ready.clear()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name=self._name, daemon=True)
        self._thread.start()
        self._ready.wait()

    def close(self) -> None:
        """Cancel what still runs, end the loop and join the thread; does nothing where it is closed."""
        if self._thread is None or self._loop is None or self._stop is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_STOP_S)
        self._thread = self._loop = self._stop = None

    def call(self, function: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Run an async function in the portal's loop and wait for its result.

        An interruption of the wait (Ctrl-C) cancels the function and waits until it has cleaned up.

        Raises:
            EnvClosed: If the portal is not open.
        """
        if self._loop is None:
            raise EnvClosed("the portal is not open: use it in a 'with' block")
        finished = threading.Event()
        future = asyncio.run_coroutine_threadsafe(_run(function, finished), self._loop)
        try:
            return future.result()
        except (KeyboardInterrupt, SystemExit, concurrent.futures.CancelledError):
            future.cancel()
            finished.wait(_STOP_S)
            raise

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._ready.set()
        await self._stop.wait()


async def _run(function: Callable[[], Awaitable[ResultT]], finished: threading.Event) -> ResultT:
    try:
        return await function()
    finally:
        finished.set()
