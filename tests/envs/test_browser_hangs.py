"""A page whose script never ends: a step on it returns in time, every way out of it works, and a reset does."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from foveate.actions.schema import (
    Action,
    Back,
    Click,
    CloseTab,
    Key,
    Navigate,
    NewTab,
    Press,
    Reload,
    SwitchTab,
    TypeText,
)
from foveate.envs.base import ScreenObservation, Step
from foveate.envs.browser import BrowserEnv
from foveate.envs.settle import SettleConfig

pytestmark = pytest.mark.browser

Make = Callable[..., BrowserEnv]

BUDGET_S = 0.8
SLACK_S = 2.5  # of a machine under load; ways out that must replace a page have their own
FULL = """<style>body{margin:0;background:#fff}button{position:fixed;inset:0;background:#cde}</style><title>home</title>
<button onclick="%s">press</button>"""
HANGS = {
    "in the handler": "while (true) {}",
    "after the handler": "setTimeout(() => { while (true) {} })",
    "waiting for an answer": "const x = new XMLHttpRequest(); x.open('GET', '/never', false); x.send()",
}


def serve(site: Any, hang: str) -> str:
    site.page("/never", "late", delay_s=30.0)
    site.page("/other", "<title>other</title><body style='background:#0a0'>")
    return str(site.page("/", FULL % HANGS[hang]))


def hung(env: BrowserEnv) -> bool:
    return env._now().tabs.current.silent


async def timed(env: BrowserEnv, action: Action) -> tuple[Step, ScreenObservation, float]:
    began_s = time.monotonic()
    step = await env.step(action)
    assert isinstance(step.observation, ScreenObservation)
    return step, step.observation, time.monotonic() - began_s


def told(observation: ScreenObservation) -> bool:
    return any(event.kind == "unsettled" and "does not answer" in event.text for event in observation.events)


@pytest.mark.parametrize("hang", HANGS)
async def test_a_step_on_a_hung_page_returns_with_the_budget_its_last_frame_and_an_event(
    browser_env: Make, site: Any, hang: str
) -> None:
    env = browser_env(serve(site, hang), viewport=(320, 240), settle=SettleConfig(budget_s=BUDGET_S))
    async with env:
        press = Click(at=(await env.reset()).frame.from_input(100, 100))
        step, first, took_s = await timed(env, press)
        assert took_s < BUDGET_S + SLACK_S
        assert told(first)
        assert step.error is None  # the page has taken the press
        assert tuple(first.image[100, 30]) == (0xCC, 0xDD, 0xEE)
        assert await env.inspect(press) is None
        for action in (press, TypeText(text="a\tb\nc"), Press(keys=(Key.CONTROL, Key.A), presses=3)):
            _, again, took_s = await timed(env, action)
            assert took_s < BUDGET_S + SLACK_S, action.kind
            assert told(again), action.kind
        assert (await env.reset()).title == "home"


WAYS: dict[str, tuple[Action, str]] = {
    "navigate": (Navigate(url="/other"), "other"),
    "reload": (Reload(), "home"),
    "back": (Back(), "other"),
    "new_tab": (NewTab(), "about:blank"),
    "switch_tab": (SwitchTab(index=1), "second"),
    "close_tab": (CloseTab(), "second"),
}


@pytest.mark.parametrize(
    ("hang", "way"),
    [
        *(("in the handler", way) for way in WAYS),
        ("waiting for an answer", "back"),
        ("waiting for an answer", "reload"),
    ],
)
async def test_every_way_leads_out_of_a_hung_page(browser_env: Make, site: Any, hang: str, way: str) -> None:
    url = serve(site, hang)
    site.page("/second", "<title>second</title>")
    env = browser_env(url, viewport=(320, 240), settle=SettleConfig(budget_s=BUDGET_S))
    async with env:
        press = Click(at=(await env.reset()).frame.from_input(100, 100))
        if way in ("switch_tab", "close_tab"):
            await env.step(NewTab())
            await env.step(Navigate(url=site.url("/second")))
            await env.step(SwitchTab(index=0))
        if way == "back":
            await env.step(Navigate(url=site.url("/other")))
            await env.step(Navigate(url=url))
        await env.step(press)
        action, title = WAYS[way]
        if isinstance(action, Navigate):
            action = Navigate(url=site.url("/other"))
        step, out, took_s = await timed(env, action)
        assert step.error is None
        assert took_s < BUDGET_S + SLACK_S + 4
        assert not hung(env)
        assert out.title == title
        assert not told(out)
        await env.step(Navigate(url=site.url("/other")))
        assert env._now().tabs.current.title == "other"


async def test_input_that_the_page_owes_does_not_block_the_way_out(browser_env: Make, site: Any) -> None:
    env = browser_env(serve(site, "after the handler"), viewport=(320, 240), settle=SettleConfig(budget_s=BUDGET_S))
    async with env:
        press = Click(at=(await env.reset()).frame.from_input(100, 100))
        for _ in range(3):
            await env.step(press)
        step, out, _ = await timed(env, Navigate(url=site.url("/other")))
        assert step.error is None
        assert out.title == "other"


async def test_a_page_that_cannot_be_ended_is_replaced_in_its_place_and_its_lost_history_is_told(
    browser_env: Make, site: Any
) -> None:
    env = browser_env(serve(site, "waiting for an answer"), viewport=(320, 240), settle=SettleConfig(budget_s=BUDGET_S))
    async with env:
        press = Click(at=(await env.reset()).frame.from_input(100, 100))
        await env.step(NewTab())
        await env.step(SwitchTab(index=0))
        await env.step(press)
        _, out, _ = await timed(env, Navigate(url=site.url("/other")))
        assert (out.title, out.tab, out.tabs) == ("other", 0, ("other", "about:blank"))
        assert any(event.kind == "page_closed" and "history is lost" in event.text for event in out.events)


async def test_a_start_that_hangs_while_it_loads_is_an_empty_page_that_can_be_left(
    browser_env: Make, site: Any
) -> None:
    url = site.page("/", "<title>load</title>text<script>while (true) {}</script>")
    site.page("/other", "<title>other</title>")
    env = browser_env(url, viewport=(320, 240), settle=SettleConfig(budget_s=BUDGET_S))
    async with env:
        first = await env.reset()
        assert isinstance(first, ScreenObservation) and told(first)
        assert first.image.shape == (240, 320, 3)
        _, out, _ = await timed(env, Navigate(url=site.url("/other")))
        assert out.title == "other"
        _, again, took_s = await timed(env, Navigate(url=url))
        assert told(again) and took_s < BUDGET_S + SLACK_S
        assert again.image.min() == 255  # not the picture of the page before
        assert (await timed(env, Navigate(url=site.url("/other"))))[1].title == "other"


async def test_a_task_is_verified_though_its_page_hangs(browser_env: Make, site: Any) -> None:
    task = "<script>window.foveateTask = {instruction: 'x', done: () => window.pressed === 1}</script>"
    url = site.page("/", task + FULL % "window.pressed = 1; while (true) {}")
    env = browser_env(url, viewport=(320, 240), verify="page", settle=SettleConfig(budget_s=BUDGET_S))
    async with env:
        press = Click(at=(await env.reset()).frame.from_input(100, 100))
        assert await env.verify() is False
        await env.step(press)
        assert await env.verify() is True


async def test_a_handler_that_takes_its_time_is_no_hang(browser_env: Make, site: Any) -> None:
    slow = "const end = performance.now() + 1500; while (performance.now() < end); document.title = 'over'"
    async with browser_env(site.page("/", FULL % slow), viewport=(320, 240)) as env:
        press = Click(at=(await env.reset()).frame.from_input(100, 100))
        step, out, _ = await timed(env, press)
        assert (step.error, out.title, told(out)) == (None, "over", False)
