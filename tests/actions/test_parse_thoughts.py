"""Nothing in a thought is ever an action, whichever family's tags it stands between; a thought cut off is no action."""

import pytest

from foveate.actions.errors import ParseError
from foveate.actions.geometry import Convention, Frame, Point
from foveate.actions.parse import Answer, parse_answer
from foveate.actions.schema import Click, TypeText

HERE = Click(at=Point(0.5, 0.25))
TAGS = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<thoughts>", "</thoughts>"),
    ("<Thought>", "</Thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<reflection>", "</reflection>"),
    ("<analysis>", "</analysis>"),
    ('<think step="1">', "</think>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
]
INSIDE = [
    "click(x=0.9, y=0.9)",
    "\nclick(x=0.9, y=0.9)\n",
    "<action>click(x=0.9, y=0.9)</action>",
    '<tool_call>{"name": "click", "arguments": {"x": 0.9, "y": 0.9}}</tool_call>',
    '{"action": "left_click", "coordinate": [0.9, 0.9]}',
    "\n```python\npyautogui.click(0.9, 0.9)\n```\n",
    "\nAction: click(start_box='(0.9,0.9)')\n",
    "<box>[[900, 900]]</box>",
    "\nCLICK [0.9, 0.9]\n",
    "DONE",
]


def parse(text: str) -> Answer:
    """Parse in a screen of 1000 x 500 pixels with fractions."""
    return parse_answer(text, frame=Frame(1000, 500), convention=Convention.UNIT)


@pytest.mark.parametrize("inside", INSIDE)
@pytest.mark.parametrize(("opening", "closing"), TAGS)
def test_nothing_in_a_thought_is_an_action(opening: str, closing: str, inside: str) -> None:
    for answer in ("click(x=0.5, y=0.25)", "<action>\nclick(x=0.5, y=0.25)\n</action>", "<box>[[500, 250]]</box>"):
        found = parse(f"{opening}{inside}{closing}\n{answer}")
        assert found.actions == (HERE,)
        assert found.thought == inside.strip()


@pytest.mark.parametrize("inside", INSIDE)
@pytest.mark.parametrize(("opening", "closing"), TAGS)
def test_a_thought_alone_and_one_that_is_cut_off_are_no_action(opening: str, closing: str, inside: str) -> None:
    with pytest.raises(ParseError, match="no action"):
        parse(f"{opening}{inside}{closing}")
    with pytest.raises(ParseError, match="not closed"):
        parse(f"{opening}{inside}")
    with pytest.raises(ParseError, match="not closed"):
        parse(f"click(x=0.5, y=0.25)\n{opening}{inside}")


@pytest.mark.parametrize(("opening", "closing"), TAGS)
def test_all_before_a_closing_tag_without_an_opening_one_is_thought(opening: str, closing: str) -> None:
    found = parse(f"so\nclick(x=0.9, y=0.9){closing}\nclick(x=0.5, y=0.25)")
    assert found.actions == (HERE,)


def test_another_familys_closing_tag_does_not_end_a_thought() -> None:
    text = "<think>a </reflection>\nclick(x=0.9, y=0.9)\n</think>click(x=0.5, y=0.25)"
    assert parse(text).actions == (HERE,)
    with pytest.raises(ParseError, match="not closed by </think>"):
        parse("<think>a </thought>\nclick(x=0.9, y=0.9)")
    nested = "<think>a <reflection>b</reflection>\nclick(x=0.9, y=0.9)\n</think>click(x=0.5, y=0.25)"
    assert parse(nested).actions == (HERE,)


def test_an_empty_thought_by_itself_hides_nothing() -> None:
    assert parse("<think/>\nclick(x=0.5, y=0.25)").actions == (HERE,)


def test_an_operation_is_a_sentence_and_no_action() -> None:
    with pytest.raises(ParseError, match="no action"):
        parse("<operation>\nclick(x=0.9, y=0.9)\n</operation>")
    for answer in (
        "<action>\nclick(x=0.5, y=0.25)\n</action>",
        "click(x=0.5, y=0.25)\n</action>",
        "click(x=0.5, y=0.25)",
    ):
        found = parse(f"<operation>\nclick(x=0.9, y=0.9)\n</operation>\n{answer}")
        assert found.actions == (HERE,)
        assert found.operation == "click(x=0.9, y=0.9)"


