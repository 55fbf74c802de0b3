"""One run of the command line: signals, the questions to a person, and the object that stands for the result."""

import asyncio
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from foveate.actions.errors import UsageError
from foveate.actions.guard import Verdict
from foveate.actions.limits import entry_for
from foveate.actions.schema import Action
from foveate.agent.agent import Agent
from foveate.agent.ending import CODES, WRONG_USAGE, Ending, describe, result_object
from foveate.agent.live import LiveView, brief, shown
from foveate.agent.record import ERROR_FILE, REPORT_FILE
from foveate.agent.trajectory import Result, Status
from foveate.envs.base import Event, Observation

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Interruption:
    """Turns signals into an end of the run.

    The first one stops after the action in flight, or at once where no step is under way yet; the second stops at
    once; a third has its usual effect.
    """

    agent: Agent
    view: LiveView
    console: Console

    async def run(self, task: str | None, seed: int | None) -> Result:
        """Run an episode that signals can end.

        Raises:
            CancelledError: If it was stopped at once.
            FoveateError: As ``Agent.run``.
        """
        loop, current = asyncio.get_running_loop(), asyncio.current_task()
        asked = 0

        def interrupt() -> None:
            nonlocal asked
            asked += 1
            if asked == 1 and self.view.under_way:
                self.console.print("Stopping after the action in flight; once more stops at once.")
                self.agent.stop()
                return
            self.console.print("Stopping at once.")
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
            if current is not None:
                current.cancel()

        for number in _SIGNALS:
            loop.add_signal_handler(number, interrupt)
        try:
            return await self.agent.run(task, seed=seed)
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)


def run_agent(
    agent: Agent, view: LiveView, people: Console, *, task: str | None, seed: int | None, folder: Path | None
) -> Ending:
    """Run an episode, tell a person how it ended, and give what stands for it."""
    begun_s = time.monotonic()
    error: BaseException | None = None
    try:
        with view.running():
            result: Result | None = asyncio.run(Interruption(agent, view, people).run(task, seed))
    except (KeyboardInterrupt, asyncio.CancelledError) as exc:
        error, result = exc, view.result
    except Exception as exc:  # noqa: BLE001 - the command line's edge: the result so far is still to be told
        error, result = exc, view.result
        describe(exc, people, folder / ERROR_FILE if folder is not None and folder.is_dir() else None)
    seconds = result.trajectory.seconds if result is not None and result.steps else time.monotonic() - begun_s
    status, reason = _outcome(result, error)
    if result is not None:
        for line in blocked_lines(result.trajectory.events):
            people.print(line, markup=False, soft_wrap=True)
    kept = folder if folder is not None and folder.is_dir() else None
    data = result_object(
        status=status, reason=reason, seconds=seconds, record=kept,
        trajectory=None if result is None else result.trajectory,
        verified=None if result is None else result.verified, answer=None if result is None else result.answer,
    )  # fmt: skip
    people.print(_last_line(data), markup=False, soft_wrap=True)
    code = WRONG_USAGE if isinstance(error, UsageError) else CODES[status]
    return Ending(code, data)


def _outcome(result: Result | None, error: BaseException | None) -> tuple[Status, str]:
    if error is None and result is not None:
        return result.status, result.reason
    if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
        return "interrupted", "person"
    return "error", type(error).__name__


def _last_line(data: Mapping[str, Any]) -> str:
    verified = {True: ", verified", False: ", not done says the environment"}.get(data["verified"], "")
    steps = f"{data['steps']} step{'' if data['steps'] == 1 else 's'} in {data['seconds']:.1f} s"
    answer = f"\nanswer: {shown(data['answer'], 2_000)}" if data["answer"] is not None else ""
    report = None if data["record"] is None else Path(data["record"]) / REPORT_FILE
    record = f"\nreport: {report}" if report is not None and report.is_file() else ""
    return f"{data['status']} ({data['reason']}{verified}): {steps}{answer}{record}"


def blocked_lines(events: Iterable[Event]) -> list[str]:
    """Write one line a host whose requests were not sent, with what would let them pass."""
    hosts: Counter[str] = Counter()
    for event in events:
        if event.kind == "blocked":
            count, host = _blocked(event.text)
            hosts[host] += count
    return [
        f"blocked {count} request{'' if count == 1 else 's'} to {host}: --allow {entry_for(host)}"
        for host, count in hosts.most_common()
    ]


_COUNTED = re.compile(r"(?:(\d+) requests? )?to (\S+?)[:,.]?(?:\s|$)")


def _blocked(text: str) -> tuple[int, str]:
    """Read how many requests, and to which host, a ``blocked`` event is about."""
    found = _COUNTED.search(text)
    if found is None:
        return 1, shown(text)
    return int(found[1] or 1), shown(found[2])


class Person:
    """Who sits at the terminal: gives or denies consent, and answers a model's questions.

    A question waits for a line without blocking the loop, and can be cancelled.
    """

    def __init__(self, console: Console, view: LiveView) -> None:
        self._console = console
        self._view = view

    async def confirm(self, action: Action, verdict: Verdict, observation: Observation) -> bool:
        """Ask for consent to an action; anything but y or yes denies it."""
        reason = f" ({shown(verdict.reason)})" if verdict.reason else ""
        answer = await self._ask(f"{brief(action)}{reason}: do it? [y/N] ")
        return answer is not None and answer.strip().lower() in ("y", "yes")

    async def answer(self, question: str, observation: Observation) -> str | None:
        """Put a model's question; None where there is no answer."""
        answer = await self._ask(f"The model asks: {shown(question, 2_000)}\n> ")
        return answer.strip() or None if answer is not None else None

    async def _ask(self, question: str) -> str | None:
        loop = asyncio.get_running_loop()
        line: asyncio.Future[str] = loop.create_future()

        def read() -> None:
            if not line.done():
                line.set_result(sys.stdin.readline())

        with self._view.paused():
            self._console.print(question, end="", markup=False, highlight=False)
            loop.add_reader(sys.stdin.fileno(), read)
            try:
                return await line or None
            finally:
                loop.remove_reader(sys.stdin.fileno())
