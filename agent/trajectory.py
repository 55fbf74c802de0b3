"""What an episode leaves behind: Trajectory, Result, the line of a record, and who may listen."""

from asyncio import CancelledError
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from foveate.actions.geometry import Frame
from foveate.envs.base import Event, Observation
from foveate.policies.base import Turn, Usage

Status: TypeAlias = Literal["success", "failure", "truncated", "error", "interrupted"]

REASONS = frozenset(
    {
        "done",
        "failure",
        "world",
        "max_steps",
        "timeout",
        "tokens",
        "failures",
        "loop",
        "no_action",
        "needs_person",
        "person",
    }
)
"""Why an episode ended; besides these, the class name of the error that ended it."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """The record of one episode in memory.

    Attributes:
        task: The instruction.
        turns: One a step; pixels only where they were asked for.
        rewards: One a step: the sum over its actions.
        terminated: The world, or the policy's ``terminate`` or ``stop``, ended it.
        truncated: A budget, the loop breaker, a person or an unreadable answer ended it.
        reason: One of REASONS, or an error's class name.
        answer: The last ``respond``; None without one.
        seed: The episode's seed.
        frames: Per step, the path in the record of the picture acted on; empty without a record.
        timing_ms: Per step, milliseconds of each phase and ``total``.
        events: Everything that happened, in order.
        seconds: How long the episode took.
    """

    task: str
    turns: tuple[Turn, ...] = ()
    rewards: tuple[float, ...] = ()
    terminated: bool = False
    truncated: bool = False
    reason: str = "done"
    answer: str | None = None
    seed: int | None = None
    frames: tuple[str, ...] = ()
    timing_ms: tuple[Mapping[str, float], ...] = ()
    events: tuple[Event, ...] = ()
    seconds: float = 0.0

    @property
    def usage(self) -> Usage:
        """Tokens of all steps, added up."""
        return sum((turn.decision.usage for turn in self.turns), Usage())


@dataclass(frozen=True, slots=True)
class Result:
    """How an episode ended.

    Attributes:
        status: ``success`` where it ended with success, by the policy's word or the world's, and ``verified`` is
            not false.
        verified: What the environment's ``verify`` said, once, after the end; None where there is nothing to ask.
        reason: One of REASONS, or an error's class name.
        answer: The last ``respond``; None without one.
        trajectory: The steps.
        record: The record's folder; None without one.
        error: ``ClassName: message`` of the error that ended it; None otherwise.
    """

    status: Status
    verified: bool | None
    reason: str
    answer: str | None
    trajectory: Trajectory
    record: Path | None = None
    error: str | None = None

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return len(self.trajectory.turns)


def status_of(trajectory: Trajectory, verified: bool | None, world_success: bool | None) -> Status:
    """Say how an episode ended that ran to its end.

    Args:
        trajectory: The episode.
        verified: What the environment's ``verify`` said.
        world_success: The world's word where it ended the episode.
    """
    if trajectory.reason == "person":
        return "interrupted"
    if trajectory.truncated:
        return "truncated"
    succeeded = world_success if trajectory.reason == "world" else trajectory.reason == "done"
    return "success" if succeeded and verified is not False else "failure"


def broken(exc: BaseException, trajectory: Trajectory, record: Path | None) -> Result:
    """Say how an episode ended that an error or a cancellation broke off."""
    cancelled = isinstance(exc, CancelledError)
    reason = "person" if cancelled else type(exc).__name__
    trajectory = replace(trajectory, reason=reason, terminated=False, truncated=cancelled)
    status: Status = "interrupted" if cancelled else "error"
    error = None if cancelled else f"{reason}: {exc}"
    return Result(status, None, reason, trajectory.answer, trajectory, record, error)


@dataclass(frozen=True, slots=True)
class EpisodeHead:
    """What a record says before the first step.

    Attributes:
        task: The instruction, secrets as placeholders.
        env: The environment's class and where it started.
        policy: The policy's class, wrappers outermost first.
        model: The model's name; None without one.
        seed: The episode's seed.
        episode: The environment's own episode; None without one.
        versions: Of what only the environment or the policy knows (the browser, say), by name.
    """

    task: str
    env: str
    policy: str
    model: str | None = None
    seed: int | None = None
    episode: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepLine:
    """One line of ``steps.jsonl``, before it is written.

    Attributes:
        index: From 0.
        turn: The step; its observation still has its pixels or not, a recorder needs none.
        frame: Path of the picture given to ``act``, relative to the record.
        after: One an action: path of the picture after it, or None where it was not done on the world.
        frames: One an action: the Frame that its points were in when it was dispatched; None where it was not.
        reward: Sum over the actions.
        terminated: As of the whole step.
        truncated: As of the whole step.
        timing_ms: Milliseconds of every phase, summed over the actions, and ``total``.
        events: What happened during the step.
    """

    index: int
    turn: Turn
    frame: str
    after: tuple[str | None, ...] = ()
    frames: tuple[Frame | None, ...] = ()
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    timing_ms: Mapping[str, float] = field(default_factory=dict)
    events: tuple[Event, ...] = ()


class Listener(Protocol):
    """Hears of an episode as it goes; synchronous, fed from a bounded queue, and unable to slow or fail a step."""

    def started(self, task: str) -> None:
        """The episode began."""

    def observed(self, observation: Observation) -> None:
        """The world was seen: after the reset and after every action."""

    def turned(self, turn: Turn) -> None:
        """A step ended."""

    def ended(self, result: Result) -> None:
        """The episode ended."""
