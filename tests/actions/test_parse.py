"""The parser's rules that golden texts of one format do not show: kinds, scales, limits, and what it never does."""

import dataclasses
import warnings
from pathlib import Path

import pytest

from foveate.actions.errors import ActionError, OutOfFrame, ParseError
from foveate.actions.formats.calls import FUNCTIONS
from foveate.actions.geometry import Box, Convention, Frame, Point
from foveate.actions.parse import Answer, parse_answer
from foveate.actions.schema import (
    KINDS,
    Action,
    Click,
    Control,
    Dialog,
    Drag,
    FocusWindow,
    GoTo,
    Key,
    KeyDown,
    KeyUp,
    MoveForward,
    Navigate,
    Pick,
    Place,
    Press,
    Reload,
    Scroll,
    Stop,
    SwitchTab,
    Terminate,
    Turn,
    TypeText,
    Upload,
    Velocity,
    Wait,
    Zoom,
)

SCREEN = Frame(1000, 500)
PHONE = frozenset({"click", "type_text", "scroll"})


def parse(text: str, convention: Convention = Convention.UNIT, kinds: frozenset[str] | None = None) -> Answer:
    """Parse in a screen of 1000 x 500 pixels."""
    return parse_answer(text, frame=SCREEN, convention=convention, kinds=kinds)


