"""Fractions where a convention writes whole numbers, and whole numbers where it writes fractions, are refused."""

import pytest

from foveate.actions.errors import OutOfFrame, ParseError
from foveate.actions.geometry import Convention, Frame
from foveate.actions.parse import parse_answer
from foveate.actions.render import render
from foveate.actions.schema import Action, Click, Drag

SCREEN = Frame(1000, 500)
WHOLE = [Convention.PER_MILLE, Convention.PIXEL, Convention.resized(1288, 728)]


def only(text: str, convention: Convention) -> Action:
    """The one action of a text."""
    (action,) = parse_answer(text, frame=SCREEN, convention=convention).actions
    return action


@pytest.mark.parametrize("convention", WHOLE, ids=lambda convention: convention.name)
@pytest.mark.parametrize(
    "text",
    [
        "click(x=1.0, y=1.0)",
        "click(x=1.0, y=0)",
        "click(x=0.0, y=1.0)",
        "click(x=0.42, y=0.87)",
        "click(x='1.0', y='1.0')",
        "click([1.0, 1.0])",
        "click('(1.0, 1.0)')",
        "click(x=1e0, y=1e0)",
        "drag(x1=0.0, y1=0.0, x2=1.0, y2=1.0)",
        "drag(path=[[300, 400], [1.0, 1.0]])",
        "zoom(region=[0.0, 0.0, 1.0, 1.0])",
        "zoom(x1=0.0, y1=0.0, x2=1.0, y2=1.0)",
        "[[1.0, 1.0]]",
        "[[0.0, 0.0, 1.0, 1.0]]",
        "<box>[[0.0, 0.0, 1.0, 1.0]]</box>",
        "<box>[[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.5, 1.0]]</box>",
        "<point>1.0 1.0</point>",
        "Action: click(start_box='(1.0,1.0)')",
        "CLICK [1.0, 1.0]",
        '{"action": "left_click", "coordinate": [1.0, 1.0]}',
        '{"type": "click", "x": 1.0, "y": 1.0}',
        '{"point_2d": [1.0, 1.0]}',
        '{"name": "click", "arguments": {"at": {"x": 1.0, "y": 1.0}}}',
        '{"action": "CLICK", "args": {"x": 1.0, "y": 1.0}}',
    ],
)
def test_numbers_written_as_fractions_are_refused_where_whole_ones_are_the_convention(
    text: str, convention: Convention
) -> None:
    with pytest.raises(OutOfFrame, match=r"fractions"):
        only(text, convention)


def test_the_message_names_the_value_as_written_and_the_convention() -> None:
    with pytest.raises(OutOfFrame, match=r"\(1\.0, 1\.0\) .*per_mille convention .* 0\.\.1000"):
        only("click(x=1.0, y=1.0)", Convention.PER_MILLE)
    with pytest.raises(OutOfFrame, match=r"\(0\.42, 0\.87\) .*pixel convention"):
        only("click(x=0.42, y=0.87)", Convention.PIXEL)


@pytest.mark.parametrize("convention", WHOLE, ids=lambda convention: convention.name)
@pytest.mark.parametrize(
    ("text", "x", "y"),
    [
        ("click(x=1, y=1)", 1, 1),
        ("click(x=0, y=0)", 0, 0),
        ("click(x=0, y=1)", 0, 1),
        ("click(x=0.0, y=0.0)", 0, 0),
        ("click(x=500.0, y=250.0)", 500, 250),
        ("click(x=500.5, y=250.5)", 500.5, 250.5),
        ("click(x=0.5, y=400)", 0.5, 400),
        ("click(x=1.0, y=400)", 1, 400),
        ("click(x=1.0, y=2.0)", 1, 2),
        ('{"type": "click", "x": 1, "y": 1}', 1, 1),
        ("[[1, 1]]", 1, 1),
    ],
)
def test_whole_numbers_and_a_pair_with_a_number_above_one_are_read(
    text: str, x: float, y: float, convention: Convention
) -> None:
    assert only(text, convention) == Click(at=convention.point(x, y, SCREEN))


@pytest.mark.parametrize("text", ["click(x=1.5, y=0.5)", "click(x=500, y=250)", "[[0.5, 2]]", "click(x=-0.1, y=0.5)"])
def test_numbers_above_one_are_no_fractions(text: str) -> None:
    with pytest.raises(OutOfFrame, match=r"0 <= . <= 1"):
        only(text, Convention.UNIT)


@pytest.mark.parametrize("convention", [Convention.UNIT, *WHOLE], ids=lambda convention: convention.name)
def test_the_corners_and_their_neighbours_come_back_as_they_were_written(convention: Convention) -> None:
    numbers = (0, 0.0001, 0.9999, 1) if convention.name == "unit" else (0, 1, 2, 499)
    for x in numbers:
        for y in numbers:
            place = convention.point(x, y, SCREEN)
            for action in (Click(at=place), Drag(path=(place, place))):
                assert only(render(action, convention, SCREEN), convention) == action


@pytest.mark.parametrize("number", ["0x10", "0X10", "0b11", "0o17", "1_000", "1_0.5", "0x1p3", "١٢", "1e", "5px"])
def test_a_number_in_another_notation_is_refused(number: str) -> None:
    for text in (
        f"click(x={number}, y=200)",
        f"click(x='{number}', y=200)",
        f"click([{number}, 200])",
        f"Action: click(start_box='({number},200)')",
        f"CLICK [{number}, 200]",
        f"<point>{number} 200</point>",
        f"<box>[[{number}, 200]]</box>",
        f"scroll({number})",
        f'{{"type": "click", "x": {number}, "y": 200}}',
        f'{{"type": "click", "x": "{number}", "y": 200}}',
    ):
        with pytest.raises(ParseError):
            only(text, Convention.PIXEL)
