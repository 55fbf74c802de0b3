"""The loop: look, decide, guard, act, settle, look again. There is no other one."""

import asyncio
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Protocol

import numpy as np

from foveate.actions.errors import OutOfFrame, ParseError, UsageError
from foveate.actions.geometry import Frame, convert, points_of
from foveate.actions.guard import Guard, Verdict
from foveate.actions.schema import LOOP_KINDS, Action, CallUser, Respond, Stop, Terminate, Wait, Zoom
from foveate.agent.budget import Budget, People
from foveate.agent.listening import Listening
from foveate.agent.step import VIEW_MOVERS, StepState, without_pixels, zoomed
from foveate.agent.trajectory import StepLine, Trajectory
from foveate.envs.base import SCENE_EVENTS, Env, Event, Observation, Step
from foveate.policies.base import Decision, Outcome, Policy, Turn


class Recording(Protocol):
    """Where the loop leaves its steps (``agent.recorder.Recorder``)."""

    async def picture(self, observation: Observation) -> str:
        """Keep a picture; give its path in the record."""

    async def turn(self, line: StepLine) -> None:
        """Keep a step; returns when it is on disk."""


async def rollout(
    env: Env,
    policy: Policy,
    task: str | None = None,
    *,
    guard: Guard | None = None,
    seed: int | None = None,
    episode: str | None = None,
    budget: Budget | None = None,
    people: People | None = None,
    recording: Recording | None = None,
    listening: Listening | None = None,
    keep_images: bool = False,
) -> Trajectory:
    """Run one episode in an open environment with an open policy.

    Args:
        env: The world; open.
        policy: What decides; open.
        task: The instruction; None takes the environment's own.
        guard: Rules on every action; None is ``Guard(env.limits)``.
        seed: Given to both resets.
        episode: One of the environment's own episodes.
        budget: What ends the episode.
        people: Who can be asked.
        recording: Where the steps are kept.
        listening: Who hears of them.
        keep_images: Leave the pixels in the trajectory (for training).

    Raises:
        UsageError: If there is no task.
        EnvError: If the world fails.
        PolicyError: If the model fails.
    """
    loop = Rollout(
        env, policy, guard=guard, budget=budget, people=people, recording=recording, listening=listening,
        keep_images=keep_images,
    )  # fmt: skip
    return await loop.run(task, seed=seed, episode=episode)


