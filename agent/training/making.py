"""Make shards of drawn pages from seeds, in processes apart, each with its own browser."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final, Protocol, TypeVar

from foveate.actions.errors import BrowserCrashed, UsageError
from foveate.agent.interrupts import ignoring_interrupts
from foveate.agent.training.layouts import write_page
from foveate.agent.training.markup import Page
from foveate.agent.training.rendering import SCALE, SIDE, Renderer
from foveate.agent.training.words import Split
from foveate.policies.training.shards import UNTIL, entries_of, read_entry, write_shard

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
        say: Takes a line for people a finished shard, where there are several.

    Raises:
        UsageError: If there is nothing to make.
        BrowserCrashed: If a worker died.
    """
    if not todo:
        raise UsageError("there is nothing to make: --count 1 is the least")
    workers = min(workers, len(todo))
    with in_processes(_work, [todo[number::workers] for number in range(workers)], workers) as working:
        total = _gather(working, todo, say)
    return Made(sum(one.screens for one in total), sum(one.size for one in total), max(one.seconds for one in total))


def _gather(working: "Sequence[Future[Made]]", todo: Sequence[Order], say: Callable[[str], None]) -> list[Made]:
    """Wait for all workers, and say which shards are there."""
    before = {order.path: _version(order.path) for order in todo}
    waiting, seen = set(working), set[Path]()
    while waiting:
        ended, waiting = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
        for path in [path for path in before if path not in seen and _version(path) != before[path]]:
            seen.add(path)
            if len(todo) > 1:
                say(f"{path.name}: {len(seen)} of {len(todo)} shards")
        for future in ended:
            future.result()
    return [future.result() for future in working]


def _version(path: Path) -> int:
    """Tell a file from the one that was made in its place; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _work(todo: Sequence[Order]) -> Made:
    screens = size = 0
    way = todo[0].way
    with Renderer(side=way.side, scale=way.scale, browser=way.browser) as renderer:
        begun = time.monotonic()
        for order in todo:
            screens += write_shard(order.path, renderer.draw(_pages(order)))
            size += order.path.stat().st_size
        return Made(screens, size, time.monotonic() - begun)


def _pages(order: Order) -> Iterator[Page]:
    for seed in order.seeds:
        if stopping():
            raise Stopped
        yield write_page(seed, order.split)


# What shards hold ---------------------------------------------------------------------------------------------------


class _Ordered(Protocol):
    @property
    def path(self) -> Path: ...
    @property
    def seeds(self) -> range: ...


def seeds_in(path: Path) -> range:
    """Give the seeds that a shard was made from, by what it really holds; none where it is broken or missing."""
    try:
        entries = entries_of(path)
        facts = read_entry(path, entries[-1]).facts if entries else {}
        return range(int(path.stem.rpartition("-")[2]), int(facts.get(UNTIL) or int(facts["seed"]) + 1))
    except (UsageError, ValueError, KeyError):
        return range(0)


def refuse_loss(todo: Sequence[_Ordered]) -> None:
    """Refuse shards that would take seeds away from a folder, or be there twice.

    A shard is named by its first seed, and another count or number of processes divides seeds differently: what one
    call made, another would replace with less. The same call may be made again, and more may be made of a shard.

    Args:
        todo: What is to be made, of seeds without a gap; at least one shard.

    Raises:
        UsageError: If a shard that is there holds other seeds than the one that takes its place, or some of another's.
    """
    wanted = {order.path: order.seeds for order in todo}
    begin, end = min(seeds.start for seeds in wanted.values()), max(seeds.stop for seeds in wanted.values())
    kinds = {(path.parent, path.stem.rpartition("-")[0]) for path in wanted}
    for path in sorted(found for folder, kind in kinds for found in folder.glob(f"{kind}-*.tar")):
        held, mine = seeds_in(path), wanted.get(path)
        lost = mine is not None and not (mine.start <= held.start and held.stop <= mine.stop)
        twice = mine is None and max(held.start, begin) < min(held.stop, end)
        if held and (lost or twice):
            raise UsageError(
                f"{path} holds seeds {held.start} to {held.stop - 1}, which these shards would replace or be there "
                "twice: give another --out, or a --seed after all that is there, or delete it"
            )


# Processes ----------------------------------------------------------------------------------------------------------

T = TypeVar("T")
M = TypeVar("M")

_CLOSE_S: Final = 30.0
"""Longest wait for a browser to be closed when the first process is gone."""

_stop: Event | None = None
"""Set where this process is a worker that is to stop."""

_alone, _busy = threading.Event(), threading.Lock()
"""In a worker: the first process is gone; there is a job at work."""


class Stopped(BaseException):
    """Ends a worker in the middle of a shard."""


def stopping() -> bool:
    """Tell a worker whether it is to close its browsers and to end; false in any other process."""
    return _alone.is_set() or (_stop is not None and _stop.is_set())


@contextmanager
def in_processes(job: Callable[[T], M], given: Sequence[T], workers: int) -> "Iterator[list[Future[M]]]":
    """Do jobs in processes apart, which end with the block, and with this process in whatever way it ends.

    Each is in a process group of its own and ignores Ctrl-C, as do its browsers: an interruption reaches the first
    process alone, which ends the others in order.

    Args:
        job: A module's function, which asks ``stopping`` from time to time and raises ``Stopped`` then.
        given: What it is called with, once each.
        workers: How many processes.

    Yields:
        What comes of each.

    Raises:
        BrowserCrashed: If a process died.
    """
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(stop,)) as pool:
        try:
            with ignoring_interrupts():
                working = [pool.submit(_at_work, job, one) for one in given]
            yield working
        except BrokenProcessPool as exc:
            raise BrowserCrashed("a process that makes shards died: is there enough memory? Use --workers 1") from exc
        finally:
            stop.set()  # after Ctrl-C, or where one of them failed, the others have nothing to go on for
            pool.shutdown(cancel_futures=True)


def _begin(stop: Event) -> None:
    """Begin a worker."""
    global _stop
    _stop = stop
    os.setpgid(0, 0)
    threading.Thread(target=_end_with_the_first, daemon=True).start()


def _end_with_the_first() -> None:
    """End this worker when the first process is gone: its job closes the browser, but nothing ever takes the result."""
    first = multiprocessing.parent_process()
    if first is not None:
        first.join()
        _alone.set()
        _busy.acquire(timeout=_CLOSE_S)
        os._exit(1)


def _at_work(job: Callable[[T], M], one: T) -> M:
    with _busy:
        if stopping():
            raise Stopped
        return job(one)
