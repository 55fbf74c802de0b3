"""Calls between lines of prose, told from code: what Python would not do once and unconditionally is never done.

A line beside the calls that is Python (``if x:``, ``def f():``, ``x = 1``, ``exit()``), an open bracket and a
triple-quoted string all mean that the calls are part of a program, which nothing here runs.
"""

import ast
import re
from collections.abc import Callable

from foveate.actions.errors import ParseError
from foveate.actions.formats import refusals
from foveate.actions.formats.literal import SKIPPED, Call, append_call
from foveate.actions.formats.scan import NAME, START, Scan
from foveate.actions.formats.values import excerpt

_BULLET = re.compile(r"[ \t]*(?:(?:[-*>•]|\d{1,3}[.)])[ \t]+)?")
_CLAUSES = r"(?:if|elif|else|for|while|with|try|except|finally|def|class|async|match|case)"
_CODE = re.compile(
    rf"{_CLAUSES}\b|(?:return|raise|assert|del|break|continue|yield|await|lambda)\b|@\w|.*(?:\w\(|=|\blambda\b|\bfor\b)"
)
_BRANCH = re.compile(r"(?:else|try|finally|(?:elif|except|case)\b[^:]*)\s*:|except\s*:")
_HEADER = re.compile(rf"{_CLAUSES}\b[^.!?,:：]*$")
_OPEN = re.compile(r"(?:^|[\w\])=(,])\s*[(\[{]$|\\$")
_INLINE = re.compile(r"[:：][ \t]*[`*]{0,3}(?=((?:[A-Za-z_]\w{0,40}\.){0,3}[A-Za-z_]\w{0,40})\()", re.ASCII)
_TICKED = re.compile(r"^([ \t]*)`([^`\n]{1,2000})`[ \t]*$", re.MULTILINE)
_NODES = (ast.Call, ast.Lambda, ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp, ast.Await, ast.NamedExpr)
_HARMLESS = (ast.Import, ast.ImportFrom, ast.Pass, ast.Global, ast.Nonlocal)
_STRING = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_NUMERAL = re.compile(r"(?<!\w)\.?\d[\w.]*")
_MAX_CODE = 2_000


def read_lines(text: str, known: Callable[[str], bool]) -> list[Call]:
    """Read the calls that stand on lines of their own between lines of prose.

    Raises:
        ParseError: If a line begins with a known call and goes on with something else, or is cut off; if a line
            between them is code; if the prose forbids an action.
    """
    text = _TICKED.sub(r"\1\2", text)
    calls: list[Call] = []
    prose: list[str] = []
    at, behind = 0, 0
    while at < len(text):
        start = START.match(text, at)
        name = NAME.match(text, start.end()) if start else None
        if start is None or name is None or not known(name[1]):
            ending = text.find("\n", at)
            at = len(text) if ending < 0 else ending + 1
            continue
        prose.append(text[behind:at])
        check_flat(prose[-1], indent=start.end() - at)
        source, at, separator = Scan(text, start.end(), known).statement(ended=False)
        append_call(calls, source)
        while separator == ";":
            source, at, separator = Scan(text, at, known).statement(ended=False)
            if source:
                append_call(calls, source)
        behind = at
    prose.append(text[behind:])
    if calls:
        check_flat(prose[-1])
        refusals.check(prose)
    return calls


def read_inline(text: str, known: Callable[[str], bool]) -> Call | None:
    """Read the one call that ends a line of prose after a colon: ``I press OK: click(x=0.5, y=0.5)``.

    Returns:
        The call; None where there is none.

    Raises:
        ParseError: If there are several, one is wrong, or the prose around it is code or forbids it.
    """
    found = next((match for match in _INLINE.finditer(text) if known(match[1])), None)
    if found is None:
        return None
    scan = Scan(text, found.end(), known)
    if not scan.bracketed():
        raise ParseError(f"the call is cut off: {excerpt(text[found.end() :])}")
    ending = text.find("\n", scan.at)
    rest = text[scan.at : ending if ending >= 0 else len(text)]
    before, after = text[: found.start() + 1], text[ending:] if ending >= 0 else ""
    if rest.strip("`*. \t\r。") or any(known(match[1]) for match in _INLINE.finditer(after)):
        raise ParseError(f"expected one call, at its line's end, not {excerpt(text[found.end() :])}")
    check_flat(before, within=True)
    check_flat(after)
    refusals.check((before, after))
    calls: list[Call] = []
    append_call(calls, Scan(text[found.end() : scan.at], 0, known).statement(ended=True)[0])
    return calls[0]


