"""What an adapter acts on in a browser: input that a dialog cannot hold up, addresses, history and tabs."""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from foveate.actions.errors import UnsupportedAction
from foveate.actions.geometry import Frame
from foveate.actions.guard import Limits
from foveate.actions.schema import Action, Back, CloseTab, Forward, Navigate, NewTab, Reload, SwitchTab, Upload
from foveate.envs.tabs import Tabs

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page

_CALL_LIMIT_S = 5.0


class Browsing:
    """The current page of a browser, as ``BrowserAdapter`` acts on it.

    Args:
        tabs: The episode's pages.
        limits: What may be opened.
        limit_s: The longest that one call of the input may hold up a step; what takes longer goes on by itself.
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

    async def attempt(self, call: Awaitable[Any]) -> None:
        """Await an input call, as ``Tabs.attempt`` does."""
        await self._tabs.attempt(call, self._limit_s)

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
        tabs = self._tabs
        match action:
            case Navigate(url=url):
                refusal = self._limits.refusal(url)
                if refusal is not None:
                    raise UnsupportedAction(refusal)
                await self.attempt(self.session.send("Page.navigate", {"url": url}))
            case Back():
                await self._travel(-1)
            case Forward():
                await self._travel(1)
            case Reload():
                await self.attempt(self.session.send("Page.reload"))
            case NewTab():
                await self.attempt(tabs.new())
            case SwitchTab(index=index):
                await tabs.switch(index)
            case CloseTab():
                await tabs.close_current()
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
        if not 0 <= index < len(history["entries"]):
            raise UnsupportedAction(f"there is no page to go {'back' if by < 0 else 'forward'} to")
        entry = history["entries"][index]["id"]
        await self.attempt(self.session.send("Page.navigateToHistoryEntry", {"entryId": entry}))
