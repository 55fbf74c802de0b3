"""A real Chromium as an environment: starts, sizes, tabs, navigation, the page's own word."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from foveate.actions.errors import (
    EnvClosed,
    MissingDependency,
    NavigationFailed,
    ResetNeeded,
    UsageError,
)
from foveate.actions.schema import Back, Click, CloseTab, Forward, Navigate, NewTab, Reload, SwitchTab, Wait
from foveate.envs.address import check_start, start_address
from foveate.envs.base import Viewport
from foveate.envs.browser import BrowserEnv
from foveate.envs.check import check_env
from foveate.envs.chromium import find_chromium

pytestmark = pytest.mark.browser

Make = Callable[..., BrowserEnv]

FULL = "<style>body{margin:0}a,button{position:fixed;inset:0;background:#ccc}</style>"


def kinds(observation: object) -> list[str]:
    return [event.kind for event in observation.events]  # type: ignore[attr-defined]


async def press(env: BrowserEnv, observation: object) -> object:
    return (await env.step(Click(at=observation.frame.from_input(100, 100)))).observation  # type: ignore[attr-defined]


async def test_it_keeps_the_contract_of_every_environment(browser_env: Make, site) -> None:
    await check_env(browser_env(site.page("/", "<title>x</title>hello")), actions=[Reload()])


async def test_its_constructor_does_nothing_but_fill_in_the_limits() -> None:
    env = BrowserEnv("https://www.example.org/start", browser="/no/such/program")
    assert env.limits.allow == ("example.org",)
    with pytest.raises(EnvClosed):
        await env.reset()
    with pytest.raises(EnvClosed):
        _ = env.page


async def test_a_file_is_opened_with_its_query_and_fragment(browser_env: Make, tmp_path: Path) -> None:
    page = tmp_path / "a page.html"
    await asyncio.to_thread(page.write_text, "<title>query</title><script>document.title = location.search</script>")
    async with browser_env(f"{page}?seed=3#top") as env:
        observation = await env.reset()
        assert observation.title == "?seed=3"
        assert observation.url == f"{page.as_uri()}?seed=3#top"
        assert observation.events == ()


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("https://example.org/a?b=c", "https://example.org/a?b=c"),
        ("/tmp/x.html", "file:///tmp/x.html"),
        ("/tmp/x y.html?seed=1&z=2", "file:///tmp/x%20y.html?seed=1&z=2"),
        ("/tmp/x.html#part", "file:///tmp/x.html#part"),
        ("file:///tmp/x.html", "file:///tmp/x.html"),
    ],
)
def test_a_start_is_an_address_or_a_path(given: str, address: str) -> None:
    assert start_address(given) == address


def test_a_file_whose_name_holds_a_question_mark_is_given_as_an_address(tmp_path: Path) -> None:
    file = tmp_path / "a#b?c.html"
    file.write_text("x")
    with pytest.raises(UsageError, match=f"is given as an address: {file.as_uri()}"):
        check_start(str(file), start_address(str(file)))
    check_start(file.as_uri(), start_address(file.as_uri()))


async def test_a_file_that_is_not_there_is_named(browser_env: Make, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.html: there is no such file"):
        await browser_env(str(tmp_path / "nothing.html")).open()


async def test_an_unreachable_start_names_the_address_and_the_reason(browser_env: Make, site) -> None:
    address = site.url("/")
    site.close()
    async with browser_env(address) as env:
        with pytest.raises(NavigationFailed, match=rf"{address} did not load: connection refused"):
            await env.reset()
        with pytest.raises(ResetNeeded):
            await env.step(Wait(duration_s=0.0))


async def test_a_start_that_is_a_download_is_named_as_one(browser_env: Make, tmp_path: Path) -> None:
    script = tmp_path / "script.sh"
    script.write_text("echo hello")
    async with browser_env(str(script)) as env:
        with pytest.raises(NavigationFailed, match=r"script\.sh did not load: it is a file to download, no page"):
            await env.reset()


async def test_a_browser_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--browser /no/such"):
        await BrowserEnv(browser="/no/such").open()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependency, match=r"apt install chromium.*playwright install chromium"):
        find_chromium(None, str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("width", "height", "scale"), [(1280, 720, 1.0), (1366, 768, 1.25), (800, 600, 1.5), (333, 477, 2.0)]
)
async def test_the_frame_measures_the_image_at_every_scale(
    browser_env: Make, site, width: int, height: int, scale: float
) -> None:
    url = site.page(
        "/",
        "<style>body{margin:0;background:#fff}#b{position:fixed;right:0;bottom:0;width:10px;height:10px;background:#f00}"
        "</style><div id=b></div><script>b.onclick = () => { b.style.background = '#00f' }</script>",
    )
    async with browser_env(url, viewport=(width, height), device_scale_factor=scale) as env:
        observation = await env.reset()
        frame, image = observation.frame, observation.image
        assert frame.extent == (width, height)
        assert abs(frame.width - width * scale) < 1
        assert abs(frame.height - height * scale) < 1
        assert await env.page.evaluate("[devicePixelRatio, innerWidth, innerHeight]") == [scale, width, height]
        assert tuple(image[-2, -2]) == (255, 0, 0)
        assert tuple(image[-2 - int(10 * scale), -2]) == (255, 255, 255)
        after = (await env.step(Click(at=frame.from_input(width - 5, height - 5)))).observation
        assert after.frame == frame
        assert tuple(after.image[-2, -2]) == (0, 0, 255)
        assert after.changed == pytest.approx(100 * scale**2 / (width * height * scale**2), rel=0.1)


async def test_the_policy_sizes_the_page_only_where_the_user_did_not(browser_env: Make) -> None:
    async with browser_env() as env:
        assert (await env.reset()).frame.extent == (1280, 720)
        observation = await env.reset(viewport=Viewport(320, 320, 1.4))
        assert observation.frame.extent == (320, 320)
        assert observation.image.shape == (448, 448, 3)
    async with browser_env(viewport=(640, 480)) as env:
        assert (await env.reset(viewport=Viewport(320, 320, 1.4))).image.shape == (480, 640, 3)


async def test_a_popup_becomes_current_and_its_opener_again_when_it_closes(browser_env: Make, site) -> None:
    site.page("/popup", f"{FULL}<title>popup</title><button onclick='window.close()'>close</button>")
    url = site.page("/", f"{FULL}<title>home</title><button onclick=\"window.open('/popup')\">open</button>")
    async with browser_env(url, viewport=(320, 240)) as env:
        opened = await press(env, await env.reset())
        assert "new_page" in kinds(opened)
        assert (opened.title, opened.tabs, opened.tab) == ("popup", ("home", "popup"), 1)
        closed = await press(env, opened)
        assert "page_closed" in kinds(closed)
        assert (closed.title, closed.tabs, closed.tab) == ("home", ("home",), 0)
        again = await press(env, closed)
        assert again.title == "popup"


async def test_a_link_to_a_blank_target_is_followed(browser_env: Make, site) -> None:
    site.page("/next", "<title>next</title><body style='background:#0a0'>")
    url = site.page("/", f"{FULL}<title>home</title><a target=_blank rel=noopener href=/next>go</a>")
    async with browser_env(url, viewport=(320, 240)) as env:
        opened = await press(env, await env.reset())
        assert "new_page" in kinds(opened)
        assert opened.title == "next"
        assert tuple(opened.image[200, 200]) == (0, 170, 0)


async def test_tabs_are_opened_switched_and_closed(browser_env: Make, site) -> None:
    async with browser_env(site.page("/", "<title>home</title>"), viewport=(320, 240)) as env:
        await env.reset()
        opened = (await env.step(NewTab())).observation
        assert (opened.tab, len(opened.tabs)) == (1, 2)
        assert (await env.step(Navigate(url=site.page("/two", "<title>two</title>")))).observation.title == "two"
        assert (await env.step(SwitchTab(index=0))).observation.title == "home"
        assert (await env.step(SwitchTab(index=5))).error == "UnsupportedAction: there is no tab 5: the tabs are 0 to 1"
        assert (await env.step(CloseTab())).observation.title == "two"
        assert (await env.step(CloseTab())).error == "UnsupportedAction: the last tab cannot be closed"


async def test_history_is_travelled_and_its_ends_are_errors(browser_env: Make, site) -> None:
    url = site.page("/", "<title>one</title>")
    async with browser_env(url, viewport=(320, 240)) as env:
        await env.reset()
        assert (await env.step(Back())).error == "UnsupportedAction: there is no page to go back to"
        step = await env.step(Navigate(url=site.page("/two", "<title>two</title>")))
        assert kinds(step.observation) == ["navigation"]
        assert step.observation.title == "two"
        assert (await env.step(Back())).observation.title == "one"
        assert (await env.step(Forward())).observation.title == "two"
        assert (await env.step(Forward())).error == "UnsupportedAction: there is no page to go forward to"
        asked = len(site.asked)
        assert (await env.step(Reload())).observation.title == "two"
        assert len(site.asked) > asked


async def test_a_dead_link_is_an_event(browser_env: Make, site) -> None:
    url = site.page("/", f"{FULL}<a href='http://127.0.0.1:1/gone'>dead</a>")
    async with browser_env(url, viewport=(320, 240)) as env:
        after = await press(env, await env.reset())
        assert "navigation_failed" in kinds(after)
        assert (await env.step(Back())).observation.url == url


async def test_a_page_in_a_frame_and_a_shadow_root_is_clicked_by_pixels(browser_env: Make, site) -> None:
    site.page("/inner", f"{FULL}<button onclick=\"this.style.background='#00f'\">in</button>")
    shadow = (
        "<div id=host style='position:fixed;left:200px;top:0;width:100px;height:100px'></div><script>"
        "host.attachShadow({mode: 'closed'}).innerHTML = `<button style='width:100px;height:100px' "
        "onclick=\"this.style.background='#f00'\"></button>`</script>"
    )
    frame = "<iframe src=/inner style='position:fixed;left:0;top:0;width:180px;height:200px;border:0'></iframe>"
    async with browser_env(site.page("/", frame + shadow), viewport=(320, 240)) as env:
        observation = await env.reset()
        step = await env.step(Click(at=observation.frame.from_input(50, 50)))
        assert tuple(step.observation.image[150, 150]) == (0, 0, 255)
        step = await env.step(Click(at=observation.frame.from_input(250, 50)))
        assert tuple(step.observation.image[20, 250]) == (255, 0, 0)


async def test_the_page_says_what_to_do_and_whether_it_is_done(browser_env: Make, site) -> None:
    script = "<script>window.foveateTask = {instruction: 'Press', done: () => window.pressed === 1}</script>"
    url = site.page("/", f"{FULL}{script}<button onclick='window.pressed = 1'>press</button>")
    async with browser_env(url, viewport=(320, 240), verify="page") as env:
        observation = await env.reset()
        assert env.instruction == "Press"
        assert await env.verify() is False
        await press(env, observation)
        assert await env.verify() is True
        await env.step(Navigate(url=site.page("/other", "other")))
        assert not await env.verify()
    async with browser_env(url) as env:
        await env.reset()
        assert await env.verify() is None


async def test_an_observation_is_read_only_and_carries_the_bytes_it_was_captured_as(browser_env: Make, site) -> None:
    from foveate.envs.capture import decode

    async with browser_env(site.page("/", "<h1>hello</h1>"), viewport=(320, 240)) as env:
        observation = await env.reset()
        with pytest.raises(ValueError, match="read-only"):
            observation.image[0, 0] = 0
        assert observation.encoded is not None
        assert np.array_equal(decode(observation.encoded.data), observation.image)
        assert set(observation.timing_ms) == {"dispatch", "settle", "capture"}


async def test_an_episode_starts_without_what_the_last_one_left(browser_env: Make, site) -> None:
    url = site.page("/", "<script>document.title = localStorage.n = +(localStorage.n || 0) + 1</script>")
    async with browser_env(url, viewport=(320, 240)) as env:
        assert (await env.reset()).title == "1"
        assert (await env.step(Reload())).observation.title == "2"
        assert (await env.reset()).title == "1"
