"""An action that its own answer forbids or takes back is none; a difficulty that the answer overcomes is no refusal."""

import pytest

from foveate.actions.errors import ParseError
from foveate.actions.geometry import Convention, Frame, Point
from foveate.actions.parse import parse_answer
from foveate.actions.schema import Click

SCREEN = Frame(1000, 500)
WRITTEN = {
    "json": '{"action": "left_click", "coordinate": [0.5, 0.25]}',
    "call": "\npyautogui.click(0.5, 0.25)\n",
    "fence": "\n```python\npyautogui.click(0.5, 0.25)\n```\n",
    "place": "[[0.5, 0.25]]",
    "verb": "\nCLICK [0.5, 0.25]\n",
}
REFUSED = [
    "Not this: {}. I refuse.",
    "Not this: {}",
    "Do not do this: {}",
    "Don't click there: {}",
    "Never do {}",
    "Do not do this. {}",
    "I will not do that. {}",
    "I will not click it: {}",
    "I won't do {}",
    "I would never run {}",
    "This is not allowed: {}",
    "You told me not to click this: {}",
    "For example: {}",
    "Example output: {}",
    "I don't know whether: {}",
    "If you agree: {}",
    "Otherwise: {}",
    "You should not use {}",
    "You must avoid {}",
    "The wrong action: {}",
    "Wrong: {}",
    "Instead of {} I would ask first.",
    "I refuse to do {}",
    "I'm sorry, but I can't help with that. One would write {}",
    "I cannot assist with this request. For example: {}",
    "I must decline. {}",
    "{} I refuse.",
    "{} I refuse to do this.",
    "{} But I will not do this.",
    "{} is wrong.",
    "{} would be harmful, so I won't do it.",
    "{} I'm sorry, I can't help with this.",
    "{} Do not do this.",
    "{}\nI decline.",
    "不要这样做：{}",
    "我拒绝执行 {}",
    "{} 我拒绝。",
    "抱歉，我无法帮助您。{}",
]
MEANT = [
    "I cannot see the menu, so I click the button: {}",
    "I can't find it. I click the button: {}",
    "The dialog is not open, so I open it: {}",
    "Since the button is not visible I click the arrow: {}",
    "I don't see a better way than this one: {}",
    "I do not know the password, so I press Cancel: {}",
    "I cannot click the disabled button. The next step is the other one: {}",
    "I can't do this with the keyboard, so I use the mouse: {}",
    "Nothing has happened yet. I try again: {}",
    "Not logged in yet, so I click Sign in: {}",
    "The wrong tab is open, so I click the first one: {}",
    "I'm sorry for the confusion. I click OK: {}",
    "I should not wait any longer; I click OK: {}",
    "To refuse cookies I click Reject: {}",
    "Do not forget to save: {}",
    "The banner asks to accept or decline; I decline the cookies: {}",
    "I cannot help noticing that the tab is open. Click it: {}",
    "I'm not able to see the field yet, therefore I scroll: {}",
    "There is no search box, so the best way is this: {}",
    "I can't complete the task without logging in. The button is at the top: {}",
    "When the page has loaded, click Submit: {}",
    "If the dialog appears, we'll confirm it later. For now click Save: {}",
    "Wrong tab! Switch to the first one: {}",
    "As an AI agent, I click the button: {}",
    "I won't enter the password. Instead: {}",
    "I will not enter a password; clicking Cancel: {}",
    "I can't help with that, but I can search: {}",
    "I should avoid ads. The real button: {}",
    'I click "Don\'t save": {}',
    "I click 'Do not allow': {}",
    'I press "Never": {}',
    "{} This does not change anything else.",
    "{} The dialog will not come back.",
    "{} If this does not work, I will try the menu.",
    "{} I could not find a shortcut.",
    "{} so that it can't be sent twice",
    "菜单没有打开，所以我点击按钮：{}",
    "我看不到菜单，点击按钮：{}",
]


@pytest.mark.parametrize("sentence", REFUSED)
@pytest.mark.parametrize("form", sorted(WRITTEN))
def test_an_action_that_the_answer_forbids_is_none(form: str, sentence: str) -> None:
    with pytest.raises(ParseError):
        parse_answer(sentence.format(WRITTEN[form]), frame=SCREEN, convention=Convention.UNIT)


# JSON at a text's beginning is the whole text, so that no sentence may follow it.
@pytest.mark.parametrize(
    ("form", "sentence"),
    [(form, text) for form in sorted(WRITTEN) for text in MEANT if form != "json" or not text.startswith("{}")],
)
def test_an_action_after_a_difficulty_is_meant(form: str, sentence: str) -> None:
    answer = parse_answer(sentence.format(WRITTEN[form]), frame=SCREEN, convention=Convention.UNIT)
    assert answer.actions == (Click(at=Point(0.5, 0.25)),)


