"""The loop's semantics, over a world without a device."""

import asyncio
import threading
from dataclasses import dataclass, field

import numpy as np
import pytest

from foveate.actions.errors import BrowserCrashed, OutOfFrame, ParseError, UsageError
from foveate.actions.geometry import Box, Frame, Point
from foveate.actions.guard import Guard, Limits, Target
from foveate.actions.schema import (
    KINDS,
    Action,
    CallUser,
    Click,
    Key,
    KeyDown,
    KeyUp,
    Move,
    Navigate,
    OpenApp,
    Respond,
    Scroll,
    Stop,
    Terminate,
    TypeText,
    Upload,
    Wait,
    Zoom,
)  # fmt: skip
from foveate.agent.budget import Budget, People
from foveate.agent.rollout import Rollout, rollout
from foveate.agent.trajectory import StepLine, Trajectory
from foveate.envs.base import Event, Observation, Resource, Viewport
from foveate.envs.fake import Effect, FakeEnv
from foveate.policies.base import Decision, Look, Policy, Turn, Usage

HIT = Click(at=Point(0.25, 0.25))
MISS = Click(at=Point(0.9, 0.05))
DONE = Terminate(status="success")


class ListPolicy(Resource, Policy):
    """Gives decisions from a list and keeps what it was shown."""

    def __init__(self, *steps: list[Action] | Exception, images_kept: int = 0) -> None:
        self.steps = list(steps)
        self.images_kept = images_kept
        self.preferred_viewport: Viewport | None = None
        self.seen: list[Observation] = []
        self.histories: list[tuple[Turn, ...]] = []
        self.reset_with: tuple[str, int | None, frozenset[str] | None] | None = None

    async def reset(self, task: str, *, seed: int | None = None, action_kinds: frozenset[str] | None = None) -> None:
        self.reset_with = (task, seed, action_kinds)

    async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
        self.seen.append(observation)
        self.histories.append(history)
        step = self.steps.pop(0) if self.steps else [DONE]
        if isinstance(step, Exception):
            raise step
        return Decision(actions=tuple(step), operation=f"operation {len(self.seen)}", usage=Usage(prompt=10, output=5))


@dataclass
class Keeping:
    """A record in memory."""

    pictures: list[Observation] = field(default_factory=list)
    lines: list[StepLine] = field(default_factory=list)

    async def picture(self, observation: Observation) -> str:
        for index, known in enumerate(self.pictures):
            if known is observation:
                return f"frames/{index}.png"
        self.pictures.append(observation)
        return f"frames/{len(self.pictures) - 1}.png"

    async def turn(self, line: StepLine) -> None:
        self.lines.append(line)


async def run(env: FakeEnv, policy: Policy, task: str | None = None, **options: object) -> Trajectory:
    async with env:
        await policy.open()
        return await rollout(env, policy, task, **options)  # type: ignore[arg-type]


async def test_a_task_is_done_and_ends_by_the_policys_word() -> None:
    env, policy = FakeEnv(), ListPolicy([HIT], [DONE])
    trajectory = await run(env, policy, seed=0)
    assert (trajectory.reason, trajectory.terminated, trajectory.truncated) == ("done", True, False)
    assert env.actions == [HIT] and env.hits == 1
    assert policy.reset_with == ("click the square", 0, KINDS)
    assert len(trajectory.turns) == len(trajectory.rewards) == len(trajectory.timing_ms) == 2


async def test_terminate_failure_ends_with_reason_failure() -> None:
    trajectory = await run(FakeEnv(), ListPolicy([Terminate(status="failure", reason="no way")]))
    assert (trajectory.reason, trajectory.terminated) == ("failure", True)


async def test_without_any_task_the_user_is_told() -> None:
    with pytest.raises(UsageError, match="no task"):
        await run(FakeEnv(instruction=None), ListPolicy())


async def test_the_policys_preferred_viewport_reaches_the_env() -> None:
    class Remembering(FakeEnv):
        viewport: Viewport | None = None

        async def reset(self, *, viewport: Viewport | None = None, **rest: object) -> Observation:  # type: ignore[override]
            self.viewport = viewport
            return await super().reset(**rest)  # type: ignore[arg-type]

    env, policy = Remembering(), ListPolicy()
    policy.preferred_viewport = Viewport(320, 320, 1.4)
    await run(env, policy)
    assert env.viewport == Viewport(320, 320, 1.4)


async def test_every_step_times_every_phase() -> None:
    trajectory = await run(FakeEnv(), ListPolicy([HIT]))
    for timing in trajectory.timing_ms:
        assert set(timing) >= {"tile", "encode", "prefill", "decode", "parse", "guard", "dispatch", "settle", "capture"}
        assert timing["total"] > 0