def only(text: str, convention: Convention = Convention.UNIT) -> Action:
    """The one action of a text."""
    (action,) = parse(text, convention).actions
    return action


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("click([0.5, 0.25])", Click(at=Point(0.5, 0.25))),
        ("click(x=[0.5, 0.25])", Click(at=Point(0.5, 0.25))),
        ("click(at={'x': 0.5, 'y': 0.25})", Click(at=Point(0.5, 0.25))),
        ("click(.5, .25, modifiers=['ctrl'], hold_s=2)", Click(at=Point(0.5, 0.25), modifiers=("control",), hold_s=2)),
        ("drag(0.1, 0.2, 0.3, 0.4)", None),
        ("drag(x1=0.1, y1=0.2, x2=0.3, y2=0.4)", Drag(path=(Point(0.1, 0.2), Point(0.3, 0.4)))),
        ("drag([0.1, 0.2], [0.3, 0.4])", Drag(path=(Point(0.1, 0.2), Point(0.3, 0.4)))),
        ("scroll('left')", Scroll(dx=-5.0)),
        ("scroll(direction='up', amount=2)", Scroll(dy=-2.0)),
        ("scroll(direction='up', amount=-2)", None),
        ("scroll(start_box=[0.5, 0.8], end_box=[0.5, 0.2])", Scroll(at=Point(0.5, 0.8), dy=3.0)),
        ("scroll(dx=1.5, dy=-2)", Scroll(dx=1.5, dy=-2.0)),
        ("write(message=42)", TypeText(text="42")),
        ("write(message=True)", None),
        ("press('+')", Press(keys=(Key.PLUS,))),
        ("press(['ctrl+a', 'delete'], presses=60)", None),
        ("hotkey('ctrl', 'a', presses=2)", Press(keys=(Key.CONTROL, Key.A), presses=2)),
        ("hotkey()", None),
        ("keyDown('shift')", KeyDown(key=Key.SHIFT)),
        ("release(key='shift')", KeyUp(key=Key.SHIFT)),
        ("reload()", Reload()),
        ("switch_tab(2)", SwitchTab(index=2)),
        ("switch_tab(2.5)", None),
        ("upload('cv.pdf', x=0.5, y=0.25)", Upload(at=Point(0.5, 0.25), paths=("cv.pdf",))),
        ("dialog(accept=True, text='hi')", Dialog(accept=True, text="hi")),
        ("dialog('false')", Dialog(accept=False)),
        ("dialog(accept='perhaps')", None),
        ("dialog()", None),
        ("focus_window('Editor')", FocusWindow(title="Editor")),
        ("move_forward(0.5)", MoveForward(distance_m=0.5)),
        ("turn(angle_deg=-30)", Turn(angle_deg=-30.0)),
        ("turn()", None),
        ("go_to(<box>[[100, 200, 300, 400]]</box>)", GoTo(at=Point(0.2, (0.2 + 0.4) / 2))),
        ("pick(0.5, 0.25)", Pick(at=Point(0.5, 0.25))),
        ("place(x=0.5, y=0.25)", Place(at=Point(0.5, 0.25))),
        ("velocity(0.5, 0.1, 2)", Velocity(linear_m_s=0.5, angular_rad_s=0.1, duration_s=2.0)),
        ("velocity(0.5, 0.1)", None),
        ("control([0.5, -1])", Control(values=(0.5, -1.0))),
        ("control(values=0.5)", None),
        ("stop()", Stop()),
        ("sleep(0.5)", Wait(duration_s=0.5)),
        ("zoom([0.1, 0.2, 0.3, 0.4])", Zoom(region=Box(0.1, 0.2, 0.3, 0.4))),
        ("zoom(x1=0.1, y1=0.2, x2=0.3, y2=0.4)", Zoom(region=Box(0.1, 0.2, 0.3, 0.4))),
        ("zoom(region=[0.1, 0.2])", None),
        ("zoom()", None),
        ("terminate(status='perhaps')", None),
        ("fail('no such page')", Terminate(status="failure", reason="no such page")),
        ("click(0.5, 0.25, 1, 0, 'left', 0, 7)", None),
        ("click(0.5, 0.25, x=0.5)", None),
        ("click(point='(0.5, 0.25)', coordinate=[0.5, 0.25])", None),
        ("click(point=[0.5, 0.25], x=0.5, y=0.25)", None),
        ("click(at={'x': 0.5})", None),
        ("click(at={1: 2})", None),
        ("click(x=0.5))", None),
        ("click(x=5e, y=1)", None),
        ("pyautogui.move(0.1, 0.1)", None),
        ("os.click(0.5, 0.5)", None),
        ("<action>[[0.5, 0.25]]</action>", Click(at=Point(0.5, 0.25))),
        ("<action>\n```python\nclick(0.5, 0.25)\n```\n</action>", Click(at=Point(0.5, 0.25))),
        ("```python click(0.5, 0.25)```", Click(at=Point(0.5, 0.25))),
        ('{"name": "dialog", "arguments": {"accept": true}}', Dialog(accept=True)),
        ('{"name": "dialog", "arguments": [1]}', None),
        ('{"name": "dialog", "arguments": "{\'accept\': true}"}', Dialog(accept=True)),
        ('{"name": "type", "arguments": {"content": null}}', None),
        ("{'action': 'wait', 'duration': 1, 'text': null}", None),
        ('{"tool_calls": [{"function": {"name": "wait", "arguments": "{\\"seconds\\": 1}"}}]}', Wait(duration_s=1.0)),
        ('{"action": [{"action": [{"action": [{"action": []}]}]}]}', None),
        ('{"answer": 42}', None),
        ('{"type": "wait"} and so on', None),
        ("[{}, 1]", None),
        ("Look: {braces} then {\"type\": \"wait\"}", Wait(duration_s=1.0)),
        ('{"name": "mobile_use", "arguments": {"action": "key", "text": "enter"}}', Press(keys=(Key.ENTER,))),
        ("Action: DONE", Terminate()),
        ("hover []", None),
        ("type", None),
        ("select [0.5, 0.25]", None),
        ("press [a] [b]", None),
        ("scroll", None),
        ("goto", None),
        ("tab_focus", None),
        ("click [0.5, 0.25] now", None),
        ("<box>[[1, 2], [3, 4], x]</box>", None),
        ("<point>" + " 1" * 600 + "</point>", None),
    ],
)  # fmt: skip
def test_a_text_is_this_action_or_an_error(text: str, action: Action | None) -> None:
    if action is None:
        with pytest.raises(ParseError):
            parse(text)
    else:
        assert only(text) == action


def test_an_answer_is_frozen() -> None:
    answer = parse("click(x=0.5, y=0.5)")
    with pytest.raises(dataclasses.FrozenInstanceError):
        answer.actions = ()  # type: ignore[misc]
    assert not hasattr(answer, "__dict__")


# Kinds --------------------------------------------------------------------------------------------------------------


def test_a_kind_that_is_not_offered_names_those_that_are_in_their_order() -> None:
    with pytest.raises(ParseError, match="go_to is not offered here: the actions are click, scroll, type_text"):
        parse("go_to(x=0.5, y=0.5)", kinds=PHONE)
    with pytest.raises(ParseError, match="the actions are none"):
        parse("wait()", kinds=frozenset())


def test_one_action_that_is_not_offered_refuses_the_whole_answer() -> None:
    with pytest.raises(ParseError, match="press is not offered"):
        parse("<action>\nclick(x=0.5, y=0.5)\npress(keys='enter')\n</action>", kinds=PHONE)


