"""UI-TARS: ``Thought: ...`` and ``Action: click(start_box='(x1,y1)')``, versions 1 and 1.5, several actions an answer.

The scale is the convention's: version 1 writes 0..1000, version 1.5 pixels of the resized image, with the same tags.
``hotkey(key='ctrl c')`` is a chord, a newline at a text's end is Enter and stays one, ``finished(content=...)`` is the
answer and the end of the task.

Source: UI-TARS's prompt.py and action_parser.py, whose failures on double quotes, full-width colons, texts without
``Action:`` and fractions are tested here.
"""

import itertools
import re

from foveate.actions.errors import ParseError
from foveate.actions.formats import calls
from foveate.actions.formats.bodies import Draft, fences, read_body, read_word
from foveate.actions.formats.literal import read_block
from foveate.actions.formats.pointer_calls import Reader
from foveate.actions.formats.prose import read_inline, read_lines, starts_call
from foveate.actions.formats.reading import Reading

_ACTION = re.compile(r"^[ \t*]{0,9}Actions?[ \t*]{0,9}[:：][*]{0,2}", re.MULTILINE | re.IGNORECASE)
_SECTION = re.compile(
    r"^[ \t*]{0,9}(Thought|Reflection|Action_Summary|Observation|Actions?)[ \t*]{0,9}[:：][*]{0,2}",
    re.MULTILINE | re.IGNORECASE,
)
_FUNCTIONS: dict[str, tuple[tuple[str, ...], Reader]] = {**calls.FUNCTIONS, "wait": (("seconds",), calls.wait(5.0))}


def detect(text: str) -> bool:
    """Tell whether a line of a text begins with ``Action:``."""
    return _ACTION.search(text) is not None


def read(text: str, reading: Reading) -> Draft:
    """Read a text in this form; a later ``Thought:`` or ``Observation:`` ends what is read.

    Raises:
        ParseError: If no call follows ``Action:``.
        OutOfFrame: If a place lies outside the frame.
    """
    sections = [(match[1].lower(), match.start(), match.end()) for match in _SECTION.finditer(text)]
    first = next(
        index
        for index, section in enumerate(sections)
        if section[0].startswith("action") and section[0] != "action_summary"
    )
    draft = Draft(thought=_before(text, sections[:first], sections[first][1]))
    draft.operation = _summary(text, sections[: first + 1])
    for index in range(first, len(sections)):
        name, _, begin = sections[index]
        if not name.startswith("action"):
            break
        end = sections[index + 1][1] if index + 1 < len(sections) else len(text)
        _read_section(text[begin:end].strip(), reading, draft, whole=index + 1 < len(sections))
    return draft


def _read_section(body: str, reading: Reading, draft: Draft, *, whole: bool) -> None:
    body = body.strip("`").strip() if "```" not in body else body
    if not body:
        raise ParseError("no action: nothing follows Action:")
    if "```" in body:
        for inner, closed in fences(body):
            draft.found.extend(read_body(inner, reading, ended=closed).found)
        draft.operation = draft.operation or body.split("```", 1)[0].strip()
        return
    word = read_word(body, reading)
    if word is not None:
        draft.found.extend(word)
    elif starts_call(body.split("\n", 1)[0], calls.known):
        for call in read_block(body, calls.known, ended=whole):
            draft.found.extend(calls.read_call(call, reading, _FUNCTIONS))
    elif starts_call(body, calls.known) and "\n" in body:
        # Aguvis names the action in a sentence and writes the call below it.
        draft.operation = draft.operation or body.split("\n", 1)[0].strip()
        for call in read_lines(body, calls.known):
            draft.found.extend(calls.read_call(call, reading, _FUNCTIONS))
    else:
        within = read_inline(body, calls.known) if "\n" in body else None
        if within is not None:  # CogAgent, likewise: "Grounded Operation: CLICK(...)"
            draft.operation = draft.operation or body.split("\n", 1)[0].strip()
        found = calls.read_call(within, reading) if within else read_body(body, reading, ended=whole).found
        draft.found.extend(found)


def _before(text: str, sections: list[tuple[str, int, int]], end: int) -> str:
    """Give the thought: what stands before the action, without its label."""
    if not sections:
        return text[:end].strip()
    ends = [section[1] for section in sections[1:]] + [end]
    parts = [
        text[begin:stop].strip()
        for (name, _, begin), stop in zip(sections, ends, strict=True)
        if name != "action_summary"
    ]
    return "\n".join(part for part in (text[: sections[0][1]].strip(), *parts) if part)


def _summary(text: str, sections: list[tuple[str, int, int]]) -> str:
    for (name, _, begin), (_, end, _) in itertools.pairwise(sections):
        if name == "action_summary":
            return text[begin:end].strip()
    return ""
