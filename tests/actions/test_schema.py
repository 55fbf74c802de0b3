"""The closed union of actions: its bounds, by kind, and its JSON."""

import json
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from foveate.actions import schema
from foveate.actions.errors import OutOfFrame
from foveate.actions.geometry import Box, Point
from foveate.actions.schema import CLASSES, KINDS, Action, ActionModel, Key

ADAPTER: TypeAdapter[Action] = TypeAdapter(Action)
HERE = Point(0.25, 0.75)

LEGAL: dict[str, list[dict[str, Any]]] = {
    "click": [{}, {"at": HERE, "clicks": 3, "hold_s": 10.0, "modifiers": ("shift", "control", "alt", "meta")}],
    "move": [{"at": HERE}],
    "drag": [{"path": (HERE,)}, {"path": (HERE,) * 100, "button": "middle"}],
    "scroll": [{}, {"dx": -100.0, "dy": 100.0}, {"at": HERE, "dx": 100.0, "dy": -100.0}],
    "pointer_down": [{}, {"at": HERE, "button": "right"}],
    "pointer_up": [{}, {"at": HERE, "button": "back"}],
    "type_text": [{"text": "a"}, {"text": "x" * 20_000}],
    "press": [{"keys": (Key.A,)}, {"keys": (Key.CONTROL,) * 5, "presses": 100}],
    "key_down": [{"key": Key.SHIFT}],
    "key_up": [{"key": "meta"}],
    "navigate": [{"url": "u"}, {"url": "u" * 8_192}],
    "back": [{}],
    "forward": [{}],
    "reload": [{}],
    "new_tab": [{}],
    "switch_tab": [{"index": 0}, {"index": 999}],
    "close_tab": [{}],
    "select_option": [{"at": HERE, "value": ""}, {"at": HERE, "value": "x" * 2_000}],
    "upload": [{"paths": ("a",)}, {"at": HERE, "paths": ("a",) * 20}],
    "dialog": [{"accept": True}, {"accept": False, "text": "x" * 20_000}],
    "open_app": [{"name": "n" * 200}],
    "focus_window": [{"title": "t" * 500}],
    "move_forward": [{}, {"distance_m": 20.0}, {"distance_m": 0.001}],
    "turn": [{"angle_deg": -360.0}, {"angle_deg": 360.0}],
    "look": [{"angle_deg": -180.0}, {"angle_deg": 180.0}],
    "go_to": [{"at": HERE}],
    "pick": [{"at": HERE}],
    "place": [{"at": HERE}],
    "velocity": [{"duration_s": 10.0, "linear_m_s": -5.0, "angular_rad_s": 10.0}, {"duration_s": 0.01}],
    "control": [{"values": (-1.0,)}, {"values": (1.0,) * 64}],
    "stop": [{}],
    "wait": [{"duration_s": 0.0}, {"duration_s": 60.0}, {}],
    "zoom": [{"region": Box(0.0, 0.0, 1.0, 1.0)}],
    "respond": [{"answer": ""}, {"answer": "x" * 20_000}],
    "call_user": [{}, {"question": "?"}],
    "terminate": [{}, {"status": "failure", "reason": "r"}],
}
ILLEGAL: list[tuple[str, dict[str, Any]]] = [
    ("click", {"clicks": 0}),
    ("click", {"clicks": 4}),
    ("click", {"clicks": 1.5}),
    ("click", {"button": "wheel"}),
    ("click", {"hold_s": -0.1}),
    ("click", {"hold_s": 10.1}),
    ("click", {"modifiers": ("ctrl",)}),
    ("click", {"modifiers": ("shift",) * 5}),
    ("click", {"at": (0.5, 0.5)}),
    ("move", {}),
    ("move", {"at": None}),
    ("drag", {"path": ()}),
    ("drag", {"path": (HERE,) * 101}),
    ("scroll", {"dx": 100.1}),
    ("scroll", {"dy": -100.1}),
    ("scroll", {"dy": float("nan")}),
    ("scroll", {"dy": float("inf")}),
    ("pointer_down", {"button": "any"}),
    ("pointer_up", {"button": ""}),
    ("type_text", {"text": ""}),
    ("type_text", {"text": "x" * 20_001}),
    ("type_text", {"text": "\ud800"}),
    ("press", {"keys": ()}),
    ("press", {"keys": (Key.A,) * 6}),
    ("press", {"keys": ("ctrl",)}),
    ("press", {"keys": (Key.A,), "presses": 0}),
    ("press", {"keys": (Key.A,), "presses": 101}),
    ("key_down", {"key": "A"}),
    ("key_up", {"key": "winkey"}),
    ("navigate", {"url": ""}),
    ("navigate", {"url": "u" * 8_193}),
    ("switch_tab", {"index": -1}),
    ("switch_tab", {"index": 1000}),
    ("select_option", {"value": "v"}),
    ("select_option", {"at": HERE, "value": "x" * 2_001}),
    ("upload", {"paths": ()}),
    ("upload", {"paths": ("a",) * 21}),
    ("dialog", {}),
    ("dialog", {"accept": True, "text": "x" * 20_001}),
    ("open_app", {"name": ""}),
    ("open_app", {"name": "n" * 201}),
    ("focus_window", {"title": ""}),
    ("focus_window", {"title": "t" * 501}),
    ("move_forward", {"distance_m": 0.0}),
    ("move_forward", {"distance_m": 20.1}),
    ("turn", {"angle_deg": 360.1}),
    ("turn", {}),
    ("look", {"angle_deg": -180.1}),
    ("go_to", {}),
    ("pick", {}),
    ("place", {}),
    ("velocity", {"duration_s": 0.0}),
    ("velocity", {"duration_s": 10.1}),
    ("velocity", {"duration_s": 1.0, "linear_m_s": 5.1}),
    ("velocity", {"duration_s": 1.0, "angular_rad_s": -10.1}),
    ("control", {"values": ()}),
    ("control", {"values": (0.0,) * 65}),
    ("control", {"values": (1.01,)}),
    ("control", {"values": (float("nan"),)}),
    ("wait", {"duration_s": -0.1}),
    ("wait", {"duration_s": 60.1}),
    ("zoom", {}),
    ("respond", {"answer": "x" * 20_001}),
    ("call_user", {"question": "x" * 20_001}),
    ("terminate", {"status": "done"}),
    ("terminate", {"reason": "x" * 20_001}),
]
EXAMPLES = [(kind, fields) for kind, rows in LEGAL.items() for fields in rows]


