"""What stands between tags or fences, or is the whole text: JSON, calls, a bare place or a word such as DONE."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from foveate.actions.errors import ParseError
from foveate.actions.formats import calls, internvl, json_calls, lines
from foveate.actions.formats.literal import read_block
from foveate.actions.formats.reading import Found, Reading
from foveate.actions.formats.values import MAX_ACTIONS

_FENCE = "```"
_LANGUAGES = frozenset({"", "python", "py", "python3", "json", "code", "plaintext", "text", "tool_code", "pyautogui"})
_WORDS: Mapping[str, Mapping[str, object]] = {
    "WAIT": {"kind": "wait", "duration_s": 3.0},
    "DONE": {"kind": "terminate", "status": "success"},
    "FAIL": {"kind": "terminate", "status": "failure"},
    "STOP": {"kind": "stop"},
}


@dataclass(slots=True)
class Draft:
    """What a format found in a text.

    Attributes:
        found: The actions in order.
        thought: Reasoning outside ``<think>`` tags.
        operation: A sentence for the history.
    """

    found: list[Found] = field(default_factory=list)
    thought: str = ""
    operation: str = ""


def read_word(text: str, reading: Reading) -> list[Found] | None:
    """Read OSWorld's WAIT, DONE and FAIL, or STOP, where the text is that word alone; None where it is not."""
    word = text.strip().strip("`*.!\"'。 \n") if len(text) < 40 else ""
    fields = dict(_WORDS.get(word, {}))
    return [reading.make(str(fields.pop("kind")), None, **fields)] if fields else None


def read_body(body: str, reading: Reading, *, ended: bool) -> Draft:
    """Read a text that holds actions only.

    Args:
        body: The text.
        reading: What places are read with.
        ended: True where a closing tag or fence followed it.

    Raises:
        ParseError: If it holds anything else.
        OutOfFrame: If a place lies outside the frame.
    """
    bare = body.strip()
    if _FENCE in bare and bare.startswith(_FENCE):
        fenced = [read_body(inner, reading, ended=closed).found for inner, closed in fences(bare)]
        return Draft([found for part in fenced for found in part])
    word = read_word(bare, reading)
    if word is not None:
        return Draft(word)
    if json_calls.detect(bare):
        return Draft(json_calls.read(bare, reading))
    if internvl.detect(bare) and bare[:1] in "<[(":
        return Draft(internvl.read(bare, reading))
    if lines.only(bare):
        return Draft(lines.read(bare, reading))
    found: list[Found] = []
    for call in read_block(body, calls.known, ended=ended):
        found += calls.read_call(call, reading)
        if len(found) > MAX_ACTIONS:
            raise ParseError(f"an answer holds at most {MAX_ACTIONS} actions")
    return Draft(found)


def fences(text: str) -> Iterator[tuple[str, bool]]:
    """Give what stands in each fence of three backticks, and whether the fence was closed."""
    at = text.find(_FENCE)
    while at >= 0:
        begin = at + len(_FENCE)
        end = text.find(_FENCE, begin)
        inner = text[begin : end if end >= 0 else len(text)]
        first, newline, rest = inner.partition("\n")
        if newline and first.strip().lower() in _LANGUAGES:
            inner = rest
        elif not newline and " " in inner and first.split(" ", 1)[0].lower() in _LANGUAGES - {""}:
            inner = inner.split(" ", 1)[1]
        yield inner, end >= 0
        at = text.find(_FENCE, end + len(_FENCE)) if end >= 0 else -1
