"""A person, a signal or an interruption ends a run: after the action in flight, and nothing is left running."""

import asyncio
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from foveate.actions.errors import InUse
from foveate.actions.geometry import Point
from foveate.actions.schema import Action, Click, Key, KeyDown, KeyUp, Terminate
from foveate.agent import Agent, Result
from foveate.agent.record import read_record
from foveate.envs.base import Observation, Step
from foveate.envs.fake import FakeEnv
from foveate.policies.base import Decision, Look, Turn
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


# A stop counts for every run that was called before it and has not ended ---------------------------------------------


class Counting(ScriptedPolicy):
    """A script that counts how often it was opened."""

    opens = 0

    async def _open(self) -> None:
        self.opens += 1


def stopped(result: Result) -> bool:
    return (result.status, result.reason, result.steps, result.verified) == ("interrupted", "person", 0, None)


async def test_a_stop_before_the_run_has_begun_counts_and_nothing_is_opened(tmp_path: Path) -> None:
    env, policy = FakeEnv(verified=True), Counting([HIT, Terminate()])
    agent = Agent(env, policy, record=tmp_path / "run")
    running = asyncio.ensure_future(agent.run("hit it"))
    agent.stop()
    result = await running
    assert stopped(result)
    assert result.trajectory.truncated and result.trajectory.task == "hit it"
    assert (env.resets, policy.opens, env.opened, policy.opened) == (0, 0, False, False)
    recorded = read_record(tmp_path / "run").episode.result
    assert recorded is not None and (recorded.status, recorded.reason) == ("interrupted", "person")


async def test_a_stop_while_the_policy_is_opened_leaves_the_world_closed() -> None:
    class Opening(ScriptedPolicy):
        async def _open(self) -> None:
            agent.stop()

    class World(FakeEnv):
        opens = 0

        async def _open(self) -> None:
            self.opens += 1

    env = World()
    agent = Agent(env, Opening([HIT, Terminate()]))
    assert stopped(await agent.run())
    assert env.opens == 0


async def test_a_stop_without_a_run_is_forgotten_by_the_next() -> None:
    agent = Agent(FakeEnv(), ScriptedPolicy([HIT, Terminate()]))
    agent.stop()
    assert (await agent.run()).status == "success"
    agent.stop()
    assert (await agent.run()).status == "success"
    assert (await asyncio.to_thread(agent.run_sync)).status == "success"


async def test_one_stop_ends_every_run_that_was_called() -> None:
    env = FakeEnv()
    agent = Agent(env, ScriptedPolicy([HIT, Terminate()]))
    first, second = agent.run(), agent.run()
    agent.stop()
    third = agent.run()
    assert stopped(await first) and stopped(await second)
    assert (await third).status == "success"


async def test_a_refused_second_run_takes_no_stop_from_the_first() -> None:
    class Asking(ScriptedPolicy):
        async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
            with pytest.raises(InUse):
                await agent.run()
            agent.stop()
            return await super().act(observation, history, look)

    agent = Agent(FakeEnv(), Asking([HIT, Terminate()]))
    async with asyncio.timeout(10):
        assert (await agent.run()).reason == "person"


def test_a_stop_from_another_thread_counts_from_the_call_of_run_sync_on() -> None:
    """Stop at every line of run_sync: whenever the call has noted what it was asked for, it ends."""
    for line in range(2, 40):
        env = FakeEnv()
        agent = Agent(env, ScriptedPolicy([HIT, Terminate()]))
        passed = 0

        def within(frame: FrameType, event: str, _: object) -> Any:
            nonlocal passed
            passed += event == "line"
            if event == "line" and passed == line:  # noqa: B023
                stopper = threading.Thread(target=agent.stop)  # noqa: B023
                stopper.start()
                stopper.join()
            return within

        def trace(frame: FrameType, event: str, _: object) -> Any:
            return within if frame.f_code is Agent.run_sync.__code__ else None

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            result = agent.run_sync()
        finally:
            sys.settrace(before)
        if passed < line:
            assert result.status == "success" and line > 3
            return
        if env.actions:  # only where the run had ended already
            assert line == passed
        else:
            assert stopped(result), line
    pytest.fail("run_sync never came to its end")


def test_stops_from_another_thread_at_any_time_are_heard_by_the_run_that_goes_on() -> None:
    class Endless(ScriptedPolicy):
        async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
            await asyncio.sleep(0)
            return Decision(actions=(Click(at=Point(0.5, len(history) / 1e6)),))

    agent = Agent(FakeEnv(), Endless([]), max_steps=1_000_000)
    for delay_s in (0.0, 0.001, 0.003, 0.01, 0.05):
        called = threading.Event()

        def stop_soon() -> None:
            called.wait(5)  # noqa: B023
            time.sleep(delay_s)  # noqa: B023
            agent.stop()

        stopper = threading.Thread(target=stop_soon)
        stopper.start()

        async def run() -> Result:
            async with asyncio.timeout(10):
                running = agent.run()
                called.set()  # noqa: B023
                return await running

        assert asyncio.run(run()).reason == "person"
        stopper.join()


def test_a_stop_that_comes_when_the_loop_has_ended_is_no_error() -> None:
    class Late(ScriptedPolicy):
        async def reset(self, task: str, **rest: object) -> None:  # type: ignore[override]
            self.rollout = agent._rollout

    policy = Late([Terminate()])
    agent = Agent(FakeEnv(), policy)
    agent.run_sync()
    assert policy.rollout is not None
    policy.rollout.stop()


async def test_a_key_that_the_answer_pressed_is_released_after_a_stop() -> None:
    class Stopping(FakeEnv):
        async def step(self, action: Action) -> Step:
            if action == HIT:
                agent.stop()
            return await super().step(action)

    shift, env = Key("shift"), Stopping()
    agent = Agent(env, ScriptedPolicy([[KeyDown(key=shift), HIT, MISS, KeyUp(key=shift)], Terminate()]))
    result = await agent.run()
    assert (result.reason, result.steps) == ("person", 1)
    assert env.actions == [KeyDown(key=shift), HIT, KeyUp(key=shift)]
