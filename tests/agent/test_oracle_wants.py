"""What an oracle does next, from the state of a page alone."""

import random
from collections.abc import Mapping
from typing import Any

import pytest

from foveate.actions.geometry import Convention, Frame
from foveate.actions.parse import parse_answer
from foveate.agent.oracles.mistakes import slip
from foveate.agent.oracles.moves import Move, scroll, write
from foveate.agent.oracles.state import ACCEPT, DIALOG_FIELD, OracleLost, Sight, Thing, keeps, option_key, says
from foveate.agent.oracles.wants import (
    All,
    AtEnd,
    Chosen,
    Clicked,
    Counts,
    Entered,
    Holds,
    Paged,
    Replied,
    Seen,
    Shows,
    Ticked,
    Until,
    Within,
)
from foveate.envs.base import PendingDialog
from foveate.policies.training.screens import Element, Question


def sight(*things: Thing, state: Mapping[str, Any] | None = None, **more: Any) -> Sight:
    """Make a page of things; each that can be seen has its element."""
    places = [(0.1 + 0.1 * index) for index in range(len(things))]
    elements = tuple(
        Element(thing.role, thing.name, (0.1, y - 0.03, 0.5, y + 0.03), (0.3, y))
        for thing, y in zip(things, places, strict=True)
    )
    return Sight({thing.key: thing for thing in things}, state or {}, elements=elements, **more)


def field(value: str = "", **more: Any) -> Sight:
    return sight(Thing("f", "field", "Name", 0, value=value, **more))


def test_a_field_is_clicked_then_typed_into_and_then_nothing_more_is_wanted() -> None:
    want = Holds("f", "Name", "Ada")
    assert want.step(field()) == Move("Click Name", "click({place})", "f")
    assert want.step(field(focused=True)) == Move("Type Ada", 'write(message="Ada")')
    assert want.step(field("Ada", focused=True)) is None


def test_a_wrong_text_is_selected_and_typed_over_one_letter_too_many_is_taken_back() -> None:
    want = Holds("f", "Name", "Ada")
    wrong = want.step(field("Adq", focused=True))
    assert wrong is not None
    assert wrong.call == 'hotkey("control", "a")'
    assert want.step(field("Adq", focused=True, marked=True)) == write("Ada")
    assert want.step(field("Adaq", focused=True)) == Move("Press backspace", 'press(keys="backspace")')


def test_a_field_that_is_to_be_empty_is_emptied() -> None:
    want = Holds("f", "Name", "")
    assert want.step(field("Ada", focused=True, marked=True)) == Move("Press backspace", 'press(keys="backspace")')
    assert want.step(field()) is None


def test_a_box_is_clicked_where_it_is_not_as_it_should_be() -> None:
    box = sight(Thing("b", "checkbox", "News", 0, checked=True))
    assert Ticked("b", "News").step(box) is None
    assert Ticked("b", "News", on=False).step(box) == Move("Untick News", "click({place})", "b")


def test_a_list_is_opened_and_its_option_chosen_and_one_opened_by_mistake_is_closed() -> None:
    want = Shows("s", "Size", "Large")
    closed, option = Thing("s", "select", "Size", 0, value="Small"), Thing(option_key("Large"), "option", "Large", 1)
    assert want.step(sight(closed)) == Move("Open Size", "click({place})", "s")
    assert want.step(sight(closed, option, listed="s")) == Move("Choose Large", "click({place})", option.key)
    assert want.step(sight(closed, listed="other")) == Move("Press escape", 'press(keys="escape")')
    assert want.step(sight(Thing("s", "select", "Size", 0, value="Large"))) is None


def test_a_number_is_raised_or_lowered_to_its_target() -> None:
    def at(count: int) -> Move | None:
        number = Thing("n", "value", "Adults", 0, value=str(count))
        return Counts("n", "more", "less", "Adults", 2).step(
            sight(number, Thing("less", "decrease", "Adults", 1), Thing("more", "increase", "Adults", 2))
        )

    assert [getattr(at(count), "operation", None) for count in (1, 2, 3)] == [
        "Increase Adults",
        None,
        "Decrease Adults",
    ]


def test_what_lies_out_of_view_is_scrolled_to_and_what_is_not_there_is_an_error() -> None:
    below = Thing("b", "button", "Go", None, away=120)
    assert Seen("b").step(sight(below)) == Move("Scroll down", "scroll(clicks=-2)")
    above = Thing("b", "button", "Go", None, away=-90)
    assert Clicked("b", "Click Go").step(sight(above)) == Move("Scroll up", "scroll(clicks=2)")
    with pytest.raises(OracleLost, match="scrolling does not help"):
        Clicked("b", "Click Go").step(sight(Thing("b", "button", "Go", None, away=None)))
    with pytest.raises(OracleLost, match="nothing called 'x'"):
        Clicked("x", "Click X").step(sight(below))


def test_a_part_that_scrolls_is_scrolled_by_less_than_its_height() -> None:
    part = Thing("p", "scroller", "", 0, height=150)
    inner = Thing("r", "row", "Eggs", None, away=300, scroller="p")
    assert Seen("r").step(sight(part, inner)) == Move("Scroll down", "scroll(clicks=-1, {place})", "p")
    assert scroll(True, Thing("p", "scroller", "", 0, height=400)).call == "scroll(clicks=-2, {place})"


