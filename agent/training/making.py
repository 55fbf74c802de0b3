"""Make shards of drawn pages from seeds, in several processes, each with its own browser."""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foveate.actions.errors import BrowserCrashed, UsageError
from foveate.agent.training.layouts import write_page
from foveate.agent.training.rendering import Renderer
from foveate.agent.training.words import Split
from foveate.policies.training.shards import write_shard

SHARD: Final = 250
"""Most screens a shard."""


@dataclass(frozen=True, slots=True)
class Order:
    """A shard that is to be made.

    Attributes:
        path: Where.
        seeds: One a page.
        split: Whether its words, fonts and themes are of those that are trained on.
        browser: The Chromium to use; None is what is found.
    """

    path: Path
    seeds: range
    split: Split
    browser: str | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """What was made.

    Attributes:
        screens: How many.
        size: Bytes of all shards.
        seconds: How long it took, the browsers' start left out.
    """

    screens: int
    size: int
    seconds: float

    def __str__(self) -> str:
        """Say it in one line."""
        rate = self.screens / max(self.seconds, 1e-9)
        kilobytes = self.size / 1000 / max(self.screens, 1)
        return f"{self.screens:,} screens, {rate:.1f} a second, {kilobytes:.1f} kB each"


def orders(folder: Path, seeds: range, split: Split, workers: int, browser: str | None = None) -> tuple[Order, ...]:
    """Divide seeds into shards: of SHARD pages, fewer where otherwise a worker would have nothing to do."""
    size = max(1, min(SHARD, -(-len(seeds) // workers)))
    parts = [seeds[start : start + size] for start in range(0, len(seeds), size)]
    return tuple(Order(folder / f"web-{split}-{part[0]:011d}.tar", part, split, browser) for part in parts)


def make(todo: Sequence[Order], *, workers: int, say: Callable[[str], None]) -> Made:
    """Make shards; each appears when it is complete.

    Args:
        todo: What to make.
        workers: How many processes, each with a browser.
        say: Takes a line for people a finished shard.

    Raises:
        UsageError: If there is nothing to make.
        BrowserCrashed: If a worker died.
    """
    if not todo:
        raise UsageError("there is nothing to make: --count 1 is the least")
    workers = min(workers, len(todo))
    if workers == 1:
        return _work(todo)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting = {pool.submit(_work, todo[number::workers]) for number in range(workers)}
        total = [Made(0, 0, 0.0)]
        seen: set[Path] = set()
        while waiting:
            ended, waiting = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
            for path in [order.path for order in todo if order.path not in seen and order.path.exists()]:
                seen.add(path)
                say(f"{path.name}: {len(seen)} of {len(todo)} shards")
            try:
                total += [future.result() for future in ended]
            except BrokenProcessPool as exc:
                raise BrowserCrashed(
                    "a process that draws pages died: is there enough memory? Use --workers 1"
                ) from exc
    return Made(sum(one.screens for one in total), sum(one.size for one in total), max(one.seconds for one in total))


def _work(todo: Sequence[Order]) -> Made:
    screens = size = 0
    with Renderer(browser=todo[0].browser) as renderer:
        begun = time.monotonic()
        for order in todo:
            screens += write_shard(order.path, renderer.draw(write_page(seed, order.split) for seed in order.seeds))
            size += order.path.stat().st_size
        return Made(screens, size, time.monotonic() - begun)
