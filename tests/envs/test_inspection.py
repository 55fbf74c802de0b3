"""Inspect: one hit test, through frames and shadow roots, at constant cost, that a page cannot fool."""

import statistics
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from foveate.actions.geometry import Frame, Point
from foveate.actions.schema import Action, Click, Key, Navigate, Press, TypeText
from foveate.envs.chromium import Chromium, LaunchOptions
from foveate.envs.elements import Elements
from foveate.envs.inspection import inspect

pytestmark = pytest.mark.browser
FRAME = Frame(width=400, height=300)


@pytest.fixture
async def page(chromium: str) -> AsyncIterator[Any]:
    # Frames of other sites get processes of their own, as on a desktop.
    browser = await Chromium.launch(LaunchOptions(path=chromium, flags=("--site-per-process",)))
    context = await browser.browser.new_context(viewport={"width": 400, "height": 300})
    yield await context.new_page()
    await browser.close()


async def look(page: Any, action: Action) -> Any:
    session = await page.context.new_cdp_session(page)
    found = await inspect(Elements(page, session), action, FRAME, None)
    await session.detach()
    return found


def at(x: float, y: float) -> Click:
    return Click(at=FRAME.from_input(x, y))


async def test_a_click_on_the_text_of_a_button_names_the_button_and_where_its_form_sends_to(
    page: Any, site: Any
) -> None:
    await page.goto(
        site.page(
            "/",
            "<form action=/pay><input name=action><input name=getAttribute>"
            "<button style='position:absolute;left:0;top:50px'><b>Pay</b> now</button></form>",
        )
    )
    found = await look(page, at(12, 60))
    assert (found.role, found.name, found.form_address) == ("button", "Pay now", site.url("/pay"))
    assert found.origin == site.url("").rstrip("/")


async def test_after_scrolling_the_element_that_is_seen_is_named(page: Any) -> None:
    await page.set_content("<button style='position:absolute;left:0;top:1000px'>Deep</button><p style='height:3000px'>")
    await page.evaluate("scrollTo(0, 990)")
    assert (await look(page, at(10, 20))).name == "Deep"


async def test_fields_tell_their_type_and_label_but_never_their_value(page: Any) -> None:
    await page.set_content(
        "<label>Code <input type=password value=hunter2 style='position:absolute;left:0;top:50px'></label>"
    )
    found = await look(page, at(20, 60))
    assert (found.role, found.name, found.input_type) == ("textbox", "Code", "password")


async def test_the_keyboard_acts_on_what_has_the_focus_in_a_closed_shadow_root(page: Any) -> None:
    await page.set_content(
        "<div id=h></div><script>const r=h.attachShadow({mode:'closed'});"
        "r.innerHTML='<input aria-label=Hidden>';r.firstChild.focus()</script>"
    )
    for action in (TypeText(text="a"), Press(keys=(Key.A,))):
        assert (await look(page, action)).name == "Hidden"
    assert (await look(page, at(20, 15))).name == "Hidden"


async def test_frames_of_the_same_and_of_another_site_are_followed_and_tell_their_origin(
    page: Any, site: Any, foreign: Any
) -> None:
    inner = (
        "<body style='margin:0'><input aria-label=Inside style='position:absolute;top:500px'><p style='height:2000px'>"
    )
    style = "position:absolute;top:100px;width:150px;height:100px;border:5px solid;padding:3px"
    for other in (site, foreign):
        other.page(
            "/in",
            inner + "<script>scrollTo(0,480);document.querySelector('input').focus({preventScroll:true})</script>",
        )
    await page.goto(
        site.page(
            "/",
            f"<iframe src={site.url('/in')} style='{style};left:0'></iframe>"
            f"<iframe src={foreign.url('/in')} style='{style};left:200px;transform:scale(0.8)'></iframe>",
        )
    )
    await page.frames[-1].evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    await page.screenshot()  # input reaches a frame of another process once that has been painted
    near = await look(page, at(30, 135))
    assert (near.name, near.origin) == ("Inside", site.url("").rstrip("/"))
    far = await look(page, at(250, 140))
    assert (far.name, far.origin) == ("Inside", foreign.url("").rstrip("/"))
    await page.mouse.click(250, 140)
    typed = await look(page, TypeText(text="x"))
    assert (typed.name, typed.origin) == ("Inside", foreign.url("").rstrip("/"))


async def test_a_page_can_neither_see_nor_fool_the_look(page: Any) -> None:
    await page.set_content(
        "<img name=activeElement><img name=createTreeWalker>"
        "<button style='position:absolute;left:0;top:50px'>Real</button>"
        "<script>window.seen = 0; for (const [k, n] of [[Element,'getAttribute'],[Node,'getRootNode']])"
        "k.prototype[n] = function () { window.seen++; return 'fake'; };"
        "document.elementFromPoint = () => { window.seen++; return null; };"
        "Object.defineProperty(window, 'origin', {get() { window.seen++; return 'https://bank.example'; }});"
        "document.querySelector('button').focus()</script>"
    )
    for action in (at(10, 60), Press(keys=(Key.ENTER,))):
        found = await look(page, action)
        assert (found.role, found.name, found.origin) == ("button", "Real", "null")
    assert await page.evaluate("window.seen") == 0


async def test_actions_on_no_element_have_no_target_and_a_page_held_by_a_dialog_gives_none_in_time(page: Any) -> None:
    assert await look(page, Navigate(url="https://example.org")) is None
    page.context.on("dialog", lambda dialog: None)
    await page.evaluate("setTimeout(() => alert('stop'), 0)")
    session = await page.context.new_cdp_session(page)
    began = time.monotonic()
    assert await inspect(Elements(page, session), at(5, 5), FRAME, None) is None
    assert time.monotonic() - began < 4


async def test_the_cost_does_not_grow_with_the_page(page: Any) -> None:
    session = await page.context.new_cdp_session(page)
    costs = {}
    for nodes in (90, 12_000):
        await page.set_content("<button style='position:absolute;left:0;top:0'>Go</button>" + "<p>text</p>" * nodes)
        elements, took = Elements(page, session), []
        for _ in range(9):
            began = time.monotonic()
            found = await inspect(elements, Click(at=Point(0.01, 0.01)), FRAME, None)
            took.append(time.monotonic() - began)
            assert found is not None and found.name == "Go"
        costs[nodes] = statistics.median(took)
    print({nodes: f"{cost * 1000:.1f} ms" for nodes, cost in costs.items()})
    assert costs[12_000] < 3 * costs[90] + 0.02
