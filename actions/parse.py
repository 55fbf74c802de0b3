"""Reading a model's text as typed actions, in every format that the models of this family and their peers write.

What the text is, is decided by its own marks, in this order: ``<action>`` tags (ScaleCUA), ``<tool_call>`` (Qwen),
``Action:`` lines (UI-TARS), fenced code (OSWorld, Aguvis), JSON (Qwen, OpenAI, Anthropic, OSWorld, GUI-Odyssey), calls
on lines of their own (pyautogui), WAIT, DONE, FAIL and STOP, verbs with brackets (OS-Genesis, Mind2Web), one call that
ends a sentence, tags and brackets of places (InternVL). Before that strings are shielded, so that no tag in them
counts, channels (GPT-OSS) are unwrapped, and thoughts are taken out and never read for actions. Control flow around
calls, and prose that forbids, takes back or makes conditional the action that it surrounds, are errors.

Numbers are read in the ``convention`` that is given, for a scale cannot be guessed from them. One evidence alone
overrides it: InternVL's tags ``<box>`` and ``<ref>``, which are 0..1000 in every text of that family. ``<point>``,
``<bbox>``, ``<|box_start|>``, bare brackets, pixels of tool calls and floats do not. Numbers that the convention does
not allow raise OutOfFrame, and so do fractions (all in 0..1, one with a decimal point, not all 0) where it writes whole
numbers.
"""

import re
from dataclasses import dataclass

from foveate.actions.errors import ParseError
from foveate.actions.formats import (
    calls,
    harmony,
    internvl,
    json_calls,
    lines,
    prose,
    qwen,
    refusals,
    scalecua,
    ui_tars,
)
from foveate.actions.formats.bodies import Draft, fences, read_body, read_word
from foveate.actions.formats.reading import Found, Reading, Written, check_kinds
from foveate.actions.formats.shield import shielded
from foveate.actions.formats.thought import split_thought
from foveate.actions.formats.values import MAX_ACTIONS, excerpt
from foveate.actions.geometry import Convention, Frame
from foveate.actions.schema import Action

__all__ = ["MAX_CHARACTERS", "Answer", "Written", "parse_answer"]

MAX_CHARACTERS = 500_000
"""Longest text that is read: a thought of 65,000 tokens and a typed text at once are shorter."""

