"""Lines of a verb and bracketed arguments: OS-Genesis, WebArena and Mind2Web style, ``click [0.5, 0.3]``.

A place is two or four numbers in brackets or a tag (``CLICK <point>[[x, y]]</point>``). One number is an element's id,
which no picture can show: a ParseError. ``stop [answer]`` is the answer and the end of the task.

Source: ScaleCUA's conversation.py (OS-Genesis web); OS-Atlas's and Mind2Web's action lines.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from foveate.actions.errors import ParseError
from foveate.actions.formats import calls, refusals, values
from foveate.actions.formats.places import read_place
from foveate.actions.formats.pointer_calls import NO_AMOUNT, scroll_direction
from foveate.actions.formats.prose import check_flat
from foveate.actions.formats.reading import Found, Reading, Spot
from foveate.actions.formats.values import MAX_ACTIONS, excerpt, narrow
from foveate.actions.keys import read_chord

VERB = re.compile(
    r"[ \t]*(?:\d{1,3}[.)][ \t]+)?(click|left_click|double_click|right_click|hover|type|input|select|press|hotkey"
    r"|scroll|new_tab|tab_focus|close_tab|page_close|goto|go_back|go_forward|stop|enter|long_press|press_home|press_back"
    r"|press_recent|open_app|wait|complete)\b[ \t]*(?=\[|［|<|\r?$|(?<=[ \t])\(\s{0,9}[\d.])",
    re.IGNORECASE | re.MULTILINE,
)
"""A verb at its line's beginning, where brackets, a tag or nothing follow it; round brackets after a blank, for those
that touch it make a call."""

MASKS = re.compile("[\ufdd0-\ufdd4]")
"""Noncharacters that stand for what could be taken for a tag or a fence."""

_MASKED = str.maketrans({"<": "\ufdd0", "`": "\ufdd1", "◁": "\ufdd2"})
_RESTORED = str.maketrans({"\ufdd0": "<", "\ufdd1": "`", "\ufdd2": "◁", "\ufdd3": "[", "\ufdd4": "]"})
_SQUARE = re.compile(r"\[(/?THINK)\]", re.IGNORECASE)
_ID = re.compile(
    r"\s*(?:\w{1,20}\s*=\s*)?#?\d{1,9}\s*|\s*(?:button|link|textbox|input|element|combobox|span|div)\s*", re.I
)
_TAG = re.compile(r"<(point|box|bbox)>.{0,400}?</\1>", re.IGNORECASE | re.DOTALL)
_NAMED = re.compile(r"\s*[a-z_]{1,24}\s*=\s*")


@dataclass(frozen=True, slots=True)
class _Line:
    """A verb with its arguments, as written between brackets or tags."""

    verb: str
    parts: tuple[str, ...]
    reading: Reading

    def place(self) -> Spot | None:
        """Give the first argument as a place, None where there is none."""
        if not self.parts:
            return None
        first = self.parts[0]
        if _ID.fullmatch(narrow(first)):
            raise ParseError(
                f"{self.verb} [{first.strip()}]: element ids cannot be found in a picture, give a place [x, y]"
            )
        return read_place(first)


_Reader: TypeAlias = Callable[[_Line], list[Found]]


def detect(text: str) -> bool:
    """Tell whether some line of a text begins with one of the verbs and a bracket."""
    return any(_starts(row) for row in text.split("\n")) or only(text)


def only(text: str) -> bool:
    """Tell whether every line of a text is such a line; a verb alone, ``go_back``, counts only in such a text."""
    rows = [row for row in text.split("\n") if row.strip()]
    return bool(rows) and all(VERB.match(row) for row in rows)


def read(text: str, reading: Reading) -> list[Found]:
    """Read the lines that begin with a verb.

    Raises:
        ParseError: If an element is named by its id, an argument is wrong, or the prose around the lines forbids them
            or is code.
        OutOfFrame: If a place lies outside the frame.
    """
    found: list[Found] = []
    prose: list[list[str]] = [[]]
    pure = only(text)
    for row in text.split("\n"):
        if _starts(row) or (pure and row.strip()):
            check_flat("\n".join(prose[-1]), indent=len(row) - len(row.lstrip()))
            found += _read_line(row.strip(), reading)
            prose.append([])
        else:
            prose[-1].append(row)
        if len(found) > MAX_ACTIONS:
            raise ParseError(f"an answer holds at most {MAX_ACTIONS} actions")
    refusals.check(["\n".join(rows) for rows in prose])
    return found


def masked(row: str) -> tuple[str, bool]:
    """Mask what could be taken for a tag or a fence in a line's brackets, and tell whether one of them is open."""
    out: list[str] = []
    at, depth = 0, 0
    while at < len(row):
        char, square = row[at], _SQUARE.match(row, at) if depth else None
        if square is not None:
            out.append(f"\ufdd3{square[1]}\ufdd4")
            at = square.end()
            continue
        depth += 1 if char in "[［(" else -1 if char in "]］)" and depth else 0
        out.append(char.translate(_MASKED) if depth else char)
        at += 1
    return "".join(out), depth > 0


