"""BestOfN: several answers to one question, of which the one that most others agree with is taken."""

import asyncio
import math
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from foveate.actions.errors import OutOfFrame, ParseError, UsageError
from foveate.actions.geometry import Box, Frame, Point, map_places
from foveate.actions.schema import Action
from foveate.envs.base import Observation
from foveate.policies.base import Decision, Look, Policy, Sampling, Turn, Usage
from foveate.policies.wrapping import PolicyWrapper

NEAR: Final = 0.03
"""Two places mean the same where they lie this close, as a fraction of the frame's diagonal."""

DRAWN: Final = Sampling(temperature=0.6, top_p=0.95)
"""How every answer but the first is drawn: as InternVL's evaluation draws candidates; the first is greedy."""


class Critic(Protocol):
    """Says how good answers are."""

    async def score(self, task: str, observation: Observation, answers: Sequence[str]) -> tuple[float, ...]:
        """Give a score an answer; more is better.

        Args:
            task: The instruction.
            observation: What was answered on.
            answers: Whole texts.

        Raises:
            PolicyError: If the critic's model fails.
        """
        raise NotImplementedError


class BestOfN(PolicyWrapper):
    """Asks its policy several times at once and takes one of the answers; costs as much as all of them.

    The first answer is drawn as the Look says (greedy by default), the others at a temperature. Answers that do the
    same thing in nearly the same places are one group; of the largest group (the earliest of equals) the medoid is
    taken, the answer whose places are nearest to the others': a real answer, never an average of them. With a critic,
    its best answer is taken instead. Usage is summed, and the texts that were not taken are in ``Decision.attempts``.

    Args:
        policy: Who is asked; opened and closed with this one unless it is open already.
        n: How many answers.
        critic: Who chooses; stays open.
        sampling: How every answer but the first is drawn.

    Raises:
        UsageError: If ``n`` is less than 1, or ``sampling`` is greedy, which would give one answer n times.
    """

    def __init__(self, policy: Policy, n: int = 5, *, critic: Critic | None = None, sampling: Sampling = DRAWN) -> None:
        if n < 1:
            raise UsageError(f"n is 1 or more, not {n}")
        if sampling.temperature <= 0:
            raise UsageError(f"temperature {sampling.temperature:g} gives one answer {n} times: take one above 0")
        super().__init__(policy)
        self.n = n
        self.critic = critic
        self.sampling = sampling
        self._task = ""
        self._seed: int | None = None

    async def reset(self, task: str, *, seed: int | None = None, action_kinds: frozenset[str] | None = None) -> None:
        """Begin an episode; see ``Policy.reset``."""
        await super().reset(task, seed=seed, action_kinds=action_kinds)
        self._task, self._seed = task, seed

    async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
        """Decide by several answers.

        Raises:
            ParseError: If none of them is an action that is offered; ``.decision`` holds the first one's text, the
                summed usage and the other texts.
            OutOfFrame: If the first points outside the frame and no other one can be used; ``.decision`` likewise.
            PolicyError: If the model fails.
        """
        self.require_open()
        asked = [self.policy.act(observation, history, each) for each in self._looks(look, len(history))]
        answered = await _all(asked)
        usage = sum((_decision(each).usage for each in answered), Usage())
        usable = [each for each in answered if isinstance(each, Decision)]
        if not usable:
            failed = next(each for each in answered if not isinstance(each, Decision))
            failed.decision = _chosen(_decision(failed), answered, usage)
            raise failed
        best = await self._best(observation, usable)
        return _chosen(best, answered, usage)

    def _looks(self, look: Look | None, step: int) -> list[Look]:
        first = look or Look()
        seed = None if self._seed is None else (self._seed * 1_000_003 + step) * self.n
        drawn = [
            replace(first, sampling=self.sampling if seed is None else replace(self.sampling, seed=seed + number))
            for number in range(1, self.n)
        ]
        return [first, *drawn]

    async def _best(self, observation: Observation, usable: list[Decision]) -> Decision:
        if self.critic is not None and len(usable) > 1:
            scores = await self.critic.score(self._task, observation, [each.raw for each in usable])
            return usable[max(range(len(usable)), key=lambda number: (scores[number], -number))]
        return medoid(usable, observation.frame)


def medoid(decisions: Sequence[Decision], frame: Frame) -> Decision:
    """Take the decision that most others agree with.

    Args:
        decisions: At least one; the earliest of equals is taken.
        frame: That their places are of.
    """
    groups = [[other for other in decisions if apart(one, other, frame) <= NEAR] for one in decisions]
    largest = max(groups, key=len)
    return min(largest, key=lambda one: sum(apart(one, other, frame) for other in largest))


def apart(one: Decision, other: Decision, frame: Frame) -> float:
    """Give how far apart two decisions are: infinite where they do different things.

    Returns:
        The greatest distance of two places that mean the same, as a fraction of the frame's diagonal; 0 without places.
    """
    if _forms(one.actions) != _forms(other.actions):
        return math.inf
    width, height = frame.extent
    pairs = zip(_places(one.actions), _places(other.actions), strict=True)
    offsets = [math.hypot((a[0] - b[0]) * width, (a[1] - b[1]) * height) for a, b in pairs]
    return max(offsets, default=0.0) / math.hypot(width, height)


async def _all(asked: Sequence[Awaitable[Decision]]) -> list[Decision | ParseError | OutOfFrame]:
    """Await all answers at once; where one fails for good, the others are cancelled first."""
    tasks = [asyncio.ensure_future(_answer(each)) for each in asked]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _answer(asked: Awaitable[Decision]) -> Decision | ParseError | OutOfFrame:
    try:
        return await asked
    except (ParseError, OutOfFrame) as error:
        return error


def _decision(answered: Decision | ParseError | OutOfFrame) -> Decision:
    if isinstance(answered, Decision):
        return answered
    return answered.decision if isinstance(answered.decision, Decision) else Decision()


def _chosen(best: Decision, answered: Sequence[Decision | ParseError | OutOfFrame], usage: Usage) -> Decision:
    others = [found for each in answered if (found := _decision(each)) is not best]
    texts = tuple(text for other in others for text in (*other.attempts, other.raw))
    return replace(best, usage=usage, attempts=(*best.attempts, *texts))


_NOWHERE, _NO_BOX = Point(0.0, 0.0), Box(0.0, 0.0, 1.0, 1.0)


def _forms(actions: Sequence[Action]) -> tuple[Action, ...]:
    """Give actions without their places: two that are equal differ at most in where."""
    return tuple(map_places(action, lambda _: _NOWHERE, lambda _: _NO_BOX) for action in actions)


def _places(actions: Sequence[Action]) -> list[tuple[float, float]]:
    """Give every place of some actions, boxes by their corners, as fractions of the frame."""
    found: list[tuple[float, float]] = []

    def point(place: Point) -> Point:
        found.append((place.x, place.y))
        return place

    def box(place: Box) -> Box:
        found.extend(((place.left, place.top), (place.right, place.bottom)))
        return place

    for action in actions:
        map_places(action, point, box)
    return found
