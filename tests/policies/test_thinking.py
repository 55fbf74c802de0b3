"""A policy thinks where the last steps say that it is stuck, and nowhere else."""

import numpy as np
import pytest

from foveate.actions.errors import UsageError
from foveate.actions.geometry import Frame, Point
from foveate.actions.schema import Action, Click, Press, Respond, Wait
from foveate.envs.base import Observation
from foveate.policies.base import Decision, Look, Outcome, Sampling, Turn
from foveate.policies.engines.scripted import ScriptedEngine
from foveate.policies.internvl import InternVLPolicy
from foveate.policies.internvl.profiles import TINY
from foveate.policies.retry import RetryPolicy
from foveate.policies.scripted import ScriptedPolicy
from foveate.policies.thinking import ThinkWhenStuck, why_stuck

LOOK = Observation(image=np.zeros((32, 32, 3), np.uint8), frame=Frame(32, 32), captured_at_s=0.0)
ONE, TWO = Click(at=Point(0.5, 0.25)), Click(at=Point(0.75, 0.25))
PLAIN = "<operation>Click it</operation>\n<action>\nclick(x=0.5, y=0.25)\n</action>"
BIG = "OpenGVLab/InternVL3_5-8B-HF"


def turn(*actions: Action, changed: float | None = 0.2, error: str | None = None, done: bool = True) -> Turn:
    outcomes = tuple(
        Outcome("allow" if done else "refused", applied=action if done and error is None else None, error=error)
        for action in actions
    )
    return Turn(LOOK, Decision(actions=actions), outcomes, changed)


@pytest.mark.parametrize(
    ("history", "why"),
    [
        ((), None),
        ((turn(ONE),), None),
        ((turn(ONE), turn(ONE)), None),
        ((turn(changed=None),), "failure"),
        ((turn(ONE, error="CaptureFailed: x"),), "failure"),
        ((turn(ONE, done=False),), "failure"),
        ((turn(ONE, changed=0.0),), "no change"),
        ((turn(ONE, changed=0.0), turn(TWO)), None),
        ((turn(Wait(duration_s=1.0), changed=0.0),), None),
        ((turn(Respond(answer="x"), changed=0.0),), None),
        ((turn(Respond(answer="x"), ONE, changed=0.0),), "no change"),
        ((turn(ONE),) * 3, "loop"),
        ((turn(Wait(duration_s=1.0)),) * 4, None),
        ((turn(ONE), turn(TWO), turn(ONE), turn(TWO)), "loop"),
        ((turn(TWO), turn(TWO), turn(ONE), turn(TWO)), None),
        ((turn(ONE), turn(ONE), turn(TWO)), None),
    ],
)
def test_what_being_stuck_is(history: tuple[Turn, ...], why: str | None) -> None:
    assert why_stuck(history) == why


async def asked(history: tuple[Turn, ...], look: Look | None = None) -> tuple[str, Sampling]:
    async with ScriptedEngine([f"It has to be this.\n</think>\n{PLAIN}"]) as engine:
        async with ThinkWhenStuck(InternVLPolicy(BIG, engine=engine)) as policy:
            await policy.reset("Buy milk")
            assert (await policy.act(LOOK, history, look)).actions == (ONE,)
        return engine.requests[0].prefill, engine.requests[0].sampling


async def test_it_thinks_where_it_is_stuck_and_answers_at_once_elsewhere() -> None:
    assert await asked(()) == ("", Sampling())
    thought, sampling = await asked((turn(ONE, changed=0.0),))
    assert thought == "<think>\n" and (sampling.temperature, sampling.top_p) == (0.6, 0.95)
    assert await asked((turn(ONE, changed=0.0),), Look(thinking=False)) == ("", Sampling())
    assert (await asked((), Look(thinking=True)))[0] == "<think>\n"
    assert (await asked((turn(ONE, changed=0.0),), Look(max_tiles=1)))[0] == "<think>\n"


async def test_a_model_that_cannot_think_is_refused_before_the_first_step() -> None:
    scripted = ScriptedPolicy([[Press(keys=("enter",))]])
    policy = ThinkWhenStuck(RetryPolicy(scripted))
    with pytest.raises(UsageError, match="script cannot think"):
        await policy.open()
    assert not scripted.opened and not policy.opened
    async with ScriptedEngine([PLAIN]) as engine:
        with pytest.raises(UsageError, match="tiny cannot think"):
            await ThinkWhenStuck(InternVLPolicy("tiny", engine=engine, profile=TINY)).open()


async def test_where_no_answer_can_be_begun_the_prompt_asks_for_the_thought() -> None:
    class Unable(ScriptedEngine):
        capabilities = frozenset()

    said = [PLAIN, f"<think>\nIt has to be this.\n</think>\n{PLAIN}"]
    async with Unable(said) as engine, ThinkWhenStuck(InternVLPolicy(BIG, engine=engine)) as policy:
        await policy.reset("Buy milk")
        assert (await policy.act(LOOK, ())).thought == ""
        assert (await policy.act(LOOK, (turn(ONE, changed=0.0),))).thought == "It has to be this."
    assert [request.prefill for request in engine.requests] == ["", ""]
    assert [request.sampling.temperature for request in engine.requests] == [0.0, 0.6]
    assert ["<think>" in str(request.messages[0].parts) for request in engine.requests] == [False, True]
