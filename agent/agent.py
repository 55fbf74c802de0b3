"""Agent: one environment, one policy, and everything around an episode that is not the loop."""

import asyncio
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from foveate.actions.errors import FoveateError, RecordError
from foveate.actions.guard import Guard
from foveate.agent.budget import Ask, Budget, Confirm, People
from foveate.agent.listening import Listening
from foveate.agent.rollout import Rollout
from foveate.agent.trajectory import EpisodeHead, Listener, Result, Status, Trajectory
from foveate.envs.base import Env
from foveate.envs.portal import Portal
from foveate.policies.base import Policy

if TYPE_CHECKING:
    from foveate.agent.recorder import Recorder


class Agent:
    """Runs tasks with a policy in an environment.

    Args:
        env: The world; opened for each run and closed after it, unless it is open already.
        policy: What decides; likewise.
        guard: Rules on every action; None is ``Guard(env.limits)``. One without an allow-list gets the environment's.
        confirm: Async callback ``(action, verdict, observation) -> bool`` for confirm-level actions; without it, or
            when nobody answers in time, they are refused.
        confirm_timeout_s: Seconds that a person has to answer.
        max_steps: Steps after which an episode ends.
        timeout_s: Seconds after which an episode ends; None is no limit.
        max_tokens: Tokens after which an episode ends; None is no limit.
        record: Folder for the record, new or empty; None keeps none.
        listeners: Hear of the episode; they can neither slow nor fail it.
        ask: Async callback ``(question, observation) -> str | None`` for ``call_user``.
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
        self._stopped = False
        self._portal: Portal | None = None

    async def run(self, task: str | None = None, *, seed: int | None = None, episode: str | None = None) -> Result:
        """Run one episode.

        Args:
            task: What to do; None takes the environment's own instruction.
            seed: Given to the environment and the policy.
            episode: One of the environment's own episodes.

        Raises:
            UsageError: If there is no task, or the record's folder is in use.
            EnvError: If the world fails; ``error.result`` is the Result so far, and the record holds it.
            PolicyError: If the model fails; likewise.
            RecordError: If the record cannot be written; likewise.
        """
        self._stopped = False
        opened_env = not self._env.opened
        opened_policy = not self._policy.opened
        lent_folder = self._env.downloads is None
        listening = Listening(self._listeners)
        recorder = self._recorder()
        try:
            if recorder is not None:
                await recorder.open(self._head(task, seed, episode))
                if lent_folder:
                    self._env.downloads = recorder.downloads
            try:
                await self._policy.open()
                await self._env.open()
            except BaseException as exc:
                await self._break(exc, Trajectory(task or "", seed=seed), recorder, listening)
                raise
            return await self._episode(task, seed, episode, recorder, listening)
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
                listening.close()

    def run_sync(self, task: str | None = None, *, seed: int | None = None, episode: str | None = None) -> Result:
        """Run one episode from synchronous code; as ``run``.

        In a ``with`` block environment and policy stay open from one call to the next. What was opened in another
        event loop is refused with WrongLoop.
        """
        return self._door().call(lambda: self.run(task, seed=seed, episode=episode))

    def stop(self) -> None:
        """End the running episode after the action in flight, reason ``person``; from any thread."""
        self._stopped = True
        if self._rollout is not None:
            self._rollout.stop()

    def __enter__(self) -> Self:
        self._door().call(self._open)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        door = self._door()
        try:
            door.call(self._close)
        finally:
            door.close()
            self._portal = None

    def _door(self) -> Portal:
        if self._portal is None:
            self._portal = Portal()
            self._portal.open()
            weakref.finalize(self, self._portal.close)
        return self._portal

    async def _open(self) -> None:
        await self._policy.open()
        await self._env.open()

    async def _close(self) -> None:
        try:
            await self._env.close()
        finally:
            await self._policy.close()

    async def _episode(
        self, task: str | None, seed: int | None, episode: str | None, recorder: "Recorder | None", listening: Listening
    ) -> Result:
        loop = Rollout(
            self._env, self._policy, guard=self._ruling_guard(), budget=self._budget, people=self._people,
            recording=recorder, listening=listening, keep_images=self._keep_images,
        )  # fmt: skip
        self._rollout = loop
        if self._stopped:
            loop.stop()
        try:
            trajectory = await loop.run(task, seed=seed, episode=episode)
            verified = await self._env.verify()
        except BaseException as exc:
            await self._break(exc, loop.trajectory(), recorder, listening)
            raise
        status = _status(trajectory, verified, loop.world_success)
        folder = recorder.folder if recorder is not None else None
        result = Result(status, verified, trajectory.reason, trajectory.answer, trajectory, folder)
        await self._end(result, recorder, listening)
        return result

    async def _break(
        self, exc: BaseException, trajectory: Trajectory, recorder: "Recorder | None", listening: Listening
    ) -> None:
        """Tell and record how far an episode came that an error or a cancellation broke off."""
        result = _broken(exc, trajectory, recorder)
        if isinstance(exc, FoveateError):
            exc.result = result
        with suppress(RecordError):  # the first error is the one to tell
            await self._end(result, recorder, listening)

    async def _end(self, result: Result, recorder: "Recorder | None", listening: Listening) -> None:
        listening.ended(result)
        if recorder is not None:
            await recorder.close(result, self._env.versions)

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

    def _head(self, task: str | None, seed: int | None, episode: str | None) -> EpisodeHead:
        names, model = [], None
        policy: object | None = self._policy
        while policy is not None:
            names.append(type(policy).__name__)
            model = model or getattr(policy, "model", None)
            policy = getattr(policy, "policy", None)
        env = type(self._env).__name__ + (f" {self._env.start}" if self._env.start else "")
        return EpisodeHead(
            task=self._env.limits.mask_secrets(task or ""),
            env=self._env.limits.mask_secrets(env),
            policy="(".join(names) + ")" * (len(names) - 1),
            model=None if model is None else str(model),
            seed=seed,
            episode=episode,
        )


def _status(trajectory: Trajectory, verified: bool | None, world_success: bool | None) -> Status:
    """Say how an episode ended that ran to its end."""
    if trajectory.reason == "person":
        return "interrupted"
    if trajectory.truncated:
        return "truncated"
    succeeded = world_success if trajectory.reason == "world" else trajectory.reason == "done"
    return "success" if succeeded and verified is not False else "failure"


def _broken(exc: BaseException, trajectory: Trajectory, recorder: "Recorder | None") -> Result:
    """Say how an episode ended that an error or a cancellation broke off."""
    cancelled = isinstance(exc, asyncio.CancelledError)
    reason = "person" if cancelled else type(exc).__name__
    trajectory = replace(trajectory, reason=reason, terminated=False, truncated=cancelled)
    status: Status = "interrupted" if cancelled else "error"
    folder = recorder.folder if recorder is not None else None
    error = None if cancelled else f"{reason}: {exc}"
    return Result(status, None, reason, trajectory.answer, trajectory, folder, error)