# Rule 1: what is dropped ---------------------------------------------------------------------------------------------


def verdicts(trajectory: Trajectory, step: int = 0) -> list[str]:
    return [outcome.verdict for outcome in trajectory.turns[step].outcomes]


async def test_actions_of_one_answer_are_done_in_order() -> None:
    env = FakeEnv()
    trajectory = await run(env, ListPolicy([HIT, TypeText(text="a"), MISS]))
    assert [a.kind for a in env.actions] == ["click", "type_text", "click"]
    assert verdicts(trajectory) == ["allow"] * 3


@pytest.mark.parametrize("kind", ["navigation", "new_page", "page_closed", "dialog"])
async def test_a_scene_event_drops_the_rest(kind: str) -> None:
    env = FakeEnv(effects=[Effect(events=(Event(kind, "it"),))])  # type: ignore[arg-type]
    trajectory = await run(env, ListPolicy([HIT, TypeText(text="a")]))
    assert verdicts(trajectory) == ["allow", "skipped"]
    assert any("type_text was not done" in note for note in trajectory.turns[0].notes)


async def test_another_event_does_not_drop_the_rest() -> None:
    env = FakeEnv(effects=[Effect(events=(Event("download", "a file"),))])
    assert verdicts(await run(env, ListPolicy([HIT, TypeText(text="a")]))) == ["allow", "allow"]


async def test_a_new_frame_drops_the_rest() -> None:
    env = FakeEnv(effects=[Effect(size=(80, 60))])
    assert verdicts(await run(env, ListPolicy([HIT, TypeText(text="a")]))) == ["allow", "skipped"]


async def test_a_failed_action_is_data_and_drops_the_rest() -> None:
    env = FakeEnv(effects=[Effect(error="UnsupportedAction: no such thing")])
    trajectory = await run(env, ListPolicy([HIT, TypeText(text="a")]))
    outcome = trajectory.turns[0].outcomes[0]
    assert (outcome.applied, outcome.error) == (None, "UnsupportedAction: no such thing")
    assert verdicts(trajectory) == ["allow", "skipped"]
    assert any("click failed: UnsupportedAction" in note for note in trajectory.turns[0].notes)


async def test_a_refused_action_drops_the_rest_and_tells_why() -> None:
    env = FakeEnv()
    trajectory = await run(env, ListPolicy([Navigate(url="https://evil.example/"), HIT]))
    assert verdicts(trajectory) == ["refused", "skipped"]
    assert trajectory.turns[0].outcomes[0].rule == "address"
    assert any("evil.example" in note for note in trajectory.turns[0].notes)
    assert env.actions == []


async def test_the_worlds_end_drops_the_rest() -> None:
    env = FakeEnv(effects=[Effect(terminated=True, reward=1.0)])
    trajectory = await run(env, ListPolicy([HIT, TypeText(text="a")]))
    assert (trajectory.reason, trajectory.terminated) == ("world", True)
    assert verdicts(trajectory) == ["allow", "skipped"]
    assert trajectory.rewards == (1.0,)


async def test_a_point_after_a_scroll_is_dropped_but_text_is_not() -> None:
    assert verdicts(await run(FakeEnv(), ListPolicy([Scroll(dy=3), HIT]))) == ["allow", "skipped"]
    assert verdicts(await run(FakeEnv(), ListPolicy([Scroll(dy=3), TypeText(text="a")]))) == ["allow", "allow"]


async def test_after_a_dropped_point_nothing_else_of_the_answer_is_done() -> None:
    env = FakeEnv()
    await run(env, ListPolicy([Scroll(dy=3), HIT, TypeText(text="secret")]))
    assert [a.kind for a in env.actions] == ["scroll"]


async def test_a_key_that_the_answer_pressed_is_released_even_where_the_rest_is_dropped() -> None:
    env = FakeEnv(effects=[None, Effect(events=(Event("dialog", "sure?"),))])
    shift = Key("shift")
    trajectory = await run(env, ListPolicy([KeyDown(key=shift), HIT, TypeText(text="a"), KeyUp(key=shift)]))
    assert verdicts(trajectory) == ["allow", "allow", "skipped", "allow"]
    assert env.actions[-1] == KeyUp(key=shift)


async def test_a_key_that_another_answer_pressed_is_not_released_by_a_dropped_action() -> None:
    env = FakeEnv(effects=[Effect(events=(Event("dialog", "sure?"),))])
    assert verdicts(await run(env, ListPolicy([HIT, KeyUp(key=Key("shift"))]))) == ["allow", "skipped"]