_ENDINGS = re.compile(r"(?:\s|<\|(?:im_end|endoftext|end|return|eot_id)\|>|</s>){1,64}\Z")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_REFUSAL = re.compile(
    r"\b(?:i['’]?m sorry|i am sorry|sorry,|i can(?:['’]t|not| not)|i(?:['’]m| am) (?:unable|not able)|i won['’]t"
    r"|as an ai|i must decline|cannot (?:help|assist))|抱歉|对不起|无法|不能",
    re.IGNORECASE,
)
_OPERATION = re.compile(r"^[ \t*]{0,9}Action[ \t*]{0,9}[:：][*]{0,2}[ \t]*(.{0,1000})", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model's text says.

    Attributes:
        actions: At least one, in order; their points are of the frame that was given.
        thought: The reasoning, for people; empty where there is none.
        operation: A sentence for the history; empty where there is none.
        written: One an action: the numbers of its place as the model wrote them (two of a point, four of a box, a
            tuple of these for a path), None for an action without a place.
    """

    actions: tuple[Action, ...]
    thought: str = ""
    operation: str = ""
    written: tuple[Written, ...] = ()


def parse_answer(text: str, *, frame: Frame, convention: Convention, kinds: frozenset[str] | None = None) -> Answer:
    """Read a model's text as actions; nothing in it is ever executed or looked up by name.

    Args:
        text: The whole answer, special tokens and all.
        frame: The frame of the observation that the model saw.
        convention: How the model writes places, except between InternVL's own ``<box>`` and ``<ref>`` tags.
        kinds: The kinds of action that are offered; None is every kind.

    Raises:
        ParseError: If the text holds no action, or one that is cut off, wrong, or of a kind that is not offered; the
            message says what was expected and shows the text's beginning.
        OutOfFrame: If a coordinate lies beyond what the convention allows; nothing is clamped.
    """
    try:
        if len(text) > MAX_CHARACTERS:
            raise ParseError(f"an answer has at most {MAX_CHARACTERS:,} characters, not {len(text):,}")
        rest, thought = _split(text)
        # Ending tokens are looked for in the tail alone, so that a run of them costs bounded work.
        tail = rest[-2_000:]
        rest = rest[: len(rest) - len(tail)] + _ENDINGS.sub("", tail)
        draft = _read(rest, Reading(frame, convention, kinds))
        if not 1 <= len(draft.found) <= MAX_ACTIONS:
            raise ParseError(f"an answer holds 1 to {MAX_ACTIONS} actions, not {len(draft.found)}")
        check_kinds(draft.found, kinds)
    except ParseError as exc:
        message = _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], str(exc))
        raise ParseError(f"{message} (the answer: {excerpt(text, 120)})") from exc
    return Answer(
        actions=tuple(item.action for item in draft.found),
        thought=lines.restored("\n".join(part for part in (thought, draft.thought.strip()) if part)),
        operation=lines.restored(draft.operation),
        written=tuple(item.written for item in draft.found),
    )


def _split(text: str) -> tuple[str, str]:
    """Take the thoughts out of an answer whose strings are shielded."""
    answer, channelled = harmony.unwrap(shielded(text, calls.known))
    rest, thought = split_thought(answer)
    return rest, "\n".join(part for part in (channelled, thought) if part)


def _read(text: str, reading: Reading) -> Draft:
    if not text.strip():
        raise ParseError("no action: the answer is empty")
    if scalecua.detect(text):
        return scalecua.read(text, reading)
    blocks = qwen.blocks(text)
    if blocks:
        found = [item for block in blocks for item in json_calls.read(block, reading)]
        return _with_prose(found, text[: text.lower().find("<tool_call>")])
    if ui_tars.detect(text) and not _is_code(text):
        return ui_tars.read(text, reading)
    if "```" in text:
        fenced = _fenced(text, reading)
        if fenced is not None:
            return fenced
    return _plain(text, reading)


def _is_code(text: str) -> bool:
    """Tell whether a text is code or JSON from its first character on, so that ``Action:`` in it is a string's."""
    bare = text.lstrip()
    return json_calls.detect(bare) or prose.starts_call(bare.split("\n", 1)[0], calls.known)


def _fenced(text: str, reading: Reading) -> Draft | None:
    """Read the fences of a text; None where none of them is an action."""
    found: list[Found] = []
    for inner, closed in fences(text):
        if inner.strip():
            found += read_body(inner, reading, ended=closed).found
    if not found:
        return None
    refusals.check(text.split("```")[::2])
    return _with_prose(found, text.split("```", 1)[0])


def _plain(text: str, reading: Reading) -> Draft:
    bare = text.strip().strip("`").strip()
    if json_calls.detect(bare):
        return Draft(json_calls.read(bare, reading))
    if prose.starts_call(text.replace("`", " "), calls.known):
        written = prose.read_lines(text.strip(), calls.known) or prose.read_lines(bare, calls.known)
        found = [item for call in written for item in calls.read_call(call, reading)]
        if found:
            return Draft(found)
    word = read_word(bare, reading)
    if word is not None:
        return Draft(word)
    embedded = json_calls.search(text, reading)
    if embedded is not None:
        return _with_prose(embedded, text.split("{", 1)[0])
    if lines.detect(bare):
        return Draft(lines.read(bare, reading))
    within = prose.read_inline(text, calls.known)
    if within is not None:
        return Draft(calls.read_call(within, reading))
    if internvl.detect(bare):
        return Draft(internvl.read(bare, reading))
    if _REFUSAL.search(text[:2_000]):
        raise ParseError("no action: the model refused")
    raise ParseError("no action: expected one such as <action>click(x=..., y=...)</action>")


def _with_prose(found: list[Found], before: str) -> Draft:
    """Keep what was written before the action: a thought, and ``Action: ...`` as the sentence for the history."""
    named = _OPERATION.search(before)
    operation = named[1].strip().strip("\"'*` ") if named else ""
    thought = (before[: named.start()] if named else before).strip().removeprefix("Thought:").strip()
    return Draft(found, thought, operation)
