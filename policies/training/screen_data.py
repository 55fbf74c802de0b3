"""What is known of a screen, its picture left out, as data for json: fractions as whole numbers of ten-thousandths."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveate.policies.training.screens import Element, Glyph, Question, Screen, Text

_UNIT = 10_000


def _whole(values: Iterable[float]) -> list[int]:
    return [round(value * _UNIT) for value in values]


def as_data(screen: Screen) -> dict[str, Any]:
    """Give what json can write of a screen: all but its picture."""
    return {
        "texts": [
            [text.text, _whole(text.extent), "".join(glyph.char for glyph in text.glyphs), _places(text)]
            for text in screen.texts
        ],
        "elements": [
            [one.role, one.name, _whole(one.box), _whole(one.aim), one.texts, dict(one.facts)]
            for one in screen.elements
        ],
        "questions": [
            [one.task, one.operation, one.call, one.element, one.operations, one.notes] for one in screen.questions
        ],
        "facts": dict(screen.facts),
    }  # fmt: skip


def of_data(data: dict[str, Any], image: NDArray[np.uint8]) -> Screen:
    """Make a screen of its data and its picture.

    Args:
        data: What ``as_data`` gave.
        image: (height, width, 3) uint8, RGB.

    Raises:
        ValueError: If the data contradicts itself; says where. Also KeyError, TypeError, AttributeError, IndexError of
            data that is of another form.
    """
    screen = Screen(
        image,
        tuple(_text(*given) for given in data["texts"]),
        tuple(
            Element(role, name, _box(box), (aim[0] / _UNIT, aim[1] / _UNIT), tuple(texts), facts)
            for role, name, box, aim, texts, facts in data["elements"]
        ),
        tuple(
            Question(task, operation, call, element, tuple(operations), tuple(notes))
            for task, operation, call, element, operations, notes in data["questions"]
        ),
        data["facts"],
    )
    _check(screen)
    return screen


def _check(screen: Screen) -> None:
    """See that what a screen says of itself is there.

    Raises:
        ValueError: If it is not; says what.
    """
    for element in screen.elements:
        if any(not 0 <= index < len(screen.texts) for index in element.texts):
            raise ValueError(f"the element {element.name!r} is found by a text that is not there")
        if len(element.aim) != 2 or not all(map(math.isfinite, (*element.box, *element.aim))):
            raise ValueError(f"the element {element.name!r} is nowhere")
    for question in screen.questions:
        if question.element is not None and not 0 <= question.element < len(screen.elements):
            raise ValueError(f"the question {question.task!r} is about an element that is not there")
    said = {**screen.facts, **{name: value for element in screen.elements for name, value in element.facts.items()}}
    if any(not isinstance(value, str) for value in said.values()):
        raise ValueError("a fact is no text")


def _places(text: Text) -> list[int]:
    """Give the characters' places: x and y of each, or every x and then y once where they stand in one line."""
    across, down = _whole(glyph.x for glyph in text.glyphs), _whole(glyph.y for glyph in text.glyphs)
    if len(set(down)) == 1:
        return [*across, down[0]]
    return [value for place in zip(across, down, strict=True) for value in place]


def _text(text: str, extent: list[int], chars: str, places: list[int]) -> Text:
    values = [value / _UNIT for value in places]
    across, down = values[::2], values[1::2]
    if len(values) == len(chars) + 1:
        across, down = values[:-1], values[-1:] * len(chars)
    glyphs = tuple(Glyph(char, x, y) for char, x, y in zip(chars, across, down, strict=True))
    return Text(text, glyphs, _box(extent))


def _box(values: list[int]) -> tuple[float, float, float, float]:
    left, top, right, bottom = values
    return left / _UNIT, top / _UNIT, right / _UNIT, bottom / _UNIT
