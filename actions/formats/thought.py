"""Reasoning, separated from what is to be done, so that nothing is ever read out of a thought.

Source: InternVL's R1 system prompt and its reported failures (OpenGVLab/InternVL issues 1125, 1141, 1164).
"""

import re

from foveate.actions.errors import ParseError

_TAG = re.compile(r"<\s{0,3}(/?)\s{0,3}think(?:ing)?\s{0,3}>", re.IGNORECASE)


def split_thought(text: str) -> tuple[str, str]:
    """Take all ``<think>`` blocks out of an answer.

    Where ``</think>`` closes nothing (the opening tag was prefilled), everything before it is thought.

    Returns:
        The rest, and the thoughts joined by newlines.

    Raises:
        ParseError: If a thought is not closed: the answer was cut off and holds no action.
    """
    thoughts: list[str] = []
    rest: list[str] = []
    depth, at = 0, 0
    for tag in _TAG.finditer(text):
        piece, closes = text[at : tag.start()], bool(tag[1])
        at = tag.end()
        if depth:
            thoughts.append(piece)
            depth += -1 if closes else 1
        elif closes:
            thoughts.extend([*rest, piece])
            rest.clear()
        else:
            rest.append(piece)
            depth = 1
    if depth:
        raise ParseError("no action: the thought is not closed by </think>, so the answer was cut off")
    rest.append(text[at:])
    return "".join(rest), "\n".join(thought for piece in thoughts if (thought := piece.strip()))
