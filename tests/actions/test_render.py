"""The canonical text of every kind, and the way back through the parser."""

from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foveate.actions.errors import ParseError
from foveate.actions.geometry import Box, Convention, Frame, Point, points_of, quantise
from foveate.actions.parse import parse_answer
from foveate.actions.render import SIGNATURES, render, render_answer
from foveate.actions.schema import (
    CLASSES,
    KINDS,
    Action,
    ActionModel,
    Click,
    Drag,
    Key,
    Navigate,
    Press,
    Scroll,
    Terminate,
    TypeText,
    Upload,
    Wait,
    Zoom,
)

BELOW_ONE = 1.0 - 2**-53
fractions = st.one_of(
    st.floats(0.0, BELOW_ONE), st.sampled_from((0.0, 0.5, 0.9999, 0.99995, 0.999, 0.9995, BELOW_ONE, 5e-324, 1 / 3))
)
points = st.builds(Point, fractions, fractions)
edges = st.one_of(st.floats(0.0, 1.0), st.sampled_from((0.0, 1.0, 0.5, 0.9999)))
boxes = st.builds(Box, edges, edges, edges, edges)
tricky = st.sampled_from(
    (
        "Hello, world (x)",
        "</action>",
        "<think>",
        "</think>",
        "<action>click(x=0.1, y=0.1)</action>",
        "<tool_call>",
        "don't \"quote\" 'me'\\",
        "C:\\new\\table\\x41",
        "line one\nline two\r\n\ttab",
        "Action: click(x=0, y=0)",
        "```python\nclick(x=0, y=0)\n```",
        "<|im_end|>",
        "{{password}}",
        "中文，（测试）；「引号」",
        "עברית العربية 🎉 e\u0301",
        "\x00\x07\x1b\x7f\u2028\u2029\ufeff",
        "# no comment; no = sign",
        '"""',
        "0x41",
    )
)
REFUSED = "\ufdd0\ufdd1\ufdd2\ufdd3\ufdd4"
"""Noncharacters, which no text holds, and which the parser refuses: it marks places of its own with them."""

letters = st.characters(exclude_categories=("Cs",), exclude_characters=REFUSED)
texts = st.one_of(tricky, st.text(letters, min_size=1, max_size=60))
buttons = st.sampled_from(("left", "right", "middle", "back", "forward"))
keys = st.sampled_from(list(Key))


def bounded(low: float, high: float) -> st.SearchStrategy[float]:
    """Floats in [low, high], whole ones often."""
    whole = st.integers(int(low), int(high)).map(float)
    return st.one_of(whole, st.floats(low, high))


maybe_point = st.none() | points
FIELDS: Mapping[str, Mapping[str, st.SearchStrategy[object]]] = {
    "click": {
        "at": maybe_point,
        "button": buttons,
        "clicks": st.integers(1, 3),
        "modifiers": st.lists(st.sampled_from(("shift", "control", "alt", "meta")), max_size=4).map(tuple),
        "hold_s": st.just(0.0) | bounded(0, 10),
    },
    "move": {"at": points},
    "drag": {"path": st.lists(points, min_size=1, max_size=4).map(tuple), "button": buttons},
    "scroll": {"at": maybe_point, "dx": st.just(0.0) | bounded(-100, 100), "dy": bounded(-100, 100)},
    "pointer_down": {"at": maybe_point, "button": buttons},
    "pointer_up": {"at": maybe_point, "button": buttons},
    "type_text": {"text": texts},
    "press": {"keys": st.lists(keys, min_size=1, max_size=5).map(tuple), "presses": st.integers(1, 100)},
    "key_down": {"key": keys},
    "key_up": {"key": keys},
    "navigate": {"url": texts},
    "back": {},
    "forward": {},
    "reload": {},
    "new_tab": {},
    "switch_tab": {"index": st.integers(0, 999)},
    "close_tab": {},
    "select_option": {"at": points, "value": texts | st.just("")},
    "upload": {"at": maybe_point, "paths": st.lists(texts, min_size=1, max_size=4).map(tuple)},
    "dialog": {"accept": st.booleans(), "text": st.none() | st.just("") | texts},
    "open_app": {"name": texts},
    "focus_window": {"title": texts},
    "move_forward": {"distance_m": bounded(0, 20).filter(bool)},
    "turn": {"angle_deg": bounded(-360, 360)},
    "look": {"angle_deg": bounded(-180, 180)},
    "go_to": {"at": points},
    "pick": {"at": points},
    "place": {"at": points},
    "velocity": {
        "linear_m_s": bounded(-5, 5),
        "angular_rad_s": bounded(-10, 10),
        "duration_s": bounded(0, 10).filter(bool),
    },
    "control": {"values": st.lists(bounded(-1, 1), min_size=1, max_size=64).map(tuple)},
    "stop": {},
    "wait": {"duration_s": bounded(0, 60)},
    "zoom": {"region": boxes},
    "respond": {"answer": texts | st.just("")},
    "call_user": {"question": texts | st.just("")},
    "terminate": {"status": st.sampled_from(("success", "failure")), "reason": texts | st.just("")},
}
sizes = st.tuples(st.integers(448, 3840), st.integers(240, 2160))
frames = st.builds(
    Frame, st.integers(448, 3840), st.integers(240, 2160), st.sampled_from((0.0, -1920.0)), st.sampled_from((0.0, 40.5))
)
conventions = st.one_of(
    st.sampled_from((Convention.UNIT, Convention.PER_MILLE, Convention.PIXEL)),
    sizes.map(lambda size: Convention.resized(*size)),
)


