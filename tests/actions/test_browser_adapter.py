"""Input arrives in a real page as it was meant."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from foveate.actions.browser import key_name
from foveate.actions.geometry import Frame, Point
from foveate.actions.schema import (
    Click,
    Drag,
    Key,
    KeyDown,
    KeyUp,
    Move,
    OpenApp,
    PointerDown,
    PointerUp,
    Press,
    Scroll,
    Terminate,
    TypeText,
    Wait,
)
from foveate.envs.browser import BrowserEnv

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><meta charset=utf-8><title>input</title>
<style>body{margin:0;height:3000px;width:3000px}#pad{position:fixed;left:0;top:0;width:400px;height:200px;background:#eee}
textarea{position:fixed;left:0;top:220px;width:380px;height:70px}
#from,#to{position:fixed;top:220px;width:60px;height:60px;background:#88f}#from{left:420px}#to{left:560px;background:#8f8}
</style>
<div id=pad></div><textarea id=text></textarea><div id=from draggable=true></div><div id=to></div>
<script>
  window.log = [];
  for (const kind of ['mousedown', 'mouseup', 'click', 'dblclick', 'auxclick', 'contextmenu', 'mousemove'])
    pad.addEventListener(kind, (e) => { e.preventDefault(); log.push([kind, e.button, e.detail, e.clientX, e.clientY,
      [e.shiftKey, e.ctrlKey, e.altKey, e.metaKey].map(Number).join(''), e.timeStamp]); });
  window.keys = [];
  for (const kind of ['keydown', 'keyup']) addEventListener(kind, (e) => keys.push([kind, e.key, e.code]));
  from.ondragstart = (e) => e.dataTransfer.setData('text/plain', 'moved');
  to.ondragover = (e) => e.preventDefault();
  to.ondrop = (e) => { e.preventDefault(); window.dropped = e.dataTransfer.getData('text/plain'); };
</script>"""


@pytest.fixture
async def env(chromium: str, tmp_path: Path) -> Any:
    page = tmp_path / "input.html"
    await asyncio.to_thread(page.write_text, PAGE)
    async with BrowserEnv(str(page), browser=chromium, viewport=(640, 300)) as opened:
        await opened.reset()
        yield opened


FRAME = Frame(640, 300)


def at(x: float, y: float) -> Point:
    return FRAME.from_input(x, y)


async def log(env: BrowserEnv, *kinds: str) -> list[list[Any]]:
    entries = json.loads(await env.page.evaluate("JSON.stringify(log)"))
    await env.page.evaluate("log.length = 0")
    return [entry for entry in entries if not kinds or entry[0] in kinds]


async def do(env: BrowserEnv, action: Any) -> Any:
    step = await env.step(action)
    assert step.error is None
    return step.applied


async def test_clicks_have_their_place_button_count_and_modifiers(env: BrowserEnv) -> None:
    applied = await do(env, Click(at=at(100, 50)))
    assert applied == Click(at=at(100, 50))
    assert [entry[:5] for entry in await log(env, "click")] == [["click", 0, 1, 100, 50]]
    await do(env, Click(at=at(100, 50), clicks=2))
    assert [entry[:3] for entry in await log(env, "click", "dblclick")] == [
        ["click", 0, 1],
        ["click", 0, 2],
        ["dblclick", 0, 2],
    ]
    await do(env, Click(at=at(100, 50), clicks=3))
    assert [entry[2] for entry in await log(env, "click")] == [1, 2, 3]
    await do(env, Click(at=at(10, 10), button="right"))
    assert [entry[0] for entry in await log(env, "contextmenu", "click")] == ["contextmenu"]
    await do(env, Click(at=at(10, 10), button="middle"))
    assert [entry[:2] for entry in await log(env, "auxclick")] == [["auxclick", 1]]
    await do(env, Click(at=at(10, 10), modifiers=("shift", "control")))
    assert [entry[5] for entry in await log(env, "click")] == ["1100"]
    await do(env, Click(at=at(10, 10)))
    assert [entry[5] for entry in await log(env, "click")] == ["0000"]


