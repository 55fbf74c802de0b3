"""The loop: look, decide, guard, act, settle, look again. There is no other one."""

import asyncio
import time
from contextlib import suppress
from dataclasses import replace

from foveate.actions.errors import FoveateError, OutOfFrame, ParseError, RecordError, UsageError
from foveate.actions.geometry import Frame, convert, points_of
from foveate.actions.guard import Guard
from foveate.actions.schema import LOOP_KINDS, Action, CallUser, Respond, Stop, Terminate, Wait, Zoom
from foveate.agent.budget import Budget, People
from foveate.agent.in_use import in_use, layers
from foveate.agent.listening import Listening
from foveate.agent.masked import mask_error, masked_fault, masked_observation, masked_step
from foveate.agent.progress import Progress, Recording
from foveate.agent.questions import Questions
from foveate.agent.step import VIEW_MOVERS, StepState, zoomed
from foveate.agent.trajectory import Trajectory
from foveate.envs.base import SCENE_EVENTS, Env, Observation, Step
from foveate.policies.base import Decision, Outcome, Policy


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
        InUse: If the environment or the policy is in use by another run.
        EnvError: If the world fails.
        PolicyError: If the model fails.
    """
    loop = Rollout(
        env, policy, guard=guard, budget=budget, people=people, recording=recording, listening=listening,
        keep_images=keep_images,
    )  # fmt: skip
    with in_use(*layers(env, "env"), *layers(policy, "policy")):
        try:
            return await loop.run(task, seed=seed, episode=episode)
        except BaseException as exc:
            mask_error(env.limits, exc)
            raise


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
        budget = budget or Budget()
        self._env = env
        self._policy = policy
        self._guard = guard
        listening = listening or Listening(())
        self._progress = Progress(policy, env.limits, budget, recording, listening, keep_images=keep_images)
        self._waits = self._progress.waits
        self._questions = Questions(people or People(), env.limits, self._waits, budget.confirm_timeout_s)
        self._limit_s = budget.confirm_timeout_s
        self._calls = 0
        self._world_success: bool | None = None
        self._world_gone = False

    @property
    def world_success(self) -> bool | None:
        """The world's word on success where it ended the episode; None otherwise."""
        return self._world_success

    def stop(self) -> None:
        """End after the action in flight, reason ``person``; from any thread."""
        self._waits.stop()

    def trajectory(self) -> Trajectory:
        """Give the steps so far."""
        return self._progress.trajectory()

    async def run(self, task: str | None = None, *, seed: int | None = None, episode: str | None = None) -> Trajectory:
        """Run the episode; see ``rollout``."""
        self._waits.begin()
        self._progress.seed = seed
        viewport = self._policy.preferred_viewport
        seen = await self._env.reset(seed=seed, task=task, episode=episode, viewport=viewport)
        observation = masked_observation(self._env.limits, seen)
        chosen = task or self._env.instruction
        if not chosen:
            raise UsageError(f"no task: say what to do; {type(self._env).__name__} brings none of its own")
        if self._guard is None:
            self._guard = Guard(self._env.limits)
        self._progress.begin(self._env.limits.mask_secrets(chosen), observation)
        await self._policy.reset(self._progress.task, seed=seed, action_kinds=self._env.action_kinds)
        view = observation
        while not self._progress.over_budget():
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
        frame_path = await self._progress.picture(state, view) or ""
        if fault is not None:
            state.notes.append(f"The answer could not be used: {fault}")
            self._progress.finish("no_action", truncated=True)
        elif not decision.actions:
            state.notes.append("The answer held no action.")
            self._progress.finish("no_action", truncated=True)
        try:
            for action in decision.actions:
                observation = await self._do(state, action, observation)
        except BaseException as exc:
            await self._break_off(state, exc, observation)
            state.end(started)
            with suppress(RecordError):  # the first error is the one to tell
                await self._progress.keep(state, frame_path)
            raise
        self._progress.judge(state)
        state.end(started)
        await self._progress.keep(state, frame_path)
        return observation, state.closer or observation

    async def _decide(self, view: Observation) -> tuple[Decision | None, str | None]:
        """Ask the policy; give its decision and, where it cannot be used, why. None where it was interrupted."""
        try:
            async with self._waits.bounded():
                return await self._policy.act(view, self._progress.history), None
        except (ParseError, OutOfFrame) as exc:
            decision = exc.decision if isinstance(exc.decision, Decision) else Decision()
            return decision, masked_fault(self._env.limits, exc, decision)
        except TimeoutError:
            if self._progress.reason is None:
                raise
            return None, None

    async def _do(self, state: StepState, action: Action, observation: Observation) -> Observation:
        """Do one action of a decision, or say why not; give the world's last observation."""
        if self._waits.stopping:
            self._progress.finish("person", truncated=True)
        if self._progress.reason is not None:
            state.drop_rest("the episode ended")
        if state.view_moved and points_of(action):
            state.drop_rest("an earlier action of this answer moved the view")
        if state.dropped is not None and (self._world_gone or not state.releases(action)):
            state.skip(action, state.dropped)
            return observation
        if action.kind not in LOOP_KINDS:
            action = convert(action, state.view.frame, observation.frame)
        outcome = state.pending = await self._rule(state, action, observation)
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
        path = await self._progress.picture(state, step.observation)
        self._progress.observed(step.observation)
        state.add(replace(outcome, applied=step.applied, error=step.error), path, observation.frame)
        self._take(state, action, step, observation.frame)
        return step.observation

    async def _rule(self, state: StepState, action: Action, observation: Observation) -> Outcome:
        """Ask the guard and, where it wants it, a person."""
        assert self._guard is not None  # noqa: S101 - set in run
        state.pending = Outcome("skipped")
        started = time.perf_counter()
        target = await self._env.inspect(action) if action.kind not in LOOP_KINDS else None
        verdict = self._guard.check(action, observation, self._progress.task, target)
        state.add_timing({"guard": (time.perf_counter() - started) * 1e3})
        outcome = Outcome("allow", verdict.rule, verdict.reason, target=target)
        if verdict.ruling == "allow":
            if verdict.reason:
                state.notes.append(f"Warning: {verdict.reason}")
            return outcome
        if verdict.ruling == "refuse":
            return replace(outcome, verdict="refused")
        if not self._questions.can_confirm:
            return replace(outcome, verdict="refused", reason=f"{verdict.reason}, and nobody is there to give it")
        state.pending = replace(outcome, verdict="declined")
        consent = await self._questions.consent(action, verdict, observation)
        if consent is None:
            reason = f"{verdict.reason}; nobody answered within {self._limit_s:g} s"
            return replace(outcome, verdict="refused", reason=reason)
        return replace(outcome, verdict="confirmed" if consent else "declined")

    async def _act_on_world(self, action: Action) -> Step | None:
        """Step the world; None where a wait was interrupted by the end of the episode."""
        limits = self._env.limits
        if not isinstance(action, Wait):
            return masked_step(limits, await self._env.step(action))
        try:
            async with self._waits.bounded():
                return masked_step(limits, await self._env.step(action))
        except TimeoutError:
            if self._progress.reason is None:
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
            self._world_gone = True
            self._progress.finish("world", terminated=step.terminated, truncated=step.truncated)
        elif isinstance(action, Stop) and step.error is None:
            self._progress.finish("done", terminated=True)

    async def _own(self, state: StepState, action: Action, outcome: Outcome) -> None:
        """Do one of the loop's own actions."""
        if isinstance(action, CallUser):
            await self._call_user(state, action)
        state.add(replace(outcome, applied=action))
        if isinstance(action, Terminate):
            self._progress.finish("done" if action.status == "success" else "failure", terminated=True)
        elif isinstance(action, Respond):
            self._progress.answer = self._env.limits.mask_secrets(action.answer)
        elif isinstance(action, Zoom):
            state.closer = zoomed(state.view, action)
            state.drop_rest("zoom ends the answer: decide on the closer look")

    async def _call_user(self, state: StepState, action: CallUser) -> None:
        answer = await self._questions.answer(action.question, state.view)
        if answer is not None:
            state.notes.append(f"The person answered: {answer}")
            return
        self._calls += 1
        state.notes.append("Nobody is there to answer: go on alone, or terminate.")
        if self._calls > 1:
            self._progress.finish("needs_person", truncated=True)

    async def _break_off(self, state: StepState, exc: BaseException, observation: Observation) -> None:
        """Complete a step that an error broke off, so that the record says where; what it pressed is let go of.

        Only an error of those who were asked leaves a world that can still be acted on.
        """
        cancelled = isinstance(exc, asyncio.CancelledError)
        self._world_gone = self._world_gone or cancelled or not self._questions.failed
        if state.pending is not None:
            error = "Interrupted: the run was cancelled" if cancelled else f"{type(exc).__name__}: {exc}"
            state.add(replace(state.pending, error=error), frame=observation.frame)
        state.drop_rest(f"{type(exc).__name__} ended the episode")
        actions = state.decision.actions
        with suppress(FoveateError):  # the first error is the one to tell
            for action in actions[len(state.outcomes) :]:
                observation = await self._do(state, action, observation)
        for action in actions[len(state.outcomes) :]:
            state.skip(action, "it could not be done any more")
