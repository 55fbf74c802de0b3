"""Calls with literal arguments, read from text by ``ast``; nothing is ever executed.

A first pass, which knows where strings begin and end, makes Python of what models write: it drops comments, turns
full-width punctuation outside strings into ASCII, quotes place tags, and closes a call that the model left open.
The second pass is ``ast.parse`` with a closed set of node types.
"""

import ast
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from foveate.actions.errors import ParseError
from foveate.actions.formats.places import OPENINGS
from foveate.actions.formats.values import MAX_ACTIONS, excerpt, narrow

_QUOTES: Mapping[str, str] = {'"': '"', "'": "'", "“": "”", "”": "”", "‘": "’", "’": "’", "＂": "＂", "＇": "＇"}
_ESCAPES: Mapping[str, str] = {
    "n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'",
    "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\n": "",
}  # fmt: skip
_HEX_DIGITS: Mapping[str, int] = {"x": 2, "u": 4, "U": 8}
_MAX_DEPTH = 12
_START = re.compile(r"[ \t]*(?:(?:[-*>•]|\d{1,3}[.)])[ \t]+)?(?=[A-Za-z_])")
_NAME = re.compile(r"[ \t]*((?:[A-Za-z_]\w{0,40}\.){0,3}[A-Za-z_]\w{0,40})[(（]", re.ASCII)
_SKIPPED = re.compile(
    r"(?:import [\w., ]+|from [\w.]+ import [\w.,* ]+|pass|pyautogui\.(?:PAUSE|FAILSAFE) ?= ?[\w.]+)", re.ASCII
)
_DIGITS = re.compile(r"(?<![\w.])\.?\d(?:[\w.]|(?<=[eE])[-+])*", re.ASCII)
_NUMERAL = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|0[xX][0-9a-fA-F]+", re.ASCII)
_LINE_END = re.compile(r"[\n;]")


@dataclass(frozen=True, slots=True)
class Call:
    """A call that a model wrote.

    Attributes:
        module: What stands before the last dot (``pyautogui``), or empty.
        name: The function's name.
        args: Positional arguments: texts, numbers, booleans, None, lists and dicts of these.
        kwargs: Named arguments.
    """

    module: str
    name: str
    args: tuple[object, ...]
    kwargs: Mapping[str, object]


def read_block(code: str, known: Callable[[str], bool], *, ended: bool) -> list[Call]:
    """Read a block that holds calls only, one a line or separated by ``;``, with comments and imports skipped.

    Args:
        code: The text between tags or fences.
        known: Tells whether a name is a function's.
        ended: True where a closing tag or fence followed, so that nothing was cut off at the end.

    Raises:
        ParseError: If anything else stands in it.
    """
    calls: list[Call] = []
    at = 0
    while at < len(code):
        start = _START.match(code, at)
        source, at, _ = _Scan(code, start.end() if start else at, known).statement(ended=ended)
        if source and not _SKIPPED.fullmatch(source):
            _append(calls, source)
    return calls


def read_lines(text: str, known: Callable[[str], bool]) -> list[Call]:
    """Read the calls that stand on lines of their own between lines of prose.

    Raises:
        ParseError: If a line begins with a known call and goes on with something else, or is cut off.
    """
    calls: list[Call] = []
    at = 0
    while at < len(text):
        start = _START.match(text, at)
        name = _NAME.match(text, start.end()) if start else None
        if start is None or name is None or not known(name[1]):
            ending = text.find("\n", at)
            at = len(text) if ending < 0 else ending + 1
            continue
        source, at, separator = _Scan(text, start.end(), known).statement(ended=False)
        _append(calls, source)
        while separator == ";":
            source, at, separator = _Scan(text, at, known).statement(ended=False)
            if source:
                _append(calls, source)
    return calls


