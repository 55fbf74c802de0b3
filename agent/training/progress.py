"""What a person sees of training on standard error: a bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from foveate.policies.training.settings import StageSettings

_PLAIN_EVERY_S = 10.0


class TrainingView:
    """Tells how training goes; a Listener of ``foveate.policies.training.sft``.

    Args:
        console: Where to.
        every_s: Seconds between two lines where there is no terminal.
    """

    def __init__(self, console: Console, *, every_s: float = _PLAIN_EVERY_S) -> None:
        self._console, self._every_s = console, every_s
        self._progress: Progress | None = None
        self._stage, self._told_s = "", -every_s

    @contextmanager
    def running(self) -> Iterator[None]:
        """Show a bar for as long as the block lasts, where there is a terminal."""
        if not self._console.is_terminal:
            yield
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[pace]}"),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            self._progress = progress
            try:
                yield
            finally:
                self._progress = None

    def begins(self, stage: StageSettings, number: int, count: int) -> None:
        """Say which stage begins."""
        self._stage = f"{stage.name} ({number} of {count})"
        budget = next(
            f"{value:g} {name}" for name in ("steps", "pages", "minutes") if (value := getattr(stage, name)) is not None
        )
        self.says(f"stage {self._stage}: {', '.join(stage.objectives)}; {budget}")
        if self._progress is not None:
            for task in self._progress.task_ids:
                self._progress.remove_task(task)
            self._progress.add_task(stage.name, total=1.0, pace="")

    def moves(self, spent: float) -> None:
        """Move the bar."""
        if self._progress is not None:
            for task in self._progress.task_ids:
                self._progress.update(task, completed=spent)

    def steps(self, line: Mapping[str, Any], spent: float, left_s: float) -> None:
        """Say the pace, the time that is left and what was right."""
        pace = f"{line['pages_per_s']:.1f} pages/s, {line['answers_per_s']:.1f} answers/s, {clock(left_s)} left"
        if self._progress is not None:
            for task in self._progress.task_ids:
                self._progress.update(task, completed=spent, pace=f"{pace}; {_shares(line)}")
        elif time.monotonic() - self._told_s >= self._every_s:
            self._told_s = time.monotonic()
            self.says(f"{self._stage} {spent:4.0%} step {line['step']}: {pace}; {_shares(line)}")

    def measures(self, line: Mapping[str, Any]) -> None:
        """Say what is right on held-out screens."""
        self.says(f"{self._stage} step {line['step']}, held out: {_shares(line['held_out'])}")

    def says(self, text: str) -> None:
        """Say a sentence."""
        self._console.print(text, markup=False, soft_wrap=True)


def clock(seconds: float) -> str:
    """Write a time as a person says it: ``45 s``, ``3:20 min``, ``2:05 h``."""
    whole = round(min(seconds, 359_999))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def _shares(values: Mapping[str, Any]) -> str:
    beside = ("stage", "step", "pages", "elapsed_s", "pages_per_s", "answers_per_s")
    named = [
        f"{name} {value:.0%}" for name, value in values.items() if name not in beside and not name.startswith("loss_")
    ]
    return ", ".join(named)
