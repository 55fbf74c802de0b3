"""JSON that says two things at once, or a number that is none, is refused and never read by its last half."""

import pytest

from foveate.actions.errors import ActionError, ParseError
from foveate.actions.geometry import Convention, Frame, Point
from foveate.actions.parse import Answer, parse_answer
from foveate.actions.schema import Click


def parse(text: str) -> Answer:
    """Parse in a screen of 1000 x 500 pixels with pixels."""
    return parse_answer(text, frame=Frame(1000, 500), convention=Convention.PIXEL)


@pytest.mark.parametrize(
    "json",
    [
        '{"action": "left_click", "coordinate": [100, 200], "coordinate": [300, 400]}',
        '{"action": "type", "text": "a", "action": "left_click", "coordinate": [300, 400]}',
        '{"name": "click", "arguments": {"x": 100, "y": 200, "x": 300}}',
        '{"name": "click", "arguments": "{\\"x\\": 100, \\"y\\": 200, \\"x\\": 300}"}',
        '{"name": "wait", "name": "click", "arguments": {"x": 100, "y": 200}}',
        "{'action': 'left_click', 'coordinate': [100, 200], 'coordinate': [300, 400]}",
        '{"type": "drag", "path": [{"x": 1, "y": 2, "x": 9}, {"x": 3, "y": 4}]}',
    ],
)
@pytest.mark.parametrize(
    "form", ["{}", "<tool_call>\n{}\n</tool_call>", "```json\n{}\n```", "I click: {}", "<action>{}</action>"]
)
def test_a_name_given_twice_is_refused(form: str, json: str) -> None:
    with pytest.raises(ParseError):
        parse(form.format(json))
    with pytest.raises(ParseError, match="twice"):
        parse(json)


def test_a_name_given_twice_in_a_calls_mapping_is_refused() -> None:
    with pytest.raises(ParseError, match="twice"):
        parse("click(at={'x': 100, 'y': 200, 'x': 300})")


@pytest.mark.parametrize(
    "json",
    [
        '{"bbox_2d": [100, 200, 300, 400], "action": "type", "text": "a"}',
        '{"bbox_2d": [100, 200, 300, 400], "point_2d": [1, 2]}',
        '{"name": "click", "arguments": {"x": 100, "y": 200}, "parameters": {"x": 300, "y": 400}}',
        '{"name": "click", "arguments": {"x": 100, "y": 200}, "action": "type"}',
        '{"action": {"type": "click", "x": 1, "y": 2}, "actions": [{"type": "wait"}]}',
    ],
)
def test_two_calls_in_one_object_are_refused(json: str) -> None:
    with pytest.raises(ParseError):
        parse(json)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize(
    "json",
    [
        '{"type": "click", "x": %s, "y": 100}',
        '{"action": "left_click", "coordinate": [100, %s]}',
        '{"point_2d": [%s, 100]}',
        '{"type": "scroll", "x": 100, "y": 100, "scroll_x": 0, "scroll_y": %s}',
        '{"name": "wait", "arguments": {"seconds": %s}}',
        '{"name": "turn", "arguments": {"angle_deg": %s}}',
        '{"name": "control", "arguments": {"values": [%s]}}',
        '{"name": "type", "arguments": {"text": %s}}',
        '{"name": "press", "arguments": {"keys": "a", "presses": %s}}',
        '{"name": "switch_tab", "arguments": {"index": %s}}',
    ],
)
def test_a_number_that_is_not_finite_is_refused(json: str, number: str) -> None:
    with pytest.raises(ActionError):
        parse(json % number)


def test_what_describes_a_call_beside_it_is_no_second_call() -> None:
    for json in (
        '{"bbox_2d": [100, 200, 100, 200], "label": "OK", "sub_label": "a button"}',
        '{"id": "1", "type": "function", "function": {"name": "click", "arguments": {"x": 100, "y": 200}}}',
        '{"type": "tool_use", "id": "a", "name": "computer", '
        '"input": {"action": "left_click", "coordinate": [100, 200]}}',
        '{"name": "click", "x": 100, "y": 200}',
        '{"name": "click", "reason": "it is blue", "arguments": {"x": 100, "y": 200}}',
        '{"thought": "a", "action": {"action": "left_click", "coordinate": [100, 200]}}',
    ):
        (action,) = parse(json).actions
        assert isinstance(action, Click) and action.at is not None
        assert abs(action.at.x - Point(0.1, 0.4).x) < 0.001