def test_a_page_is_scrolled_to_its_end_before_something_is_said_to_be_missing() -> None:
    assert AtEnd().step(sight(below=90)) == Move("Scroll down", "scroll(clicks=-2)")
    assert AtEnd().step(sight(below=0)) is None


def test_wants_come_in_their_order_until_a_state_is_reached() -> None:
    page = sight(Thing("a", "checkbox", "A", 0), Thing("go", "button", "Go", 1), state={"saved": None})
    want = Until(keeps("saved", {"a": True}), [Ticked("a", "A"), Clicked("go", "Click Go")])
    first = want.step(page)
    assert first is not None
    assert first.operation == "Tick A"
    done = sight(state={"saved": {"a": True, "b": False}})
    assert want.step(done) is None


def test_a_shut_part_is_opened_only_where_something_in_it_is_wanted() -> None:
    shut = sight(Thing("head", "section", "More", 0), Thing("a", "checkbox", "A", None, away=None))
    want = Within(lambda page: page.thing("head").checked, Chosen("head", "Open More"), Ticked("a", "A"))
    assert want.step(shut) == Move("Open More", "click({place})", "head")
    fine = sight(Thing("head", "section", "More", 0), Thing("a", "checkbox", "A", None, away=None, checked=True))
    assert want.step(fine) is None


def test_pages_are_turned_back_to_what_was_left_undone() -> None:
    def at(page: int, *, first: bool, second: bool) -> str | None:
        things = (
            Thing("a", "checkbox", "A", 0 if page == 0 else None, away=0 if page == 0 else None, checked=first),
            Thing("b", "checkbox", "B", 1 if page == 1 else None, away=0 if page == 1 else None, checked=second),
            Thing("next", "button", "Next", 2),
            Thing("back", "button", "Back", 3),
        )
        want = Paged([Ticked("a", "A"), Ticked("b", "B")], "next", "Click Next", "back", "Click Back")
        return getattr(want.step(sight(*things, state={"page": page})), "operation", None)

    assert at(0, first=False, second=False) == "Tick A"
    assert at(0, first=True, second=False) == "Click Next"
    assert at(1, first=False, second=False) == "Click Back"
    assert at(1, first=True, second=False) == "Tick B"
    assert at(1, first=True, second=True) is None


def test_enter_is_pressed_in_its_field() -> None:
    want = Entered("f", "Name", says("sent", True))
    assert want.step(field()) == Move("Click Name", "click({place})", "f")
    assert want.step(field(focused=True)) == Move("Press enter", 'press(keys="enter")')


def test_a_dialog_gets_its_text_and_then_its_answer() -> None:
    dialog = PendingDialog("prompt", "New name?", "Old")
    parts = Thing(ACCEPT, "button", "OK", 0), Thing(DIALOG_FIELD, "field", "", 1, value="Old", marked=True)
    assert Replied(text="New").step(sight(*parts, dialog=dialog)) == write("New")
    typed = Thing(DIALOG_FIELD, "field", "", 1, value="New")
    assert Replied(text="New").step(sight(parts[0], typed, dialog=dialog)) == Move("Click OK", "click({place})", ACCEPT)
    assert Replied().step(sight()) is None


def test_every_move_is_read_back_by_the_parser() -> None:
    frame = Frame(448, 448)
    for move in (write('say "no"'), scroll(True), All([Entered("f", "x")]).step(field(focused=True))):
        assert move is not None
        text = f"<operation>\n{Question('', move.operation, move.call).answer(())}"
        assert parse_answer(text, frame=frame, convention=Convention.UNIT).operation == move.operation


def test_a_long_operation_is_cut_as_a_history_cuts_it() -> None:
    assert len(write("a" * 200).operation) == 60
    assert write("a" * 200).call.count("a") > 200


def test_a_slip_is_never_what_was_meant_and_only_harms_what_can_be_put_right() -> None:
    boxes = sight(*(Thing(f"b{index}", "checkbox", f"Box {index}", index) for index in range(4)))
    meant = Move("Tick Box 1", "click({place})", "b1")
    right = Question("", meant.operation, meant.call, 1).answer(boxes.elements)
    slips = [slip(random.Random(seed), meant, boxes) for seed in range(60)]
    assert right not in slips
    assert {text.split("\n")[0] for text in slips if text} >= {"Tick Box 1", "Tick Box 0"}
    deletes = sight(*(Thing(f"d{index}", "delete", f"Row {index}", index) for index in range(3)))
    gone = Move("Delete Row 1", "click({place})", "d1")
    others = {Question("", gone.operation, gone.call, index).answer(deletes.elements) for index in (0, 2)}
    assert not others & {slip(random.Random(seed), gone, deletes) for seed in range(60)}


def test_a_typing_slip_is_another_text() -> None:
    texts = {slip(random.Random(seed), write("Oslo"), field()) for seed in range(20)}
    assert all(text is None or 'write(message="Oslo")' not in text for text in texts)
    assert len(texts) > 5
