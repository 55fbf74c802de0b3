"""A thousand mutated texts a format, and texts that are long, deep or repetitive on purpose."""

import importlib.util
import random
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from foveate.actions.errors import OutOfFrame, ParseError
from foveate.actions.geometry import Convention, Frame
from foveate.actions.parse import MAX_CHARACTERS, parse_answer


def load(path: Path) -> ModuleType:
    """Load a script as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


fuzz_parse = load(Path(__file__).parents[1] / "bench" / "fuzz_parse.py")
FORMATS = sorted(fuzz_parse.texts_of())


@pytest.mark.parametrize("name", FORMATS)
def test_a_thousand_mutated_texts_end_in_actions_or_a_typed_error(name: str) -> None:
    outcome = fuzz_parse.run_share((7, {name: 1_000}))
    assert outcome.failures == []
    counts = outcome.counts[name]
    assert sum(counts.values()) == 1_000
    assert counts["actions"] >= 20 and counts["ParseError"] >= 100
    assert outcome.slowest_s < 2.0


def test_the_same_seed_makes_the_same_texts() -> None:
    texts = fuzz_parse.texts_of()
    first, second = ([fuzz_parse.mutated(texts, "qwen", random.Random(3)) for _ in range(3)] for _ in range(2))
    assert first == second


LONG = {
    "letters": "a" * 499_000,
    "calls": "click(x=0.5, y=0.5)\n" * 24_000,
    "open brackets": "(" * 499_000,
    "square brackets": "[" * 499_000,
    "braces": "{" * 499_000,
    "quotes": "'" * 499_000,
    "backslashes": "write(message='" + "\\" * 498_000,
    "action tags": "<action>" * 60_000,
    "closed action tags": "<action>x</action>" * 27_000,
    "think tags": "<think>" * 70_000,
    "closed thoughts": "<think></think>" * 33_000,
    "box tags": "<box>" * 99_000,
    "closed boxes": "<box>[[1, 2]]</box>" * 26_000,
    "point tags in a call": "click(" + "<point>" * 70_000,
    "reference tags": "<ref>" * 99_000,
    "tool calls": "<tool_call>" * 45_000,
    "fences": "```" * 160_000,
    "Action lines": "Action:\n" * 60_000,
    "digits": "[[" + "1" * 498_000,
    "digits with commas": "[[" + "1," * 249_000,
    "numbers": "[" + "1, 2, " * 80_000 + "]",
    "number lists": "[[1, 2], " * 50_000,
    "blanks": " " * 499_000 + "x",
    "newlines": "\n" * 499_000 + "x",
    "ending tokens": "x" + "<|im_end|>" * 49_000,
    "half JSON": '{"a": ' * 80_000,
    "JSON keys": '{"action": "' + "x" * 490_000 + '"}',
    "nested JSON": '{"action": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "attribute chain": "click(" + "a." * 240_000 + "a)",
    "sum": "click(" + "1+" * 240_000 + "1)",
    "minus signs": "click(x=" + "-" * 490_000 + "1)",
    "not": "click(x=" + "not " * 120_000 + "1)",
    "full width": "（" * 499_000,
    "verbs": "click [1\n" * 55_000,
    "a typed text": "write(message='" + "é" * 400_000 + "')",
    "arguments": "click(" + "x=1, " * 99_000 + ")",
    "keys": "hotkey(" + "'a', " * 99_000 + "'a')",
    "key text": "press('" + "ctrl+" * 99_000 + "c')",
    "strings": "write(" + "'a' " * 120_000 + ")",
    "operations": "<operation>" * 45_000 + "<action>",
    "bold": "*" * 499_000,
    "nines": "click(x=" + "9" * 490_000 + ")",
    "thoughts": "<thought>" * 55_000,
    "squares": "[THINK]" * 71_000,
    "channels": "<|channel|>analysis<|message|>" * 16_000,
    "messages": "<|start|>assistant<|channel|>final<|message|>x<|end|>" * 9_000,
    "glued": "analysis" * 62_000,
    "branches": "if x:\n" * 80_000 + "click(1, 2)",
    "assignments": "x = 1\n" * 80_000 + "click(1, 2)",
    "triple quotes": "'''\n" * 120_000 + "click(1, 2)",
    "colons": ": click(" * 62_000,
    "open calls": "Action: click(\n" * 33_000,
    "tags in JSON": '{"a":"<think>"}' * 33_000,
    "tags in cut JSON": '{"a":"<' * 71_000,
    "tags in brackets": "type [<a\n" * 55_000,
    "refusals": "I refuse. " * 49_000 + "[[1, 2]]",
    "negations": "do not " * 71_000 + "[[1, 2]]",
}


@pytest.mark.parametrize("name", sorted(LONG))
def test_work_on_a_long_text_is_bounded(name: str) -> None:
    begun = time.perf_counter()
    with pytest.raises((ParseError, OutOfFrame)) as caught:
        parse_answer(LONG[name], frame=Frame(1280, 720), convention=Convention.UNIT)
    assert time.perf_counter() - begun < 5.0
    assert len(str(caught.value)) < 2_000


def test_a_text_beyond_the_limit_is_refused_at_once() -> None:
    with pytest.raises(ParseError, match="at most 500,000 characters, not 1,000,000"):
        parse_answer("x" * 1_000_000, frame=Frame(10, 10), convention=Convention.UNIT)
    assert MAX_CHARACTERS == 500_000
