"""One run at a time: what a run uses is in no other run's hands."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from foveate.actions.errors import InUse


@dataclass(frozen=True, slots=True)
class _Use:
    """What is in use, kept alive so that its id stays its own, and the event loop of the run."""

    thing: object
    loop: asyncio.AbstractEventLoop


_uses: dict[int, _Use] = {}  # by id: a world of somebody else need be neither hashable nor different from its equals
_lock = threading.RLock()  # taken again where a collection within it frees what a dead run used


@contextmanager
def in_use(*things: object) -> Iterator[None]:
    """Keep things for one run, from any thread, until the block ends in whatever way.

    Raises:
        InUse: If another run has one of them.
    """
    loop = asyncio.get_running_loop()
    mine = {id(thing): _Use(thing, loop) for thing in things}
    with _lock:
        for thing in things:
            refuse_used(thing)
        _uses.update(mine)
    try:
        yield
    finally:
        with _lock:
            for key, use in mine.items():
                if _uses.get(key) is use:
                    del _uses[key]


def refuse_used(thing: object) -> None:
    """Check that no run has a thing; one whose event loop was closed under it has nothing any more.

    Raises:
        InUse: If one has it.
    """
    use = _uses.get(id(thing))
    if use is None or use.loop.is_closed():
        return
    name = type(thing).__name__
    doing = "is running already" if name == "Agent" else "is in use by another run"
    raise InUse(f"{name} {doing}: wait until that has ended, or make another")


def layers(thing: object, inner: str) -> Iterator[object]:
    """Give a thing and what it wraps, outermost first; ``inner`` is the attribute by which it says what."""
    layer: object | None = thing
    while layer is not None:
        yield layer
        layer = getattr(layer, inner, None)
