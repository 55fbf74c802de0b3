"""Frames, points, boxes and conventions: the only code that converts coordinates.

A *Point* or *Box* is always a fraction of a *Frame*; a *Convention* says how a model writes a point as numbers; a
*Frame* says where its image lies in input units. Nothing here clamps: a value outside raises ``OutOfFrame``. All of it
is imported from here; frames, with what lies in them, are written down in ``frame.py``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from pydantic import BaseModel

from foveate.actions.errors import OutOfFrame
from foveate.actions.frame import Box, Frame, PixelBox, Point

__all__ = [
    "Box", "Convention", "Frame", "PixelBox", "Point", "convert", "map_places", "points_of", "quantise", "smart_resize",
]  # fmt: skip

ActionT = TypeVar("ActionT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Convention:
    """How a model writes a place as numbers.

    ``UNIT`` (0..1, four decimals) and ``PER_MILLE`` (0..1000) are closed: their last number, 1 or 1000, is a legal
    answer and means the centre of the last pixel. ``PIXEL`` is half-open: pixel p, ``0 <= p < width``, is its centre,
    (p + 0.5) / width. ``Convention.resized(width, height)`` is PIXEL with the size that was sent to the model instead
    of the frame's.

    Attributes:
        name: ``unit``, ``per_mille``, ``pixel`` or ``resized``.
        size: Width and height of the image as the model saw it, in pixels; for ``resized`` alone.
    """

    name: Literal["unit", "per_mille", "pixel", "resized"]
    size: tuple[int, int] | None = None

    UNIT: ClassVar["Convention"]
    PER_MILLE: ClassVar["Convention"]
    PIXEL: ClassVar["Convention"]

    @classmethod
    def resized(cls, width: int, height: int) -> "Convention":
        """Make the convention of pixels of an image that was sent at this size (see ``smart_resize``)."""
        if width < 1 or height < 1:
            raise ValueError(f"an image has at least one pixel, not {width}x{height}")
        return cls("resized", (width, height))

    @property
    def decimals(self) -> int:
        """Digits after the point in the numbers that ``render`` writes."""
        return 4 if self.name == "unit" else 0

    def point(self, x: float, y: float, frame: Frame) -> Point:
        """Read a place that a model wrote.

        Raises:
            OutOfFrame: If a number lies beyond what this convention allows, or is not finite; nothing is clamped.
        """
        return Point(self._axis(x, "x", 0, frame), self._axis(y, "y", 1, frame))

    def box(self, x1: float, y1: float, x2: float, y2: float, frame: Frame) -> Box:
        """Read a box that a model wrote; corners in any order, the largest number meaning the frame's edge.

        Raises:
            OutOfFrame: If a number lies beyond what this convention allows, or is not finite.
        """
        left, right = (self._edge(v, "x", 0, frame) for v in (x1, x2))
        top, bottom = (self._edge(v, "y", 1, frame) for v in (y1, y2))
        return Box(left, top, right, bottom)

    def box_centre(self, x1: float, y1: float, x2: float, y2: float, frame: Frame) -> Point:
        """Read a box that stands for its centre; an axis on which it is empty is read as a point.

        Raises:
            OutOfFrame: As ``box``.
        """
        box = self.box(x1, y1, x2, y2, frame)
        x = self._axis(x1, "x", 0, frame) if box.left == box.right else (box.left + box.right) / 2
        y = self._axis(y1, "y", 1, frame) if box.top == box.bottom else (box.top + box.bottom) / 2
        return Point(x, y)

    def box_foot(self, x1: float, y1: float, x2: float, y2: float, frame: Frame) -> Point:
        """Read a box that stands for the middle of its bottom edge, just inside it: where a thing meets the floor.

        Raises:
            OutOfFrame: As ``box``.
        """
        box = self.box(x1, y1, x2, y2, frame)
        centre = self.box_centre(x1, y1, x2, y2, frame)
        if box.top == box.bottom:
            return centre
        return Point(centre.x, max(box.top, box.bottom - 0.5 / frame.height))

    def numbers(self, point: Point, frame: Frame) -> tuple[float, float]:
        """Give the two numbers whose decoded place is nearest to the point; on a tie the smaller number."""
        return self._nearest(point.x, 0, frame), self._nearest(point.y, 1, frame)

    def edges(self, box: Box, frame: Frame) -> tuple[float, float, float, float]:
        """Give the four numbers whose decoded edges are nearest to the box's; on a tie the smaller number."""
        return (
            self._nearest_edge(box.left, 0, frame),
            self._nearest_edge(box.top, 1, frame),
            self._nearest_edge(box.right, 0, frame),
            self._nearest_edge(box.bottom, 1, frame),
        )

    def _span(self, axis: int, frame: Frame) -> float:
        """Give the number that stands for the far edge."""
        if self.name == "unit":
            return 1.0
        if self.name == "per_mille":
            return 1000.0
        return float((self.size or (frame.width, frame.height))[axis])

    def _refuse(self, value: float, name: str, limit: str) -> OutOfFrame:
        return OutOfFrame(f"{name} = {value!r} is out of frame: the {self.name} convention here allows {limit}")

    def _axis(self, value: float, name: str, axis: int, frame: Frame) -> float:
        span = self._span(axis, frame)
        if self.name in ("unit", "per_mille"):
            if not 0.0 <= value <= span:
                raise self._refuse(value, name, f"0 <= {name} <= {span:g}")
            return self._closed(value, span, axis, frame)
        if not 0.0 <= value < span:
            raise self._refuse(value, name, f"0 <= {name} < {span:g}")
        return (math.floor(value) + 0.5) / span

    @staticmethod
    def _closed(value: float, span: float, axis: int, frame: Frame) -> float:
        pixels = (frame.width, frame.height)[axis]
        return (pixels - 0.5) / pixels if value == span else value / span

    def _edge(self, value: float, name: str, axis: int, frame: Frame) -> float:
        span = self._span(axis, frame)
        if not 0.0 <= value <= span:
            raise self._refuse(value, name, f"0 <= {name} <= {span:g} for the edge of a box")
        return value / span

    def _nearest(self, fraction: float, axis: int, frame: Frame) -> float:
        span = self._span(axis, frame)
        if self.name not in ("unit", "per_mille"):
            guess = math.floor(fraction * span)
            candidates = [float(v) for v in (guess - 1, guess, guess + 1) if 0 <= v < span]
            return min(candidates, key=lambda v: (abs((v + 0.5) / span - fraction), v))
        return min(
            (*self._around(fraction, span), span),
            key=lambda v: (abs(self._closed(v, span, axis, frame) - fraction), v),
        )

    def _nearest_edge(self, fraction: float, axis: int, frame: Frame) -> float:
        span = self._span(axis, frame)
        return min(self._around(fraction, span), key=lambda v: (abs(v / span - fraction), v))

    def _around(self, fraction: float, span: float) -> tuple[float, ...]:
        """Give the numbers that can be written next to the fraction."""
        units = 10**self.decimals
        guess = math.floor(fraction * span * units)
        return tuple(v / units for v in (guess - 1, guess, guess + 1, guess + 2) if 0 <= v <= span * units)


