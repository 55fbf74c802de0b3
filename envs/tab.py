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
from foveate.envs.probing import Answers, Probes
from foveate.envs.selects import Selects
from foveate.envs.settle import Due, Motion

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page

_CALL_LIMIT_S = 10.0
_POPUP_LIMIT_S = 3.0
_TIMER_SLACK_S = 0.005
_FRAME_S = 0.017
_CLOCK_SLACK_S = 0.001
_SILENT_S = 0.5


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
        on_navigated: Called for each new document; ``url`` and ``failed`` are its.
        on_chooser: Called with a sentence when a file chooser has opened.
    """

    def __init__(
        self,
        page: "Page",
        session: "CDPSession",
        *,
        limits: Limits,
        files: NamedFiles,
        attempt: Callable[..., Awaitable[None]],
        secret: str,
        scale: float,
        background: Background,
        wake: Callable[[], None],
        on_navigated: Callable[["Tab"], None],
        on_chooser: Callable[[str], None],
    ) -> None:
        self.page = page
        self.session = session
        self.elements = Elements(page, session)
        self.secrets = SecretFields(limits, self.elements)
        self.selects = Selects(self.elements, limits)
        self.uploads = Uploads(page, files, attempt=attempt, on_chooser=on_chooser)
        self.crashed: str | None = None
        self.documents = 0
        self.behind: frozenset[int] = frozenset()
        self.failed = False
        self.frames: set[str] = set()
        self.popups_due: list[float] = []
        self.may_open_list = False
        self.title = ""
        self.url = page.url
        self._scale = scale
        self._wake = wake
        self._on_navigated = on_navigated
        self._background = background
        self.probes = Probes(session, secret=secret, background=background, on_answers=self._note)
        self.cast = Screencast(session, spawn=self._spawn, clock=time.monotonic, wake=wake)
        self.motion: Motion | None = None
        self._moving: NDArray[np.bool_] | None = None
        self._loading: dict[str, float] = {}
        self._began_s = self._sent_s = time.monotonic()
        self._onset_s = 0.0
        self._due = Due()
        self._drawn_s = -math.inf

    async def open(self) -> None:
        """Begin to watch the page; its screencast is started by ``show``."""
        on = self.session.on
        on("Page.frameRequestedNavigation", self._navigation_requested)
        on("Page.frameStartedNavigating", lambda event: self._load_began(event["frameId"]))
        on("Page.frameStartedLoading", lambda event: self._load_began(event["frameId"]))
        on("Page.frameStoppedLoading", lambda event: self._load_ended(event["frameId"]))
        on("Page.frameAttached", lambda event: self.frames.add(event["frameId"]))
        on("Page.frameDetached", lambda event: self._load_ended(event["frameId"]))
        on("Page.navigatedWithinDocument", lambda event: self._load_ended(event["frameId"]))
        on("Page.frameNavigated", lambda event: self._navigated(event["frame"]))
        on("Page.windowOpen", lambda _event: self._popup_requested())
        self.probes.watch(self.session)
        self.page.on("framenavigated", lambda frame: self._background.spawn(self.probes.follow(frame)))
        self.page.on("crash", lambda _page: self._fault("the page's renderer died"))
        async with asyncio.timeout(_CALL_LIMIT_S):
            info = await self.session.send("Target.getTargetInfo")  # which a page that is busy does not hold up
            self.probes.main_frame = info["targetInfo"]["targetId"]
            async with asyncio.TaskGroup() as group:
                group.create_task(self.session.send("Page.enable"))
                group.create_task(self.session.send("Runtime.enable"))
                tree = group.create_task(self.session.send("Page.getFrameTree"))
        found = tree.result()["frameTree"]
        self.probes.main_frame = found["frame"]["id"]
        self.frames |= _frames(found)
        self.url, self.failed = _address(found["frame"]) or self.url, "unreachableUrl" in found["frame"]

    # Frames ---------------------------------------------------------------------------------------------------------

    async def begin_history(self) -> None:
        """Let nothing that lies before the page that is shown be gone back to."""
        history = await self.session.send("Page.getNavigationHistory")
        self.behind = frozenset(entry["id"] for entry in history["entries"][: history["currentIndex"]])

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
        """Give the squares that moved by themselves before the action: what they do is not its effect."""
        return self._moving

    @property
    def doubtful(self) -> bool:
        """True where no frame has come since the last paint though one should have, or frames come late just now."""
        moves = self.motion is not None and bool(self.motion.ignored().any())
        return self._shown_s() == math.inf and (moves or self.cast.late_s() > 0)

    def _shown_s(self) -> float:
        return self.cast.caught(self._drawn_s - _CLOCK_SLACK_S, self._due.painted_s)

    def _motion_for(self, picture: Picture) -> Motion:
        shape = tile_shape(picture.image)
        if self.motion is None or self.motion.shape != shape:
            self.motion = Motion(shape, self._scale)
        return self.motion

    @property
    def silent(self) -> bool:
        """True where the page does not answer: a script of its own runs without end, or a dialog holds it."""
        return self.probes.silent_s > _SILENT_S

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
            self.motion.act(self._sent_s)
            self._moving = self.motion.ignored().copy()
        self.cast.idle(False)

    def begin_with(self, other: "Tab") -> None:
        """Take over from another page whose action led here."""
        self._began_s, self._sent_s, self._onset_s = other._began_s, other._sent_s, other._onset_s
        self._due = Due()
        self._moving = None
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
            shown_s=self._shown_s(),
            late_s=self.cast.late_s(),
            asking=self.probes.asking,
        )

    def ask(self, *, paint: bool) -> None:
        """Ask the page what it has due, unless it is being asked."""
        self.probes.ask(paint=paint)

    def _note(self, answers: Answers) -> None:
        now_s = time.monotonic()
        until_s = 0.0
        onset_end_s = self._sent_s + self._onset_s
        for answer in answers.found:
            for age_ms, left_ms in answer["timers"]:
                due_s = now_s + left_ms / 1000
                if now_s - age_ms / 1000 >= self._began_s - _TIMER_SLACK_S and due_s <= onset_end_s:
                    until_s = max(until_s, due_s, now_s + _TIMER_SLACK_S)
            for age_ms, left_ms in answer["finite"]:
                if now_s - age_ms / 1000 >= self._began_s - 0.02:
                    until_s = max(until_s, now_s + left_ms / 1000)
            asked_ms = answer["frames"]  # for how long the document has been asking for one frame after the other
            if asked_ms is not None and now_s - asked_ms / 1000 >= self._began_s - _TIMER_SLACK_S:
                until_s = max(until_s, min(now_s + _FRAME_S, onset_end_s))
        if answers.found and self.motion is not None:
            self.motion.endless(self._tiles(answers.found[0]["endless"], self.motion.shape))
        self.may_open_list = any(answer["list"] for answer in answers.found)
        if answers.painted_s > self._due.painted_s:
            self._drawn_s = answers.drawn_s
        painted_s = max(answers.painted_s, self._due.painted_s)
        self._due = Due(until_s=until_s, asked_s=answers.asked_s, painted_s=painted_s)
        self._wake()

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
        self.documents += 1
        self.probes.main_frame = frame["id"]
        self.motion = self._moving = None
        self.cast.replaced()
        self.frames = {frame["id"]}
        self.url, self.failed = _address(frame), "unreachableUrl" in frame
        self._on_navigated(self)
        self._wake()

    def _popup_requested(self) -> None:
        self.popups_due.append(time.monotonic())
        self._wake()


def _address(frame: Any) -> str:
    """Give the address of a document; of one that did not load, the one that was asked for."""
    return str(frame.get("unreachableUrl") or frame["url"] + frame.get("urlFragment", ""))


def _frames(tree: Any) -> set[str]:
    """Give the frames of a tree, by id."""
    found = {tree["frame"]["id"]}
    for child in tree.get("childFrames", ()):
        found |= _frames(child)
    return found