def starts_call(text: str, known: Callable[[str], bool]) -> bool:
    """Tell whether some line of a text begins with a known call."""
    at = 0
    while at >= 0:
        start = _START.match(text, at)
        name = _NAME.match(text, start.end()) if start else None
        if name is not None and known(name[1]):
            return True
        at = text.find("\n", at)
        at = at + 1 if at >= 0 else -1
    return False


def read_literal(text: str) -> object:
    """Read a list or mapping as JSON or Python writes it: texts, numbers, true, None, lists, mappings.

    Raises:
        ParseError: If it is none, cut off or too deep.
    """
    source, at, _ = _Scan(text.strip().replace("\n", " "), 0, lambda name: False).statement(ended=False)
    if at < len(text.strip()):
        raise ParseError(f"expected one list or mapping, not {excerpt(text)}")
    return _value(_parsed(source), 0)


def _append(calls: list[Call], source: str) -> None:
    if len(calls) >= MAX_ACTIONS:
        raise ParseError(f"an answer holds at most {MAX_ACTIONS} actions")
    calls.append(_call(source))


class _Scan:
    """Reads one statement and writes it as clean Python."""

    def __init__(self, text: str, at: int, known: Callable[[str], bool]) -> None:
        self.text = text
        self.at = at
        self.known = known
        self.out: list[str] = []
        self.depth = 0

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

    def _step(self, char: str) -> None:
        text = self.text
        if char in _QUOTES:
            raw = bool(self.out) and self.out[-1] in ("r", "R") and not self._identifier(-2)
            if raw:
                self.out.pop()
            value, self.at = _string(text, self.at, raw=raw)
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
            if self.depth > _MAX_DEPTH:
                raise ParseError(f"arguments are nested at most {_MAX_DEPTH} deep")
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
        start = _START.match(self.text, self.at + 1)
        name = _NAME.match(self.text, start.end()) if start else None
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
    closer = _QUOTES[text[at]]
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


def _parsed(source: str) -> ast.expr:
    code = re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", "''", source)
    for digits in _DIGITS.findall(code):
        if not _NUMERAL.fullmatch(digits):
            raise ParseError(f"{excerpt(digits)} is no number")
    try:
        return ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as exc:
        raise ParseError(
            f"expected a call with literal arguments such as click(x=..., y=...), not {excerpt(source)}"
        ) from exc


def _call(source: str) -> Call:
    node = _parsed(source)
    if not isinstance(node, ast.Call):
        raise ParseError(f"expected a call such as click(x=..., y=...), not {excerpt(source)}")
    module, name = _function(node.func, source)
    kwargs: dict[str, object] = {}
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg in kwargs:
            raise ParseError(f"each argument is named once: {excerpt(source)}")
        kwargs[keyword.arg] = _value(keyword.value, 0)
    return Call(module, name, tuple(_value(item, 0) for item in node.args), kwargs)


def _function(node: ast.expr, source: str) -> tuple[str, str]:
    if isinstance(node, ast.Name):
        return "", node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.value.id, node.attr
    raise ParseError(f"expected a call by a function's name, not {excerpt(source)}")


def _value(node: ast.expr, depth: int) -> object:
    if depth > _MAX_DEPTH:
        raise ParseError(f"arguments are nested at most {_MAX_DEPTH} deep")
    match node:
        case ast.Constant(value=None | bool() | int() | float() | str() as value):
            return value
        case ast.Name(id="true"):
            return True
        case ast.Name(id="false"):
            return False
        case ast.Name(id="null"):
            return None
        case ast.Name(id=("inf" | "nan") as name):
            return math.inf if name == "inf" else math.nan
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=ast.Constant(value=int() | float() as value)):
            return -value if isinstance(sign, ast.USub) else +value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item, depth + 1) for item in items]
        case ast.Dict(keys=keys, values=values):
            return {_key(key): _value(value, depth + 1) for key, value in zip(keys, values, strict=True)}
    raise ParseError(f"arguments are literals (texts, numbers, lists), not {type(node).__name__}")


def _key(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise ParseError("a mapping's keys are texts")
