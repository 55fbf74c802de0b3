"""Calls that Python would not do once, come what may, are refused, fenced or not; prose around them stays prose."""

import pytest

from foveate.actions.errors import ParseError
from foveate.actions.geometry import Convention, Frame, Point
from foveate.actions.parse import parse_answer
from foveate.actions.schema import Action, Click, TypeText, Wait

SCREEN = Frame(1000, 500)
HERE = Click(at=Point(0.5, 0.25))
THERE = Click(at=Point(0.1, 0.2))
CALL = "pyautogui.click(0.5, 0.25)"
OTHER = "pyautogui.click(0.1, 0.2)"


def actions(text: str) -> tuple[Action, ...]:
    """Parse in a screen of 1000 x 500 pixels with fractions."""
    return parse_answer(text, frame=SCREEN, convention=Convention.UNIT).actions


NOT_FLAT = {
    "if": f"if x:\n  {CALL}\nelse:\n  {OTHER}",
    "if on one line": f"if x: {CALL}\n{OTHER}",
    "if without else": f"if found:\n\n  # press it\n    {CALL}",
    "if of words": f"if the dialog is open:\n    {CALL}",
    "If of words": f"If you agree:\n{CALL}",
    "numbered branches": f"1. if the dialog is open:\n   {CALL}\n2. otherwise:\n   {OTHER}",
    "otherwise": f"{CALL}\nOtherwise:\n{OTHER}",
    "or": f"{CALL}\nor\n{OTHER}",
    "else without indentation": f"if x:\n{CALL}\nelse:\n{OTHER}",
    "condition after prose": f"I press OK.\nif x:\n  {CALL}",
    "missing colon": f"if x\n  {CALL}",
    "javascript": f"if (x) {{\n{CALL}\n}}",
    "def": f"def f():\n  {CALL}",
    "async def": f"async def f():\n  {CALL}",
    "class": f"class A:\n  {CALL}",
    "for": f"for i in range(3):\n    {CALL}",
    "for on one line": f"{OTHER}\nfor i in range(3): {CALL}",
    "for each": f"For each row:\n{CALL}",
    "repeat": f"Repeat 3 times:\n  {CALL}",
    "while": f"while True:\n  {CALL}",
    "with": f"with pyautogui.hold('shift'):\n  {CALL}",
    "try": f"try:\n  {CALL}\nexcept Exception:\n  {OTHER}",
    "match": f"match x:\n  case 1:\n    {CALL}\n  case _:\n    {OTHER}",
    "decorator": f"@run\ndef f(): pass\n{CALL}",
    "lambda": f"f = lambda: {OTHER}\n{CALL}",
    "lambda alone": f"lambda: {CALL}",
    "triple quotes": f"'''\n{CALL}\n'''",
    "triple double quotes": f'"""notes\n{CALL}\n"""',
    "assigned triple quotes": f"x = '''\n{CALL}\n'''\n{OTHER}",
    "triple quotes as an argument": f"print('''\n{CALL}\n''')",
    "triple quotes in prose": f"note: '''\n{CALL}\n''' is what one would do",
    "assignment": f"x = {CALL}\n{OTHER}",
    "assignment beside a call": f"button = locate('ok.png')\n{CALL}",
    "assignment over lines": f"x = [\n{CALL}\n]",
    "unpacking": f"x, y = 0.5, 0.25\n{CALL}",
    "augmented assignment": f"n += 1\n{CALL}",
    "assigned name": f"(x := {CALL})",
    "comparison": f"{CALL} == 3",
    "comparison from the left": f"3 == {CALL}",
    "and": f"{CALL} and {OTHER}",
    "and from the left": f"found and {CALL}",
    "not": f"not {CALL}",
    "ternary": f"{CALL} if x else {OTHER}",
    "comprehension": f"[{CALL} for i in range(3)]",
    "comprehension beside a call": f"[f(i) for i in range(3)]\n{CALL}",
    "tuple": f"{CALL}, {OTHER}",
    "argument": f"foo(\n{CALL}\n)",
    "argument after another": f"foo(1,\n{CALL}\n)",
    "parentheses": f"(\n{CALL}\n)",
    "list": f"[\n{CALL},\n{OTHER}\n]",
    "backslash": f"x and \\\n{CALL}",
    "return": f"return {CALL}",
    "return before": f"return x\n{CALL}",
    "break": f"break\n{CALL}",
    "assert": f"assert ready\n{CALL}",
    "del": f"del x\n{CALL}",
    "unknown call": f"exit()\n{CALL}",
    "unknown method": f"os.system('ls')\n{CALL}",
    "attribute": f"{CALL}.result",
    "call of a call": f"{CALL}()",
}


