"""Make shards of drawn pages from seeds, in several processes, each with its own browser."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final

from foveate.actions.errors import BrowserCrashed, UsageError
from foveate.agent.training.layouts import write_page
from foveate.agent.training.markup import Page
from foveate.agent.training.rendering import SCALE, SIDE, Renderer
from foveate.agent.training.words import Split
from foveate.policies.training.shards import write_shard

SHARD: Final = 250
"""Most screens a shard."""


@dataclass(frozen=True, slots=True)
class Way:
    """How pages are drawn.

    Attributes:
        side: Width and height of the viewport in CSS pixels.
        scale: Device pixels a CSS pixel.
        browser: The Chromium to use; None is what is found.
    """

    side: int = SIDE
    scale: float = SCALE
    browser: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A shard that is to be made.

    Attributes:
        path: Where.
        seeds: One a page.
        split: Whether its words, fonts and themes are of those that are trained on.
        way: How they are drawn.
    """

    path: Path
    seeds: range
    split: Split
    way: Way


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


def orders(
    folder: Path,
    seeds: range,
    split: Split,
    workers: int,
    way: Way = Way(),
) -> tuple[Order, ...]:
    """Divide seeds into shards: of SHARD pages, fewer where otherwise a worker would have nothing to do."""
    size = max(1, min(SHARD, -(-len(seeds) // workers)))
    parts = [seeds[start : start + size] for start in range(0, len(seeds), size)]
    return tuple(Order(folder / f"web-{split}-{part[0]:011d}.tar", part, split, way) for part in parts)


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
    stop = context.Event()
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(stop,)) as pool:
        try:
            total = _gather([pool.submit(_work, todo[number::workers]) for number in range(workers)], todo, say)
        except BrokenProcessPool as exc:
            raise BrowserCrashed("a process that draws pages died: is there enough memory? Use --workers 1") from exc
        finally:
            stop.set()  # after Ctrl-C, or where one of them failed, the others have nothing to go on for
    return Made(sum(one.screens for one in total), sum(one.size for one in total), max(one.seconds for one in total))


def _gather(working: "list[Future[Made]]", todo: Sequence[Order], say: Callable[[str], None]) -> list[Made]:
    """Wait for all workers, and say which shards are there."""
    waiting, seen = set(working), set[Path]()
    while waiting:
        ended, waiting = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
        for path in [order.path for order in todo if order.path not in seen and order.path.exists()]:
            seen.add(path)
            say(f"{path.name}: {len(seen)} of {len(todo)} shards")
        for future in ended:
            future.result()
    return [future.result() for future in working]


class _Stopped(BaseException):
    """Ends a worker in the middle of a shard."""


_stop: Event | None = None
"""Set where this process is a worker that is to stop."""


def _begin(stop: Event) -> None:
    """Begin a worker, in a process group of its own: Ctrl-C reaches the first process alone, which stops the others."""
    global _stop
    _stop = stop
    os.setpgid(0, 0)


def _pages(order: Order, parent: int) -> Iterator[Page]:
    for seed in order.seeds:
        if _stop is not None and (_stop.is_set() or os.getppid() != parent):
            raise _Stopped
        yield write_page(seed, order.split)


def _work(todo: Sequence[Order]) -> Made:
    screens = size = 0
    parent = os.getppid()
    way = todo[0].way
    with Renderer(side=way.side, scale=way.scale, browser=way.browser) as renderer:
        begun = time.monotonic()
        for order in todo:
            screens += write_shard(order.path, renderer.draw(_pages(order, parent)))
            size += order.path.stat().st_size
        return Made(screens, size, time.monotonic() - begun)