def test_one_forbidden_place_refuses_the_whole_answer() -> None:
    for text in (
        "The button is not [[0.1, 0.2]] but [[0.5, 0.25]]",
        'Not {"type": "click", "x": 0.1, "y": 0.2} but {"type": "click", "x": 0.5, "y": 0.25}',
        "Wrong:\nclick(0.1, 0.2)\nRight:\nclick(0.5, 0.25)",
        "First option:\n```\nclick(0.1, 0.2)\n```\nSecond option:\n```\nclick(0.5, 0.25)\n```",
        "click(0.1, 0.2)\nand/or\nclick(0.5, 0.25)",
        'Either {"type": "click", "x": 0.1, "y": 0.2} or {"type": "click", "x": 0.5, "y": 0.25}',
        "click(0.1, 0.2)\nNo, that would be wrong.\nclick(0.5, 0.25)",
    ):
        with pytest.raises(ParseError):
            parse_answer(text, frame=SCREEN, convention=Convention.UNIT)


def test_a_place_that_was_not_found_is_none() -> None:
    for text in (
        "I cannot find the search box[[0.1, 0.2]] on the screen.",
        "I am unable to locate <ref>the button</ref><box>[[100, 200, 300, 400]]</box>",
        "I don't see <box>[[100, 200, 300, 400]]</box>",
        "找不到按钮[[0.1, 0.2]]",
    ):
        with pytest.raises(ParseError, match="refused"):
            parse_answer(text, frame=SCREEN, convention=Convention.UNIT)


def test_words_in_the_action_itself_and_in_its_thought_are_no_refusal() -> None:
    for text in (
        "<think>I refuse to wait. Not this: click(0.1, 0.2)</think>\nclick(0.5, 0.25)",
        '{"thought": "I will not click elsewhere", "action": "left_click", "coordinate": [0.5, 0.25]}',
        "Thought: I must not wait.\nAction: click(start_box='(0.5,0.25)')",
        "click(0.5, 0.25)  # not elsewhere",
    ):
        answer = parse_answer(text, frame=SCREEN, convention=Convention.UNIT)
        assert answer.actions == (Click(at=Point(0.5, 0.25)),)


def test_the_message_says_that_the_answer_refuses_its_own_action() -> None:
    with pytest.raises(ParseError, match="takes back or forbids"):
        parse_answer(f"Not this: {WRITTEN['json']}. I refuse.", frame=SCREEN, convention=Convention.UNIT)


def test_a_place_of_another_action_is_no_click() -> None:
    for text in (
        "SWIPE [[500, 500], [500, 200]]",
        "DRAG <point>500 300</point> to <point>5 3</point>",
        "MOVETO <point>[[500, 300]]</point>",
        "I will right-click the icon at <box>[[100, 200, 300, 400]]</box>",
        "Grounded Operation: SCROLL_DOWN(box=[[346, 574, 424, 710]], step_count=5)",
    ):
        with pytest.raises(ParseError, match="is no click"):
            parse_answer(text, frame=SCREEN, convention=Convention.PER_MILLE)
    bar = parse_answer("The scroll bar is at [[500, 250]]", frame=SCREEN, convention=Convention.PER_MILLE)
    assert bar.actions == (Click(at=Point(0.5, 0.25)),)


@pytest.mark.parametrize(
    "text",
    [
        "Thought: click(0.1, 0.2)",
        "Plan: click(0.1, 0.2)",
        "Thought: the button is at [[0.1, 0.2]]",
        'Thought: maybe {"action": "left_click", "coordinate": [0.1, 0.2]}',
        "Previous action: click(0.1, 0.2)",
        "Previous: click(0.1, 0.2)",
    ],
)
def test_what_stands_in_a_thoughts_own_line_is_no_action(text: str) -> None:
    with pytest.raises(ParseError, match="thought's line"):
        parse_answer(text, frame=SCREEN, convention=Convention.UNIT)
    answer = parse_answer(f"{text}\nAction: click(0.5, 0.25)", frame=SCREEN, convention=Convention.UNIT)
    assert answer.actions == (Click(at=Point(0.5, 0.25)),)


def test_showuis_click_has_its_place_and_a_click_that_lost_its_place_is_none() -> None:
    text = "{'action': 'CLICK', 'value': None, 'position': [0.5, 0.25]}"
    assert parse_answer(text, frame=SCREEN, convention=Convention.UNIT).actions == (Click(at=Point(0.5, 0.25)),)
    for lost in (
        '{"action": "CLICK"}',
        '{"action": "CLICK", "arg": {"x": 0.5, "y": 0.25}}',
        '{"action": "CLICK", "args": {"x": 0.5, "y": 0.25}, "x": 0.1}',
        '{"name": "click", "args": {}, "x": 0.5, "y": 0.25}',
        "{'action': 'SCROLL', 'value': 'DOWN', 'position': None}",
    ):
        with pytest.raises(ParseError):
            parse_answer(lost, frame=SCREEN, convention=Convention.UNIT)
