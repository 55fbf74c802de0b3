"""Texts of a page that echo a secret: masked before they are cut, however the browser wrote the value anew."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from foveate.actions.guard import Limits, Secret
from foveate.actions.schema import Click, Dialog, Navigate, SelectOption, SwitchTab, Wait
from foveate.envs.base import ScreenObservation, Step
from foveate.envs.browser import BrowserEnv

pytestmark = pytest.mark.browser

Make = Callable[..., BrowserEnv]

VALUE = 'Ge  heim:"7*ü'
LIMITS = Limits(secrets={"pw": Secret(VALUE, ("127.0.0.1",))})
FULL = "<style>body{margin:0}button,a,select{position:fixed;left:0;top:0;width:300px;height:40px}</style>"
SCRIPT = f"<script>const secret = {VALUE!r};</script>"


def spilt(text: object) -> bool:
    return "heim" in str(text).lower() or "Ge " in str(text)


async def opened(env: BrowserEnv) -> Click:
    return Click(at=(await env.reset()).frame.from_input(40, 20))


def seen(step: Step) -> ScreenObservation:
    assert isinstance(step.observation, ScreenObservation)
    return step.observation


async def test_a_value_at_the_place_where_a_name_is_cut_leaves_no_half(browser_env: Make, site: Any) -> None:
    body = f"""{FULL}{SCRIPT}<form action="/{"a" * 1950}"><button id=go></button></form><script>
    go.textContent = 'n'.repeat(192) + ' ' + secret + ' rest'; go.form.action += '?q=' + encodeURIComponent(secret);
    </script>"""
    async with browser_env(site.page("/", body), viewport=(320, 240), limits=LIMITS) as env:
        target = await env.inspect(await opened(env))
        assert target is not None and target.name is not None and target.form_address is not None
        assert target.name == "n" * 192 + " {{pw}} "
        assert len(target.form_address) <= 2000 and not spilt(target.form_address)


async def test_a_value_at_the_place_where_a_dialog_is_cut_leaves_no_half(browser_env: Make, site: Any) -> None:
    body = f"{FULL}{SCRIPT}<button onclick=\"alert('n'.repeat(3996) + secret + 'rest')\">go</button>"
    async with browser_env(site.page("/", body), viewport=(320, 240), limits=LIMITS) as env:
        press = await opened(env)
        held = seen(await env.step(press))
        assert held.dialog is not None and held.dialog.message == "n" * 3996 + "{{pw"
        assert not any(spilt(event.text) for event in held.events)
        assert not spilt(await env.inspect(press))
        await env.step(Dialog(accept=True))


async def test_a_drop_down_list_offers_and_tells_placeholders(browser_env: Make, site: Any) -> None:
    body = f"""{FULL}{SCRIPT}<title>none</title><select id=list onchange="document.title = 'chosen ' + secret">
    <option>one<option></select><script>list.options[1].text = 'as ' + secret;
    list.options[1].value = secret</script>"""
    async with browser_env(site.page("/", body), viewport=(320, 240), limits=LIMITS) as env:
        press = await opened(env)
        refused = await env.step(SelectOption(at=press.at, value="three"))
        assert refused.error is not None and "'as {{pw}}'" in refused.error and not spilt(refused.error)
        await env.step(press)
        rows = env._now().tabs.current.selects.open
        assert rows is not None and [row.label for row in rows.rows] == ["one", "as {{pw}}"]
        step = await env.step(SelectOption(at=press.at, value="as {{pw}}"))
        assert step.applied == SelectOption(at=press.at, value="as {{pw}}")
        assert seen(step).title == "chosen {{pw}}"
        assert await env.page.evaluate("list.value") == VALUE


async def test_a_download_is_called_by_the_placeholder(browser_env: Make, site: Any, tmp_path: Path) -> None:
    body = f"""{FULL}{SCRIPT}<a id=go>get</a><script>
    go.href = URL.createObjectURL(new Blob(['content'])); go.download = 'for ' + secret + '.txt'</script>"""
    folder = tmp_path / "downloads"
    async with browser_env(site.page("/", body), viewport=(320, 240), limits=LIMITS, downloads=folder) as env:
        events = list(seen(await env.step(await opened(env))).events)
        for _ in range(25):
            if any(event.kind == "download" for event in events):
                break
            events += seen(await env.step(Wait(duration_s=0.2))).events
        told = [event.text for event in events if event.kind == "download"]
        assert told == ["for {{pw}}.txt was downloaded (7 bytes)"]
        assert await asyncio.to_thread(lambda: [file.name for file in folder.iterdir()]) == ["for {{pw}}.txt"]


async def test_tabs_addresses_events_and_the_page_s_own_task_hold_no_value(browser_env: Make, site: Any) -> None:
    body = f"""{FULL}{SCRIPT}<title></title><script>
    document.title = 'as ' + secret;
    window.foveateTask = {{instruction: 'Sign in with ' + secret, done: () => true}};
    history.replaceState(0, '', '/?q=' + encodeURIComponent(encodeURIComponent(secret)) + '#' + secret);
    </script><button onclick="window.open('/other?q=' + encodeURIComponent(secret))">go</button>"""
    site.page("/other", "<title>other</title>")
    async with browser_env(site.page("/", body), viewport=(320, 240), limits=LIMITS) as env:
        press = await opened(env)
        assert env.instruction == "Sign in with {{pw}}"
        other = seen(await env.step(press))
        assert other.title == "other" and other.url == site.url("/other?q={{pw}}")
        assert other.tabs == ("as {{pw}}", "other")
        assert any("{{pw}}" in event.text for event in other.events)
        assert not any(spilt(event.text) for event in other.events)
        back = seen(await env.step(SwitchTab(index=0)))
        assert back.url == site.url("/?q={{pw}}#{{pw}}")


async def test_a_host_and_an_error_that_hold_a_value_tell_the_placeholder(browser_env: Make, site: Any) -> None:
    limits = Limits(secrets={"pw": Secret("Geheimnis-Ü", ("127.0.0.1",))})
    body = "<img src='http://Geheimnis-Ü.outside.example/x'>"
    async with browser_env(site.page("/", body), viewport=(320, 240), limits=limits) as env:
        first = await env.reset()
        events = [*first.events, *(await env.step(Wait(duration_s=0.3))).observation.events]
        assert any("to {{pw}}.outside.example" in event.text for event in events)
        assert list(env.blocked()) == ["{{pw}}.outside.example"]
        step = await env.step(Navigate(url="http://outside.example/?q=Geheimnis-%C3%9C"))
        assert step.error is not None and "eheimnis" not in step.error
