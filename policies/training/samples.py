"""What supervised training learns from: a page, the labels on it, and questions with their answers."""

import math
from dataclasses import dataclass, field

from foveate.envs.base import Image

NOWHERE = (math.nan, math.nan, math.nan, math.nan)
"""The extent and target of a label that is not wholly in view."""


@dataclass(frozen=True, slots=True)
class Glyph:
    """A character on a page.

    Attributes:
        char: The character.
        x: Its centre, as a fraction of the page's width.
        y: Its centre, as a fraction of the page's height.
    """

    char: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Label:
    """A piece of text on a page that can be named and pointed at.

    Attributes:
        text: What it says.
        glyphs: Its characters, blanks left out.
        extent: Left, top, right and bottom of the text, as fractions of the page.
        target: Left, top, right and bottom of what a click on it must hit; holds the text.
    """

    text: str
    glyphs: tuple[Glyph, ...]
    extent: tuple[float, float, float, float]
    target: tuple[float, float, float, float]

    @property
    def whole(self) -> bool:
        """False where an edge of the page tears it, so that it has no place (NaN)."""
        return not math.isnan(self.extent[0])

    @property
    def centre(self) -> tuple[float, float]:
        """X and y of the text's centre, as fractions of the page."""
        left, top, right, bottom = self.extent
        return (left + right) / 2, (top + bottom) / 2


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to do on a page, and what to answer.

    Attributes:
        task: The instruction.
        operations: The previous operations as the prompt writes them: lines, or ``None``.
        answer: The model's whole answer after the prefill, without the end token.
        label: Which of the page's labels is to be pointed at; None where the answer holds no place.
        notes: What the runtime has to say about the last step.
    """

    task: str
    operations: str
    answer: str
    label: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """A page with its questions.

    Attributes:
        image: uint8 RGB, shape (side, side, 3): one tile.
        labels: What can be read and pointed at.
        questions: What is asked about it.
    """

    image: Image = field(repr=False)
    labels: tuple[Label, ...]
    questions: tuple[Question, ...]