def restored(text: str) -> str:
    """Undo what ``masked`` did."""
    return text.translate(_RESTORED)


def _starts(row: str) -> bool:
    """Tell whether a line is a verb with an argument."""
    match = VERB.match(row)
    return match is not None and bool(row[match.end() :].strip())


def _read_line(row: str, reading: Reading) -> list[Found]:
    match = VERB.match(row)
    assert match is not None  # noqa: S101 - the caller asked _starts
    verb = match[1].lower()
    line = _Line(verb, _parts(row[match.end() :].strip()), reading)
    return _VERBS[verb](line)


def _parts(rest: str) -> tuple[str, ...]:
    """Split ``[a] [b [c]] <point>...</point>`` into its arguments; a pair of brackets inside one is its text."""
    parts: list[str] = []
    at = 0
    while at < len(rest) and len(parts) < 8:
        if rest[at] in "[［(":
            end = _closing(rest, at)
            parts.append(restored(rest[at + 1 : end]))
            at = end + 1
        elif (tag := _TAG.match(rest, at)) is not None:
            parts.append(tag[0])
            at = tag.end()
        elif rest[at] in " \t,;":
            at += 1
        else:
            raise ParseError(f"expected arguments in brackets, not {excerpt(rest[at:])}")
    return tuple(parts)


def _closing(text: str, at: int) -> int:
    depth = 0
    pairs = {"[": "]", "［": "］", "(": ")"}
    opening, closing = text[at], pairs[text[at]]
    for index in range(at, len(text)):
        depth += (text[index] == opening) - (text[index] == closing)
        if depth == 0:
            return index
    raise ParseError(f"the bracket is not closed: {excerpt(text[at:])}")


def _click(button: str, count: int, hold_s: float = 0.0) -> _Reader:
    def read_click(line: _Line) -> list[Found]:
        spot = line.place()
        if spot is None:
            raise ParseError(f"{line.verb} needs a place: {line.verb} [x, y]")
        return [line.reading.make("click", spot, button=button, clicks=count, hold_s=hold_s)]

    return read_click


def _hover(line: _Line) -> list[Found]:
    spot = line.place()
    if spot is None:
        raise ParseError("hover needs a place: hover [x, y]")
    return [line.reading.make("move", spot)]


def _type(line: _Line) -> list[Found]:
    """Read ``type [x, y] [text] [press_enter_after=1]`` or ``type [text]``."""
    parts, enter = list(line.parts), ""
    if parts and re.fullmatch(r"\s*(?:press_enter_after\s*=\s*)?[01]\s*", parts[-1]) and len(parts) > 1:
        enter = "\n" if parts.pop().strip().endswith("1") else ""
    if len(parts) == 1:
        return calls.typed(line.reading, parts[0] + enter)
    if len(parts) != 2:
        raise ParseError("type takes a text, and a place before it: type [x, y] [text]")
    spot = line.place()
    return [line.reading.make("click", spot), *calls.typed(line.reading, parts[1] + enter)]


