"""Throws mutated model texts at the parser; the only ways out are actions, ParseError and OutOfFrame.

Run ``python tests/bench/fuzz_parse.py --count 1000000 --out tests/bench/results/fuzz_parse.json``. The count is of all
formats together unless ``--each`` is given. Seeded: the same seed gives the same texts.
"""

import argparse
import json
import multiprocessing
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foveate.actions.errors import OutOfFrame, ParseError
from foveate.actions.geometry import Convention, Frame, quantise
from foveate.actions.parse import parse_answer
from foveate.actions.render import render_answer
from foveate.actions.schema import BROWSER_KINDS, EMBODIED_KINDS, KEYBOARD_KINDS, LOOP_KINDS, POINTER_KINDS, TypeText

GOLDEN = Path(__file__).parents[1] / "actions" / "golden"
CONVENTIONS = (Convention.UNIT, Convention.PER_MILLE, Convention.PIXEL, Convention.resized(1288, 728))
BY_NAME = {convention.name: convention for convention in CONVENTIONS}
FRAMES = (Frame(1280, 720), Frame(448, 448), Frame(3840, 2160, left=-1920.0), Frame(1, 1))
KINDS = (
    None,
    None,
    None,
    None,
    POINTER_KINDS | KEYBOARD_KINDS | BROWSER_KINDS | LOOP_KINDS,
    EMBODIED_KINDS,
    frozenset[str](),
)
NUMBERS = (
    "0",
    "1",
    "-1",
    "0.5",
    "1.0",
    "1000",
    "1e999",
    "-1e999",
    "nan",
    "inf",
    "9" * 50,
    "0x10",
    "1_000",
    ".",
    "1.",
    "１",
)
PIECES = (
    "<action>", "</action>", "<think>", "</think>", "<tool_call>", "</tool_call>", "<box>", "</box>", "<point>",
    "</point>", "<|box_start|>", "<|box_end|>", "<ref>", "</ref>", "<operation>", "```", "```python\n", "Action:",
    "Thought:", "click(", "pyautogui.", "x=", ",", "(", ")", "[", "]", "{", "}", '"', "'", "“", "”", "\\", "\\u",
    "\\N{DASH}", "\n", "\r\n", "\t", "\x00", "\ud800", "\ufeff", "\u2028", "（", "）", "，", "：", "#", ";", "=",
    "**", "*", "null", "true", "lambda: 0", "__import__('os')", "{{secret}}", "</s>", "<|im_end|>", "🎉", "é", "א",
    "'''", '"""', "f'", "r'", "b'", "==", "%s", "\\x",
    "<thought>", "</thought>", "<reasoning>", "[THINK]", "[/THINK]", "◁think▷", "◁/think▷", "<answer>", "</answer>",
    "<|channel|>analysis<|message|>", "<|channel|>final<|message|>", "<|end|><|start|>assistant", "analysis",
    "assistantfinal", "if x:\n  ", "\nelse:\n  ", "def f():\n    ", "x = ", "not ", "I refuse. ", "Do not do this: ",
    "0.0",
)  # fmt: skip


@dataclass
class Outcome:
    """What became of the texts of one share.

    Attributes:
        counts: By format and outcome.
        failures: Texts with another way out, at most 20.
        slowest_s: Greatest time of one text, in seconds.
    """

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    failures: list[dict[str, str]] = field(default_factory=list)
    slowest_s: float = 0.0


def texts_of(folder: Path = GOLDEN) -> dict[str, list[tuple[str, str]]]:
    """Give the golden texts by format, each with the name of its convention."""
    return {
        path.stem: [(entry["text"], entry["convention"]) for entry in json.loads(path.read_text())]
        for path in sorted(folder.glob("*.json"))
    }


