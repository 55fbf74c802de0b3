"""Draw simple pages: buttons, links, fields and ticks with words on them, and where each character stands."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from foveate.actions.errors import MissingDependency
from foveate.agent.training.words import label_text
from foveate.envs.base import Image
from foveate.policies.training.samples import Glyph, Label

SIDE: Final = 448
"""Width and height of a page in pixels: one tile."""

_OVERSAMPLE = 3
"""Text is drawn larger and reduced: unhinted letters at fractional places, as browsers draw them."""

_FONTS = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSansCondensed.ttf",
    "DejaVuSerif.ttf",
    "LiberationSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "LiberationSans-Bold.ttf",
    "LiberationSerif-Regular.ttf",
    "LiberationMono-Regular.ttf",
)
_FONT_FOLDERS = ("/usr/share/fonts/truetype/dejavu", "/usr/share/fonts/truetype/liberation")

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Written:
    """Text as a mask: float32 (height, width), 0 to 1, and the centre of each character in pixels."""

    mask: "np.ndarray[tuple[int, int], np.dtype[np.float32]]"
    centres: tuple[tuple[str, float, float], ...]


@lru_cache(maxsize=256)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    for folder in _FONT_FOLDERS:
        path = Path(folder) / name
        if path.exists():
            return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
    raise MissingDependency(f"the font {name}", "apt install fonts-dejavu fonts-liberation")


def _write(text: str, name: str, size: float) -> _Written:
    """Draw text at a size in pixels."""
    font = _font(name, round(size * _OVERSAMPLE))
    ascent, descent = font.getmetrics()
    width, height = int(font.getlength(text)) + 2 * _OVERSAMPLE, ascent + descent
    width, height = -(-width // _OVERSAMPLE) * _OVERSAMPLE, -(-height // _OVERSAMPLE) * _OVERSAMPLE
    canvas = Pillow.new("L", (width, height))
    ImageDraw.Draw(canvas).text((_OVERSAMPLE, 0), text, fill=255, font=font)
    mask = np.asarray(canvas.reduce(_OVERSAMPLE), dtype=np.float32) / 255.0
    centres, left = [], float(_OVERSAMPLE)
    middle = (ascent - 0.36 * size * _OVERSAMPLE) / _OVERSAMPLE
    for char in text:
        advance = font.getlength(char)
        if char != " ":
            centres.append((char, (left + advance / 2) / _OVERSAMPLE, middle))
        left += advance
    return _Written(mask, tuple(centres))


def _shade(rng: random.Random, low: int, high: int) -> Colour:
    return rng.randint(low, high), rng.randint(low, high), rng.randint(low, high)


def _paint(image: Image, written: _Written, x: int, y: int, colour: Colour) -> None:
    height, width = written.mask.shape
    region = image[y : y + height, x : x + width].astype(np.float32)
    blend = written.mask[:, :, None]
    image[y : y + height, x : x + width] = (region + (np.array(colour, np.float32) - region) * blend + 0.5).astype(
        np.uint8
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """An element that found room: its box in pixels, its text and where the text begins."""

    box: tuple[int, int, int, int]
    written: _Written
    text: str
    at: tuple[int, int]
    kind: str


def _size_box(rng: random.Random, kind: str, written: _Written) -> tuple[int, int, int, int]:
    """Give width, height and the text's offset in an element's box, in pixels."""
    height, width = written.mask.shape
    pad_x, pad_y = {"button": (rng.randint(6, 24), rng.randint(3, 12)), "link": (2, 2), "tick": (2, 3)}.get(
        kind, (rng.randint(5, 10), rng.randint(4, 9))
    )
    if kind == "tick":
        return width + height + 8 + 2 * pad_x, height + 2 * pad_y, height + 6 + pad_x, pad_y
    if kind == "field":
        return max(width + 2 * pad_x, rng.randint(90, 260)), height + 2 * pad_y, pad_x, pad_y
    return width + 2 * pad_x, height + 2 * pad_y, pad_x, pad_y


def _place(rng: random.Random, taken: Sequence[_Place], text: str, look: tuple[str, float]) -> _Place | None:
    """Find room for one element; None where a few tries found none."""
    kind = rng.choice(("button", "button", "button", "link", "link", "field", "tick"))
    written = _write(text, *look)
    width, height, dx, dy = _size_box(rng, kind, written)
    if width > SIDE - 4 or height > SIDE - 4:
        return None
    for _ in range(12):
        x, y = rng.randint(2, SIDE - 2 - width), rng.randint(2, SIDE - 2 - height)
        if all(
            x > t.box[2] + 4 or x + width + 4 < t.box[0] or y > t.box[3] + 4 or y + height + 4 < t.box[1] for t in taken
        ):
            return _Place((x, y, x + width, y + height), written, text, (x + dx, y + dy), kind)
    return None


def _draw(rng: random.Random, image: Image, places: Sequence[_Place], dark: bool) -> None:
    """Draw boxes, then text."""
    canvas = Pillow.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    accent = _shade(rng, 0, 150) if rng.random() < 0.7 else _shade(rng, 170, 250)
    line = _shade(rng, 90, 150) if dark else _shade(rng, 110, 200)
    plain: Colour = _shade(rng, 200, 255) if dark else _shade(rng, 0, 90)
    link: Colour = (140, 180, 255) if dark else (0, 60 + rng.randint(0, 60), 180 + rng.randint(0, 60))
    colours: list[Colour] = []
    radius = rng.choice((0, 3, 6, 12))
    for place in places:
        colour = plain
        if place.kind == "button":
            filled = rng.random() < 0.7
            draw.rounded_rectangle(place.box, radius, fill=accent if filled else None, outline=line)
            if filled:
                colour = (255, 255, 255) if sum(accent) < 400 else (15, 15, 15)
        elif place.kind == "field":
            fill: Colour = (30, 30, 34) if dark else (255, 255, 255)
            draw.rounded_rectangle(place.box, min(radius, 4), fill=fill, outline=line)
        elif place.kind == "tick":
            left, top, _, bottom = place.box
            draw.rectangle((left + 3, top + 5, left + bottom - top - 7, bottom - 5), outline=plain)
        elif place.kind == "link":
            colour = link
            if rng.random() < 0.6:
                y = place.box[3] - 4
                draw.line((place.at[0], y, place.box[2] - 2, y), fill=link)
        colours.append(colour)
    image[:] = np.asarray(canvas)
    for place, colour in zip(places, colours, strict=True):
        _paint(image, place.written, *place.at, colour)


def _label(place: _Place) -> Label:
    x, y = place.at
    height, width = place.written.mask.shape
    left, top, right, bottom = place.box
    return Label(
        text=place.text,
        glyphs=tuple(Glyph(char, (x + cx) / SIDE, (y + cy) / SIDE) for char, cx, cy in place.written.centres),
        extent=(x / SIDE, y / SIDE, (x + width) / SIDE, (y + height) / SIDE),
        target=(left / SIDE, top / SIDE, right / SIDE, bottom / SIDE),
    )


def draw_page(rng: random.Random, *, elements: tuple[int, int] = (2, 9)) -> tuple[Image, tuple[Label, ...]]:
    """Draw a page.

    Args:
        rng: Decides everything.
        elements: Least and greatest number of elements tried for.

    Returns:
        The page, uint8 RGB (448, 448, 3), and its labels, no two with the same text.

    Raises:
        MissingDependency: If the fonts are not installed.
    """
    dark = rng.random() < 0.15
    ground = _shade(rng, 10, 50) if dark else ((255, 255, 255) if rng.random() < 0.5 else _shade(rng, 225, 255))
    image = np.empty((SIDE, SIDE, 3), np.uint8)
    image[:] = ground
    if rng.random() < 0.3:
        image[: rng.randint(20, 120), :] = [max(value - 18, 0) for value in ground]
    name, size = rng.choice(_FONTS), rng.uniform(19, 32)
    places: list[_Place] = []
    for _ in range(rng.randint(*elements)):
        text = label_text(rng)
        if any(text == other.text for other in places):
            continue
        own = size * rng.choice((1.0, 1.0, 1.0, 0.9, 1.15))
        place = _place(rng, places, text, (name if rng.random() < 0.8 else rng.choice(_FONTS), own))
        if place is not None:
            places.append(place)
    if not places:
        return draw_page(rng, elements=elements)
    _draw(rng, image, places, dark)
    return image, tuple(_label(place) for place in places)
