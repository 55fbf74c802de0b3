"""Qwen2.5-VL's and Qwen3-VL's calls: ``computer_use``, ``mobile_use`` and grounding as ``bbox_2d`` or ``point_2d``.

The scale is the convention's: resized pixels for Qwen2.5-VL, 0..1000 for Qwen3-VL. ``scroll`` is in pixels, positive
up; ``hscroll`` positive right. What only a phone can do is refused as such.

Source: Qwen3-VL's cookbooks/utils/agent_function_call.py.
"""

import re
from collections.abc import Mapping

from foveate.actions.errors import ParseError
from foveate.actions.formats import calls, places
from foveate.actions.formats.arguments import Arguments
from foveate.actions.formats.literal import Call
from foveate.actions.formats.pointer_calls import NO_AMOUNT, Reader
from foveate.actions.formats.reading import Found, Reading
from foveate.actions.formats.values import excerpt

PIXELS_A_NOTCH = 100.0
ONLY = frozenset({"answer", "terminate", "click", "swipe", "system_button", "open", "hscroll", "long_press"})
"""Actions that tell these calls from Anthropic's."""

_OPEN = re.compile(r"<tool_call>", re.IGNORECASE)
_CLOSE = re.compile(r"</tool_call>", re.IGNORECASE)


def blocks(text: str) -> list[str]:
    """Give what stands in each ``<tool_call>``; where its closing tag lacks, its JSON shows whether it is whole."""
    found = []
    for opening in _OPEN.finditer(text):
        after = _OPEN.search(text, opening.end())
        end = after.start() if after else len(text)
        closings = list(_CLOSE.finditer(text, opening.end(), end))
        found.append(text[opening.end() : closings[-1].start() if closings else end].strip())
    return found


def read(given: Mapping[str, object], reading: Reading) -> list[Found]:
    """Read the arguments of ``computer_use``.

    Raises:
        ParseError: If the action or an argument is not known.
        OutOfFrame: If a place lies outside the frame.
    """
    return read_action(given, reading, _COMPUTER, "computer_use")


def read_mobile(given: Mapping[str, object], reading: Reading) -> list[Found]:
    """Read the arguments of ``mobile_use``.

    Raises:
        ParseError: If the action or an argument is not known, or only a phone can do it.
        OutOfFrame: If a place lies outside the frame.
    """
    return read_action(given, reading, _MOBILE, "mobile_use")


def read_grounding(given: Mapping[str, object], reading: Reading) -> list[Found]:
    """Read ``{"bbox_2d": [x1, y1, x2, y2], "label": ...}`` or ``{"point_2d": [x, y]}``: a place that stands alone.

    Raises:
        ParseError: If it is no place.
        OutOfFrame: If it lies outside the frame.
    """
    name = "bbox_2d" if "bbox_2d" in given else "point_2d"
    return [reading.bare(places.place(given[name], name))]


def read_action(
    given: Mapping[str, object], reading: Reading, functions: Mapping[str, tuple[tuple[str, ...], Reader]], tool: str
) -> list[Found]:
    """Read ``{"action": name, ...}`` by a vendor's own table.

    Raises:
        ParseError: If the action or an argument is not known.
        OutOfFrame: If a place lies outside the frame.
    """
    name = given.get("action")
    if not isinstance(name, str) or name.lower() not in functions:
        raise ParseError(f"{tool} has no action {excerpt(name)}; it has {', '.join(functions)}")
    rest = {str(key): value for key, value in given.items() if key != "action"}
    return calls.read_call(Call("", name, (), rest), reading, functions)


def _key(args: Arguments) -> list[Found]:
    return calls.chord(args.reading, args.raw("keys", "key", "text"))


def _scroll(args: Arguments) -> list[Found]:
    pixels = args.number("pixels", default=-NO_AMOUNT * PIXELS_A_NOTCH)
    return [args.reading.make("scroll", args.spot(), dy=-pixels / PIXELS_A_NOTCH)]


def _hscroll(args: Arguments) -> list[Found]:
    pixels = args.number("pixels", default=NO_AMOUNT * PIXELS_A_NOTCH)
    return [args.reading.make("scroll", args.spot(), dx=pixels / PIXELS_A_NOTCH)]


def _answer(args: Arguments) -> list[Found]:
    return [args.reading.make("respond", answer=args.string("text", "answer"))]


def _type(args: Arguments) -> list[Found]:
    return calls.typed(args.reading, args.string("text"))


def _open(args: Arguments) -> list[Found]:
    return [args.reading.make("open_app", name=args.string("text"))]


def _terminate(args: Arguments) -> list[Found]:
    return calls.ended(args.reading, args.string("status", default="success"), "")


def _system_button(args: Arguments) -> list[Found]:
    name = args.string("button")
    if name.strip().lower() != "enter":
        raise calls.not_on_this_platform(f"the button {name}")
    return calls.presses(args.reading, "enter")


def _mobile_key(args: Arguments) -> list[Found]:
    name = args.string("text", "keys")
    if name.strip().lower() in ("volume_up", "volume_down", "power", "camera", "clear"):
        raise calls.not_on_this_platform(f"the key {name}")
    return calls.presses(args.reading, name)


_SHARED: Mapping[str, tuple[tuple[str, ...], Reader]] = {
    "type": ((), _type),
    "wait": ((), calls.wait(3.0)),
    "terminate": ((), _terminate),
    "answer": ((), _answer),
}
_TABLE = calls.FUNCTIONS
_COMPUTER: Mapping[str, tuple[tuple[str, ...], Reader]] = {
    **_SHARED,
    **{
        name: ((), _TABLE[name][1])
        for name in (
            "mouse_move", "left_click", "left_click_drag", "right_click", "middle_click", "double_click",
            "triple_click", "visit_url", "history_back", "call_user", "click",
        )
    },
    "key": ((), _key),
    "scroll": ((), _scroll),
    "hscroll": ((), _hscroll),
}  # fmt: skip
_MOBILE: Mapping[str, tuple[tuple[str, ...], Reader]] = {
    **_SHARED,
    **{name: ((), _TABLE[name][1]) for name in ("click", "long_press", "swipe")},
    "key": ((), _mobile_key),
    "open": ((), _open),
    "system_button": ((), _system_button),
}
