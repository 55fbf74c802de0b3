"""The processes that do the items of an evaluation, apart from the one that keeps what is done.

Each is a process group of its own and ignores Ctrl-C, as do the browsers that it starts: an interruption reaches the
keeper alone, which then ends them in order.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple, TypeAlias

from foveate.actions import errors
from foveate.actions.errors import FoveateError, PolicyError
from foveate.agent.interrupts import ended_by, ignoring_interrupts

_END_S = 20.0
_KNOWN = {
    kind.__name__: kind
    for kind in (
        errors.UsageError, errors.RecordError, errors.CheckpointError, errors.ModelUnavailable,
        errors.NavigationFailed, errors.BrowserCrashed, errors.CaptureFailed,
    )
}  # fmt: skip
"""Errors that keep their class on the way from another process; the others become PolicyErrors that name it."""

Tell: TypeAlias = Callable[[Any], None]
Job: TypeAlias = Callable[..., Coroutine[Any, Any, None]]
"""What a process does: a module's coroutine function that takes a ``Tell`` before its own arguments."""


class _Failure(NamedTuple):
    kind: str
    message: str


class _End(NamedTuple):
    """The last message of a process that has done all."""


def run_apart(job: Job, shares: Sequence[tuple[Any, ...]], tell: Tell) -> None:
    """Run a job in processes of its own, one for each of the arguments; returns when all have ended.

    Args:
        job: What to do.
        shares: The arguments of each process.
        tell: Hears here what the job tells there, in the order in which it comes.

    Raises:
        FoveateError: If a process fails or dies; the others are ended.
    """
    threads = max((os.cpu_count() or 1) // max(len(shares), 1), 1)
    crew: dict[Connection, BaseProcess] = {}
    try:
        for share in shares:
            _start(crew, job, share, threads)
        while crew:
            for ready in wait(list(crew)):
                if isinstance(ready, Connection):
                    _hear(ready, crew, tell)
    finally:
        _end(list(crew.values()))


def _start(crew: dict[Connection, BaseProcess], job: Job, share: tuple[Any, ...], threads: int) -> None:
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_be, args=(theirs, job, share, threads), daemon=True)
    with ignoring_interrupts():
        process.start()
    theirs.close()
    crew[ours] = process


def _hear(ready: Connection, crew: dict[Connection, BaseProcess], tell: Tell) -> None:
    """Take one message.

    Raises:
        FoveateError: If it is a failure, or the process died without one.
    """
    process = crew[ready]
    try:
        message = ready.recv()
    except (EOFError, OSError) as exc:
        process.join(_END_S)
        raise PolicyError(
            f"a process of the evaluation died (exit code {process.exitcode}): is there enough memory? "
            "--resume goes on, with fewer --workers"
        ) from exc
    if isinstance(message, _Failure):
        raise _KNOWN.get(message.kind, PolicyError)(message.message)
    if isinstance(message, _End):
        ready.close()
        crew.pop(ready).join(_END_S)
        return
    tell(message)


def _end(crew: Sequence[BaseProcess]) -> None:
    """Let processes close what they opened; kill those that do not."""
    for process in crew:
        process.terminate()
    for process in crew:
        process.join(_END_S)
        if process.is_alive():
            process.kill()
            process.join()


# In the other process -----------------------------------------------------------------------------------------------


def _be(said: Connection, job: Job, share: tuple[Any, ...], threads: int) -> None:
    """Be one of the processes."""
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read by what is heavy, which is imported later
    with suppress(OSError):
        os.setpgid(0, 0)
    threading.Thread(target=_end_with_the_keeper, daemon=True).start()
    try:
        asyncio.run(_ended_by_signal(job(said.send, *share)))
    except asyncio.CancelledError:
        return
    except FoveateError as exc:
        kind = type(exc).__name__
        said.send(_Failure(kind, str(exc) if kind in _KNOWN else f"{kind}: {exc}"))
    else:
        said.send(_End())


async def _ended_by_signal(work: Coroutine[Any, Any, None]) -> None:
    with ended_by(signal.SIGTERM):
        await work


def _end_with_the_keeper() -> None:
    """End this process when the one that started it is gone."""
    keeper = parent_process()
    if keeper is not None:
        keeper.join()
        os.kill(os.getpid(), signal.SIGTERM)
