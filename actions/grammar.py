"""What a model may answer, as a regular expression: an answer that matches always parses.

It is written in what every engine's regular expressions have: literals, classes, groups, alternatives and repetition.
Each kind has the canonical call that ``render`` writes, within the bounds of its action; rare arguments are left out
(modifiers, paths of many points, chords of more than three keys), so that what a kind can do is there and a model has
few ways to go astray.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from foveate.actions.errors import UsageError
from foveate.actions.geometry import Convention, Frame, Point
from foveate.actions.schema import KINDS, Key

_PLAIN: Final = r'[^"\\<\[◁\x00-\x1f\x7f-\x9f\u2028\u2029\ufdd0-\ufdef]'
_BRACKET: Final = r'\[[^"\\<\[◁/Tt\x00-\x1f\x7f-\x9f\u2028\u2029\ufdd0-\ufdef]'
_ESCAPED: Final = r'\\["\\nt]'
_TEXT: Final = rf'"({_PLAIN}|{_BRACKET}|{_ESCAPED})+"'
_NAME: Final = r'"[^"\\<>\[\]◁\x00-\x1f\x7f-\x9f\u2028\u2029\ufdd0-\ufdef]{1,100}"'
_LINE: Final = (
    r"[^<>\[\]◁\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufdd0-\ufdef]"
    r"[^<>\[\]◁\x00-\x1f\x7f-\x9f\u2028\u2029\ufdd0-\ufdef]{0,198}"
)
_THOUGHT: Final = r"([^<◁\[\ufdd0-\ufdef]|<[ 0-9=]|\[[^/Tt◁<\[\ufdd0-\ufdef])*"
_BUTTON: Final = '"(left|right|middle)"'
_HUNDREDTHS: Final = r"(\.[0-9]{1,2})?"
_UNIT: Final = r"0\.[0-9]{2,4}"


def between(least: int, most: int) -> str:
    """Write the whole numbers of a range, without leading zeros.

    Args:
        least: The first, 0 or more.
        most: The last.
    """
    if not 0 <= least <= most:
        raise ValueError(f"0 <= least <= most, not {least} and {most}")
    parts: list[str] = []
    for length in range(len(str(least)), len(str(most)) + 1):
        low = max(least, 10 ** (length - 1) if length > 1 else 0)
        high = min(most, 10**length - 1)
        parts += _same_length(str(low), str(high))
    return f"({'|'.join(parts)})"


def _same_length(low: str, high: str) -> list[str]:
    """Write the numbers between two of the same length, as few alternatives as there are digits on either side."""
    if not low:
        return [""]
    if low[0] == high[0]:
        return [low[0] + rest for rest in _same_length(low[1:], high[1:])]
    digits = len(low) - 1
    lowest, highest = "0" * digits, "9" * digits
    first, last = int(low[0]), int(high[0])
    parts: list[str] = []
    if low[1:] != lowest:
        parts += [low[0] + rest for rest in _same_length(low[1:], highest)]
        first += 1
    tail = [] if high[1:] == highest else [high[0] + rest for rest in _same_length(lowest, high[1:])]
    last -= bool(tail)
    if first <= last:
        parts.append((str(first) if first == last else f"[{first}-{last}]") + "[0-9]" * digits)
    return parts + tail


class _Writer:
    """Writes the numbers of places in one convention and frame."""

    def __init__(self, convention: Convention, frame: Frame) -> None:
        last = Point(0.9999999999, 0.9999999999)
        if convention.decimals:
            self.x = self.y = _UNIT
        else:
            self.x, self.y = (between(0, int(value)) for value in convention.numbers(last, frame))

    @property
    def place(self) -> str:
        return f"x={self.x}, y={self.y}"


def _signed(pattern: str) -> str:
    return f"-?({pattern})"


_KEY: Final = (
    '"('
    + "|".join(
        re.escape(key.value) for key in sorted(Key, key=lambda key: key.value) if key.value not in ('"', "\\", "<")
    )
    + ')"'
)
_TURNS: Final = r"([0-9]|[1-9][0-9]|[12][0-9][0-9]|3[0-5][0-9])" + _HUNDREDTHS + "|360"
_TILTS: Final = r"([0-9]|[1-9][0-9]|1[0-7][0-9])" + _HUNDREDTHS + "|180"

_CALLS: Final[Mapping[str, Callable[[_Writer], str]]] = MappingProxyType(
    {
        "click": lambda at: rf"click\({at.place}(, clicks=[23])?(, button={_BUTTON})?\)",
        "move": lambda at: rf"moveTo\({at.place}\)",
        "drag": lambda at: rf"(dragTo\({at.place}\)|drag\(path=\[\[{at.x}, {at.y}\], \[{at.x}, {at.y}\]\]\))",
        "scroll": lambda at: rf"h?scroll\(clicks=-?{between(1, 100)}(, {at.place})?\)",
        "pointer_down": lambda at: rf"pointer_down\({at.place}\)",
        "pointer_up": lambda at: rf"pointer_up\({at.place}\)",
        "type_text": lambda _: rf"write\(message={_TEXT}\)",
        "press": lambda _: rf"(press\(keys={_KEY}(, presses={between(2, 100)})?\)|hotkey\({_KEY}(, {_KEY}){{1,2}}\))",
        "key_down": lambda _: rf"keyDown\(key={_KEY}\)",
        "key_up": lambda _: rf"keyUp\(key={_KEY}\)",
        "navigate": lambda _: r'open_url\(url="https?://[A-Za-z0-9._~:/?#@!$&*+,;=%-]{1,500}"\)',
        "back": lambda _: r"go_backward\(\)",
        "forward": lambda _: r"go_forward\(\)",
        "reload": lambda _: r"reload\(\)",
        "new_tab": lambda _: r"new_tab\(\)",
        "switch_tab": lambda _: rf"switch_tab\(index={between(0, 999)}\)",
        "close_tab": lambda _: r"close_tab\(\)",
        "select_option": lambda at: rf"select_option\({at.place}, value={_NAME}\)",
        "upload": lambda at: rf"upload\(paths=\[{_NAME}\](, {at.place})?\)",
        "dialog": lambda _: rf"dialog\(accept=(True|False)(, text={_NAME})?\)",
        "open_app": lambda _: rf"open_app\(app_name={_NAME}\)",
        "focus_window": lambda _: rf"focus_window\(title={_NAME}\)",
        "move_forward": lambda _: r"move_forward\(distance_m=(0\.[0-9]?[1-9]|([1-9]|1[0-9])" + _HUNDREDTHS + r"|20)\)",
        "turn": lambda _: rf"turn\(angle_deg={_signed(_TURNS)}\)",
        "look": lambda _: rf"look\(angle_deg={_signed(_TILTS)}\)",
        "go_to": lambda at: rf"go_to\({at.place}\)",
        "pick": lambda at: rf"pick\({at.place}\)",
        "place": lambda at: rf"place\({at.place}\)",
        "velocity": lambda _: (
            rf"velocity\(linear_m_s={_signed(f'[0-4]{_HUNDREDTHS}|5')}, "
            rf"angular_rad_s={_signed(f'[0-9]{_HUNDREDTHS}|10')}, "
            rf"duration_s=(0\.[0-9]?[1-9]|[1-9]{_HUNDREDTHS}|10)\)"
        ),
        "control": lambda _: r"control\(values=\[-?(0(\.[0-9]{1,3})?|1)(, -?(0(\.[0-9]{1,3})?|1)){0,63}\]\)",
        "stop": lambda _: r"stop\(\)",
        "wait": lambda _: rf"wait\(seconds={between(1, 60)}\)",
        "zoom": lambda at: rf"zoom\(region=\[{at.x}, {at.y}, {at.x}, {at.y}\]\)",
        "respond": lambda _: rf"response\(answer={_TEXT}\)",
        "call_user": lambda _: rf"call_user\(question={_TEXT}\)",
        "terminate": lambda _: rf'terminate\(status="(success|failure)"(, info={_TEXT})?\)',
    }
)  # fmt: skip


def call_pattern(kind: str, convention: Convention, frame: Frame) -> str:
    """Write one kind's call.

    Args:
        kind: One of ``KINDS``.
        convention: How places are written as numbers.
        frame: What they are of; in a convention of pixels they stay inside it.
    """
    return _CALLS[kind](_Writer(convention, frame))


@lru_cache(maxsize=64)
def answer_pattern(
    kinds: frozenset[str],
    convention: Convention,
    frame: Frame,
    *,
    operation: bool = True,
    thought: bool = False,
    begun: str = "",
    most: int = 1,
) -> str:
    r"""Write a whole answer, as far as it is still to be said.

    Args:
        kinds: What is offered.
        convention: How places are written as numbers.
        frame: The frame of the observation that is answered on.
        operation: An ``<operation>`` comes before the action.
        thought: A thought comes first, between ``<think>`` tags, in any words.
        begun: How the answer begins already: a prefill such as ``<think>\n``.
        most: Most actions, one a line.

    Returns:
        A regular expression that the rest of the answer matches from end to end.

    Raises:
        UsageError: If nothing is offered, or the answer has begun otherwise.
    """
    if not kinds or kinds - KINDS:
        raise UsageError(f"a grammar needs kinds of actions, not {', '.join(sorted(kinds - KINDS)) or 'none'}")
    calls = "|".join(call_pattern(kind, convention, frame) for kind in _CALLS if kind in kinds)
    more = rf"(\n({calls})){{0,{most - 1}}}" if most > 1 else ""
    pieces = [("<operation>\n", rf"{_LINE}\n</operation>\n")] if operation else []
    pieces = [("<think>\n", rf"{_THOUGHT}</think>\n")] * thought + pieces
    pieces.append(("<action>\n", rf"({calls}){more}\n</action>"))
    opening, rest = pieces[0]
    if not opening.startswith(begun):
        raise UsageError(f"an answer that is to begin with {opening!r} cannot have begun with {begun!r}")
    pieces[0] = (opening[len(begun) :], rest)
    return "".join(literal.replace("\n", r"\n") + pattern for literal, pattern in pieces)
