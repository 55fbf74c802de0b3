"""Agent: one environment, one policy, and everything around an episode that is not the loop."""

import traceback
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from foveate.actions.errors import FoveateError, InUse, RecordError
from foveate.actions.guard import Guard
from foveate.agent.budget import Ask, Budget, Confirm, People
from foveate.agent.in_use import in_use, layers, refuse_used
from foveate.agent.listening import Listening
from foveate.agent.masked import mask_error
from foveate.agent.rollout import Rollout
from foveate.agent.trajectory import EpisodeHead, Listener, Result, Trajectory, broken, status_of
from foveate.envs.base import Env
from foveate.envs.portal import Portal
from foveate.policies.base import Policy

if TYPE_CHECKING:
    from foveate.agent.recorder import Recorder


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a run was asked for, and the last stop that had been given by then."""

    task: str | None
    seed: int | None
    episode: str | None
    stop: object


@dataclass(frozen=True, slots=True)
class _Told:
    """Who is told of a run."""

    recorder: "Recorder | None"
    listening: Listening


class Agent:
    """Runs tasks with a policy in an environment, one run at a time.

    An environment and a policy are in one run at a time too; they can be used by several Agents one after the other.
    An Engine may be shared.

    Args:
        env: The world; opened for each run and closed after it, unless it is open already.
        policy: What decides; likewise.
        guard: Rules on every action; None is ``Guard(env.limits)``. One without an allow-list gets the environment's.
        confirm: Async callback ``(action, verdict, observation) -> bool`` for confirm-level actions; without it, or
            when nobody answers in time, they are refused. An error that it raises ends the run.
        confirm_timeout_s: Seconds that a person has to answer.
        max_steps: Steps after which an episode ends.
        timeout_s: Seconds after which an episode ends; None is no limit.
        max_tokens: Tokens after which an episode ends; None is no limit.
        record: Folder for the record, new or empty; None keeps none.
        listeners: Hear of the episode; they can neither slow nor fail it.
        ask: Async callback ``(question, observation) -> str | None`` for ``call_user``; likewise.
        keep_images: Leave the pixels in the trajectory (for training).
    """

    def __init__(
        self,
        env: Env,
        policy: Policy,
        *,
        guard: Guard | None = None,
        confirm: Confirm | None = None,
        confirm_timeout_s: float = 60.0,
        max_steps: int = 50,
        timeout_s: float | None = None,
        max_tokens: int | None = None,
        record: Path | str | None = None,
        listeners: Sequence[Listener] = (),
        ask: Ask | None = None,
        keep_images: bool = False,
    ) -> None:
        self._env = env
        self._policy = policy
        self._guard = guard
        self._people = People(confirm, ask)
        self._budget = Budget(
            max_steps=max_steps, timeout_s=timeout_s, max_tokens=max_tokens, confirm_timeout_s=confirm_timeout_s
        )
        self._record = None if record is None else Path(record)
        self._listeners = tuple(listeners)
        self._keep_images = keep_images
        self._rollout: Rollout | None = None
        self._stop: object = (
            None  # the last one given, if any: a run is stopped once it differs from when it was called
        )
        self._portal: Portal | None = None

    def run(
        self, task: str | None = None, *, seed: int | None = None, episode: str | None = None
    ) -> Coroutine[Any, Any, Result]:
        """Run one episode: ``result = await agent.run(...)``.

        Args:
            task: What to do; None takes the environment's own instruction.
            seed: Given to the environment and the policy.
            episode: One of the environment's own episodes.

        Raises:
            InUse: If this agent, its environment or its policy is in another run, which goes on.
            UsageError: If there is no task, or the record's folder is in use.
            EnvError: If the world fails; ``error.result`` is the Result so far, and the record holds it.
            PolicyError: If the model fails; likewise.
            RecordError: If the record cannot be written; likewise.

        Whatever else a callback, an environment or a policy raises is raised too, with its ``result``.
        """
        return self._run(_Asked(task, seed, episode, self._stop))  # no coroutine itself: a stop counts from here on

    def run_sync(self, task: str | None = None, *, seed: int | None = None, episode: str | None = None) -> Result:
        """Run one episode from synchronous code; as ``run``.

        In a ``with`` block environment and policy stay open from one call to the next. What was opened in another
        event loop is refused with WrongLoop. Where a loop runs already (a notebook) it works too, and keeps that loop
        waiting: ``await agent.run()`` is better there.

        Raises:
            InUse: If it is called within a run of this agent; and as ``run``.
            WrongLoop: If something was opened in another event loop.
        """
        asked = _Asked(task, seed, episode, self._stop)
        refuse_used(self)
        if self._portal is not None:
            return self._portal.call(lambda: self._run(asked))
        with Portal() as portal:
            return portal.call(lambda: self._run(asked))

    def stop(self) -> None:
        """End, after the action in flight, every run that has been called and has not ended; reason ``person``.

        It may come from any thread, and before the run has begun. Runs that are called later do not know of it.
        """
        self._stop = object()
        rollout = self._rollout
        if rollout is not None:
            rollout.stop()

    def __enter__(self) -> Self:
        if self._portal is not None:
            raise InUse("Agent is in a 'with' block already: leave that one first, or make another")
        self._portal = Portal()
        try:
            self._portal.open()
            self._portal.call(self._open)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._portal is not None:
                self._portal.call(self._close)
        finally:
            self._leave()

    def _leave(self) -> None:
        portal, self._portal = self._portal, None
        if portal is not None:
            portal.close()

    async def _open(self) -> None:
        await self._policy.open()
        try:
            await self._env.open()
        except BaseException:
            await self._policy.close()
            raise

    async def _close(self) -> None:
        try:
            await self._env.close()
        finally:
            await self._policy.close()

    async def _run(self, asked: _Asked) -> Result:
        with in_use(self, *layers(self._env, "env"), *layers(self._policy, "policy")):
            opened_env, opened_policy = not self._env.opened, not self._policy.opened
            lent_folder = self._env.downloads is None
            told = _Told(self._recorder(), Listening(self._listeners))
            try:
                if told.recorder is not None:
                    await told.recorder.open(self._head(asked))
                    if lent_folder:
                        self._env.downloads = told.recorder.downloads
                return await self._opened(asked, told)
            finally:
                self._rollout = None
                if lent_folder:
                    self._env.downloads = None
                try:
                    if opened_env:
                        await self._env.close()
                finally:
                    if opened_policy:
                        await self._policy.close()
                    told.listening.close()

    async def _opened(self, asked: _Asked, told: _Told) -> Result:
        """Open what is not open and run the episode; where it was stopped before, no further than that."""
        nothing = Trajectory(self._env.limits.mask_secrets(asked.task or ""), seed=asked.seed)
        try:
            for each in (self._policy, self._env):
                if self._stop is asked.stop:
                    await each.open()
        except BaseException as exc:
            await self._break(exc, nothing, told)
            raise
        if self._stop is asked.stop:
            return await self._episode(asked, told)
        stopped = replace(nothing, truncated=True, reason="person")
        return await self._end(Result("interrupted", None, "person", None, stopped, _folder(told)), told)

    async def _episode(self, asked: _Asked, told: _Told) -> Result:
        loop = Rollout(
            self._env, self._policy, guard=self._ruling_guard(), budget=self._budget, people=self._people,
            recording=told.recorder, listening=told.listening, keep_images=self._keep_images,
        )  # fmt: skip
        self._rollout = loop
        if self._stop is not asked.stop:  # looked at after the loop can be stopped, so that no stop falls between
            loop.stop()
        try:
            trajectory = await loop.run(asked.task, seed=asked.seed, episode=asked.episode)
            verified = await self._env.verify()
        except BaseException as exc:
            await self._break(exc, loop.trajectory(), told)
            raise
        status = status_of(trajectory, verified, loop.world_success)
        return await self._end(
            Result(status, verified, trajectory.reason, trajectory.answer, trajectory, _folder(told)), told
        )

    async def _break(self, exc: BaseException, trajectory: Trajectory, told: _Told) -> None:
        """Tell and record how far an episode came that an error or a cancellation broke off."""
        mask_error(self._env.limits, exc)
        result = broken(exc, trajectory, _folder(told))
        if isinstance(exc, FoveateError):
            exc.result = result
        elif not hasattr(exc, "result"):
            exc.result = result  # type: ignore[attr-defined]
        trace = "".join(traceback.format_exception(exc)) if isinstance(exc, Exception) else None
        with suppress(RecordError):  # the first error is the one to tell
            await self._end(result, told, trace)

    async def _end(self, result: Result, told: _Told, trace: str | None = None) -> Result:
        told.listening.ended(result)
        if told.recorder is not None:
            await told.recorder.close(result, self._env.versions, trace=trace)
        return result

    def _recorder(self) -> "Recorder | None":
        if self._record is None:
            return None
        from foveate.agent.recorder import Recorder  # here, so that an import of foveate.agent stays light

        return Recorder(self._record, limits=self._env.limits)

    def _ruling_guard(self) -> Guard:
        if self._guard is None:
            return Guard(self._env.limits)
        if self._guard.limits.allow is None:
            return self._guard.with_limits(replace(self._guard.limits, allow=self._env.limits.allow))
        return self._guard

    def _head(self, asked: _Asked) -> EpisodeHead:
        wrapped = list(layers(self._policy, "policy"))
        models = (getattr(layer, "model", None) for layer in wrapped)
        model = next((each for each in models if each), None)
        env = type(self._env).__name__ + (f" {self._env.start}" if self._env.start else "")
        return EpisodeHead(
            task=self._env.limits.mask_secrets(asked.task or ""),
            env=self._env.limits.mask_secrets(env),
            policy="(".join(type(layer).__name__ for layer in wrapped) + ")" * (len(wrapped) - 1),
            model=None if model is None else str(model),
            seed=asked.seed,
            episode=asked.episode,
        )


def _folder(told: _Told) -> Path | None:
    return None if told.recorder is None else told.recorder.folder
