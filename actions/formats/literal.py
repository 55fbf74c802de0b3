"""Calls with literal arguments, read from text by ``ast``; nothing is ever executed.

``scan`` makes Python of what models write; here is the second pass, ``ast.parse`` with a closed set of node types.
"""

import ast
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from foveate.actions.errors import ParseError
from foveate.actions.formats.scan import MAX_DEPTH, START, Scan
from foveate.actions.formats.values import MAX_ACTIONS, Numeral, excerpt

SKIPPED = re.compile(
    r"(?:import [\w., ]+|from [\w.]+ import [\w.,* ]+|pass|pyautogui\.(?:PAUSE|FAILSAFE) ?= ?[\w.]+)", re.ASCII
)
_DIGITS = re.compile(r"(?<!\w)\.?\d(?:[\w.]|(?<=[eE])[-+])*", re.ASCII)
_NUMERAL = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)


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
        start = START.match(code, at)
        source, at, _ = Scan(code, start.end() if start else at, known).statement(ended=ended)
        if source and not SKIPPED.fullmatch(source):
            append_call(calls, source)
    return calls


def read_literal(text: str) -> object:
    """Read a list or mapping as JSON or Python writes it: texts, numbers, true, None, lists, mappings.

    Raises:
        ParseError: If it is none, cut off or too deep.
    """
    source, at, _ = Scan(text.strip().replace("\n", " "), 0, lambda name: False).statement(ended=False)
    if at < len(text.strip()):
        raise ParseError(f"expected one list or mapping, not {excerpt(text)}")
    return _value(_parsed(source), 0)


def append_call(calls: list[Call], source: str) -> None:
    """Read a statement as a call and add it to those before.

    Raises:
        ParseError: If it is none, or one too many.
    """
    if len(calls) >= MAX_ACTIONS:
        raise ParseError(f"an answer holds at most {MAX_ACTIONS} actions")
    calls.append(_call(source))


def _parsed(source: str) -> ast.expr:
    code = re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", "''", source)
    for digits in _DIGITS.findall(code):
        if not _NUMERAL.fullmatch(digits):
            raise ParseError(f"{excerpt(digits)} is no number")
    try:
        tree = ast.parse(source, mode="eval").body
    # SystemError: Python 3.11 can lose count of an expression's depth (gh-106905); the answer is asked for again
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError, SystemError) as exc:
        raise ParseError(
            f"expected a call with literal arguments such as click(x=..., y=...), not {excerpt(source)}"
        ) from exc
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            node.value = Numeral(ast.get_source_segment(source, node) or str(node.value))
    return tree


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
    if depth > MAX_DEPTH:
        raise ParseError(f"arguments are nested at most {MAX_DEPTH} deep")
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
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=Numeral() as value)):
            return Numeral(f"-{value.written}")
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=ast.Constant(value=int() | float() as value)):
            return -value if isinstance(sign, ast.USub) else +value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item, depth + 1) for item in items]
        case ast.Dict(keys=keys, values=values):
            return _mapping(keys, values, depth)
    raise ParseError(f"arguments are literals (texts, numbers, lists), not {type(node).__name__}")


def _mapping(keys: list[ast.expr | None], items: list[ast.expr], depth: int) -> dict[str, object]:
    found: dict[str, object] = {}
    for node, item in zip(keys, items, strict=True):
        key = _key(node)
        if key in found:
            raise ParseError(f"a mapping gives {excerpt(key)} twice")
        found[key] = _value(item, depth + 1)
    return found


def _key(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise ParseError("a mapping's keys are texts")
