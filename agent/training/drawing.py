"""Draw simple screens without a browser, for pretraining: text on buttons, links, fields and ticks, and crowded pages.

The letters are FreeType's, as the browser's are, unhinted and at fractional places; everything else is plainer than a
browser draws it. Hundreds a second, on machines that have no Chromium.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from foveate.actions.errors import MissingDependency
from foveate.agent.training.words import Vocabulary, cased
from foveate.envs.base import Image
from foveate.policies.training.screens import Box, Element, Glyph, Place, Screen, Text

_OVERSAMPLE = 3
"""Text is drawn larger and reduced."""

_FONTS: Final = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSansCondensed.ttf",
    "LiberationSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "LiberationSans-Bold.ttf",
    "LiberationSerif-Regular.ttf",
    "LiberationMono-Regular.ttf",
)
"""Of the families that are trained on."""

_FOLDERS = ("/usr/share/fonts/truetype/dejavu", "/usr/share/fonts/truetype/liberation")
_GAP = 4

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Written:
    """Text as a mask: float32 (height, width), 0 to 1, and the centre of each character in pixels."""

    text: str
    mask: "np.ndarray[tuple[int, int], np.dtype[np.float32]]"
    centres: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True)
class _Placed:
    """An element that found room: its kind, its box in pixels, and where its text begins."""

    kind: str
    written: _Written
    box: tuple[int, int, int, int]
    at: tuple[int, int]
    ticked: bool = False


@lru_cache(maxsize=256)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    for folder in _FOLDERS:
        path = Path(folder) / name
        if path.exists():
            return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
    raise MissingDependency(f"the font {name}", "apt install fonts-dejavu fonts-liberation")


def _write(text: str, name: str, size: float) -> _Written:
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
    return _Written(text, mask, tuple(centres))


def _shade(rng: random.Random, low: int, high: int) -> Colour:
    return rng.randint(low, high), rng.randint(low, high), rng.randint(low, high)


def _room(rng: random.Random, kind: str, written: _Written) -> tuple[int, int, int, int]:
    """Give width, height and the text's offset in an element's box, in pixels."""
    height, width = written.mask.shape
    if kind == "button":
        x, y = rng.randint(6, 24), rng.randint(3, 12)
    elif kind == "field":
        x, y = rng.randint(5, 10), rng.randint(4, 9)
        return max(width + 2 * x, rng.randint(90, 260)), height + 2 * y, x, y
    elif kind == "checkbox":
        return width + height + 12, height + 6, height + 8, 3
    else:
        x, y = 2, 2
    return width + 2 * x, height + 2 * y, x, y


def _place(rng: random.Random, taken: list[_Placed], kind: str, written: _Written, side: int) -> _Placed | None:
    """Find room for an element; None where a few tries found none."""
    width, height, dx, dy = _room(rng, kind, written)
    if width > side - 4 or height > side - 4:
        return None
    for _ in range(12):
        x, y = rng.randint(2, side - 2 - width), rng.randint(2, side - 2 - height)
        if all(
            x > one.box[2] + _GAP or x + width + _GAP < one.box[0]
            or y > one.box[3] + _GAP or y + height + _GAP < one.box[1]
            for one in taken
        ):  # fmt: skip
            ticked = kind == "checkbox" and rng.random() < 0.4
            return _Placed(kind, written, (x, y, x + width, y + height), (x + dx, y + dy), ticked)
    return None


def _boxes(rng: random.Random, canvas: Pillow.Image, placed: list[_Placed], dark: bool) -> list[Colour]:
    """Draw what lies behind the texts; gives each text's colour."""
    draw = ImageDraw.Draw(canvas)
    accent = _shade(rng, 0, 150) if rng.random() < 0.7 else _shade(rng, 170, 250)
    line = _shade(rng, 90, 150) if dark else _shade(rng, 110, 200)
    plain = _shade(rng, 200, 255) if dark else _shade(rng, 0, 90)
    link: Colour = (140, 180, 255) if dark else (0, 60 + rng.randint(0, 60), 180 + rng.randint(0, 60))
    radius, colours = rng.choice((0, 3, 6, 12)), []
    for one in placed:
        colour = plain
        left, top, right, bottom = one.box
        if one.kind == "button":
            filled = rng.random() < 0.7
            draw.rounded_rectangle(one.box, radius, fill=accent if filled else None, outline=line)
            if filled:
                colour = (255, 255, 255) if sum(accent) < 400 else (15, 15, 15)
        elif one.kind == "field":
            draw.rounded_rectangle(one.box, min(radius, 4), fill=(30, 30, 34) if dark else (255,) * 3, outline=line)
        elif one.kind == "checkbox":
            high = bottom - top
            draw.rectangle((left + 3, top + 4, left + high - 5, bottom - 4), outline=plain)
            if one.ticked:
                knee = (left + 0.42 * high, bottom - 8)
                draw.line(((left + 7, top + high / 2), knee, (left + high - 9, top + 8)), fill=plain, width=2)
        elif one.kind == "link":
            colour = link
            if rng.random() < 0.6:
                draw.line((one.at[0], bottom - 4, right - 2, bottom - 4), fill=link)
        colours.append(colour)
    return colours


