"""Make several pages of one: moved, wrapped round the edges, and in other colours."""

import random
from dataclasses import replace

import numpy as np

from foveate.envs.base import Image
from foveate.policies.training.samples import NOWHERE, Glyph, Label


def _moved(label: Label, dx: float, dy: float) -> Label:
    """Move a label; of one that is torn by an edge only the characters are kept, each where it is now."""
    left, top, right, bottom = label.extent
    x, y = (left + dx) % 1.0, (top + dy) % 1.0
    glyphs = tuple(Glyph(glyph.char, (glyph.x + dx) % 1.0, (glyph.y + dy) % 1.0) for glyph in label.glyphs)
    if not label.whole or x + right - left >= 1.0 or y + bottom - top >= 1.0:
        return replace(label, glyphs=glyphs, extent=NOWHERE, target=NOWHERE)
    return replace(label, glyphs=glyphs, extent=(x, y, x + right - left, y + bottom - top), target=NOWHERE)


def varied(rng: random.Random, image: Image, labels: tuple[Label, ...]) -> tuple[Image, tuple[Label, ...]]:
    """Move a page by any distance, what leaves it coming in on the other side, and change its colours.

    Args:
        rng: Decides everything.
        image: uint8 RGB (height, width, 3).
        labels: The page's.

    Returns:
        The page and its labels, to be read only: a label that an edge tears has no place (NaN), and none has a target.
    """
    height, width = image.shape[:2]
    dx, dy = rng.randrange(width), rng.randrange(height)
    moved = np.roll(image, (dy, dx), (0, 1))[:, :, rng.sample(range(3), 3)]
    if rng.random() < 0.25:
        moved = 255 - moved
    return np.ascontiguousarray(moved), tuple(_moved(label, dx / width, dy / height) for label in labels)
