"""Demonstrations: the oracle does programs in the real Chromium, and every step becomes a screen with its question.

``foveate data make --programs`` writes them into shards.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from foveate.actions.errors import FoveateError, UsageError
from foveate.agent.agent import Agent
from foveate.agent.oracles.program_oracle import ProgramOracle, Slip
from foveate.agent.oracles.state import OracleLost
from foveate.agent.training.making import Stopped, Way, in_processes, stopping
from foveate.agent.training.programs.env import ProgramEnv
from foveate.agent.training.rendering import fewer_shades
from foveate.agent.training.words import Split
from foveate.envs.base import Viewport
from foveate.policies.training.screens import Screen
from foveate.policies.training.shards import UNTIL, write_shard

MISTAKES: Final = 0.35
"""Share of demonstrations in which the oracle makes a mistake and puts it right."""

_LANES = 3
"""Browsers a process: while one waits for its page to settle another works."""

_PROGRAMS = 60
"""Programs a shard."""

_LOOK_S = 0.1
"""Seconds between two looks whether this process is to stop."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """What came of one program.

    Attributes:
        seed: The program's.
        screens: One a step, each with the right next step, also where a wrong one was done on purpose.
        solved: The page verified that the task was done; false too where the oracle found no step.
        slips: The wrong answers that were given on purpose; none is its screen's right one.
    """

    seed: int
    screens: tuple[Screen, ...]
    solved: bool
    slips: tuple[Slip, ...]


async def demonstrate(
    seeds: Iterable[int],
    split: Split = "seen",
    *,
    mistakes: float = MISTAKES,
    way: Way = Way(),  # noqa: B008 - frozen
) -> list[Demonstration]:
    """Let the oracle do programs, several at once.

    Args:
        seeds: One a program.
        split: Whether their words, fonts and looks are trained on.
        mistakes: Share of programs, 0 to 1, in which it makes mistakes on purpose and puts them right.
        way: How their pages are drawn.

    Returns:
        One a seed, in their order.

    Raises:
        EnvError: If a browser fails.
    """
    listed = list(seeds)
    waiting = iter(enumerate(listed))
    done: dict[int, Demonstration] = {}

    async def lane() -> None:
        async with (
            ProgramEnv(viewport=Viewport(way.side, way.side, way.scale), browser=way.browser, fresh=False) as env,
            ProgramOracle(env.browser, mistakes=mistakes, recapture=True) as oracle,
        ):
            for place, seed in waiting:
                done[place] = await _one(env, oracle, seed, split)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(_LANES, len(listed))):
                group.create_task(lane())
    except ExceptionGroup as failed:
        known = failed.subgroup(FoveateError)
        if known is None:
            raise
        raise known.exceptions[0] from None  # the first lane's error tells as much as those of all
    return [done[place] for place in range(len(listed))]


async def _one(env: ProgramEnv, oracle: ProgramOracle, seed: int, split: Split) -> Demonstration:
    try:
        result = await Agent(env, oracle).run(episode=f"{split}:{seed}")
    except OracleLost:
        return Demonstration(seed, (), False, tuple(oracle.slips))
    screens = tuple(replace(screen, image=fewer_shades(screen.image)) for screen in oracle.screens)
    return Demonstration(seed, screens, env.program.ended(result), tuple(oracle.slips))


# Shards -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Order:
    """A shard that is to be made.

    Attributes:
        path: Where.
        seeds: One a program.
        split: Whether their words, fonts and looks are trained on.
        way: How their pages are drawn.
        mistakes: Share of programs in which the oracle makes mistakes on purpose.
    """

    path: Path
    seeds: range
    split: Split
    way: Way
    mistakes: float = MISTAKES


@dataclass(frozen=True, slots=True)
class Made:
    """What was made.

    Attributes:
        programs: How many were done.
        screens: How many steps they had.
        size: Bytes of all shards.
        unsolved: Seeds of those that the page did not verify; none of their steps is kept.
        seconds: How long it took, the browsers' start included.
    """

    programs: int = 0
    screens: int = 0
    size: int = 0
    unsolved: tuple[int, ...] = ()
    seconds: float = 0.0

    def __add__(self, other: "Made") -> "Made":
        return Made(
            self.programs + other.programs,
            self.screens + other.screens,
            self.size + other.size,
            self.unsolved + other.unsolved,
            max(self.seconds, other.seconds),
        )

    def __str__(self) -> str:
        """Say it in one line."""
        rate = self.screens / max(self.seconds, 1e-9)
        kilobytes = self.size / 1000 / max(self.screens, 1)
        failed = f"; not solved, and left out: {', '.join(map(str, self.unsolved))}" if self.unsolved else ""
        made = f"{self.programs:,} programs, {self.screens:,} screens"
        return f"{made}, {rate:.1f} a second, {kilobytes:.1f} kB each{failed}"


def orders(
    folder: Path,
    seeds: range,
    split: Split = "seen",
    workers: int = 1,
    way: Way = Way(),  # noqa: B008 - frozen
) -> tuple[Order, ...]:
    """Divide programs into shards, fewer a shard where otherwise a worker would have nothing to do."""
    size = max(1, min(_PROGRAMS, -(-len(seeds) // workers)))
    parts = [seeds[start : start + size] for start in range(0, len(seeds), size)]
    return tuple(Order(folder / f"programs-{split}-{part[0]:011d}.tar", part, split, way) for part in parts)


def make_shard(order: Order) -> Made:
    """Make one shard of demonstrations; those that did not succeed are left out, and named."""
    begun_s = time.monotonic()
    try:
        done = asyncio.run(_unless_stopped(order))
    except asyncio.CancelledError as exc:
        raise Stopped from exc
    screens = write_shard(order.path, _kept(done, order.seeds.stop))
    unsolved = tuple(one.seed for one in done if not one.solved)
    return Made(len(done), screens, order.path.stat().st_size, unsolved, time.monotonic() - begun_s)


async def _unless_stopped(order: Order) -> list[Demonstration]:
    """Demonstrate, and close the browsers in order where this process is to stop meanwhile."""
    loop, whole = asyncio.get_running_loop(), asyncio.current_task()

    def look() -> None:
        if not stopping():
            loop.call_later(_LOOK_S, look)
        elif whole is not None:
            whole.cancel()

    look()
    return await demonstrate(order.seeds, order.split, mistakes=order.mistakes, way=order.way)


def _kept(done: Sequence[Demonstration], until: int) -> Iterator[Screen]:
    """Give the steps of those that succeeded, and say in each where the shard ends."""
    for one in done:
        if one.solved:
            yield from (replace(screen, facts={**screen.facts, UNTIL: str(until)}) for screen in one.screens)


def make(todo: Sequence[Order], *, workers: int, say: Callable[[str], None]) -> Made:
    """Make shards; each appears when it is complete.

    Args:
        todo: What to make.
        workers: How many processes, each with its own browsers.
        say: Takes a line for people a finished shard.

    Raises:
        UsageError: If there is nothing to make.
        EnvError: If a browser fails, or a process dies.
    """
    if not todo:
        raise UsageError("there is nothing to make: --count 1 is the least")
    begun_s = time.monotonic()
    with in_processes(make_shard, todo, min(workers, len(todo))) as working:
        names = {future: order.path.name for future, order in zip(working, todo, strict=True)}
        for future in as_completed(working):
            say(f"{names[future]}: {future.result()}")
        total = sum((future.result() for future in working), Made())
    return replace(total, seconds=time.monotonic() - begun_s)
