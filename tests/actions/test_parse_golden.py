"""Model texts with what each must become, by format; the expected values were written from the formats' definitions."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from foveate.actions.errors import ActionError, OutOfFrame, ParseError
from foveate.actions.geometry import Box, Convention, Frame, Point, map_places
from foveate.actions.parse import parse_answer
from foveate.actions.schema import Action

FOLDER = Path(__file__).parent / "golden"
GOLDEN = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
CASES = [(name, index) for name, entries in GOLDEN.items() for index in range(len(entries))]
CONVENTIONS = {"unit": Convention.UNIT, "per_mille": Convention.PER_MILLE, "pixel": Convention.PIXEL}
ACTION: TypeAdapter[Action] = TypeAdapter(Action)


def expected_action(written: Mapping[str, Any]) -> Action:
    """An action from its short form: places are lists of fractions."""
    fields = dict(written)
    if "at" in fields:
        fields["at"] = Point(*fields["at"])
    if "path" in fields:
        fields["path"] = tuple(Point(*pair) for pair in fields["path"])
    if "region" in fields:
        fields["region"] = Box(*fields["region"])
    return ACTION.validate_python(fields)


def rounded(action: Action) -> Action:
    """The action with its places rounded to 1e-12, for the last bit of a mean of two edges is nobody's promise."""
    return map_places(
        action,
        lambda point: Point(round(point.x, 12), round(point.y, 12)),
        lambda box: Box(*(round(edge, 12) for edge in (box.left, box.top, box.right, box.bottom))),
    )


def as_lists(written: object) -> object:
    """Tuples as lists, as JSON has them."""
    return [as_lists(item) for item in written] if isinstance(written, tuple) else written


@pytest.mark.parametrize(("name", "index"), CASES, ids=[f"{name}-{index}" for name, index in CASES])
def test_a_model_text_becomes_what_its_format_says(name: str, index: int) -> None:
    entry = GOLDEN[name][index]
    frame = Frame(*entry["size"])
    kinds = frozenset(entry["kinds"]) if "kinds" in entry else None
    convention = CONVENTIONS[entry["convention"]]
    if "error" in entry:
        wanted: type[ActionError] = {"ParseError": ParseError, "OutOfFrame": OutOfFrame}[entry["error"]]
        with pytest.raises(wanted) as caught:
            parse_answer(entry["text"], frame=frame, convention=convention, kinds=kinds)
        assert type(caught.value) is wanted
        assert entry["message"] in str(caught.value)
        assert len(str(caught.value)) < 1_500
        return
    answer = parse_answer(entry["text"], frame=frame, convention=convention, kinds=kinds)
    assert tuple(map(rounded, answer.actions)) == tuple(map(rounded, map(expected_action, entry["actions"])))
    assert len(answer.written) == len(answer.actions)
    for attribute in ("thought", "operation"):
        if attribute in entry:
            assert getattr(answer, attribute) == entry[attribute]
    if "written" in entry:
        assert as_lists(answer.written) == entry["written"]


def test_there_are_enough_texts_and_each_says_why_it_is_there() -> None:
    entries = [entry for group in GOLDEN.values() for entry in group]
    assert min(len(group) for group in GOLDEN.values()) >= 15
    assert len(entries) >= 250
    assert sum(not entry.get("made", False) for entry in entries) >= 150
    assert all(entry.get("source") or entry.get("guards") for entry in entries)
    assert {"error", "actions"} <= {key for entry in entries for key in entry}


def test_no_text_stands_there_twice_with_the_same_reading() -> None:
    seen = [
        (entry["text"], entry["convention"], tuple(entry["size"]), tuple(entry.get("kinds", ())))
        for group in GOLDEN.values()
        for entry in group
    ]
    repeated = {key for key in seen if seen.count(key) > 1}
    assert not repeated