def starts_call(text: str, known: Callable[[str], bool]) -> bool:
    """Tell whether some line of a text begins with a known call."""
    at = 0
    while at >= 0:
        start = START.match(text, at)
        name = NAME.match(text, start.end()) if start else None
        if name is not None and known(name[1]):
            return True
        at = text.find("\n", at)
        at = at + 1 if at >= 0 else -1
    return False


def check_flat(prose: str, *, indent: int = 0, within: bool = False) -> None:
    """Check that what stands before, between or after actions is prose and no code around them.

    Args:
        prose: The text up to the action, or behind the last one.
        indent: Characters that stand before the action on its line.
        within: True where the action stands on the prose's last line.

    Raises:
        ParseError: If a line is a statement of Python's, or a bracket or triple-quoted string is open.
    """
    opened = 0
    last = ""
    for row in prose.split("\n"):
        line = row[_BULLET.match(row).end() :].strip()  # type: ignore[union-attr]
        if not line or line.startswith("#"):
            continue
        opened = max(0, opened + sum(map(line.count, "([{")) - sum(map(line.count, ")]}")))
        if line.count("'''") % 2 or line.count('"""') % 2 or _OPEN.search(line) or _is_code(line):
            raise _not_flat(line)
        last = row
    bare = last.lstrip()
    header = indent > len(last) - len(bare) and _HEADER.match(bare) is not None and not within
    if opened or header:
        raise _not_flat(bare)


def check_lead(prose: str) -> None:
    """Check that what stands before an action of JSON or a place is not the head of a statement of Python's.

    Raises:
        ParseError: If it is, or a triple-quoted string is open.
    """
    rows = [row for row in prose[-_MAX_CODE:].split("\n") if row.strip()]
    last = rows[-1][_BULLET.match(rows[-1]).end() :].strip() if rows else ""  # type: ignore[union-attr]
    if prose.count("'''") % 2 or prose.count('"""') % 2 or (last and _is_code(last)):
        raise _not_flat(last)


def _not_flat(line: str) -> ParseError:
    return ParseError(
        f"expected flat calls with literal arguments such as click(x=..., y=...), one a line, and no code around them: "
        f"{excerpt(line)}"
    )


def _is_code(line: str) -> bool:
    """Tell whether a line is a statement of Python's that does something, or the head of one."""
    if SKIPPED.fullmatch(line) or not _CODE.match(line) or len(line) > _MAX_CODE:
        return False
    if _BRANCH.match(line):
        return True
    # Without its strings and numerals a line cannot make the tokenizer warn.
    bare = _NUMERAL.sub("0", _STRING.sub("''", line))
    for suffix in ("", " pass", " 0"):
        if suffix and not line.endswith(":") and not line.startswith("@"):
            continue
        try:
            body = ast.parse(bare + (suffix if not line.startswith("@") else "\ndef f(): pass")).body
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            continue
        return any(_acts(node, line) for node in body)
    return False


def _acts(node: ast.stmt, line: str) -> bool:
    if isinstance(node, ast.Expr):
        # A blank before the bracket is prose: "Settings (gear)".
        glued = re.search(r"[\w\])]\(", line) is not None
        return any(isinstance(item, _NODES) and (glued or not isinstance(item, ast.Call)) for item in ast.walk(node))
    if isinstance(node, ast.AnnAssign):
        return node.value is not None
    return not isinstance(node, _HARMLESS)
