"""The waits of an episode: each ends with the episode's time, or when a person stops it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable


class Waits:
    """Bounds waits by an episode's time and by ``stop``.

    Args:
        timeout_s: How long the episode may take; None is no limit.
        end: Told ``person`` or ``timeout`` where a wait was cut short.

    Attributes:
        stopping: True once it was stopped.
    """

    def __init__(self, timeout_s: float | None, end: Callable[[str], None]) -> None:
        self.stopping = False
        self._timeout_s = timeout_s
        self._end = end
        self._began_s = time.monotonic()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scope: asyncio.Timeout | None = None

    def begin(self) -> None:
        """Count the episode's time from now on."""
        self._loop = asyncio.get_running_loop()
        self._began_s = time.monotonic()

    def stop(self) -> None:
        """Cut the wait under way short, and every further one; from any thread."""
        self.stopping = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and every wait with it
                self._loop.call_soon_threadsafe(self._cut)

    @property
    def seconds(self) -> float:
        """How long the episode has taken."""
        return time.monotonic() - self._began_s

    @property
    def remaining_s(self) -> float:
        """How long it may still take."""
        return float("inf") if self._timeout_s is None else self._timeout_s - self.seconds

    @contextlib.asynccontextmanager
    async def bounded(self) -> AsyncIterator[asyncio.Timeout]:
        """Bound what is awaited in a block; where it is cut short, ``end`` is told and TimeoutError raised."""
        remaining = self.remaining_s
        try:
            async with asyncio.timeout(None if remaining == float("inf") else max(remaining, 0.0)) as scope:
                self._scope = scope
                if self.stopping:
                    self._cut()
                yield scope
        except TimeoutError:
            if scope.expired():
                self._end("person" if self.stopping else "timeout")
            raise
        finally:
            self._scope = None

    def _cut(self) -> None:
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())
