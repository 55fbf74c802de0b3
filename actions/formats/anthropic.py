"""Anthropic's computer use (20241022, 20250124, 20251124): ``{"action": "left_click", "coordinate": [x, y]}``.

Keys are xdotool's names; a blank between them makes a sequence. A modifier held during a scroll becomes key_down,
scroll, key_up; ``hold_key`` likewise, with a wait. ``screenshot`` asks for nothing but the next picture: a wait of 0 s.

Source: the computer-use-demo's tools/computer.py.
"""

from collections.abc import Mapping

from foveate.actions.errors import ParseError
from foveate.actions.formats import calls, qwen
from foveate.actions.formats.arguments import Arguments
from foveate.actions.formats.pointer_calls import NO_AMOUNT, Reader, scroll_direction
from foveate.actions.formats.reading import Found, Reading
from foveate.actions.keys import read_chord, read_modifier
from foveate.actions.schema import Key


def read(given: Mapping[str, object], reading: Reading) -> list[Found]:
    """Read the input of the ``computer`` function.

    Raises:
        ParseError: If the action or an argument is not known.
        OutOfFrame: If a place lies outside the frame.
    """
    return qwen.read_action(given, reading, _FUNCTIONS, "computer")


def held(reading: Reading, keys: tuple[Key, ...], middle: list[Found]) -> list[Found]:
    """Do something while keys are held down."""
    down = [reading.make("key_down", key=key) for key in keys]
    return [*down, *middle, *(reading.make("key_up", key=key) for key in reversed(keys))]


def _click(button: str, count: int) -> Reader:
    def read_click(args: Arguments) -> list[Found]:
        names = args.string("text", "key", default="")
        modifiers = tuple(read_modifier(str(key)) for key in read_chord(names)) if names else ()
        return [args.reading.make("click", args.spot(), button=button, clicks=count, modifiers=modifiers)]

    return read_click


def _key(args: Arguments) -> list[Found]:
    text = args.string("text", "key")
    return calls.presses(args.reading, text.split() or [text])


def _type(args: Arguments) -> list[Found]:
    return calls.typed(args.reading, args.string("text"))


def _scroll(args: Arguments) -> list[Found]:
    x, y = scroll_direction(args.raw("scroll_direction", "direction"))
    amount = args.number("scroll_amount", "amount", default=NO_AMOUNT)
    if amount < 0:
        raise ParseError(f"scroll_amount is at least 0, not {amount:g}")
    scrolled = args.reading.make("scroll", args.spot(), dx=x * amount, dy=y * amount)
    names = args.string("text", default="")
    return held(args.reading, read_chord(names), [scrolled]) if names else [scrolled]


def _hold_key(args: Arguments) -> list[Found]:
    waited = args.reading.make("wait", duration_s=args.number("duration"))
    return held(args.reading, read_chord(args.string("text", "key")), [waited])


def _screenshot(args: Arguments) -> list[Found]:
    return [args.reading.make("wait", duration_s=0.0)]


def _cursor_position(args: Arguments) -> list[Found]:
    raise ParseError("cursor_position is no action: the picture shows where the pointer is")


_TABLE = calls.FUNCTIONS
_FUNCTIONS: Mapping[str, tuple[tuple[str, ...], Reader]] = {
    "key": ((), _key),
    "type": ((), _type),
    "mouse_move": ((), _TABLE["mouse_move"][1]),
    "left_click": ((), _click("left", 1)),
    "left_click_drag": ((), _TABLE["left_click_drag"][1]),
    "right_click": ((), _click("right", 1)),
    "middle_click": ((), _click("middle", 1)),
    "double_click": ((), _click("left", 2)),
    "triple_click": ((), _click("left", 3)),
    "screenshot": ((), _screenshot),
    "cursor_position": ((), _cursor_position),
    "left_mouse_down": ((), _TABLE["mouse_down"][1]),
    "left_mouse_up": ((), _TABLE["mouse_up"][1]),
    "scroll": ((), _scroll),
    "hold_key": ((), _hold_key),
    "wait": ((), calls.wait(1.0)),
    "zoom": ((), _TABLE["zoom"][1]),
}
