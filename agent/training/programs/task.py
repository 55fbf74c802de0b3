"""A generated program: its page, what is to be done on it, and how an oracle does it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from foveate.agent.oracles.wants import Want
from foveate.agent.training.words import Split
from foveate.agent.trajectory import Result

TEST_SEEDS: Final = 10_000_000_000
"""From here on seeds are for evaluation alone: nothing is ever trained on them."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a family makes of a draft.

    Attributes:
        template: Which of the family's tasks it is.
        instruction: What is to be done.
        body: The page's HTML.
        plan: How the oracle does it; what it wants when the page is as it should be is nothing.
        goal: What the page's state must hold in the end.
        state: The page's state at the start, besides what its controls hold.
        script: The page's own JavaScript.
        answer: What is to be answered; None where nothing is asked.
        impossible: Why it cannot be done; None where it can.
    """

    template: str
    instruction: str
    body: str
    plan: Want
    goal: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)
    script: str = ""
    answer: str | None = None
    impossible: str | None = None


@dataclass(frozen=True, slots=True)
class ProgramTask:
    """A program and its task.

    Attributes:
        seed: What it was made from.
        split: Whether its words, font and look are trained on.
        language: Of most of its words.
        family: Which kind of program.
        template: Which of the family's tasks.
        html: The whole page; it needs nothing else.
        instruction: What is to be done.
        max_steps: Steps that are more than enough.
        answer: What is to be answered; None where nothing is asked.
        impossible: Why it cannot be done; None where it can.
        plan: How the oracle does it.
    """

    seed: int
    split: Split
    language: str
    family: str
    template: str
    html: str = field(repr=False)
    instruction: str
    max_steps: int
    answer: str | None
    impossible: str | None
    plan: Want = field(repr=False)

    def solved(self, result: Result) -> bool:
        """Tell whether an episode did the task: the page says so, the answer is right, what is impossible is said.

        Args:
            result: Of an episode in which the page was asked to verify.
        """
        if not result.verified:
            return False
        if self.impossible is not None:
            return result.reason == "failure"
        return self.answer is None or _plain(result.answer) == _plain(self.answer)

    def ended(self, result: Result) -> bool:
        """Tell whether it was solved and ended by the policy's own word."""
        wanted = "done" if self.impossible is None else "failure"
        return self.solved(result) and result.reason == wanted


def _plain(text: str | None) -> str:
    return " ".join((text or "").split()).casefold()
