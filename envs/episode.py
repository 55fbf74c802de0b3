"""One episode in a browser: a fresh profile with its pages, acted on, settled and looked at until it ends."""

import asyncio
import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from foveate.actions.browser import BrowserAdapter
from foveate.actions.errors import BrowserCrashed, NavigationFailed, UnsupportedAction
from foveate.actions.geometry import Frame
from foveate.actions.guard import Limits, Target
from foveate.actions.schema import KEYBOARD_KINDS, POINTER_KINDS, Action, Wait
from foveate.envs.address import load_failure
from foveate.envs.background import Background
from foveate.envs.base import EncodedImage, Image, ScreenObservation, Step, Viewport
from foveate.envs.browsing import Browsing
from foveate.envs.calling import SILENT
from foveate.envs.capture import Picture, changed_fraction
from foveate.envs.events import EventLog
from foveate.envs.files import Downloads, NamedFiles
from foveate.envs.network import Network
from foveate.envs.overlays import Overlays, paper
from foveate.envs.settle import SettleConfig, settle
from foveate.envs.tab import Tab
from foveate.envs.tabs import Tabs
from foveate.envs.task import ask_first, read_done, read_instruction

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, CDPSession

_LOAD_LIMIT_S = 30.0
_LOAD_BUDGET_S = 10.0
_CAPTURE_LIMIT_S = 10.0
_RECAPTURE_LIMIT_S = 2.0
_CALL_LIMIT_S = 5.0
_SILENT_S = 2.0


@dataclass(frozen=True, slots=True)
class EpisodeConfig:
    """What one episode keeps to.

    Attributes:
        limits: What may be reached, default list filled in.
        settle: How long to wait for what.
        viewport: Size of its pages.
        files: What may be uploaded.
        downloads: Folder for what pages send.
        blocked: Counts requests that were not sent, by host; shared by the episodes of one environment.
    """

    limits: Limits
    settle: SettleConfig
    viewport: Viewport
    files: NamedFiles
    downloads: Path
    blocked: Counter[str]


@dataclass(frozen=True, slots=True)
class _Times:
    """When the phases of one step ended, monotonic seconds."""

    began_s: float
    sent_s: float
    settled_s: float