async def test_the_back_and_forward_buttons_arrive(env: BrowserEnv) -> None:
    await do(env, Click(at=at(10, 10), button="back"))
    await do(env, Click(at=at(10, 10), button="forward"))
    assert [entry[1] for entry in await log(env, "mousedown")] == [3, 4]


async def test_a_held_click_lasts_as_long_as_it_says(env: BrowserEnv) -> None:
    await do(env, Click(at=at(10, 10), hold_s=0.3))
    down, up = await log(env, "mousedown", "mouseup")
    assert 280 <= up[6] - down[6] <= 900


async def test_a_click_without_a_place_is_where_the_pointer_is(env: BrowserEnv) -> None:
    await do(env, Move(at=at(33, 44)))
    applied = await do(env, Click())
    assert [entry[3:5] for entry in await log(env, "click")] == [[33, 44]]
    assert FRAME.to_input(applied.at) == pytest.approx((33, 44))


async def test_a_drag_moves_through_its_path_with_the_button_down(env: BrowserEnv) -> None:
    await do(env, Drag(path=(at(10, 10), at(100, 10), at(100, 100))))
    entries = await log(env)
    assert [entry[0] for entry in entries if entry[0] != "mousemove"][:2] == ["mousedown", "mouseup"]
    moves = [entry[3:5] for entry in entries if entry[0] == "mousemove"]
    assert len(moves) >= 7
    assert [100, 10] in moves
    assert moves[-1] == [100, 100]


async def test_a_drag_of_one_point_starts_where_the_pointer_is(env: BrowserEnv) -> None:
    await do(env, Move(at=at(20, 20)))
    applied = await do(env, Drag(path=(at(60, 20),)))
    assert len(applied.path) == 2
    down, up = await log(env, "mousedown", "mouseup")
    assert (down[3:5], up[3:5]) == ([20, 20], [60, 20])


async def test_a_drag_drops_what_a_page_lets_be_dragged(env: BrowserEnv) -> None:
    await do(env, Drag(path=(at(450, 250), at(590, 250))))
    assert await env.page.evaluate("window.dropped") == "moved"


async def test_a_notch_scrolls_a_hundred_pixels_down_and_right(env: BrowserEnv) -> None:
    await do(env, Scroll(at=at(500, 100), dy=3))
    assert await env.page.evaluate("[scrollX, scrollY]") == [0, 300]
    await do(env, Scroll(dx=2, dy=-1))
    assert await env.page.evaluate("[scrollX, scrollY]") == [200, 200]


async def test_buttons_pressed_stay_down_until_they_are_released(env: BrowserEnv) -> None:
    await do(env, PointerDown(at=at(10, 10)))
    assert [entry[0] for entry in await log(env, "mousedown", "mouseup")] == ["mousedown"]
    await do(env, PointerUp(at=at(50, 10)))
    assert [entry[3:5] for entry in await log(env, "mouseup")] == [[50, 10]]


TEXTS = [
    "plain text!",
    "Grüße, æøå ß",
    "你好，世界",
    "नमस्ते दुनिया",
    "مرحبا بالعالم",
    "👩‍👩‍👧 😀 🇩🇪",
    "tags <b>&amp;</b> {x} \\n",
    "x" * 900,
]


async def test_text_of_any_script_arrives_whole(env: BrowserEnv) -> None:
    await do(env, Click(at=at(100, 250)))
    for text in TEXTS:
        await do(env, TypeText(text=text))
        assert await env.page.evaluate("document.getElementById('text').value") == text
        await do(env, Press(keys=(Key.CONTROL, Key.A)))
    await do(env, Press(keys=(Key.DELETE,)))
    assert await env.page.evaluate("document.getElementById('text').value") == ""


async def test_a_newline_is_enter_and_a_tab_leaves_the_field(env: BrowserEnv) -> None:
    await do(env, Click(at=at(100, 250)))
    await do(env, TypeText(text="a\nb\tc"))
    assert await env.page.evaluate("document.getElementById('text').value") == "a\nb"
    pressed = [entry[1] for entry in await env.page.evaluate("keys") if entry[0] == "keydown"]
    assert pressed == ["a", "Enter", "b", "Tab", "c"]


