"""Frames are decoded, compared and acknowledged as they should be, with a session made for the test."""

import asyncio
import base64
import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

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
        self.listeners: dict[str, Callable[[Any], None]] = {}

    async def send(self, method: str, params: dict[str, Any] | None = None) -> Any:
        self.sent.append(method)
        if method != "Page.captureScreenshot":
            return {}
        if self.image is None:
            await asyncio.Event().wait()
        assert self.image is not None
        return {"data": base64.b64encode(png(self.image)).decode()}

    def on(self, event: str, f: Callable[[Any], None]) -> None:
        self.listeners[event] = f

    def frame(self, image: np.ndarray) -> None:
        data = base64.b64encode(png(image)).decode()
        self.listeners["Page.screencastFrame"]({"data": data, "sessionId": 1})


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


async def test_frames_are_acknowledged_at_once_and_late_ones_may_be_stale() -> None:
    session, background = Session(), Background()
    woken: list[float] = []
    cast = Screencast(
        session, spawn=background.spawn, clock=time.monotonic, wake=lambda: woken.append(time.monotonic())
    )  # type: ignore[arg-type]
    session.frame(grey())
    await asyncio.sleep(0)
    assert session.sent == ["Page.screencastFrameAck"]
    assert not cast.stale
    assert (await cast.take()) is not None
    assert (await cast.take()) is None
    cast.idle(True)
    session.frame(grey())
    await asyncio.sleep(0)
    assert cast.stale
    assert len(session.sent) == 1
    cast.idle(False)
    await asyncio.sleep(0)
    assert len(session.sent) == 2
    assert len(woken) == 2
    await background.close()


async def test_after_a_burst_the_last_frame_is_not_trusted() -> None:
    session, background = Session(grey()), Background()
    cast = Screencast(session, spawn=background.spawn, clock=time.monotonic, wake=lambda: None)  # type: ignore[arg-type]
    for _ in range(3):
        session.frame(grey())
    assert cast.stale
    picture, _ = await cast.capture(1.0)
    assert picture.image.shape == (50, 70, 3)
    assert not cast.stale
    await background.close()


async def test_a_page_that_never_gave_a_picture_is_a_failed_capture() -> None:
    background = Background()

    async def attempt(call: Any) -> None:
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
    await background.close()
