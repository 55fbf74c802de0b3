"""Effects of every kind are in the observation that a step returns, and nothing is waited for in vain."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from foveate.actions.schema import Click, TypeText, Wait
from foveate.envs.browser import BrowserEnv
from foveate.envs.settle import SettleConfig

pytestmark = pytest.mark.browser

Make = Callable[..., BrowserEnv]

PAGE = """
<style>
  body { margin: 0; background: #fff }
  #press { position: fixed; left: 20px; top: 20px; width: 160px; height: 50px }
  #press:hover { background: #ff8 } #press:active { background: #f8f } #press:focus { outline: 3px solid #00f }
  #mark { position: fixed; left: 200px; top: 20px; width: 50px; height: 50px; background: #eee }
  #mark.on { background: #0a0 } #mark.slow { transition: background .2s linear }
  #field { position: fixed; left: 20px; top: 100px; width: 160px }
  #list { position: fixed; left: 200px; top: 100px; width: 100px; height: 60px }
  #spin { position: fixed; left: 20px; top: 160px; width: 24px; height: 24px; background: #c00 }
  @keyframes turn { to { transform: rotate(360deg) } }
</style>
<button id=press>press</button><div id=mark></div><input id=field><div id=list></div>%s
<script>
  const on = () => { mark.classList.toggle('on'); window.doneAt = performance.timeOrigin + performance.now(); };
  const effects = {
    instant: on,
    timer30: () => setTimeout(on, 30),
    timer120: () => setTimeout(on, 120),
    timer200: () => setTimeout(on, 200),
    chained: () => setTimeout(() => setTimeout(on, 80), 80),
    fetch300: () => fetch('/slow300').then(on),
    fetch1000: () => fetch('/slow1000').then(on),
    frames: () => requestAnimationFrame(() => requestAnimationFrame(on)),
    manyFrames: () => { let left = 9; const next = () => left-- ? requestAnimationFrame(next) : on(); next(); },
    awaited: async () => { for (let i = 0; i < 5; i++) await new Promise(requestAnimationFrame); on() },
    busy: () => { const end = performance.now() + 150; while (performance.now() < end); on(); },
    transition: () => { mark.classList.add('slow'); mark.classList.toggle('on');
      mark.ontransitionend = () => { window.doneAt = performance.timeOrigin + performance.now(); } },
    animation: () => mark.animate([{ background: '#00f' }, { background: '#0ff' }], { duration: 400, fill: 'forwards' })
      .finished.then(() => { window.doneAt = performance.timeOrigin + performance.now(); }),
    none: () => { window.doneAt = 0 },
  };
  press.onclick = () => { window.doneAt = 0; effects[location.hash.slice(1)](); };
  let timer;
  field.oninput = () => { clearTimeout(timer); timer = setTimeout(() => {
    list.style.background = '#0a0'; window.doneAt = performance.timeOrigin + performance.now(); }, 200); };
</script>
"""

LATE = [
    "timer30",
    "timer120",
    "timer200",
    "chained",
    "fetch300",
    "fetch1000",
    "frames",
    "manyFrames",
    "awaited",
    "busy",
    "transition",
    "animation",
]


def serve(site: Any, more: str = "") -> str:
    site.page("/slow300", "late", delay_s=0.3)
    site.page("/slow1000", "late", delay_s=1.0)
    return str(site.page("/", PAGE % more))


async def fresh(env: BrowserEnv) -> np.ndarray:
    """What the page shows now."""
    from foveate.envs.capture import decode

    return decode(await env.page.screenshot(caret="initial"))


async def press(env: BrowserEnv, effect: str) -> tuple[Any, float]:
    """Press once and give the step and its milliseconds."""
    await env.page.evaluate(f"location.hash = '{effect}'")
    at = env._now()._frame.from_input(60, 40)  # type: ignore[union-attr]
    began_s = time.monotonic()
    step = await env.step(Click(at=at))
    return step, (time.monotonic() - began_s) * 1000


@pytest.mark.parametrize("effect", ["instant", *LATE])
async def test_an_effect_is_seen_though_hover_active_and_focus_looks_come_first(
    browser_env: Make, site, effect: str
) -> None:
    async with browser_env(serve(site), viewport=(320, 240)) as env:
        await env.reset()
        lags = []
        for number in range(4):
            step, _ = await press(env, effect)
            returned_ms = time.time() * 1000
            done_ms = await env.page.evaluate("window.doneAt")
            assert done_ms > 0, "returned before the effect"
            lags.append(returned_ms - done_ms)
            assert np.array_equal(step.observation.image[:80], (await fresh(env))[:80])
            assert number > 0 or step.observation.changed > 0
        assert statistics.median(lags) < 250  # the budget of 60 ms holds on an idle machine; this one is shared


async def test_a_field_that_echoes_at_once_and_lists_later_is_waited_for(browser_env: Make, site) -> None:
    async with browser_env(serve(site), viewport=(320, 240)) as env:
        observation = await env.reset()
        await env.step(Click(at=observation.frame.from_input(60, 110)))
        step = await env.step(TypeText(text="milk"))
        assert tuple(step.observation.image[130, 250]) == (0, 170, 0)


async def test_a_press_without_effect_returns_after_the_onset_limit(browser_env: Make, site) -> None:
    async with browser_env(serve(site), viewport=(320, 240)) as env:
        observation = await env.reset()
        at = observation.frame.from_input(280, 220)
        await env.step(Click(at=at))
        took = []
        for _ in range(4):
            began_s = time.monotonic()
            step = await env.step(Click(at=at))
            took.append(time.monotonic() - began_s)
            assert step.observation.changed == 0.0
        assert 0.25 <= min(took) < 0.5


MOVING = {
    "CSS spinner": "<div id=spin style='animation: turn 1s linear infinite'></div>",
    "script spinner": "<div id=spin></div><script>(function turn(t) { spin.style.transform = `rotate(${t / 3}deg)`;"
    "requestAnimationFrame(turn) })(0)</script>",
    "timer loop": "<div id=spin></div><script>(function turn(t) { spin.style.left = (t % 40) + 'px';"
    "setTimeout(turn, 30, t + 1) })(0)</script>",
}


@pytest.mark.parametrize("name", MOVING)
async def test_what_moves_without_end_neither_delays_nor_hides_an_effect(browser_env: Make, site, name: str) -> None:
    async with browser_env(serve(site, MOVING[name]), viewport=(320, 240)) as env:
        observation = await env.reset()
        await env.step(Wait(duration_s=0.8))
        took = []
        for _ in range(4):
            step, ms = await press(env, "instant")
            took.append(ms)
            assert "unsettled" not in [event.kind for event in step.observation.events]
            assert tuple(step.observation.image[40, 220]) == tuple((await fresh(env))[40, 220])
        assert min(took) < 240, took  # on a machine that others use, too
        for _ in range(2):
            step = await env.step(Click(at=observation.frame.from_input(280, 220)))
        assert step.observation.changed < 0.02


LOOP = "<div id=spin></div><script>(async () => { for (let t = 0; ; t++) { spin.style.left = (t % 40) + 'px'; "
LOOP += "await new Promise(requestAnimationFrame) } })()</script>"


async def test_frames_that_a_page_asks_for_all_the_time_are_not_waited_for(browser_env: Make, site) -> None:
    async with browser_env(serve(site, LOOP), viewport=(320, 240)) as env:
        await env.reset()
        await env.step(Wait(duration_s=0.8))
        took = [(await press(env, "instant"))[1] for _ in range(6)]
        assert min(took) < 240, took


BREAK = """<script>
  for (const kind of [Array, Map, Promise, Function])
    for (const name of Object.getOwnPropertyNames(kind.prototype))
      if (name !== 'constructor' && typeof kind.prototype[name] === 'function')
        kind.prototype[name] = () => { throw new Error('broken') };
  for (const name of ['Map', 'Promise', 'Proxy', 'Reflect', 'Number', 'Math']) window[name] = undefined;
</script>"""


@pytest.mark.parametrize("effect", ["timer120", "frames", "transition"])
async def test_what_is_due_is_known_though_a_page_has_broken_its_built_ins(
    browser_env: Make, site, effect: str
) -> None:
    async with browser_env(serve(site, BREAK), viewport=(320, 240)) as env:
        observation = await env.reset()
        session = env._now().tabs.current.session  # Playwright's own way to evaluate needs what is broken here
        await session.send("Runtime.evaluate", {"expression": f"location.hash = '{effect}'"})
        step = await env.step(Click(at=observation.frame.from_input(60, 40)))
        assert "unsettled" not in [event.kind for event in step.observation.events]
        done = await session.send("Runtime.evaluate", {"expression": "window.doneAt"})
        assert done["result"]["value"] > 0, "returned before the effect"
        assert tuple(step.observation.image[40, 225]) == (0, 170, 0)


FRAME = """<body style='margin:0;height:100vh;background:#eee'><script>
const paint = (colour) => { document.body.style.background = colour };
document.body.onmousedown = () => { paint('#fd0'); setTimeout(paint, 180, '#0a0') };
</script>"""


async def test_a_timer_in_a_frame_of_another_process_is_waited_for(browser_env: Make, site) -> None:
    site.page("/frame", FRAME)
    frame = f"http://localhost:{site.port}/frame"
    url = site.page("/", f"<iframe src={frame} style='position:fixed;left:0;top:0;width:300px;height:200px;border:0'>")
    async with browser_env(url, viewport=(320, 240)) as env:
        observation = await env.reset()
        step = await env.step(Click(at=observation.frame.from_input(100, 100)))
        assert tuple(step.observation.image[100, 100]) == (0, 170, 0)


async def test_what_moves_by_the_action_itself_counts_as_changed_by_it(browser_env: Make, site) -> None:
    slide = "mark.animate([{ width: '50px' }, { width: '100px' }], { duration: 900, fill: 'forwards' })"
    spin = "spin.style.animation = 'turn 1s linear infinite'"
    async with browser_env(serve(site, "<div id=spin></div>"), viewport=(320, 240)) as env:
        first = await env.reset()
        await env.page.evaluate("press.onclick = () => {" + slide + "; " + spin + "}")
        step = await env.step(Click(at=first.frame.from_input(60, 40)))
        assert step.observation.changed >= 50 * 50 / (320 * 240)


async def test_a_blinking_caret_is_no_change(browser_env: Make, site) -> None:
    async with browser_env(serve(site), viewport=(320, 240)) as env:
        observation = await env.reset()
        await env.step(Click(at=observation.frame.from_input(60, 110)))
        await env.step(Wait(duration_s=1.2))
        took = []
        for _ in range(3):
            step = await env.step(Wait(duration_s=0.7))
            took.append(step.observation.timing_ms["settle"])
            assert "unsettled" not in [event.kind for event in step.observation.events]
        assert min(took) < 200


async def test_what_was_under_way_before_and_streams_are_not_waited_for(browser_env: Make, site) -> None:
    site.page("/hang", "late", delay_s=20.0)
    site.pages["/events"] = type(site.pages["/hang"])("", 200, {"Content-Type": "text/event-stream"}, 20.0)
    more = "<script>setTimeout(() => { fetch('/hang'); new EventSource('/events') }, 1500)</script>"
    async with browser_env(serve(site, more), viewport=(320, 240)) as env:
        await env.reset()
        await env.step(Wait(duration_s=2.0))
        assert {"/hang", "/events"} <= set(site.asked)
        _, ms = await press(env, "instant")
        assert ms < 400


async def test_a_page_that_never_rests_is_returned_with_the_budget(browser_env: Make, site) -> None:
    site.page("/hang", "late", delay_s=20.0)
    env = browser_env(
        site.page("/", "<button style='position:fixed;inset:0' onclick=\"fetch('/hang')\">x</button>"),
        viewport=(320, 240),
        settle=SettleConfig(budget_s=0.7),
    )
    async with env:
        observation = await env.reset()
        began_s = time.monotonic()
        step = await env.step(Click(at=observation.frame.from_input(60, 40)))
        assert 0.7 <= time.monotonic() - began_s < 1.5
        assert [event.kind for event in step.observation.events] == ["unsettled"]


async def test_pages_cannot_tell_that_timers_are_counted(browser_env: Make, site) -> None:
    script = """<script>
      const out = [];
      out.push(/\\[native code\\]/.test(setTimeout.toString()), setTimeout.name, setTimeout.length);
      out.push(/\\[native code\\]/.test(Function.prototype.toString.call(clearTimeout)), clearTimeout.name);
      out.push(Object.keys(window).filter((name) => /foveate/i.test(name)).length);
      out.push(typeof setTimeout(() => 0, 1), typeof window.setTimeout('1', 1));
      setTimeout(function (a, b) { out.push(this === window, a, b) }, 5, 'a', 'b');
      const cancelled = setTimeout(() => out.push('cancelled'), 5); clearTimeout(cancelled);
      setTimeout.call(window, () => out.push('called'), 6);
      setTimeout(() => out.push('text'), '7');
      try { setTimeout.call({}, () => 0, 1) } catch (error) { out.push(error.name) }
      setTimeout(() => { document.title = JSON.stringify(out) }, 40);
    </script>"""
    async with browser_env(site.page("/", script), viewport=(320, 240)) as env:
        observation = await env.reset()
        import json

        assert json.loads(observation.title or "") == [
            True, "setTimeout", 1, True, "clearTimeout", 0, "number", "number", "TypeError",
            True, "a", "b", "called", "text",
        ]  # fmt: skip
