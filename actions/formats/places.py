"""Places as text: ``(x, y)``, ``[[x1, y1, x2, y2]]``, ``<point>x y</point>``, ``<box>...</box>``, ``x=.., y=..``.

``<box>`` and ``<ref>`` are InternVL's own tags and fix the scale at 0..1000 whatever the convention; ``<point>``,
``<bbox>`` and ``<|box_start|>`` are shared by families of different scales, so the convention decides for them.

Source: InternVL's grounding format (constants.py of its training code), UI-TARS's action parser.
"""

import re
from collections.abc import Mapping

from foveate.actions.errors import ParseError
from foveate.actions.formats.reading import Reading, Spot
from foveate.actions.formats.values import NUMBER, excerpt, narrow

OPENINGS: Mapping[str, str] = {
    "<|box_start|>": "<|box_end|>",
    "<point>": "</point>",
    "<box>": "</box>",
    "<bbox>": "</bbox>",
}
"""The tags around a place, each with its closing one."""

_MAX_LENGTH = 1_000
_REF = re.compile(r"<ref>[^<]*</ref>", re.IGNORECASE)
_NAMES = re.compile(r"\b[xy][12]?\s*[=:]", re.IGNORECASE | re.ASCII)
_CORNERS = re.compile(r"\)\s*,\s*\(")
_NUMBERS = re.compile(rf"{NUMBER}(?:(?:\s*[,;]\s*|\s+){NUMBER}){{0,7}}", re.ASCII)
_FIND = re.compile(NUMBER, re.ASCII)


def read_place(text: str) -> Spot:
    """Read the one place that a text is.

    Raises:
        ParseError: If the text is longer, shorter, cut off or something else.
    """
    if len(text) > _MAX_LENGTH:
        raise ParseError(f"a place is two or four numbers, not a text of {len(text)} characters")
    bare = narrow(text).strip()
    lower = bare.lower()
    per_mille = "<box>" in lower or "<ref>" in lower
    bare = _REF.sub("", bare)
    for opening, closing in OPENINGS.items():
        if bare.lower().count(opening) != bare.lower().count(closing):
            raise ParseError(f"a place that begins with {opening} ends with {closing}: {excerpt(text)}")
        bare = re.sub(f"{re.escape(opening)}|{re.escape(closing)}", " ", bare, flags=re.IGNORECASE)
    bare = _NAMES.sub(" ", _CORNERS.sub(", ", bare)).strip()
    if any(bare.count(a) != bare.count(b) for a, b in ("()", "[]")):
        raise ParseError(f"a place's brackets are closed: {excerpt(text)}")
    core = bare.strip("()[] ").rstrip(".,; ").strip("()[] ")
    if not _NUMBERS.fullmatch(core):
        raise ParseError(f"a place is two numbers (a point) or four (a box), not {excerpt(text)}")
    return Spot.of(_FIND.findall(core), "a place", per_mille=per_mille)


def place(value: object, name: str) -> Spot:
    """Read a place from a text, a list of numbers, a list of one such list, or a mapping with x and y.

    Raises:
        ParseError: If it is none of these.
    """
    if isinstance(value, str):
        return read_place(value)
    if isinstance(value, Mapping):
        if set(value) == {"x", "y"}:
            return Spot.of((value["x"], value["y"]), "x", "y")
        raise ParseError(f"{name} has x and y, not {excerpt(value)}")
    if isinstance(value, list | tuple):
        if len(value) == 1 and isinstance(value[0], list | tuple):
            value = value[0]
        if len(value) in (2, 4):
            return Spot.of(value, name)
    raise ParseError(f"{name} is a place (two numbers, or four of a box), not {excerpt(value)}")


def path(value: object, name: str) -> list[Spot]:
    """Read a list of places.

    Raises:
        ParseError: If it is none, or longer than 100.
    """
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= 100:
        raise ParseError(f"{name} is a list of 1 to 100 places, not {excerpt(value)}")
    return [place(item, name) for item in value]


def swipe_notches(reading: Reading, start: Spot, end: Spot) -> tuple[float, float]:
    """Give dx and dy of the scroll that a finger's way from start to end makes: the opposite way, 100 units a notch.

    Raises:
        OutOfFrame: If an end lies outside the frame.
    """
    (x1, y1), (x2, y2) = (reading.frame.to_input(reading.point(spot)) for spot in (start, end))
    return round((x1 - x2) / 100.0, 6), round((y1 - y2) / 100.0, 6)
