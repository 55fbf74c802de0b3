"""``foveate eval SUITE``: how often a policy is right, with intervals, beside baselines; resumable, one JSON."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foveate.actions.errors import FoveateError, UsageError
from foveate.agent.evaluation_crew import run_apart
from foveate.agent.evaluation_episodes import applications
from foveate.agent.evaluation_head import head_of
from foveate.agent.evaluation_items import (
    FIXING,
    FIXING_SUITE,
    SUITES,
    Done,
    Item,
    Suite,
    items_of,
    suites_named,
)
from foveate.agent.evaluation_journal import Journal
from foveate.agent.evaluation_picture import SHOWN, draw_clicks
from foveate.agent.evaluation_summary import Circumstances, figures_of, line_of, to_text
from foveate.agent.evaluation_worker import ORACLE, Deciding, policy_of, work
from foveate.policies.engines.names import check_engine

_SAY_EVERY_S = 5.0

_PICTURE = ".png"
"""What the picture of clicks ends in, beside the figures."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to evaluate.

    Attributes:
        suite: A suite's name, or ``tiny`` for all.
        deciding: Which policy.
        episodes: Items a suite (of ``apps``: an application); None is each suite's own number.
        seed: Which draw of seeds; the published figures are of 0.
        workers: Processes.
        resume: Go on with what an earlier run left beside ``out``.
        out: The file of figures; None gives them back alone.
    """

    suite: str
    deciding: Deciding = field(default_factory=Deciding)
    episodes: int | None = None
    seed: int = 0
    workers: int = 1
    resume: bool = False
    out: Path | None = None

    def suites(self) -> tuple[Suite, ...]:
        """Give the suites, after a look at what would go wrong later.

        Raises:
            UsageError: If the plan cannot be carried out.
        """
        suites = suites_named(self.suite)
        policy_of(self.deciding)
        if self.workers < 1:
            raise UsageError(f"--workers {self.workers}: give 1 or more")
        if self.out is not None and self.out.is_dir():
            raise UsageError(f"--out {self.out} is a folder: give the file to write, FILE.json")
        if self.out is not None and self.out.suffix.lower() == _PICTURE:
            named = self.out.with_suffix(".json")
            raise UsageError(f"--out {self.out} is where the picture beside the figures would go: give --out {named}")
        if any(suite.name == "apps" for suite in suites):
            applications()
            if self.deciding.policy == ORACLE:
                others = ", ".join(name for name in SUITES if name != "apps")
                raise UsageError(f"--policy {ORACLE}: there is none of the sample applications: choose one of {others}")
        return suites

    def items(self) -> dict[str, tuple[Item, ...]]:
        """List the items of each suite; clicks bring the pages that the best fixed point is chosen on.

        Raises:
            UsageError: If there are not so many seeds.
        """
        listed = {suite.name: items_of(suite, self.episodes, self.seed) for suite in self.suites()}
        if "clicks" in listed:
            count = min(max(len(listed["clicks"]) * 2 // 5, 10), FIXING_SUITE.episodes)
            listed[FIXING] = items_of(FIXING_SUITE, count, self.seed)
        return listed


def evaluate(plan: Plan, say: Say | None = None) -> dict[str, Any]:
    """Evaluate; write the figures, and beside them a picture where there were clicks.

    Args:
        plan: What to do.
        say: Told a line from time to time.

    Returns:
        The figures, JSON data.

    Raises:
        UsageError: If the plan cannot be carried out.
        RecordError: If a file cannot be read or written.
        FoveateError: If the model or the browser fails; what is done is kept in the journal.
    """
    say = say or (lambda line: None)
    begun_s = time.monotonic()
    check_engine(plan.deciding.engine)  # before a model is looked for, or a journal begun
    listed = plan.items()
    every = [item for items in listed.values() for item in items]
    head = head_of(plan.deciding)
    journal = Journal(plan.out, head, resume=plan.resume)
    _refuse_loss(plan, journal, every)
    with journal:
        left = [item for item in every if item.key not in journal.done]
        if len(left) < len(every):
            say(f"{len(every) - len(left)} of {len(every)} items were done before")
        progress = Progress(every, journal, say)
        shares = [share for share in (left[k :: plan.workers] for k in range(plan.workers)) if share]
        try:
            run_apart(work, [(share, plan.deciding) for share in shares], progress.told)
        except (KeyboardInterrupt, FoveateError):
            if journal.path is not None:
                say(f"{len(journal.done)} of {len(every)} items are kept in {journal.path}: --resume goes on")
            raise
        done = {name: [journal.done[item.key] for item in items] for name, items in listed.items()}
        figures = figures_of(done, Circumstances(head, plan.seed, plan.workers, time.monotonic() - begun_s))
        if plan.out is not None and "clicks" in done:
            given = done["clicks"][:SHOWN], plan.out.with_suffix(_PICTURE), plan.deciding.browser
            run_apart(draw_clicks, [given], lambda path: say(f"hits and misses: {path}"))
        journal.finish(to_text(figures))
    return figures


def _refuse_loss(plan: Plan, journal: Journal, items: Sequence[Item]) -> None:
    lost = {key: done.item.suite for key, done in journal.done.items()} if plan.resume else {}
    for item in items:
        lost.pop(item.key, None)
    if lost:
        suites = ", ".join(sorted(set(lost.values())))
        raise UsageError(
            f"--resume: {plan.out} holds {len(lost)} items ({suites}) that are not this run's, which would drop them: "
            "give another --out, or the suite and the number of episodes that it was made with"
        )


class Progress:
    """Keeps what is done and says every few seconds how far a suite has come.

    Args:
        items: All that is to be done, by suite.
        journal: Where what is done is kept.
        say: Told a line.
    """

    def __init__(self, items: Sequence[Item], journal: Journal, say: Say) -> None:
        self._wanted = {suite: [item for item in items if item.suite == suite] for suite in {i.suite for i in items}}
        self._journal = journal
        self._say = say
        self._said_s = time.monotonic()

    def told(self, done: Done) -> None:
        """Keep an item; tell of its suite where it is the last one, or nothing was said for a while.

        Raises:
            RecordError: If it cannot be kept.
        """
        self._journal.add(done)
        wanted = self._wanted[done.item.suite]
        there = [found for item in wanted if (found := self._journal.done.get(item.key)) is not None]
        if len(there) == len(wanted) or time.monotonic() - self._said_s >= _SAY_EVERY_S:
            self._said_s = time.monotonic()
            self._say(line_of(done.item.suite, there, len(wanted)))
