"""What every Policy must do, whoever wrote it."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import numpy as np
import pytest

from foveate.actions.errors import EnvClosed, OutOfFrame, ParseError
from foveate.actions.geometry import Frame, Point
from foveate.actions.schema import Click
from foveate.envs.base import Observation, Viewport
from foveate.policies.base import Decision, Look, Outcome, Policy, Turn
from foveate.policies.engines.scripted import ScriptedEngine
from foveate.policies.internvl import InternVLPolicy
from foveate.policies.retry import RetryPolicy
from foveate.policies.scripted import ScriptedPolicy

LOOK = Observation(image=np.zeros((100, 200, 3), np.uint8), frame=Frame(200, 100), captured_at_s=0.0)
CLICK = "<operation>Click</operation>\n<action>\nclick(x=0.5, y=0.25)\n</action>"
ACTION = Click(at=Point(0.5, 0.25))
TURN = Turn(LOOK, Decision(actions=(ACTION,), operation="Click"), (Outcome("allow", applied=ACTION),))

Make = Callable[[list[str]], AbstractAsyncContextManager[Policy]]
"""Makes a policy, still closed, that will be told these answers by its model."""


@asynccontextmanager
async def scripted(answers: list[str]) -> AsyncIterator[Policy]:
    yield ScriptedPolicy(answers, viewport=Viewport(320, 240))


@asynccontextmanager
async def internvl(answers: list[str]) -> AsyncIterator[Policy]:
    async with ScriptedEngine(answers) as engine:
        yield InternVLPolicy("OpenGVLab/InternVL3_5-8B", engine=engine)
        assert engine.opened


@asynccontextmanager
async def retry_scripted(answers: list[str]) -> AsyncIterator[Policy]:
    async with scripted(answers) as policy:
        yield RetryPolicy(policy, attempts=0)


@asynccontextmanager
async def retry_internvl(answers: list[str]) -> AsyncIterator[Policy]:
    async with internvl(answers) as policy:
        yield RetryPolicy(policy, attempts=0)


@pytest.fixture(params=[scripted, internvl, retry_scripted, retry_internvl], ids=lambda make: make.__name__)
def make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


async def test_it_decides_on_what_it_sees(make: Make) -> None:
    async with make([CLICK]) as policy, policy_opened(policy):
        await policy.reset("task", seed=1, action_kinds=frozenset({"click", "terminate"}))
        decision = await policy.act(LOOK, ())
    assert decision.actions == (ACTION,)
    assert (decision.raw, decision.operation) == (CLICK, "Click")
    assert decision.written == ((0.5, 0.25),)
    assert decision.usage.timing_ms["parse"] > 0


async def test_it_takes_a_history_and_a_look(make: Make) -> None:
    async with make([CLICK, CLICK]) as policy, policy_opened(policy):
        await policy.reset("task")
        first = await policy.act(LOOK, (TURN, TURN), Look(max_tiles=2, thinking=False))
        second = await policy.act(LOOK, (TURN, TURN, Turn(LOOK, first, notes=("nothing changed",))))
    assert first.actions == second.actions == (ACTION,)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("I cannot see anything.", ParseError),
        ("<think>I begin to", ParseError),
        ("<action>fly()</action>", ParseError),
        ("<action>click(x=2.5, y=0.5)</action>", OutOfFrame),
    ],
)
async def test_an_answer_that_cannot_be_used_is_an_error_with_its_decision(
    make: Make, text: str, error: type[ParseError]
) -> None:
    async with make([text]) as policy, policy_opened(policy):
        await policy.reset("task")
        with pytest.raises(error) as raised:
            await policy.act(LOOK, ())
    decision = raised.value.decision
    assert isinstance(decision, Decision)
    assert (decision.actions, decision.raw) == ((), text)


async def test_a_kind_that_is_not_offered_is_a_parse_error_that_names_the_offer(make: Make) -> None:
    async with make([CLICK]) as policy, policy_opened(policy):
        await policy.reset("task", action_kinds=frozenset({"turn", "stop"}))
        with pytest.raises(ParseError, match="stop"):
            await policy.act(LOOK, ())


async def test_it_can_be_reset_for_another_episode(make: Make) -> None:
    async with make([CLICK, CLICK]) as policy, policy_opened(policy):
        for task in ("one", "two"):
            await policy.reset(task)
            assert (await policy.act(LOOK, ())).actions == (ACTION,)


async def test_it_says_how_many_pictures_it_wants_and_at_which_size(make: Make) -> None:
    async with make([]) as policy:
        assert policy.images_kept == 0
        assert policy.preferred_viewport is None or isinstance(policy.preferred_viewport, Viewport)


async def test_it_is_open_between_open_and_close_and_not_otherwise(make: Make) -> None:
    async with make([CLICK]) as policy:
        assert not policy.opened
        with pytest.raises(EnvClosed):
            await policy.act(LOOK, ())
        await policy.open()
        await policy.open()  # once more does nothing
        assert policy.opened
        await policy.close()
        await policy.close()
        assert not policy.opened


async def test_it_leaves_no_thread_behind(make: Make) -> None:
    before = set(threading.enumerate())
    async with make([CLICK]) as policy, policy_opened(policy):
        await policy.reset("task")
        await policy.act(LOOK, ())
    left = [thread for thread in set(threading.enumerate()) - before if not thread.name.startswith("asyncio_")]
    assert not left


@asynccontextmanager
async def policy_opened(policy: Policy) -> AsyncIterator[Policy]:
    async with AsyncExitStack() as stack:
        await policy.open()
        stack.push_async_callback(policy.close)
        yield policy
