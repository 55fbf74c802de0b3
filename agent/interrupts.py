"""Signals that ask for an end: left to the process that started this one, or taken once, in an event loop."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ignoring_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C while processes are started, which then go on to ignore it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def ended_by(*numbers: signal.Signals) -> Iterator[None]:
    """Have the first of some signals cancel the current task, and more of them nothing; for the main thread's loop.

    ``timeout`` sends two. Raised as KeyboardInterrupt, the second would come in the middle of the closing; so SIGTERM
    stays ignored once one has come. Ctrl-C does not, for whom the closing takes too long.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    came = False

    def end() -> None:
        nonlocal came
        came = True
        if not task.cancelling():
            task.cancel()

    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN if came and number == signal.SIGTERM else handler)
