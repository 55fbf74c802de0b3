"""Demonstrations: the oracle does programs in the real Chromium, and every step becomes a screen with its question.

``python -m foveate.agent.training.programs.demonstrations --out DIR --count 1000`` writes them into shards.
"""

import argparse
import asyncio
import multiprocessing
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from foveate.agent.agent import Agent
from foveate.agent.oracles.program_oracle import ProgramOracle
from foveate.agent.training.programs.env import ProgramEnv
from foveate.agent.training.words import Split
from foveate.policies.training.screens import Screen
from foveate.policies.training.shards import write_shard

MISTAKES: Final = 0.35
"""Share of demonstrations in which the oracle makes a mistake and puts it right."""

_LANES = 3
"""Browsers a process: while one waits for its page to settle another works."""

_PROGRAMS = 60
"""Programs a shard."""

_SHADES = 32
_TABLE = (np.round(np.arange(256) / 255 * (_SHADES - 1)) * 255 / (_SHADES - 1)).round().astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Demonstration:
    """What came of one program.

    Attributes:
        seed: The program's.
        screens: One a step, each with the right next step, also where a wrong one was done on purpose.
        solved: The page verified that the task was done.
        slips: The wrong answers that were given on purpose; they are no screen's question.
    """

    seed: int
    screens: tuple[Screen, ...]
    solved: bool
    slips: tuple[str, ...]


async def demonstrate(
    seeds: Iterable[int], split: Split = "seen", *, mistakes: float = MISTAKES, browser: str | None = None
) -> list[Demonstration]:
    """Let the oracle do programs, several at once.

    Args:
        seeds: One a program.
        split: Whether their words, fonts and looks are trained on.
        mistakes: Share of programs, 0 to 1, in which it makes mistakes on purpose and puts them right.
        browser: The Chromium to use; None looks for one.

    Returns:
        One a seed, in their order.

    Raises:
        EnvError: If a browser fails.
        OracleLost: If the oracle finds no step.
    """
    listed = list(seeds)
    waiting = iter(enumerate(listed))
    done: dict[int, Demonstration] = {}

    async def lane() -> None:
        async with (
            ProgramEnv(browser=browser, fresh=False) as env,
            ProgramOracle(env.browser, mistakes=mistakes, recapture=True) as oracle,
        ):
            for place, seed in waiting:
                done[place] = await _one(env, oracle, seed, split)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(_LANES, len(listed))):
            group.create_task(lane())
    return [done[place] for place in range(len(listed))]


async def _one(env: ProgramEnv, oracle: ProgramOracle, seed: int, split: Split) -> Demonstration:
    result = await Agent(env, oracle).run(episode=f"{split}:{seed}")
    screens = tuple(replace(screen, image=_TABLE[screen.image]) for screen in oracle.screens)
    return Demonstration(seed, screens, env.program.ended(result), tuple(oracle.slips))


# Shards -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Order:
    """A shard that is to be made.

    Attributes:
        path: Where.
        seeds: One a program.
        split: Whether their words, fonts and looks are trained on.
        mistakes: Share of programs in which the oracle makes mistakes on purpose.
        browser: The Chromium to use; None looks for one.
    """

    path: Path
    seeds: range
    split: Split
    mistakes: float = MISTAKES
    browser: str | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """What was made.

    Attributes:
        programs: How many were done.
        screens: How many steps they had.
        unsolved: Seeds of those that the page did not verify; none of their steps is kept.
        seconds: How long it took, the browsers' start included.
    """

    programs: int = 0
    screens: int = 0
    unsolved: tuple[int, ...] = ()
    seconds: float = 0.0


def orders(folder: Path, seeds: range, split: Split = "seen", browser: str | None = None) -> list[Order]:
    """Divide programs into shards."""
    parts = [seeds[start : start + _PROGRAMS] for start in range(0, len(seeds), _PROGRAMS)]
    return [Order(folder / f"programs-{split}-{part[0]:011d}.tar", part, split, browser=browser) for part in parts]


def make_shard(order: Order) -> Made:
    """Make one shard of demonstrations; those that did not succeed are left out, and named."""
    begun_s = time.monotonic()
    done = asyncio.run(demonstrate(order.seeds, order.split, mistakes=order.mistakes, browser=order.browser))
    screens = write_shard(order.path, _kept(done))
    unsolved = tuple(one.seed for one in done if not one.solved)
    return Made(len(done), screens, unsolved, time.monotonic() - begun_s)


def _kept(done: Sequence[Demonstration]) -> Iterator[Screen]:
    for one in done:
        if one.solved:
            yield from one.screens


def make(todo: Sequence[Order], *, workers: int = 2) -> Iterator[Made]:
    """Make shards in several processes, each with its own browsers; gives what each came to as it is done."""
    if workers == 1 or len(todo) == 1:
        yield from map(make_shard, todo)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(todo)), mp_context=context) as pool:
        yield from pool.map(make_shard, todo)


def _main() -> None:
    parser = argparse.ArgumentParser(description="Let the oracle do generated programs; each step becomes a screen.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the shards")
    parser.add_argument("--count", type=int, default=1000, help="programs")
    parser.add_argument("--seed", type=int, default=0, help="of the first program")
    parser.add_argument("--split", choices=("seen", "unseen"), default="seen")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    given = parser.parse_args()
    begun_s = time.monotonic()
    total = Made()
    todo = orders(given.out, range(given.seed, given.seed + given.count), given.split)
    for made in make(todo, workers=given.workers):
        total = Made(total.programs + made.programs, total.screens + made.screens, total.unsolved + made.unsolved)
        seconds = time.monotonic() - begun_s
        rate = f"{total.screens / seconds:.1f} a second"
        print(f"{total.programs} programs, {total.screens} screens, {rate}, unsolved: {total.unsolved or 'none'}")  # noqa: T201


if __name__ == "__main__":
    _main()