class Episode:
    """One episode; begin it with ``Episode.begin``, and end it whatever happens.

    Args:
        context: A fresh context of the browser; the episode closes it.
        config: What it keeps to.
    """

    def __init__(self, context: "BrowserContext", config: EpisodeConfig) -> None:
        self._context = context
        self._limits = config.limits
        self._settle = config.settle
        self._scale = config.viewport.scale
        self._secret = f"foveate-{secrets.token_hex(16)}"
        self._background = Background()
        self._events = EventLog(config.limits, config.blocked)
        self._network = Network(config.limits, on_blocked=self._events.note_blocked, on_change=self._wake)
        self.tabs = Tabs(
            context,
            limits=config.limits,
            files=config.files,
            secret=self._secret,
            scale=config.viewport.scale,
            background=self._background,
            emit=self._events.emit,
            requests_since=self._network.pending_since,
        )
        self._overlays = Overlays(
            context,
            limits=config.limits,
            scale=config.viewport.scale,
            spawn=self._background.spawn,
            emit=self._events.emit,
            wake=self._wake,
        )
        self._downloads = Downloads(
            config.downloads,
            spawn=self._background.spawn,
            on_download=lambda text: self._events.emit("download", text),
            limits=config.limits,
        )
        self.tabs.on_open = self._opened
        self.tabs.held_by = lambda tab: self._overlays.held(tab.page) is not None
        self.adapter = BrowserAdapter(Browsing(self.tabs, config.limits, config.settle.budget_s))
        self._frame: Frame | None = None
        self._image: Image | None = None
        self._onlooker: asyncio.Task[Any] | None = None
        self._browser_session: CDPSession | None = None

    @classmethod
    async def begin(cls, browser: "Browser", config: EpisodeConfig) -> Self:
        """Open a fresh profile with one empty page.

        Raises:
            Error: Playwright's, if the browser fails.
        """
        viewport = config.viewport
        context = await browser.new_context(
            viewport={"width": viewport.width, "height": viewport.height},
            device_scale_factor=viewport.scale,
            accept_downloads=True,
        )
        episode = cls(context, config)
        browser.on("disconnected", episode._disconnected)
        try:
            await episode._network.attach(context)
            episode._browser_session = await browser.new_browser_cdp_session()
            await episode._overlays.watch_sign_ins(episode._browser_session, episode.tabs.page_of)
            script = files("foveate.envs").joinpath("probe.js").read_text(encoding="utf-8")
            await context.add_init_script(script.replace("__SECRET__", episode._secret))
            await episode.tabs.open_first()
        except BaseException:
            await episode.end()
            raise
        return episode

    def _opened(self, tab: Tab) -> None:
        self._downloads.watch(tab.page, tab.session)
        self._overlays.watch(tab)

    async def end(self) -> None:
        """Close its pages and end everything that it started; never fails, never hangs."""
        if self.tabs.fault is None:
            self.tabs.fail("the episode has ended")
        if (browser := self._context.browser) is not None:
            browser.remove_listener("disconnected", self._disconnected)
        try:
            await self._downloads.close()
            await self._background.close()
        finally:
            await _try(self._context.close())
            if self._browser_session is not None:
                await _try(self._browser_session.detach())

    # Begin ----------------------------------------------------------------------------------------------------------

    async def load(self, given: str | None, url: str | None) -> ScreenObservation:
        """Open the start address and look.

        Args:
            given: What the user wrote.
            url: Its address; None stays on the empty page.

        Raises:
            NavigationFailed: If it does not load.
            BrowserCrashed: If the browser dies.
            CaptureFailed: If the page gives no picture.
        """
        began_s = time.monotonic()
        self.tabs.begin(self._settle.onset_s)
        if url is not None:
            await self._go(given or url, url)
        self.tabs.sent()
        times = await self._rest(
            replace(self._settle, budget_s=max(_LOAD_BUDGET_S, self._settle.budget_s)), began_s, time.monotonic()
        )
        self.tabs.current.cast.stale = True
        return await self._look(times)

    async def _go(self, given: str, url: str) -> None:
        from playwright.async_api import Error

        page = self.tabs.current.page
        self._events.expect_navigation()
        task = self._background.spawn(page.goto(url, wait_until="commit", timeout=_LOAD_LIMIT_S * 1000))
        try:
            await self._watched(task, _LOAD_LIMIT_S + 1)
            if not task.done():
                return  # a dialog holds it up
            task.result()
        except (Error, TimeoutError) as exc:
            self.tabs.check()
            raise NavigationFailed(load_failure(given, exc, self._events.first_blocked, _LOAD_LIMIT_S)) from exc
        await _try(self.tabs.current.session.send("Page.resetNavigationHistory"))  # refused at times, under load
        await _try(self.tabs.current.begin_history())

    async def _watched(self, task: "asyncio.Task[Any]", limit_s: float) -> None:
        """Wait for a task, but no longer than the page lives and no dialog holds it.

        Raises:
            BrowserCrashed: If the page or the browser dies.
            TimeoutError: If the limit passes.
        """
        task.add_done_callback(lambda _task: self._wake())
        async with asyncio.timeout(limit_s):
            while not task.done() and not self.tabs.halted():
                await self.tabs.change(limit_s)

    # Steps ----------------------------------------------------------------------------------------------------------

    async def step(self, action: Action) -> Step:
        """Do one action, wait until the page has settled, look.

        Raises:
            BrowserCrashed: If the page's renderer or the browser dies.
            CaptureFailed: If the page gives no picture.
        """
        assert self._frame is not None  # noqa: S101 - load has looked
        began_s = time.monotonic()
        self._stop_looking_on()
        self.tabs.check()
        self.tabs.begin(self._settle.onset_s)
        config = self._settle
        applied: Action | None = None
        error: str | None = None
        try:
            applied = await self._overlays.apply(self.tabs.current, action, self._frame, self.adapter.cursor)
            if applied is None:
                applied = await self.adapter.apply(action, self._frame)
        except UnsupportedAction as exc:
            error = self._limits.mask_secrets(f"{type(exc).__name__}: {exc}")
        except asyncio.CancelledError:
            await self.adapter.release_all()
            raise
        self.tabs.sent()
        if error is not None or isinstance(action, Wait):
            config = replace(config, onset_s=0.0)  # nothing is expected to begin
        if self.tabs.calls.overdue:
            config = replace(config, budget_s=0.0)  # the page has had its time
        times = await self._rest(config, began_s, time.monotonic())
        held = self._mute or self.tabs.halted()
        if applied is not None and applied.kind in POINTER_KINDS | KEYBOARD_KINDS and not held:
            await self._overlays.look_for_list(self.tabs.current)
        observation = await self._look(times)
        return Step(observation, applied=applied, error=error)

    async def inspect(self, action: Action) -> Target | None:
        """Tell what lies under the action's point or has the focus; None where unknown."""
        if self._frame is None or (self.tabs.current.silent and not self.tabs.halted()):
            return None
        return await self._overlays.inspect(self.tabs.current, action, self._frame, self.adapter.cursor)

    async def instruction(self) -> str | None:
        """Give the task that a page brings, of the first page that does; None where none does."""
        return await ask_first(self.tabs.list, self._overlays, read_instruction)

    async def done(self) -> bool | None:
        """Ask the first page that brings a task whether it is done; None where none does.

        Dialogs, and scripts that never end, are got out of the way.
        """
        return await ask_first(self.tabs.list, self._overlays, read_done, insist=True)

    async def _rest(self, config: SettleConfig, began_s: float, sent_s: float) -> _Times:
        settled = await settle(self.tabs, config, sent_s)
        if self._mute:
            self._events.emit("unsettled", f"{SILENT}; navigate, reload, go back or close the tab to leave it")
        elif not settled.settled:
            self._events.emit("unsettled", f"the page was still changing after {config.budget_s:g} s")
        return _Times(began_s, sent_s, time.monotonic())

    @property
    def _mute(self) -> bool:
        """True where the current page answers nothing, so that it need not be asked; a dialog is another matter."""
        silent = self.tabs.current.probes.silent_s > min(_SILENT_S, self._settle.budget_s / 2)
        return not self.tabs.halted() and (self.tabs.calls.overdue or silent)

    async def _look(self, times: _Times) -> ScreenObservation:
        tab = self.tabs.current
        describing = self._background.spawn(tab.describe())
        mute = self._mute
        if tab.secrets.any and not mute and not self.tabs.halted():
            await tab.secrets.trace()
            tab.cast.stale = True  # a frame of before the trace may show the field elsewhere
        picture = await self._picture(tab, mute=mute)
        height, width = picture.image.shape[:2]
        size = tab.page.viewport_size
        extent = (float(size["width"]), float(size["height"])) if size else (0.0, 0.0)
        self._frame = Frame(width=width, height=height, extent=extent)
        shown = await self._overlays.show(tab, picture.image, self._frame, mute=mute)
        image = shown.image
        changed = None if self._image is None else changed_fraction(self._image, image, tab.ignored())
        self._image = image
        mask = self._limits.mask_secrets
        await describing
        self._onlooker = self._background.spawn(self._look_on(tab))
        return ScreenObservation(
            image=image,
            frame=self._frame,
            captured_at_s=times.settled_s,
            changed=changed,
            events=self._events.take(),
            timing_ms={
                "dispatch": (times.sent_s - times.began_s) * 1000,
                "settle": (times.settled_s - times.sent_s) * 1000,
                "capture": (time.monotonic() - times.settled_s) * 1000,
            },
            encoded=EncodedImage(picture.data, "image/png") if image is picture.image else None,
            url=mask(tab.url),
            title=mask(tab.title),
            tabs=tuple(mask(each.title) for each in self.tabs.list),
            tab=self.tabs.index,
            cursor=self.adapter.cursor,
            dialog=shown.dialog,
        )

    async def _picture(self, tab: Tab, *, mute: bool) -> Picture:
        """Give what a page shows: the screencast's last frame where that is surely the newest, else a capture."""
        if tab.cast.waiting:
            await tab.take()
        latest = tab.cast.latest
        if mute and tab.cast.outdated:
            latest = None  # what was seen last is of the page before
        if mute or self.tabs.halted():  # no capture is given: what was seen last stays
            return latest or Picture(self._paper(tab), b"", time.monotonic())
        if latest is not None and not tab.cast.stale and not tab.doubtful:
            return latest
        limit_s = _CAPTURE_LIMIT_S if latest is None else _RECAPTURE_LIMIT_S
        task: asyncio.Task[Picture] = self._background.spawn(tab.capture(limit_s))
        task.add_done_callback(lambda _task: self._wake())
        while not task.done():
            self.tabs.check()
            await self.tabs.pause(limit_s)
        return task.result()

    def _paper(self, tab: Tab) -> Image:
        if self._frame is not None:
            return paper(self._frame.width, self._frame.height)
        size = tab.page.viewport_size or {"width": 1280, "height": 720}
        return paper(round(size["width"] * self._scale), round(size["height"] * self._scale))

    # Between actions ------------------------------------------------------------------------------------------------

    async def _look_on(self, tab: Tab) -> None:
        """Learn what moves by itself while nobody acts."""
        tab.cast.idle(True)
        while True:
            await self.tabs.change(60.0)

    def _stop_looking_on(self) -> None:
        if self._onlooker is not None:
            self._onlooker.cancel()
            self._onlooker = None

    # What befalls it ------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        self.tabs.wake()

    def _disconnected(self, _browser: object) -> None:
        self.tabs.fail("the browser died; the environment can be reset")

    def mapped(self, exc: Exception) -> BrowserCrashed:
        """Map Playwright's error to ours."""
        return BrowserCrashed(self.tabs.fault or f"the browser failed: {str(exc).splitlines()[0]}")


async def _try(call: Awaitable[object]) -> None:
    """Await a call whose failure or delay changes nothing."""
    from playwright.async_api import Error

    with contextlib.suppress(Error, TimeoutError):
        async with asyncio.timeout(_CALL_LIMIT_S):
            await call
