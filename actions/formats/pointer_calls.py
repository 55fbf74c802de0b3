"""Functions of the pointer: pyautogui's, ScaleCUA's, UI-TARS's and our own names, read as one closed table.

Signs: ``scroll`` and ``vscroll`` are positive up (pyautogui, ScaleCUA), ``hscroll`` positive right; ``dx`` and ``dy``
are ours (positive right and down); ``direction`` names where the view goes. A swipe's direction is the finger's: the
content follows it, so ``swipe(direction="up")`` shows what is below and is a scroll down. ``amount`` of a swipe is a
part of the screen, turned into notches by the frame's extent.

Source: ScaleCUA's prompt templates, pyautogui's documentation, UI-TARS's prompt.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from foveate.actions.errors import ParseError
from foveate.actions.formats import places, values
from foveate.actions.formats.arguments import Arguments
from foveate.actions.formats.reading import Found, Spot
from foveate.actions.keys import read_modifier

Reader: TypeAlias = Callable[[Arguments], list[Found]]

NO_AMOUNT = 5.0
"""Notches of a scroll that names no amount."""

_DIRECTIONS: Mapping[str, tuple[int, int]] = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}


def scroll_direction(value: object) -> tuple[int, int]:
    """Give the signs of dx and dy for where the view goes.

    Raises:
        ParseError: If it names no direction.
    """
    return _DIRECTIONS[values.chosen(value, "direction", *_DIRECTIONS)]


def _clicks(button: str, count: int) -> Reader:
    def read(args: Arguments) -> list[Found]:
        args.ignore("duration")
        fields: dict[str, object] = {"clicks": count, "button": button, **args.button()}
        if count == 1:
            fields["clicks"] = args.integer("clicks", "num_clicks", default=1)
        if args.has("modifiers", "keys"):
            fields["modifiers"] = tuple(read_modifier(name) for name in args.strings("modifiers", "keys"))
        fields["hold_s"] = args.number("hold_s", default=0.0)
        return [args.reading.make("click", args.spot(), **fields)]

    return read


def _long_press(args: Arguments) -> list[Found]:
    held = args.raw("duration", "time", "hold_s")
    hold_s = 1.0 if held in (None, "") else values.number(held, "duration")
    return [args.reading.make("click", args.spot(), hold_s=hold_s)]


def _move(args: Arguments) -> list[Found]:
    if args.call.module == "pyautogui" and args.call.name == "move":
        return _relative(args)
    args.ignore("duration")
    return [args.reading.make("move", args.needed_spot())]


def _relative(args: Arguments) -> list[Found]:
    raise ParseError(
        f"{args.call.name}() is relative to the pointer, which no picture shows: give a place, moveTo(x, y)"
    )


def _drag_to(args: Arguments) -> list[Found]:
    args.ignore("duration", "mouseDownUp")
    return [args.reading.drag([args.needed_spot()], **args.button())]


def _drag(args: Arguments) -> list[Found]:
    if args.call.module == "pyautogui":
        return _relative(args)
    args.ignore("duration")
    button = args.button()
    if args.has("path"):
        return [args.reading.drag(places.path(args.raw("path"), "path"), **button)]
    corners = [args.raw(name) for name in ("x1", "y1", "x2", "y2")]
    if all(corner is not None for corner in corners):
        ends = Spot.of(corners[:2], "x1", "y1"), Spot.of(corners[2:], "x2", "y2")
        return [args.reading.drag(ends, **button)]
    start = args.spot("start_box", "start_point", "start_coordinate", "from_coord", "start", "point")
    end = args.needed_spot("end_box", "end_point", "coordinate", "end_coordinate", "to_coord", "end")
    return [args.reading.drag([start, end] if start is not None else [end], **button)]


def _pointer(kind: str) -> Reader:
    def read(args: Arguments) -> list[Found]:
        args.ignore("duration")
        return [args.reading.make(kind, args.spot(), **args.button())]

    return read


def _scroll(args: Arguments) -> list[Found]:
    if args.has("end_box", "end_point", "to_coord"):
        return _swipe(args)
    spot = args.spot()
    if isinstance(args.given.get("clicks"), str) and not values.is_number(args.given["clicks"]):
        args.given.setdefault("direction", args.given.pop("clicks"))
    if args.has("direction"):
        amount = args.number("amount", "clicks", default=NO_AMOUNT)
        if amount < 0:
            raise ParseError(f"a scroll with a direction has a positive amount, not {amount:g}")
        x, y = scroll_direction(args.raw("direction"))
        return [args.reading.make("scroll", spot, dx=x * amount, dy=y * amount)]
    if args.has("dx", "dy"):
        return [args.reading.make("scroll", spot, dx=args.number("dx", default=0), dy=args.number("dy", default=0))]
    amount = args.number("clicks", "amount", default=-NO_AMOUNT)
    return [args.reading.make("scroll", spot, dy=-amount)]


def _hscroll(args: Arguments) -> list[Found]:
    return [args.reading.make("scroll", args.spot(), dx=args.number("clicks", default=NO_AMOUNT))]


def _swipe(args: Arguments) -> list[Found]:
    if str(args.given.get("from_coord")).lower() in _DIRECTIONS:
        args.given.setdefault("direction", args.given.pop("from_coord"))
    start = args.spot("from_coord", "start_box", "start_point", "start", "coordinate")
    end = args.spot("to_coord", "end_box", "end_point", "end", "coordinate2")
    reading = args.reading
    if start is not None and end is not None:
        args.ignore("direction", "amount", "duration")
        dx, dy = places.swipe_notches(reading, start, end)
        found = reading.make("scroll", start, dx=dx, dy=dy)
        written = (start.numbers, end.numbers)
        return [Found(found.action, written)]
    if end is not None:
        raise ParseError(f"{args.call.name}() needs the place where the finger starts: from_coord")
    amount = args.number("amount", default=0.5)
    if not 0.0 < amount <= 1.0:
        raise ParseError(f"amount is a part of the screen, above 0 and up to 1, not {amount:g}")
    x, y = scroll_direction(args.raw("direction") or "up")
    width, height = reading.frame.extent
    return [reading.make("scroll", start, dx=-x * amount * width / 100, dy=-y * amount * height / 100)]


_XY = ("x", "y")
_CLICK = (*_XY, "clicks", "interval", "button", "duration")
_ONE = (*_XY, "interval", "button", "duration")

FUNCTIONS: Mapping[str, tuple[tuple[str, ...], Reader]] = {
    **dict.fromkeys(("click", "leftclick", "left_click", "left_single"), (_CLICK, _clicks("left", 1))),
    **dict.fromkeys(("doubleclick", "double_click", "left_double", "dblclick"), (_ONE, _clicks("left", 2))),
    **dict.fromkeys(("tripleclick", "triple_click", "left_triple"), (_ONE, _clicks("left", 3))),
    **dict.fromkeys(("rightclick", "right_click", "right_single"), (_ONE, _clicks("right", 1))),
    **dict.fromkeys(("middleclick", "middle_click"), (_ONE, _clicks("middle", 1))),
    **dict.fromkeys(("long_press", "longpress"), ((*_XY, "duration"), _long_press)),
    **dict.fromkeys(("moveto", "move_to", "mouse_move", "hover", "move"), ((*_XY, "duration"), _move)),
    **dict.fromkeys(("moverel", "dragrel"), ((*_XY, "duration"), _relative)),
    **dict.fromkeys(("dragto", "drag_to"), ((*_XY, "duration", "tween", "button"), _drag_to)),
    **dict.fromkeys(("drag", "left_click_drag", "select"), (("start_box", "end_box"), _drag)),
    **dict.fromkeys(("mousedown", "mouse_down", "pointer_down"), ((*_XY, "button"), _pointer("pointer_down"))),
    **dict.fromkeys(("mouseup", "mouse_up", "pointer_up"), ((*_XY, "button"), _pointer("pointer_up"))),
    **dict.fromkeys(("scroll", "vscroll"), (("clicks", *_XY), _scroll)),
    "hscroll": (("clicks", *_XY), _hscroll),
    "swipe": (("from_coord", "to_coord", "direction", "amount"), _swipe),
}
"""Of every name, in lower case: its parameters in order and what reads it."""