# Rules 3 and 4: guard and people -------------------------------------------------------------------------------------


async def test_a_confirm_level_action_without_a_person_is_refused() -> None:
    trajectory = await run(FakeEnv(), ListPolicy([OpenApp(name="calc")]))
    outcome = trajectory.turns[0].outcomes[0]
    assert (outcome.verdict, outcome.rule) == ("refused", "kind:open_app")


@pytest.mark.parametrize(("consent", "verdict"), [(True, "confirmed"), (False, "declined")])
async def test_a_person_decides_on_confirm_level_actions(consent: bool, verdict: str) -> None:
    asked = []

    async def confirm(action: Action, ruling: object, observation: Observation) -> bool:
        asked.append((action, observation.has_image))
        return consent

    env = FakeEnv()
    trajectory = await run(env, ListPolicy([OpenApp(name="calc")]), people=People(confirm=confirm))
    assert verdicts(trajectory) == [verdict]
    assert asked == [(OpenApp(name="calc"), True)]
    assert bool(env.actions) is consent


async def test_nobody_answering_in_time_is_a_refusal() -> None:
    async def confirm(action: Action, ruling: object, observation: Observation) -> bool:
        await asyncio.Event().wait()
        return True

    trajectory = await run(
        FakeEnv(),
        ListPolicy([OpenApp(name="calc")]),
        people=People(confirm=confirm),
        budget=Budget(confirm_timeout_s=0.05),
    )
    assert verdicts(trajectory) == ["refused"]
    assert "nobody answered within 0.05 s" in trajectory.turns[0].outcomes[0].reason


@pytest.mark.parametrize("answer", ["no", [0], 1])
async def test_nothing_but_true_is_consent(answer: object) -> None:
    async def confirm(action: Action, ruling: object, observation: Observation) -> bool:
        return answer  # type: ignore[return-value]

    env = FakeEnv()
    assert verdicts(await run(env, ListPolicy([OpenApp(name="calc")]), people=People(confirm=confirm))) == ["declined"]
    assert env.actions == []


async def test_consent_that_comes_late_is_none() -> None:
    async def confirm(action: Action, ruling: object, observation: Observation) -> bool:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
        return True

    people, budget = People(confirm=confirm), Budget(confirm_timeout_s=0.05)
    env = FakeEnv()
    assert verdicts(await run(env, ListPolicy([OpenApp(name="calc")]), people=people, budget=budget)) == ["refused"]
    assert env.actions == []


async def test_with_confirm_never_it_is_done_with_a_warning() -> None:
    env = FakeEnv()
    guard = Guard(Limits(allow=("fake.example",)), ask="never")
    trajectory = await run(env, ListPolicy([OpenApp(name="calc")]), guard=guard)
    assert env.actions == [OpenApp(name="calc")]
    assert any(note.startswith("Warning: open_app") for note in trajectory.turns[0].notes)


async def test_the_target_goes_to_guard_and_record_but_a_policy_sees_only_the_turn() -> None:
    target = Target(role="button", name="Pay", origin="https://fake.example")
    trajectory = await run(FakeEnv(target=target), ListPolicy([HIT]))
    assert trajectory.turns[0].outcomes[0].target == target


async def test_an_upload_of_a_file_that_nobody_named_is_refused() -> None:
    trajectory = await run(FakeEnv(), ListPolicy([Upload(paths=("passwd",))]))
    assert trajectory.turns[0].outcomes[0].rule == "file"


# Rule 5: the loop's own kinds ----------------------------------------------------------------------------------------


async def test_zoom_gives_a_crop_for_one_decision_and_points_come_back_exact() -> None:
    env = FakeEnv(size=(100, 80))
    region = Box(0.5, 0.25, 1.0, 0.75)
    policy = ListPolicy([Zoom(region=region)], [Click(at=Point(0.5, 0.5))], [DONE])
    await run(env, policy)
    whole, crop, after = policy.seen
    assert crop.frame == Frame(50, 40, 50.0, 20.0, (50.0, 40.0))
    assert np.array_equal(crop.image, whole.image[20:60, 50:100])
    assert after.frame == Frame(100, 80)
    assert env.actions == [Click(at=Point(0.75, 0.5))]


async def test_what_follows_a_zoom_in_the_same_answer_is_dropped() -> None:
    trajectory = await run(FakeEnv(), ListPolicy([Zoom(region=Box(0, 0, 0.5, 0.5)), HIT]))
    assert verdicts(trajectory) == ["allow", "skipped"]


