"""Several answers to one question: the one that most agree with is taken, whole, with what all of them cost."""

import asyncio
import math

import numpy as np
import pytest

from foveate.actions.errors import ModelUnavailable, OutOfFrame, ParseError, UsageError
from foveate.actions.geometry import Frame
from foveate.envs.base import Observation, Resource
from foveate.policies.answers import decide
from foveate.policies.base import Decision, Look, Policy, Sampling, Turn, Usage
from foveate.policies.best_of_n import BestOfN, apart
from foveate.policies.engines.scripted import ScriptedEngine
from foveate.policies.scripted import ScriptedPolicy
from foveate.policies.visual_prm import VisualPRM, steps_of

LOOK = Observation(image=np.zeros((100, 200, 3), np.uint8), frame=Frame(200, 100), captured_at_s=0.0)


def click(x: float, y: float = 0.5) -> str:
    return f"<action>\nclick(x={x}, y={y})\n</action>"


class Answers(ScriptedPolicy):
    """Keeps the Looks that it was given, and says what each answer cost."""

    def __init__(self, answers: list[str]) -> None:
        super().__init__(answers)
        self.looks: list[Look | None] = []

    async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
        self.looks.append(look)
        raw = str(self.answers[len(self.looks) - 1])
        answered = Decision(raw=raw, usage=Usage(prompt=10, output=2))
        return decide(answered, frame=observation.frame, convention=self.convention)


async def best(*answers: str, seed: int | None = None, look: Look | None = None) -> tuple[Decision, Answers]:
    inner = Answers(list(answers))
    async with BestOfN(inner, len(answers)) as policy:
        await policy.reset("task", seed=seed)
        return await policy.act(LOOK, (), look), inner


@pytest.mark.parametrize(
    ("answers", "taken"),
    [
        ([click(0.9), click(0.2), click(0.21), click(0.215)], 2),  # the middle of the three, not their mean
        ([click(0.9), click(0.2)], 0),  # one against one: the greedy answer
        ([click(0.5, 0.1), click(0.5, 0.9), click(0.5, 0.91)], 1),
        ([click(0.5), "<action>\nscroll(clicks=-2)\n</action>", "<action>\nscroll(clicks=-2)\n</action>"], 1),
        ([click(0.5), "<action>\nwrite(message='a')\n</action>", "<action>\nwrite(message='b')\n</action>"], 0),
        (["nothing", click(0.3)], 1),
        ([click(7.0), click(0.3), "nothing"], 1),
        ([click(0.4)], 0),
    ],
)
async def test_the_answer_that_most_agree_with_is_taken_as_it_was_given(answers: list[str], taken: int) -> None:
    decision, inner = await best(*answers)
    assert decision.raw == answers[taken]
    assert decision.actions == (await Answers([answers[taken]]).act(LOOK, ())).actions
    assert sorted(decision.attempts) == sorted(text for at, text in enumerate(answers) if at != taken)
    assert (decision.usage.prompt, decision.usage.output) == (10 * len(answers), 2 * len(answers))
    assert len(inner.looks) == len(answers)


async def test_distances_are_those_of_the_picture_and_not_of_its_fractions() -> None:
    tall = Frame(100, 1000)
    left, right = [await Answers([click(x)]).act(LOOK, ()) for x in (0.2, 0.3)]
    assert apart(left, right, tall) == pytest.approx(10 / math.hypot(100, 1000))
    assert apart(left, right, LOOK.frame) == pytest.approx(20 / math.hypot(200, 100))
    assert apart(left, await Answers(["<action>\nscroll(clicks=-2)\n</action>"]).act(LOOK, ()), tall) == math.inf


async def test_the_first_is_greedy_and_the_others_are_drawn_each_by_its_own_seed() -> None:
    _, inner = await best(click(0.1), click(0.1), click(0.1), seed=7, look=Look(max_tiles=3))
    looks = [look or Look() for look in inner.looks]
    assert {look.max_tiles for look in looks} == {3}
    assert looks[0].sampling is None
    drawn = [look.sampling or Sampling() for look in looks[1:]]
    assert {(each.temperature, each.top_p) for each in drawn} == {(0.6, 0.95)}
    assert len({each.seed for each in drawn} - {None}) == 2
    _, again = await best(click(0.1), click(0.1), click(0.1), seed=7)
    assert [look and look.sampling for look in again.looks] == [look.sampling for look in looks]
    _, free = await best(click(0.1), click(0.1))
    assert [look.sampling.seed for look in free.looks[1:] if look and look.sampling] == [None]


