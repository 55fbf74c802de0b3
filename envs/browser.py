"""A real Chromium as an environment: pixels by DevTools, input by coordinates, settled by frames."""

import asyncio
import contextlib
import re
import secrets
import time
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from foveate.actions.browser import BrowserAdapter
from foveate.actions.errors import BrowserCrashed, NavigationFailed, ResetNeeded, UnsupportedAction, UsageError
from foveate.actions.geometry import Frame
from foveate.actions.guard import Limits, Target
from foveate.actions.schema import (
    BROWSER_KINDS,
    KEYBOARD_KINDS,
    LOOP_KINDS,
    POINTER_KINDS,
    Action,
    Wait,
)
from foveate.envs.address import check_start, start_address
from foveate.envs.background import Background
from foveate.envs.base import (
    EncodedImage,
    Env,
    Event,
    EventKind,
    Image,
    Observation,
    Resource,
    ScreenObservation,
    Step,
    Viewport,
)
from foveate.envs.browsing import Browsing
from foveate.envs.capture import changed_fraction
from foveate.envs.chromium import Chromium, LaunchOptions
from foveate.envs.inspection import inspect
from foveate.envs.network import Network, network_flags
from foveate.envs.settle import SettleConfig, settle
from foveate.envs.tabs import Tabs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping
    from typing import Any

    from playwright.async_api import BrowserContext, Page

DEFAULT_VIEWPORT = Viewport(1280, 720)
"""What a page is shown in where neither the user nor the policy says anything."""

_LOAD_LIMIT_S = 30.0
_LOAD_BUDGET_S = 10.0
_CAPTURE_LIMIT_S = 10.0
_RECAPTURE_LIMIT_S = 2.0
_CALL_LIMIT_S = 5.0
_INSTRUCTION = "() => window.foveateTask ? String(window.foveateTask.instruction ?? '') : null"
_DONE = "async () => window.foveateTask ? Boolean(await window.foveateTask.done()) : null"


