"""Dialogs, masks and secrets as an episode sees them."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from foveate.actions.geometry import PixelBox, Point
from foveate.actions.guard import Limits, Secret
from foveate.actions.schema import Click, Dialog, Key, Move, Press, SelectOption, TypeText, Upload, Wait
from foveate.envs.base import Step
from foveate.envs.browser import BrowserEnv

pytestmark = pytest.mark.browser

Make = Callable[..., BrowserEnv]

PAGE = """<style>body{margin:0}#press{position:fixed;left:0;top:0;width:400px;height:60px}
#field{position:fixed;left:0;top:80px;width:200px;height:30px}</style>
<button id=press onclick="%s">press</button><input id=field><title>home</title>"""


def find_button(env: BrowserEnv, accept: bool) -> Point:
    layout = env._now()._overlays._layout
    assert layout is not None
    box = layout.accept if accept else layout.dismiss
    assert box is not None
    frame = env._now()._frame
    assert frame is not None
    return Point((box.left + box.right) / 2 / frame.width, (box.top + box.bottom) / 2 / frame.height)


@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0])
async def test_a_dialog_is_drawn_and_a_click_on_it_answers(browser_env: Make, site, scale: float) -> None:
    url = site.page("/", PAGE % "document.title = String(confirm('Sure?'))")
    async with browser_env(url, viewport=(480, 320), device_scale_factor=scale) as env:
        first = await env.reset()
        press = Click(at=first.frame.from_input(100, 30))
        for accept in (True, False):
            held = (await env.step(press)).observation
            assert [event.kind for event in held.events] == ["dialog"]
            assert held.dialog is not None
            assert (held.dialog.kind, held.dialog.message) == ("confirm", "Sure?")
            assert held.frame == first.frame
            assert held.encoded is None
            assert (await env.inspect(press)).role == "dialog"
            assert "a dialog waits" in ((await env.step(Click(at=Point(0.01, 0.99)))).error or "")
            assert "a dialog waits" in ((await env.step(Move(at=Point(0.5, 0.5)))).error or "")
            step = await env.step(Click(at=find_button(env, accept)))
            assert step.applied == Dialog(accept=accept)
            assert step.observation.dialog is None
            assert step.observation.title == ("true" if accept else "false")


async def test_a_prompt_is_typed_into_and_answered_with_enter(browser_env: Make, site) -> None:
    url = site.page("/", PAGE % "document.title = prompt('Name?', 'nobody')")
    async with browser_env(url, viewport=(480, 320)) as env:
        press = Click(at=(await env.reset()).frame.from_input(100, 30))
        before = (await env.step(press)).observation
        after = (await env.step(TypeText(text="Ada"))).observation
        assert after.changed is not None and after.changed > 0
        assert after.dialog == before.dialog
        step = await env.step(Press(keys=(Key.ENTER,)))
        assert step.observation.title == "Ada"
        await env.step(press)
        assert (await env.step(Dialog(accept=True, text="Bob"))).observation.title == "Bob"
        assert (await env.step(Dialog(accept=True))).error == "UnsupportedAction: no dialog waits for an answer"


async def test_a_page_that_opens_with_a_dialog_can_be_begun(browser_env: Make, site) -> None:
    async with browser_env(
        site.page("/", "<script>alert('hello')</script><title>home</title>"), viewport=(480, 320)
    ) as env:
        observation = await env.reset()
        assert observation.dialog is not None
        assert (await env.step(Dialog(accept=True))).observation.title == "home"


async def test_a_popup_that_opens_with_a_dialog_is_followed(browser_env: Make, site) -> None:
    site.page("/popup", "<script>alert('hello')</script><title>popup</title>")
    async with browser_env(site.page("/", PAGE % "window.open('/popup')"), viewport=(480, 320)) as env:
        step = await env.step(Click(at=(await env.reset()).frame.from_input(100, 30)))
        if step.observation.dialog is None:
            step = await env.step(Wait(duration_s=0.5))
        assert step.observation.dialog is not None
        assert (await env.step(Dialog(accept=True))).observation.title == "popup"


async def test_leaving_a_page_may_be_asked_about(browser_env: Make, site) -> None:
    script = "<script>onbeforeunload = (event) => event.preventDefault()</script>"
    url = site.page("/", PAGE % "location = '/next'" + script)
    site.page("/next", "<title>next</title>")
    async with browser_env(url, viewport=(480, 320)) as env:
        press = Click(at=(await env.reset()).frame.from_input(100, 30))
        held = (await env.step(press)).observation
        assert held.dialog is not None and held.dialog.kind == "beforeunload"
        assert (await env.step(Dialog(accept=False))).observation.title == "home"
        await env.step(press)
        assert (await env.step(Dialog(accept=True))).observation.title == "next"


async def test_a_sign_in_of_the_start_is_a_dialog(browser_env: Make, site) -> None:
    site.page("/", "<title>secret</title>", credentials="ada:lovelace")
    async with browser_env(site.url("/"), viewport=(480, 320)) as env:
        held = await env.reset()
        assert held.dialog is not None and held.dialog.kind == "sign_in"
        assert (await env.step(Dialog(accept=True, text="ada:lovelace"))).observation.title == "secret"


async def sign_in(env: BrowserEnv, press: Click) -> Step:
    """Press what leads to a sign-in, and answer it."""
    held = (await env.step(press)).observation
    for _ in range(5):
        if held.dialog is None:
            held = (await env.step(Wait(duration_s=0.2))).observation
    assert held.dialog is not None and held.dialog.kind == "sign_in"
    step = await env.step(Dialog(accept=True, text="ada:lovelace"))
    assert step.error is None
    return step


SIGN_INS = {
    "link": ("location = '{}'", ("secret",)),
    "popup": ("window.open('{}')", ("home", "secret")),
    "fetch": ("fetch('{}').then((r) => {{ document.title += r.status }})", ("home200",)),
    "fetch twice": ("for (const _ of '12') fetch('{}').then((r) => {{ document.title += r.status }})", ("home200200",)),
    "frame": ("inner.onload = () => {{ document.title = inner.contentDocument.title }}; inner.src = '{}'", ("secret",)),
}


@pytest.mark.parametrize(
    ("kind", "start"), [*((kind, "address") for kind in SIGN_INS), ("link", "file"), ("popup", "file")]
)
async def test_a_sign_in_is_a_dialog_wherever_it_comes_from(
    browser_env: Make, site, tmp_path: Path, kind: str, start: str
) -> None:
    site.page("/secret", "<title>secret</title>", credentials="ada:lovelace")
    script, tabs = SIGN_INS[kind]
    act = f"<script>const act = () => {{ {script.format(site.url('/secret'))} }}</script>"
    page = (PAGE % "act()") + "<iframe id=inner></iframe>" + act
    url = site.page("/", page)
    if start == "file":
        await asyncio.to_thread((tmp_path / "page.html").write_text, page)
        url = str(tmp_path / "page.html")
    async with browser_env(url, viewport=(480, 320)) as env:
        step = await sign_in(env, Click(at=(await env.reset()).frame.from_input(100, 30)))
        for _ in range(5):
            if step.observation.tabs != tabs:
                step = await env.step(Wait(duration_s=0.2))
        assert step.observation.dialog is None
        assert step.observation.tabs == tabs


async def test_a_sign_in_that_is_cancelled_holds_nothing_up(browser_env: Make, site) -> None:
    site.page("/secret", "<title>secret</title>", credentials="ada:lovelace")
    async with browser_env(site.page("/", PAGE % "window.open('/secret')"), viewport=(480, 320)) as env:
        press = Click(at=(await env.reset()).frame.from_input(100, 30))
        asked = await env.step(press)
        assert asked.observation.dialog is not None
        step = await env.step(Dialog(accept=False))
        assert step.observation.dialog is None
        told = [event.kind for each in (asked, step) for event in each.observation.events]
        assert told.count("new_page") == 1  # before the answer or after it, as the browser has it
        assert "secret" not in step.observation.tabs


async def test_verify_gets_a_dialog_out_of_the_way(browser_env: Make, site) -> None:
    task = "<script>window.foveateTask = {instruction: 'x', done: () => window.pressed === 1}</script>"
    url = site.page("/", PAGE % "window.pressed = 1; alert('saved')" + task)
    async with browser_env(url, viewport=(480, 320), verify="page") as env:
        await env.step(Click(at=(await env.reset()).frame.from_input(100, 30)))
        assert await env.verify() is True


async def test_masked_regions_and_secrets_are_black_and_a_secret_goes_where_it_belongs(browser_env: Make, site) -> None:
    limits = Limits(
        masks=(PixelBox(300, 200, 320, 220),),
        secrets={"word": Secret("sesame", ("127.0.0.1",)), "other": Secret("x", ("example.org",))},
    )
    async with browser_env(site.page("/", PAGE % ""), viewport=(480, 320), limits=limits) as env:
        observation = await env.reset()
        assert not observation.image[200:220, 300:320].any()
        assert observation.image[230, 310].any()
        assert observation.encoded is None
        field = Click(at=observation.frame.from_input(50, 95))
        await env.step(field)
        step = await env.step(TypeText(text="{{word}}"))
        assert step.applied == TypeText(text="{{word}}")
        assert await env.page.evaluate("field.value") == "sesame"
        assert not step.observation.image[85:105, 10:150].any()
        refused = await env.step(TypeText(text="{{other}}"))
        assert refused.error is not None and "does not belong" in refused.error


SELECT = """<style>body{margin:0}select{position:fixed;left:20px;top:20px;width:160px;height:30px}</style>
<select id=list onchange="document.title = this.value"><option value=r>Red<option value=g>Green<option value=b>Blue
</select>
<title>none</title>"""


@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0])
async def test_an_open_list_is_drawn_and_a_click_on_an_option_chooses_it(browser_env: Make, site, scale: float) -> None:
    async with browser_env(site.page("/", SELECT), viewport=(320, 240), device_scale_factor=scale) as env:
        first = await env.reset()
        opened = (await env.step(Click(at=first.frame.from_input(60, 35)))).observation
        assert "select_open" in [event.kind for event in opened.events]
        shown = env._now().tabs.current.selects.open
        assert shown is not None and shown.box is not None
        box = shown.box
        third = Point((box.left + box.right) / 2 / opened.frame.width, (box.bottom - 8 * scale) / opened.frame.height)
        step = await env.step(Click(at=third))
        assert isinstance(step.applied, SelectOption)
        assert step.applied.value == "Blue"
        assert step.observation.title == "b"


async def test_an_option_is_selected_by_its_label(browser_env: Make, site) -> None:
    async with browser_env(site.page("/", SELECT), viewport=(320, 240)) as env:
        at = (await env.reset()).frame.from_input(60, 35)
        step = await env.step(SelectOption(at=at, value="Green"))
        assert step.observation.title == "g"
        assert (await env.step(SelectOption(at=at, value="Pink"))).error is not None


async def test_a_named_file_is_uploaded_and_what_a_page_sends_is_kept(browser_env: Make, site, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    await asyncio.to_thread(note.write_text, "hello")
    site.page("/file", "")
    site.pages["/file"].body = "content"
    site.pages["/file"].headers = {"Content-Disposition": "attachment; filename=a.bin", "Content-Type": "text/x-data"}
    body = """<style>body{margin:0}input,a{position:fixed;left:0;width:300px;height:40px}a{top:80px}</style>
    <input type=file id=field onchange="document.title = this.files[0].name"><a href=/file>get</a>"""
    limits, folder = Limits(files=(str(note),)), tmp_path / "downloads"
    async with browser_env(site.page("/", body), viewport=(320, 240), limits=limits, downloads=folder) as env:
        frame = (await env.reset()).frame
        asked = await env.step(Click(at=frame.from_input(40, 20)))
        assert "file_chooser" in [event.kind for event in asked.observation.events]
        assert (await env.step(Upload(paths=("note.txt",)))).observation.title == "note.txt"
        assert (await env.step(Upload(paths=("other.txt",)))).error is not None
        events = list((await env.step(Click(at=frame.from_input(40, 100)))).observation.events)
        for _ in range(10):
            if any(event.kind == "download" for event in events):
                break
            events += (await env.step(Wait(duration_s=0.2))).observation.events
        assert "a.bin was downloaded (7 bytes)" in [event.text for event in events]
        assert await asyncio.to_thread((folder / "a.bin").read_text) == "content"
