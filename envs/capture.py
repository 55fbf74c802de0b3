"""Pixels of a page at constant cost: the screencast's frames, decoded and compared, and single captures.

A screencast frame is lossless (PNG) and can be the observation itself. Chromium drops frames while two are
unacknowledged, so after a burst, or after frames were acknowledged late, the last one may be stale: then, and where
no frame came, one capture is taken.
"""

import asyncio
import base64
import io
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from foveate.envs.base import Image

TILE = 16
"""Side of the squares, in pixels, in which changes are told apart."""

_BURST_S = 0.1
_BURST_FRAMES = 3
_IDLE_FRAME_S = 0.12


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
    """

    image: Image = field(repr=False)
    data: bytes = field(repr=False)
    at_s: float


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


class Screencast:
    """The frames of one page as they change.

    While watched, every frame is acknowledged at once; between actions (``idle``) late, which slows the frames of a
    page that moves all the time.

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
        self._arrived: deque[tuple[float, str]] = deque(maxlen=8)
        self._times: deque[float] = deque(maxlen=_BURST_FRAMES)
        self._owed: deque[int] = deque()
        session.on("Page.screencastFrame", self._frame)

    async def start(self) -> None:
        """Begin; the first frame is of what the page shows now."""
        self.stale = True
        await self._session.send("Page.startScreencast", {"format": "png"})

    async def stop(self) -> None:
        """End it; the page costs nothing any more."""
        await self._session.send("Page.stopScreencast")

    def idle(self, idle: bool) -> None:
        """Say whether nobody is watching, so that frames may come slowly."""
        self._idle = idle
        if not idle:
            while self._owed:
                self._acknowledge(self._owed.popleft())

    @property
    def waiting(self) -> bool:
        """True where a frame has arrived that was not taken."""
        return bool(self._arrived)

    async def take(self) -> tuple[Picture, Difference | None] | None:
        """Decode the newest frame and compare it with the one taken before; None where none has arrived.

        Of the first frame, and of one of another size, everything differs.
        """
        if not self._arrived:
            return None
        at_s, encoded = self._arrived[-1]
        self._arrived.clear()
        before = self.latest
        picture, difference = await asyncio.to_thread(_read, encoded, at_s, before)
        self.latest = picture
        return picture, difference

    async def capture(self, limit_s: float) -> tuple[Picture, Difference | None]:
        """Capture what the page shows now, afresh.

        Raises:
            TimeoutError: If Chromium gives no picture within the limit.
        """
        before = self.latest
        self._arrived.clear()
        async with asyncio.timeout(limit_s):
            answer = await self._session.send("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True})
        picture, difference = await asyncio.to_thread(_read, answer["data"], self._clock(), before)
        self.latest = picture
        self.stale = False
        self._times.clear()
        return picture, difference

    def _frame(self, event: Any) -> None:
        now_s = self._clock()
        self._arrived.append((now_s, event["data"]))
        self._times.append(now_s)
        if self._idle:
            self.stale = True
            self._owed.append(event["sessionId"])
            self._spawn(self._acknowledge_late())
        else:
            burst = len(self._times) == _BURST_FRAMES and now_s - self._times[0] < _BURST_S
            self.stale = burst
            self._acknowledge(event["sessionId"])
        self._wake()

    def _acknowledge(self, number: int) -> None:
        self._spawn(self._session.send("Page.screencastFrameAck", {"sessionId": number}))

    async def _acknowledge_late(self) -> None:
        await asyncio.sleep(_IDLE_FRAME_S)
        if self._owed:
            await self._session.send("Page.screencastFrameAck", {"sessionId": self._owed.popleft()})


def _read(encoded: str, at_s: float, before: Picture | None) -> tuple[Picture, Difference | None]:
    data = base64.b64decode(encoded)
    if before is not None and before.data == data:
        return Picture(before.image, data, at_s), None
    image = decode(data)
    if before is None:
        return Picture(image, data, at_s), Difference(
            0, 0, image.shape[1], image.shape[0], np.ones(tile_shape(image), dtype=np.bool_)
        )
    return Picture(image, data, at_s), compare(before.image, image)
