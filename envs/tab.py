"""One page of a browser: its frames, what it has due, and whether it is alive."""

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from foveate.actions.errors import CaptureFailed
from foveate.actions.guard import Limits
from foveate.envs.background import Background
from foveate.envs.capture import TILE, Picture, Screencast, tile_shape
from foveate.envs.elements import Elements
from foveate.envs.files import NamedFiles, Uploads
from foveate.envs.masking import SecretFields
from foveate.envs.selects import Selects
from foveate.envs.settle import Due, Motion

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page

_CALL_LIMIT_S = 10.0
_PAINT_LIMIT_S = 0.15
_POPUP_LIMIT_S = 3.0
_MOST_FRAMES = 8
_TIMER_SLACK_S = 0.005


class Tab:
    """One page.

    Args:
        page: Playwright's page.
        session: A DevTools session on it.
        limits: Hold secrets.
        files: What may be uploaded.
        attempt: Awaits an input call, but returns at once where a dialog holds it up.
        secret: Name under which the probe answers in the page.
        scale: Device pixels a CSS pixel.
        background: Where work that nobody awaits is kept.
        wake: Called whenever there may be something new to look at.
        on_navigated: Called with the address of each new document, and whether it failed to load.
        on_chooser: Called with a sentence when a file chooser has opened.
    """

    def __init__(
        self,
        page: "Page",
        session: "CDPSession",
        *,
        limits: Limits,
        files: NamedFiles,
        attempt: Callable[[Awaitable[Any]], Awaitable[None]],
        secret: str,
        scale: float,
        background: Background,
        wake: Callable[[], None],
        on_navigated: Callable[["Tab", str, bool], None],
        on_chooser: Callable[[str], None],
    ) -> None:
        self.page = page
        self.session = session
        self.elements = Elements(page, session)
        self.secrets = SecretFields(limits, self.elements)
        self.selects = Selects(self.elements, limits)
        self.uploads = Uploads(page, files, attempt=attempt, on_chooser=on_chooser)
        self.crashed: str | None = None
        self.closed = False
        self.popups_due: list[float] = []
        self.may_open_list = False
        self.title = ""
        self.url = page.url
        self._scale = scale
        self._wake = wake
        self._on_navigated = on_navigated
        self._background = background
        self._expression = f'getEventListeners(globalThis)["{secret}"]?.[0]?.listener'
        self.cast = Screencast(session, spawn=self._spawn, clock=time.monotonic, wake=wake)
        self.motion: Motion | None = None
        self._main_frame = ""
        self._loading: dict[str, float] = {}
        self._contexts: dict[int, str] = {}
        self._probes: dict[int, str] = {}
        self._began_s = self._sent_s = time.monotonic()
        self._onset_s = 0.0
        self._due = Due()
        self._question: asyncio.Task[Any] | None = None
        self._paint_wanted = False

    async def open(self) -> None:
        """Begin to watch the page; its screencast is started by ``show``."""
        on = self.session.on
        on("Page.frameRequestedNavigation", self._navigation_requested)
        on("Page.frameStartedNavigating", lambda event: self._load_began(event["frameId"]))
        on("Page.frameStartedLoading", lambda event: self._load_began(event["frameId"]))
        on("Page.frameStoppedLoading", lambda event: self._load_ended(event["frameId"]))
        on("Page.frameDetached", lambda event: self._load_ended(event["frameId"]))
        on("Page.navigatedWithinDocument", lambda event: self._load_ended(event["frameId"]))
        on("Page.frameNavigated", lambda event: self._navigated(event["frame"]))
        on("Page.windowOpen", lambda _event: self._popup_requested())
        on("Runtime.executionContextCreated", lambda event: self._context_created(event["context"]))
        on("Runtime.executionContextDestroyed", lambda event: self._context_gone(event["executionContextId"]))
        on("Runtime.executionContextsCleared", lambda _event: self._contexts_cleared())
        self.page.on("crash", lambda _page: self._fault("the page's renderer died"))
        async with asyncio.timeout(_CALL_LIMIT_S):
            async with asyncio.TaskGroup() as group:
                group.create_task(self.session.send("Page.enable"))
                group.create_task(self.session.send("Runtime.enable"))
                tree = group.create_task(self.session.send("Page.getFrameTree"))
        self._main_frame = tree.result()["frameTree"]["frame"]["id"]

    # Frames ---------------------------------------------------------------------------------------------------------

    async def show(self) -> None:
        """Deliver frames: the page is the current one."""
        async with asyncio.timeout(_CALL_LIMIT_S):
            await self.cast.start()

    async def describe(self) -> None:
        """Read its address and title, which the browser's own process knows; keep what is known where it fails."""
        from playwright.async_api import Error

        with contextlib.suppress(Error, TimeoutError):
            async with asyncio.timeout(_CALL_LIMIT_S):
                info = await self.session.send("Target.getTargetInfo")
            self.title, self.url = info["targetInfo"]["title"], info["targetInfo"]["url"]

    async def hide(self) -> None:
        """Deliver no frames."""
        async with asyncio.timeout(_CALL_LIMIT_S):
            await self.cast.stop()

    async def take(self) -> float | None:
        """Take the newest frame and give when it arrived, where it brought a real change."""
        taken = await self.cast.take()
        if taken is None:
            return None
        picture, difference = taken
        if difference is None:
            return None
        motion = self._motion_for(picture)
        box = (difference.left, difference.top, difference.right, difference.bottom)
        return picture.at_s if motion.real(picture.at_s, box, difference.tiles) else None

    async def capture(self, limit_s: float) -> Picture:
        """Capture afresh; where a page is too busy to be captured its last frame is given.

        Raises:
            CaptureFailed: If there is neither.
        """
        try:
            picture, _ = await self.cast.capture(limit_s)
        except TimeoutError as exc:
            if self.cast.latest is None:
                raise CaptureFailed(f"{self.url} gave no picture within {limit_s:g} s") from exc
            return self.cast.latest
        self._motion_for(picture)
        return picture

    def ignored(self) -> NDArray[np.bool_] | None:
        """Give the squares whose changes do not count."""
        return None if self.motion is None else self.motion.ignored()

    def _motion_for(self, picture: Picture) -> Motion:
        shape = tile_shape(picture.image)
        if self.motion is None or self.motion.shape != shape:
            self.motion = Motion(shape, self._scale)
        return self.motion

    # What is due ----------------------------------------------------------------------------------------------------

    def begin(self, onset_s: float, *, goes_on: bool = False) -> None:
        """Say that an action begins now: what begins from here on is its effect.

        Args:
            onset_s: How long a first change may take.
            goes_on: It answers a dialog: what began with the action that led to the dialog is its effect too.
        """
        self._sent_s = time.monotonic()
        if not goes_on:
            self._began_s = self._sent_s
        self._onset_s = onset_s
        self._due = Due()
        self.popups_due.clear()
        if self.motion is not None:
            self.motion.act()
        self.cast.idle(False)

    def begin_with(self, other: "Tab") -> None:
        """Take over from another page whose action led here."""
        self._began_s, self._sent_s, self._onset_s = other._began_s, other._sent_s, other._onset_s
        self._due = Due()
        self.cast.idle(False)

    def sent(self) -> None:
        """Say that the action's input has been sent."""
        self._sent_s = time.monotonic()

    @property
    def began_s(self) -> float:
        """When the action began, monotonic seconds."""
        return self._began_s

    def due(self) -> Due:
        """Give what this page has due, without waiting."""
        now_s = time.monotonic()
        self.popups_due = [at_s for at_s in self.popups_due if now_s - at_s < _POPUP_LIMIT_S]
        loading = any(at_s >= self._began_s for at_s in self._loading.values())
        known = self._due
        return Due(
            pending=known.pending or loading or bool(self.popups_due),
            until_s=known.until_s,
            asked_s=known.asked_s,
            painted_s=known.painted_s,
            asking=self._question is not None,
        )

    def ask(self, *, paint: bool) -> None:
        """Ask the page what it has due, unless it is being asked; one more question follows where paint is wanted."""
        if self._question is None:
            self._question = self._background.spawn(self._ask(paint))
        elif paint:
            self._paint_wanted = True

    async def _ask(self, paint: bool) -> None:
        asked_s, painted_s = time.monotonic(), -math.inf
        answers: list[Any] = []
        try:
            answers, painted_s = await self._answers(paint)
        finally:
            self._question = None
            self._note(answers, asked_s, painted_s)
            if self._paint_wanted and not self.closed and self.crashed is None:
                self._paint_wanted = False
                self.ask(paint=True)
            self._wake()

    async def _answers(self, paint: bool) -> tuple[list[Any], float]:
        main = [number for number, frame in self._contexts.items() if frame == self._main_frame]
        others = [number for number, frame in self._contexts.items() if frame != self._main_frame][:_MOST_FRAMES]
        painted_s = -math.inf
        answers: list[Any] = []
        if paint and main:
            try:
                async with asyncio.timeout(_PAINT_LIMIT_S):
                    answers = [answer for answer in [await self._call(main[-1], paint=True)] if answer is not None]
            except TimeoutError:
                pass  # a page that does not paint, or is busy: the plain question below waits for it
            if answers:
                painted_s, main = time.monotonic(), []
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(self._call(number, paint=False)) for number in (*main, *others)]
        answers += [answer for call in calls if (answer := call.result()) is not None]
        return answers, painted_s

    async def _call(self, context: int, *, paint: bool) -> Any:
        """Call the probe in one document; None where it has none or went away."""
        from playwright.async_api import Error

        try:
            probe = self._probes.get(context)
            if probe is None:
                found = await self.session.send(
                    "Runtime.evaluate",
                    {"expression": self._expression, "includeCommandLineAPI": True, "contextId": context},
                )
                probe = self._probes[context] = found["result"].get("objectId", "")
            if not probe:
                return None
            answer = await self.session.send(
                "Runtime.callFunctionOn",
                {
                    "objectId": probe,
                    "functionDeclaration": "function (paint) { return this(paint); }",
                    "arguments": [{"value": paint}],
                    "awaitPromise": paint,
                    "returnByValue": True,
                },
            )
        except Error:
            return None
        return answer["result"].get("value")

    def _note(self, answers: list[Any], asked_s: float, painted_s: float) -> None:
        now_s = time.monotonic()
        until_s = 0.0
        for answer in answers:
            for age_ms, left_ms in answer["timers"]:
                due_s = now_s + left_ms / 1000
                if now_s - age_ms / 1000 >= self._began_s - _TIMER_SLACK_S and due_s <= self._sent_s + self._onset_s:
                    until_s = max(until_s, due_s, now_s + _TIMER_SLACK_S)
            for age_ms, left_ms in answer["finite"]:
                if now_s - age_ms / 1000 >= self._began_s - 0.02:
                    until_s = max(until_s, now_s + left_ms / 1000)
        if answers and self.motion is not None:
            self.motion.endless(self._tiles(answers[0]["endless"], self.motion.shape))
        self.may_open_list = any(answer["list"] for answer in answers)
        painted_s = max(painted_s, self._due.painted_s)
        self._due = Due(until_s=until_s, asked_s=asked_s, painted_s=painted_s)

    def _tiles(self, rectangles: list[list[float]], shape: tuple[int, int]) -> NDArray[np.bool_]:
        tiles = np.zeros(shape, dtype=np.bool_)
        for x, y, width, height in rectangles:
            left, top = max(0.0, x * self._scale / TILE - 0.5), max(0.0, y * self._scale / TILE - 0.5)
            right, bottom = (x + width) * self._scale / TILE + 0.5, (y + height) * self._scale / TILE + 0.5
            if right > 0 and bottom > 0:
                tiles[int(top) : math.ceil(bottom), int(left) : math.ceil(right)] = True
        return tiles

    # Events ---------------------------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        self._background.spawn(work)

    def _fault(self, reason: str) -> None:
        self.crashed = reason
        self._wake()

    def _navigation_requested(self, event: Any) -> None:
        if event.get("disposition", "currentTab") == "currentTab":
            self._load_began(event["frameId"])

    def _load_began(self, frame: str) -> None:
        self._loading.setdefault(frame, time.monotonic())
        self._wake()

    def _load_ended(self, frame: str) -> None:
        self._loading.pop(frame, None)
        self._wake()

    def _navigated(self, frame: Any) -> None:
        if frame.get("parentId"):
            return
        self._main_frame = frame["id"]
        self.motion = None
        self.cast.stale = True
        self.url = frame.get("unreachableUrl") or frame["url"] + frame.get("urlFragment", "")
        self._on_navigated(self, self.url, "unreachableUrl" in frame)
        self._wake()

    def _popup_requested(self) -> None:
        self.popups_due.append(time.monotonic())
        self._wake()

    def _context_created(self, context: Any) -> None:
        data = context.get("auxData", {})
        if data.get("isDefault"):
            self._contexts[context["id"]] = data["frameId"]

    def _context_gone(self, number: int) -> None:
        self._contexts.pop(number, None)
        self._probes.pop(number, None)

    def _contexts_cleared(self) -> None:
        self._contexts.clear()
        self._probes.clear()
