"""GPT-OSS's channels: ``<|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>final<|message|>...``.

InternVL3.5's 20B is built on it. ``analysis`` is a thought, ``commentary`` to a function is a call, ``commentary`` to
nobody is said to the user, ``final`` is the answer. A tokenizer that drops special tokens leaves
``analysis...assistantfinal...``.

Source: OpenAI's harmony response format; InternVL's conversation template internvl3_5_gpt_oss.
"""

import re
from dataclasses import dataclass, field

from foveate.actions.errors import ParseError
from foveate.actions.formats.values import excerpt

QUIET = re.compile(r"<\|channel\|>\s{0,9}(?:analysis\b|commentary\s{0,9}<\|message\|>)")
"""What opens a message that is never read for actions."""

ENDING = re.compile(r"<\|(?:start|end|return|call|channel)\|>")
"""What ends a message."""

_START = re.compile(r"\s{0,9}(?:<\|start\|>)?\s{0,9}(?:assistant)?\s{0,9}(?:to=[\w.-]{1,80})?\s{0,9}<\|channel\|>")
_BETWEEN = re.compile(r"<\|start\|>\s{0,9}assistant[^<]{0,200}<\|channel\|>")
_HEAD = re.compile(
    r"(?:\s{0,9}<\|start\|>)?\s{0,9}(?:assistant)?\s{0,9}(?:to=(?P<early>[\w.-]{1,80}))?\s{0,9}"
    r"<\|channel\|>\s{0,9}(?P<channel>\w{1,40})\s{0,9}(?:to=(?P<late>[\w.-]{1,80}))?"
    r"\s{0,9}(?:(?:<\|constrain\|>)?\s{0,9}\w{1,20})?\s{0,9}<\|message\|>"
)
_REST = re.compile(r"(?:\s|<\|(?:end|return|call)\|>)*(?:<\|start\|>\s{0,9}(?:assistant)?\s{0,9})?\Z")
_GLUED = re.compile(r"\s{0,9}analysis(?=[A-Z<\[{`\"(]|\n)")
_GLUED_FINAL = re.compile(r"\s{0,9}final(?=[<\[{`]|[A-Za-z_.]{1,60}\()")


@dataclass(slots=True)
class _Messages:
    thoughts: list[str] = field(default_factory=list)
    finals: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)


def detect(text: str) -> bool:
    """Tell whether a text is in channels, tokens and all."""
    return _START.match(text) is not None or _BETWEEN.search(text) is not None


def glued(text: str) -> int:
    """Give where the answer begins in a text whose special tokens were dropped: 0 where it is no such text.

    Raises:
        ParseError: If there is a thought only.
    """
    final = text.rfind("assistantfinal")
    if text.lstrip().startswith("analysis") and final >= 0:
        return final + len("assistantfinal")
    if _GLUED.match(text):
        raise ParseError("no action: the thought is not closed by a final channel, so the answer was cut off")
    head = _GLUED_FINAL.match(text)
    return head.end() if head else 0


def unwrap(text: str) -> tuple[str, str]:
    """Take an answer out of its channels; a text without any stays as it is.

    Returns:
        The answer, a call as Qwen's ``<tool_call>``, and the thoughts joined by newlines.

    Raises:
        ParseError: If a thought is not closed, a channel or function is not known, or both a call and an answer stand.
    """
    if not detect(text):
        begin = glued(text)
        thought = text[:begin].strip().removeprefix("analysis").removesuffix("assistantfinal").removesuffix("final")
        return text[begin:], thought.strip()
    found = _Messages()
    at = 0
    first = ENDING.search(text)
    if first is not None and not _START.match(text):  # the analysis channel's mark was prefilled
        found.thoughts.append(text[: first.start()])
        at = first.start()
    while not _REST.match(text, at):
        at = _message(text, _skip(text, at), found)
    if found.calls and found.finals:
        raise ParseError("an answer is one final message or calls of functions, not both")
    return "\n".join(found.calls or found.finals), "\n".join(item for raw in found.thoughts if (item := raw.strip()))


def _skip(text: str, at: int) -> int:
    """Skip what ended the message before."""
    ended = re.compile(r"(?:\s|<\|(?:end|return|call)\|>){0,64}").match(text, at)
    return ended.end() if ended else at


def _message(text: str, at: int, found: _Messages) -> int:
    head = _HEAD.match(text, at)
    if head is None:
        raise ParseError(f"expected a message in a channel, <|channel|>final<|message|>..., not {excerpt(text[at:])}")
    ending = ENDING.search(text, head.end())
    body = text[head.end() : ending.start() if ending else len(text)]
    recipient = head["early"] or head["late"]
    match head["channel"], recipient:
        case "analysis", _:
            if ending is None:
                raise ParseError("no action: the thought is not closed by <|end|>, so the answer was cut off")
            found.thoughts.append(body)
        case "commentary", None:
            found.thoughts.append(body)
        case "commentary", str() if recipient.startswith("functions."):
            name = recipient.removeprefix("functions.")
            found.calls.append(f'<tool_call>{{"name": "{name}", "arguments": {body.strip()}}}</tool_call>')
        case "final", None:
            found.finals.append(body)
        case _:
            raise ParseError(f"the channel {head['channel']} to {excerpt(recipient)} holds no action")
    return ending.start() if ending else len(text)