def mutated(texts: dict[str, list[tuple[str, str]]], name: str, rng: random.Random) -> tuple[str, str]:
    """Make a text of a format by one to five mutations of a golden one; its convention comes with it."""
    text, convention = rng.choice(texts[name])
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
        text = _mutate(text, texts, rng)
    return text[:20_000], convention


def _mutate(text: str, texts: dict[str, list[tuple[str, str]]], rng: random.Random) -> str:
    at, end = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
    match rng.choice((0, 1, 1, 2, 3, 4, 5, 5, 6, 6, 7, 8, 9)):
        case 0:
            other, _ = rng.choice(texts[rng.choice(list(texts))])
            return text[:at] + other[rng.randint(0, len(other)) :]
        case 1:
            return text[:at] + text[min(end, at + rng.randint(1, 12)) :]
        case 2:
            return text[:at]
        case 3 | 4:
            return text[:at] + rng.choice(PIECES) + text[at:]
        case 5:
            return (
                text[:at]
                + chr(rng.choice((rng.randint(0, 0x7F), rng.randint(0x80, 0xFFFF), rng.randint(0x10000, 0x10FFFF))))
                + text[at:]
            )
        case 6:
            return _numbers_replaced(text, rng)
        case 7:
            opening, closing = rng.choice(
                ("()", "[]", "{}", ("<box>", "</box>"), ("<think>", "</think>"), ("click(", ")"))
            )
            depth = rng.choice((1, 2, 5, 100))
            return text[:at] + opening * depth + text[at:end] + closing * depth + text[end:]
        case 8:
            return text[:at] + text[at:end] * rng.choice((2, 3, 20)) + text[end:]
        case _:
            return text.replace(
                rng.choice(("'", '"', "(", ",", "=", " ", "\n", ":")), rng.choice(PIECES), rng.randint(1, 3)
            )


def _numbers_replaced(text: str, rng: random.Random) -> str:
    out: list[str] = []
    digits = False
    for char in text:
        if char.isdigit() or (digits and char == "."):
            if not digits:
                out.append(rng.choice(NUMBERS) if rng.random() < 0.5 else str(rng.randint(0, 2000)))
            digits = True
        else:
            digits = False
            out.append(char)
    return "".join(out)


def judge(text: str, written_in: str, rng: random.Random) -> str:
    """Parse one text, mostly in the convention it was written in; what parses must survive being written and read.

    Returns:
        ``actions``, ``ParseError`` or ``OutOfFrame``.

    Raises:
        AssertionError: If what was parsed does not come back.
    """
    frame, convention, kinds = rng.choice(FRAMES), rng.choice(CONVENTIONS), rng.choice(KINDS)
    if rng.random() < 0.7:
        convention = BY_NAME[written_in]
    try:
        answer = parse_answer(text, frame=frame, convention=convention, kinds=kinds)
    except (ParseError, OutOfFrame) as exc:
        assert type(exc) in (ParseError, OutOfFrame) and len(str(exc)) < 2_000, "an error's message is bounded"
        str(exc).encode()
        return type(exc).__name__
    assert 1 <= len(answer.actions) == len(answer.written)
    assert kinds is None or all(action.kind in kinds for action in answer.actions)
    if rng.random() < 0.1:
        typed_comes_back(text, frame, rng)
        again = parse_answer(render_answer(answer.actions, convention, frame), frame=frame, convention=convention)
        assert again.actions == tuple(quantise(action, convention, frame) for action in answer.actions)
    return "actions"


TYPED_IN = (
    ("pyautogui.write({})", repr),
    ("<action>\nwrite(message={})\n</action>", json.dumps),
    ("<think>I type it.</think>\n<action>write(message={})</action>", json.dumps),
    ("Thought: I type it.\nAction: type(content={})", repr),
    ("I type it:\n```python\npyautogui.write({})\n```", repr),
    ('{{"action": "type", "text": {}}}', json.dumps),
    ('I type it: {{"action": "type", "text": {}}}', json.dumps),
    ('<tool_call>\n{{"name": "type", "arguments": {{"text": {}}}}}\n</tool_call>', json.dumps),
    ('<|channel|>final<|message|>{{"action": "type", "text": {}}}<|return|>', json.dumps),
)
"""Forms that type a text, each with how it writes a string."""