async def test_respond_is_kept_and_the_episode_goes_on() -> None:
    trajectory = await run(FakeEnv(), ListPolicy([Respond(answer="42"), HIT], [Respond(answer="43"), DONE]))
    assert trajectory.answer == "43"
    assert len(trajectory.turns) == 2


async def test_call_user_twice_without_a_person_ends_the_episode() -> None:
    trajectory = await run(FakeEnv(), ListPolicy([CallUser(question="who?")], [CallUser(question="who?")]))
    assert (trajectory.reason, trajectory.truncated, len(trajectory.turns)) == ("needs_person", True, 2)
    assert any("Nobody is there" in note for note in trajectory.turns[0].notes)


async def test_a_person_who_answers_is_heard() -> None:
    async def ask(question: str, observation: Observation) -> str:
        return f"{question}: Ada"

    policy = ListPolicy([CallUser(question="name")], [CallUser(question="name")], [DONE])
    trajectory = await run(FakeEnv(), policy, people=People(ask=ask))
    assert trajectory.reason == "done"
    assert "The person answered: name: Ada" in policy.histories[1][0].notes


async def test_stop_goes_to_the_world_and_ends_the_episode() -> None:
    env = FakeEnv()
    trajectory = await run(env, ListPolicy([Stop()]))
    assert env.actions == [Stop()]
    assert (trajectory.reason, trajectory.terminated) == ("done", True)


async def test_a_world_that_fails_raises() -> None:
    with pytest.raises(BrowserCrashed, match="gone"):
        await run(FakeEnv(effects=[Effect(raises=BrowserCrashed("gone"))]), ListPolicy([HIT]))


# Rule 6: unreadable answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ParseError("no action"), OutOfFrame("x = 2")])
async def test_an_unreadable_answer_is_a_step_without_action_and_ends_the_episode(error: ParseError) -> None:
    error.decision = Decision(raw="gibberish", usage=Usage(output=7))
    trajectory = await run(FakeEnv(), ListPolicy(error))
    assert (trajectory.reason, trajectory.truncated) == ("no_action", True)
    turn = trajectory.turns[0]
    assert (turn.decision.raw, turn.outcomes) == ("gibberish", ())
    assert type(error).__name__ in turn.notes[0]


async def test_an_answer_without_actions_ends_the_episode_too() -> None:
    assert (await run(FakeEnv(), ListPolicy([]))).reason == "no_action"


# Rule 11: what ends an episode ---------------------------------------------------------------------------------------


async def test_max_steps_ends_it() -> None:
    policy = ListPolicy(*[[Click(at=Point(0.9, i / 100))] for i in range(20)])
    trajectory = await run(FakeEnv(), policy, budget=Budget(max_steps=3))
    assert (trajectory.reason, trajectory.truncated, len(trajectory.turns)) == ("max_steps", True, 3)


async def test_tokens_end_it() -> None:
    policy = ListPolicy(*[[Click(at=Point(0.9, i / 100))] for i in range(20)])
    trajectory = await run(FakeEnv(), policy, budget=Budget(max_tokens=40))
    assert (trajectory.reason, len(trajectory.turns)) == ("tokens", 3)


async def test_a_policy_that_never_answers_is_cut_off_at_the_time_limit() -> None:
    class Slow(ListPolicy):
        async def act(self, *args: object, **kwargs: object) -> Decision:
            await asyncio.Event().wait()
            return Decision()

    trajectory = await run(FakeEnv(), Slow(), budget=Budget(timeout_s=0.05))
    assert (trajectory.reason, trajectory.truncated, trajectory.turns) == ("timeout", True, ())


async def test_a_wait_is_cut_off_at_the_time_limit() -> None:
    class Patient(FakeEnv):
        async def step(self, action: Action):  # type: ignore[no-untyped-def]
            await asyncio.sleep(60)

    trajectory = await run(Patient(), ListPolicy([Wait(duration_s=60)]), budget=Budget(timeout_s=0.05))
    assert trajectory.reason == "timeout"
    assert trajectory.turns[0].outcomes[0].error is not None


async def test_a_time_out_inside_the_policy_is_not_taken_for_the_episodes() -> None:
    with pytest.raises(TimeoutError):
        await run(FakeEnv(), ListPolicy(TimeoutError("a socket")), budget=Budget(timeout_s=60))


async def test_the_same_action_on_the_same_picture_five_times_is_a_loop() -> None:
    policy = ListPolicy(*[[MISS]] * 20)
    trajectory = await run(FakeEnv(), policy)
    assert (trajectory.reason, trajectory.truncated, len(trajectory.turns)) == ("loop", True, 5)
    assert any("3 times" in note for note in trajectory.turns[2].notes)


