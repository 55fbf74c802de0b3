"""Ask things about a page, with the answers that its drawing knows: one step, several, or nothing left to do."""

import random
from collections.abc import Callable, Sequence
from typing import Final

from foveate.agent.training.words import label_text, typed_text
from foveate.policies.training.samples import Label, Question

KEYS: Final = ("enter", "tab", "escape", "backspace", "delete", "up", "down", "space")

_CLICK = (
    "Click {}",
    "Click {}",
    "Click {}",
    "Click the {} button",
    "Click the {} link",
    "Click on {}",
    "Press the {} button",
    "Open {}",
    "Select {}",
    "Tick {}",
    'Click "{}"',
)
_TYPE = ("Type {}", "Type {}", 'Type "{}"', "Write {}", "Enter the text {}")
_TYPE_IN = ("Type {} in {}", "Type {} into {}", 'Type "{}" in {}', "Write {} in the {} field")
_ANSWER = ("Answer {}", "Say {}", 'Answer "{}"')
_NOTES = (
    "The last action changed nothing on the screen.",
    "The action was refused: the address is not allowed.",
    "no action: the answer is empty",
    "The page went to another address.",
)
_OTHERS = ("click", "type_text", "press", "scroll", "wait", "click", "click")
_SUCCESS = 'terminate(status="success")\n</action>'


def _ended(call: str) -> str:
    return f"{call}\n</action>"


def _history(kinds: Sequence[str]) -> str:
    return "\n".join(f"Step {number}: {kind}" for number, kind in enumerate(kinds, 1)) or "None"


def _notes(rng: random.Random) -> tuple[str, ...]:
    return (rng.choice(_NOTES),) if rng.random() < 0.06 else ()


def point_at(label: Label) -> str:
    """Write the click on a label's centre, as the answer goes on from its prefill."""
    x, y = (min(int(value * 100 + 0.5), 99) / 100 for value in label.centre)
    return _ended(f"click(x={x:.2f}, y={y:.2f})")


def click(rng: random.Random, labels: Sequence[Label], index: int) -> Question:
    """Ask for a click on a label; seldom after other steps, or for one that is done."""
    task = rng.choice(_CLICK).format(labels[index].text)
    chance = rng.random()
    if chance < 0.12:
        return Question(task, _history(["click"]), _SUCCESS, notes=_notes(rng))
    return Question(task, "None", point_at(labels[index]), index, _notes(rng))


def type_in(rng: random.Random, labels: Sequence[Label], index: int) -> Question:
    """Ask for a text in a field: click it, write, end."""
    text, label = typed_text(rng), labels[index]
    task = rng.choice(_TYPE_IN).format(text, label.text)
    step = rng.randrange(3)
    history = _history(("click", "type_text")[:step])
    if step == 0:
        return Question(task, history, point_at(label), index, _notes(rng))
    answer = _ended(f'write(message="{text}")') if step == 1 else _SUCCESS
    return Question(task, history, answer, notes=_notes(rng))


def _two_steps(rng: random.Random, task: str, kind: str, answer: str) -> Question:
    """Ask for something that takes one step; every third time it is done."""
    if rng.random() < 0.33:
        return Question(task, _history([kind]), _SUCCESS, notes=_notes(rng))
    return Question(task, "None", _ended(answer), notes=_notes(rng))


def _type_text(rng: random.Random) -> Question:
    text = typed_text(rng)
    return _two_steps(rng, rng.choice(_TYPE).format(text), "type_text", f'write(message="{text}")')


def _press(rng: random.Random) -> Question:
    key = rng.choice(KEYS)
    name = key.capitalize() if rng.random() < 0.7 else key
    task = rng.choice(("Press {}", "Press the {} key", "Hit {}")).format(name)
    return _two_steps(rng, task, "press", f'press(keys="{key}")')


def _scroll(rng: random.Random) -> Question:
    way, sign = rng.choice((("down", "-"), ("up", "")))
    task = rng.choice(("Scroll {}", "Scroll the page {}", "Scroll {} a little")).format(way)
    return _two_steps(rng, task, "scroll", f"scroll(clicks={sign}5)")


def _wait(rng: random.Random) -> Question:
    seconds = rng.randint(1, 9)
    task = rng.choice(("Wait {} seconds", "Wait for {} seconds", "Wait {} s")).format(seconds)
    return _two_steps(rng, task, "wait", f"wait(seconds={seconds})")


def _respond(rng: random.Random) -> Question:
    text = label_text(rng)
    return _two_steps(rng, rng.choice(_ANSWER).format(text), "respond", f'response(answer="{text}")')


WITHOUT_PLACE: Final[tuple[Callable[[random.Random], Question], ...]] = (
    _type_text,
    _type_text,
    _press,
    _scroll,
    _wait,
    _respond,
)
"""What can be asked on any page."""


def ask(rng: random.Random, labels: Sequence[Label], count: int) -> tuple[Question, ...]:
    """Ask a number of questions about a page: mostly clicks on different labels, at least one of another kind.

    Args:
        rng: Decides everything.
        labels: The page's; those without a place are not asked for.
        count: How many questions, at least two.
    """
    whole = [index for index, label in enumerate(labels) if label.whole]
    rng.shuffle(whole)
    asked = [type_in(rng, labels, whole.pop())] if whole and rng.random() < 0.35 else []
    while whole and len(asked) < count - 1:
        asked.append(click(rng, labels, whole.pop()))
    while len(asked) < count:
        asked.append(rng.choice(WITHOUT_PLACE)(rng))
    return tuple(asked)
