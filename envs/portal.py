"""The one door from synchronous code to the event loop: a thread that runs one loop for an object's life."""

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from foveate.actions.errors import EnvClosed, WrongLoop

ResultT = TypeVar("ResultT")

_STOP_S = 10.0
_CLOSED = "the portal is not open: use it in a 'with' block"


class Portal:
    """A thread with one event loop, open from ``open`` to ``close``.

    What is opened through a portal belongs to its loop, and must be used and closed through the same portal.
    """

    def __init__(self, name: str = "foveate-portal") -> None:
        self._name = name
        self._serving: _Serving | None = None

    def open(self) -> None:
        """Start the thread; does nothing where it runs.

        Raises:
            OSError: If the system gives no event loop.
            RuntimeError: If it gives no thread.
        """
        if self._serving is not None:
            return
        self._serving = _Serving()
        try:
            self._serving.start(self._name)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Cancel what still runs, end the loop and join the thread; does nothing where it is closed.

        Called in the portal's own thread it does not wait for the end, which comes after the caller's.
        """
        if self._serving is not None:
            self._serving.end()
            self._serving = None

    def call(self, function: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Run an async function in the portal's loop and wait for its result.

        An interruption of the wait (Ctrl-C) cancels the function and waits until it has cleaned up.

        Raises:
            EnvClosed: If the portal is not open.
            WrongLoop: If it is called in the portal's own loop, which would wait for itself for ever.
        """
        serving = self._serving
        if serving is None:
            raise EnvClosed(_CLOSED)
        if serving.thread is threading.current_thread():
            raise WrongLoop("synchronous code cannot wait in the event loop that is to do the work: await it there")
        call = _Call(function)
        try:
            return serving.hand_over(call).result()
        except (KeyboardInterrupt, SystemExit, concurrent.futures.CancelledError):
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the call with it
                serving.loop.call_soon_threadsafe(call.cancel)
                call.ended.wait(_STOP_S)
            raise

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Serving:
    """One loop and its thread, from start to end."""

    def __init__(self) -> None:
        self._stop = asyncio.Event()
        self._runner = asyncio.Runner()
        self.loop = self._runner.get_loop()  # made here, so that whoever opens hears why it cannot be
        self.thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._ending = False

    def start(self, name: str) -> None:
        self.thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self.thread.start()

    def hand_over(self, call: "_Call[ResultT]") -> "concurrent.futures.Future[ResultT]":
        with self._lock:  # what is handed over before the end is cancelled by it; later it would wait for ever
            if self._ending:
                raise EnvClosed(_CLOSED)
            return asyncio.run_coroutine_threadsafe(call.run(), self.loop)

    def end(self) -> None:
        with self._lock:
            self._ending = True
        thread = self.thread
        if thread is None or thread.ident is None:  # never begun
            self._runner.close()
            return
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._stop.set)
        if thread is not threading.current_thread():
            thread.join(_STOP_S)

    def _serve(self) -> None:
        with self._runner:
            self._runner.run(self._stop_asked())

    async def _stop_asked(self) -> None:
        await self._stop.wait()


class _Call(Generic[ResultT]):
    """One function in the loop; it can be cancelled before it has begun, too."""

    def __init__(self, function: Callable[[], Awaitable[ResultT]]) -> None:
        self._function = function
        self._task: asyncio.Task[ResultT] | None = None
        self._cancelled = False
        self.ended = threading.Event()

    async def run(self) -> ResultT:
        if self._cancelled:
            raise asyncio.CancelledError
        self._task = asyncio.current_task()
        try:
            return await self._function()
        finally:
            self.ended.set()

    def cancel(self) -> None:
        """Cancel it; in the loop."""
        self._cancelled = True
        if self._task is None:
            self.ended.set()
        else:
            self._task.cancel()
