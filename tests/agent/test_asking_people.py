"""Callbacks that ask people: what they raise ends the run, with its step recorded and nothing left pressed."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from foveate.actions.errors import BrowserCrashed, EnvError, UsageError
from foveate.actions.geometry import Point
from foveate.actions.guard import Guard, Target, Verdict
from foveate.actions.schema import Action, CallUser, Click, Key, KeyDown, KeyUp, OpenApp, Terminate, TypeText
from foveate.agent import Agent, Result
from foveate.agent.record import read_record
from foveate.agent.record_step import RecordedStep
from foveate.envs.base import Observation, Step
from foveate.envs.fake import Effect, FakeEnv
from foveate.policies.scripted import ScriptedPolicy

HIT = Click(at=Point(0.25, 0.25))
DONE = Terminate()
SHIFT = Key("shift")
ASKED = OpenApp(name="editor")


class OwnResult(RuntimeError):
    """Somebody else's error, with a ``result`` of its own."""

    result = "theirs"


async def fails(*asked: object) -> bool:
    raise ValueError("the dialog could not be shown")


def recorded(folder: Path) -> tuple[RecordedStep, ...]:
    read = read_record(folder)
    assert read.notes == ()
    return read.steps


async def test_a_confirmation_that_raises_ends_the_run_with_its_step_recorded(tmp_path: Path) -> None:
    env, folder = FakeEnv(), tmp_path / "run"
    agent = Agent(env, ScriptedPolicy([HIT, [ASKED, HIT], DONE]), confirm=fails, record=folder)
    with pytest.raises(ValueError, match="the dialog could not be shown") as caught:
        await agent.run()
    result: Result = caught.value.result  # type: ignore[attr-defined]
    assert (result.status, result.reason, result.steps) == ("error", "ValueError", 2)
    assert result.error == "ValueError: the dialog could not be shown"
    declined, skipped = result.trajectory.turns[1].outcomes
    assert (declined.verdict, declined.rule, declined.applied) == ("declined", "kind:open_app", None)
    assert declined.error == "ValueError: the dialog could not be shown"
    assert skipped.verdict == "skipped" and "ValueError" in skipped.reason
    assert env.actions == [HIT] and not env.opened
    steps = recorded(folder)
    assert [step.verdict for step in steps] == [("allow",), ("declined", "skipped")]
    assert steps[1].error == ("ValueError: the dialog could not be shown", None)
    assert not steps[1].terminated and not steps[1].truncated
    ended = json.loads((folder / "episode.json").read_text())["result"]
    assert (ended["status"], ended["reason"], ended["steps"]) == ("error", "ValueError", 2)
    assert "the dialog could not be shown" in (folder / "report.html").read_text()


async def test_what_an_answer_pressed_before_it_is_released() -> None:
    answer = [KeyDown(key=SHIFT), HIT, ASKED, TypeText(text="x"), KeyUp(key=SHIFT), HIT]
    async with FakeEnv() as env:
        with pytest.raises(ValueError, match="dialog") as caught:
            await Agent(env, ScriptedPolicy([answer]), confirm=fails).run()
        assert env.actions == [KeyDown(key=SHIFT), HIT, KeyUp(key=SHIFT)]
    (turn,) = caught.value.result.trajectory.turns  # type: ignore[attr-defined]
    assert [outcome.verdict for outcome in turn.outcomes] == [
        "allow", "allow", "declined", "skipped", "allow", "skipped",
    ]  # fmt: skip


async def test_who_raised_is_not_asked_again_not_even_for_a_release() -> None:
    asked: list[Action] = []

    async def confirm(action: Action, verdict: Verdict, observation: Observation) -> bool:
        asked.append(action)
        if action == HIT:
            raise ValueError("no")
        return True

    env = FakeEnv()
    answer = [KeyDown(key=SHIFT), HIT, KeyUp(key=SHIFT)]
    guard = Guard(env.limits, ask="always")
    with pytest.raises(ValueError, match="no") as caught:
        await Agent(env, ScriptedPolicy([answer]), guard=guard, confirm=confirm).run()
    assert asked == [KeyDown(key=SHIFT), HIT]
    (turn,) = caught.value.result.trajectory.turns  # type: ignore[attr-defined]
    assert [outcome.verdict for outcome in turn.outcomes] == ["confirmed", "declined", "refused"]


async def test_a_release_that_fails_hides_neither_the_first_error_nor_the_step() -> None:
    env = FakeEnv(effects=[None, Effect(raises=BrowserCrashed("gone"))])
    with pytest.raises(ValueError, match="dialog") as caught:
        await Agent(env, ScriptedPolicy([[KeyDown(key=SHIFT), ASKED, KeyUp(key=SHIFT)]]), confirm=fails).run()
    (turn,) = caught.value.result.trajectory.turns  # type: ignore[attr-defined]
    assert [outcome.verdict for outcome in turn.outcomes] == ["allow", "declined", "skipped"]


async def test_a_question_that_raises_is_recorded_likewise(tmp_path: Path) -> None:
    async def ask(question: str, observation: Observation) -> str:
        raise ConnectionError("the chat is down")

    agent = Agent(FakeEnv(), ScriptedPolicy([CallUser(question="who?")]), ask=ask, record=tmp_path / "run")
    with pytest.raises(ConnectionError) as caught:
        await agent.run()
    assert caught.value.result.steps == 1  # type: ignore[attr-defined]
    (step,) = recorded(tmp_path / "run")
    assert (step.verdict, step.applied, step.error) == (("allow",), (None,), ("ConnectionError: the chat is down",))


