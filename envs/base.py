"""What every environment shares: observations, steps, the Env protocol and the lifetime of what is opened."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from foveate.actions.errors import EnvClosed, UsageError, WrongLoop
from foveate.actions.geometry import Frame
from foveate.actions.guard import Limits, Target
from foveate.actions.schema import Action

Image: TypeAlias = NDArray[np.uint8]
"""uint8 RGB, shape (height, width, 3), 0 to 255."""

EventKind: TypeAlias = Literal[
    "navigation",  # the current page went to another document
    "new_page",  # a tab or popup opened and is now the current one
    "page_closed",  # the current tab was closed
    "dialog",  # a JavaScript dialog, beforeunload or HTTP sign-in waits for an answer
    "dialog_closed",
    "select_open",  # a native drop-down list is open
    "file_chooser",  # a file chooser waits for upload
    "download",
    "blocked",  # a request outside the allowed hosts was not sent
    "navigation_failed",
    "unsettled",  # the settle budget ran out before the world was quiet
    "crash",
    "collision",
    "message",
]

SCENE_EVENTS: frozenset[str] = frozenset({"navigation", "new_page", "page_closed", "dialog"})
"""Events after which the rest of a Decision is dropped: what it was decided on is gone."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in the world since the last observation.

    Attributes:
        kind: What happened.
        text: A sentence for the policy and the record, secrets replaced.
    """

    kind: EventKind
    text: str


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image as the world delivered it.

    Attributes:
        data: The file's bytes.
        media_type: ``image/png`` or ``image/jpeg``.
    """

    data: bytes = field(repr=False)
    media_type: Literal["image/png", "image/jpeg"]


