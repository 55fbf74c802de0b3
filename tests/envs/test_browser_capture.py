"""Frames are decoded, compared and acknowledged as they should be, with a session made for the test."""

import asyncio
import base64
import io
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage
from playwright.async_api import Error

from foveate.actions.errors import CaptureFailed
from foveate.actions.guard import Limits
from foveate.envs.background import Background
from foveate.envs.capture import Screencast, changed_fraction, compare, decode
from foveate.envs.files import NamedFiles
from foveate.envs.tab import Tab


def png(image: np.ndarray) -> bytes:
    data = io.BytesIO()
    PillowImage.fromarray(image).save(data, "PNG")
    return data.getvalue()


def grey(width: int = 70, height: int = 50) -> np.ndarray:
    return np.full((height, width, 3), 128, dtype=np.uint8)


class Session:
    """A DevTools session that answers what the test says, or nothing at all."""

    def __init__(self, image: np.ndarray | None = None) -> None:
        self.image = image
        self.sent: list[str] = []
        self.refuses: list[str] = []
        self.acknowledges = asyncio.Event()
        self.acknowledges.set()
        self.listeners: dict[str, Callable[[Any], None]] = {}

    async def send(self, method: str, params: dict[str, Any] | None = None) -> Any:
        self.sent.append(method)
        if method == "Page.screencastFrameAck":
            await self.acknowledges.wait()
        if method != "Page.captureScreenshot":
            return {}
        if self.refuses:
            raise Error(f"Protocol error ({method}): {self.refuses.pop()}")
        if self.image is None:
            await asyncio.Event().wait()
        assert self.image is not None
        return {"data": base64.b64encode(png(self.image)).decode()}

    def on(self, event: str, f: Callable[[Any], None]) -> None:
        self.listeners[event] = f

    def frame(self, image: np.ndarray, drawn_s: float | None = None) -> None:
        data = base64.b64encode(png(image)).decode()
        metadata = {} if drawn_s is None else {"monotonicTimestamp": drawn_s}
        self.listeners["Page.screencastFrame"]({"data": data, "sessionId": 1, "metadata": metadata})


class Page:
    url = "https://example.org/"
    main_frame = None

    def on(self, event: str, f: Callable[[Any], None]) -> None:
        pass


def test_a_difference_is_found_to_the_pixel_and_square() -> None:
    before, after = grey(), grey()
    after[20:23, 31:40] = 0
    found = compare(before, after)
    assert found is not None
    assert (found.left, found.top, found.right, found.bottom) == (31, 20, 40, 23)
    assert [tuple(place) for place in np.argwhere(found.tiles)] == [(1, 1), (1, 2)]
    assert compare(before, grey()) is None


def test_the_changed_fraction_leaves_ignored_squares_out() -> None:
    before, after = grey(), grey()
    after[0:10, 0:10] = 0
    after[40:50, 60:70] = 0
    assert changed_fraction(before, after) == pytest.approx(200 / 3500)
    ignored = np.zeros((4, 5), dtype=np.bool_)
    ignored[0, 0] = True
    assert changed_fraction(before, after, ignored) == pytest.approx(100 / 3500)
    assert changed_fraction(before, grey(10, 10)) == 1.0


def test_a_decoded_picture_is_read_only_rgb() -> None:
    image = decode(png(grey()))
    assert image.shape == (50, 70, 3)
    assert not image.flags.writeable


@pytest.fixture
async def background() -> AsyncIterator[Background]:
    kept = Background()
    yield kept
    await kept.close()


def made(session: Session, background: Background, wake: Callable[[], None] = lambda: None) -> Screencast:
    return Screencast(session, spawn=background.spawn, clock=time.monotonic, wake=wake)  # type: ignore[arg-type]


async def test_frames_are_acknowledged_at_once_and_late_between_actions(background: Background) -> None:
    session, woken = Session(), list[float]()
    cast = made(session, background, lambda: woken.append(time.monotonic()))
    session.frame(grey())
    await asyncio.sleep(0)
    assert session.sent == ["Page.screencastFrameAck"]
    assert not cast.stale
    assert (await cast.take()) is not None
    assert (await cast.take()) is None
    cast.idle(True)
    session.frame(grey())
    await asyncio.sleep(0)
    assert len(session.sent) == 1
    cast.idle(False)
    await asyncio.sleep(0)
    assert len(session.sent) == 2
    assert len(woken) == 2


