"""How far a run is, and what its steps told since they were last written down; both go into its state."""

import math
from dataclasses import dataclass, field

from foveate.policies.training.learning import Told
from foveate.policies.training.stream import Portion


@dataclass(slots=True)
class Position:
    """How far a run is.

    Attributes:
        stage: Number of the stage, from 0.
        step: Steps taken in it.
        first: Number of its first screen.
        answers: Answers trained on in it.
        elapsed_s: Time spent in it.
        measured_at: The step after which held-out screens were last measured; -1 before the first time.
        measured: What was right then, 0 to 1.
    """

    stage: int = 0
    step: int = 0
    first: int = 0
    answers: int = 0
    elapsed_s: float = 0.0
    measured_at: int = -1
    measured: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Sums:
    """What steps told, added up.

    Attributes:
        seconds: Time that they took, waiting for their batches included.
        pages: Screens.
        answers: Answers.
        values: Losses (``loss_`` before the objective's name) and shares that were right.
        counts: Over how many steps each was added; one that had nothing to be right about tells nothing.
    """

    seconds: float = 0.0
    pages: int = 0
    answers: int = 0
    values: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, told: Told, portion: Portion, seconds: float) -> None:
        """Add a step."""
        self.seconds += seconds
        self.pages += portion.pages
        self.answers += portion.answers
        named = {**{f"loss_{name}": value for name, value in told.losses.items()}, **told.right}
        for name, value in named.items():
            if not math.isnan(value):
                self.values[name] = self.values.get(name, 0.0) + value
                self.counts[name] = self.counts.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        """Give the means over the steps, with screens and answers a second."""
        means = {name: round(value / self.counts[name], 6) for name, value in self.values.items()}
        seconds = max(self.seconds, 1e-9)
        return {
            **means,
            "pages_per_s": round(self.pages / seconds, 2),
            "answers_per_s": round(self.answers / seconds, 2),
        }