async def test_the_same_action_on_another_picture_is_no_loop() -> None:
    effects = [Effect(shade=i * 10) for i in range(20)]
    trajectory = await run(FakeEnv(effects=effects), ListPolicy(*[[MISS]] * 8))
    assert trajectory.reason == "done"


async def test_steps_in_which_nothing_can_be_done_end_it() -> None:
    effects = [Effect(error="UnsupportedAction: no")] * 9
    policy = ListPolicy(*[[Click(at=Point(0.9, i / 100))] for i in range(9)])
    trajectory = await run(FakeEnv(effects=effects), policy, budget=Budget(max_failures=4))
    assert (trajectory.reason, len(trajectory.turns)) == ("failures", 4)


async def test_stop_from_another_thread_ends_it_while_the_policy_thinks() -> None:
    class Slow(ListPolicy):
        async def act(self, *args: object, **kwargs: object) -> Decision:
            threading.Timer(0.02, loop.stop).start()
            await asyncio.Event().wait()
            return Decision()

    env = FakeEnv()
    policy = Slow()
    async with env:
        loop = Rollout(env, policy)
        trajectory = await asyncio.wait_for(loop.run(), 5)
    assert (trajectory.reason, trajectory.truncated) == ("person", True)


@pytest.mark.parametrize("field", ["max_steps", "timeout_s", "max_tokens", "max_failures", "max_repeats"])
def test_a_budget_of_nothing_is_refused_by_name(field: str) -> None:
    with pytest.raises(UsageError, match=field):
        Budget(**{field: 0})


# History, memory, record ---------------------------------------------------------------------------------------------


async def test_history_is_the_turns_so_far_without_pixels() -> None:
    policy = ListPolicy([HIT], [MISS], [DONE])
    await run(FakeEnv(), policy)
    assert [len(history) for history in policy.histories] == [0, 1, 2]
    assert [turn.observation.has_image for turn in policy.histories[2]] == [False, False]


async def test_a_policy_that_wants_pictures_gets_the_last_ones() -> None:
    policy = ListPolicy([HIT], [MISS], [HIT], [DONE], images_kept=2)
    trajectory = await run(FakeEnv(), policy)
    assert [turn.observation.has_image for turn in policy.histories[3]] == [False, True, True]
    assert not any(turn.observation.has_image for turn in trajectory.turns)


async def test_training_can_keep_all_pictures() -> None:
    trajectory = await run(FakeEnv(), ListPolicy([HIT], [MISS]), keep_images=True)
    assert all(turn.observation.has_image for turn in trajectory.turns)


async def test_nothing_changed_is_told_to_the_policy() -> None:
    policy = ListPolicy([MISS], [DONE])
    await run(FakeEnv(), policy)
    assert "Nothing changed in the picture." in policy.histories[1][0].notes


async def test_blocked_requests_are_told_once_each() -> None:
    events = (Event("blocked", "cdn.example"), Event("blocked", "cdn.example"))
    policy = ListPolicy([HIT], [DONE])
    await run(FakeEnv(effects=[Effect(events=events, shade=1)]), policy)
    assert [n for n in policy.histories[1][0].notes if n.startswith("Blocked")] == ["Blocked: cdn.example"]


async def test_the_record_gets_a_line_a_step_and_a_picture_after_each_action() -> None:
    keeping = Keeping()
    trajectory = await run(FakeEnv(), ListPolicy([HIT, TypeText(text="a")], [DONE]), recording=keeping)
    first, second = keeping.lines
    assert (first.index, second.index) == (0, 1)
    assert first.frame == "frames/0.png" and first.after == ("frames/1.png", "frames/2.png")
    assert second.frame == "frames/2.png" and second.after == (None,)
    assert trajectory.frames == ("frames/0.png", "frames/2.png")
    assert first.frames == (Frame(64, 48), Frame(64, 48))


async def test_secrets_stay_placeholders_in_task_and_answer() -> None:
    from foveate.actions.guard import Secret

    limits = Limits(allow=("fake.example",), secrets={"pw": Secret("hunter2", ("fake.example",))})
    policy = ListPolicy([Respond(answer="it is hunter2")], [DONE])
    trajectory = await run(FakeEnv(limits=limits), policy, "type hunter2")
    assert trajectory.task == "type {{pw}}" and trajectory.answer == "it is {{pw}}"
    assert policy.reset_with is not None and policy.reset_with[0] == "type {{pw}}"


async def test_a_move_without_effect_still_counts_as_applied() -> None:
    trajectory = await run(FakeEnv(), ListPolicy([Move(at=Point(0.5, 0.5))]))
    assert trajectory.turns[0].applied
