"""Several screens of one: moved, wrapped round the edges, and in other colours."""

import random
from dataclasses import replace

import numpy as np

from foveate.policies.training.screens import Box, Element, Glyph, Screen, Text


def _moved(box: Box, dx: float, dy: float) -> Box | None:
    """Move a box; None where an edge tears it."""
    x, y = (box[0] + dx) % 1.0, (box[1] + dy) % 1.0
    right, bottom = x + box[2] - box[0], y + box[3] - box[1]
    return (x, y, right, bottom) if right <= 1.0 and bottom <= 1.0 else None


def _pieces(text: Text, dx: float, dy: float) -> list[Text]:
    """Move a text; one that an edge tears becomes a piece on either side."""
    glyphs = [Glyph(one.char, (one.x + dx) % 1.0, (one.y + dy) % 1.0) for one in text.glyphs]
    box = _moved(text.extent, dx, dy)
    if box is not None:
        return [replace(text, glyphs=tuple(glyphs), extent=box)]
    torn: list[list[Glyph]] = [[]]
    for one in glyphs:
        if torn[-1] and abs(one.x - torn[-1][-1].x) > 0.5:
            torn.append([])
        torn[-1].append(one)
    high = (text.extent[3] - text.extent[1]) / 2
    return [
        Text(
            "".join(one.char for one in piece),
            tuple(piece),
            (piece[0].x, max(piece[0].y - high, 0.0), piece[-1].x, min(piece[0].y + high, 1.0)),
        )
        for piece in torn
        if piece
    ]


def varied(rng: random.Random, screen: Screen, *, move: bool = True) -> Screen:
    """Move a screen by any distance, what leaves it coming in on the other side, and change its colours.

    Args:
        rng: Decides everything.
        screen: Its questions are kept where they point at nothing that an edge tears.
        move: False leaves everything where it is.

    Returns:
        A screen whose elements are those that no edge tears.
    """
    height, width = screen.image.shape[:2]
    dx, dy = (rng.randrange(width), rng.randrange(height)) if move else (0, 0)
    colours = rng.sample(range(3), 3) if rng.random() < 0.5 else [0, 1, 2]
    image = np.roll(screen.image, (dy, dx), (0, 1))[:, :, colours] if move else screen.image[:, :, colours]
    if rng.random() < 0.15:
        image = 255 - image
    image = np.ascontiguousarray(image)
    if not move:
        return replace(screen, image=image)
    x, y = dx / width, dy / height
    texts: list[Text] = []
    now: dict[int, int] = {}
    for index, text in enumerate(screen.texts):
        pieces = _pieces(text, x, y)
        if len(pieces) == 1 and len(pieces[0].glyphs) == len(text.glyphs):
            now[index] = len(texts)
        texts += pieces
    elements: list[Element] = []
    kept: dict[int, int] = {}
    for index, element in enumerate(screen.elements):
        box = _moved(element.box, x, y)
        if box is None or any(text not in now for text in element.texts):
            continue
        kept[index] = len(elements)
        aim = ((element.aim[0] + x) % 1.0, (element.aim[1] + y) % 1.0)
        elements.append(replace(element, box=box, aim=aim, texts=tuple(now[text] for text in element.texts)))
    questions = tuple(
        replace(question, element=None if question.element is None else kept[question.element], reads=())
        for question in screen.questions
        if question.element is None or question.element in kept
    )
    return replace(screen, image=image, texts=tuple(texts), elements=tuple(elements), questions=questions)
