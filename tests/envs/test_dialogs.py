"""Dialogs: tracked and answered in a real browser, drawn legibly, clicked and typed into as drawn."""

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from foveate.actions.errors import UnsupportedAction
from foveate.actions.geometry import Frame, PixelBox
from foveate.actions.schema import Dialog, Key
from foveate.envs.background import Background
from foveate.envs.base import PendingDialog
from foveate.envs.chromium import Chromium, LaunchOptions
from foveate.envs.dialog_drawing import draw
from foveate.envs.dialogs import Dialogs, Held

CONFIRM = PendingDialog("confirm", "Delete everything?")


def centre(box: PixelBox, frame: Frame) -> Any:
    scale = frame.extent[0] / frame.width
    return frame.from_input((box.left + box.right) / 2 * scale, (box.top + box.bottom) / 2 * scale)


@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("size", [(320, 320), (448, 448), (1280, 720)])
@pytest.mark.parametrize("kind", ["alert", "confirm", "prompt", "beforeunload", "sign_in"])
def test_a_click_on_a_drawn_button_answers_and_one_beside_it_does_nothing(
    kind: Any, size: tuple[int, int], scale: float
) -> None:
    width, height = round(size[0] * scale), round(size[1] * scale)
    frame = Frame(width=width, height=height, extent=(float(size[0]), float(size[1])))
    page = np.full((height, width, 3), 200, np.uint8)
    image, layout = draw(page, PendingDialog(kind, "A long question. " * 200, "first"), None, scale, "shop.example")
    assert image.shape == page.shape and not np.array_equal(image, page) and (page == 200).all()
    text = "first" if kind in ("prompt", "sign_in") else None
    assert layout.action_at(centre(layout.accept, frame), frame) == Dialog(accept=True, text=text)
    assert (layout.dismiss is None) == (kind == "alert")
    if layout.dismiss is not None:
        assert layout.action_at(centre(layout.dismiss, frame), frame) == Dialog(accept=False)
        assert layout.dismiss.left >= layout.accept.right
    assert (layout.field is None) == (text is None)
    for beside in ((1, 1), (layout.panel.left + 3, layout.panel.top + 3)):
        assert layout.action_at(frame.from_input(beside[0] / scale, beside[1] / scale), frame) is None
    panel = layout.panel
    assert 0 <= panel.left < panel.right <= width and 0 <= panel.top < panel.bottom <= height
    assert panel.left <= layout.accept.left and layout.accept.bottom <= panel.bottom
    assert layout.accept.bottom - layout.accept.top >= 24 * scale


def test_every_part_of_the_text_is_drawn_in_any_script() -> None:
    page = np.full((320, 320, 3), 255, np.uint8)
    pictures = [draw(page, PendingDialog("alert", text))[0] for text in ("a", "b", "Ж", "ñ", "a\nb", "line " * 30)]
    for index, picture in enumerate(pictures):
        assert not any(np.array_equal(picture, other) for other in pictures[index + 1 :])


def test_a_password_is_drawn_as_dots() -> None:
    page = np.full((320, 320, 3), 255, np.uint8)
    sign_in = PendingDialog("sign_in", "")
    first, second, third = (draw(page, sign_in, text)[0] for text in ("ann:secret", "ann:hidden", "bob:secret"))
    assert np.array_equal(first, second) and not np.array_equal(first, third)


def test_typing_replaces_a_prompts_default_and_keys_edit_accept_and_dismiss() -> None:
    held = Held(PendingDialog("prompt", "Name?", "Ann"), "https://a.example")
    assert held.typed("Bob") is None and held.text == "Bob"
    assert held.pressed((Key.BACKSPACE,)) is None and held.text == "Bo"
    assert held.pressed((Key.SHIFT, Key.B)) is None and held.text == "BoB"
    assert held.pressed((Key.ENTER,)) == Dialog(accept=True, text="BoB")
    assert held.pressed((Key.ESCAPE,)) == Dialog(accept=False)
    assert held.typed("!\n") == Dialog(accept=True, text="BoB!")


def test_a_confirm_takes_enter_space_and_escape_and_no_text() -> None:
    held = Held(CONFIRM, "")
    assert held.pressed((Key.ENTER,)) == held.pressed((Key.SPACE,)) == held.typed("\n") == Dialog(accept=True)
    assert held.pressed((Key.ESCAPE,)) == Dialog(accept=False)
    assert held.typed("yes\n") is None and held.pressed((Key.A,)) is None


def test_name_tab_password_newline_signs_in() -> None:
    held = Held(PendingDialog("sign_in", ""), "https://a.example")
    assert held.typed("ann\tpw\n") == Dialog(accept=True, text="ann:pw")


@dataclass
class World:
    page: Any
    dialogs: Dialogs
    changes: list[PendingDialog | None]
    changed: asyncio.Event

    async def next(self) -> PendingDialog | None:
        async with asyncio.timeout(10):
            while not self.changes:
                self.changed.clear()
                await self.changed.wait()
        return self.changes.pop(0)


