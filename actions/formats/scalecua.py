"""ScaleCUA's form: ``<think>``, ``<operation>`` and ``<action>`` with one call a line; R1's ``<answer>`` is the same.

Source: ScaleCUA's prompt templates and conversation.py. Its own parser cuts a text at a comma or bracket and reads an
empty action as a wait; here the first is kept whole and the second is an error.
"""

import re

from foveate.actions.errors import ParseError
from foveate.actions.formats.bodies import Draft, read_body
from foveate.actions.formats.reading import Reading

_OPEN = re.compile(r"<(?:action|answer)>", re.IGNORECASE)
_CLOSE = re.compile(r"</(?:action|answer)>", re.IGNORECASE)
OPERATION = re.compile(r"<operation>", re.IGNORECASE)
"""What opens the sentence for the history."""

_CLOSED_OPERATION = re.compile(r"<operation>(.{0,5000}?)</operation>", re.IGNORECASE | re.DOTALL)

OPERATION_END = re.compile(r"</operation>|<(?:action|answer)>", re.IGNORECASE)
"""What ends it: its closing tag, or the action where that was forgotten."""


def detect(text: str) -> bool:
    """Tell whether a text is in this form."""
    return any(tag.search(text) is not None for tag in (_OPEN, _CLOSE, OPERATION))


def read(text: str, reading: Reading) -> Draft:
    """Read a text in this form; several ``<action>`` blocks are read in order.

    Raises:
        ParseError: If a block is empty or holds anything but calls.
        OutOfFrame: If a place lies outside the frame.
    """
    quoted = _quoting(text)
    draft = Draft(operation=quoted[1].strip() if quoted else _operation(text))
    for body, ended in _blocks(text[quoted.end() :] if quoted else text):
        if not body.strip():
            raise ParseError("no action: <action> is empty")
        draft.found.extend(read_body(body, reading, ended=ended).found)
    return draft


def _quoting(text: str) -> "re.Match[str] | None":
    """Find an operation that itself holds an action, as a quotation: closed, with another action after it."""
    found = _CLOSED_OPERATION.search(text)
    if found is None or not _OPEN.search(found[1]) or not _OPEN.search(text, found.end()):
        return None
    return None if _OPEN.search(text, 0, found.start()) else found


def _operation(text: str) -> str:
    opening = OPERATION.search(text)
    if opening is None:
        return ""
    ending = OPERATION_END.search(text, opening.end())
    return text[opening.end() : ending.start() if ending else len(text)].strip()


def _blocks(text: str) -> list[tuple[str, bool]]:
    """Give each block and whether it was closed; the last closing tag counts, for a text may hold one itself."""
    openings = [opening.span() for opening in _OPEN.finditer(text)]
    if not openings:  # the opening tag was prefilled or forgotten
        operation = text.lower().rfind("</operation>")
        if operation < 0 and not _CLOSE.search(text):
            raise ParseError("no action: <operation> is a sentence, and no <action> follows it")
        begin = operation + len("</operation>") if operation >= 0 else 0
        openings = [(begin, begin)]
    ends = [begin for begin, _ in openings[1:]] + [len(text)]
    blocks = []
    for (_, begin), end in zip(openings, ends, strict=True):
        closings = list(_CLOSE.finditer(text, begin, end))
        blocks.append((text[begin : closings[-1].start() if closings else end], bool(closings)))
    return blocks
