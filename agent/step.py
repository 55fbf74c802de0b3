"""What one step of the loop gathers while it goes, and how pictures are cropped and dropped."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from foveate.actions.geometry import Frame
from foveate.actions.schema import EMBODIED_KINDS, Action, KeyDown, KeyUp, PointerDown, PointerUp, Zoom
from foveate.envs.base import CameraObservation, Event, Observation
from foveate.policies.base import Decision, Outcome, Turn

VIEW_MOVERS = frozenset(
    {
        "scroll",
        "navigate",
        "back",
        "forward",
        "reload",
        "new_tab",
        "switch_tab",
        "close_tab",
        "open_app",
        "focus_window",
    }
) | (EMBODIED_KINDS - {"stop"})
"""Kinds after which a place of the same answer is no longer where it was."""

PHASES = ("tile", "encode", "prefill", "decode", "parse", "guard", "dispatch", "settle", "capture")
"""The phases that every step's record times, in ms, besides ``total``."""

_NO_PIXELS = np.zeros((0, 0, 3), np.uint8)


@dataclass(slots=True)
class StepState:
    """What one step has gathered so far."""

    view: Observation
    decision: Decision
    outcomes: list[Outcome] = field(default_factory=list)
    after: list[str | None] = field(default_factory=list)
    frames: list[Frame | None] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    timing_ms: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))
    reward: float = 0.0
    changed: float | None = None
    dropped: str | None = None
    view_moved: bool = False
    closer: Observation | None = None
    pending: Outcome | None = None  # of the action under way, as far as it is known
    writing_ms: float = 0.0

    def add_timing(self, timing_ms: Mapping[str, float]) -> None:
        """Add milliseconds to phases."""
        for phase, spent in timing_ms.items():
            self.timing_ms[phase] = self.timing_ms.get(phase, 0.0) + spent

    def drop_rest(self, why: str) -> None:
        """Let no further action of this decision be done; the first reason stays."""
        self.dropped = self.dropped or why

    def add(self, outcome: Outcome, path: str | None = None, frame: Frame | None = None) -> None:
        """Enter what became of the next action, the picture after it and the Frame of its points."""
        self.pending = None
        self.outcomes.append(outcome)
        self.after.append(path)
        self.frames.append(frame)

    def releases(self, action: Action) -> bool:
        """Tell whether an action lets go of what this decision pressed, without moving: that is never dropped."""
        done = [outcome.applied for outcome in self.outcomes]
        if isinstance(action, KeyUp):
            return KeyDown(key=action.key) in done
        if isinstance(action, PointerUp) and action.at is None:
            return any(isinstance(each, PointerDown) and each.button == action.button for each in done)
        return False

    def skip(self, action: Action, why: str) -> None:
        """Enter an action that was never reached."""
        self.add(Outcome("skipped", reason=why))
        self.notes.append(f"{action.kind} was not done: {why}")

    def end(self, started_s: float) -> None:
        """Time the whole step, writing left out; ``started_s`` is of ``time.perf_counter``."""
        self.timing_ms["total"] = (time.perf_counter() - started_s) * 1e3 - self.writing_ms


def zoomed(view: Observation, action: Zoom) -> Observation:
    """Crop an observation to the region of a zoom; the crop's Frame is in the same input units."""
    region = view.frame.pixel_box(action.region)
    image = np.ascontiguousarray(view.image[region.top : region.bottom, region.left : region.right])
    image.setflags(write=False)
    return replace(view, image=image, frame=view.frame.crop(region), encoded=None, events=(), changed=None)


def without_pixels(turn: Turn) -> Turn:
    """Copy a turn without the arrays of its observation."""
    observation = turn.observation
    if isinstance(observation, CameraObservation):
        return replace(turn, observation=replace(observation, image=_NO_PIXELS, encoded=None, depth_m=None))
    return replace(turn, observation=replace(observation, image=_NO_PIXELS, encoded=None))