Convention.UNIT = Convention("unit")
Convention.PER_MILLE = Convention("per_mille")
Convention.PIXEL = Convention("pixel")


def smart_resize(
    width: int, height: int, *, factor: int = 28, min_pixels: int = 3136, max_pixels: int = 2_116_800
) -> tuple[int, int]:
    """Compute the size at which Qwen-style processors send an image: multiples of ``factor``, bounded in area.

    Args:
        width: Image width in pixels.
        height: Image height in pixels.
        factor: Both sides of the result are multiples of it.
        min_pixels: Least area of the result.
        max_pixels: Greatest area of the result.

    Returns:
        Width and height in pixels, for ``Convention.resized``.

    Raises:
        ValueError: If one side is more than 200 times the other, which those processors refuse too.

    Source: the resize rule of Qwen2.5-VL's image processor, which UI-TARS 1.5 and ScaleCUA's Qwen variant share.
    """
    if max(width, height) > 200 * min(width, height):
        raise ValueError(f"an image's sides differ by at most 200 to 1, not {width}x{height}")
    columns, rows = max(factor, round(width / factor) * factor), max(factor, round(height / factor) * factor)
    if columns * rows > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        columns = max(factor, math.floor(width / shrink / factor) * factor)
        rows = max(factor, math.floor(height / shrink / factor) * factor)
    elif columns * rows < min_pixels:
        grow = math.sqrt(min_pixels / (width * height))
        columns = math.ceil(width * grow / factor) * factor
        rows = math.ceil(height * grow / factor) * factor
    return columns, rows


