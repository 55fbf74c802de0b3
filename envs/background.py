"""Work that is started from a callback and awaited by nobody, kept hold of and ended with its owner."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Background:
    """Tasks that belong to one object; none outlives ``close``.

    Event callbacks of a browser are synchronous and cannot enter a TaskGroup's block, and an input call that a dialog
    holds up must outlive the step that made it; this is where such work is kept.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start something; an error of its own is dropped unless the task is awaited."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self) -> None:
        """Cancel everything that still runs and wait until it has ended."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5.0)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as seen: these are calls to a page that is gone