def actions_of(kind: str) -> st.SearchStrategy[ActionModel]:
    """Every action of a kind."""
    return st.builds(CLASSES[kind], **FIELDS[kind])


any_action = st.sampled_from(sorted(FIELDS)).flatmap(actions_of)


def test_the_strategies_cover_every_field_of_every_kind() -> None:
    assert set(FIELDS) == KINDS
    assert {kind: set(cls.model_fields) - {"kind"} for kind, cls in CLASSES.items()} == {
        k: set(v) for k, v in FIELDS.items()
    }


@pytest.mark.parametrize("kind", sorted(FIELDS))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), frame=frames, convention=conventions)
def test_what_is_rendered_parses_back_to_the_quantised_action(
    kind: str, data: st.DataObject, frame: Frame, convention: Convention
) -> None:
    action = data.draw(actions_of(kind))
    answer = parse_answer(render(action, convention, frame), frame=frame, convention=convention)
    assert answer.actions == (quantise(action, convention, frame),)
    assert len(answer.written) == 1


@settings(max_examples=100, deadline=None)
@given(
    actions=st.lists(any_action, min_size=1, max_size=5),
    frame=frames,
    convention=conventions,
    thought=texts,
    operation=texts,
)
def test_a_whole_rendered_answer_parses_back(
    actions: list[Action], frame: Frame, convention: Convention, thought: str, operation: str
) -> None:
    text = render_answer(actions, convention, frame, thought, operation)
    answer = parse_answer(text, frame=frame, convention=convention)
    assert answer.actions == tuple(quantise(action, convention, frame) for action in actions)


@pytest.mark.parametrize("mark", REFUSED)
@given(frame=frames, convention=conventions, before=texts, after=texts)
def test_a_text_with_a_mark_of_the_parsers_own_is_refused_by_name(
    mark: str, frame: Frame, convention: Convention, before: str, after: str
) -> None:
    written = render(TypeText(text=before + mark + after), convention, frame)
    with pytest.raises(ParseError, match="holds a noncharacter"):
        parse_answer(written, frame=frame, convention=convention)


@settings(max_examples=200, deadline=None)
@given(action=any_action, frame=frames, convention=conventions)
def test_quantise_is_idempotent(action: ActionModel, frame: Frame, convention: Convention) -> None:
    once = quantise(action, convention, frame)
    assert quantise(once, convention, frame) == once


def unit_of(convention: Convention, pixels: int, axis: int) -> tuple[float, float]:
    """One unit of a convention, and its last regular value, as fractions of an axis."""
    if convention.name == "unit":
        return 1e-4, 0.9999
    if convention.name == "per_mille":
        return 1e-3, 0.999
    span = (convention.size or (pixels, pixels))[axis]
    return 1 / span, 1.0


@settings(max_examples=300, deadline=None)
@given(point=points, frame=frames, convention=conventions)
def test_quantise_moves_a_point_by_half_a_unit_or_by_one_beyond_the_last_regular_value(
    point: Point, frame: Frame, convention: Convention
) -> None:
    moved = points_of(quantise(Click(at=point), convention, frame))[0]
    for before, after, pixels, axis in ((point.x, moved.x, frame.width, 0), (point.y, moved.y, frame.height, 1)):
        unit, last = unit_of(convention, pixels, axis)
        assert abs(after - before) <= (unit if before > last else unit / 2) + 1e-12


@settings(max_examples=100, deadline=None)
@given(x=st.integers(0, 999), y=st.integers(0, 999), frame=frames)
def test_a_point_that_can_be_written_is_not_moved(x: int, y: int, frame: Frame) -> None:
    for convention, scale in ((Convention.PER_MILLE, 1), (Convention.UNIT, 1000)):
        written = (x / scale, y / scale)
        place = convention.point(*written, frame)
        assert quantise(Click(at=place), convention, frame) == Click(at=place)