@dataclass(frozen=True, slots=True)
class Viewport:
    """The size that a screen environment is asked to have.

    Attributes:
        width: CSS pixels, 64 to 8192.
        height: CSS pixels, 64 to 8192.
        scale: Device pixels a CSS pixel, 0.5 to 4.

    Raises:
        UsageError: If one is outside its range, or a side is no whole number.
    """

    width: int
    height: int
    scale: float = 1.0

    def __post_init__(self) -> None:
        for name, side in (("width", self.width), ("height", self.height)):
            if not (isinstance(side, int) and 64 <= side <= 8192):
                raise UsageError(f"a viewport's {name} is a whole number of CSS pixels, 64 to 8192, not {side!r}")
        if not 0.5 <= self.scale <= 4.0:
            raise UsageError(f"a device scale factor is 0.5 to 4, not {self.scale!r}: most screens have 1, 1.5 or 2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the world looked like at one moment.

    Attributes:
        image: uint8 RGB, shape (height, width, 3); read-only.
        frame: Describes ``image`` and nothing else; its width and height are the image's.
        captured_at_s: When, on this process's monotonic clock, in seconds; for a remote camera its receipt minus
            the measured age.
        changed: Fraction of pixels, 0 to 1, that the last action changed; None after a reset.
        events: What happened since the last observation, oldest first.
        timing_ms: Milliseconds of ``dispatch``, ``settle`` and ``capture``.
        encoded: The same picture as captured, where capture is encoded and nothing was drawn, masked or blanked.
    """

    image: Image = field(repr=False)
    frame: Frame
    captured_at_s: float
    changed: float | None = None
    events: tuple[Event, ...] = ()
    timing_ms: Mapping[str, float] = field(default_factory=dict)
    encoded: EncodedImage | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        shape = self.image.shape
        if self.image.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3:
            raise ValueError(f"an image is uint8 (height, width, 3), not {self.image.dtype} {shape}")
        if shape[:2] != (self.frame.height, self.frame.width) and shape[:2] != (0, 0):
            raise ValueError(
                f"the frame says {self.frame.width}x{self.frame.height}, the image is {shape[1]}x{shape[0]}"
            )

    @property
    def has_image(self) -> bool:
        """False where the loop dropped the pixels to keep memory flat."""
        return bool(self.image.shape[0] > 0)

    @property
    def url(self) -> str | None:
        """The page's address; None in a world without pages."""
        return None

    @property
    def title(self) -> str | None:
        """The page's title; None in a world without pages."""
        return None

    @property
    def window(self) -> str | None:
        """The focused window's title; None in a world without windows."""
        return None

    @property
    def pose(self) -> tuple[float, ...] | None:
        """The body's pose; None in a world without a body."""
        return None


@dataclass(frozen=True, slots=True)
class PendingDialog:
    """A dialog that waits for an answer.

    Attributes:
        kind: ``alert``, ``confirm``, ``prompt``, ``beforeunload`` or ``sign_in``.
        message: Its text.
        default: What a prompt's field holds.
    """

    kind: Literal["alert", "confirm", "prompt", "beforeunload", "sign_in"]
    message: str
    default: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenObservation(Observation):
    """An observation of a screen.

    Attributes:
        url: The page's address, secrets replaced.
        title: The page's title, secrets replaced.
        window: The focused window's title (desktop).
        tabs: Titles of the open tabs, in order.
        tab: Index of the current tab.
        cursor: The pointer's x and y in input units, where known.
        dialog: The dialog that waits, drawn into the image.
    """

    url: str | None = None
    title: str | None = None
    window: str | None = None
    tabs: tuple[str, ...] = ()
    tab: int = 0
    cursor: tuple[float, float] | None = None
    dialog: PendingDialog | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraObservation(Observation):
    """An observation by a camera on a body.

    Attributes:
        depth_m: float32 metres, shape (height, width), planar (along the optical axis); 0 where unknown.
        intrinsics: Focal lengths and principal point (fx, fy, cx, cy) in pixels of ``image``.
        pose: Position x, y, z in metres and orientation quaternion x, y, z, w.
        goal: What is looked for, in words or as coordinates.
        collided: True where the last action touched something.
        proprioception: float32, shape (n,): joint positions and the like.
    """

    depth_m: NDArray[np.float32] | None = field(default=None, repr=False)
    intrinsics: tuple[float, float, float, float] | None = None
    pose: tuple[float, ...] | None = None
    goal: str | tuple[float, ...] | None = None
    collided: bool | None = None
    proprioception: NDArray[np.float32] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Step:
    """What one action led to.

    Attributes:
        observation: The world after it, settled.
        reward: The world's reward for it.
        terminated: The world ended the task.
        truncated: The world ended the episode for another reason (its own time limit, say).
        applied: The action really applied, or None where it could not be done.
        error: ``ClassName: message`` of an action that could not be done; such a failure is data.
        info: Anything else that an environment reports; ``success`` (bool) is the world's word where it terminated,
            without it a positive reward is success.
    """

    observation: Observation
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    applied: Action | None = None
    error: str | None = None
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ControlSpec:
    """What the values of ``control`` mean.

    Attributes:
        names: One a value.
        low: The unit's value at -1.
        high: The unit's value at 1.
        units: One a value, ``rad``, ``m_s``, ...
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    units: tuple[str, ...]


class Resource:
    """The lifetime of what is opened: an async context manager that belongs to one event loop.

    Subclasses do their work in ``_open`` and ``_close``; constructors do no I/O.
    """

    _loop: asyncio.AbstractEventLoop | None = None

    @property
    def opened(self) -> bool:
        """True between ``open`` and ``close``."""
        return self._loop is not None

    async def open(self) -> None:
        """Open; does nothing where it is open already.

        Raises:
            WrongLoop: If it is open in another event loop.
        """
        if self._loop is not None:
            self.require_open()
            return
        self._loop = asyncio.get_running_loop()
        try:
            await self._open()
        except BaseException:
            self._loop = None
            raise

    async def close(self) -> None:
        """Close; does nothing where it is not open.

        Raises:
            WrongLoop: If it was opened in another event loop.
        """
        if self._loop is None:
            return
        self.require_open()
        try:
            await self._close()
        finally:
            self._loop = None

    def require_open(self) -> None:
        """Check that this object is open, and in this event loop.

        Raises:
            EnvClosed: If it is not open.
            WrongLoop: If it was opened in another event loop.
        """
        name = type(self).__name__
        if self._loop is None:
            raise EnvClosed(f"{name} is not open: use it in an 'async with' block")
        if self._loop.is_closed():
            raise WrongLoop(f"{name} was opened in an event loop that has ended by now: make another")
        if self._loop is not asyncio.get_running_loop():
            raise WrongLoop(f"{name} was opened in another event loop: open, use and close it in one")

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def _open(self) -> None:
        """Do what opening takes; if it raises, the object stays closed."""

    async def _close(self) -> None:
        """Undo ``_open``; called once, whatever state the object is in."""


@runtime_checkable
class Env(Protocol):
    """A world that can be seen and acted on. Subclass it with ``Resource`` for its lifetime.

    Attributes:
        action_kinds: The kinds that it can do, the loop's own included where they make sense.
        limits: The Limits it keeps to, default list filled in.
        control_spec: What ``control`` means here; None where it is not offered.
        instruction: The task that it brings, after a reset; None where the user says it.
        downloads: Folder for what the world hands over; the Agent sets it to the record's where it is None.
    """

    action_kinds: frozenset[str]
    limits: Limits
    control_spec: ControlSpec | None = None
    instruction: str | None = None
    downloads: Path | None = None

    @property
    def start(self) -> str | None:
        """Where an episode begins, for the record; None in a world without addresses."""
        return None

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of what it drives, by name, as far as they are known; for the record."""
        return {}

    @property
    def opened(self) -> bool:
        """True while it is open."""
        raise NotImplementedError

    async def open(self) -> None:
        """Open it."""

    async def close(self) -> None:
        """Close it and everything that it started."""

    async def reset(
        self,
        *,
        seed: int | None = None,
        task: str | None = None,
        episode: str | None = None,
        viewport: Viewport | None = None,
    ) -> Observation:
        """Begin an episode.

        Args:
            seed: Makes whatever is random here repeatable.
            task: The instruction; for information.
            episode: Names one of the environment's own episodes.
            viewport: What the policy prefers; ignored where the user chose a size.

        Raises:
            EnvError: If the world does not start.
        """
        raise NotImplementedError

    async def step(self, action: Action) -> Step:
        """Do one action, wait until the world has settled, look. Unguarded: the loop asks the guard first.

        Args:
            action: Its points are of the Frame of the last observation given by reset or step.

        Raises:
            ResetNeeded: Before the first reset and after the end of an episode.
            EnvError: If the world fails; an action that cannot be done is ``Step.error`` instead.
        """
        raise NotImplementedError

    async def inspect(self, action: Action) -> Target | None:
        """Tell what lies under the action's point or has the focus, at constant cost; None where unknown."""
        return None

    async def verify(self) -> bool | None:
        """Ask the world whether the task is done; None where there is nothing to ask."""
        return None