class Rollout:
    """One episode as an object, so that it can be stopped and its steps read while it runs; see ``rollout``."""

    def __init__(
        self,
        env: Env,
        policy: Policy,
        *,
        guard: Guard | None = None,
        budget: Budget | None = None,
        people: People | None = None,
        recording: Recording | None = None,
        listening: Listening | None = None,
        keep_images: bool = False,
    ) -> None:
        self._env = env
        self._policy = policy
        self._guard = guard
        self._budget = budget or Budget()
        self._people = people or People()
        self._recording = recording
        self._listening = listening or Listening(())
        self._keep_images = keep_images
        self._task = ""
        self._seed: int | None = None
        self._history: tuple[Turn, ...] = ()
        self._turns: list[Turn] = []
        self._tokens = 0
        self._rewards: list[float] = []
        self._frames: list[str] = []
        self._timings: list[dict[str, float]] = []
        self._events: list[Event] = []
        self._repeats: Counter[tuple[object, ...]] = Counter()
        self._failures = 0
        self._calls = 0
        self._answer: str | None = None
        self._end: str | None = None
        self._terminated = self._truncated = False
        self._world_success: bool | None = None
        self._started_s = time.monotonic()
        self._stopping = False
        self._scope: asyncio.Timeout | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def world_success(self) -> bool | None:
        """The world's word on success where it ended the episode; None otherwise."""
        return self._world_success

    def stop(self) -> None:
        """End after the action in flight, reason ``person``; from any thread."""
        self._stopping = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._interrupt)

    def trajectory(self) -> Trajectory:
        """Give the steps so far."""
        return Trajectory(
            task=self._task,
            turns=tuple(self._turns),
            rewards=tuple(self._rewards),
            terminated=self._terminated,
            truncated=self._truncated,
            reason=self._end or "done",
            answer=self._answer,
            seed=self._seed,
            frames=tuple(self._frames),
            timing_ms=tuple(self._timings),
            events=tuple(self._events),
            seconds=time.monotonic() - self._started_s,
        )

    async def run(self, task: str | None = None, *, seed: int | None = None, episode: str | None = None) -> Trajectory:
        """Run the episode; see ``rollout``."""
        self._loop = asyncio.get_running_loop()
        self._seed = seed
        self._started_s = time.monotonic()
        viewport = self._policy.preferred_viewport
        observation = await self._env.reset(seed=seed, task=task, episode=episode, viewport=viewport)
        chosen = task or self._env.instruction
        if not chosen:
            raise UsageError(f"no task: say what to do; {type(self._env).__name__} brings none of its own")
        self._task = self._env.limits.mask_secrets(chosen)
        if self._guard is None:
            self._guard = Guard(self._env.limits)
        self._listening.started(self._task)
        self._listening.observed(observation)
        self._events.extend(observation.events)
        await self._policy.reset(self._task, seed=seed, action_kinds=self._env.action_kinds)
        view = observation
        while self._end is None and not self._over_budget():
            observation, view = await self._step(observation, view)
        return self.trajectory()

    # One step --------------------------------------------------------------------------------------------------------

    async def _step(self, observation: Observation, view: Observation) -> tuple[Observation, Observation]:
        """Do one step; give the world's last observation and the one to decide on next (a crop after a zoom)."""
        started = time.perf_counter()
        decision, fault = await self._decide(view)
        if decision is None:
            return observation, view
        state = StepState(view, decision)
        state.add_timing(decision.usage.timing_ms)
        frame_path = await self._picture(state, view) or ""
        if fault is not None:
            state.notes.append(f"The answer could not be used: {fault}")
            self._finish("no_action", truncated=True)
        elif not decision.actions:
            state.notes.append("The answer held no action.")
            self._finish("no_action", truncated=True)
        for action in decision.actions:
            observation = await self._do(state, action, observation)
        self._close_step(state)
        state.timing_ms["total"] = (time.perf_counter() - started) * 1e3 - state.writing_ms
        await self._keep(state, frame_path)
        return observation, state.closer or observation

    async def _decide(self, view: Observation) -> tuple[Decision | None, str | None]:
        """Ask the policy; give its decision and, where it cannot be used, why. None where it was interrupted."""
        try:
            async with self._interruptible():
                return await self._policy.act(view, self._history), None
        except (ParseError, OutOfFrame) as exc:
            decision = exc.decision if isinstance(exc.decision, Decision) else Decision()
            return decision, f"{type(exc).__name__}: {exc}"
        except TimeoutError:
            if self._end is None:
                raise
            return None, None

    async def _do(self, state: StepState, action: Action, observation: Observation) -> Observation:
        """Do one action of a decision, or say why not; give the world's last observation."""
        if self._stopping:
            self._finish("person", truncated=True)
        if self._end is not None:
            state.drop_rest("the episode ended")
        if state.view_moved and points_of(action):
            state.drop_rest("an earlier action of this answer moved the view")
        if state.dropped is not None and not (self._end is None and state.releases(action)):
            state.skip(action, state.dropped)
            return observation
        if action.kind not in LOOP_KINDS:
            action = convert(action, state.view.frame, observation.frame)
        outcome = await self._rule(state, action, observation)
        if outcome.verdict not in ("allow", "confirmed"):
            state.add(outcome)
            state.notes.append(f"{action.kind} was {outcome.verdict}: {outcome.reason}")
            state.drop_rest(f"{action.kind} was {outcome.verdict}")
            return observation
        if action.kind in LOOP_KINDS:
            await self._own(state, action, outcome)
            return observation
        step = await self._act_on_world(action)
        if step is None:
            state.add(replace(outcome, error="Interrupted: the episode ended while waiting"))
            return observation
        path = await self._picture(state, step.observation)
        self._listening.observed(step.observation)
        state.add(replace(outcome, applied=step.applied, error=step.error), path, observation.frame)
        self._take(state, action, step, observation.frame)
        return step.observation

    async def _rule(self, state: StepState, action: Action, observation: Observation) -> Outcome:
        """Ask the guard and, where it wants it, a person."""
        assert self._guard is not None  # noqa: S101 - set in run
        started = time.perf_counter()
        target = await self._env.inspect(action) if action.kind not in LOOP_KINDS else None
        verdict = self._guard.check(action, observation, self._task, target)
        state.add_timing({"guard": (time.perf_counter() - started) * 1e3})
        outcome = Outcome("allow", verdict.rule, verdict.reason, target=target)
        if verdict.ruling == "allow":
            if verdict.reason:
                state.notes.append(f"Warning: {verdict.reason}")
            return outcome
        if verdict.ruling == "refuse":
            return replace(outcome, verdict="refused")
        if self._people.confirm is None:
            return replace(outcome, verdict="refused", reason=f"{verdict.reason}, and nobody is there to give it")
        consent = await self._consent(action, verdict, observation)
        if consent is None:
            limit = self._budget.confirm_timeout_s
            return replace(outcome, verdict="refused", reason=f"{verdict.reason}; nobody answered within {limit:g} s")
        return replace(outcome, verdict="confirmed" if consent else "declined")

    async def _consent(self, action: Action, verdict: Verdict, observation: Observation) -> bool | None:
        """Ask a person; None where nobody answered in time."""
        assert self._people.confirm is not None  # noqa: S101 - asked only where there is somebody
        limit_s = self._budget.confirm_timeout_s
        asked_s = time.monotonic()
        try:
            async with self._interruptible(), asyncio.timeout(limit_s):
                answer = await self._people.confirm(action, verdict, observation)
        except TimeoutError:
            return None
        if answer is None or time.monotonic() - asked_s > limit_s:  # an answer that comes late is none
            return None
        return answer is True  # nothing but True is consent, whatever else a callback gives

    async def _act_on_world(self, action: Action) -> Step | None:
        """Step the world; None where a wait was interrupted by the end of the episode."""
        if not isinstance(action, Wait):
            return await self._env.step(action)
        try:
            async with self._interruptible():
                return await self._env.step(action)
        except TimeoutError:
            if self._end is None:
                raise
            return None

    def _take(self, state: StepState, action: Action, step: Step, frame: Frame) -> None:
        """Draw the consequences of what the world answered."""
        after = step.observation
        state.add_timing(after.timing_ms)
        state.events.extend(after.events)
        state.reward += step.reward
        if after.changed is not None:
            state.changed = max(state.changed or 0.0, after.changed)
        if step.error is not None:
            state.notes.append(f"{action.kind} failed: {step.error}")
            state.drop_rest(f"{action.kind} failed")
        for event in after.events:
            if event.kind in SCENE_EVENTS:
                state.drop_rest(f"{event.kind}: {event.text}")
        if after.frame != frame:
            state.drop_rest("the picture's frame changed")
        state.view_moved = state.view_moved or action.kind in VIEW_MOVERS
        if step.terminated or step.truncated:
            if step.terminated:
                self._world_success = bool(step.info.get("success", step.reward > 0))
            self._finish("world", terminated=step.terminated, truncated=step.truncated)
        elif isinstance(action, Stop) and step.error is None:
            self._finish("done", terminated=True)

    async def _own(self, state: StepState, action: Action, outcome: Outcome) -> None:
        """Do one of the loop's own actions."""
        state.add(replace(outcome, applied=action))
        if isinstance(action, Terminate):
            self._finish("done" if action.status == "success" else "failure", terminated=True)
        elif isinstance(action, Respond):
            self._answer = self._env.limits.mask_secrets(action.answer)
        elif isinstance(action, Zoom):
            state.closer = zoomed(state.view, action)
            state.drop_rest("zoom ends the answer: decide on the closer look")
        elif isinstance(action, CallUser):
            await self._call_user(state, action)

    async def _call_user(self, state: StepState, action: CallUser) -> None:
        answer: str | None = None
        if self._people.ask is not None:
            try:
                async with self._interruptible(), asyncio.timeout(self._budget.confirm_timeout_s):
                    answer = await self._people.ask(action.question, state.view)
            except TimeoutError:
                answer = None
        if answer is not None:
            state.notes.append(f"The person answered: {answer}")
            return
        self._calls += 1
        state.notes.append("Nobody is there to answer: go on alone, or terminate.")
        if self._calls > 1:
            self._finish("needs_person", truncated=True)

    # Bookkeeping -----------------------------------------------------------------------------------------------------

    def _close_step(self, state: StepState) -> None:
        """Add the notes that need the whole step, and check what ends an episode."""
        blocked = [event.text for event in state.events if event.kind == "blocked"]
        state.notes.extend(dict.fromkeys(f"Blocked: {text}" for text in blocked))
        on_world = [o for o in state.outcomes if o.applied is not None and o.applied.kind not in LOOP_KINDS]
        if on_world and state.changed == 0.0:
            state.notes.append("Nothing changed in the picture.")
        applied = any(outcome.applied is not None for outcome in state.outcomes)
        self._failures = 0 if applied else self._failures + 1
        if self._end is None and self._failures >= self._budget.max_failures:
            state.notes.append(f"Nothing could be done in {self._failures} steps in a row.")
            self._finish("failures", truncated=True)
        if self._end is None and state.decision.actions:
            times = self._count_repeat(state)
            if times >= self._budget.max_repeats:
                state.notes.append(f"The same action on the same picture, {times} times: the episode ends.")
                self._finish("loop", truncated=True)
            elif times > 2:
                state.notes.append(f"The same action on the same picture, {times} times: try something else.")

    def _count_repeat(self, state: StepState) -> int:
        picture = zlib.crc32(np.ascontiguousarray(state.view.image).data)
        key = (state.view.frame, picture, state.decision.actions)
        self._repeats[key] += 1
        return self._repeats[key]

    async def _keep(self, state: StepState, frame_path: str) -> None:
        turn = Turn(state.view, state.decision, tuple(state.outcomes), state.changed, tuple(state.notes))
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
        history = [*self._history, turn if kept else without_pixels(turn)]
        if 0 < kept < len(history):
            history[-kept - 1] = without_pixels(history[-kept - 1])
        self._history = tuple(history)
        self._listening.turned(turn)

    async def _picture(self, state: StepState, observation: Observation) -> str | None:
        if self._recording is None:
            return None
        started = time.perf_counter()
        path = await self._recording.picture(observation)
        state.writing_ms += (time.perf_counter() - started) * 1e3
        return path

    def _finish(self, reason: str, *, terminated: bool = False, truncated: bool = False) -> None:
        if self._end is None:
            self._end, self._terminated, self._truncated = reason, terminated, truncated

    def _over_budget(self) -> bool:
        """Check stop, steps, seconds and tokens; true where one of them ends the episode."""
        tokens = self._budget.max_tokens
        if self._stopping:
            self._finish("person", truncated=True)
        elif len(self._turns) >= self._budget.max_steps:
            self._finish("max_steps", truncated=True)
        elif self._remaining_s() <= 0:
            self._finish("timeout", truncated=True)
        elif tokens is not None and self._tokens >= tokens:
            self._finish("tokens", truncated=True)
        return self._end is not None

    def _remaining_s(self) -> float:
        limit = self._budget.timeout_s
        return float("inf") if limit is None else limit - (time.monotonic() - self._started_s)

    @asynccontextmanager
    async def _interruptible(self) -> AsyncIterator[None]:
        """Bound a wait by the episode's time and by ``stop``; on either the episode ends and TimeoutError is raised."""
        remaining = self._remaining_s()
        try:
            async with asyncio.timeout(None if remaining == float("inf") else max(remaining, 0.0)) as scope:
                self._scope = scope
                self._interrupt_if_stopping()
                yield
        except TimeoutError:
            if scope.expired():
                self._finish("person" if self._stopping else "timeout", truncated=True)
            raise
        finally:
            self._scope = None

    def _interrupt_if_stopping(self) -> None:
        if self._stopping:
            self._interrupt()

    def _interrupt(self) -> None:
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())
