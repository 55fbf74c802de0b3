"""The contract that any Env must pass, as one call for anybody's environment."""

import math
from collections.abc import Sequence

import numpy as np

from foveate.actions.errors import EnvClosed, EnvError, FoveateError, ResetNeeded
from foveate.actions.guard import Limits
from foveate.actions.schema import KINDS, LOOP_KINDS, Action, Terminate, Wait
from foveate.envs.base import Env, Event, Observation, Step


class EnvContractError(EnvError):
    """Raised by ``check_env`` with a list of what the environment does wrong.

    Attributes:
        problems: One sentence each.
    """

    def __init__(self, name: str, problems: Sequence[str]) -> None:
        super().__init__(f"{name} breaks the Env contract:\n" + "\n".join(f"- {problem}" for problem in problems))
        self.problems = tuple(problems)


async def check_env(env: Env, *, actions: Sequence[Action] = ()) -> None:
    """Check that an environment keeps the Env contract: its attributes, lifetime, observations, steps and errors.

    The environment must not be open; it is opened, reset, stepped and closed.

    Args:
        env: What to check.
        actions: Actions that the environment can do, tried besides ``wait``.

    Raises:
        EnvContractError: With a readable list of everything that is wrong.
    """
    name = type(env).__name__
    problems = _check_attributes(env)
    if env.opened:
        raise EnvContractError(name, [*problems, "it is open before it was opened: a constructor does no I/O"])
    await _expect(problems, env.reset(), EnvClosed, "reset before open")
    await env.open()
    try:
        if not env.opened:
            problems.append("opened is False after open")
        await _expect(problems, env.step(Wait(duration_s=0.0)), ResetNeeded, "step before the first reset")
        first = await env.reset(seed=1)
        problems.extend(_check_observation("reset", first))
        if first.changed is not None:
            problems.append("reset: changed is None after a reset, there is nothing to compare with")
        await _check_steps(env, first, actions, problems)
        again = await env.reset(seed=1)
        problems.extend(_check_observation("second reset", again))
        if again.frame != first.frame:
            problems.append("second reset with the same seed: another frame than the first")
        verdict = await env.verify()
        if verdict not in (True, False, None):
            problems.append(f"verify gives True, False or None, not {verdict!r}")
    finally:
        await env.close()
    if env.opened:
        problems.append("opened is True after close")
    await env.close()
    await _expect(problems, env.step(Wait(duration_s=0.0)), EnvClosed, "step after close")
    if problems:
        raise EnvContractError(name, problems)


def _check_attributes(env: Env) -> list[str]:
    problems = []
    if not isinstance(env.action_kinds, frozenset):
        problems.append(f"action_kinds is a frozenset, not {type(env.action_kinds).__name__}")
    unknown = set(env.action_kinds) - KINDS
    if unknown:
        problems.append(f"action_kinds names kinds that do not exist: {', '.join(sorted(unknown))}")
    if not isinstance(env.limits, Limits):
        problems.append(f"limits is a Limits, not {type(env.limits).__name__}")
    elif env.limits.allow is None:
        problems.append("limits.allow is None: fill in the default list (Limits.for_start)")
    if "control" in env.action_kinds:
        spec = env.control_spec
        if spec is None:
            problems.append("control is offered without a control_spec")
        elif not len(spec.names) == len(spec.low) == len(spec.high) == len(spec.units):
            problems.append("control_spec's names, low, high and units differ in length")
    return problems


async def _expect(problems: list[str], call: object, error: type[FoveateError], what: str) -> None:
    try:
        await call  # type: ignore[misc]
    except error:
        return
    except FoveateError as exc:
        problems.append(f"{what} raises {error.__name__}, not {type(exc).__name__}: {exc}")
        return
    problems.append(f"{what} raises {error.__name__}; here it raised nothing")


async def _check_steps(env: Env, first: Observation, actions: Sequence[Action], problems: list[str]) -> None:
    before = first
    own = [Wait(duration_s=0.0)] if "wait" in env.action_kinds else []
    for action in (*own, *actions):
        target = await env.inspect(action)
        step = await env.step(action)
        problems.extend(_check_step(action.kind, step))
        if target is not None and type(target).__name__ != "Target":
            problems.append(f"inspect({action.kind}) gives a Target or None, not {type(target).__name__}")
        if step.observation.captured_at_s < before.captured_at_s:
            problems.append(f"{action.kind}: captured_at_s went backwards")
        if step.error is not None:
            problems.append(f"{action.kind} is in action_kinds and failed: {step.error}")
        before = step.observation
        if step.terminated or step.truncated:
            await _expect(problems, env.step(action), ResetNeeded, "step after the end")
            return
    refused = await env.step(Terminate())
    if refused.error is None or not refused.error.startswith("UnsupportedAction: "):
        kinds = ", ".join(sorted(LOOP_KINDS))
        problems.append(
            f"the loop's own kinds ({kinds}) give Step.error 'UnsupportedAction: ...', not {refused.error!r}"
        )


def _check_step(kind: str, step: Step) -> list[str]:
    problems = _check_observation(kind, step.observation)
    if step.observation.changed is None:
        problems.append(f"{kind}: changed is a fraction after a step, not None")
    if not math.isfinite(step.reward):
        problems.append(f"{kind}: the reward is {step.reward}")
    if (step.applied is None) == (step.error is None):
        problems.append(f"{kind}: either applied or error is set, here {step.applied!r} and {step.error!r}")
    if step.error is not None and ": " not in step.error:
        problems.append(f"{kind}: an error is 'ClassName: message', not {step.error!r}")
    return problems


def _check_observation(what: str, observation: Observation) -> list[str]:
    problems = []
    image, frame = observation.image, observation.frame
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        problems.append(f"{what}: the image is uint8 (height, width, 3), not {image.dtype} {image.shape}")
    elif image.shape[:2] != (frame.height, frame.width):
        size = f"{image.shape[1]}x{image.shape[0]}"
        problems.append(f"{what}: the frame says {frame.width}x{frame.height}, the image is {size}")
    if image.flags.writeable:
        problems.append(f"{what}: the image can be written to; image.setflags(write=False)")
    if observation.changed is not None and not 0.0 <= observation.changed <= 1.0:
        problems.append(f"{what}: changed is a fraction, not {observation.changed}")
    missing = {"dispatch", "settle", "capture"} - set(observation.timing_ms)
    if missing:
        problems.append(f"{what}: timing_ms lacks {', '.join(sorted(missing))}")
    if not all(isinstance(event, Event) for event in observation.events):
        problems.append(f"{what}: events are Event objects")
    return problems
