"""What a browser must keep to, each rule by itself: secrets in addresses, proxies, timers, videos, its kinds."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from foveate.actions.guard import Limits, Secret
from foveate.actions.schema import (
    BROWSER_KINDS,
    EMBODIED_KINDS,
    KEYBOARD_KINDS,
    LOOP_KINDS,
    POINTER_KINDS,
    Click,
    Dialog,
    Key,
    Navigate,
    Press,
    TypeText,
    Wait,
)
from foveate.envs.browser import BrowserEnv
from foveate.envs.settle import SettleConfig

Make = Callable[..., BrowserEnv]

FULL = "<style>body{margin:0}button,a{position:fixed;left:0;top:0;width:320px;height:100px}</style>"


def test_a_browser_offers_what_a_browser_can_do_and_nothing_of_a_body() -> None:
    assert BrowserEnv.action_kinds == POINTER_KINDS | KEYBOARD_KINDS | BROWSER_KINDS | LOOP_KINDS | {"wait"}
    assert not BrowserEnv.action_kinds & EMBODIED_KINDS


def test_a_first_change_has_a_quarter_of_a_second_and_everything_five_seconds() -> None:
    assert (SettleConfig().onset_s, SettleConfig().budget_s) == (0.25, 5.0)


@pytest.mark.browser
async def test_a_secret_that_a_page_puts_into_its_address_and_title_is_replaced_there(
    browser_env: Make, site: Any
) -> None:
    body = f"""{FULL}<style>input{{position:fixed;left:0;top:120px;width:200px;height:30px}}</style><input oninput="
    document.title = 't ' + this.value; history.replaceState(0, '', '?q=' + this.value); go.href = '/next?q=' +
    this.value"><a id=go>go</a>"""
    site.page("/next", "<title>next</title>")
    limits = Limits(secrets={"word": Secret("sesame", ("127.0.0.1",))})
    async with browser_env(site.page("/", body), viewport=(320, 240), limits=limits) as env:
        frame = (await env.reset()).frame
        await env.step(Click(at=frame.from_input(50, 135)))
        typed = (await env.step(TypeText(text="{{word}}"))).observation
        assert env.page.url.endswith("?q=sesame")
        assert typed.url == site.url("/?q={{word}}")  # type: ignore[attr-defined]
        assert (typed.title, typed.tabs) == ("t {{word}}", ("t {{word}}",))  # type: ignore[attr-defined]
        gone = (await env.step(Click(at=frame.from_input(50, 50)))).observation
        assert "/next?q=sesame" in site.asked
        assert [event.text for event in gone.events] == [f"the page is now {site.url('/next?q={{word}}')}"]


@pytest.mark.browser
async def test_a_proxy_that_the_machine_names_is_never_asked_for_a_host_outside(
    browser_env: Make, site: Any, foreign: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, foreign.url(""))
    limits = Limits(allow=("127.0.0.1", "127.0.0.2"))
    page = site.page("/", "<img src=http://outside.example/image>")
    async with browser_env(page, viewport=(320, 240), limits=limits) as env:
        await env.reset()
        await env.step(Wait(duration_s=0.3))
        assert foreign.asked == []
        assert env.blocked()["outside.example"] >= 1


@pytest.mark.browser
@pytest.mark.parametrize(
    ("when", "script"),
    [
        ("due beyond the onset limit", "<script>press.onclick = () => setTimeout(late, 1900)</script>"),
        ("set before the action", "<script>press.onmouseover = () => setTimeout(late, 1900)</script>"),
    ],
)
async def test_a_timer_that_is_not_waited_for_holds_nothing_up(
    browser_env: Make, site: Any, when: str, script: str
) -> None:
    body = f"{FULL}<button id=press>press</button><script>const late = () => {{ document.title = 'late' }}</script>"
    async with browser_env(site.page("/", body + script), viewport=(320, 240)) as env:
        frame = (await env.reset()).frame
        step = await env.step(Click(at=frame.from_input(50, 50)))
        assert step.observation.title != "late", when  # type: ignore[attr-defined]
        assert step.observation.timing_ms["settle"] < 1500
        step = await env.step(Press(keys=(Key.F2,)))
        assert step.observation.timing_ms["settle"] < 1000


