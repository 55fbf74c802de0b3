"""String literals of actions, written so that no tag, fence or label in them can be taken for the answer's own.

What a model types may hold ``<action>``, ``</think>`` or three backticks. Before anything is looked for in an answer,
the strings of its calls and of its JSON are rewritten with escapes, which their readers undo, and what stands in the
brackets of a verb's line with noncharacters, which ``lines.restored`` undoes. Thoughts and operations are left alone:
nothing in them is read.
"""

import json
import re
from collections.abc import Callable

from foveate.actions.errors import ParseError
from foveate.actions.formats import harmony, lines, scalecua, thought
from foveate.actions.formats.scan import QUOTES, Literal, Scan
from foveate.actions.formats.values import excerpt

_MARK = re.compile(
    r"<\s{0,3}[/|]?\s{0,3}[a-z]|```|\[/?THINK\]|◁|^[ \t*]{0,9}Actions?[ \t*]{0,9}[:：]", re.IGNORECASE | re.MULTILINE
)
_IN_STRING = re.compile(r"[<◁\n]|```|\[/?THINK\]", re.IGNORECASE)
_SQUARE = re.compile(r"\[(?=/?THINK\])", re.IGNORECASE)
_ESCAPES = str.maketrans({"<": "\\u003c", "`": "\\u0060", "◁": "\\u25c1"})

_JSON = re.compile(r"\{(?=\s{0,100}[\"'])")
_VERB = re.compile(rf"(?:^|(?<=>)){lines.VERB.pattern}", lines.VERB.flags)
_CALL = re.compile(
    r"(?:^[ \t]*(?:(?:[-*>•]|\d{1,3}[.)])[ \t]+)?|[>:：;；`][ \t]*)"
    r"(?=(?P<name>(?:[A-Za-z_]\w{0,40}\.){0,3}[A-Za-z_]\w{0,40})[(（])",
    re.MULTILINE | re.ASCII,
)
_DOUBLE = re.compile(r'"(?:[^"\\\n]|\\.)*("?)')
_DECODER = json.JSONDecoder()
_TRIES = 20


def shielded(text: str, known: Callable[[str], bool]) -> str:
    """Rewrite the strings of a text's actions.

    Args:
        text: The whole answer.
        known: Tells whether a name is a function's.

    Raises:
        ParseError: If a string that holds a tag is not closed, for then no one can tell whose the tag is.
    """
    if lines.MASKS.search(text):
        raise ParseError("the answer holds a noncharacter, which no text does")
    return _Shield(text, known).written() if _MARK.search(text) else text


class _Shield:
    """Goes through a text once, from action to action, past its thoughts."""

    def __init__(self, text: str, known: Callable[[str], bool]) -> None:
        self.text = text
        self.known = known
        self.at = 0 if harmony.detect(text) else harmony.glued(text)
        self.tries = 0
        self.parts: list[str] = []
        self.copied = 0

    def written(self) -> str:
        """Give the text with its strings rewritten."""
        kinds = (
            (thought.TAG, self._thought),
            (harmony.QUIET, self._quiet),
            (scalecua.OPERATION, self._operation),
            (_JSON, self._json),
            (_VERB, self._verb),
            (_CALL, self._call),
        )
        ahead: list[re.Match[str] | None] = [pattern.search(self.text, self.at) for pattern, _ in kinds]
        while any(ahead):
            first = min((match.start(), index) for index, match in enumerate(ahead) if match)[1]
            match = ahead[first]
            assert match is not None  # noqa: S101 - it was chosen among those that are there
            self.at = max(match.end(), match.start() + 1)
            kinds[first][1](match)
            for index, (pattern, _) in enumerate(kinds):
                found = ahead[index]
                if found is not None and found.start() < self.at:
                    ahead[index] = pattern.search(self.text, self.at)
        return "".join((*self.parts, self.text[self.copied :]))

    def _replace(self, begin: int, end: int, new: str) -> None:
        self.parts += (self.text[self.copied : begin], new)
        self.copied = end

    def _thought(self, tag: re.Match[str]) -> None:
        if not tag["empty"] and not thought.family(tag)[1]:
            self.at = thought.end_of(self.text, tag)

    def _quiet(self, opening: re.Match[str]) -> None:
        ending = harmony.ENDING.search(self.text, opening.end())
        self.at = ending.start() if ending else len(self.text)

    def _operation(self, opening: re.Match[str]) -> None:
        ending = scalecua.OPERATION_END.search(self.text, opening.end())
        self.at = ending.start() if ending else len(self.text)

    def _call(self, match: re.Match[str]) -> None:
        if self.known(match["name"]):
            self._scan(match.start("name"))

    def _scan(self, begin: int) -> None:
        """Rewrite the strings up to the bracket that closes the first one."""
        scan = Scan(self.text, begin, self.known)
        try:
            scan.bracketed()
        except ParseError:
            if self.text[scan.at : scan.at + 1] in QUOTES and _MARK.search(self.text, scan.at):
                raise
        for literal in scan.strings:
            self._literal(literal)
        self.at = max(self.at, scan.at)

    def _literal(self, literal: Literal) -> None:
        if _IN_STRING.search(literal.value):
            self._replace(literal.begin, literal.end, _escaped(json.dumps(literal.value, ensure_ascii=False)))

    def _json(self, match: re.Match[str]) -> None:
        if self.text[match.end() :].lstrip()[:1] == "'":
            self._scan(match.start())
            return
        self.tries += 1
        if self.tries > _TRIES:
            return
        try:
            end = _DECODER.raw_decode(self.text, match.start())[1]
            self.tries -= 1
        except (ValueError, RecursionError):
            end = len(self.text)
        for literal in _DOUBLE.finditer(self.text, match.start(), end):
            if _IN_STRING.search(literal[0]):
                if not literal[1]:
                    raise ParseError(f"the string {excerpt(literal[0])} is not closed")
                self._replace(literal.start(), literal.end(), _escaped(literal[0]))
        self.at = max(self.at, end)

    def _verb(self, match: re.Match[str]) -> None:
        ending = self.text.find("\n", match.end())
        end = ending if ending >= 0 else len(self.text)
        row = self.text[match.end() : end]
        if not _IN_STRING.search(row):
            return
        masked, open_ = lines.masked(row)
        if open_ and _MARK.search(row):
            raise ParseError(f"the bracket is not closed: {excerpt(row)}")
        self._replace(match.end(), end, masked)
        self.at = end


def _escaped(literal: str) -> str:
    return _SQUARE.sub("\\\\u005b", literal.translate(_ESCAPES))
