"""A world without a device: a square that jumps when it is clicked, or exactly what a test scripts."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foveate.actions.errors import FoveateError, ResetNeeded
from foveate.actions.geometry import Box, Frame
from foveate.actions.guard import Limits, Target
from foveate.actions.schema import KINDS, LOOP_KINDS, Action, Click, Wait
from foveate.envs.base import ControlSpec, Env, Event, Image, Resource, ScreenObservation, Step, Viewport

_PLACES = ((0.1, 0.1), (0.6, 0.6), (0.1, 0.6), (0.6, 0.1), (0.35, 0.35))
_SIDE = 0.3
_SPEC = ControlSpec(names=("x",), low=(-1.0,), high=(1.0,), units=("m_s",))


@dataclass(frozen=True, slots=True)
class Effect:
    """What one step of a FakeEnv does instead of the square's own behaviour.

    Attributes:
        shade: Grey level, 0 to 255, that the background takes; None leaves the picture as it is.
        size: New width and height of the image in pixels; None leaves them.
        events: What happens.
        reward: The step's reward.
        terminated: The world ends the task.
        truncated: The world ends the episode.
        error: ``ClassName: message`` of an action that cannot be done.
        raises: The world fails with this error.
        success: The world's word, with ``terminated``.
    """

    shade: int | None = None
    size: tuple[int, int] | None = None
    events: tuple[Event, ...] = ()
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    error: str | None = None
    raises: FoveateError | None = None
    success: bool | None = None


class FakeEnv(Resource, Env):
    """A grey screen with a white square; a left click on the square moves it to its next place.

    Args:
        size: Width and height of the image in pixels.
        action_kinds: What it can do; anything else is a ``Step.error``.
        effects: One a step, in order; None or the list's end is the square's own behaviour.
        instruction: The task that it brings.
        limits: What it keeps to.
        verified: What ``verify`` says; None asks nothing. By default: after ``goal`` hits, where that is given.
        goal: Hits on the square after which ``verify`` is true.
        control_spec: What ``control`` means; one made-up axis where ``control`` is offered.
        target: What ``inspect`` says.
    """

    def __init__(
        self,
        size: tuple[int, int] = (64, 48),
        *,
        action_kinds: frozenset[str] = KINDS,
        effects: Sequence[Effect | None] = (),
        instruction: str | None = "click the square",
        limits: Limits | None = None,
        verified: bool | None = None,
        goal: int | None = None,
        control_spec: ControlSpec | None = None,
        target: Target | None = None,
    ) -> None:
        self.action_kinds = action_kinds
        self.limits = (limits or Limits()).for_start("https://fake.example")
        self.control_spec = control_spec or (_SPEC if "control" in action_kinds else None)
        self.instruction = instruction
        self.downloads = None
        self.actions: list[Action] = []
        self.hits = 0
        self.resets = 0
        self._size = size
        self._effects = tuple(effects)
        self._verified = verified
        self._goal = goal
        self._target = target
        self._steps = 0
        self._shade = 96
        self._current_size = size
        self._needs_reset = True
        self._last: Image | None = None

    @property
    def square(self) -> Box:
        """Where the square is."""
        left, top = _PLACES[self.hits % len(_PLACES)]
        return Box(left, top, left + _SIDE, top + _SIDE)

    async def reset(
        self,
        *,
        seed: int | None = None,
        task: str | None = None,
        episode: str | None = None,
        viewport: Viewport | None = None,
    ) -> ScreenObservation:
        """Begin an episode; see ``Env.reset``."""
        self.require_open()
        self.hits = (seed or 0) % len(_PLACES)
        self.actions = []
        self.resets += 1
        self._steps, self._shade, self._current_size = 0, 96, self._size
        self._needs_reset = False
        self._last = None
        return self._look(())

    async def step(self, action: Action) -> Step:
        """Do one action; see ``Env.step``."""
        self.require_open()
        if self._needs_reset:
            raise ResetNeeded("FakeEnv: call reset before step, and after an episode has ended")
        effect = self._effects[self._steps] if self._steps < len(self._effects) else None
        self._steps += 1
        if action.kind not in self.action_kinds or action.kind in LOOP_KINDS:
            return Step(self._look(()), error=f"UnsupportedAction: FakeEnv cannot do {action.kind}")
        if isinstance(action, Wait):
            await asyncio.sleep(min(action.duration_s, 0.01))
        if effect is not None and effect.raises is not None:
            self._needs_reset = True
            raise effect.raises
        if effect is not None and effect.error is not None:
            return Step(self._look(effect.events), error=effect.error, reward=effect.reward)
        self.actions.append(action)
        return self._act(action, effect)

    async def inspect(self, action: Action) -> Target | None:
        """Give the target that the constructor was told."""
        return self._target

    async def verify(self) -> bool | None:
        """Say whether the square was hit often enough, or what the constructor was told."""
        return self._verified if self._goal is None else self.hits >= self._goal

    def _act(self, action: Action, effect: Effect | None) -> Step:
        if effect is None:
            if isinstance(action, Click) and action.at is not None and self.square.contains(action.at):
                self.hits += 1
            return Step(self._look(()), applied=action)
        self._shade = self._shade if effect.shade is None else effect.shade
        self._current_size = effect.size or self._current_size
        self._needs_reset = effect.terminated or effect.truncated
        return Step(
            self._look(effect.events),
            reward=effect.reward,
            terminated=effect.terminated,
            truncated=effect.truncated,
            applied=action,
            info={} if effect.success is None else {"success": effect.success},
        )

    def _look(self, events: tuple[Event, ...]) -> ScreenObservation:
        width, height = self._current_size
        image = np.full((height, width, 3), self._shade, np.uint8)
        frame = Frame(width, height)
        box = frame.pixel_box(self.square)
        image[box.top : box.bottom, box.left : box.right] = 255
        image.setflags(write=False)
        changed = None
        if self._last is not None:
            same_size = self._last.shape == image.shape
            changed = float((self._last != image).any(axis=2).mean()) if same_size else 1.0
        self._last = image
        return ScreenObservation(
            image=image,
            frame=frame,
            captured_at_s=time.monotonic(),
            changed=changed,
            events=events,
            timing_ms={"dispatch": 0.0, "settle": 0.0, "capture": 0.0},
            url="https://fake.example/",
            title="fake",
            tabs=("fake",),
        )
