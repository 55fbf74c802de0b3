from foveate.actions.schema import BROWSER_KINDS, KINDS
from foveate.policies.internvl.profiles import TINY
from foveate.policies.internvl.short_prompts import PREFILL, SYSTEM, short_system_prompt, short_user_prompt


def test_the_system_message_is_the_same_for_every_world() -> None:
    assert short_system_prompt("web", KINDS, "action") == SYSTEM
    assert short_system_prompt("embodied", BROWSER_KINDS, "thought") == SYSTEM


def test_the_user_message_holds_task_operations_and_notes() -> None:
    assert short_user_prompt("Click Save", "None") == "Task:\nClick Save\n\nPrevious operations:\nNone"
    told = short_user_prompt("Click Save", "Step 1: click", ("nothing changed", "blocked", "left out"))
    assert told.endswith("Step 1: click\n\nNotes on the last step:\n- nothing changed\n- blocked")


def test_a_long_note_is_cut() -> None:
    assert len(short_user_prompt("a", "None", ("x" * 500,))) < 180


def test_every_answer_begins_with_the_operation_and_thoughts_are_off() -> None:
    assert TINY.plain_prefill == PREFILL
    assert TINY.stop == ("</action>",)
    assert not TINY.can_think
    assert TINY.tiles.screen == TINY.tiles.camera == 1
