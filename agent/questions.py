"""What people are asked during an episode: for consent to an action, and what ``call_user`` asks."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from foveate.actions.errors import UsageError
from foveate.actions.guard import Limits, Verdict
from foveate.actions.schema import Action
from foveate.agent.budget import People
from foveate.agent.masked import masked_action
from foveate.agent.waits import Waits
from foveate.envs.base import Observation

AnswerT = TypeVar("AnswerT")


class Questions:
    """Asks people and waits for a limited time; who raised an error is not asked again.

    Args:
        people: Who can be asked.
        limits: Hold the secrets, which are placeholders in what they are shown.
        waits: The episode's, which cut a question short.
        limit_s: Seconds that a person has to answer.

    Attributes:
        failed: True once an answer was an error.
    """

    def __init__(self, people: People, limits: Limits, waits: Waits, limit_s: float) -> None:
        self.failed = False
        self._people = people
        self._limits = limits
        self._waits = waits
        self._limit_s = limit_s

    @property
    def can_confirm(self) -> bool:
        """True where somebody is there to give consent."""
        return self._people.confirm is not None and not self.failed

    async def consent(self, action: Action, verdict: Verdict, observation: Observation) -> bool | None:
        """Ask for consent to an action; None where nobody answered in time.

        Raises:
            UsageError: If the callback is no async one; whatever else it raises is raised too.
        """
        assert self._people.confirm is not None  # noqa: S101 - asked only where there is somebody
        asked_s = time.monotonic()
        action = masked_action(self._limits, action)
        verdict = replace(verdict, reason=self._limits.mask_secrets(verdict.reason))
        with self._noting_failure():
            answer = await self._bounded("confirm", self._people.confirm(action, verdict, observation))
        if answer is None or time.monotonic() - asked_s > self._limit_s:  # an answer that comes late is none
            return None
        return answer is True  # nothing but True is consent, whatever else a callback gives

    async def answer(self, question: str, observation: Observation) -> str | None:
        """Put a model's question; None where nobody is there or answered in time.

        Raises:
            UsageError: If the callback is no async one; whatever else it raises is raised too.
        """
        if self._people.ask is None or self.failed:
            return None
        with self._noting_failure():
            question = self._limits.mask_secrets(question)
            return await self._bounded("ask", self._people.ask(question, observation))

    async def _bounded(self, name: str, answering: Awaitable[AnswerT]) -> AnswerT | None:
        if not inspect.isawaitable(answering):
            raise UsageError(f"{name} gave {answering!r:.80} at once: make it an async function ('async def {name}')")
        try:
            async with self._waits.bounded() as scope, asyncio.timeout(self._limit_s) as limit:
                return await answering
        except TimeoutError:
            if scope.expired() or limit.expired():
                return None
            raise  # the callback's own

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.failed = True
            raise
