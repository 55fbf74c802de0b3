"""Reading one statement of what a model writes, as clean Python: the first pass over calls and literals.

It knows where strings begin and end, drops comments, turns full-width punctuation outside strings into ASCII, quotes
place tags, and closes a call that the model left open.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from foveate.actions.errors import ParseError
from foveate.actions.formats.places import OPENINGS
from foveate.actions.formats.values import excerpt, narrow

MAX_DEPTH = 12
"""Deepest nesting of brackets in a statement."""

START = re.compile(r"[ \t]*(?:(?:[-*>•]|\d{1,3}[.)])[ \t]+)?(?=[A-Za-z_])")
"""What may stand before a call on its line: blanks and a list's mark."""

NAME = re.compile(r"[ \t]*((?:[A-Za-z_]\w{0,40}\.){0,3}[A-Za-z_]\w{0,40})[(（]", re.ASCII)
"""A function's name, with its module, and the opening bracket."""

QUOTES: Mapping[str, str] = {'"': '"', "'": "'", "“": "”", "”": "”", "‘": "’", "’": "’", "＂": "＂", "＇": "＇"}
"""Of every opening quote its closing one."""

_ESCAPES: Mapping[str, str] = {
    "n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'",
    "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\n": "",
}  # fmt: skip
_HEX_DIGITS: Mapping[str, int] = {"x": 2, "u": 4, "U": 8}


class Literal(NamedTuple):
    """A string literal: where it begins (its prefix included) and ends in the text, and what it says."""

    begin: int
    end: int
    value: str


class Scan:
    """Reads one statement and writes it as clean Python.

    Args:
        text: What is read.
        at: Index of the statement's first character.
        known: Tells whether a name is a function's.

    Attributes:
        at: Index of the next character; that of the opening quote where a string is not closed.
        depth: How many brackets are open.
        strings: The string literals so far.
    """

    def __init__(self, text: str, at: int, known: Callable[[str], bool]) -> None:
        self.text = text
        self.at = at
        self.known = known
        self.out: list[str] = []
        self.depth = 0
        self.strings: list[Literal] = []

    def statement(self, *, ended: bool) -> tuple[str, int, str]:
        """Read to the statement's end.

        Args:
            ended: True where the text's end is a closing tag or fence, so that nothing was cut off there.

        Returns:
            The statement, the index behind it and the separator that ended it (newline, ``;`` or nothing).
        """
        text = self.text
        while self.at < len(text):
            char = text[self.at]
            if char == "\n" and self.depth and self._next_line_is_a_call():
                return self._finish(closed=True), self.at + 1, "\n"
            if char in "\n;；" and not self.depth:
                self.at += 1
                return self._finish(closed=True), self.at, "\n" if char == "\n" else ";"
            self._step(char)
        return self._finish(closed=ended), self.at, ""

    def bracketed(self) -> bool:
        """Read to the bracket that closes the first one; False where none does before the end or the next call.

        Raises:
            ParseError: If a string is not closed, or brackets do not match.
        """
        opened = False
        while self.at < len(self.text) and not (opened and not self.depth):
            char = self.text[self.at]
            if char == "\n" and self._next_line_is_a_call():
                return False
            self._step(char)
            opened = opened or self.depth > 0
        return opened and not self.depth

    def _step(self, char: str) -> None:
        text = self.text
        if char in QUOTES:
            raw = bool(self.out) and self.out[-1] in ("r", "R") and not self._identifier(-2)
            if raw:
                self.out.pop()
            begin = self.at - raw
            value, self.at = _string(text, self.at, raw=raw)
            self.strings.append(Literal(begin, self.at, value))
            self.out.append(repr(value))
            return
        if char == "#":
            ending = text.find("\n", self.at)
            self.at = len(text) if ending < 0 else ending
            return
        if char == "<" and self._tag():
            return
        char = " " if char in "\n\r\t" else char if char.isascii() else narrow(char)
        if char in "([{":
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise ParseError(f"arguments are nested at most {MAX_DEPTH} deep")
        elif char in ")]}":
            self.depth -= 1
            if self.depth < 0:
                raise ParseError(f"a closing {char} without its opening one")
        self.out.append(char)
        self.at += 1

    def _identifier(self, index: int) -> bool:
        return len(self.out) >= -index and (self.out[index].isalnum() or self.out[index] == "_")

    def _tag(self) -> bool:
        """Quote a place between tags, such as ``<point>510 150</point>``, so that it is a literal."""
        span = self.text[self.at : self.at + 1_000]
        for opening, closing in OPENINGS.items():
            if span[: len(opening)].lower() == opening:
                ending = re.search(re.escape(closing), span, re.IGNORECASE)
                if ending is None:
                    raise ParseError(f"a place that begins with {opening} ends with {closing}")
                self.out.append(repr(span[: ending.end()]))
                self.at += ending.end()
                return True
        return False

    def _next_line_is_a_call(self) -> bool:
        start = START.match(self.text, self.at + 1)
        name = NAME.match(self.text, start.end()) if start else None
        return name is not None and self.known(name[1])

    def _finish(self, *, closed: bool) -> str:
        source = "".join(self.out).strip()
        if self.depth:
            # A number at the very end may have lost digits, so only evidence that it is whole lets us close the call.
            whole = closed or source[-1:] in "'\")]"
            if self.depth > 1 or not whole:
                raise ParseError(f"the call is cut off: {excerpt(source)}")
            source = f"{source.rstrip(', ')})"
        return source


def _string(text: str, at: int, *, raw: bool) -> tuple[str, int]:
    """Read a quoted string: ``text[at]`` is its opening quote."""
    closer = QUOTES[text[at]]
    triple = text[at] in "'\"" and text.startswith(text[at] * 3, at)
    closer, begin = (closer * 3, at + 3) if triple else (closer, at + 1)
    parts: list[str] = []
    index = begin
    while index < len(text):
        char = text[index]
        if char == "\\" and index + 1 < len(text):
            value, index = (text[index : index + 2], index + 2) if raw else _escape(text, index)
            parts.append(value)
        elif text.startswith(closer, index) and (triple or not _apostrophe(text, index, begin)):
            return _joined("".join(parts)), index + len(closer)
        else:
            parts.append(char)
            index += 1
    raise ParseError(f"the string {excerpt(text[at : at + 200])} is not closed")


def _apostrophe(text: str, index: int, begin: int) -> bool:
    """Tell whether a quote stands inside a word (``don't``), where no string of a call can end."""
    before, after = text[index - 1 : index], text[index + 1 : index + 2]
    return index > begin and before.isalnum() and after.isalnum()


def _escape(text: str, at: int) -> tuple[str, int]:
    """Read an escape; one that Python does not know stays as it is, so that the path of a file survives."""
    char = text[at + 1]
    if char in _ESCAPES:
        return _ESCAPES[char], at + 2
    if char in _HEX_DIGITS:
        digits = text[at + 2 : at + 2 + _HEX_DIGITS[char]]
        if len(digits) == _HEX_DIGITS[char] and re.fullmatch(r"[0-9a-fA-F]+", digits) and int(digits, 16) <= 0x10FFFF:
            return chr(int(digits, 16)), at + 2 + len(digits)
    return f"\\{char}", at + 2


def _joined(text: str) -> str:
    """Join the halves of characters that were escaped as two, as JSON does."""
    if not any("\ud800" <= char <= "\udfff" for char in text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
