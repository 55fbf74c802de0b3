"""Calls into a browser that may be held up: by a dialog that they open, or by a page that does not answer."""

import asyncio
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from foveate.actions.errors import UnsupportedAction
from foveate.envs.background import Background

if TYPE_CHECKING:
    from foveate.envs.tabs import Tabs

SILENT = "the page does not answer, a script of its own seems to run without end"
"""What is said of a page that takes no input."""

_LIMIT_S = 8.0
_BEGIN_LIMIT_S = 0.5
_ASK_S = 0.5


class Calls:
    """The calls that one action makes; what is held up goes on by itself.

    Args:
        tabs: Whose current page they are for.
        background: Where calls that nobody awaits any more are kept.

    Attributes:
        overdue: The page has not taken a call within its limit; no more are made until ``begin``.
    """

    def __init__(self, tabs: "Tabs", background: Background) -> None:
        self.overdue = False
        self._tabs = tabs
        self._background = background

    def begin(self) -> None:
        """Say that another action begins."""
        self.overdue = False

    async def attempt(
        self,
        call: Coroutine[Any, Any, Any],
        limit_s: float = _LIMIT_S,
        *,
        lasts_s: float = 0.0,
        release: bool = False,
    ) -> None:
        """Await an input call, but return at once where a dialog opens and holds it up, or after the limit.

        What takes longer goes on by itself, ``overdue`` is set, and the action's further calls are not made.

        Args:
            call: The call.
            limit_s: The longest to wait while the page does not answer.
            lasts_s: How much longer it may take where the page answers.
            release: It lets go of a key or button: it is made in any case, but not waited for once one is overdue.

        Raises:
            BrowserCrashed: If the page or the browser dies meanwhile.
            UnsupportedAction: If the browser refuses it, or the page has not taken an earlier one.
        """
        if self.overdue and not release:
            call.close()
            raise UnsupportedAction(f"{SILENT}: it has taken a part of the input only")
        task = await self._begun(call, 0.0 if self.overdue else limit_s, lasts_s)
        if not task.done() and not self._tabs.halted():
            self.overdue = True
        self._fail_with(task)

    async def start(self, call: Coroutine[Any, Any, Any]) -> None:
        """Begin something that goes on by itself and is waited for as an effect, such as a navigation.

        Raises:
            BrowserCrashed: If the page or the browser dies meanwhile.
            UnsupportedAction: If the browser refuses it at once.
        """
        self._fail_with(await self._begun(call, _BEGIN_LIMIT_S))

    async def _begun(self, call: Coroutine[Any, Any, Any], limit_s: float, lasts_s: float = 0.0) -> "asyncio.Task[Any]":
        task = self._background.spawn(call)
        task.add_done_callback(lambda _task: self._tabs.wake())
        began_s, ask_s = time.monotonic(), _ASK_S
        while (
            not task.done() and not self._tabs.halted() and (past_s := time.monotonic() - began_s) < limit_s + lasts_s
        ):
            self._tabs.check()
            if past_s >= limit_s and self._tabs.current.silent:
                break
            if past_s >= ask_s:
                self._tabs.current.ask(paint=False)  # a page that goes on answering is only slow
                ask_s = past_s + _ASK_S
            await self._tabs.pause(min(ask_s, limit_s + lasts_s) - past_s)
        self._tabs.check()
        self._tabs.wake()  # a frame that came meanwhile is still to be looked at
        return task

    def _fail_with(self, task: "asyncio.Task[Any]") -> None:
        from playwright.async_api import Error

        if not task.done() or task.cancelled():
            return
        error = task.exception()
        if isinstance(error, Error) and not self._gone(error):
            raise UnsupportedAction(error.message.splitlines()[0]) from error
        if error is not None and not isinstance(error, Error):
            raise error

    def _gone(self, error: Exception) -> bool:
        """Tell whether a call failed only because its page closed, which is an effect and no failure."""
        return "closed" in str(error)
