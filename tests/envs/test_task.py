"""A page's own task is read whatever the page has made of its built-ins."""

from collections.abc import Callable
from typing import Any

import pytest

from foveate.envs.browser import BrowserEnv

pytestmark = pytest.mark.browser

Make = Callable[..., BrowserEnv]

BROKEN = """<script>
  const fail = () => { throw new Error('broken') };
  window.foveateTask = {instruction: 'Press', done: %s};
  for (const name of ['bind', 'call', 'apply', 'toString']) Function.prototype[name] = fail;
  for (const name of ['map', 'push', 'slice', 'forEach', 'filter', 'join', 'includes', 'indexOf', 'some', 'values'])
    Array.prototype[name] = fail;
  Array.prototype[Symbol.iterator] = fail;
  for (const name of ['get', 'set', 'has', 'delete', 'values', 'entries', 'forEach']) Map.prototype[name] = fail;
  for (const name of ['keys', 'entries', 'assign', 'defineProperty', 'getOwnPropertyNames', 'create', 'freeze'])
    Object[name] = fail;
  JSON.stringify = JSON.parse = fail;
  for (const name of ['Map', 'WeakMap', 'Set', 'Object', 'Promise', 'JSON', 'Array', 'Function', 'String', 'Boolean',
    'Error', 'Reflect', 'Proxy', 'Symbol', 'Number']) window[name] = fail;
</script><title>broken</title>"""


VERDICTS = {
    "() => window.foveateTask.instruction.length === 5": True,
    "() => false": False,
    "async () => 1 === 1": True,
    "async () => 0": False,
    "() => 'yes'": True,
    "() => ''": False,
    "() => null": False,
    "() => undefined": False,
    "() => ({})": True,
    "() => NaN": False,
    "() => -0": False,
    "() => 0n": False,
}


async def test_a_task_is_read_though_the_page_has_broken_its_built_ins(browser_env: Make, site: Any) -> None:
    async with browser_env(site.url("/"), viewport=(320, 240), verify="page") as env:
        for done, verdict in VERDICTS.items():
            site.page("/", BROKEN % done)
            await env.reset()
            assert env.instruction == "Press", done
            assert await env.verify() is verdict, done


async def test_a_promise_is_read_though_its_then_is_broken(browser_env: Make, site: Any) -> None:
    async with browser_env(site.url("/"), viewport=(320, 240), verify="page") as env:
        for broken in ("() => { throw 1 }", "() => {}"):
            task = "window.foveateTask = {instruction: 'x', done: async () => true}"
            site.page("/", f"<script>{task}; Promise.prototype.then = {broken}</script>")
            await env.reset()
            assert await env.verify() is True, broken


async def test_a_task_whose_answer_fails_is_not_done(browser_env: Make, site: Any) -> None:
    async with browser_env(site.url("/"), viewport=(320, 240), verify="page") as env:
        for done in ("() => { throw new Error('x') }", "async () => { throw new Error('x') }", "1"):
            site.page("/", f"<script>window.foveateTask = {{instruction: 7, done: {done}}}</script>")
            await env.reset()
            assert env.instruction == "7", done
            assert await env.verify() is False, done


async def test_a_page_without_a_task_has_no_verdict(browser_env: Make, site: Any) -> None:
    async with browser_env(site.page("/", "plain"), viewport=(320, 240), verify="page") as env:
        await env.reset()
        assert env.instruction is None
        assert await env.verify() is None
