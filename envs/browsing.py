"""What an adapter acts on in a browser: input that a dialog cannot hold up, addresses, history and tabs."""

import asyncio
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from foveate.actions.errors import UnsupportedAction
from foveate.actions.geometry import Frame
from foveate.actions.guard import Limits
from foveate.actions.schema import Action, Back, CloseTab, Forward, Navigate, NewTab, Reload, SwitchTab, Upload
from foveate.envs.tab import Tab
from foveate.envs.tabs import Tabs

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page

_CALL_LIMIT_S = 5.0
_PATIENCE_S = 1.0
_IMPATIENCE_S = 0.1
_INTERRUPT_LIMIT_S = 2.0


class Browsing:
    """The current page of a browser, as ``BrowserAdapter`` acts on it.

    A page that does not answer because a script of its own never ends can be left: ``navigate``, ``reload``, ``back``,
    ``forward`` and ``close_tab`` end that script first, as does ``switch_tab`` where the page that it leads to lives
    in the same process. What cannot be ended so (a page that waits within a call of the browser's) is closed, and an
    empty tab in its place goes where the action leads; the tab's history is lost then, and an event says so.

    Args:
        tabs: The episode's pages.
        limits: What may be opened.
        limit_s: The longest that the input may wait for a page that does not answer; it goes on by itself then.
    """

    def __init__(self, tabs: Tabs, limits: Limits, limit_s: float) -> None:
        self._tabs = tabs
        self._limits = limits
        self._limit_s = limit_s

    @property
    def page(self) -> "Page":
        """The current page."""
        return self._tabs.current.page

    @property
    def session(self) -> "CDPSession":
        """The current page's DevTools session."""
        return self._tabs.current.session

    async def attempt(self, call: Coroutine[Any, Any, Any], *, lasts_s: float = 0.0, release: bool = False) -> None:
        """Await an input call, as ``Calls.attempt`` does."""
        await self._tabs.calls.attempt(call, self._limit_s, lasts_s=lasts_s, release=release)

    async def text_for(self, text: str) -> str:
        """Give the text to type for one that may hold placeholders of secrets.

        Raises:
            UnsupportedAction: If a secret does not belong where the focus is.
        """
        return await self._tabs.current.secrets.text_for(text)

    async def browse(self, action: Action, frame: Frame) -> Action:
        """Do one of the browser's own kinds.

        Raises:
            UnsupportedAction: If it cannot be done here and now.
        """
        try:
            return await self._browse(action, frame)
        except TimeoutError as exc:
            raise UnsupportedAction("the browser has not done it in time") from exc

    async def _browse(self, action: Action, frame: Frame) -> Action:
        tabs = self._tabs
        match action:
            case Navigate(url=url):
                refusal = self._limits.refusal(url)
                if refusal is not None:
                    raise UnsupportedAction(refusal)
                await self._lead(url, "Page.navigate", {"url": url})
            case Back():
                await self._travel(-1)
            case Forward():
                await self._travel(1)
            case Reload():
                await self._lead(tabs.current.url, "Page.reload", {})
            case NewTab():
                await tabs.calls.attempt(tabs.new())
            case SwitchTab(index=index):
                await self._switch(index)
            case CloseTab():
                await tabs.close_current(ask=len(tabs.list) < 2 or await self._freed())
            case Upload():
                return await tabs.current.uploads.upload(action, frame, self._press)
            case _:
                raise UnsupportedAction(f"{action.kind} cannot be done here")
        return action

    async def _press(self, x: float, y: float) -> None:
        await self.attempt(self.page.mouse.click(x, y))

    async def _travel(self, by: int) -> None:
        async with asyncio.timeout(_CALL_LIMIT_S):
            history = await self.session.send("Page.getNavigationHistory")
        index = history["currentIndex"] + by
        entry = history["entries"][index] if 0 <= index < len(history["entries"]) else None
        if entry is None or entry["id"] in self._tabs.current.behind:
            raise UnsupportedAction(f"there is no page to go {'back' if by < 0 else 'forward'} to")
        await self._lead(entry["url"], "Page.navigateToHistoryEntry", {"entryId": entry["id"]})

    # Pages that do not answer ---------------------------------------------------------------------------------------

    async def _lead(self, url: str, method: str, params: dict[str, Any]) -> None:
        """Lead the current tab to an address by a DevTools method; a fresh tab, where it cannot be brought to leave."""
        tab = self._tabs.current
        if await self._answers(tab):
            return await self._tabs.calls.start(tab.session.send(method, params))
        if await tab.probes.interrupt(_INTERRUPT_LIMIT_S):
            documents = tab.documents
            await self._tabs.calls.start(tab.session.send(method, params))
            if await self._left(tab, documents):
                return None
        await self._tabs.replace()
        return await self._tabs.calls.start(self.session.send("Page.navigate", {"url": url}))

    async def _answers(self, tab: Tab) -> bool:
        answers = await tab.probes.answers(_IMPATIENCE_S if tab.silent else _PATIENCE_S)
        return answers or self._tabs.halted()

    async def _left(self, tab: Tab, documents: int) -> bool:
        """Tell whether a page that has been interrupted is left, or answers; input that it owes may block it again."""
        end_s = time.monotonic() + _INTERRUPT_LIMIT_S
        while tab.documents == documents and not self._tabs.halted() and time.monotonic() < end_s:
            await tab.probes.interrupt(_INTERRUPT_LIMIT_S / 2)
            await self._tabs.pause(_IMPATIENCE_S)
        return tab.documents != documents or await self._answers(tab)

    async def _freed(self) -> bool:
        """See to it that the current page answers: end a script of its own that keeps it from doing so."""
        tab = self._tabs.current
        return await self._answers(tab) or await tab.probes.interrupt(_INTERRUPT_LIMIT_S)

    async def _switch(self, index: int) -> None:
        left = self._tabs.current
        await self._tabs.switch(index)
        reached = self._tabs.current
        if reached is left or not left.silent or self._tabs.halted():
            return
        if not await reached.probes.answers(_PATIENCE_S):  # both live in one process
            await left.probes.interrupt(_INTERRUPT_LIMIT_S)
