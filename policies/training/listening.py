"""Who hears how training goes: a bar, lines, curves."""

from collections.abc import Mapping
from typing import Any, Protocol

from foveate.policies.training.settings import StageSettings


class Listener(Protocol):
    """Hears how a run goes."""

    def begins(self, stage: StageSettings, number: int, count: int) -> None:
        """Hear that a stage begins or goes on: the how-manyth of how many."""
        ...

    def moves(self, spent: float) -> None:
        """Hear which share of the stage's budget has passed, after every step."""
        ...

    def steps(self, line: Mapping[str, Any], spent: float, left_s: float) -> None:
        """Hear a line of the log, the share of the stage's budget that has passed, and the seconds that are left."""
        ...

    def measures(self, line: Mapping[str, Any]) -> None:
        """Hear what was measured on held-out screens."""
        ...

    def says(self, text: str) -> None:
        """Hear a sentence for people."""
        ...
