"""One contract over every Env, and proof that the contract finds what is wrong."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from foveate.actions.geometry import Point
from foveate.actions.guard import Limits
from foveate.actions.schema import Action, Click, TypeText
from foveate.envs.base import Env, Observation, Step
from foveate.envs.check import EnvContractError, check_env
from foveate.envs.fake import Effect, FakeEnv


async def test_fake_env_keeps_the_contract() -> None:
    await check_env(FakeEnv(), actions=[Click(at=Point(0.5, 0.5)), TypeText(text="a")])


def test_fake_env_is_an_env() -> None:
    assert isinstance(FakeEnv(), Env)


class Writable(FakeEnv):
    async def reset(self, **options: Any) -> Observation:  # type: ignore[override]
        observation = await super().reset(**options)
        return replace(observation, image=observation.image.copy())


class Silent(FakeEnv):
    async def step(self, action: Action) -> Step:
        step = await super().step(action)
        return replace(step, applied=None, error=None)


class Untimed(FakeEnv):
    async def reset(self, **options: Any) -> Observation:  # type: ignore[override]
        return replace(await super().reset(**options), timing_ms={})


class Unlimited(FakeEnv):
    def __init__(self) -> None:
        super().__init__()
        self.limits = Limits()


class Made(FakeEnv):
    def __init__(self) -> None:
        super().__init__(action_kinds=frozenset({"wait", "teleport"}))


class Uncontrolled(FakeEnv):
    def __init__(self) -> None:
        super().__init__(action_kinds=frozenset({"wait", "control"}))
        self.control_spec = None


class Backwards(FakeEnv):
    async def step(self, action: Action) -> Step:
        step = await super().step(action)
        return replace(step, observation=replace(step.observation, captured_at_s=0.0))


class Eager(FakeEnv):
    async def step(self, action: Action) -> Step:
        if not self.opened or self.resets == 0:
            raise RuntimeError("no reset")
        return await super().step(action)


@pytest.mark.parametrize(
    ("env", "problem"),
    [
        (Writable, "can be written to"),
        (Silent, "either applied or error"),
        (Untimed, "timing_ms lacks"),
        (Unlimited, "limits.allow is None"),
        (Made, "teleport"),
        (Uncontrolled, "control_spec"),
        (Backwards, "went backwards"),
    ],
)
async def test_what_is_wrong_is_named(env: type[FakeEnv], problem: str) -> None:
    with pytest.raises(EnvContractError, match=problem) as caught:
        await check_env(env())
    assert caught.value.problems


async def test_an_env_that_lets_an_untyped_error_out_is_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="no reset"):
        await check_env(Eager())


async def test_an_env_that_is_open_already_is_refused() -> None:
    async with FakeEnv() as env:
        with pytest.raises(EnvContractError, match="open before"):
            await check_env(env)


async def test_an_action_that_an_env_offers_and_cannot_do_is_named() -> None:
    with pytest.raises(EnvContractError, match="click is in action_kinds and failed"):
        await check_env(FakeEnv(effects=[None, Effect(error="X: y")]), actions=[Click(at=Point(0.5, 0.5))])


def test_an_observation_refuses_an_image_that_is_not_its_frames() -> None:
    from foveate.actions.geometry import Frame

    with pytest.raises(ValueError, match="the frame says 3x2"):
        Observation(image=np.zeros((4, 4, 3), np.uint8), frame=Frame(3, 2), captured_at_s=0.0)
    with pytest.raises(ValueError, match="uint8"):
        Observation(image=np.zeros((2, 3, 3), np.float32), frame=Frame(3, 2), captured_at_s=0.0)  # type: ignore[arg-type]
