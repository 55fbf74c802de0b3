"""Reasoning, separated from what is to be done, so that nothing is ever read out of a thought.

Families mark it differently: ``<think>`` (InternVL, ScaleCUA, Qwen), ``<thinking>``, ``<thought>``, ``<reasoning>``,
``<reflection>``, ``[THINK]`` (Magistral), ``◁think▷`` (Kimi), ``<|begin_of_thought|>``, ``<|START_THINKING|>``.

Source: InternVL's R1 system prompt and its reported failures (OpenGVLab/InternVL issues 1125, 1141, 1164); the chat
templates of the families named.
"""

import re
from collections.abc import Mapping

from foveate.actions.errors import ParseError

_NAMES = r"think(?:ing)?|thoughts?|reasoning|reflections?|analysis|scratchpad|seed:think"
TAG = re.compile(
    rf"<\s{{0,3}}(?P<slash>/?)\s{{0,3}}(?P<name>{_NAMES})(?:\s[^<>]{{0,200}}?)?\s{{0,3}}(?P<empty>/?)\s{{0,3}}>"
    r"|(?P<square>\[/?THINK\])|◁(?P<kimi>/?)think▷"
    r"|<\|(?P<token>begin_of_thought|end_of_thought|START_THINKING|END_THINKING)\|>",
    re.IGNORECASE,
)
"""A tag that opens or closes a thought."""

_ALIASES: Mapping[str, str] = {"thinking": "think", "thoughts": "thought", "reflections": "reflection"}


def family(tag: re.Match[str]) -> tuple[str, bool]:
    """Tell which kind of thought a tag belongs to and whether it closes one."""
    if tag["name"] is not None:
        name = tag["name"].lower()
        return _ALIASES.get(name, name), bool(tag["slash"])
    if tag["square"] is not None:
        return "[THINK]", tag["square"].startswith("[/")
    if tag["kimi"] is not None:
        return "◁think▷", bool(tag["kimi"])
    token = tag["token"].lower()
    return ("of_thought" if token.endswith("of_thought") else "thinking"), token.startswith("end")


def end_of(text: str, opening: re.Match[str]) -> int:
    """Give the index behind the thought that a tag opens; the text's length where it is not closed."""
    wanted, depth = family(opening)[0], 1
    for tag in TAG.finditer(text, opening.end()):
        name, closes = family(tag)
        if name == wanted and not tag["empty"]:
            depth += -1 if closes else 1
        if not depth:
            return tag.end()
    return len(text)


def split_thought(text: str) -> tuple[str, str]:
    """Take all thoughts out of an answer.

    A thought is ended by its own family's tag alone. Where a closing tag closes nothing (the opening one was
    prefilled), everything before it is thought.

    Returns:
        The rest, and the thoughts joined by newlines.

    Raises:
        ParseError: If a thought is not closed: the answer was cut off and holds no action.
    """
    thoughts: list[str] = []
    rest: list[str] = []
    inside: str | None = None
    depth, at, opening = 0, 0, ""
    for tag in TAG.finditer(text):
        name, closes = family(tag)
        if inside is not None and (name != inside or tag["empty"]):
            continue
        piece, at = text[at : tag.start()], tag.end()
        if inside is not None:
            thoughts.append(piece)
            depth += -1 if closes else 1
            inside = inside if depth else None
        elif closes:
            thoughts.extend([*rest, piece])
            rest.clear()
        else:
            rest.append(piece)
            if not tag["empty"]:
                inside, depth, opening = name, 1, tag[0]
    if inside is not None:
        raise ParseError(f"no action: the thought is not closed by {_closing(opening)}, so the answer was cut off")
    rest.append(text[at:])
    return "".join(rest), "\n".join(thought for piece in thoughts if (thought := piece.strip()))


def _closing(opening: str) -> str:
    """Give the tag that closes what a tag opens."""
    token = opening.replace("begin_of", "end_of").replace("START_", "END_")
    return token if token != opening else re.sub(r"^([<\[◁])\s*([^\s>]+).*?([>\]▷]?)$", r"\1/\2\3", opening, flags=re.S)