@pytest.mark.browser
@pytest.mark.parametrize("held", ["alert('x')", "confirm('x')", "prompt('x')"])
async def test_an_input_that_opens_a_dialog_is_not_waited_for(browser_env: Make, site: Any, held: str) -> None:
    body = f'{FULL}<button onclick="{held}">press</button>'
    async with browser_env(site.page("/", body), viewport=(320, 240)) as env:
        frame = (await env.reset()).frame
        observation = (await env.step(Click(at=frame.from_input(50, 50)))).observation
        assert observation.dialog is not None  # type: ignore[attr-defined]
        assert observation.timing_ms["dispatch"] < 3000
        answered = (await env.step(Dialog(accept=False))).observation
        assert answered.dialog is None  # type: ignore[attr-defined]


@pytest.mark.browser
@pytest.mark.parametrize("opened", ["fetch('{}')", "new EventSource('{}')"])
async def test_a_stream_that_an_action_opens_is_not_waited_for(browser_env: Make, site: Any, opened: str) -> None:
    over, asked = asyncio.Event(), asyncio.Event()

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nAccess-Control-Allow-Origin: *\r\n\r\n"
        writer.write(f"{head}data: 1\n\n".encode())
        await writer.drain()
        asked.set()
        await over.wait()
        writer.close()

    async with await asyncio.start_server(stream, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        body = f'{FULL}<button onclick="{opened.format(address)}">press</button>'
        async with browser_env(site.page("/", body), viewport=(320, 240)) as env:
            frame = (await env.reset()).frame
            observation = (await env.step(Click(at=frame.from_input(50, 50)))).observation
            await asyncio.wait_for(asked.wait(), 10)
            assert "unsettled" not in [event.kind for event in observation.events]
            assert observation.timing_ms["settle"] < 3000
        over.set()


@pytest.mark.browser
async def test_a_beacon_is_not_waited_for(browser_env: Make, site: Any) -> None:
    site.page("/slow", "late", delay_s=4.0)
    body = f"{FULL}<button onclick=\"navigator.sendBeacon('/slow', 'x')\">press</button>"
    async with browser_env(site.page("/", body), viewport=(320, 240)) as env:
        frame = (await env.reset()).frame
        observation = (await env.step(Click(at=frame.from_input(50, 50)))).observation
        assert observation.timing_ms["settle"] < 2500
        assert "/slow" in site.asked


@pytest.mark.browser
async def test_a_task_whose_page_was_left_is_denied_and_not_merely_unknown(browser_env: Make, site: Any) -> None:
    script = "<script>window.foveateTask = {instruction: 'Press', done: () => true}</script>"
    site.page("/other", "other")
    async with browser_env(site.page("/", FULL + script), viewport=(320, 240), verify="page") as env:
        await env.reset()
        assert await env.verify() is True
        await env.step(Navigate(url=site.url("/other")))
        assert await env.verify() is False


@pytest.mark.browser
async def test_a_chord_is_pressed_as_often_as_it_says(browser_env: Make, site: Any) -> None:
    body = f"{FULL}<button onclick='field.focus()'>go</button><br><input id=field value=abcde>"
    async with browser_env(site.page("/", body), viewport=(320, 240)) as env:
        frame = (await env.reset()).frame
        await env.step(Click(at=frame.from_input(50, 50)))
        await env.step(Press(keys=(Key.END,)))
        await env.step(Press(keys=(Key.BACKSPACE,), presses=3))
        assert await env.page.evaluate("field.value") == "ab"


VIDEO = f"""{FULL}<style>video{{position:fixed;left:0;top:120px;width:100px;height:100px}}
#mark{{position:fixed;left:200px;top:150px;width:50px;height:50px;background:#eee}}</style>
<button onclick="mark.style.background = '#0a0'">press</button><div id=mark></div><video id=video muted></video><script>
const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
let shade = 0;
(function play() {{ pen.fillStyle = `rgb(${{shade = (shade + 37) % 256}},0,0)`; pen.fillRect(0, 0, 300, 300);
  requestAnimationFrame(play) }})();
video.srcObject = canvas.captureStream(30);
video.play();
</script>"""


@pytest.mark.browser
async def test_a_playing_video_neither_delays_nor_hides_an_effect(browser_env: Make, site: Any) -> None:
    async with browser_env(site.page("/", VIDEO), viewport=(320, 240)) as env:
        frame = (await env.reset()).frame
        await env.step(Wait(duration_s=0.8))
        assert await env.page.evaluate("!video.paused && video.currentTime > 0")
        step = await env.step(Click(at=frame.from_input(50, 50)))
        assert tuple(step.observation.image[175, 225]) == (0, 170, 0)
        assert step.observation.timing_ms["settle"] < 1000
        assert "unsettled" not in [event.kind for event in step.observation.events]
