"""How far an episode has come: its steps so far, what ended it, and who is told."""

import time
import zlib
from collections import Counter
from typing import Protocol

import numpy as np

from foveate.actions.guard import Limits
from foveate.actions.schema import LOOP_KINDS
from foveate.agent.budget import Budget
from foveate.agent.listening import Listening
from foveate.agent.masked import masked_turn
from foveate.agent.step import StepState, without_pixels
from foveate.agent.trajectory import StepLine, Trajectory
from foveate.agent.waits import Waits
from foveate.envs.base import Event, Observation
from foveate.policies.base import Policy, Turn


class Recording(Protocol):
    """Where the loop leaves its steps (``agent.recorder.Recorder``)."""

    async def picture(self, observation: Observation) -> str:
        """Keep a picture; give its path in the record."""

    async def turn(self, line: StepLine) -> None:
        """Keep a step; returns when it is on disk."""


class Progress:
    """Keeps an episode's steps and says when it has ended.

    Args:
        policy: Says in how many Turns of its history it wants the pixels.
        limits: Hold the secrets, which are placeholders in all that is kept and told.
        budget: What ends the episode.
        recording: Where the steps are kept; None keeps none.
        listening: Who hears of them.
        keep_images: Leave the pixels in the trajectory.

    Attributes:
        waits: Its waits, which its end cuts short.
        history: The Turns so far, as the policy gets them.
        task: The instruction, secrets as placeholders.
        seed: The episode's seed.
        answer: The last ``respond``.
        reason: What ended it; None while it goes on.
    """

    def __init__(
        self,
        policy: Policy,
        limits: Limits,
        budget: Budget,
        recording: Recording | None,
        listening: Listening,
        *,
        keep_images: bool,
    ) -> None:
        self.waits = Waits(budget.timeout_s, lambda reason: self.finish(reason, truncated=True))
        self.history: tuple[Turn, ...] = ()
        self.task = ""
        self.seed: int | None = None
        self.answer: str | None = None
        self.reason: str | None = None
        self._terminated = self._truncated = False
        self._policy = policy
        self._limits = limits
        self._budget = budget
        self._recording = recording
        self._listening = listening
        self._keep_images = keep_images
        self._turns: list[Turn] = []
        self._tokens = 0
        self._rewards: list[float] = []
        self._frames: list[str] = []
        self._timings: list[dict[str, float]] = []
        self._events: list[Event] = []
        self._repeats: Counter[tuple[object, ...]] = Counter()
        self._failures = 0

    def begin(self, task: str, seen: Observation) -> None:
        """Say what the task is, and what the world looks like before the first step."""
        self.task = task
        self._listening.started(task)
        self.observed(seen)
        self._events.extend(seen.events)

    def observed(self, seen: Observation) -> None:
        """Say what the world looks like now."""
        self._listening.observed(seen)

    async def picture(self, state: StepState, seen: Observation) -> str | None:
        """Record a picture; give its path, or None without a record."""
        if self._recording is None:
            return None
        started = time.perf_counter()
        path = await self._recording.picture(seen)
        state.writing_ms += (time.perf_counter() - started) * 1e3
        return path

    def finish(self, reason: str, *, terminated: bool = False, truncated: bool = False) -> None:
        """End the episode; what ended it first stays."""
        if self.reason is None:
            self.reason, self._terminated, self._truncated = reason, terminated, truncated

    def over_budget(self) -> bool:
        """Check stop, steps, seconds and tokens; true where the episode has ended."""
        tokens = self._budget.max_tokens
        if self.waits.stopping:
            self.finish("person", truncated=True)
        elif len(self._turns) >= self._budget.max_steps:
            self.finish("max_steps", truncated=True)
        elif self.waits.remaining_s <= 0:
            self.finish("timeout", truncated=True)
        elif tokens is not None and self._tokens >= tokens:
            self.finish("tokens", truncated=True)
        return self.reason is not None

    def judge(self, state: StepState) -> None:
        """Add the notes that need the whole step, and check what it ends."""
        blocked = [event.text for event in state.events if event.kind == "blocked"]
        state.notes.extend(dict.fromkeys(f"Blocked: {text}" for text in blocked))
        on_world = [o for o in state.outcomes if o.applied is not None and o.applied.kind not in LOOP_KINDS]
        if on_world and state.changed == 0.0:
            state.notes.append("Nothing changed in the picture.")
        applied = any(outcome.applied is not None for outcome in state.outcomes)
        self._failures = 0 if applied else self._failures + 1
        if self.reason is None and self._failures >= self._budget.max_failures:
            state.notes.append(f"Nothing could be done in {self._failures} steps in a row.")
            self.finish("failures", truncated=True)
        if self.reason is None and state.decision.actions:
            times = self._count_repeat(state)
            if times >= self._budget.max_repeats:
                state.notes.append(f"The same action on the same picture, {times} times: the episode ends.")
                self.finish("loop", truncated=True)
            elif times > 2:
                state.notes.append(f"The same action on the same picture, {times} times: try something else.")

    def _count_repeat(self, state: StepState) -> int:
        picture = zlib.crc32(np.ascontiguousarray(state.view.image).data)
        key = (state.view.frame, picture, state.decision.actions)
        self._repeats[key] += 1
        return self._repeats[key]

    async def keep(self, state: StepState, frame_path: str) -> None:
        """Keep a step: on disk, in the trajectory, in the history, and for listeners."""
        done = Turn(state.view, state.decision, tuple(state.outcomes), state.changed, tuple(state.notes))
        turn = masked_turn(self._limits, done)
        if self._recording is not None:
            line = StepLine(
                index=len(self._turns), turn=turn, frame=frame_path, after=tuple(state.after),
                frames=tuple(state.frames), reward=state.reward, terminated=self._terminated,
                truncated=self._truncated, timing_ms=state.timing_ms, events=tuple(state.events),
            )  # fmt: skip
            await self._recording.turn(line)
        self._turns.append(turn if self._keep_images else without_pixels(turn))
        self._rewards.append(state.reward)
        self._timings.append(state.timing_ms)
        self._events.extend(state.events)
        self._frames.append(frame_path)
        self._tokens += turn.decision.usage.prompt + turn.decision.usage.output
        kept = self._policy.images_kept
        history = [*self.history, turn if kept else without_pixels(turn)]
        if 0 < kept < len(history):
            history[-kept - 1] = without_pixels(history[-kept - 1])
        self.history = tuple(history)
        self._listening.turned(turn)

    def trajectory(self) -> Trajectory:
        """Give the steps so far."""
        return Trajectory(
            task=self.task,
            turns=tuple(self._turns),
            rewards=tuple(self._rewards),
            terminated=self._terminated,
            truncated=self._truncated,
            reason=self.reason or "done",
            answer=self.answer,
            seed=self.seed,
            frames=tuple(self._frames),
            timing_ms=tuple(self._timings),
            events=tuple(self._events),
            seconds=self.waits.seconds,
        )