def test_every_kind_is_offered_where_no_kinds_are_named() -> None:
    assert parse("pick(x=0.5, y=0.5)").actions == parse("pick(x=0.5, y=0.5)", kinds=KINDS).actions


@pytest.mark.parametrize("text", ["[[500, 250]]", "<point>500 250</point>", '{"point_2d": [500, 250]}', "(500, 250)"])
def test_a_place_alone_is_a_click_where_clicks_are_offered_else_go_to(text: str) -> None:
    here = Point(0.5, 0.25)
    both = frozenset({"click", "go_to"})
    assert parse(text, Convention.PER_MILLE).actions == (Click(at=here),)
    assert parse(text, Convention.PER_MILLE, both).actions == (Click(at=here),)
    assert parse(text, Convention.PER_MILLE, frozenset({"go_to"})).actions == (GoTo(at=here),)
    with pytest.raises(ParseError, match="click is not offered"):
        parse(text, Convention.PER_MILLE, frozenset({"wait"}))


def test_stop_alone_is_the_bodys_end_and_never_a_terminate() -> None:
    assert parse("STOP", kinds=frozenset({"stop", "turn"})).actions == (Stop(),)
    assert parse("stop []", kinds=frozenset({"stop", "turn"})).actions == (Stop(),)
    with pytest.raises(ParseError, match="stop is not offered"):
        parse("STOP", kinds=frozenset({"terminate"}))


# Scales -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "convention", [Convention.UNIT, Convention.PER_MILLE, Convention.PIXEL, Convention.resized(50, 50)]
)
@pytest.mark.parametrize(
    "text", ["<box>[[500, 250]]</box>", "<ref>x</ref>[[500, 250]]", "click('<box>[[500, 250]]</box>')"]
)
def test_box_and_ref_tags_are_per_mille_in_every_convention(text: str, convention: Convention) -> None:
    assert only(text, convention) == Click(at=Point(0.5, 0.25))


@pytest.mark.parametrize(
    "text",
    [
        "<point>500 250</point>",
        "<bbox>500 250 500 250</bbox>",
        "<|box_start|>(500,250)<|box_end|>",
        "[[500, 250]]",
        '{"type": "click", "x": 500, "y": 250}',
        "Action: click(start_box='<|box_start|>(500,250)<|box_end|>')",
    ],
)
def test_no_other_mark_overrides_the_convention(text: str) -> None:
    assert only(text, Convention.PER_MILLE) == Click(at=Point(0.5, 0.25))
    assert only(text, Convention.PIXEL) == Click(at=Point(0.5005, 0.501))
    assert only(text, Convention.resized(1001, 501)) == Click(at=Point(0.5, 0.5))
    with pytest.raises(OutOfFrame):
        parse(text, Convention.UNIT)


@pytest.mark.parametrize("convention", [Convention.PER_MILLE, Convention.PIXEL, Convention.resized(50, 50)])
def test_fractions_are_refused_where_the_convention_writes_integers(convention: Convention) -> None:
    for text in (
        "click(x=0.5, y=1)",
        "click(x=0.2346, y=0.381)",
        "[[0.1, 0.2, 0.3, 0.4]]",
        "drag(path=[[0, 0.5], [3, 4]])",
    ):
        with pytest.raises(OutOfFrame, match="fractions"):
            parse(text, convention)
    assert only("click(x=0, y=1)", convention) == Click(at=convention.point(0, 1, SCREEN))
    assert only("click(x=3.5, y=0.5)", convention) == Click(at=convention.point(3.5, 0.5, SCREEN))


def test_the_smallest_numbers_are_read_in_the_convention_and_not_guessed() -> None:
    assert only("click(x=1, y=1)", Convention.UNIT) == Click(at=Point(0.9995, 0.999))
    assert only("click(x=1, y=1)", Convention.PER_MILLE) == Click(at=Point(0.001, 0.001))
    assert only("click(x=1, y=1)", Convention.PIXEL) == Click(at=Point(0.0015, 0.003))


def test_resized_pixels_are_read_with_the_size_that_was_sent() -> None:
    assert only("pyautogui.click(644, 364)", Convention.resized(1288, 728)) == Click(
        at=Point(644.5 / 1288, 364.5 / 728)
    )
    with pytest.raises(OutOfFrame, match="0 <= x < 1288"):
        parse("pyautogui.click(1288, 364)", Convention.resized(1288, 728))


