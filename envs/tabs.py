"""The pages of one browser context: which is current, which open and close, and what the current one has due."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from foveate.actions.errors import BrowserCrashed, UnsupportedAction
from foveate.actions.guard import Limits
from foveate.envs.background import Background
from foveate.envs.base import EventKind
from foveate.envs.calling import SILENT, Calls
from foveate.envs.files import NamedFiles
from foveate.envs.settle import Due
from foveate.envs.tab import Tab

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

_CALL_LIMIT_S = 8.0
_OPEN_LIMIT_S = 3.0
_SHOW_LIMIT_S = 1.0
_CLOSE_LIMIT_S = 3.0


class Tabs:
    """Follows pages as they open and close; the world that ``settle`` waits for.

    Args:
        context: Whose pages.
        limits: Hold secrets.
        files: What may be uploaded.
        secret: Name under which the probe answers in pages.
        scale: Device pixels a CSS pixel.
        background: Where work that nobody awaits is kept.
        emit: Takes note of an event.
        requests_since: Tells whether a request that began since a moment is under way.
    """

    def __init__(
        self,
        context: "BrowserContext",
        *,
        limits: Limits,
        files: NamedFiles,
        secret: str,
        scale: float,
        background: Background,
        emit: Callable[[EventKind, str], None],
        requests_since: Callable[[float], bool],
    ) -> None:
        self.list: list[Tab] = []
        self.fault: str | None = None
        self.held_by: Callable[[Tab], bool] = lambda _tab: False
        self.on_open: Callable[[Tab], None] | None = None
        self.calls = Calls(self, background)
        self._context = context
        self._limits = limits
        self._files = files
        self._secret = secret
        self._scale = scale
        self._background = background
        self._emit = emit
        self._requests_since = requests_since
        self._used: list[Tab] = []
        self._adopting = 0
        self._adoption = asyncio.Lock()
        self._switched = False
        self._onset_s = 0.0
        self._wake = asyncio.Event()

    # Which pages ----------------------------------------------------------------------------------------------------

    async def open_first(self) -> Tab:
        """Open the first page and follow every one that opens after it."""
        page = await self._context.new_page()
        tab = await self._add(page)
        self._context.on("page", self._page_opened)
        return tab

    @property
    def current(self) -> Tab:
        """The page that is seen and acted on.

        Raises:
            BrowserCrashed: If there is none left.
        """
        if not self._used:
            raise BrowserCrashed(self.fault or "the browser has no page left: reset the environment")
        return self._used[-1]

    @property
    def index(self) -> int:
        """Place of the current page in ``list``."""
        return self.list.index(self.current)

    def page_of(self, frame: str) -> "Page | None":
        """Give the page that a frame is part of; of a frame that no page has told of, the current page."""
        tabs = [tab for tab in self.list if frame in tab.frames or frame == tab.probes.main_frame] or self._used[-1:]
        return tabs[0].page if tabs else None

    def check(self) -> None:
        """Raise what has happened to the browser or the current page.

        Raises:
            BrowserCrashed: If it died.
        """
        if self.fault is not None:
            raise BrowserCrashed(self.fault)
        if self._used and self._used[-1].crashed is not None:
            raise BrowserCrashed(f"{self._used[-1].url}: {self._used[-1].crashed}; the environment can be reset")

    def fail(self, reason: str) -> None:
        """Say that the browser has died."""
        self.fault = reason
        self._wake.set()

    def wake(self) -> None:
        """Say that there may be something new to look at."""
        self._wake.set()

    async def switch(self, index: int) -> None:
        """Make a page the current one.

        Raises:
            UnsupportedAction: If there is no such page.
        """
        if not 0 <= index < len(self.list):
            raise UnsupportedAction(f"there is no tab {index}: the tabs are 0 to {len(self.list) - 1}")
        if self.list[index].crashed is not None:
            raise UnsupportedAction(f"the page of tab {index} has died: close it")
        await self._show(self.list[index])

    async def new(self) -> None:
        """Open an empty page; it becomes the current one as any page that opens does."""
        await self._context.new_page()

    async def close_current(self, *, ask: bool = True) -> None:
        """Close the current page.

        Args:
            ask: Let the page ask whether it may be left; one that does not answer cannot.

        Raises:
            UnsupportedAction: If it is the last one.
        """
        if len(self.list) < 2:
            raise UnsupportedAction("the last tab cannot be closed")
        await self.calls.attempt(self.current.page.close(run_before_unload=ask))

    async def replace(self) -> None:
        """Let an empty page take the place of the current one, which is closed with its history.

        Raises:
            TimeoutError: If the browser does not open one.
            UnsupportedAction: If the one that it opened went away.
        """
        old, place = self.current, self.index
        async with asyncio.timeout(_CALL_LIMIT_S):
            await self._context.new_page()
            while self._adopting:
                await self.pause(_CALL_LIMIT_S)
        if self.current is old:
            raise UnsupportedAction(f"{SILENT}, and no tab could be opened in its place")
        for pages in (self.list, self._used):
            pages.remove(old)
        old.probes.close()
        self.list.insert(place, self.list.pop())
        self._background.spawn(old.page.close())
        self._emit("page_closed", f"{SILENT}: it was closed, its history is lost, and a new tab takes its place")

    def _page_opened(self, page: "Page") -> None:
        self._adopting += 1
        self._wake.set()
        self._background.spawn(self._adopt(page))

    async def _adopt(self, page: "Page") -> None:
        from playwright.async_api import Error

        try:
            async with self._adoption:
                tab = await self._add(page)
            self._emit("new_page", f"a new tab opened: {tab.url}" + (" did not load" if tab.failed else ""))
        except (Error, TimeoutError):
            pass  # it closed before it could be followed
        finally:
            self._adopting -= 1
            for tab in self.list:
                tab.popups_due.clear()
            self._wake.set()

    async def _add(self, page: "Page") -> Tab:
        session = await self._context.new_cdp_session(page)
        tab = Tab(
            page,
            session,
            limits=self._limits,
            files=self._files,
            attempt=self.calls.attempt,
            secret=self._secret,
            scale=self._scale,
            background=self._background,
            wake=self._wake.set,
            on_navigated=self._navigated,
            on_chooser=lambda text: self._emit("file_chooser", text),
        )
        page.on("close", lambda _page: self._page_closed(tab))
        tab.begin(self._onset_s)
        if self.on_open is not None:
            self.on_open(tab)
        await self._unless_held(tab, tab.open(), _OPEN_LIMIT_S)
        if page.is_closed():
            return tab
        self.list.append(tab)
        await self._show(tab)
        return tab

    async def _unless_held(self, tab: Tab, work: Coroutine[Any, Any, None], limit_s: float) -> None:
        """Await something of a page, or leave it to itself where a dialog or a script of its own holds the page up."""
        task = self._background.spawn(work)
        task.add_done_callback(lambda _task: self._wake.set())
        end_s = time.monotonic() + limit_s
        while not task.done() and not self.held_by(tab) and time.monotonic() < end_s:
            await asyncio.wait({task}, timeout=0.05)
        if task.done():
            task.result()

    async def _show(self, tab: Tab) -> None:
        before = self._used[-1] if self._used else None
        if before is tab:
            return
        if tab in self._used:
            self._used.remove(tab)
        self._used.append(tab)
        if before is not None:
            tab.begin_with(before)
            self._background.spawn(before.hide())
        await self._unless_held(tab, tab.show(), _SHOW_LIMIT_S)
        self._switched = True
        self._wake.set()

    def _page_closed(self, tab: Tab) -> None:
        tab.probes.close()
        was_current = bool(self._used) and self._used[-1] is tab
        for pages in (self.list, self._used):
            if tab in pages:
                pages.remove(tab)
        if was_current and self.fault is None:
            self._emit("page_closed", f"the tab closed: {tab.url}")
            self._background.spawn(self._show_remaining(tab))
        self._wake.set()

    async def _show_remaining(self, closed: Tab) -> None:
        if not self._used:
            await self._context.new_page()  # a page that closes itself leaves an empty tab, as browsers' windows do not
            return
        tab = self._used.pop()
        tab.begin_with(closed)
        await self._show(tab)

    def _navigated(self, tab: Tab) -> None:
        if tab not in self.list or tab is not self._used[-1]:
            return
        if tab.failed:
            self._emit("navigation_failed", f"{tab.url} did not load")
        else:
            self._emit("navigation", f"the page is now {tab.url}")

    # The world that settle waits for --------------------------------------------------------------------------------

    def begin(self, onset_s: float) -> None:
        """Say that an action begins now; one that a dialog waits for belongs to what the dialog held up."""
        self._onset_s = onset_s
        self._switched = False
        self.calls.begin()
        self.current.begin(onset_s, goes_on=self.halted())

    def sent(self) -> None:
        """Say that the action's input has been sent."""
        if self._used:
            self.current.sent()

    def now(self) -> float:
        """Give the time in monotonic seconds."""
        return time.monotonic()

    def due(self) -> Due:
        """Give what the current page, its requests and pages that are about to open have due."""
        if not self._used:
            return Due(pending=True)
        due = self.current.due()
        if self._adopting or self._requests_since(self.current.began_s):
            due = replace(due, pending=True)
        return due

    def ask(self, *, paint: bool) -> None:
        """Ask the current page what it has due."""
        if self._used:
            self.current.ask(paint=paint)

    async def change(self, timeout_s: float) -> float | None:
        """Wait for a real change of the current page; None earlier where what is due may have changed.

        Raises:
            BrowserCrashed: If the page or the browser dies meanwhile.
        """
        self.check()
        if not self._wake.is_set():
            try:
                async with asyncio.timeout(timeout_s):
                    await self._wake.wait()
            except TimeoutError:
                return None
        self._wake.clear()
        self.check()
        if self._switched:
            self._switched = False
            return time.monotonic()
        return await self.current.take() if self._used else None

    async def pause(self, limit_s: float) -> None:
        """Wait until something may be new to look at, without looking."""
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._wake.wait()

    def halted(self) -> bool:
        """Tell whether a dialog holds the current page."""
        return bool(self._used) and self.held_by(self.current)