def _select(line: _Line) -> list[Found]:
    spot = line.place()
    if spot is None or len(line.parts) != 2:
        raise ParseError("select takes a place and an option: select [x, y] [option]")
    return [line.reading.make("select_option", spot, value=line.parts[1])]


def _press(line: _Line) -> list[Found]:
    if len(line.parts) != 1:
        raise ParseError(f"{line.verb} takes one key or chord: {line.verb} [ctrl+c]")
    return [line.reading.make("press", keys=read_chord(_NAMED.sub("", line.parts[0], count=1)))]


def _scroll(line: _Line) -> list[Found]:
    """Read ``scroll [down]``, ``scroll [direction=down]``, or a place before it."""
    if not line.parts:
        raise ParseError("scroll needs a direction: scroll [down]")
    spot = line.place() if len(line.parts) > 1 else None
    x, y = scroll_direction(_NAMED.sub("", line.parts[-1], count=1))
    return [line.reading.make("scroll", spot, dx=x * NO_AMOUNT, dy=y * NO_AMOUNT)]


def _plain(kind: str) -> _Reader:
    def read_plain(line: _Line) -> list[Found]:
        if any(part.strip() for part in line.parts):
            raise ParseError(f"{line.verb} takes no argument, not {excerpt(line.parts[0])}")
        return [line.reading.make(kind)]

    return read_plain


def _wait(line: _Line) -> list[Found]:
    """Read ``wait`` or ``wait [seconds]``."""
    if not line.parts:
        return [line.reading.make("wait")]
    if len(line.parts) > 1:
        raise ParseError("wait takes one number of seconds: wait [3]")
    return [line.reading.make("wait", duration_s=values.number(_NAMED.sub("", line.parts[0], count=1), "seconds"))]


def _text(kind: str, field: str) -> _Reader:
    def read_text(line: _Line) -> list[Found]:
        if len(line.parts) != 1:
            raise ParseError(f"{line.verb} takes one argument: {line.verb} [...]")
        return [line.reading.make(kind, None, **{field: line.parts[0].strip()})]

    return read_text


def _tab_focus(line: _Line) -> list[Found]:
    if len(line.parts) != 1:
        raise ParseError("tab_focus takes a tab's index: tab_focus [0]")
    return [line.reading.make("switch_tab", index=values.integer(line.parts[0], "index"))]


def _stop(line: _Line) -> list[Found]:
    answer = line.parts[0].strip() if line.parts else ""
    if not answer and line.reading.offers("stop") and not line.reading.offers("terminate"):
        return [line.reading.make("stop")]
    return calls.answered(line.reading, answer)


def _phone(line: _Line) -> list[Found]:
    raise calls.not_on_this_platform(line.verb)


_VERBS: Mapping[str, _Reader] = {
    **dict.fromkeys(("click", "left_click"), _click("left", 1)),
    "double_click": _click("left", 2),
    "right_click": _click("right", 1),
    "long_press": _click("left", 1, 1.0),
    "hover": _hover,
    **dict.fromkeys(("type", "input"), _type),
    "select": _select,
    **dict.fromkeys(("press", "hotkey"), _press),
    "enter": lambda line: calls.presses(line.reading, "enter"),
    "scroll": _scroll,
    "new_tab": _plain("new_tab"),
    "tab_focus": _tab_focus,
    **dict.fromkeys(("close_tab", "page_close"), _plain("close_tab")),
    "goto": _text("navigate", "url"),
    "go_back": _plain("back"),
    "go_forward": _plain("forward"),
    **dict.fromkeys(("press_home", "press_back", "press_recent"), _phone),
    "open_app": _text("open_app", "name"),
    "wait": _wait,
    "complete": lambda line: calls.ended(line.reading, "success", ""),
    "stop": _stop,
}