async def test_the_last_frame_is_trusted_unless_one_after_it_may_have_been_dropped(background: Background) -> None:
    session = Session(grey())
    cast = made(session, background)
    for _ in range(5):
        session.frame(grey())
        await asyncio.sleep(0.001)
        assert not cast.stale
    session.acknowledges.clear()
    for _ in range(3):
        session.frame(grey())
    assert cast.stale
    picture, _ = await cast.capture(1.0)
    assert picture.image.shape == (50, 70, 3)
    assert not cast.stale
    session.acknowledges.set()


async def test_a_picture_that_cannot_be_taken_just_now_is_asked_for_again(background: Background) -> None:
    session = Session(grey())
    cast = made(session, background)
    session.refuses = ["Unable to capture screenshot"] * 2
    picture, _ = await cast.capture(1.0)
    assert picture.image.shape == (50, 70, 3) and session.sent.count("Page.captureScreenshot") == 3
    session.refuses = ["Unable to capture screenshot"] * 99
    with pytest.raises(TimeoutError):
        await cast.capture(0.1)
    session.refuses = ["Target closed"]
    with pytest.raises(Error, match="Target closed"):
        await cast.capture(1.0)


async def test_an_older_frame_that_arrives_later_is_left_out(background: Background) -> None:
    session, now_s = Session(), time.monotonic()
    cast = made(session, background)
    newer, older = grey(), grey()
    newer[0, 0] = 0
    session.frame(newer, now_s - 0.01)
    session.frame(older, now_s - 0.027)
    taken = await cast.take()
    assert taken is not None and np.array_equal(taken[0].image, newer)
    session.frame(older, now_s - 0.02)
    assert await cast.take() is None


async def test_a_frame_counts_as_caught_if_it_was_drawn_and_came_late_enough(background: Background) -> None:
    session, now_s = Session(), time.monotonic()
    cast = made(session, background)
    session.frame(grey(), now_s - 0.02)
    assert cast.caught(now_s - 0.01, now_s - 1) == np.inf
    session.frame(grey(), now_s - 0.01)
    assert now_s <= cast.caught(now_s - 0.01, now_s - 1) < now_s + 1
    assert cast.caught(now_s - 0.01, now_s + 1) == np.inf


async def test_a_clock_that_cannot_be_is_not_believed(background: Background) -> None:
    session, now_s = Session(grey()), time.monotonic()
    cast = made(session, background)
    for drawn_s in (now_s + 1000.0, now_s - 1000.0):
        session.frame(grey(), drawn_s)
        taken = await cast.take()
        assert taken is not None and taken[0].drawn_s == pytest.approx(time.monotonic(), abs=1.0)


async def test_a_frame_of_the_document_before_is_outdated_and_not_trusted(background: Background) -> None:
    session, now_s = Session(), time.monotonic()
    cast = made(session, background)
    session.frame(grey(), now_s)
    await cast.take()
    cast.replaced()
    assert cast.outdated and cast.stale
    session.frame(grey(), now_s + 0.0001)
    await cast.take()
    assert cast.outdated and cast.stale
    session.frame(grey(), time.monotonic())
    await cast.take()
    assert not cast.outdated and not cast.stale


async def test_a_frame_whose_taking_is_cancelled_is_taken_by_the_next(background: Background) -> None:
    session = Session()
    cast = made(session, background)
    session.frame(grey())
    taking = asyncio.ensure_future(cast.take())
    await asyncio.sleep(0)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert cast.waiting
    taken = await cast.take()
    assert taken is not None and cast.latest is taken[0]


async def test_late_frames_are_told_and_prompt_ones_are_not(background: Background) -> None:
    session = Session()
    cast = made(session, background)
    assert cast.late_s() == 0.0
    for _ in range(8):
        session.frame(grey(), time.monotonic() - 0.006)
    assert cast.late_s() == pytest.approx(0.0, abs=0.005)
    for _ in range(8):
        session.frame(grey(), time.monotonic() - 0.1)
    assert cast.late_s() > 0.1


async def test_a_page_that_never_gave_a_picture_is_a_failed_capture(background: Background) -> None:
    async def attempt(call: Any, **_more: Any) -> None:
        await call

    tab = Tab(
        Page(),  # type: ignore[arg-type]
        Session(),  # type: ignore[arg-type]
        limits=Limits(),
        files=NamedFiles(),
        attempt=attempt,
        secret="x",
        scale=1.0,
        background=background,
        wake=lambda: None,
        on_navigated=lambda *_: None,
        on_chooser=lambda _: None,
    )
    with pytest.raises(CaptureFailed, match=r"https://example.org/ gave no picture within 0.05 s"):
        await tab.capture(0.05)
