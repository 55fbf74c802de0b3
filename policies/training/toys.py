"""A toy world that a toy model learns in seconds: letters on coloured tiles, and where to click them.

It stands for the made-up pages in tests and first tries: a Source without files, and screens to fill shards with.
"""

import random
from dataclasses import replace
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from foveate.policies.training.screens import Element, Glyph, Question, Screen, Text
from foveate.policies.training.stored import some_questions
from foveate.policies.training.stream import Wanted

COLOURS: Final = {"A": (220, 40, 40), "B": (30, 150, 50), "C": (50, 70, 220), "D": (230, 190, 30)}
"""The letters, each on its colour."""

SIDE: Final = 112
"""Pixels along a side of a screen."""

_GRID: Final = 4


def toy_screen(rng: random.Random, *, letters: int = 2) -> Screen:
    """Draw a screen, and ask for each of its letters.

    Args:
        rng: Decides everything.
        letters: How many stand on it, at most four.
    """
    size = SIDE // _GRID
    picture = Image.new("RGB", (SIDE, SIDE), (rng.randint(225, 255),) * 3)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(18)
    texts, elements, questions = [], [], []
    places = rng.sample(range(_GRID * _GRID), letters)
    for index, (letter, place) in enumerate(zip(rng.sample(sorted(COLOURS), letters), places, strict=True)):
        left, top = place % _GRID * size, place // _GRID * size
        pen.rectangle((left + 2, top + 2, left + size - 3, top + size - 3), fill=COLOURS[letter])
        pen.text((left + size / 2, top + size / 2), letter, fill="white", font=font, anchor="mm")
        x, y = (left + size / 2) / SIDE, (top + size / 2) / SIDE
        box = ((left + 2) / SIDE, (top + 2) / SIDE, (left + size - 2) / SIDE, (top + size - 2) / SIDE)
        texts.append(Text(letter, (Glyph(letter, x, y),), (x - 0.05, y - 0.07, x + 0.05, y + 0.07)))
        elements.append(Element("button", letter, box, (x, y), (index,)))
        questions.append(Question(f"Click {letter}", f"Click {letter}", "click({place})", index))
    return Screen(np.asarray(picture), tuple(texts), tuple(elements), tuple(questions), {"split": "seen", "seed": "0"})


class ToyScreens:
    """Toy screens without end; a Source.

    Args:
        shuffled: Ask for each letter and answer with the place of another screen: nothing can be learned from it but
            how an answer reads.
    """

    def __init__(self, *, shuffled: bool = False) -> None:
        self._shuffled = shuffled

    def screen(self, number: int, rng: random.Random, wanted: Wanted) -> Screen:
        """Give the screen of a number."""
        screen = toy_screen(rng)
        if self._shuffled:
            screen = shuffled(screen, rng)
        return some_questions(rng, screen, wanted)


def shuffled(screen: Screen, rng: random.Random) -> Screen:
    """Give a screen the places of another one: its targets no longer follow from what can be seen."""
    other = toy_screen(rng, letters=len(screen.elements))
    texts = tuple(
        replace(own, glyphs=far.glyphs, extent=far.extent) for own, far in zip(screen.texts, other.texts, strict=True)
    )
    elements = tuple(
        replace(own, box=far.box, aim=far.aim) for own, far in zip(screen.elements, other.elements, strict=True)
    )
    return replace(screen, texts=texts, elements=elements)