@pytest.mark.parametrize("name", sorted(NOT_FLAT))
@pytest.mark.parametrize(
    "form", ["{}", "```python\n{}\n```", "<action>\n{}\n</action>", "Action: {}", "I do this:\n{}"]
)
def test_code_that_is_no_flat_list_of_calls_is_refused(name: str, form: str) -> None:
    with pytest.raises(ParseError):
        actions(form.format(NOT_FLAT[name]))


@pytest.mark.parametrize("name", ["if", "def", "for", "while", "with", "try", "triple quotes", "assignment", "lambda"])
def test_the_message_says_that_flat_calls_are_expected(name: str) -> None:
    with pytest.raises(ParseError, match="expected flat calls with literal arguments"):
        actions(NOT_FLAT[name])


@pytest.mark.parametrize(
    "text",
    [
        f"I will click the button: {CALL}",
        f"I will click the button: `{CALL}`",
        f"I will click the button: {CALL}.",
        f"I will click the button:\n  {CALL}",
        f"For the next step I click OK:\n{CALL}",
        f"For the next step I click OK: {CALL}",
        f"If the menu is closed, I open it first:\n{CALL}",
        f"If I am right this is the button.\n{CALL}",
        f"While the page loads nothing can be done, so I press stop:\n{CALL}",
        f"With the search field focused I press the button.\n{CALL}",
        f"Try this:\n{CALL}",
        f"try this:\n{CALL}",
        f"Class names are no help here.\n{CALL}",
        f"Note: the button is blue\n{CALL}",
        f"Done\n{CALL}",
        f"Save (or press Enter):\n{CALL}",
        f"I return to the list\nand pass the form by:\n{CALL}",
        f"The count is 3 == 3, as it should be.\n{CALL}",
        f"1) I press OK\n{CALL}",
        f"I see (a) and (b)\n{CALL}",
        f"import pyautogui\nimport time\n# press it\n{CALL}",
        f"pyautogui.PAUSE = 0.5\n{CALL}",
        f"The button's label is 'OK' and the dialog's isn't.\n{CALL}",
        f"I press OK.\n`{CALL}`\n",
        f"{CALL}\nThis opens the menu.",
        f"{CALL}  # if it is open: press it",
        f"# if x:\n{CALL}",
        f"**Action**: `{CALL}`",
        f"Action: Press OK.\n{CALL}",
        f"Action: Press OK.\nGrounded Operation: {CALL}",
    ],
)
def test_prose_around_a_call_is_no_code(text: str) -> None:
    assert actions(text) == (HERE,)


def test_calls_in_a_list_are_done_in_order() -> None:
    assert actions(f"1. {CALL}\n2. {OTHER}\n") == (HERE, THERE)
    assert actions(f"First:\n{CALL}\nAfter that:\n{OTHER}") == (HERE, THERE)
    assert actions(f"import time\n{CALL}\ntime.sleep(2)\n{OTHER}") == (HERE, Wait(duration_s=2.0), THERE)


def test_a_call_within_a_line_counts_only_alone_and_at_the_lines_end() -> None:
    assert actions("I type the word: write('if x: click(1, 2)')") == (TypeText(text="if x: click(1, 2)"),)
    assert actions("I type the word: write('[[0.5, 0.5]]')") == (TypeText(text="[[0.5, 0.5]]"),)
    assert actions(f"The last step was: {OTHER}\n{CALL}") == (HERE,)
    for text in (
        f"One way: {CALL}\nAnother way: {OTHER}",
        f"One way: {CALL} would open the menu",
        f"If the dialog is open: {CALL}",
        f"else: {CALL}",
        f"lambda: {CALL}",
        f"x = {{'a': {CALL}}}",
        f"Not: {CALL}",
    ):
        with pytest.raises(ParseError):
            actions(text)


@pytest.mark.parametrize(
    "text",
    [
        "if x:\n  click [0.5, 0.25]\nelse:\n  click [0.1, 0.2]",
        "while True:\n  click [0.5, 0.25]",
        "'''\nclick [0.5, 0.25]\n'''",
        'if x:\n  {"action": "left_click", "coordinate": [0.5, 0.25]}',
        'Otherwise: {"action": "left_click", "coordinate": [0.5, 0.25]}',
        'for i in range(3): {"action": "left_click", "coordinate": [0.5, 0.25]}',
    ],
)
def test_control_flow_around_other_formats_is_refused_too(text: str) -> None:
    with pytest.raises(ParseError):
        actions(text)
