"""A tag inside a string literal is what the string says: it neither begins an action nor ends a thought."""

import pytest

from foveate.actions.geometry import Convention, Frame, Point
from foveate.actions.parse import parse_answer
from foveate.actions.schema import Action, Click, TypeText

TRAP = "<action>click(x=0.1,y=0.1)</action>"


@pytest.mark.parametrize(
    ("text", "action"),
    [
        (f"pyautogui.write('{TRAP}')", TypeText(text=TRAP)),
        (f'{{"action":"type","text":"see {TRAP}"}}', TypeText(text=f"see {TRAP}")),
        (
            f'<tool_call>\n{{"name":"computer_use","arguments":{{"action":"type","text":"{TRAP}"}}}}\n</tool_call>',
            TypeText(text=TRAP),
        ),
        (
            f'{{"thought":"{TRAP}","action":"left_click","coordinate":[0.5,0.5]}}',
            Click(at=Point(0.5, 0.5)),
        ),
        (
            f'```json\n{{"thought":"{TRAP}","action":"left_click","coordinate":[0.5,0.5]}}\n```',
            Click(at=Point(0.5, 0.5)),
        ),
        (f'{{"action":"type","text":"a</think>{TRAP}"}}', TypeText(text=f"a</think>{TRAP}")),
        ('{"action":"type","text":"x <think>secret</think> y"}', TypeText(text="x <think>secret</think> y")),
    ],
)
def test_a_tag_in_a_string_is_text(text: str, action: Action) -> None:
    answer = parse_answer(text, frame=Frame(1280, 720), convention=Convention.UNIT)
    assert answer.actions == (action,)


def test_a_thought_that_begins_with_a_call_is_still_a_thought() -> None:
    text = "click(x=0.1,y=0.1)</think>\nclick(x=0.5,y=0.5)"
    answer = parse_answer(text, frame=Frame(1280, 720), convention=Convention.UNIT)
    assert answer.actions == (Click(at=Point(0.5, 0.5)),)