def _paint(image: Image, one: _Placed, colour: Colour) -> None:
    (x, y), (height, width) = one.at, one.written.mask.shape
    region = image[y : y + height, x : x + width].astype(np.float32)
    blend = one.written.mask[:, :, None]
    painted = region + (np.array(colour, np.float32) - region) * blend + 0.5
    image[y : y + height, x : x + width] = painted.astype(np.uint8)


def _described(placed: list[_Placed], side: int) -> tuple[tuple[Text, ...], tuple[Element, ...]]:
    texts: list[Text] = []
    elements: list[Element] = []
    for number, one in enumerate(placed):
        (x, y), (height, width) = one.at, one.written.mask.shape
        glyphs = tuple(Glyph(char, (x + cx) / side, (y + cy) / side) for char, cx, cy in one.written.centres)
        extent = (x / side, y / side, (x + width) / side, (y + height) / side)
        texts.append(Text(one.written.text, glyphs, extent))
        if one.kind == "text":
            continue
        box: Box = (one.box[0] / side, one.box[1] / side, one.box[2] / side, one.box[3] / side)
        middle = (box[1] + box[3]) / 2
        aim: Place = ((extent[0] + extent[2]) / 2, middle)
        facts: dict[str, str] = {}
        if one.kind == "checkbox":
            aim = (box[0] + (box[3] - box[1] - 2 / side) / 2, middle)
            facts["state"] = "on" if one.ticked else "off"
        elif one.kind == "field":
            facts["value"] = one.written.text
        elements.append(Element(one.kind, one.written.text, box, aim, (number,), facts))
    return tuple(texts), tuple(elements)


def draw_screen(rng: random.Random, *, crowded: bool = False, side: int = 448) -> Screen:
    """Draw a screen.

    Args:
        rng: Decides everything.
        crowded: Text everywhere, for learning to read.
        side: Width and height of the picture in pixels.

    Returns:
        A screen without questions, of the ``seen`` split; no two of its texts are the same.

    Raises:
        MissingDependency: If the fonts are not installed.
    """
    words = Vocabulary(rng, "seen", rng.choice(("en", "en", "de", "fr", "es", "tr", "pl")))
    draws: tuple[Callable[[], str], ...] = (
        words.word, words.word, words.action, words.thing, words.made_up, words.made_up, words.code, words.price,
        words.person, words.number,
    )  # fmt: skip
    dark = rng.random() < 0.2
    ground = _shade(rng, 10, 50) if dark else ((255,) * 3 if rng.random() < 0.5 else _shade(rng, 225, 255))
    image = np.empty((side, side, 3), np.uint8)
    image[:] = ground
    if rng.random() < 0.3:
        image[: rng.randint(20, 120), :] = [max(value - 18, 0) for value in ground]
    family, size = rng.choice(_FONTS), rng.uniform(16, 28)
    kinds = ("button", "button", "button", "link", "link", "field", "checkbox", "text", *(("text",) * 4 * crowded))
    placed: list[_Placed] = []
    taken: set[str] = set()
    for _ in range(rng.randint(16, 40) if crowded else rng.randint(3, 12)):
        text = cased(rng, rng.choice(draws)())[:24].strip()
        if not text or text.casefold() in taken:
            continue
        own = family if rng.random() < 0.8 else rng.choice(_FONTS)
        written = _write(text, own, size * rng.choice((1.0, 1.0, 1.0, 0.9, 1.15)))
        one = _place(rng, placed, rng.choice(kinds), written, side)
        if one is not None:
            taken.add(text.casefold())
            placed.append(one)
    canvas = Pillow.fromarray(image)
    colours = _boxes(rng, canvas, placed, dark)
    image = np.array(canvas)
    for one, colour in zip(placed, colours, strict=True):
        _paint(image, one, colour)
    texts, elements = _described(placed, side)
    return Screen(image, texts, elements, facts={"split": "seen", "made": "drawn"})
