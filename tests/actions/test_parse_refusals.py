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


@pytest.mark.parametrize("sentence", MEANT)
@pytest.mark.parametrize("form", sorted(WRITTEN))
def test_an_action_after_a_difficulty_is_meant(form: str, sentence: str) -> None:
    if form == "json" and sentence.startswith("{}"):
        pytest.skip("JSON at the text's beginning is the whole text")
    answer = parse_answer(sentence.format(WRITTEN[form]), frame=SCREEN, convention=Convention.UNIT)
    assert answer.actions == (Click(at=Point(0.5, 0.25)),)


def test_one_forbidden_place_refuses_the_whole_answer() -> None:
    for text in (
        "The button is not [[0.1, 0.2]] but [[0.5, 0.25]]",
        'Not {"type": "click", "x": 0.1, "y": 0.2} but {"type": "click", "x": 0.5, "y": 0.25}',
        "Wrong:\nclick(0.1, 0.2)\nRight:\nclick(0.5, 0.25)",
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
