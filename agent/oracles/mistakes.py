"""Mistakes that an oracle makes on purpose: done, so that their correction can be shown, and never shown as right."""

import json
import random
from dataclasses import replace
from typing import Final

from foveate.agent.oracles.moves import Move, write
from foveate.agent.oracles.state import ACCEPT, DISMISS, Sight
from foveate.policies.training.screens import Element, Question

HARMLESS: Final = frozenset(
    {"field", "checkbox", "switch", "radio", "option", "tab", "chip", "increase", "decrease", "day"}
)
"""Roles of what can be pressed by mistake and put right again."""

_LETTERS = "abcdefghiklmnoprstuvz"


def slip(rng: random.Random, move: Move, sight: Sight) -> str | None:
    """Write a wrong answer in place of a right one: beside the place, on another thing, another text.

    Args:
        rng: Chooses.
        move: The right one.
        sight: What is seen.

    Returns:
        The answer as a model would write it; None where nothing goes wrong that could be put right.
    """
    if move.call.startswith("write("):
        return _written(rng, move)
    if move.key is None or not move.call.startswith("click(") or move.key in (ACCEPT, DISMISS):
        return None
    kind = rng.random()
    if kind < 0.3:
        return _beside(rng, move, sight)
    return _another(rng, move, sight, misread=kind < 0.65)


def _written(rng: random.Random, move: Move) -> str | None:
    text = str(json.loads(move.call.removeprefix("write(message=").removesuffix(")")))
    if len(text) < 2 or len(text) > 40:
        return None
    place = rng.randrange(len(text))
    letter = rng.choice(_LETTERS)
    wrong = rng.choice((text + letter, text[:place] + letter + text[place + 1 :], text[:place] + text[place + 1 :]))
    if wrong in (text, "") or wrong != wrong.strip():
        return None
    slipped = write(wrong)
    return Question("", slipped.operation, slipped.call).answer(())


def _beside(rng: random.Random, move: Move, sight: Sight) -> str | None:
    """Press where nothing is, not far from the place that was meant."""
    if sight.listed is not None or sight.dialog is not None:
        return None
    number = sight.thing(move.key or "").element
    if number is None:
        return None
    x, y = sight.elements[number].aim
    for _ in range(24):
        place = x + rng.uniform(-0.25, 0.25), y + rng.uniform(-0.12, 0.12)
        if all(0.01 < value < 0.98 for value in place) and not _on_something(place, sight):
            return _pressed(move.operation, move.call, Element("nothing", "", (*place, *place), place))
    return None


def _on_something(place: tuple[float, float], sight: Sight) -> bool:
    margin = 0.03
    boxes = [element.box for element in sight.elements] + [text.extent for text in sight.texts]
    return any(
        box[0] - margin <= place[0] < box[2] + margin and box[1] - margin <= place[1] < box[3] + margin for box in boxes
    )


def _another(rng: random.Random, move: Move, sight: Sight, *, misread: bool) -> str | None:
    """Press another thing of the same role; ``misread`` says so, else it only points at it."""
    meant = sight.thing(move.key or "")
    if meant.role not in HARMLESS:
        return None
    others = [
        thing
        for thing in sight.things.values()
        if thing.role == meant.role and thing.element is not None and thing.key != meant.key and thing.name
    ]
    if not others:
        return None
    other = rng.choice(others)
    operation = move.operation
    if misread:
        if not operation.endswith(meant.name):
            return None
        operation = operation.removesuffix(meant.name) + other.name
        operation = _turned(operation, checked=other.checked)
    if other.element is None:
        return None
    return _pressed(operation, move.call, sight.elements[other.element])


def _turned(operation: str, *, checked: bool) -> str:
    """Say of a box that is pressed what becomes of it."""
    for verb in ("Tick ", "Untick "):
        if operation.startswith(verb):
            return ("Untick " if checked else "Tick ") + operation.removeprefix(verb)
    return operation


def _pressed(operation: str, call: str, element: Element) -> str:
    return replace(Question("", operation, call), element=0).answer((element,))