def typed_comes_back(text: str, frame: Frame, rng: random.Random) -> None:
    """Check that any text can be typed in any format: nothing in it is read for tags, calls or places.

    Raises:
        AssertionError: If something else was read.
    """
    text = "".join(char for char in text if char.isprintable() or char in "\n\t")[:500] or "x"
    form, written = rng.choice(TYPED_IN)
    answer = parse_answer(form.format(written(text)), frame=frame, convention=Convention.UNIT)
    assert answer.actions == (TypeText(text=text),), f"typed {text!r} in {form}"


def run_share(share: tuple[int, dict[str, int]]) -> Outcome:
    """Judge so many texts of each format."""
    seed, wanted = share
    texts, outcome, rng = texts_of(), Outcome(), random.Random(seed)
    for name, count in wanted.items():
        counts = outcome.counts.setdefault(name, Counter())
        for _ in range(count):
            text, written_in = mutated(texts, name, rng)
            begun = time.perf_counter()
            try:
                verdict = judge(text, written_in, rng)
            except Exception as exc:  # noqa: BLE001 - finding any other error is what this is for
                verdict = "crash"
                if len(outcome.failures) < 20:
                    outcome.failures.append(
                        {"format": name, "error": f"{type(exc).__name__}: {exc}"[:500], "text": ascii(text)[:2_000]}
                    )
            took = time.perf_counter() - begun
            outcome.slowest_s = max(outcome.slowest_s, took)
            counts[verdict] += 1
    return outcome


def shares(total: int, seed: int, workers: int) -> Iterator[tuple[int, dict[str, int]]]:
    """Split a number of texts over formats and workers."""
    names = list(texts_of())
    parts = workers * 8 if total >= 100_000 else workers
    for part in range(parts):
        numbers = range(part, total, parts)
        wanted = Counter(names[number % len(names)] for number in numbers)
        yield seed * 1_000_003 + part, dict(wanted)


def fuzz(total: int, *, seed: int = 0, workers: int = 1) -> dict[str, Any]:
    """Judge a number of texts and sum up."""
    begun = time.perf_counter()
    work = list(shares(total, seed, workers))
    if workers == 1:
        outcomes = [run_share(share) for share in work]
    else:
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            outcomes = list(pool.imap_unordered(run_share, work))
    counts: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        for name, found in outcome.counts.items():
            counts.setdefault(name, Counter()).update(found)
    whole = sum(counts.values(), Counter[str]())
    return {
        "count": sum(whole.values()),
        "seed": seed,
        "workers": workers,
        "seconds": round(time.perf_counter() - begun, 1),
        "slowest_text_s": round(max(outcome.slowest_s for outcome in outcomes), 3),
        "outcomes": dict(whole),
        "formats": {name: dict(found) for name, found in sorted(counts.items())},
        "failures": [failure for outcome in outcomes for failure in outcome.failures][:20],
    }


def main() -> int:
    """Fuzz from the command line; 1 where a text had another way out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=11_000, help="texts of all formats together")
    parser.add_argument("--each", type=int, help="texts of each format, instead of --count")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--out", type=Path, help="where the JSON goes; standard output where it is left out")
    options = parser.parse_args()
    total = options.each * len(texts_of()) if options.each else options.count
    result = fuzz(total, seed=options.seed, workers=options.workers)
    text = json.dumps(result, indent=2)
    if options.out is None:
        print(text)
    else:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n")
        print(f"{result['count']:,} texts in {result['seconds']} s: {result['outcomes']}")
    return 1 if result["outcomes"].get("crash") else 0


if __name__ == "__main__":
    sys.exit(main())