class BrowserEnv(Resource, Env):
    """Pages in a real Chromium.

    Args:
        url: Where an episode begins: an address, or a file's path, which may carry a query (``page.html?seed=3``).
            None is an empty page.
        viewport: Size of a page in CSS pixels (and its device scale, if not 1); None is what the policy prefers, else
            1280x720.
        device_scale_factor: Device pixels a CSS pixel.
        headless: Without a window.
        limits: What may be reached; without a list, the start address's host or folder.
        browser: Path of the Chromium to use; None looks for one.
        downloads: Folder for downloads; None is a temporary one.
        settle: How long to wait for what.
        verify: ``page`` asks the page's own ``window.foveateTask.done()`` at the end.
    """

    action_kinds = POINTER_KINDS | KEYBOARD_KINDS | BROWSER_KINDS | LOOP_KINDS | {"wait"}

    def __init__(
        self,
        url: str | None = None,
        *,
        viewport: Viewport | tuple[int, int] | None = None,
        device_scale_factor: float = 1.0,
        headless: bool = True,
        limits: Limits | None = None,
        browser: str | None = None,
        downloads: Path | None = None,
        settle: SettleConfig = SettleConfig(),  # noqa: B008 - frozen
        verify: str | None = None,
    ) -> None:
        if verify not in (None, "page"):
            raise UsageError(f"verify is 'page' or nothing, not {verify!r}")
        self.instruction: str | None = None
        self.downloads = downloads
        self._given = url
        self._url = None if url is None else start_address(url)
        self.limits = (limits if limits is not None else Limits()).for_start(self._url)
        self._viewport = viewport if viewport is None or isinstance(viewport, Viewport) else Viewport(*viewport)
        self._scale = device_scale_factor
        self._headless = headless
        self._browser_path = browser
        self._settle = settle
        self._verify = verify
        self._asks_page = False
        self._chromium: Chromium | None = None
        self._context: BrowserContext | None = None
        self._tabs: Tabs | None = None
        self._background = Background()
        self._adapter = BrowserAdapter(Browsing(self._now, self.limits, settle.budget_s))
        self._network = Network(
            self.limits, on_blocked=self._note_blocked, on_change=self._network_changed, clock=time.monotonic
        )
        self._events: list[Event] = []
        self._blocked_now: dict[str, int] = {}
        self._frame: Frame | None = None
        self._image: Image | None = None
        self._pump: asyncio.Task[Any] | None = None

    # Lifetime -------------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        if self._given is not None and self._url is not None:
            await asyncio.to_thread(check_start, self._given, self._url)
            refusal = self.limits.refusal(self._url)
            if refusal is not None:
                raise NavigationFailed(f"{self._given}: {refusal}")
        await self._launch(self._chosen(None))

    async def _close(self) -> None:
        self._frame = None
        try:
            await self._end_context()
        finally:
            if self._chromium is not None:
                chromium, self._chromium = self._chromium, None
                await chromium.close()

    async def _launch(self, viewport: Viewport) -> None:
        """Start a browser for a device scale, unless one of that scale runs already."""
        running = self._chromium
        if running is not None and running.connected and running.options.scale == viewport.scale:
            return
        if running is not None:
            self._chromium = None
            await running.close()
        self._chromium = await Chromium.launch(
            LaunchOptions(
                path=self._browser_path,
                headless=self._headless,
                scale=viewport.scale,
                flags=network_flags(self.limits),
            )
        )
        self._chromium.browser.on("disconnected", lambda _browser: self._disconnected())

    def _disconnected(self) -> None:
        if self._tabs is not None:
            self._tabs.fail("the browser died; the environment can be reset")

    async def _end_context(self) -> None:
        """End the episode's pages; whatever is down is released, for a browser may live on."""
        from playwright.async_api import Error

        tabs, self._tabs = self._tabs, None
        context, self._context = self._context, None
        self._pump = None
        if tabs is not None:
            tabs.fail("the environment was closed or reset")
        try:
            await self._background.close()
        finally:
            self._adapter.forget()
            self._network.forget()
            if context is not None:
                with contextlib.suppress(Error, TimeoutError):
                    async with asyncio.timeout(_CALL_LIMIT_S):
                        await context.close()

    def _chosen(self, preferred: Viewport | None) -> Viewport:
        size = self._viewport or preferred or DEFAULT_VIEWPORT
        scale = self._scale if self._scale != 1.0 else size.scale
        return Viewport(size.width, size.height, scale)

    # Episodes -------------------------------------------------------------------------------------------------------

    @property
    def page(self) -> "Page":
        """Playwright's current page, for verifiers and tests.

        Raises:
            ResetNeeded: Before the first reset.
        """
        return self._now().current.page

    def _now(self) -> Tabs:
        if self._tabs is None:
            self.require_open()
            raise ResetNeeded("BrowserEnv has no page yet: reset it first")
        return self._tabs

    def blocked(self) -> "Mapping[str, int]":
        """Give how many requests were not sent since it was opened, by host."""
        return self._network.blocked()

    async def inspect(self, action: Action) -> Target | None:
        """Tell what lies under the action's point or has the focus, by one hit test; None where unknown."""
        if self._frame is None or self._tabs is None:
            return None
        return await inspect(self._tabs.current.elements, action, self._frame, self._adapter.cursor)

    async def reset(
        self,
        *,
        seed: int | None = None,
        task: str | None = None,
        episode: str | None = None,
        viewport: Viewport | None = None,
    ) -> Observation:
        """Begin an episode in a fresh profile at the start address.

        Args:
            seed: Unused: a page takes its seed in its address.
            task: Unused.
            episode: Unused.
            viewport: What the policy prefers; ignored where the user chose a size.

        Raises:
            NavigationFailed: If the start address does not load, or lies outside the allowed hosts.
            BrowserCrashed: If the browser does not start or dies.
            CaptureFailed: If the page gives no picture.
        """
        from playwright.async_api import Error

        self.require_open()
        self._frame = None
        chosen = self._chosen(viewport)
        try:
            await self._end_context()
            await self._launch(chosen)
            return await self._begin(chosen)
        except Error as exc:
            raise self._mapped(exc) from exc

    async def _begin(self, viewport: Viewport) -> ScreenObservation:
        assert self._chromium is not None  # noqa: S101 - launched just now
        began_s = time.monotonic()
        self._events.clear()
        self._blocked_now.clear()
        secret = f"foveate-{secrets.token_hex(16)}"
        context = self._context = await self._chromium.browser.new_context(
            viewport={"width": viewport.width, "height": viewport.height},
            device_scale_factor=viewport.scale,
            accept_downloads=True,
        )
        await self._network.attach(context)
        await context.add_init_script(_probe_script().replace("__SECRET__", secret))
        tabs = self._tabs = Tabs(
            context,
            secret=secret,
            scale=viewport.scale,
            background=self._background,
            emit=self._emit,
            requests_since=self._network.pending_since,
        )
        await tabs.open_first()
        tabs.begin(self._settle.onset_s)
        await self._load(tabs)
        tabs.sent()
        sent_s = time.monotonic()
        config = SettleConfig(
            onset_s=self._settle.onset_s,
            quiet_s=self._settle.quiet_s,
            budget_s=max(_LOAD_BUDGET_S, self._settle.budget_s),
        )
        settled = await settle(tabs, config, sent_s)
        if not settled.settled:
            self._emit("unsettled", f"the page was still changing after {config.budget_s:g} s")
        tabs.current.cast.stale = True
        self.instruction = await self._read_instruction()
        self._image = None
        return await self._observe((began_s, sent_s, time.monotonic()))

    async def _load(self, tabs: Tabs) -> None:
        """Open the start address.

        Raises:
            NavigationFailed: If it does not load.
        """
        from playwright.async_api import Error

        if self._url is None:
            return
        task = self._background.spawn(
            tabs.current.page.goto(self._url, wait_until="commit", timeout=_LOAD_LIMIT_S * 1000)
        )
        try:
            async with asyncio.timeout(_LOAD_LIMIT_S + 1):
                while not task.done() and not tabs.halted():
                    tabs.check()
                    await tabs.change(0.25)
            if task.done():
                task.result()
        except (Error, TimeoutError) as exc:
            tabs.check()
            raise NavigationFailed(self._load_failure(exc)) from exc
        with contextlib.suppress(Error, TimeoutError):
            async with asyncio.timeout(_CALL_LIMIT_S):
                await tabs.current.session.send("Page.resetNavigationHistory")  # nothing lies before the start
        self._events = [event for event in self._events if event.kind != "navigation"]

    def _load_failure(self, exc: Exception) -> str:
        blocked = next(iter(self._blocked_now), None)
        if blocked is not None:
            return f"{self._given} did not load: it leads to {blocked}, outside the allowed hosts: --allow {blocked}"
        found = re.search(r"net::(ERR_[A-Z0-9_]+)", str(exc))
        if found is not None:
            return f"{self._given} did not load: {found[1].removeprefix('ERR_').replace('_', ' ').lower()} ({found[1]})"
        if "Timeout" in str(exc) or isinstance(exc, TimeoutError):
            return f"{self._given} did not load: no answer within {_LOAD_LIMIT_S:g} s"
        return f"{self._given} did not load: {str(exc).splitlines()[0]}"

    async def step(self, action: Action) -> Step:
        """Do one action, wait until the page has settled, look. Unguarded: the loop asks the guard first.

        Args:
            action: Its points are of the Frame of the last observation.

        Raises:
            ResetNeeded: Before the first reset, and after a crash.
            BrowserCrashed: If the page's renderer or the browser dies.
            CaptureFailed: If the page gives no picture.
        """
        from playwright.async_api import Error

        self.require_open()
        if self._frame is None or self._tabs is None:
            raise ResetNeeded("BrowserEnv needs a reset before it is stepped")
        try:
            return await self._step(action, self._frame, self._tabs)
        except asyncio.CancelledError:
            await self._adapter.release_all()
            raise
        except Error as exc:
            self._frame = None
            raise self._mapped(exc) from exc
        except BrowserCrashed:
            self._frame = None
            raise

    async def _step(self, action: Action, frame: Frame, tabs: Tabs) -> Step:
        began_s = time.monotonic()
        self._stop_pump()
        tabs.check()
        config = self._settle
        tabs.begin(config.onset_s)
        applied: Action | None = None
        error: str | None = None
        try:
            applied = await self._adapter.apply(action, frame)
        except UnsupportedAction as exc:
            error = f"{type(exc).__name__}: {exc}"
        tabs.sent()
        sent_s = time.monotonic()
        if error is not None or isinstance(action, Wait):
            config = SettleConfig(onset_s=0.0, quiet_s=config.quiet_s, budget_s=config.budget_s)
        settled = await settle(tabs, config, sent_s)
        if not settled.settled:
            self._emit("unsettled", f"the page was still changing after {config.budget_s:g} s")
        observation = await self._observe((began_s, sent_s, time.monotonic()))
        return Step(observation, applied=applied, error=error)

    async def _observe(self, times_s: tuple[float, float, float]) -> ScreenObservation:
        tabs = self._now()
        tab = tabs.current
        if tab.cast.waiting:
            await tab.take()
        if tab.cast.latest is None or tab.cast.stale:
            limit_s = _CAPTURE_LIMIT_S if tab.cast.latest is None else _RECAPTURE_LIMIT_S
            describing = self._background.spawn(self._describe())
            picture = await self._guarded(tab.capture(limit_s))
            await describing
        else:
            await self._describe()
            picture = tab.cast.latest
        image = picture.image
        height, width = image.shape[:2]
        size = tab.page.viewport_size
        extent = (float(size["width"]), float(size["height"])) if size else (0.0, 0.0)
        self._frame = frame = Frame(width=width, height=height, extent=extent)
        changed = None if self._image is None else changed_fraction(self._image, image, tab.ignored())
        self._image = image
        began_s, sent_s, settled_s = times_s
        now_s = time.monotonic()
        observation = ScreenObservation(
            image=image,
            frame=frame,
            captured_at_s=settled_s,
            changed=changed,
            events=self._taken_events(),
            timing_ms={
                "dispatch": (sent_s - began_s) * 1000,
                "settle": (settled_s - sent_s) * 1000,
                "capture": (now_s - settled_s) * 1000,
            },
            encoded=EncodedImage(picture.data, "image/png"),
            url=self.limits.mask_secrets(tab.url),
            title=self.limits.mask_secrets(tab.title),
            tabs=tuple(self.limits.mask_secrets(each.title) for each in tabs.list),
            tab=tabs.index,
            cursor=self._adapter.cursor,
        )
        self._start_pump()
        return observation

    async def _guarded(self, work: "Awaitable[Any]") -> "Any":
        """Await something of the current page, but no longer than the page lives."""
        tabs = self._now()
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                tabs.check()
                await asyncio.wait({task}, timeout=0.1)
            return task.result()
        finally:
            task.cancel()

    async def _describe(self) -> None:
        """Read the current page's address and title, which the browser's own process knows."""
        from playwright.async_api import Error

        tab = self._now().current
        with contextlib.suppress(Error, TimeoutError):
            async with asyncio.timeout(_CALL_LIMIT_S):
                info = await tab.session.send("Target.getTargetInfo")
            tab.title, tab.url = info["targetInfo"]["title"], info["targetInfo"]["url"]

    # Between actions ------------------------------------------------------------------------------------------------

    def _start_pump(self) -> None:
        tab = self._now().current
        tab.cast.idle(True)
        self._pump = self._background.spawn(self._look_on())

    def _stop_pump(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
            self._pump = None

    async def _look_on(self) -> None:
        """Learn what moves by itself while nobody acts."""
        tabs = self._now()
        while True:
            await tabs.change(60.0)

    # Events ---------------------------------------------------------------------------------------------------------

    def _emit(self, kind: EventKind, text: str) -> None:
        self._events.append(Event(kind, self.limits.mask_secrets(text)))

    def _note_blocked(self, host: str) -> None:
        self._blocked_now[host] = self._blocked_now.get(host, 0) + 1

    def _network_changed(self) -> None:
        if self._tabs is not None:
            self._tabs.wake()

    def _taken_events(self) -> tuple[Event, ...]:
        for host, count in self._blocked_now.items():
            plural = "" if count == 1 else "s"
            self._emit("blocked", f"{count} request{plural} to {host}: not sent (--allow {host})")
        self._blocked_now.clear()
        events, self._events = tuple(self._events), []
        return events

    def _mapped(self, exc: Exception) -> Exception:
        """Map Playwright's error to ours."""
        if self._tabs is not None and self._tabs.fault is not None:
            return BrowserCrashed(self._tabs.fault)
        return BrowserCrashed(f"the browser failed: {str(exc).splitlines()[0]}")

    # The page's own word --------------------------------------------------------------------------------------------

    async def _read_instruction(self) -> str | None:
        found = await self._evaluate(_INSTRUCTION)
        self._asks_page = self._verify == "page" and found is not None
        return found or None

    async def verify(self) -> bool | None:
        """Ask the page that the episode began with whether its task is done; None where it knows of none."""
        if self._tabs is None or not self._asks_page:
            return None
        return bool(await self._evaluate(_DONE))

    async def _evaluate(self, script: str) -> "Any":
        """Evaluate something in the first page that answers; None where none does."""
        from playwright.async_api import Error

        for tab in self._now().list:
            with contextlib.suppress(Error, TimeoutError):
                async with asyncio.timeout(_CALL_LIMIT_S):
                    answer = await tab.page.evaluate(script)
                if answer is not None:
                    return answer
        return None


def _probe_script() -> str:
    return files("foveate.envs").joinpath("probe.js").read_text(encoding="utf-8")