def map_places(action: ActionT, point: Callable[[Point], Point], box: Callable[[Box], Box]) -> ActionT:
    """Copy an action with each of its points and boxes replaced."""
    changes: dict[str, object] = {}
    for name in type(action).model_fields:
        value = getattr(action, name)
        if isinstance(value, Point):
            changes[name] = point(value)
        elif isinstance(value, Box):
            changes[name] = box(value)
        elif isinstance(value, tuple) and any(isinstance(item, Point) for item in value):
            changes[name] = tuple(point(item) for item in value)
    return action.model_copy(update=changes) if changes else action


def points_of(action: BaseModel) -> tuple[Point, ...]:
    """Give every point of an action in order; empty for one without."""
    found: list[Point] = []
    for name in type(action).model_fields:
        value = getattr(action, name)
        if isinstance(value, Point):
            found.append(value)
        elif isinstance(value, tuple):
            found.extend(item for item in value if isinstance(item, Point))
    return tuple(found)


def quantise(action: ActionT, convention: Convention, frame: Frame) -> ActionT:
    """Move every place of an action to the nearest one that the convention can write in this frame.

    Idempotent. A point moves by at most half a unit, or by one unit beyond the last regular value (0.9999, 999).
    """
    return map_places(
        action,
        lambda point: convention.point(*convention.numbers(point, frame), frame),
        lambda box: convention.box(*convention.edges(box, frame), frame),
    )


def convert(action: ActionT, source: Frame, target: Frame) -> ActionT:
    """Re-express an action's places, given in ``source`` (a crop, say), in ``target``.

    Raises:
        OutOfFrame: If a place lies outside the target frame.
    """
    if source == target:
        return action
    return map_places(
        action,
        lambda point: target.from_input(*_nudge(source.to_input(point), target)),
        lambda box: _convert_box(box, source, target),
    )


def _nudge(place: tuple[float, float], target: Frame) -> tuple[float, float]:
    """Undo a rounding of at most a billionth of the extent across the target's edge."""
    moved = []
    for value, low, extent in zip(place, (target.left, target.top), target.extent, strict=True):
        offset = value - low
        if -1e-9 * extent <= offset < 0:
            offset = 0.0
        elif extent <= offset <= extent * (1 + 1e-9):
            offset = math.nextafter(extent, 0.0)
        moved.append(min(low + offset, math.nextafter(low + extent, low)) if 0 <= offset < extent else value)
    return moved[0], moved[1]


def _convert_box(box: Box, source: Frame, target: Frame) -> Box:
    edges = []
    for fraction, axis in ((box.left, 0), (box.top, 1), (box.right, 0), (box.bottom, 1)):
        low = (source.left, source.top)[axis], (target.left, target.top)[axis]
        value = (low[0] + fraction * source.extent[axis] - low[1]) / target.extent[axis]
        edges.append(round(value, 12) if -1e-9 < value < 1 + 1e-9 else value)
    return Box(*(min(max(e, 0.0), 1.0) if -1e-9 < e < 1 + 1e-9 else e for e in edges))