def test_a_swipe_is_measured_in_input_units_not_in_pixels_of_the_picture() -> None:
    frame = Frame(2000, 1000, extent=(1000.0, 500.0))
    answer = parse_answer("swipe(direction='up', amount=0.5)", frame=frame, convention=Convention.UNIT)
    assert answer.actions == (Scroll(dy=2.5),)


def test_places_are_also_kept_as_they_were_written() -> None:
    answer = parse("click(x=0.50, y=1)\nwrite(message='a')\ndragTo(0.1, 0.2)\nclick(<box>[[1, 2, 3, 4]]</box>)")
    assert answer.written == ((0.5, 1.0), None, ((0.1, 0.2),), (1.0, 2.0, 3.0, 4.0))


# Limits and safety --------------------------------------------------------------------------------------------------


def test_an_answer_holds_a_hundred_actions_at_most() -> None:
    assert len(parse("wait()\n" * 100).actions) == 100
    for text in ("wait()\n" * 101, "<action>" + "wait();" * 101 + "</action>", "[[0.5, 0.5]]" * 101, "wait\n" * 101):
        with pytest.raises(ParseError, match="100"):
            parse(text)
    with pytest.raises(ParseError):
        parse("[" + '{"type": "wait"},' * 100 + '{"type": "wait"}]')


def test_model_text_is_never_executed(tmp_path: Path) -> None:
    target = tmp_path / "made"
    for text in (
        f"open({str(target)!r}, 'w')",
        f"<action>__import__('os').mkdir({str(target)!r})</action>",
        f"```python\nimport os\nos.mkdir({str(target)!r})\n```",
        f"click(x=__import__('os').mkdir({str(target)!r}), y=0)",
        f"<action>click(x=0.5, y=[__import__('pathlib').Path({str(target)!r}).touch() for _ in (1,)])</action>",
        "<action>getattr(click, '__globals__')()</action>",
        "<action>click.__class__()</action>",
        "<action>(lambda: 0)()</action>",
        "<action>click(x:=1, y=2)</action>",
        "<action>click(*[0.5, 0.5])</action>",
        "<action>click(x=b'1', y=1j)</action>",
        "<action>click(x=..., y={1, 2})</action>",
    ):
        with pytest.raises(ParseError):
            parse(text)
    assert not target.exists()


def test_names_go_through_a_closed_table_without_private_ones() -> None:
    assert all(name == name.lower() and not name.startswith("_") for name in FUNCTIONS)
    assert not {"exec", "eval", "print", "open_file", "system"} & set(FUNCTIONS)


@pytest.mark.parametrize(
    "text",
    [
        "click(x=0x5or 1, y=1)",
        "click(a.1or 1)",
        "see 5or more\nclick(1)if",
        "click(1if 1else 2, 3)",
        "'a'()",
        "click('\\777')",
    ],
)
def test_reading_an_odd_text_gives_no_warning(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ParseError):
            parse(text)
        assert only(r"write(message='C:\d\x4')") == TypeText(text=r"C:\d\x4")


def test_a_message_is_bounded_printable_and_shows_the_text() -> None:
    for text in (
        "x" * 400_000,
        "\ud800\x00\x1b[31m" * 100,
        "<action>" + "é\n" * 1000 + "</action>",
        "click(" + "a" * 9999,
    ):
        with pytest.raises(ParseError) as caught:
            parse(text)
        message = str(caught.value)
        assert len(message) < 1_000 and "\x00" not in message and "\x1b" not in message and "\n" not in message
        message.encode()
        assert "the answer: " in message


def test_an_address_is_only_read_here_and_ruled_on_by_the_guard() -> None:
    assert only("open_url('javascript:alert(1)')") == Navigate(url="javascript:alert(1)")


@pytest.mark.parametrize(
    "text", ["", "hello", "<action>x</action>", "[[1]]", "{}", "<think>", "Action:", "click(x=2, y=2)"]
)
def test_only_two_errors_come_out(text: str) -> None:
    with pytest.raises(ActionError) as caught:
        parse(text)
    assert type(caught.value) in (ParseError, OutOfFrame)


def test_an_error_of_pythons_own_in_reading_a_call_is_an_answer_that_can_be_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lost(*_: object, **__: object) -> None:
        raise SystemError("AST constructor recursion depth mismatch (before=156, after=209)")

    monkeypatch.setattr("foveate.actions.formats.literal.ast.parse", lost)
    with pytest.raises(ParseError, match="expected a call"):
        parse_answer("<action>\nclick(x=0.5, y=0.5)\n</action>", frame=Frame(10, 10), convention=Convention.UNIT)
