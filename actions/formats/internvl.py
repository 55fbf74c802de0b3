"""InternVL's own grounding: ``<ref>what</ref><box>[[x1, y1, x2, y2]]</box>``, and places that stand alone.

``<box>`` and ``<ref>`` fix the scale at 0..1000. Without them (a tokenizer may strip them as special tokens) the
convention decides, as it does for ``<point>``, ``<bbox>`` and ``<|box_start|>``, which other families write too.
Several places are several actions, in order. A place alone is a click where clicks are offered, else ``go_to``.

Source: InternVL's constants.py; VLMEvalKit's regular expressions for ScreenSpot and RefCOCO; OpenGVLab/InternVL
issues 844, 865, 1016, 1140.
"""

import re
from dataclasses import replace

from foveate.actions.errors import ParseError
from foveate.actions.formats import refusals
from foveate.actions.formats.places import OPENINGS, read_place
from foveate.actions.formats.prose import check_lead
from foveate.actions.formats.reading import Found, Reading, Spot
from foveate.actions.formats.values import MAX_ACTIONS, NUMBER, excerpt, narrow

_TAGGED = re.compile(r"<box>|<point>|<bbox>|<\|box_start\|>|<ref>", re.IGNORECASE)
_LIST = rf"\[\s{{0,9}}{NUMBER}(?:\s{{0,9}},\s{{0,9}}{NUMBER}){{1,3}}\s{{0,9}},?\s{{0,9}}\]"
_INNER = re.compile(_LIST, re.ASCII)
_DOUBLE = re.compile(rf"\[\s{{0,9}}{_LIST}(?:\s{{0,9}},\s{{0,9}}{_LIST}){{0,100}}\s{{0,9}}\]", re.ASCII)
_FIND = re.compile(NUMBER, re.ASCII)
_OTHER = re.compile(
    r"[A-Za-z_]\w{0,40}[(（][^)）\n]{0,300}\Z"
    r"|(?:^|[.!?\n:])[ \t]*(?:(?:i|i['’]ll|will|we|to|then|now|first|next|please|let me|let us|and) ){0,4}"
    r"(?:drag|swipe|scroll|hover|move(?:[- _]?to)?|(?:right|double|triple|middle)[- _]?click|long[- _]?press)\b"
    r"(?! ?(?:bar|button|area|icon))[^.!?\n]{0,200}\Z",
    re.IGNORECASE,
)
_REFERENT = re.compile(r"<ref>[^<]{0,400}</ref>", re.IGNORECASE)
_OPENING = re.compile("|".join(map(re.escape, OPENINGS)), re.IGNORECASE)


def detect(text: str) -> bool:
    """Tell whether a text names places by tags or brackets."""
    if _TAGGED.search(text):
        return True
    narrowed = narrow(text) if len(text) < 1_000 else text
    return narrowed.lstrip()[:1] in ("(", "[") or _DOUBLE.search(narrowed) is not None


def read(text: str, reading: Reading) -> list[Found]:
    """Read every place of a text.

    Raises:
        ParseError: If there is none, one is cut off, or the prose around them forbids it.
        OutOfFrame: If one lies outside the frame.
    """
    spots, prose = _tagged(text) if _TAGGED.search(text) else _untagged(text)
    if not spots:
        raise ParseError("expected a place such as [[x1, y1, x2, y2]]")
    if len(spots) > MAX_ACTIONS:
        raise ParseError(f"an answer holds at most {MAX_ACTIONS} actions")
    for before in prose[:-1]:
        check_lead(before)
        other = _OTHER.search(before[-400:])
        if other is not None:
            raise ParseError(f"a place after {excerpt(other[0].strip())} is no click: expected one of the known calls")
    refusals.check(prose, places=True)
    return [reading.bare(spot) for spot in spots]


def _tagged(text: str) -> tuple[list[Spot], list[str]]:
    """Give the places between tags, and the prose around them."""
    native = "<ref>" in text.lower()
    spots: list[Spot] = []
    prose: list[str] = []
    at = 0
    while (opening := _OPENING.search(text, at)) is not None:
        closing = OPENINGS[opening[0].lower()]
        ending = re.compile(re.escape(closing), re.IGNORECASE).search(text, opening.end(), opening.end() + 4_000)
        if ending is None:
            raise ParseError(f"a place that begins with {opening[0]} ends with {closing}")
        inner = text[opening.end() : ending.start()]
        spots += _several(inner, per_mille=native or opening[0].lower() == "<box>")
        prose.append(_REFERENT.sub(" ", text[at : opening.start()]))
        at = ending.end()
    if spots:
        return spots, [*prose, text[at:]]
    spots, prose = _untagged(re.sub(r"</?ref>", " ", text, flags=re.IGNORECASE))
    return [replace(spot, per_mille=native) for spot in spots], prose


def _several(inner: str, *, per_mille: bool) -> list[Spot]:
    """Read what stands between a place's tags: one place, or a list of them."""
    bare = narrow(inner)
    lists = [_FIND.findall(item) for item in _INNER.findall(bare)]
    if len(lists) <= 1:
        return [replace(read_place(inner), per_mille=per_mille)]
    if _INNER.sub("", bare).strip("[], \n\t"):
        raise ParseError(f"expected a list of places, not {excerpt(inner)}")
    return [Spot.of(item, "a place", per_mille=per_mille) for item in lists]


def _untagged(text: str) -> tuple[list[Spot], list[str]]:
    """Give the places between double brackets, or the one that the whole text is, and the prose around them."""
    bare = narrow(text) if not text.isascii() else text
    groups = list(_DOUBLE.finditer(bare))
    if not groups:
        return [read_place(bare.strip())], []
    ends = [0, *(group.end() for group in groups)]
    prose = [bare[at : group.start()] for at, group in zip(ends, groups, strict=False)]
    return [spot for group in groups for spot in _several(group[0], per_mille=False)], [*prose, bare[ends[-1] :]]
