"""A tag inside a string literal is what the string says: it neither begins an action nor ends a thought."""

import pytest

from foveate.actions.errors import ParseError
from foveate.actions.geometry import Convention, Frame, Point
from foveate.actions.parse import Answer, parse_answer
from foveate.actions.schema import Action, Click, TypeText

TRAP = "<action>click(x=0.1,y=0.1)</action>"


def parse(text: str) -> Answer:
    """Parse in a screen of 1280 x 720 pixels with fractions."""
    return parse_answer(text, frame=Frame(1280, 720), convention=Convention.UNIT)


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
    assert parse(text).actions == (action,)


TYPED = [
    "<action>",
    "</action>",
    TRAP,
    "<think>",
    "a</think>b",
    "<think>secret</think>b",
    "<thought>x</thought> [THINK]y[/THINK] ◁think▷ <|channel|>analysis",
    "<tool_call>",
    "</tool_call>",
    "<operation>x</operation>",
    "```",
    "```python",
    "{{name}} <b> & </b>",
]
FORMS = [
    "pyautogui.write('%s')",
    'pyautogui.write("%s")',
    "write(message=“%s”)",
    "write(message=r'%s')",
    "I type it:\npyautogui.write('%s')",
    "I type it: pyautogui.write('%s')",
    "<action>\nwrite(message='%s')\n</action>",
    "<action>write(message='%s')</action>",
    "<action>write(message='%s')",
    "<think>I type it.</think>\n<operation>Type it</operation>\n<action>\nwrite(message='%s')\n</action>",
    "```python\npyautogui.write('%s')\n```",
    "I type it.\n```python\nimport pyautogui\npyautogui.write('%s')\n```",
    "Action: type(content='%s')",
    "Thought: I type it.\nAction: type(content='%s')",
    "TYPE [%s]",
    "<think>I type it.</think>\ntype [%s]",
    "I type it:\ntype [%s]",
    '{"action":"type","text":"%s"}',
    "{'action':'type','text':'%s'}",
    'I type it: {"action":"type","text":"%s"}',
    'I type it.\n```json\n{"action":"type","text":"%s"}\n```',
    '<tool_call>{"name":"computer_use","arguments":{"action":"type","text":"%s"}}</tool_call>',
    'I type it.\n<tool_call>\n{"name":"computer_use","arguments":{"action":"type","text":"%s"}}\n</tool_call>',
    '<action>{"action":"type","text":"%s"}</action>',
    '<|channel|>final<|message|>{"action":"type","text":"%s"}<|return|>',
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("typed", TYPED)
def test_a_tag_that_is_typed_is_typed_in_every_format(form: str, typed: str) -> None:
    assert parse(form % typed).actions == (TypeText(text=typed),)


@pytest.mark.parametrize("typed", ["a\nAction: click(0.1, 0.1)", "a\nThought: b", "a\n</think>\nclick(0.1, 0.1)"])
@pytest.mark.parametrize(
    "form", ["Action: type(content='%s')", "pyautogui.write('''%s''')", "<action>write(message='%s')</action>"]
)
def test_a_label_on_a_new_line_of_a_string_is_text(form: str, typed: str) -> None:
    assert parse(form % typed).actions == (TypeText(text=typed),)


def test_several_strings_of_several_calls_are_each_kept() -> None:
    text = "<action>\nwrite('<action>'); write('</action>')\nwrite('<think>')\n</action>\n<action>write('```')</action>"
    assert parse(text).actions == tuple(TypeText(text=typed) for typed in ("<action>", "</action>", "<think>", "```"))


@pytest.mark.parametrize("form", FORMS)
def test_a_tag_in_a_string_that_was_cut_off_is_no_action_either(form: str) -> None:
    text = form.split("%s")[0] + TRAP
    for cut in (text, text + "\n", text[:-1], text + "\n```"):
        with pytest.raises(ParseError):
            parse(cut)


def test_a_thought_that_begins_with_a_call_is_still_a_thought() -> None:
    assert parse("click(x=0.1,y=0.1)</think>\nclick(x=0.5,y=0.5)").actions == (Click(at=Point(0.5, 0.5)),)


@pytest.mark.parametrize(
    "text",
    [
        "<think>I'd type('</think>\nclick(x=0.5,y=0.5)",
        "I'd use type('it or so</think>\nclick(x=0.5,y=0.5)",
        '<think>it\'s {"action": "</think><action>click(x=0.5,y=0.5)</action>',
        'it says {"action": "click", ...}</think>\n<action>click(x=0.5,y=0.5)</action>',
        "<think>the user's name</think>\n<action>click(x=0.5,y=0.5)</action>",
        "The label is 'a</think>\n<action>click(x=0.5,y=0.5)</action>",
    ],
)
def test_a_quote_in_a_thought_hides_no_tag(text: str) -> None:
    assert parse(text).actions == (Click(at=Point(0.5, 0.5)),)