@pytest.fixture
async def world(chromium: str) -> AsyncIterator[World]:
    browser = await Chromium.launch(LaunchOptions(path=chromium))
    background = Background()
    context = await browser.browser.new_context(viewport={"width": 320, "height": 320})
    changes: list[PendingDialog | None] = []
    changed = asyncio.Event()

    def note(_page: Any, pending: PendingDialog | None) -> None:
        changes.append(pending)
        changed.set()

    dialogs = Dialogs(context, spawn=background.spawn, on_change=note)
    page = await context.new_page()
    dialogs.watch(page)
    await dialogs.watch_sign_ins(await browser.browser.new_browser_cdp_session(), lambda _frame: page)
    yield World(page, dialogs, changes, changed)
    await browser.close()
    await background.close()


@pytest.mark.browser
async def test_alert_confirm_and_prompt_wait_until_they_are_answered(world: World) -> None:
    page, dialogs = world.page, world.dialogs
    script = (
        "setTimeout(() => { alert('A'); window.got = [confirm('B'), confirm('C'), prompt('D', 'x'), prompt('E')] })"
    )
    await page.evaluate(script)
    for expected, reply in (
        (PendingDialog("alert", "A"), Dialog(accept=True)),
        (PendingDialog("confirm", "B"), Dialog(accept=True)),
        (PendingDialog("confirm", "C"), Dialog(accept=False)),
        (PendingDialog("prompt", "D", "x"), Dialog(accept=True, text="y")),
        (PendingDialog("prompt", "E"), Dialog(accept=False)),
    ):
        assert await world.next() == expected
        assert dialogs.waiting(page).pending == expected  # type: ignore[union-attr]
        await dialogs.answer(page, reply)
        assert await world.next() is None
    assert await page.evaluate("got") == [True, False, "y", None]
    with pytest.raises(UnsupportedAction, match="no dialog waits"):
        await dialogs.answer(page, Dialog(accept=True))


async def leave(world: World, url: str) -> "asyncio.Future[object]":
    """Set out for another page until this one asks: Chromium gives a navigation up that comes while it still keeps a
    page that was not left."""
    for _ in range(5):
        leaving = asyncio.ensure_future(world.page.goto(url))
        asked = asyncio.ensure_future(world.next())
        await asyncio.wait({leaving, asked}, return_when=asyncio.FIRST_COMPLETED)
        if asked.done() or "ERR_ABORTED" not in str(leaving.exception()):
            assert (await asked) == PendingDialog("beforeunload", "")
            return leaving
        asked.cancel()
    raise AssertionError("the page never asked")


@pytest.mark.browser
async def test_leaving_a_page_that_asks_waits_and_is_left_or_kept_as_answered(world: World, site: Any) -> None:
    page = world.page
    await page.goto(site.page("/", "<body onbeforeunload='return 1'><input>"))
    site.page("/next", "<title>next</title>")
    await page.mouse.click(30, 20)  # without a gesture of the user no page may ask
    for accept in (False, True):
        leaving = await leave(world, site.url("/next"))
        await world.dialogs.answer(page, Dialog(accept=accept))
        await asyncio.wait({leaving}, timeout=10)
        assert (leaving.exception() is None) == accept
        world.changes.clear()
    assert await page.title() == "next"


@pytest.mark.browser
async def test_a_sign_in_takes_a_name_and_password_asks_again_when_wrong_and_can_be_cancelled(
    world: World, basic: str
) -> None:
    page, dialogs = world.page, world.dialogs
    loading = asyncio.ensure_future(page.goto(basic))
    pending = await world.next()
    assert pending is not None and pending.kind == "sign_in" and "The vault" in pending.message
    held = dialogs.waiting(page)
    assert held is not None and basic.startswith(held.origin)
    await dialogs.answer(page, Dialog(accept=True, text="ann:wrong"))
    assert await world.next() is None
    assert (await world.next()).kind == "sign_in"  # type: ignore[union-attr]
    await dialogs.answer(page, Dialog(accept=True, text="ann:p:w"))
    async with asyncio.timeout(10):
        await loading
    assert await page.title() == "inside"
    world.changes.clear()
    await page.goto("about:blank")
    context = await page.context.browser.new_context()
    fresh = await context.new_page()
    loading = asyncio.ensure_future(fresh.goto(basic))
    await world.next()
    await dialogs.answer(page, Dialog(accept=False))
    await asyncio.wait({loading}, timeout=10)
    assert await fresh.title() != "inside"


@pytest.mark.browser
async def test_a_page_that_closes_takes_its_dialog_along(world: World) -> None:
    await world.page.evaluate("setTimeout(() => alert('A'))")
    assert await world.next() == PendingDialog("alert", "A")
    await world.page.close()
    assert await world.next() is None
    assert world.dialogs.waiting(world.page) is None


@pytest.fixture
def basic() -> Any:
    import http.server
    import threading

    wanted = "Basic " + base64.b64encode(b"ann:p:w").decode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers.get("Authorization") == wanted
            body = b"<title>inside</title>" if known else b"<title>denied</title>"
            self.send_response(200 if known else 401)
            if not known:
                self.send_header("WWW-Authenticate", 'Basic realm="The vault"')
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()
