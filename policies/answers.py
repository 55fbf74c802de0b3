"""From a model's text to a Decision, or to an error that carries one."""

import time
from dataclasses import replace

from foveate.actions.errors import OutOfFrame, ParseError
from foveate.actions.geometry import Convention, Frame
from foveate.actions.parse import parse_answer
from foveate.policies.base import Decision, Usage


def decide(
    answered: Decision, *, frame: Frame, convention: Convention, kinds: frozenset[str] | None = None
) -> Decision:
    """Read the actions of a Decision that has a raw text only.

    Args:
        answered: Its ``raw`` is read; its usage gains the milliseconds of ``parse``.
        frame: The frame of the observation that was answered on.
        convention: How the text's author writes places.
        kinds: What is offered; None is every kind.

    Raises:
        ParseError: If the text is no action that is offered; ``.decision`` is ``answered`` with the usage.
        OutOfFrame: If it points outside the frame; ``.decision`` likewise.
    """
    start = time.perf_counter()
    try:
        answer = parse_answer(answered.raw, frame=frame, convention=convention, kinds=kinds)
    except (ParseError, OutOfFrame) as error:
        error.decision = replace(answered, usage=answered.usage + _parsing(start))
        raise
    return replace(
        answered,
        actions=tuple(answer.actions),
        thought=answer.thought,
        operation=answer.operation,
        written=tuple(answer.written),
        usage=answered.usage + _parsing(start),
    )


def _parsing(start: float) -> Usage:
    return Usage(timing_ms={"parse": (time.perf_counter() - start) * 1000})
