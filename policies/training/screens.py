"""What supervised training learns from: pictures of screens, what stands on them, and questions with their answers.

A place is a fraction of the picture, 0 to 1 from its left or top edge; a box is left, top, right and bottom.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from foveate.envs.base import Image

Place: TypeAlias = tuple[float, float]
Box: TypeAlias = tuple[float, float, float, float]

PLACE = "{place}"
"""Stands in a call for the two arguments of a place."""


@dataclass(frozen=True, slots=True)
class Glyph:
    """A character on a screen, blanks left out.

    Attributes:
        char: The character.
        x: Its centre, as a fraction of the picture's width.
        y: Its centre, as a fraction of the picture's height.
    """

    char: str
    x: float
    y: float


def middle_of(glyphs: Sequence[Glyph]) -> Place:
    """Give the place in the middle of some characters of one line."""
    return (glyphs[0].x + glyphs[-1].x) / 2, sum(glyph.y for glyph in glyphs) / len(glyphs)


@dataclass(frozen=True, slots=True)
class Text:
    """A run of text in one line, as far as it can be seen.

    Attributes:
        text: What can be seen of it.
        glyphs: Its characters, in order.
        extent: The box around it.
    """

    text: str
    glyphs: tuple[Glyph, ...]
    extent: Box


@dataclass(frozen=True, slots=True)
class Element:
    """Something on a screen that can be named and pointed at.

    Attributes:
        role: What it is: ``button``, ``link``, ``field``, ``checkbox``, ``delete``, ``icon`` ...
        name: What a person calls it.
        box: What of it can be seen and pressed.
        aim: The place to press, inside the box and not covered by anything.
        texts: Which of the screen's texts it is found by: its own words, or the label beside it.
        facts: More that can be asked about it: ``value``, ``state``, ``row``, ``group`` ...
    """

    role: str
    name: str
    box: Box
    aim: Place
    texts: tuple[int, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """One step of a task on a screen, and what to answer.

    Attributes:
        task: The instruction.
        operation: What the answer says that it does: ``Click Save``.
        call: The action in the canonical form, ``{place}`` where its place stands: ``click({place})``.
        element: Which of the screen's elements the place is of; None where the call has none.
        operations: What was done before: the earlier answers' operations.
        notes: What the runtime has to say about the last step.
        reads: The characters that the answer reads out, where the task says by a place which they are.
    """

    task: str
    operation: str
    call: str
    element: int | None = None
    operations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reads: tuple[Glyph, ...] = ()

    def answer(self, elements: "tuple[Element, ...]") -> str:
        r"""Write the whole answer that follows the prefill ``<operation>\n``; places have two decimals.

        Args:
            elements: The screen's.
        """
        call = self.call
        if self.element is not None:
            x, y = (min(max(int(value * 100 + 0.5), 0), 99) / 100 for value in elements[self.element].aim)
            call = call.replace(PLACE, f"x={x:.2f}, y={y:.2f}")
        return f"{self.operation}\n</operation>\n<action>\n{call}\n</action>"


@dataclass(frozen=True, slots=True)
class Screen:
    """A picture, what stands on it, and what is asked about it.

    Attributes:
        image: uint8 RGB, shape (side, side, 3): one tile.
        texts: What can be read.
        elements: What can be pointed at.
        questions: What is asked; empty where questions are still to be made of the elements.
        facts: More about the whole: ``split`` (``seen`` or ``unseen``), ``seed``, ``program``, ``step`` ...
    """

    image: Image = field(repr=False)
    texts: tuple[Text, ...]
    elements: tuple[Element, ...]
    questions: tuple[Question, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
