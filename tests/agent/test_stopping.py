"""A person, a signal or an interruption ends a run: after the action in flight, and nothing is left running."""

import asyncio
import os
import signal
import threading

import pytest

from foveate.actions.geometry import Point
from foveate.actions.schema import Action, Click, Terminate
from foveate.agent import Agent
from foveate.envs.base import Step
from foveate.envs.fake import FakeEnv
from foveate.envs.portal import Portal
from foveate.policies.scripted import ScriptedPolicy

HIT = Click(at=Point(0.25, 0.25))
MISS = Click(at=Point(0.9, 0.05))


async def test_a_stop_during_an_action_lets_it_end_and_drops_the_rest_of_the_answer() -> None:
    class Stopping(FakeEnv):
        async def step(self, action: Action) -> Step:
            agent.stop()
            return await super().step(action)

    env = Stopping()
    agent = Agent(env, ScriptedPolicy([[HIT, MISS], Terminate()]))
    result = await agent.run()
    assert env.actions == [HIT]
    assert (result.status, result.reason, result.steps) == ("interrupted", "person", 1)
    assert [outcome.verdict for outcome in result.trajectory.turns[0].outcomes] == ["allow", "skipped"]
    assert result.trajectory.truncated and not result.trajectory.terminated


async def test_a_stop_while_things_are_being_opened_ends_the_run_before_its_first_step() -> None:
    class Stopping(ScriptedPolicy):
        async def _open(self) -> None:
            agent.stop()

    env = FakeEnv()
    agent = Agent(env, Stopping([HIT, Terminate()]))
    result = await agent.run()
    assert (result.status, result.reason, result.steps, env.actions) == ("interrupted", "person", 0, [])
    assert not env.opened


def test_an_interruption_of_synchronous_code_cancels_what_runs_and_waits_until_it_has_cleaned_up() -> None:
    cleaned = threading.Event()

    async def interrupted() -> None:
        # Later, so that it reaches the caller while it waits.
        asyncio.get_running_loop().call_later(0.3, os.kill, os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        with Portal() as portal:
            with pytest.raises(KeyboardInterrupt):
                portal.call(interrupted)
            assert cleaned.is_set()
    finally:
        signal.signal(signal.SIGINT, before)
