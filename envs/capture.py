"""Pixels of a page at constant cost: the screencast's frames, decoded and compared, and single captures.

A screencast frame is lossless (PNG) and can be the observation itself. Chromium drops what it draws while too many
frames are unacknowledged, and encodes several at a time, so that an older one may arrive after a newer one. Each says
for which moment it was drawn: what is older than what came before is left out. The last frame is stale only where
frames may have been dropped after it; then, and where no frame came, one capture is taken.
"""

import asyncio
import base64
import io
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from foveate.envs.base import Image

TILE = 16
"""Side of the squares, in pixels, in which changes are told apart."""

_IN_FLIGHT = 8
"""Frames that Chromium is asked to send without an acknowledgement before it drops any."""

_SURE_IN_FLIGHT = 3
"""Frames that every Chromium sends without one: those of 2025 and before know no other number."""

_IDLE_FRAME_S = 0.12
_REMEMBERED = 16
_LATELY = 8
_USUAL_S = 0.016
_MOST_LATE_S = 0.25
_CLOCK_SLACK_S = 0.05
_NOT_NOW = "Unable to capture screenshot"
_NOT_NOW_S = 0.03


class Session(Protocol):
    """A DevTools session, as Playwright's CDPSession is one."""

    async def send(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Send a command and give its answer."""

    def on(self, event: str, f: Callable[[Any], None]) -> None:
        """Call back on an event."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One decoded frame.

    Attributes:
        image: uint8 RGB, shape (height, width, 3); read-only.
        data: The PNG as Chromium sent it.
        at_s: When it arrived, monotonic seconds.
        drawn_s: The moment that it was drawn for, monotonic seconds.
    """

    image: Image = field(repr=False)
    data: bytes = field(repr=False)
    at_s: float
    drawn_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two images of one size differ.

    Attributes:
        left: First column that differs; right and bottom are half-open.
        top: First row that differs.
        right: One past the last column that differs.
        bottom: One past the last row that differs.
        tiles: bool, shape (rows, columns) of squares of ``TILE`` pixels; True where a pixel differs.
    """

    left: int
    top: int
    right: int
    bottom: int
    tiles: NDArray[np.bool_] = field(repr=False)

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.bottom - self.top


def decode(data: bytes) -> Image:
    """Decode a PNG to read-only RGB."""
    with PillowImage.open(io.BytesIO(data)) as picture:
        image = np.asarray(picture.convert("RGB"), dtype=np.uint8)
    image.flags.writeable = False
    return image


async def screenshot(session: Session, limit_s: float) -> str:
    """Ask Chromium for a picture, again where it has nothing to copy just now: between two documents, or under load.

    Args:
        session: The page's.
        limit_s: How long to ask, in seconds.

    Returns:
        A PNG, in base64.

    Raises:
        TimeoutError: If Chromium gives no picture within the limit.
    """
    from playwright.async_api import Error

    async with asyncio.timeout(limit_s):
        while True:
            try:
                answer = await session.send("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True})
            except Error as exc:
                if _NOT_NOW not in exc.message:
                    raise
                await asyncio.sleep(_NOT_NOW_S)
            else:
                return str(answer["data"])


def tile_shape(image: Image) -> tuple[int, int]:
    """Give rows and columns of the squares that cover an image."""
    return -(-image.shape[0] // TILE), -(-image.shape[1] // TILE)


def compare(before: Image, after: Image) -> Difference | None:
    """Find where two images differ; None where they do not. Images of different sizes differ everywhere."""
    rows, columns = tile_shape(after)
    if before.shape != after.shape:
        return Difference(0, 0, after.shape[1], after.shape[0], np.ones((rows, columns), dtype=np.bool_))
    differs = np.not_equal(before, after).reshape(after.shape[0], -1)
    changed_rows = np.flatnonzero(differs.any(axis=1))
    if changed_rows.size == 0:
        return None
    top, bottom = int(changed_rows[0]), int(changed_rows[-1]) + 1
    changed_columns = np.flatnonzero(differs[top:bottom].any(axis=0))
    left, right = int(changed_columns[0]) // 3, int(changed_columns[-1]) // 3 + 1
    tiles = np.zeros((rows, columns), dtype=np.bool_)
    first_row, first_column = top // TILE, left // TILE
    last_row, last_column = -(-bottom // TILE), -(-right // TILE)
    region = differs[first_row * TILE : last_row * TILE, first_column * TILE * 3 : last_column * TILE * 3]
    row_starts = np.arange(0, region.shape[0], TILE)
    column_starts = np.arange(0, region.shape[1], TILE * 3)
    by_row = np.logical_or.reduceat(region, row_starts, axis=0)
    tiles[first_row:last_row, first_column:last_column] = np.logical_or.reduceat(by_row, column_starts, axis=1)
    return Difference(left, top, right, bottom, tiles)


def changed_fraction(before: Image, after: Image, ignored: NDArray[np.bool_] | None = None) -> float:
    """Give the fraction of pixels, 0 to 1, that differ, squares that are ``ignored`` left out; 1 for other sizes."""
    difference = compare(before, after)
    if difference is None:
        return 0.0
    if before.shape != after.shape:
        return 1.0
    box = (slice(difference.top, difference.bottom), slice(difference.left, difference.right))
    differs = np.not_equal(before[box], after[box])
    pixels = differs[..., 0] | differs[..., 1] | differs[..., 2]
    if ignored is not None and ignored.any():
        wide = ignored.repeat(TILE, axis=0).repeat(TILE, axis=1)[: after.shape[0], : after.shape[1]]
        pixels = pixels & ~wide[box]
    return float(np.count_nonzero(pixels) / (after.shape[0] * after.shape[1]))


@dataclass(frozen=True, slots=True)
class _Frame:
    """One frame as it arrived: when, what it was drawn for (both monotonic seconds), and the PNG in base64."""

    at_s: float
    drawn_s: float
    encoded: str = field(repr=False)


class Screencast:
    """The frames of one page as they change.

    While watched, every frame is acknowledged at once; between actions (``idle``) one after the other and late, which
    slows the frames of a page that moves all the time.

    Args:
        session: The page's.
        spawn: Starts a coroutine that nobody awaits, and keeps hold of it.
        clock: Monotonic seconds.
        wake: Called when a frame has arrived.
    """

    def __init__(
        self,
        session: Session,
        *,
        spawn: Callable[[Coroutine[Any, Any, Any]], None],
        clock: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        self.latest: Picture | None = None
        self.stale = True
        self._session = session
        self._spawn = spawn
        self._clock = clock
        self._wake = wake
        self._idle = False
        self._arrived: _Frame | None = None
        self._recent: deque[_Frame] = deque(maxlen=_REMEMBERED)
        self._outdated_s = -np.inf
        self._unacknowledged = 0
        self._owed: deque[int] = deque()
        self._paying = False
        session.on("Page.screencastFrame", self._frame)

    async def start(self) -> None:
        """Begin; the first frame is of what the page shows now."""
        self.stale = True
        self._unacknowledged = 0
        self._owed.clear()
        await self._session.send("Page.startScreencast", {"format": "png", "maxFramesInFlight": _IN_FLIGHT})

    async def stop(self) -> None:
        """End it; the page costs nothing any more."""
        await self._session.send("Page.stopScreencast")

    def idle(self, idle: bool) -> None:
        """Say whether nobody is watching, so that frames may come slowly."""
        self._idle = idle
        if not idle:
            while self._owed:
                self._spawn(self._acknowledge(self._owed.popleft()))

    def replaced(self) -> None:
        """Say that another document is shown from now on: no frame that was drawn before is of it."""
        self._outdated_s = self._clock()
        self.stale = True

    @property
    def outdated(self) -> bool:
        """True where the last picture is not of the document that is shown now."""
        return self.latest is None or self.latest.drawn_s <= self._outdated_s

    @property
    def waiting(self) -> bool:
        """True where a frame has arrived that was not taken."""
        return self._arrived is not None

    def caught(self, drawn_s: float, since_s: float) -> float:
        """Give when the first frame arrived, at or after a moment, that was drawn for another one or later.

        Args:
            drawn_s: What it must have been drawn for, monotonic seconds.
            since_s: When it must have arrived, monotonic seconds.

        Returns:
            Monotonic seconds; ``inf`` where none has.
        """
        return min(
            (each.at_s for each in self._recent if each.at_s >= since_s and each.drawn_s >= drawn_s), default=np.inf
        )

    def late_s(self) -> float:
        """Give how much longer than on a machine at leisure frames take to arrive just now, in seconds."""
        taken = [each.at_s - each.drawn_s for each in list(self._recent)[-_LATELY:]]
        return min(_MOST_LATE_S, max(0.0, 2 * float(np.mean(taken)) - _USUAL_S)) if taken else 0.0

    async def take(self) -> tuple[Picture, Difference | None] | None:
        """Decode the newest frame and compare it with the one taken before; None where none has arrived.

        Of the first frame, and of one of another size, everything differs.
        """
        frame, self._arrived = self._arrived, None
        if frame is None:
            return None
        try:
            picture, difference = await asyncio.to_thread(_read, frame.encoded, frame.at_s, frame.drawn_s, self.latest)
        except asyncio.CancelledError:
            self._arrived = self._arrived or frame  # whoever looks next takes it
            raise
        self.latest = picture
        return picture, difference

    async def capture(self, limit_s: float) -> tuple[Picture, Difference | None]:
        """Capture what the page shows now, afresh.

        Raises:
            TimeoutError: If Chromium gives no picture within the limit.
        """
        before, asked_s = self.latest, self._clock()
        self._arrived = None
        encoded = await screenshot(self._session, limit_s)
        picture, difference = await asyncio.to_thread(_read, encoded, self._clock(), asked_s, before)
        self.latest = picture
        self.stale = False
        return picture, difference

    def _frame(self, event: Any) -> None:
        now_s = self._clock()
        frame = _Frame(now_s, self._drawn_s(event.get("metadata", {}), now_s), event["data"])
        self._unacknowledged += 1
        if self._idle:
            self._owed.append(event["sessionId"])
            if not self._paying:
                self._paying = True
                self._spawn(self._acknowledge_late())
        else:
            self._spawn(self._acknowledge(event["sessionId"]))
        if not self._recent or frame.drawn_s >= max(each.drawn_s for each in self._recent):
            self._arrived = frame
            if frame.drawn_s > self._outdated_s:
                self.stale = self._unacknowledged >= _SURE_IN_FLIGHT
        self._recent.append(replace(frame, encoded=""))
        self._wake()

    def _drawn_s(self, metadata: Any, now_s: float) -> float:
        """Give what a frame was drawn for, on our clock; its arrival where Chromium does not say, or says nonsense."""
        drawn_s = metadata.get("monotonicTimestamp")
        if drawn_s is None and "timestamp" in metadata:
            drawn_s = metadata["timestamp"] - time.time() + now_s
        if drawn_s is None or not now_s - 60.0 < drawn_s < now_s + _CLOCK_SLACK_S:
            return now_s
        return float(drawn_s)

    async def _acknowledge(self, number: int) -> None:
        try:
            await self._session.send("Page.screencastFrameAck", {"sessionId": number})
        finally:
            self._unacknowledged = max(0, self._unacknowledged - 1)

    async def _acknowledge_late(self) -> None:
        while self._owed:
            await asyncio.sleep(_IDLE_FRAME_S)
            if self._owed:
                await self._acknowledge(self._owed.popleft())
        self._paying = False


def _read(encoded: str, at_s: float, drawn_s: float, before: Picture | None) -> tuple[Picture, Difference | None]:
    data = base64.b64decode(encoded)
    if before is not None and before.data == data:
        return Picture(before.image, data, at_s, drawn_s), None
    image = decode(data)
    picture = Picture(image, data, at_s, drawn_s)
    if before is None:
        everything = np.ones(tile_shape(image), dtype=np.bool_)
        return picture, Difference(0, 0, image.shape[1], image.shape[0], everything)
    return picture, compare(before.image, image)