async def test_chords_go_down_in_order_and_up_in_reverse(env: BrowserEnv) -> None:
    await do(env, Press(keys=(Key.CONTROL, Key.SHIFT, Key.K), presses=1))
    assert [entry[:2] for entry in await env.page.evaluate("keys")] == [
        ["keydown", "Control"],
        ["keydown", "Shift"],
        ["keydown", "K"],
        ["keyup", "K"],
        ["keyup", "Shift"],
        ["keyup", "Control"],
    ]


async def test_every_key_of_the_enum_can_be_pressed(env: BrowserEnv) -> None:
    for key in Key:
        await env._now().adapter.apply(Press(keys=(key,)), FRAME)
        codes = await env.page.evaluate("keys.splice(0).filter((k) => k[0] === 'keydown').map((k) => k[2])")
        assert codes, key
        assert key_name(key)


async def test_a_key_held_down_reaches_clicks_and_is_released_by_reset(env: BrowserEnv) -> None:
    await do(env, KeyDown(key=Key.SHIFT))
    await do(env, Click(at=at(10, 10)))
    assert [entry[5] for entry in await log(env, "click")] == ["1000"]
    await do(env, KeyUp(key=Key.SHIFT))
    await do(env, KeyDown(key=Key.ALT))
    await env.reset()
    await do(env, Click(at=at(10, 10)))
    assert [entry[5] for entry in await log(env, "click")] == ["0000"]


async def test_a_key_that_is_down_already_repeats_when_it_is_pressed_and_stays_down(env: BrowserEnv) -> None:
    await env.page.evaluate("addEventListener('keydown', (e) => keys.push(['repeat', e.key, e.repeat]))")
    await do(env, Click(at=at(100, 250)))
    await do(env, KeyDown(key=Key.A))
    await do(env, Press(keys=(Key.A,), presses=2))
    assert [entry[1:] for entry in await env.page.evaluate("keys") if entry[0] == "repeat"] == [
        ["a", False],
        ["a", True],
        ["a", True],
    ]
    assert await env.page.evaluate("document.getElementById('text').value") == "aaa"
    assert "keyup" not in [entry[0] for entry in await env.page.evaluate("keys")]
    await do(env, KeyUp(key=Key.A))
    await do(env, Press(keys=(Key.A,)))
    assert [entry[0] for entry in await env.page.evaluate("keys.slice(-4)")] == ["keyup", "keydown", "repeat", "keyup"]


async def test_a_modifier_that_is_down_already_serves_a_chord_and_stays_down(env: BrowserEnv) -> None:
    await do(env, KeyDown(key=Key.SHIFT))
    await do(env, Press(keys=(Key.SHIFT, Key.K)))
    assert [entry[:2] for entry in await env.page.evaluate("keys")] == [
        ["keydown", "Shift"],
        ["keydown", "K"],
        ["keyup", "K"],
    ]
    await do(env, KeyDown(key=Key.F13))
    await do(env, Press(keys=(Key.F13,)))
    assert [entry[:2] for entry in await env.page.evaluate("keys.slice(3)")] == [["keydown", "F13"]] * 2
    await do(env, KeyUp(key=Key.F13))
    await do(env, KeyUp(key=Key.SHIFT))


async def test_a_cancelled_hold_leaves_nothing_pressed(env: BrowserEnv) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.4):
            await env.step(Click(at=at(10, 10), hold_s=5.0, modifiers=("control",)))
    assert [entry[0] for entry in await log(env, "mousedown", "mouseup")] == ["mousedown", "mouseup"]
    await do(env, Click(at=at(10, 10)))
    assert [entry[5] for entry in await log(env, "click")] == ["0000"]


async def test_what_a_browser_cannot_do_is_an_error_of_the_step(env: BrowserEnv) -> None:
    for action in (OpenApp(name="calc"), Terminate()):
        step = await env.step(action)
        assert step.applied is None
        assert step.error == f"UnsupportedAction: {action.kind} cannot be done in a browser"


async def test_wait_lasts_as_long_as_it_says(env: BrowserEnv) -> None:
    timings = [(await env.step(Wait(duration_s=0.2))).observation.timing_ms for _ in range(4)]
    assert 200 <= min(timing["dispatch"] for timing in timings) <= 600
    assert min(timing["settle"] for timing in timings) < 200
