"""OSWorld's JSON actions, ``{"action_type": "CLICK", "x": 960, "y": 540}``; its fenced code and words are in bodies.

``SCROLL`` takes notches, positive up and right, as pyautogui does.

Source: OSWorld's action space computer_13, as ScaleCUA's evaluation copies it.
"""

from collections.abc import Mapping

from foveate.actions.errors import ParseError
from foveate.actions.formats import calls
from foveate.actions.formats.arguments import Arguments
from foveate.actions.formats.literal import Call
from foveate.actions.formats.pointer_calls import Reader
from foveate.actions.formats.reading import Found, Reading
from foveate.actions.formats.values import excerpt


def read(given: Mapping[str, object], reading: Reading) -> list[Found]:
    """Read one action, its parameters beside ``action_type`` or in ``parameters``.

    Raises:
        ParseError: If its type or a parameter is not known.
        OutOfFrame: If a place lies outside the frame.
    """
    name = str(given["action_type"]).lower()
    if name not in _FUNCTIONS:
        raise ParseError(f"there is no action_type {excerpt(name)}: {', '.join(_FUNCTIONS).upper()}")
    rest = {str(key): value for key, value in given.items() if key not in ("action_type", "parameters")}
    inner = given.get("parameters")
    if inner is not None and not isinstance(inner, Mapping):
        raise ParseError(f"parameters are a JSON object, not {excerpt(inner)}")
    rest.update({str(key): value for key, value in (inner or {}).items()})
    return calls.read_call(Call("", name, (), rest), reading, _FUNCTIONS)


def _scroll(args: Arguments) -> list[Found]:
    dx, dy = args.number("dx", default=0.0), args.number("dy", default=0.0)
    return [args.reading.make("scroll", args.spot(), dx=dx, dy=-dy)]


_TABLE = calls.FUNCTIONS
_FUNCTIONS: Mapping[str, tuple[tuple[str, ...], Reader]] = {
    "move_to": ((), _TABLE["moveto"][1]),
    **{name: ((), _TABLE[name][1]) for name in ("click", "mouse_down", "mouse_up", "right_click", "double_click")},
    "drag_to": ((), _TABLE["dragto"][1]),
    "scroll": ((), _scroll),
    "typing": ((), _TABLE["write"][1]),
    **{name: ((), _TABLE[name][1]) for name in ("press", "key_down", "key_up", "hotkey", "wait", "fail", "done")},
}