async def test_where_none_can_be_used_the_first_error_carries_all_that_was_said() -> None:
    inner = Answers([click(7.0), "nothing", "nor this"])
    async with BestOfN(inner, 3) as policy:
        await policy.reset("task")
        with pytest.raises(OutOfFrame) as raised:
            await policy.act(LOOK, ())
    assert raised.value.decision.raw == click(7.0)
    assert raised.value.decision.attempts == ("nothing", "nor this")
    assert raised.value.decision.usage.prompt == 30
    assert not isinstance(raised.value, ParseError)


class Failing(Resource, Policy):
    """The first answer never comes, the second fails."""

    def __init__(self) -> None:
        self.asked, self.cancelled = 0, 0

    async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
        self.asked += 1
        if self.asked == 2:
            raise ModelUnavailable("the server is gone")
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled += 1
        return Decision()


async def test_a_model_that_fails_ends_all_questions() -> None:
    inner = Failing()
    async with BestOfN(inner, 3) as policy:
        with pytest.raises(ModelUnavailable, match="the server is gone"):
            await policy.act(LOOK, ())
    assert (inner.asked, inner.cancelled) == (3, 2)


def test_what_would_give_one_answer_several_times_is_refused() -> None:
    with pytest.raises(UsageError, match="n is 1 or more, not 0"):
        BestOfN(ScriptedPolicy([]), 0)
    with pytest.raises(UsageError, match="temperature 0 gives one answer 5 times"):
        BestOfN(ScriptedPolicy([]), sampling=Sampling())


async def test_a_critic_takes_the_answer_that_it_finds_best() -> None:
    inner = Answers([click(0.1), click(0.1), "Look.\n\n" + click(0.8)])
    scores = {"+": -0.1, "-": -3.0}
    async with ScriptedEngine([], scores=scores) as engine:
        critic = _Once(engine)
        async with BestOfN(inner, 3, critic=critic) as policy:
            await policy.reset("Press the last one")
            decision = await policy.act(LOOK, ())
    assert decision.raw.startswith("Look.")
    assert critic.heard == ("Press the last one", [click(0.1), click(0.1), "Look.\n\n" + click(0.8)])


class _Once(VisualPRM):
    """Likes the longest answer best."""

    heard: tuple[str, list[str]]

    async def score(self, task: str, observation: Observation, answers: object) -> tuple[float, ...]:
        texts = [str(each) for each in answers]  # type: ignore[attr-defined]
        self.heard = task, texts
        assert len(await super().score(task, observation, texts)) == len(texts)
        return tuple(float(len(text)) for text in texts)


async def test_the_process_reward_is_the_mean_share_of_right_over_the_steps() -> None:
    async with ScriptedEngine([], scores={"+": math.log(0.6), "-": math.log(0.2)}) as engine:
        critic = VisualPRM(engine)
        (share,) = await critic.score("What is it?", LOOK, ["First this.\n\nThen that."])
        assert share == pytest.approx(0.75)
        first, second = engine.requests
    said = [
        (message.role, "".join(getattr(part, "text", "<image>") for part in message.parts))
        for message in second.messages
    ]
    assert first.messages == second.messages[:2]
    assert said[1:] == [
        ("user", "<image>### Question:\nWhat is it?\n\n### Solution Process:\nFirst this."),
        ("assistant", "+"),
        ("user", "Then that."),
    ]
    assert said[0][0] == "system" and 'Only respond with **"+"** or **"-"**' in said[0][1]


@pytest.mark.parametrize(
    ("answer", "most", "steps"),
    [
        ("one\n\ntwo\n\nthree", 12, ("one", "two", "three")),
        ("one\n\ntwo\n\nthree", 2, ("one\n\ntwo", "three")),
        ("one\n\n \n\ntwo", 1, ("one\n\ntwo",)),
        ("", 3, ("",)),
    ],
)
def test_an_answer_is_parted_at_its_blank_lines(answer: str, most: int, steps: tuple[str, ...]) -> None:
    assert steps_of(answer, most) == steps


async def test_an_engine_that_cannot_score_is_no_critic() -> None:
    class Mute(ScriptedEngine):
        capabilities = frozenset()

    with pytest.raises(ModelUnavailable, match="Mute cannot score"):
        VisualPRM(Mute([]))
    with pytest.raises(UsageError, match="max_steps is 1 or more, not 0"):
        VisualPRM(ScriptedEngine([]), max_steps=0)