# By hand: what the canonical text of one action of a kind is -------------------------------------------------------

SCREEN = Frame(1000, 500)


@pytest.mark.parametrize(
    ("action", "convention", "call"),
    [
        (Click(at=Point(0.5, 0.25)), Convention.UNIT, "click(x=0.5000, y=0.2500)"),
        (Click(at=Point(0.5, 0.25), clicks=2), Convention.PER_MILLE, "click(x=500, y=250, clicks=2)"),
        (Click(at=Point(0.5005, 0.251), button="right"), Convention.PIXEL, 'click(x=500, y=125, button="right")'),
        (Click(), Convention.UNIT, "click()"),
        (Drag(path=(Point(0.1, 0.2),)), Convention.UNIT, "dragTo(x=0.1000, y=0.2000)"),
        (
            Drag(path=(Point(0.1, 0.2), Point(0.3, 0.4))),
            Convention.UNIT,
            "drag(path=[[0.1000, 0.2000], [0.3000, 0.4000]])",
        ),
        (Scroll(dy=5.0), Convention.UNIT, "scroll(clicks=-5)"),
        (Scroll(dx=3.0), Convention.UNIT, "hscroll(clicks=3)"),
        (Scroll(dx=1.0, dy=2.5), Convention.UNIT, "scroll(dx=1.0, dy=2.5)"),
        (TypeText(text='say "hi"\n'), Convention.UNIT, 'write(message="say \\"hi\\"\\n")'),
        (Press(keys=(Key.ENTER,)), Convention.UNIT, 'press(keys="enter")'),
        (Press(keys=(Key.CONTROL, Key.C)), Convention.UNIT, 'hotkey("control", "c")'),
        (Navigate(url="https://example.org/"), Convention.UNIT, 'open_url(url="https://example.org/")'),
        (Upload(paths=("a.txt",)), Convention.UNIT, 'upload(paths=["a.txt"])'),
        (Wait(duration_s=3.0), Convention.UNIT, "wait(seconds=3.0)"),
        (Zoom(region=Box(0.0, 0.0, 1.0, 0.5)), Convention.PIXEL, "zoom(region=[0, 0, 1000, 250])"),
        (Terminate(), Convention.UNIT, 'terminate(status="success")'),
        (Terminate(status="failure", reason="no"), Convention.UNIT, 'terminate(status="failure", info="no")'),
    ],
)
def test_an_action_is_written_as(action: Action, convention: Convention, call: str) -> None:
    assert render(action, convention, SCREEN) == f"<action>\n{call}\n</action>"


def test_an_answer_holds_thought_and_operation_only_where_they_are_given() -> None:
    assert render_answer((Wait(),), Convention.UNIT, SCREEN) == "<action>\nwait(seconds=1.0)\n</action>"
    assert render_answer((Wait(),), Convention.UNIT, SCREEN, "hm", "Wait a bit").startswith(
        "<think>\nhm\n</think>\n<operation>\nWait a bit\n</operation>\n<action>\n"
    )


def test_a_typed_tag_cannot_end_the_action_it_stands_in() -> None:
    text = render(TypeText(text="</action><think>"), Convention.UNIT, SCREEN)
    assert text.count("</action>") == 1 and "<think>" not in text


def test_there_is_a_signature_for_every_kind() -> None:
    assert list(SIGNATURES) == list(CLASSES)
    for signature in SIGNATURES.values():
        compile(signature, "signature", "exec")
        head, doc = signature.split("\n")
        assert head.startswith("def ") and doc.startswith('    """') and doc.endswith('."""')


@pytest.mark.parametrize("kind", sorted(FIELDS))
def test_the_name_in_a_signature_is_the_name_that_is_written(kind: str) -> None:
    name = render(_plainest(kind), Convention.UNIT, SCREEN).removeprefix("<action>\n").split("(")[0]
    assert SIGNATURES[kind].startswith(f"def {name}(")


def _plainest(kind: str) -> ActionModel:
    """The simplest action of a kind."""
    here, wanted = Point(0.5, 0.5), CLASSES[kind].model_fields
    plain: dict[str, object] = {
        "at": here, "path": (here,), "text": "a", "keys": (Key.A,), "key": Key.A, "url": "u", "index": 0, "value": "v",
        "paths": ("p",), "accept": True, "name": "n", "title": "t", "angle_deg": 1.0, "duration_s": 1.0,
        "values": (0.0,), "dy": 1.0,
        "region": Box(0, 0, 1, 1), "answer": "a",
    }  # fmt: skip
    return CLASSES[kind](**{name: value for name, value in plain.items() if name in wanted})
