"""Whatever matches the grammar of an answer is an answer, in every convention, and every kind can be said."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foveate.actions.errors import UsageError
from foveate.actions.geometry import Convention, Frame
from foveate.actions.grammar import answer_pattern, between, call_pattern
from foveate.actions.parse import parse_answer
from foveate.actions.schema import BROWSER_KINDS, EMBODIED_KINDS, KEYBOARD_KINDS, KINDS, LOOP_KINDS, POINTER_KINDS

CONVENTIONS = (Convention.UNIT, Convention.PER_MILLE, Convention.PIXEL, Convention.resized(1288, 728))
FRAMES = (Frame(1280, 720), Frame(448, 1), Frame(3840, 2160, left=-1920.0))
SCREEN = POINTER_KINDS | KEYBOARD_KINDS | BROWSER_KINDS | LOOP_KINDS | {"wait"}
BODY = EMBODIED_KINDS | LOOP_KINDS - {"terminate"}


@pytest.mark.parametrize(
    ("least", "most"), [(0, 0), (0, 9), (1, 100), (0, 999), (0, 1279), (0, 2160), (37, 1203), (5, 60)]
)
def test_a_range_of_numbers_is_every_number_in_it_and_no_other(least: int, most: int) -> None:
    pattern = re.compile(between(least, most))
    matched = {number for number in range(max(0, least - 20), most + 300) if pattern.fullmatch(str(number))}
    assert matched == set(range(least, most + 1))
    assert not any(pattern.fullmatch(text) for text in ("", "00", "01", "-1", f"0{most}", f"{most} "))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_call_that_matches_is_that_kind_of_action(kind: str) -> None:
    @settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        convention, frame = data.draw(st.sampled_from(CONVENTIONS)), data.draw(st.sampled_from(FRAMES))
        call = data.draw(st.from_regex(call_pattern(kind, convention, frame), fullmatch=True))
        answer = parse_answer(f"<action>\n{call}\n</action>", frame=frame, convention=convention, kinds=KINDS)
        assert [action.kind for action in answer.actions] == [kind]

    check()


@pytest.mark.parametrize("kinds", [SCREEN, BODY, frozenset({"click"})])
@pytest.mark.parametrize(("operation", "thought"), [(True, True), (True, False), (False, False)])
def test_every_answer_that_matches_is_read(kinds: frozenset[str], operation: bool, thought: bool) -> None:
    frame = Frame(1280, 720)
    pattern = answer_pattern(kinds, Convention.UNIT, frame, operation=operation, thought=thought, most=3)

    @settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
    @given(st.from_regex(pattern, fullmatch=True))
    def check(text: str) -> None:
        answer = parse_answer(text, frame=frame, convention=Convention.UNIT, kinds=kinds)
        assert 1 <= len(answer.actions) <= 3
        assert {action.kind for action in answer.actions} <= kinds
        assert bool(answer.operation) == operation

    check()


def test_what_models_say_matches_and_what_is_not_offered_does_not() -> None:
    pattern = re.compile(answer_pattern(SCREEN, Convention.UNIT, Frame(1280, 720)))
    said = "<operation>\nClick Save\n</operation>\n<action>\n{}\n</action>"
    for call in (
        "click(x=0.5123, y=0.2500)", "click(x=0.51, y=0.25, clicks=2)", 'click(x=0.51, y=0.25, button="right")',
        'write(message="Grüße, [a] (b)!\\n")', 'press(keys="enter")', 'hotkey("control", "a")', "scroll(clicks=-2)",
        'open_url(url="https://example.org/a?b=c#d")', 'response(answer="42")', 'terminate(status="success")',
        'terminate(status="failure", info="there is no Save")', "wait(seconds=3)", "go_backward()",
    ):  # fmt: skip
        assert pattern.fullmatch(said.format(call)), call
    for call in ("click(x=1.5, y=0.25)", "turn(angle_deg=30)", "click(0.5, 0.25)", 'write(message="")', "stop()"):
        assert not pattern.fullmatch(said.format(call)), call
    assert not pattern.fullmatch(said.format("go_backward()\nreload()"))


def test_what_is_begun_is_left_out_and_must_be_the_beginning() -> None:
    frame = Frame(10, 10)
    rest = answer_pattern(SCREEN, Convention.UNIT, frame, begun="<operation>\n")
    assert re.fullmatch(rest, "Wait\n</operation>\n<action>\nwait(seconds=2)\n</action>")
    thinking = answer_pattern(SCREEN, Convention.UNIT, frame, thought=True, begun="<think>\n")
    done = "a > b, [x] \n\n so.</think>\n<operation>\nWait\n</operation>\n<action>\nwait(seconds=2)\n</action>"
    assert re.fullmatch(thinking, done)
    assert not re.fullmatch(thinking, done.replace("</think>", ""))
    with pytest.raises(UsageError, match="cannot have begun with '<think>"):
        answer_pattern(SCREEN, Convention.UNIT, frame, begun="<think>\n")
    with pytest.raises(UsageError, match="not none"):
        answer_pattern(frozenset(), Convention.UNIT, frame)
    with pytest.raises(UsageError, match="not fly"):
        answer_pattern(frozenset({"fly", "click"}), Convention.UNIT, frame)
