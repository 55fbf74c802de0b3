"""What the loop tells the guard and people, and which actions move the view."""

import asyncio

import pytest

from foveate.actions import schema
from foveate.actions.geometry import Box, Point
from foveate.actions.guard import Guard, Scene, Target, Verdict
from foveate.actions.schema import (
    EMBODIED_KINDS,
    KINDS,
    LOOP_KINDS,
    Action,
    ActionModel,
    Click,
    Navigate,
    OpenApp,
    Terminate,
    Zoom,
)
from foveate.agent import Agent
from foveate.agent.rollout import rollout
from foveate.agent.trajectory import Trajectory
from foveate.envs.base import Observation
from foveate.envs.fake import Effect, FakeEnv
from foveate.policies.scripted import ScriptedPolicy

HIT = Click(at=Point(0.25, 0.25))
MISS = Click(at=Point(0.9, 0.05))
DONE = Terminate()


async def run(env: FakeEnv, *answers: Action | list[Action], guard: Guard | None = None) -> Trajectory:
    async with env, ScriptedPolicy(answers) as policy:
        return await rollout(env, policy, guard=guard)


PLACE = Point(0.5, 0.5)
MOVERS: list[ActionModel] = [
    schema.Scroll(dy=1),
    schema.Navigate(url="https://fake.example/next"),
    schema.Back(),
    schema.Forward(),
    schema.Reload(),
    schema.NewTab(),
    schema.SwitchTab(index=1),
    schema.CloseTab(),
    schema.OpenApp(name="editor"),
    schema.FocusWindow(title="editor"),
    schema.MoveForward(),
    schema.Turn(angle_deg=30),
    schema.Look(angle_deg=-10),
    schema.GoTo(at=PLACE),
    schema.Pick(at=PLACE),
    schema.Place(at=PLACE),
    schema.Velocity(linear_m_s=0.1, duration_s=0.1),
    schema.Control(values=(0.5,)),
]


@pytest.mark.parametrize("mover", MOVERS, ids=lambda mover: mover.kind)
async def test_a_place_after_what_moves_the_view_is_dropped(mover: Action) -> None:
    env = FakeEnv()
    trajectory = await run(env, [mover, HIT], DONE, guard=Guard.off())
    assert env.actions == [mover]
    assert [outcome.verdict for outcome in trajectory.turns[0].outcomes] == ["allow", "skipped"]
    assert "click was not done: an earlier action of this answer moved the view" in trajectory.turns[0].notes


STAYERS: list[ActionModel] = [
    MISS,
    schema.Move(at=PLACE),
    schema.Drag(path=(PLACE, Point(0.9, 0.9))),
    schema.PointerDown(),
    schema.PointerUp(),
    schema.TypeText(text="a"),
    schema.Press(keys=(schema.Key.TAB,)),
    schema.KeyDown(key=schema.Key.SHIFT),
    schema.KeyUp(key=schema.Key.SHIFT),
    schema.Upload(paths=("list.txt",)),
    schema.SelectOption(at=PLACE, value="red"),
    schema.Dialog(accept=True),
    schema.Wait(duration_s=0.0),
]


@pytest.mark.parametrize("stayer", STAYERS, ids=lambda stayer: stayer.kind)
async def test_a_place_after_anything_else_is_acted_on(stayer: Action) -> None:
    env = FakeEnv()
    await run(env, [stayer, HIT], DONE, guard=Guard.off())
    assert env.actions == [stayer, HIT]


def test_of_every_kind_on_the_world_it_is_decided_whether_it_moves_the_view() -> None:
    movers, stayers = ({each.kind for each in kinds} for kinds in (MOVERS, STAYERS))
    assert movers | stayers == KINDS - LOOP_KINDS - {"stop"}
    assert movers >= EMBODIED_KINDS - {"stop"}


async def test_a_world_that_cuts_the_episode_off_ends_it_truncated_and_drops_the_rest() -> None:
    trajectory = await run(FakeEnv(effects=[Effect(truncated=True)]), [HIT, HIT])
    assert (trajectory.reason, trajectory.terminated, trajectory.truncated) == ("world", False, True)
    assert [outcome.verdict for outcome in trajectory.turns[0].outcomes] == ["allow", "skipped"]


class Remembering(Guard):
    """A guard that keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(ask="never")
        self.asked: list[tuple[Action, Scene, str, Target | None]] = []

    def check(self, action: Action, scene: Scene, task: str, target: Target | None) -> Verdict:
        self.asked.append((action, scene, task, target))
        return Verdict("allow")


async def test_the_guard_is_told_the_action_the_scene_the_task_and_the_target_of_each_action_once() -> None:
    guard, target = Remembering(), Target(role="button", name="Pay")
    async with FakeEnv(target=target) as env, ScriptedPolicy([[HIT, MISS], DONE]) as policy:
        await rollout(env, policy, "buy it", guard=guard)
    assert [asked[0] for asked in guard.asked] == [HIT, MISS, DONE]
    assert [asked[2] for asked in guard.asked] == ["buy it"] * 3
    assert [asked[3] for asked in guard.asked] == [target, target, None]
    assert {asked[1].url for asked in guard.asked} == {"https://fake.example/"}


async def test_after_a_zoom_the_guard_and_the_worlds_look_get_the_worlds_own_points() -> None:
    class Inspected(FakeEnv):
        looked: tuple[Action, ...] = ()

        async def inspect(self, action: Action) -> Target | None:
            self.looked = (*self.looked, action)
            return None

    env, guard = Inspected(size=(100, 80)), Remembering()
    await run(env, Zoom(region=Box(0.5, 0.25, 1.0, 0.75)), Click(at=PLACE), DONE, guard=guard)
    whole = Click(at=Point(0.75, 0.5))
    action, scene, _, _ = guard.asked[1]
    assert (action, env.looked, env.actions) == (whole, (whole,), [whole])
    assert (scene.frame.width, scene.frame.height) == (100, 80)


async def test_what_a_guard_never_allowed_never_reaches_the_world() -> None:
    for guard in (None, Guard()):
        env = FakeEnv()
        await run(env, [Navigate(url="https://elsewhere.example/")], [OpenApp(name="shell")], DONE, guard=guard)
        assert env.actions == []


async def test_an_agent_without_a_guard_keeps_to_the_environments_list() -> None:
    env = FakeEnv()
    policy = ScriptedPolicy([Navigate(url="https://elsewhere.example/"), DONE])
    result = await Agent(env, policy).run()
    assert [turn.outcomes[0].verdict for turn in result.trajectory.turns] == ["refused", "allow"]
    assert env.actions == []


async def test_an_agents_confirm_waits_as_long_as_it_was_told() -> None:
    async def nobody(action: Action, verdict: Verdict, observation: Observation) -> bool:
        await asyncio.Event().wait()
        return True

    policy = ScriptedPolicy([OpenApp(name="editor"), DONE])
    async with asyncio.timeout(20):
        result = await Agent(FakeEnv(), policy, confirm=nobody, confirm_timeout_s=0.05).run()
    outcome = result.trajectory.turns[0].outcomes[0]
    assert (outcome.verdict, outcome.applied) == ("refused", None)
    assert "nobody answered within 0.05 s" in outcome.reason
