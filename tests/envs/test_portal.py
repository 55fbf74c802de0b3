"""The door from synchronous code: results and errors come back, and an interruption at any moment leaves nothing."""

import asyncio
import concurrent.futures
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from foveate.actions.errors import EnvClosed, UsageError, WrongLoop
from foveate.envs.portal import Portal


def portals() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("foveate-portal")]


def test_a_portal_hands_back_results_and_errors() -> None:
    async def fail() -> None:
        raise UsageError("no")

    async def one() -> int:
        return 1

    with Portal() as portal:
        assert portal.call(one) == 1
        with pytest.raises(UsageError, match="no"):
            portal.call(fail)
    with pytest.raises(EnvClosed):
        portal.call(one)
    assert portals() == []


def test_closing_a_portal_cancels_what_still_runs() -> None:
    ended = threading.Event()

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def start() -> None:
        task = asyncio.ensure_future(endless())
        task.add_done_callback(lambda _: None)
        await asyncio.sleep(0)

    with Portal() as portal:
        portal.call(start)
    assert ended.is_set()


def test_a_portal_can_be_opened_again_and_opening_twice_is_once() -> None:
    async def loop() -> int:
        return id(asyncio.get_running_loop())

    portal = Portal()
    for _ in range(2):
        portal.open()
        portal.open()
        assert len(portals()) == 1
        assert portal.call(loop) == portal.call(loop)
        portal.close()
        portal.close()
    assert portals() == []


@pytest.mark.timeout(20)
def test_its_own_loop_cannot_wait_for_itself() -> None:
    async def inner() -> int:
        return 1

    async def outer() -> int:
        return portal.call(inner)

    with Portal() as portal:
        with pytest.raises(WrongLoop, match="await"):
            portal.call(outer)
        assert portal.call(inner) == 1


@pytest.mark.timeout(20)
def test_closed_from_its_own_loop_it_ends_without_waiting_for_itself() -> None:
    async def close() -> None:
        portal.close()

    portal = Portal()
    portal.open()
    (thread,) = portals()
    portal.call(close)
    thread.join(10)
    assert not thread.is_alive()


def test_calls_from_several_threads_are_each_answered() -> None:
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    answers: list[int] = []
    with Portal() as portal:
        threads = [
            threading.Thread(target=lambda n=number: answers.append(portal.call(lambda: double(n))))  # type: ignore[misc]
            for number in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert sorted(answers) == [0, 2, 4, 6, 8, 10, 12, 14]


@pytest.mark.timeout(30)
def test_a_portal_that_is_closed_under_a_call_ends_it() -> None:
    state: list[str] = []
    ended = threading.Event()
    portal = Portal()
    portal.open()

    def call() -> None:
        try:
            portal.call(endless(state))
        except concurrent.futures.CancelledError:
            ended.set()

    thread = threading.Thread(target=call)
    thread.start()
    while not state:
        thread.join(0.01)
    portal.close()
    thread.join(10)
    assert state == ["began", "ended"]
    assert ended.is_set()


def interrupt() -> None:
    """Do what Ctrl-C does, to the thread that gets it."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Answer SIGINT as a program does; a shell's background job ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def endless(state: list[str]) -> Callable[[], Coroutine[Any, Any, None]]:
    """Make an async function that never returns and says when it begins and ends."""

    async def function() -> None:
        state.append("began")
        try:
            await asyncio.Event().wait()
        finally:
            state.append("ended")

    return function


@contextmanager
def interrupted_at(function: Any, line: int) -> Iterator[list[int]]:
    """Raise KeyboardInterrupt before a line of a function, counted as they are executed; tell which were.

    Lines after an interruption that came otherwise do not count: that would be the second one.
    """
    reached: list[int] = []
    interrupted = False

    def within(frame: FrameType, event: str, _: object) -> Any:
        nonlocal interrupted
        interrupted = interrupted or event == "exception"
        if event == "line" and not interrupted:
            reached.append(frame.f_lineno)
            if len(reached) == line:
                raise KeyboardInterrupt
        return within

    def trace(frame: FrameType, event: str, _: object) -> Any:
        return within if frame.f_code is function.__code__ else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield reached
    finally:
        sys.settrace(before)


@pytest.mark.timeout(60)
@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
@pytest.mark.usefixtures("interruptible")
def test_an_interruption_at_any_line_of_a_call_leaves_nothing_running() -> None:
    async def left_over() -> int:
        return len(asyncio.all_tasks()) - 2  # the portal's own and this one

    for line in range(1, 40):
        state: list[str] = []
        function = endless(state)
        with Portal() as portal:
            while_it_waits = threading.Timer(0.3, interrupt)
            with interrupted_at(Portal.call, line) as reached, pytest.raises(KeyboardInterrupt):
                while_it_waits.start()
                portal.call(function)
            while_it_waits.cancel()
            assert portal.call(left_over) == 0, f"line {reached[-1]}"
            assert state in ([], ["began", "ended"]), f"line {reached[-1]}"
        if len(reached) < line:  # it came as far as to wait
            assert state == ["began", "ended"]
            assert line > 5
            break
    else:
        pytest.fail("no call came as far as to wait")


@pytest.mark.timeout(60)
def test_an_interruption_at_any_line_of_opening_leaves_no_thread() -> None:
    for line in range(1, 40):
        portal = Portal()
        with interrupted_at(Portal.open, line) as reached:
            try:
                portal.open()
            except KeyboardInterrupt:
                assert portals() == [], f"line {reached[-1]}"
                continue
        portal.close()
        assert line > 3
        break
    else:
        pytest.fail("opening never came to its end")


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_while_it_waits_cancels_and_waits_until_it_has_cleaned_up() -> None:
    cleaned = threading.Event()

    async def interrupted() -> None:
        asyncio.get_running_loop().call_later(0.3, interrupt)  # later, so that it reaches the caller while it waits
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    with Portal() as portal:
        with pytest.raises(KeyboardInterrupt):
            portal.call(interrupted)
        assert cleaned.is_set()


@pytest.mark.timeout(30)
def test_where_no_loop_can_be_made_the_caller_is_told_and_nothing_hangs() -> None:
    code = """
import os, resource, sys
from foveate.envs.portal import Portal
Portal  # imported before descriptors run out
free = os.dup(0)
resource.setrlimit(resource.RLIMIT_NOFILE, (free, free))
os.close(free)
try:
    Portal().open()
except OSError as exc:
    print("told", exc.errno)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    assert done.stdout.startswith("told"), done.stderr
