import itertools

import numpy as np
import pytest

from foveate.actions.geometry import Frame, Point
from foveate.actions.render import SIGNATURES
from foveate.actions.schema import BROWSER_KINDS, EMBODIED_KINDS, KEYBOARD_KINDS, KINDS, POINTER_KINDS, Click
from foveate.envs.base import Observation
from foveate.policies.base import Decision, Outcome, Turn
from foveate.policies.internvl.profile import AnswerForm
from foveate.policies.internvl.prompts import (
    action_space,
    last_notes,
    platform_of,
    previous_operations,
    system_prompt,
    user_prompt,
)

LOOK = Observation(image=np.zeros((0, 0, 3), np.uint8), frame=Frame(20, 10), captured_at_s=0.0)
CLICK = Click(at=Point(0.5, 0.5))
SCREEN = POINTER_KINDS | KEYBOARD_KINDS | {"wait", "terminate"}


def turn(operation: str, *, applied: bool = True, notes: tuple[str, ...] = ()) -> Turn:
    outcome = Outcome("allow", applied=CLICK) if applied else Outcome("refused")
    return Turn(LOOK, Decision(actions=(CLICK,), operation=operation), (outcome,), notes=notes)


def turns(count: int) -> tuple[Turn, ...]:
    return tuple(turn(f"do {number}") for number in range(1, count + 1))


def test_the_system_message_has_scalecuas_headings_in_order() -> None:
    text = system_prompt("web", SCREEN | BROWSER_KINDS)
    headings = ["## Action Space", "## Input Specification", "## Output Format", "## Note"]
    assert [line for line in text.split("\n") if line.startswith("#")] == headings
    assert "operating on the **Web Browser** platform" in text
    assert text.startswith("You are an autonomous GUI agent")


@pytest.mark.parametrize(
    ("answer", "tags"),
    [("action", ["action"]), ("operation", ["operation", "action"]), ("thought", ["think", "operation", "action"])],
)
def test_the_form_of_the_answer_decides_which_tags_are_asked_for(answer: AnswerForm, tags: list[str]) -> None:
    text = system_prompt("web", SCREEN, answer)
    form = text[text.index("## Output Format") : text.index("## Note")]
    assert [tag for tag in ("think", "operation", "action") if f"<{tag}>" in form and f"</{tag}>" in form] == tags
    assert ("history" in text) == (answer != "action")


def test_only_what_is_offered_is_described() -> None:
    kinds = frozenset({"click", "type_text", "terminate"})
    text = system_prompt("web", kinds)
    for kind, signature in SIGNATURES.items():
        assert (signature in text) == (kind in kinds)


def test_every_kind_has_a_signature() -> None:
    assert action_space(KINDS).count("def ") == len(KINDS)


@pytest.mark.parametrize(
    ("kinds", "platform"),
    [
        (KINDS, "web"),
        (SCREEN | BROWSER_KINDS, "web"),
        (SCREEN | {"open_app"}, "desktop"),
        (EMBODIED_KINDS | {"wait"}, "embodied"),
    ],
)
def test_the_platform_follows_from_the_kinds(kinds: frozenset[str], platform: str) -> None:
    assert platform_of(kinds) == platform


def test_a_body_is_not_told_of_screens() -> None:
    text = system_prompt("embodied", EMBODIED_KINDS)
    assert "GUI" not in text
    assert "UI" not in text
    assert "def stop()" in text
    assert "terminate" not in text


def test_the_user_message_is_scalecuas() -> None:
    assert user_prompt("Buy milk", "None") == (
        "Please generate the next move according to the UI screenshot, the task and previous operations.\n\n"
        "Task:\nBuy milk\n\nPrevious operations:\nNone"
    )


def test_notes_on_the_last_step_follow_the_operations() -> None:
    text = user_prompt("Buy milk", "Step 1: a", ("nothing changed", "refused: address"))
    assert text.endswith(
        "Previous operations:\nStep 1: a\n\nNotes on the last step:\n- nothing changed\n- refused: address"
    )


def test_only_the_last_turns_notes_are_given_one_line_each() -> None:
    history = (turn("a", notes=("old",)), turn("b", notes=("new\nline", "other")))
    assert last_notes(history) == ("new line", "other")
    assert last_notes(()) == ()
    assert last_notes((turn("a", notes=("x" * 999,)),)) == ("x" * 300,)


def test_no_history_is_none() -> None:
    assert previous_operations(()) == "None"
    assert previous_operations((turn("refused", applied=False),)) == "None"


def test_operations_are_numbered_over_what_was_applied() -> None:
    history = (turn("open"), turn("refused", applied=False), turn("type\n  milk"))
    assert previous_operations(history) == "Step 1: open\nStep 2: type milk"


def test_an_operation_without_words_is_the_kind_of_its_action() -> None:
    assert previous_operations((turn(""),)) == "Step 1: click"


def test_an_operation_is_cut_to_two_hundred_characters() -> None:
    assert previous_operations((turn("x" * 300),)) == "Step 1: " + "x" * 200


@pytest.mark.parametrize(("count", "hidden"), [(20, 0), (21, 10), (30, 10), (31, 20), (105, 90)])
def test_operations_fall_out_in_blocks_of_ten(count: int, hidden: int) -> None:
    lines = previous_operations(turns(count)).split("\n")
    if hidden:
        assert lines.pop(0) == f"Steps 1-{hidden}: not shown"
    assert lines == [f"Step {number}: do {number}" for number in range(hidden + 1, count + 1)]
    assert len(lines) <= 20


def test_the_beginning_stays_the_same_for_ten_steps() -> None:
    texts = [previous_operations(turns(count)) for count in range(21, 31)]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))


@pytest.mark.parametrize("limit", [1, 3, 4, 7])
def test_a_short_limit_is_kept(limit: int) -> None:
    for count in range(1, 30):
        lines = previous_operations(turns(count), limit=limit).split("\n")
        shown = [line for line in lines if line.startswith("Step ")]
        assert 1 <= len(shown) <= limit
        assert shown[-1] == f"Step {count}: do {count}"