def test_the_union_is_closed_and_classes_name_all_of_it() -> None:
    members = get_args(get_args(Action)[0])
    assert tuple(CLASSES.values()) == members
    assert [cls.model_fields["kind"].default for cls in members] == list(CLASSES)
    assert set(CLASSES) == KINDS and len(CLASSES) == 36
    own = {cls for cls in vars(schema).values() if isinstance(cls, type) and issubclass(cls, ActionModel)}
    assert own - {ActionModel} == set(members)


def test_a_kind_is_the_snake_case_of_its_class() -> None:
    for kind, cls in CLASSES.items():
        assert "".join(part.capitalize() for part in kind.split("_")) == cls.__name__


def test_the_families_of_kinds_cover_all_but_wait_and_do_not_overlap() -> None:
    families = (
        schema.POINTER_KINDS,
        schema.KEYBOARD_KINDS,
        schema.BROWSER_KINDS,
        schema.DESKTOP_KINDS,
        schema.EMBODIED_KINDS,
        schema.LOOP_KINDS,
    )
    assert frozenset().union(*families) == KINDS - {"wait"}
    assert sum(map(len, families)) == len(KINDS) - 1


def test_every_kind_has_legal_examples_and_every_bounded_kind_illegal_ones() -> None:
    assert set(LEGAL) == KINDS
    bare = {"back", "forward", "reload", "new_tab", "close_tab", "stop"}
    assert {kind for kind, _ in ILLEGAL} == KINDS - bare


@pytest.mark.parametrize(("kind", "fields"), EXAMPLES)
def test_the_bounds_themselves_are_legal(kind: str, fields: dict[str, Any]) -> None:
    action = CLASSES[kind](**fields)
    assert action.kind == kind  # type: ignore[attr-defined]


@pytest.mark.parametrize(("kind", "fields"), ILLEGAL)
def test_what_is_beyond_the_bounds_is_refused(kind: str, fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python({"kind": kind, **fields})


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_unknown_fields_and_changes_are_refused(kind: str) -> None:
    fields = LEGAL[kind][0]
    with pytest.raises(ValidationError, match="colour"):
        CLASSES[kind](**fields, colour="red")
    action = CLASSES[kind](**fields)
    with pytest.raises(ValidationError, match="frozen"):
        action.kind = "click"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("kind", "fields"), EXAMPLES)
def test_an_action_survives_json(kind: str, fields: dict[str, Any]) -> None:
    action = CLASSES[kind](**fields)
    text = ADAPTER.dump_json(action)
    assert json.loads(text)["kind"] == kind
    assert ADAPTER.validate_json(text) == action


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValidationError, match="kind"):
        ADAPTER.validate_python({"kind": "eval", "text": "1"})


def test_a_point_outside_is_refused_when_json_is_read() -> None:
    with pytest.raises(OutOfFrame, match="x = 1"):
        ADAPTER.validate_json('{"kind": "move", "at": {"x": 1.0, "y": 0.5}}')


def test_keys_are_lower_case_and_unlike_each_other() -> None:
    names = [str(key) for key in Key]
    assert names == [name.lower() for name in names]
    assert len(set(names)) == len(names)
