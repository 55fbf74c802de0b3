"""Looking at a page as an oracle does: through its code, beside the picture that a policy sees."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from foveate.actions.geometry import PixelBox
from foveate.agent.oracles.state import ACCEPT, DIALOG_FIELD, DISMISS, Sight, Thing, option_key
from foveate.envs.base import ScreenObservation
from foveate.envs.browser import BrowserEnv
from foveate.envs.dialog_drawing import DialogLayout, draw
from foveate.envs.lettering import Line, width_of
from foveate.policies.training.screens import Box, Element, Glyph, Text

SCROLLER: Final = "scroller"
"""Role of a part of the page that scrolls on its own."""

_LIST = "options"
_CHOSEN = frozenset({"checkbox", "switch", "radio", "option", "tab", "chip", "day"})


async def look_at(env: BrowserEnv, observation: ScreenObservation, before: Sight | None, held: str | None) -> Sight:
    """Read a page's state and what can be seen of it.

    Args:
        env: Where the page is.
        observation: What a policy is given now.
        before: What was seen last; a page that a dialog holds up cannot be asked.
        held: What was typed into the dialog that waits; None where nothing was.
    """
    if observation.dialog is not None:
        return _dialog_sight(observation, before or Sight({}, {}), held)
    found: dict[str, Any] = json.loads(await env.page.evaluate(_script()))
    return _with_list(env, observation, _page_sight(found))


@lru_cache(maxsize=1)
def _script() -> str:
    script = files("foveate.agent.oracles").joinpath("reading.js").read_text(encoding="utf-8")
    return f"() => JSON.stringify(({script.strip()})())"  # as one text it comes much faster than as many values


def _page_sight(found: Mapping[str, Any]) -> Sight:
    width, height = found["width"], found["height"]

    def fraction(box: Sequence[float]) -> Box:
        return box[0] / width, box[1] / height, box[2] / width, box[3] / height

    texts = tuple(
        Text(
            item["text"],
            tuple(Glyph(char, x / width, y / height) for char, x, y in item["glyphs"]),
            fraction(item["box"]),
        )
        for item in found["texts"]
    )
    elements: list[Element] = []
    things: dict[str, Thing] = {}
    for item in found["things"]:
        key, aim = item["key"], item["aim"]
        number: int | None = None
        if aim is not None and item["role"]:
            number = len(elements)
            place = aim[0] / width, aim[1] / height
            own = _found_by(key, found["texts"])
            elements.append(Element(item["role"], item["name"], fraction(item["seen"]), place, own, _facts(item)))
        things[key] = Thing(
            key, item["role"], item["name"], number, item["away"], item["scroller"], item["value"], item["checked"],
            item["focused"], item["marked"], item["height"],
        )  # fmt: skip
    return Sight(things, found["state"], texts, tuple(elements), above=found["above"], below=found["below"])


def _found_by(key: str, texts: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
    """Give the texts that an element is found by: its label and its own words, of these its name where it has one."""
    those = [index for index, text in enumerate(texts) if key in text["keys"]]
    named = {index for index in those if texts[index]["named"]}
    return tuple(index for index in those if not named or index in named or not texts[index]["inside"])


def _facts(item: Mapping[str, Any]) -> dict[str, str]:
    """Say what else can be asked about an element, in the words of the drawn pages."""
    role, on = item["role"], item["checked"]
    facts = {name: item[name] for name in ("row", "group") if item[name]}
    if role in _CHOSEN:
        facts["state"] = "on" if on else "off"
    elif role == "section":
        facts["state"] = "open" if on else "closed"
    elif role == "field":
        if item["value"] and not item["password"]:
            facts["value"] = item["value"]
        facts |= {name: "yes" for name, holds in (("filled", item["value"]), ("focused", item["focused"])) if holds}
        if item["password"]:
            facts["kind"] = "password"
    elif item["value"]:
        facts["value"] = item["value"]
    if item["disabled"] or role == SCROLLER:
        facts["disabled"] = "yes"
    return facts


# What the runtime draws ---------------------------------------------------------------------------------------------


def _with_list(env: BrowserEnv, observation: ScreenObservation, sight: Sight) -> Sight:
    """Add the options of a drop-down list that is drawn open; what lies under it cannot be seen."""
    drawn = env.option_list
    if drawn is None or drawn.box is None:
        return sight
    width, height = observation.frame.width, observation.frame.height
    box = _fraction(drawn.box, width, height)
    seen = _without(sight, box)
    texts, elements, things = list(seen.texts), list(seen.elements), dict(seen.things)
    owner = next((thing for thing in sight.things.values() if thing.focused and thing.role == "select"), None)
    shown = {row.row: row for row in drawn.drawn()}
    passed = False
    for row in drawn.rows:
        passed = passed or row in shown
        if not row.offered:
            continue
        key = option_key(row.label)
        if row not in shown:  # further up or down the list
            things[key] = Thing(key, "option", row.label, None, away=1 if passed else -1, scroller=_LIST)
            continue
        text = _written(shown[row].line, (width, height))
        things[key] = Thing(key, "option", row.label, len(elements), checked=row.index == drawn.active)
        element = _element("option", row.label, _fraction(shown[row].box, width, height), text, len(texts))
        facts = {"state": "on" if things[key].checked else "off"} | ({"group": owner.name} if owner else {})
        elements.append(replace(element, facts=facts))
        texts.append(text)
    unit = height / observation.frame.extent[1]
    things[_LIST] = Thing(_LIST, SCROLLER, "", len(elements), height=round((drawn.box.bottom - drawn.box.top) / unit))
    elements.append(_element(SCROLLER, "", box, None, None))
    return replace(
        seen, texts=tuple(texts), elements=tuple(elements), things=things, listed=owner.key if owner else None
    )


def _dialog_sight(observation: ScreenObservation, before: Sight, held: str | None) -> Sight:
    """What is seen while a dialog waits: its own parts, and what was seen before beside it."""
    dialog = observation.dialog
    assert dialog is not None  # noqa: S101 - asked by the caller
    width, height = observation.frame.width, observation.frame.height
    scale = height / observation.frame.extent[1]
    text = dialog.default if held is None else held
    _, layout = draw(observation.image, dialog, text, scale)
    behind = _without(before, _fraction(layout.panel, width, height))
    texts, elements = list(behind.texts), list[Element]()
    things = {key: replace(thing, element=None) for key, thing in behind.things.items()}
    texts.extend(_written(line, (width, height)) for line in layout.lines)
    for key, role, name, part in _parts(layout):
        box = _fraction(part, width, height)
        own = next((number for number, known in enumerate(texts) if known.text == name and _covers(box, known)), None)
        field = role == "field"
        things[key] = Thing(
            key, role, name, len(elements), value=text if field else "", focused=field,
            marked=field and (held is None or not text),
        )  # fmt: skip
        elements.append(_element(role, name, box, None if own is None else texts[own], own))
    return replace(behind, things=things, texts=tuple(texts), elements=tuple(elements), dialog=dialog)


def _covers(box: Box, text: Text) -> bool:
    return box[0] <= text.extent[0] and text.extent[2] <= box[2] and box[1] <= text.extent[1] < box[3]


def _element(role: str, name: str, box: Box, text: Text | None, number: int | None) -> Element:
    """Make an element that is pressed at its words; at its middle where it has none."""
    middle = (box[0] + box[2]) / 2 if text is None else (text.extent[0] + text.extent[2]) / 2
    return Element(role, name, box, (middle, (box[1] + box[3]) / 2), () if number is None else (number,))


def _parts(layout: DialogLayout) -> list[tuple[str, str, str, PixelBox]]:
    parts = [(ACCEPT, "button", "OK", layout.accept)]
    if layout.dismiss is not None:
        parts.append((DISMISS, "button", "Cancel", layout.dismiss))
    if layout.field is not None:
        parts.append((DIALOG_FIELD, "field", "", layout.field))
    return parts


def _without(sight: Sight, cover: Box) -> Sight:
    """Take away what a cover hides: texts whose middle it covers, elements whose place to press it covers."""

    def free(x: float, y: float) -> bool:
        return not (cover[0] <= x < cover[2] and cover[1] <= y < cover[3])

    texts = tuple(
        replace(text, glyphs=tuple(glyph for glyph in text.glyphs if free(glyph.x, glyph.y))) for text in sight.texts
    )
    renumbered: dict[int, int] = {}
    kept: list[Text] = []
    for number, (text, whole) in enumerate(zip(texts, sight.texts, strict=True)):
        if len(text.glyphs) == len(whole.glyphs):
            renumbered[number] = len(kept)
            kept.append(whole)
    elements: list[Element] = []
    moved: dict[int, int] = {}
    for number, element in enumerate(sight.elements):
        if free(*element.aim):
            moved[number] = len(elements)
            own = tuple(renumbered[text] for text in element.texts if text in renumbered)
            elements.append(replace(element, texts=own))
    things = {
        key: replace(thing, element=None if thing.element is None else moved.get(thing.element))
        for key, thing in sight.things.items()
    }
    return replace(sight, texts=tuple(kept), elements=tuple(elements), things=things)


def _fraction(box: PixelBox, width: int, height: int) -> Box:
    return box.left / width, box.top / height, box.right / width, box.bottom / height


def _written(line: Line, picture: tuple[int, int]) -> Text:
    """Say where the characters stand of a line that the runtime wrote onto a picture of a width and height."""
    (width, height), size = picture, line.size
    edges = [line.left + width_of(line.text[:end], size) for end in range(len(line.text) + 1)]
    glyphs = tuple(
        Glyph(char, (start + end) / 2 / width, line.middle / height)
        for char, start, end in zip(line.text, edges, edges[1:], strict=False)
        if char.strip()
    )
    top, bottom = (line.middle - size / 2) / height, (line.middle + size / 2) / height
    return Text(line.text, glyphs, (line.left / width, top, edges[-1] / width, bottom))
