"""OpenAI's computer use: ``{"type": "click", "x": 512, "y": 300, "button": "left"}``, pixels of the declared display.

``scroll_x`` and ``scroll_y`` are pixels, positive right and down; ``keypress`` is a chord.

Source: the CUA sample application's computers/computer.py.
"""

from collections.abc import Mapping

from foveate.actions.errors import ParseError
from foveate.actions.formats import calls
from foveate.actions.formats.arguments import Arguments
from foveate.actions.formats.literal import Call
from foveate.actions.formats.pointer_calls import Reader
from foveate.actions.formats.qwen import PIXELS_A_NOTCH
from foveate.actions.formats.reading import Found, Reading
from foveate.actions.formats.values import excerpt


def read(given: Mapping[str, object], reading: Reading) -> list[Found]:
    """Read one action of a ``computer_call``.

    Raises:
        ParseError: If its type or an argument is not known.
        OutOfFrame: If a place lies outside the frame.
    """
    name = given.get("type")
    if not isinstance(name, str) or name.lower() not in _FUNCTIONS:
        raise ParseError(f"computer use has no type {excerpt(name)}; it has {', '.join(_FUNCTIONS)}")
    rest = {str(key): value for key, value in given.items() if key != "type"}
    return calls.read_call(Call("", name, (), rest), reading, _FUNCTIONS)


def _scroll(args: Arguments) -> list[Found]:
    dx = args.number("scroll_x", default=0.0) / PIXELS_A_NOTCH
    dy = args.number("scroll_y", default=0.0) / PIXELS_A_NOTCH
    return [args.reading.make("scroll", args.spot(), dx=dx, dy=dy)]


def _type(args: Arguments) -> list[Found]:
    return calls.typed(args.reading, args.string("text"))


def _wait(args: Arguments) -> list[Found]:
    return [args.reading.make("wait", duration_s=args.number("ms", default=1_000.0) / 1_000.0)]


def _keypress(args: Arguments) -> list[Found]:
    return calls.chord(args.reading, args.raw("keys"))


def _screenshot(args: Arguments) -> list[Found]:
    return [args.reading.make("wait", duration_s=0.0)]


_TABLE = calls.FUNCTIONS
_FUNCTIONS: Mapping[str, tuple[tuple[str, ...], Reader]] = {
    **{name: ((), _TABLE[name][1]) for name in ("click", "double_click", "move", "drag", "goto", "back", "forward")},
    "scroll": ((), _scroll),
    "type": ((), _type),
    "wait": ((), _wait),
    "keypress": ((), _keypress),
    "screenshot": ((), _screenshot),
}
