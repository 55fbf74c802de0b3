"""Dialogs and open lists in a browser, at their edges: what must not leak, and what must not be pressed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from foveate.actions.geometry import Frame, Point
from foveate.actions.guard import Limits, Secret
from foveate.actions.schema import (
    Click,
    Dialog,
    Key,
    Move,
    Navigate,
    PointerDown,
    PointerUp,
    Press,
    Scroll,
    SelectOption,
    TypeText,
)
from foveate.envs.base import ScreenObservation
from foveate.envs.browser import BrowserEnv

pytestmark = pytest.mark.browser

Make = Callable[..., BrowserEnv]

PROMPT = """<style>body{margin:0;background:#fff}</style><title>home</title>
<button style='position:fixed;left:0;top:0;width:400px;height:60px'
onclick="document.title = String(prompt('Word?', ''))">press</button>"""

LIST = """<style>body{margin:0;background:#fff}select{position:fixed;left:20px;top:20px;width:160px;height:30px}
button{position:fixed;left:0;top:54px;width:320px;height:180px}</style><title>none</title>
<select id=list onchange="document.title = this.value">%s</select>
<button onclick="document.title = 'pressed'"></button>"""
OPTIONS = "".join(f"<option value={n}>Option {n}" for n in range(40))


def place(observation: ScreenObservation, x: float, y: float) -> Point:
    return observation.frame.from_input(x, y)


def row(env: BrowserEnv, frame: Frame, number: int) -> Point:
    shown = env._now().tabs.current.selects.open
    assert shown is not None and shown.box is not None
    unit = frame.width / frame.extent[0]
    return frame.from_input(shown.box.left / unit + 20, shown.box.top / unit + 22 * (number + 0.5))


async def test_a_secret_in_a_prompt_is_sent_but_never_drawn_not_even_a_part_of_it(browser_env: Make, site: Any) -> None:
    limits = Limits(secrets={"word": Secret("sesame", ("127.0.0.1",)), "other": Secret("x", ("example.org",))})
    async with browser_env(site.page("/", PROMPT), viewport=(480, 320), limits=limits) as env:
        press = Click(at=place(await env.reset(), 100, 30))
        await env.step(press)
        assert "does not belong" in ((await env.step(TypeText(text="{{other}}"))).error or "")
        whole = (await env.step(TypeText(text="{{word}}"))).observation
        await env.step(Press(keys=(Key.BACKSPACE,)))
        await env.step(TypeText(text="}"))
        again = (await env.step(Press(keys=(Key.END,)))).observation
        assert np.array_equal(whole.image, again.image)  # the placeholder is edited, not the value
        step = await env.step(Press(keys=(Key.ENTER,)))
        assert step.applied == Dialog(accept=True, text="{{word}}")
        assert step.observation.title == "{{word}}"
        assert await env.page.title() == "sesame"


async def test_a_secret_that_a_dialog_tells_is_masked_in_picture_text_and_events(browser_env: Make, site: Any) -> None:
    page = PROMPT.replace("prompt('Word?', '')", "confirm('open sesame')")
    limits = Limits(secrets={"word": Secret("sesame", ("127.0.0.1",))})
    async with browser_env(site.page("/", page), viewport=(480, 320), limits=limits) as env:
        press = Click(at=place(await env.reset(), 100, 30))
        assert "sesame" not in ((await env.inspect(press)).name or "")  # type: ignore[union-attr]
        held = (await env.step(press)).observation
        assert held.dialog is not None and held.dialog.message == "open {{word}}"
        assert all("sesame" not in event.text for event in held.events)
        assert "sesame" not in ((await env.inspect(press)).name or "")  # type: ignore[union-attr]


@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0])
async def test_every_way_to_press_an_option_chooses_it_and_never_what_lies_underneath(
    browser_env: Make, site: Any, scale: float
) -> None:
    url = site.page("/", LIST % OPTIONS)
    async with browser_env(url, viewport=(320, 240), device_scale_factor=scale) as env:
        first = await env.reset()
        press = Click(at=place(first, 60, 35))
        for number, way in ((1, "click"), (2, "pointer"), (3, "double"), (4, "right")):
            opened = (await env.step(press)).observation
            at = row(env, opened.frame, number)
            target = await env.inspect(Click(at=at))
            assert target is not None and (target.role, target.name) == ("option", f"Option {number}")
            ways: dict[str, Any] = {
                "click": Click(at=at),
                "pointer": PointerDown(at=at),
                "double": Click(at=at, clicks=2),
                "right": Click(at=at, button="right"),
            }
            step = await env.step(ways[way])
            assert isinstance(step.applied, SelectOption) and step.applied.value == f"Option {number}"
            if way == "pointer":
                step = await env.step(PointerUp())
            assert step.observation.title == str(number)
        opened = (await env.step(press)).observation
        await env.step(Move(at=row(env, opened.frame, 5)))
        step = await env.step(Click())
        assert step.observation.title != "pressed"


@pytest.mark.parametrize("scale", [1.0, 2.0])
async def test_wheel_keys_and_escape_work_on_an_open_list(browser_env: Make, site: Any, scale: float) -> None:
    url = site.page("/", LIST % OPTIONS)
    async with browser_env(url, viewport=(320, 240), device_scale_factor=scale) as env:
        closed = await env.reset()
        press = Click(at=place(closed, 60, 35))
        opened = (await env.step(press)).observation
        first = row(env, opened.frame, 0)
        scrolled = await env.step(Scroll(at=first, dy=1))
        assert scrolled.error is None and scrolled.observation.changed
        step = await env.step(Click(at=first))
        assert isinstance(step.applied, SelectOption) and step.observation.title == "3"
        await env.step(press)
        await env.step(Press(keys=(Key.DOWN,), presses=2))
        step = await env.step(Press(keys=(Key.ENTER,)))
        assert step.observation.title == "5"
        await env.step(press)
        step = await env.step(TypeText(text="option 17\n"))
        assert step.observation.title == "17"
        shut = step.observation
        await env.step(press)
        step = await env.step(Press(keys=(Key.ESCAPE,)))
        assert step.observation.title == "17" and np.array_equal(step.observation.image, shut.image)
        await env.step(press)
        step = await env.step(Click(at=place(closed, 300, 235)))
        assert step.observation.title == "17" and env._now().tabs.current.selects.open is None


async def test_a_choice_that_opens_a_dialog_and_a_page_that_leaves_with_its_list_open_go_on(
    browser_env: Make, site: Any
) -> None:
    page = (LIST % OPTIONS).replace("document.title = this.value", "document.title = String(confirm(this.value))")
    site.page("/next", "<title>next</title><body style='background:#fff'>")
    async with browser_env(site.page("/", page), viewport=(320, 240)) as env:
        press = Click(at=place(await env.reset(), 60, 35))
        opened = (await env.step(press)).observation
        held = (await env.step(Click(at=row(env, opened.frame, 2)))).observation
        assert held.dialog is not None and held.dialog.message == "2"
        assert (await env.step(Dialog(accept=True))).observation.title == "true"
        await env.step(press)
        step = await env.step(Navigate(url=site.url("/next")))
        assert step.observation.title == "next" and step.observation.image.min() == 255


async def test_a_field_whose_page_answers_a_secret_with_a_dialog_is_black_behind_it(
    browser_env: Make, site: Any
) -> None:
    page = """<style>*{font:30px monospace;color:#f00;outline:0;caret-color:#fff}body{margin:0;background:#fff}</style>
    <input id=i autofocus style='position:fixed;left:0;top:270px;width:300px;border:0'
    oninput="if (this.value.length > 4) alert('long')">"""
    limits = Limits(secrets={"word": Secret("sesame", ("127.0.0.1",))})
    async with browser_env(site.page("/", page), viewport=(480, 320), limits=limits) as env:
        first = await env.reset()
        await env.step(Click(at=place(first, 50, 285)))
        held = (await env.step(TypeText(text="{{word}}"))).observation
        assert held.dialog is not None and held.timing_ms["capture"] < 1500
        assert not held.image[275:300, 5:290].any()
        free = held
        while free.dialog is not None:  # one for each letter too many
            free = (await env.step(Dialog(accept=True))).observation
        assert not free.image[275:300, 5:290].any()
        assert await env.page.evaluate("i.value") == "sesame"
