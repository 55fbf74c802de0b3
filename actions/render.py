"""Writing actions as text: one canonical format, ScaleCUA-like calls, that can express every kind.

``parse_answer(render(a, c, frame), frame=frame, convention=c).actions == (quantise(a, c, frame),)`` for every action.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from foveate.actions.geometry import Box, Convention, Frame, Point
from foveate.actions.schema import Action, Drag, Press, Scroll, Terminate, Upload

SIGNATURES: Final[Mapping[str, str]] = MappingProxyType(
    {
        kind: f'def {signature}:\n    """{doc}"""'
        for kind, signature, doc in (
            (
                "click",
                'click(x: float | None = None, y: float | None = None, clicks: int = 1, button: str = "left", '
                "modifiers: list[str] = [], hold_s: float = 0)",
                "Click at a place, or where the pointer is; 2 clicks open or select a word, hold_s holds the button.",
            ),
            ("move", "moveTo(x: float, y: float)", "Move the pointer without pressing."),
            (
                "drag",
                'dragTo(x: float, y: float, button: str = "left")',
                "Drag from where the pointer is; drag(path=[[x, y], [x, y]]) drags along a path from its first point.",
            ),
            (
                "scroll",
                "scroll(clicks: int, x: float | None = None, y: float | None = None)",
                "Turn the wheel by notches, positive up; hscroll(clicks, x, y) turns it sideways, positive right.",
            ),
            (
                "pointer_down",
                'pointer_down(x: float | None = None, y: float | None = None, button: str = "left")',
                "Press a button and keep it down.",
            ),
            (
                "pointer_up",
                'pointer_up(x: float | None = None, y: float | None = None, button: str = "left")',
                "Release a button.",
            ),
            ("type_text", "write(message: str)", "Type text into what has the focus; a newline is Enter."),
            (
                "press",
                "press(keys: str | list[str], presses: int = 1)",
                'Press a key, or several one after the other; hotkey("control", "c") presses keys together.',
            ),
            ("key_down", "keyDown(key: str)", "Press a key and keep it down."),
            ("key_up", "keyUp(key: str)", "Release a key."),
            ("navigate", "open_url(url: str)", "Open an address in the current tab."),
            ("back", "go_backward()", "Go back in the tab's history."),
            ("forward", "go_forward()", "Go forward in the tab's history."),
            ("reload", "reload()", "Load the page again."),
            ("new_tab", "new_tab()", "Open an empty tab and go to it."),
            ("switch_tab", "switch_tab(index: int)", "Go to a tab, counted from 0."),
            ("close_tab", "close_tab()", "Close the current tab."),
            (
                "select_option",
                "select_option(x: float, y: float, value: str)",
                "Choose an option of the drop-down list at a place.",
            ),
            (
                "upload",
                "upload(paths: list[str], x: float | None = None, y: float | None = None)",
                "Give files, by name, to the file field at a place or to the open file chooser.",
            ),
            ("dialog", "dialog(accept: bool, text: str | None = None)", "Answer the dialog that is open."),
            ("open_app", "open_app(app_name: str)", "Start an application."),
            ("focus_window", "focus_window(title: str)", "Bring a window to the front."),
            ("move_forward", "move_forward(distance_m: float = 0.25)", "Move ahead by metres."),
            ("turn", "turn(angle_deg: float)", "Turn the body by degrees, left positive."),
            ("look", "look(angle_deg: float)", "Tilt the camera by degrees, up positive."),
            ("go_to", "go_to(x: float, y: float)", "Walk to what is seen at a place."),
            ("pick", "pick(x: float, y: float)", "Grasp what is seen at a place."),
            ("place", "place(x: float, y: float)", "Put what is held down at a place."),
            (
                "velocity",
                "velocity(linear_m_s: float, angular_rad_s: float, duration_s: float)",
                "Drive at a velocity for seconds; ahead and left are positive.",
            ),
            ("control", "control(values: list[float])", "Set the controls, each in [-1, 1]."),
            ("stop", "stop()", "Say that the task is done."),
            ("wait", "wait(seconds: float = 3)", "Let time pass."),
            ("zoom", "zoom(region: list[float])", "Look closer at the region [x1, y1, x2, y2]."),
            ("respond", "response(answer: str)", "Give the answer that the task asked for."),
            ("call_user", 'call_user(question: str = "")', "Ask a person."),
            (
                "terminate",
                'terminate(status: str = "success", info: str | None = None)',
                "End the task with 'success' or 'failure'.",
            ),
        )
    }
)
"""Of every kind its Python signature and one-line docstring in the canonical format, for prompts."""

_TAGS = re.compile(
    r"<(?=\s*[/|]|\s*(?:think|thought|reason|reflection|analysis|scratchpad|seed:|operation|action|answer|tool_call"
    r"|box|point|ref|bbox))|\[(?=/?THINK\])|◁",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes an action's values in one convention and frame."""

    convention: Convention
    frame: Frame

    def number(self, value: float) -> str:
        return f"{value:.{self.convention.decimals}f}"

    def place(self, point: Point | None) -> list[str]:
        if point is None:
            return []
        x, y = self.convention.numbers(point, self.frame)
        return [f"x={self.number(x)}", f"y={self.number(y)}"]

    def pair(self, point: Point) -> str:
        return f"[{', '.join(map(self.number, self.convention.numbers(point, self.frame)))}]"

    def region(self, box: Box) -> str:
        return f"[{', '.join(map(self.number, self.convention.edges(box, self.frame)))}]"


