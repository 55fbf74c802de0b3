"""GUI-Odyssey's JSON, ``{"action": "CLICK", "args": {"x": 0.5, "y": 0.3}}``, a phone's format that a screen shares.

``SCROLL`` is the finger's way from start to end, so it scrolls the opposite way. KEY_HOME, KEY_BACK and KEY_APPSELECT
are a phone's buttons and refused as such.

Source: ScaleCUA's conversation.py (GUI-Odyssey+).
"""

from collections.abc import Mapping

from foveate.actions.errors import ParseError
from foveate.actions.formats import calls
from foveate.actions.formats.arguments import Arguments
from foveate.actions.formats.literal import Call
from foveate.actions.formats.pointer_calls import Reader
from foveate.actions.formats.reading import Found, Reading
from foveate.actions.formats.values import excerpt

NAMES = frozenset(
    {"CLICK", "LONG_PRESS", "TEXT", "SCROLL", "KEY_HOME", "KEY_BACK", "KEY_APPSELECT", "COMPLETE", "INCOMPLETE"}
)
"""Its actions, in capitals, which tell it from the vendors' calls."""


def read(given: Mapping[str, object], reading: Reading) -> list[Found]:
    """Read one action.

    Raises:
        ParseError: If it is not known, or only a phone can do it.
        OutOfFrame: If a place lies outside the frame.
    """
    name = str(given["action"])
    if name.upper().startswith("KEY_"):
        raise calls.not_on_this_platform(name)
    rest = {str(key): value for key, value in given.items() if key != "action" and value is not None}
    arguments = rest.pop("args", None)
    if name.lower() not in _FUNCTIONS or not isinstance(arguments, Mapping | None):
        raise ParseError(f"there is no action {excerpt(name)} with such args: {', '.join(sorted(NAMES))}")
    if arguments and rest:
        raise ParseError(f"{name[:40]} gives {excerpt(min(rest))} beside args")
    call = Call("", name, (), {str(key): value for key, value in (arguments or rest).items()})
    return calls.read_call(call, reading, _FUNCTIONS)


def _placed(read_action: Reader) -> Reader:
    """Make a reader that needs a place: without one this format's screen has no pointer to act at."""

    def read_placed(args: Arguments) -> list[Found]:
        args.needed_spot()
        return read_action(args)

    return read_placed


def _end(status: str) -> Reader:
    return lambda args: calls.ended(args.reading, status, args.string("content", "reason", default=""))


_TABLE = calls.FUNCTIONS
_FUNCTIONS: Mapping[str, tuple[tuple[str, ...], Reader]] = {
    "click": ((), _placed(_TABLE["click"][1])),
    "long_press": ((), _placed(_TABLE["long_press"][1])),
    "text": ((), _TABLE["write"][1]),
    "scroll": ((), _TABLE["swipe"][1]),
    "complete": ((), _end("success")),
    "incomplete": ((), _end("failure")),
}