async def test_a_callbacks_own_time_out_is_its_error_and_not_taken_for_silence() -> None:
    async def confirm(*asked: object) -> bool:
        raise TimeoutError("the socket")

    with pytest.raises(TimeoutError, match="the socket"):
        await Agent(FakeEnv(), ScriptedPolicy([ASKED, DONE]), confirm=confirm).run()


async def test_somebody_elses_error_keeps_a_result_of_its_own() -> None:
    async def confirm(*asked: object) -> bool:
        raise OwnResult

    with pytest.raises(OwnResult) as caught:
        await Agent(FakeEnv(), ScriptedPolicy([ASKED]), confirm=confirm).run()
    assert caught.value.result == "theirs"


def at_once(*asked: object) -> bool:
    return True


@pytest.mark.parametrize(
    "confirm", [at_once, lambda *asked: "yes", lambda *asked: None], ids=["function", "lambda", "nothing"]
)
async def test_a_confirmation_that_is_not_async_is_told_so_and_is_no_consent(confirm: Any) -> None:
    env = FakeEnv()
    with pytest.raises(UsageError, match=r"confirm gave .* at once: make it an async function \('async def confirm'\)"):
        await Agent(env, ScriptedPolicy([ASKED, DONE]), confirm=confirm).run()
    assert env.actions == []


async def test_a_question_that_is_not_async_is_told_so() -> None:
    ask: Any = lambda question, observation: "Ada"  # noqa: E731
    with pytest.raises(UsageError, match=r"ask gave 'Ada' at once: make it an async function"):
        await Agent(FakeEnv(), ScriptedPolicy([CallUser(question="who?")]), ask=ask).run()


@pytest.mark.parametrize("name", ["confirm", "ask"])
def test_what_cannot_be_called_is_refused_when_the_agent_is_made(name: str) -> None:
    callback: Any = {name: True}
    with pytest.raises(UsageError, match=f"{name} = True: give an async function"):
        Agent(FakeEnv(), ScriptedPolicy([]), **callback)


@pytest.mark.parametrize("kind", ["object", "lambda", "future"])
async def test_whatever_can_be_awaited_can_give_consent(kind: str) -> None:
    async def consent() -> bool:
        return True

    class Asks:
        async def __call__(self, *asked: object) -> bool:
            return True

    callbacks: dict[str, Callable[..., Awaitable[bool]]] = {
        "object": Asks(),
        "lambda": lambda *asked: consent(),
        "future": lambda *asked: asyncio.ensure_future(consent()),
    }
    env = FakeEnv()
    assert (await Agent(env, ScriptedPolicy([ASKED, DONE]), confirm=callbacks[kind]).run()).status == "success"
    assert env.actions == [ASKED]


# Errors of the world -------------------------------------------------------------------------------------------------


async def test_the_step_in_which_the_world_failed_is_recorded_and_nothing_more_is_done(tmp_path: Path) -> None:
    env = FakeEnv(effects=[None, None, Effect(raises=BrowserCrashed("gone"))])
    answers = [HIT, [KeyDown(key=SHIFT), HIT, KeyUp(key=SHIFT)]]
    with pytest.raises(BrowserCrashed) as caught:
        await Agent(env, ScriptedPolicy(answers), record=tmp_path / "run").run()
    assert env.actions == [HIT, KeyDown(key=SHIFT)]
    assert caught.value.result.steps == 2
    step = recorded(tmp_path / "run")[1]
    assert step.verdict == ("allow", "allow", "skipped")
    assert step.error == (None, "BrowserCrashed: gone", None)
    assert step.points[1] is not None


async def test_a_look_under_the_point_that_fails_is_recorded_as_never_reached() -> None:
    class Blind(FakeEnv):
        async def inspect(self, action: Action) -> Target | None:
            raise EnvError("no hit test")

    with pytest.raises(EnvError) as caught:
        await Agent(Blind(), ScriptedPolicy([HIT])).run()
    (outcome,) = caught.value.result.trajectory.turns[0].outcomes
    assert (outcome.verdict, outcome.error) == ("skipped", "EnvError: no hit test")


async def test_the_step_that_a_cancellation_broke_off_is_recorded(tmp_path: Path) -> None:
    class Stuck(FakeEnv):
        async def step(self, action: Action) -> Step:
            running.cancel()
            await asyncio.Event().wait()
            raise AssertionError

    running = asyncio.ensure_future(Agent(Stuck(), ScriptedPolicy([[HIT, HIT]]), record=tmp_path / "run").run())
    with pytest.raises(asyncio.CancelledError):
        await running
    (step,) = recorded(tmp_path / "run")
    assert step.verdict == ("allow", "skipped")
    assert step.error == ("Interrupted: the run was cancelled", None)


async def test_listeners_hear_of_the_step_that_failed() -> None:
    heard: list[str | None] = []

    class Hearing:
        def started(self, task: str) -> None: ...

        def observed(self, observation: Observation) -> None: ...

        def turned(self, turn: Any) -> None:
            heard.extend(outcome.error for outcome in turn.outcomes)

        def ended(self, result: Result) -> None:
            heard.append(result.error)

    with pytest.raises(ValueError, match="dialog"):
        await Agent(FakeEnv(), ScriptedPolicy([ASKED]), confirm=fails, listeners=[Hearing()]).run()
    assert heard == ["ValueError: the dialog could not be shown"] * 2