def render(action: Action, convention: Convention, frame: Frame) -> str:
    """Write an action as the canonical text between ``<action>`` tags.

    Each place becomes the nearest one that the convention can write: four decimals in UNIT, integers elsewhere.

    Args:
        action: Its places are of ``frame``.
        convention: How places are written as numbers.
        frame: The frame of the observation that the action is decided on.
    """
    return render_answer((action,), convention, frame)


def render_answer(
    actions: Iterable[Action], convention: Convention, frame: Frame, thought: str = "", operation: str = ""
) -> str:
    """Write a whole answer as a model would, for demonstrations and training data.

    Args:
        actions: In order, one a line.
        convention: How places are written as numbers.
        frame: The frame that the actions' places are of.
        thought: Reasoning, between ``<think>`` tags; left out where empty.
        operation: A sentence for the history, between ``<operation>`` tags; left out where empty.
    """
    parts = [
        f"<{tag}>\n{_plain(text)}\n</{tag}>" for tag, text in (("think", thought), ("operation", operation)) if text
    ]
    calls = "\n".join(render_call(action, convention, frame) for action in actions)
    return "\n".join((*parts, f"<action>\n{calls}\n</action>"))


def render_call(action: Action, convention: Convention, frame: Frame) -> str:
    """Write an action as one call, without tags."""
    writer = _Writer(convention, frame)
    special = _SPECIAL.get(action.kind)
    if special is not None:
        return special(action, writer)
    name, renamed = _NAMES.get(action.kind, (action.kind, {}))
    arguments: list[str] = []
    for field, info in type(action).model_fields.items():
        value = getattr(action, field)
        if field == "kind":
            continue
        if field == "at":
            arguments += writer.place(value)
        elif value != info.default or field not in _LEFT_OUT.get(action.kind, ()):
            arguments.append(f"{renamed.get(field, field)}={_literal(value, writer)}")
    return f"{name}({', '.join(arguments)})"


_NAMES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "move": ("moveTo", {}),
    "type_text": ("write", {"text": "message"}),
    "key_down": ("keyDown", {}),
    "key_up": ("keyUp", {}),
    "navigate": ("open_url", {}),
    "back": ("go_backward", {}),
    "forward": ("go_forward", {}),
    "open_app": ("open_app", {"name": "app_name"}),
    "wait": ("wait", {"duration_s": "seconds"}),
    "respond": ("response", {}),
}

_LEFT_OUT: Mapping[str, tuple[str, ...]] = {
    "click": ("clicks", "button", "modifiers", "hold_s"),
    "pointer_down": ("button",),
    "pointer_up": ("button",),
    "dialog": ("text",),
    "call_user": ("question",),
}
"""Fields that are not written where they hold their default."""


def _drag(action: Drag, writer: _Writer) -> str:
    button = "" if action.button == "left" else f", button={_quoted(action.button)}"
    if len(action.path) == 1:
        return f"dragTo({', '.join(writer.place(action.path[0]))}{button})"
    return f"drag(path=[{', '.join(map(writer.pair, action.path))}]{button})"


def _scroll(action: Scroll, writer: _Writer) -> str:
    place = writer.place(action.at)
    if action.dx == 0 and action.dy.is_integer():
        return f"scroll({', '.join((f'clicks={-int(action.dy)}', *place))})"
    if action.dy == 0 and action.dx.is_integer():
        return f"hscroll({', '.join((f'clicks={int(action.dx)}', *place))})"
    return f"scroll({', '.join((f'dx={action.dx!r}', f'dy={action.dy!r}', *place))})"


def _press(action: Press, _writer: _Writer) -> str:
    presses = "" if action.presses == 1 else f", presses={action.presses}"
    if len(action.keys) == 1:
        return f"press(keys={_quoted(action.keys[0])}{presses})"
    return f"hotkey({', '.join(map(_quoted, action.keys))}{presses})"


def _upload(action: Upload, writer: _Writer) -> str:
    paths = f"paths=[{', '.join(map(_quoted, action.paths))}]"
    return f"upload({', '.join((paths, *writer.place(action.at)))})"


def _terminate(action: Terminate, _writer: _Writer) -> str:
    info = f", info={_quoted(action.reason)}" if action.reason else ""
    return f"terminate(status={_quoted(action.status)}{info})"


_SPECIAL: Mapping[str, Callable[[Any, _Writer], str]] = {
    "drag": _drag,
    "scroll": _scroll,
    "press": _press,
    "upload": _upload,
    "terminate": _terminate,
}


def _literal(value: object, writer: _Writer) -> str:
    if isinstance(value, Box):
        return writer.region(value)
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_literal(item, writer) for item in value)}]"
    return repr(value)


def _quoted(text: str) -> str:
    """Quote a text so that it is a Python literal, and no tag of an answer's can be read inside it."""
    return _TAGS.sub(lambda tag: f"\\u{ord(tag[0]):04x}", json.dumps(text, ensure_ascii=False))


def _plain(text: str) -> str:
    return _TAGS.sub("‹", text).strip()
