import json
from pathlib import Path

import numpy as np
import pytest

from foveate.actions.errors import EnvClosed, OutOfFrame, ParseError, UsageError
from foveate.actions.geometry import Convention, Frame, Point
from foveate.actions.schema import Click, Pick, TypeText, Wait
from foveate.envs.base import Observation, Viewport
from foveate.policies.base import Decision
from foveate.policies.scripted import ScriptedPolicy

LOOK = Observation(image=np.zeros((100, 200, 3), np.uint8), frame=Frame(200, 100), captured_at_s=0.0)
CLICK = "<operation>Click</operation><action>click(x=0.5, y=0.25)</action>"


async def decisions(policy: ScriptedPolicy, count: int, kinds: frozenset[str] | None = None) -> list[Decision]:
    async with policy:
        await policy.reset("task", action_kinds=kinds)
        return [await policy.act(LOOK, ()) for _ in range(count)]


async def test_texts_actions_and_lists_are_answers() -> None:
    wait, text = Wait(duration_s=0.5), TypeText(text="milk")
    first, second, third = await decisions(ScriptedPolicy([CLICK, wait, [wait, text]]), 3)
    assert first.actions == (Click(at=Point(0.5, 0.25)),)
    assert (first.raw, first.operation, first.written) == (CLICK, "Click", ((0.5, 0.25),))
    assert first.usage.timing_ms["parse"] > 0
    assert second == Decision(actions=(wait,))
    assert third.actions == (wait, text)


async def test_a_convention_says_how_its_texts_write_places() -> None:
    policy = ScriptedPolicy(["click(x=100, y=25)"], convention=Convention.PIXEL)
    (decision,) = await decisions(policy, 1)
    assert decision.actions == (Click(at=Point(100.5 / 200, 25.5 / 100)),)


@pytest.mark.parametrize(
    ("text", "error"), [("no action in here", ParseError), ("click(x=1.5, y=0.5)", OutOfFrame), ("", ParseError)]
)
async def test_a_text_that_is_no_action_raises_with_its_decision(text: str, error: type[ParseError]) -> None:
    async with ScriptedPolicy([text, CLICK]) as policy:
        await policy.reset("task")
        with pytest.raises(error) as raised:
            await policy.act(LOOK, ())
        assert raised.value.decision.raw == text
        assert raised.value.decision.actions == ()
        assert (await policy.act(LOOK, ())).actions  # the script goes on


async def test_a_kind_that_is_not_offered_is_a_parse_error_in_a_text_but_not_in_an_action() -> None:
    policy = ScriptedPolicy([CLICK, Pick(at=Point(0.5, 0.5))])
    async with policy:
        await policy.reset("task", action_kinds=frozenset({"wait"}))
        with pytest.raises(ParseError, match="wait"):
            await policy.act(LOOK, ())
        assert (await policy.act(LOOK, ())).actions == (Pick(at=Point(0.5, 0.5)),)


async def test_after_the_last_answer_it_says_so() -> None:
    async with ScriptedPolicy([CLICK]) as policy:
        await policy.reset("task")
        await policy.act(LOOK, ())
        with pytest.raises(ParseError, match="no answer left: all 1") as raised:
            await policy.act(LOOK, ())
        assert raised.value.decision == Decision()


async def test_a_reset_begins_the_script_again() -> None:
    async with ScriptedPolicy([CLICK]) as policy:
        for _ in range(2):
            await policy.reset("task")
            assert (await policy.act(LOOK, ())).raw == CLICK


async def test_it_must_be_open() -> None:
    with pytest.raises(EnvClosed):
        await ScriptedPolicy([CLICK]).act(LOOK, ())


def test_a_list_of_answers_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(json.dumps([CLICK, {"kind": "wait", "duration_s": 2}, [{"kind": "stop"}, {"kind": "back"}]]))
    policy = ScriptedPolicy.from_file(path)
    assert policy.answers[:2] == (CLICK, Wait(duration_s=2))
    assert policy.convention == Convention.UNIT
    assert policy.preferred_viewport is None


def test_a_script_may_name_its_convention_and_viewport(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(json.dumps({"convention": "pixel", "viewport": [1280, 720, 1.5], "answers": [CLICK]}))
    policy = ScriptedPolicy.from_file(path)
    assert (policy.convention, policy.preferred_viewport) == (Convention.PIXEL, Viewport(1280, 720, 1.5))
    assert ScriptedPolicy.from_file(path, convention=Convention.UNIT).convention == Convention.UNIT


def test_a_record_is_replayed_by_its_texts_and_else_by_its_actions(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    action = Click(at=Point(0.5, 0.5)).model_dump(mode="json")
    lines = [{"raw": CLICK, "actions": [action]}, {"raw": "", "actions": [action]}, {"raw": "nonsense", "actions": []}]
    path.write_text("\n".join(json.dumps(line) for line in lines) + '\n{"raw": "cut o')
    assert ScriptedPolicy.from_file(path).answers == (CLICK, [Click(at=Point(0.5, 0.5))], "nonsense")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.json", "[", "is no JSON"),
        ("a.json", "[]", "answers"),
        ("a.json", "[3]", "answers.0"),
        ("a.json", '{"answers": ["x"], "speed": 3}', "speed"),
        ("a.json", '{"answers": ["x"], "convention": "metres"}', "convention"),
        ("a.json", '{"answers": ["x"], "viewport": [1]}', "viewport"),
        ("a.json", '"text"', "no list of answers"),
        ("a.json", '[{"kind": "fly"}]', "answers.0"),
        ("a.json", "[" * 100_000, "is no JSON"),
        ("a.json", '[{"kind": "click", "at": {"x": 5, "y": 0.1}}]', "outside the frame"),
        ("steps.jsonl", '{"index": 0}\n', "line 1"),
        ("steps.jsonl", '{"raw": "x"}\nnonsense\n{"raw": "y"}\n', "line 2"),
        ("steps.jsonl", "", "answers"),
    ],
)
def test_a_broken_script_is_one_clear_line(tmp_path: Path, name: str, text: str, says: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UsageError, match=says) as raised:
        ScriptedPolicy.from_file(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_text_is_no_list_of_answers() -> None:
    with pytest.raises(UsageError, match="put it in a list"):
        ScriptedPolicy("DONE")


def test_a_script_that_is_missing_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"missing\.json.*No such file"):
        ScriptedPolicy.from_file(tmp_path / "missing.json")
    (tmp_path / "picture.json").write_bytes(b"\x89PNG\xff")
    with pytest.raises(UsageError, match="no UTF-8"):
        ScriptedPolicy.from_file(tmp_path / "picture.json")