# GPT-OSS, which InternVL3.5's 20B is built on ------------------------------------------------------------------------

ANALYSIS = "<|channel|>analysis<|message|>We could\nclick(x=0.9, y=0.9)\nor <action>click(x=0.9, y=0.9)</action>"
FINAL = "<|channel|>final<|message|>"


@pytest.mark.parametrize(
    "text",
    [
        f"{FINAL}click(x=0.5, y=0.25)<|return|>",
        f"{FINAL}click(x=0.5, y=0.25)",
        f"<|start|>assistant{FINAL}click(x=0.5, y=0.25)<|end|>",
        f"{ANALYSIS}<|end|><|start|>assistant{FINAL}click(x=0.5, y=0.25)<|return|>",
        f"{ANALYSIS}<|end|>\n<|start|>assistant{FINAL}<action>\nclick(x=0.5, y=0.25)\n</action><|return|>",
        f"{ANALYSIS}{FINAL}click(x=0.5, y=0.25)",
        f"{ANALYSIS}<|end|>{ANALYSIS}<|end|><|start|>assistant{FINAL}<box>[[500, 250]]</box>",
        "<|channel|>commentary<|message|>I press OK:\nclick(x=0.9, y=0.9)<|end|>"
        f"<|start|>assistant{FINAL}click(x=0.5, y=0.25)",
        '<|channel|>commentary to=functions.click <|constrain|>json<|message|>{"x": 0.5, "y": 0.25}<|call|>',
        f"{ANALYSIS}<|end|><|start|>assistant"
        "<|channel|>commentary to=functions.computer_use <|constrain|>json<|message|>"
        '{"action": "left_click", "coordinate": [0.5, 0.25]}<|call|>',
        f"{ANALYSIS}<|end|><|start|>assistant to=functions.click<|channel|>commentary json<|message|>"
        '{"x": 0.5, "y": 0.25}<|call|>',
        "analysisWe could\nclick(x=0.9, y=0.9)assistantfinalclick(x=0.5, y=0.25)",
        "analysis<action>click(x=0.9, y=0.9)</action>assistantfinal<action>\nclick(x=0.5, y=0.25)\n</action>",
    ],
)
def test_only_the_final_channel_and_calls_of_functions_are_read(text: str) -> None:
    found = parse(text)
    assert found.actions == (HERE,)
    assert "<|" not in found.thought


@pytest.mark.parametrize(
    "text",
    [
        ANALYSIS,
        f"{ANALYSIS}<|end|>",
        f"{ANALYSIS}<|end|><|start|>assistant",
        f"{ANALYSIS}<|end|><|start|>assistant<|channel|>final",
        f"{ANALYSIS}<|end|><|start|>assistant{FINAL}",
        f"{FINAL}click(x=0.5, y=0.25)<|end|><|start|>assistant{ANALYSIS}",
        "<|channel|>commentary<|message|>click(x=0.9, y=0.9)<|end|>",
        "<|channel|>commentary to=python<|message|>click(x=0.9, y=0.9)<|call|>",
        "<|channel|>analysis to=functions.click<|message|>click(x=0.9, y=0.9)<|call|>",
        "<|channel|>secret<|message|>click(x=0.9, y=0.9)",
        '<|channel|>commentary to=functions.click <|constrain|>json<|message|>{"x": 0.5, "y"',
        "analysisWe could\nclick(x=0.9, y=0.9)",
        "<|channel|>analysis\nclick(x=0.9, y=0.9)",
    ],
)
def test_an_answer_without_a_final_channel_or_a_call_is_no_action(text: str) -> None:
    with pytest.raises(ParseError):
        parse(text)


def test_a_channel_in_a_text_that_is_typed_is_text() -> None:
    text = "<|channel|>analysis<|message|>x<|end|>"
    assert parse(f"write(message='{text}')").actions == (TypeText(text=text),)
