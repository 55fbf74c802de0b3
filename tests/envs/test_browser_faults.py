"""What happens to a browser that dies, hangs or is abandoned: a typed error in bounded time, and nothing is left."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from foveate.actions.errors import BrowserCrashed, ResetNeeded
from foveate.actions.schema import Click, Wait
from foveate.envs.browser import BrowserEnv

pytestmark = pytest.mark.browser

Make = Callable[..., BrowserEnv]

FULL = "<style>body{margin:0}button{position:fixed;inset:0;background:#ccc}</style><title>home</title>"


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def gone(pid: int, within_s: float = 10.0) -> bool:
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        if not await asyncio.to_thread(alive, pid):
            return True
        await asyncio.sleep(0.05)
    return False


async def kill_renderers(env: BrowserEnv) -> None:
    browser = env.page.context.browser
    assert browser is not None
    session = await browser.new_browser_cdp_session()
    for process in (await session.send("SystemInfo.getProcessInfo"))["processInfo"]:
        if process["type"] == "renderer":
            with contextlib.suppress(ProcessLookupError):
                os.kill(process["id"], signal.SIGKILL)


async def test_a_killed_renderer_is_a_crash_and_a_reset_brings_the_page_back(browser_env: Make, site) -> None:
    async with browser_env(site.page("/", FULL), viewport=(320, 240)) as env:
        observation = await env.reset()
        await kill_renderers(env)
        began_s = time.monotonic()
        with pytest.raises(BrowserCrashed, match="renderer died"):
            await env.step(Click(at=observation.frame.from_input(100, 100)))
        assert time.monotonic() - began_s < 10
        with pytest.raises(ResetNeeded):
            await env.step(Wait(duration_s=0.0))
        assert (await env.reset()).title == "home"
        assert (await env.step(Wait(duration_s=0.0))).error is None


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.3])
async def test_a_browser_killed_in_any_phase_of_a_step_is_a_crash(browser_env: Make, site, after_s: float) -> None:
    button = "<button onclick='fetch(`/slow`)'>slow</button>"
    site.page("/slow", "late", delay_s=5.0)
    async with browser_env(site.page("/", FULL + button), viewport=(320, 240)) as env:
        observation = await env.reset()
        assert env._chromium is not None
        pid = env._chromium.pid
        assert pid > 0
        timer = asyncio.get_running_loop().call_later(after_s, os.kill, pid, signal.SIGKILL)
        began_s = time.monotonic()
        with pytest.raises(BrowserCrashed, match="browser"):
            await env.step(Click(at=observation.frame.from_input(100, 100)))
            await env.step(Wait(duration_s=3.0))
        timer.cancel()
        assert time.monotonic() - began_s < 8
        assert (await env.reset()).title == "home"


async def test_a_browser_killed_while_a_page_loads_is_a_crash(browser_env: Make, site) -> None:
    site.page("/", "late", delay_s=8.0)
    async with browser_env(site.url("/"), viewport=(320, 240)) as env:
        assert env._chromium is not None
        timer = asyncio.get_running_loop().call_later(1.0, os.kill, env._chromium.pid, signal.SIGKILL)
        began_s = time.monotonic()
        with pytest.raises(BrowserCrashed):
            await env.reset()
        timer.cancel()
        assert time.monotonic() - began_s < 6


async def test_a_page_that_hangs_ends_with_the_budget_and_its_last_frame(browser_env: Make, site) -> None:
    from foveate.envs.settle import SettleConfig

    button = "<button onclick='while (true) {}'>hang</button>"
    env = browser_env(site.page("/", FULL + button), viewport=(320, 240), settle=SettleConfig(budget_s=1.0))
    async with env:
        observation = await env.reset()
        began_s = time.monotonic()
        step = await env.step(Click(at=observation.frame.from_input(100, 100)))
        assert time.monotonic() - began_s < 20
        assert "unsettled" in [event.kind for event in step.observation.events]
        assert step.observation.image.shape == observation.image.shape
        assert (await env.reset()).title == "home"


async def test_a_browser_that_does_not_start_is_not_blamed_on_the_sandbox(
    browser_env: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BrowserCrashed, match=r"/false did not start.*is it a Chromium") as error:
        await BrowserEnv(browser="false").open()
    assert "sandbox" not in str(error.value)
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(BrowserCrashed, match=r"no display.*leave --headed out"):
        await browser_env(headless=False).open()


async def test_an_error_of_the_browser_in_a_step_is_named(browser_env: Make, site) -> None:
    async with browser_env(site.page("/", FULL), viewport=(320, 240)) as env:
        await env.reset()
        tab = env._now().tabs.current
        tab.cast.stale = True
        await tab.session.detach()
        with pytest.raises(BrowserCrashed, match="the browser failed") as error:
            await env.step(Click(at=None))
        assert "episode has ended" not in str(error.value)


async def test_nothing_is_left_after_close(browser_env: Make, site) -> None:
    env = browser_env(site.page("/", FULL), viewport=(320, 240))
    await env.open()
    await env.reset()
    assert env._chromium is not None
    pid = env._chromium.pid
    assert await asyncio.to_thread(alive, pid)
    await env.close()
    assert await gone(pid)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    assert not tasks


async def test_a_cancelled_reset_leaves_an_environment_that_can_be_reset(browser_env: Make, site) -> None:
    site.page("/", FULL, delay_s=1.0)
    async with browser_env(site.url("/"), viewport=(320, 240)) as env:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await env.reset()
        assert (await env.reset()).title == "home"


PROGRAM = """
import asyncio, sys
from foveate.envs.browser import BrowserEnv
from foveate.actions.schema import Wait

async def main():
    async with BrowserEnv(sys.argv[1], browser=sys.argv[2], viewport=(320, 240)) as env:
        await env.reset()
        print(env._chromium.pid, flush=True)
        await env.step(Wait(duration_s=60))

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_nothing_is_left_when_our_process_dies(
    site, chromium: str, tmp_path: Path, number: signal.Signals
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        site.page("/", FULL),
        chromium,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        start_new_session=True,
    )
    assert process.stdout is not None
    pid = int(await asyncio.wait_for(process.stdout.readline(), 60))
    assert await asyncio.to_thread(alive, pid)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    await asyncio.wait_for(process.wait(), 30)
    assert await gone(pid)
    for _ in range(100):
        left = await asyncio.to_thread(lambda: [path.name for path in tmp_path.iterdir()])
        if not left:
            break
        await asyncio.sleep(0.05)
    assert left == []
