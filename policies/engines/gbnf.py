"""Regular expressions as GBNF, the grammars of llama.cpp.

Both have literals, classes, groups, alternatives and repetition; they differ in how characters are written. What GBNF
has no word for (anchors, look-around, references, lazy repetition) is refused.
"""

import re
from collections.abc import Iterator
from typing import Final

from foveate.actions.errors import ModelUnavailable

_PIECE: Final = re.compile(
    r"(?P<escape>\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.))"
    r"|(?P<open>\((?:\?:)?(?!\?))"
    r"|(?P<close>\))"
    r"|(?P<choice>\|)"
    r"|(?P<times>(?:[*+?]|\{\d+(?:,\d*)?\})(?![?+]))"
    r"|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])"
    r"|(?P<any>\.)"
    r"|(?P<plain>[^\\()|*+?{}\[\]^$])",
    re.DOTALL,
)
_MEMBER: Final = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)|.", re.DOTALL)
_NAMED: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_CLASSES: Final = {"d": "0-9", "w": "0-9A-Z_a-z", "s": r"\t\n\x0B\x0C\r "}


def gbnf(pattern: str) -> str:
    """Write a regular expression as a grammar that takes the same texts, from their first character to their last.

    Raises:
        ModelUnavailable: If it is none, or holds what GBNF has no word for; names it.
    """
    try:
        re.compile(pattern)
    except re.error as exc:
        raise ModelUnavailable(f"the grammar {pattern[:80]!r} is no regular expression: {exc}") from exc
    return " ".join(("root ::=", *_written(pattern))) + "\n"


def _written(pattern: str) -> Iterator[str]:
    at, before = 0, "|"
    while at < len(pattern):
        found = _PIECE.match(pattern, at)
        if found is None or found.lastgroup is None:
            raise _inexpressible(pattern, at)
        text, kind = found[0], found.lastgroup
        if kind == "escape" and text[1] in _CLASSES:
            yield f"[{_CLASSES[text[1]]}]"
        elif kind in ("escape", "plain"):
            yield f'"{_quoted(_character(text, pattern, at))}"'
        elif kind == "set":
            yield _set(text, pattern, at)
        elif kind == "any":
            yield r"[^\n]"
        elif kind in ("choice", "close") and before in ("|", "("):
            yield f'"" {text}'  # nothing is a choice too
        else:
            yield "(" if kind == "open" else text
        at, before = found.end(), text[0]
    if before == "|":
        yield '""'


def _set(text: str, pattern: str, at: int) -> str:
    """Write a class of characters."""
    inside = text[1:-1]
    negated = inside.startswith("^")
    parts: list[str] = []
    for member in _MEMBER.findall(inside[negated:]):
        if len(member) > 1 and member[1] in _CLASSES:
            parts.append(_CLASSES[member[1]])
        elif member == "-" and parts:
            parts.append("-")
        else:
            parts.append(_code(_character(member, pattern, at)))
    return f"[{'^' if negated else ''}{''.join(parts)}]"


def _character(text: str, pattern: str, at: int) -> str:
    """Give the character that an escape, or a character itself, stands for."""
    if len(text) == 1:
        return text
    if text[1] in "xuU" and len(text) > 2:
        return chr(int(text[2:], 16))
    if text[1] in _NAMED:
        return _NAMED[text[1]]
    if text[1].isalnum():
        raise _inexpressible(pattern, at)
    return text[1]


def _quoted(character: str) -> str:
    return character if character.isalnum() or character in " .,;:=<>()/_-'" else _code(character)


def _code(character: str) -> str:
    """Write a character by its number, where it is none of the plain ones."""
    if character.isascii() and character.isalnum():
        return character
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02X}"
    return f"\\u{number:04X}" if number < 0x10000 else f"\\U{number:08X}"


def _inexpressible(pattern: str, at: int) -> ModelUnavailable:
    return ModelUnavailable(
        f"the grammar holds {pattern[at : at + 12]!r}, for which llama.cpp has no word: write it with classes, groups "
        "and repetition, or leave the grammar out"
    )
