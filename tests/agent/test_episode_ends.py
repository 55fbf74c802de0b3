"""How an episode ends: by whom, with which reason, and that the world is asked for its verdict once."""

import asyncio

import pytest

from foveate.actions.errors import BrowserCrashed, FoveateError, ModelUnavailable
from foveate.actions.geometry import Point
from foveate.actions.schema import Action, Click, Stop, Terminate, TypeText
from foveate.agent import Agent, Result
from foveate.agent.budget import Budget
from foveate.agent.rollout import rollout
from foveate.agent.trajectory import REASONS
from foveate.envs.base import Observation, ScreenObservation, Step, Viewport
from foveate.envs.fake import Effect, FakeEnv
from foveate.policies.base import Decision, Look, Turn
from foveate.policies.scripted import ScriptedPolicy

HIT = Click(at=Point(0.25, 0.25))
DONE = Terminate()


def test_the_reasons_are_a_closed_set() -> None:
    assert {
        "done", "failure", "world", "max_steps", "timeout", "tokens", "failures", "loop", "no_action", "needs_person",
        "person",
    } == REASONS  # fmt: skip


async def test_stop_ends_the_episode_by_itself_and_what_follows_is_not_done() -> None:
    env = FakeEnv()
    async with env, ScriptedPolicy([[Stop(), HIT], [HIT]]) as policy:
        trajectory = await rollout(env, policy)
    assert (trajectory.reason, trajectory.terminated, trajectory.truncated) == ("done", True, False)
    assert env.actions == [Stop()]
    assert len(trajectory.turns) == 1


async def test_a_stop_that_the_world_could_not_do_ends_nothing() -> None:
    env = FakeEnv(effects=[Effect(error="UnsupportedAction: it still moves")])
    async with env, ScriptedPolicy([Stop(), HIT, Terminate(status="failure")]) as policy:
        trajectory = await rollout(env, policy)
    assert (trajectory.reason, env.actions) == ("failure", [HIT])


async def test_the_time_limit_ends_an_episode_whose_policy_never_waits() -> None:
    class Slow(FakeEnv):
        async def step(self, action: Action) -> Step:
            await asyncio.sleep(0.03)
            return await super().step(action)

    answers = [TypeText(text=str(number)) for number in range(40)]
    async with Slow() as env, ScriptedPolicy(answers) as policy:
        trajectory = await rollout(env, policy, budget=Budget(timeout_s=0.1))
    assert (trajectory.reason, trajectory.truncated, trajectory.terminated) == ("timeout", True, False)
    assert 0 < len(trajectory.turns) < 40


async def test_failures_count_in_a_row_only() -> None:
    no = Effect(error="UnsupportedAction: no")
    env = FakeEnv(effects=[no, None, no, None])
    actions = [TypeText(text=text) for text in "abcd"]
    async with env, ScriptedPolicy([*actions, DONE]) as policy:
        trajectory = await rollout(env, policy, budget=Budget(max_failures=2))
    assert (trajectory.reason, len(trajectory.turns)) == ("done", 5)


class Asked(FakeEnv):
    """A world that counts how often it is asked for its verdict, and remembers when."""

    def __init__(self, **more: object) -> None:
        super().__init__(verified=False, **more)  # type: ignore[arg-type]
        self.asked_after: list[int] = []

    async def verify(self) -> bool | None:
        self.asked_after.append(len(self.actions))
        return await super().verify()


@pytest.mark.parametrize(
    ("answers", "effects", "status"),
    [
        ([HIT, TypeText(text="a"), DONE], (), "failure"),
        ([HIT, TypeText(text="a"), Terminate(status="failure")], (), "failure"),
        ([HIT, TypeText(text="a"), TypeText(text="b")], (None, Effect(terminated=True, success=True)), "failure"),
        ([HIT, TypeText(text="a"), "no action in here"], (), "truncated"),
    ],
)
async def test_the_world_is_asked_for_its_verdict_once_after_the_end_whatever_ended_it(
    answers: list[Action | str], effects: tuple[Effect | None, ...], status: str
) -> None:
    env = Asked(effects=effects)
    result = await Agent(env, ScriptedPolicy(answers)).run()
    assert env.asked_after == [2]
    assert (result.status, result.verified) == (status, False)


async def test_a_verdict_never_ends_an_episode() -> None:
    env = FakeEnv(verified=True)
    result = await Agent(env, ScriptedPolicy([HIT, TypeText(text="a"), DONE])).run()
    assert (result.steps, len(env.actions)) == (3, 2)


class Failing(ScriptedPolicy):
    async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
        raise ModelUnavailable("no model")


@pytest.mark.parametrize(
    ("env", "policy", "error"),
    [
        (FakeEnv(effects=[Effect(raises=BrowserCrashed("gone"))]), ScriptedPolicy([HIT]), BrowserCrashed),
        (FakeEnv(), Failing([]), ModelUnavailable),
    ],
)
async def test_an_error_ends_an_episode_neither_terminated_nor_truncated_by_its_class_name(
    env: FakeEnv, policy: ScriptedPolicy, error: type[FoveateError]
) -> None:
    with pytest.raises(error) as caught:
        await Agent(env, policy).run()
    result = caught.value.result
    assert isinstance(result, Result)
    assert (result.status, result.reason, result.verified) == ("error", error.__name__, None)
    assert (result.trajectory.terminated, result.trajectory.truncated) == (False, False)
    assert result.trajectory.reason == error.__name__


async def test_a_reset_is_told_everything_that_the_run_was_told() -> None:
    told: dict[str, object] = {}

    class Told(FakeEnv):
        async def reset(
            self,
            *,
            seed: int | None = None,
            task: str | None = None,
            episode: str | None = None,
            viewport: Viewport | None = None,
        ) -> ScreenObservation:
            told.update(seed=seed, task=task, episode=episode, viewport=viewport)
            return await super().reset(seed=seed, task=task, episode=episode, viewport=viewport)

    env, viewport = Told(), Viewport(320, 320, 1.4)
    result = await Agent(env, ScriptedPolicy([DONE], viewport=viewport)).run("find it", seed=7, episode="e3")
    assert told == {"seed": 7, "task": "find it", "episode": "e3", "viewport": viewport}
    assert (result.trajectory.task, result.trajectory.seed) == ("find it", 7)
