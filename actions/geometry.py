"""Frames, points, boxes and conventions: the only code that converts coordinates.

A *Point* or *Box* is always a fraction of a *Frame*; a *Convention* says how a model writes a point as numbers; a
*Frame* says where its image lies in input units. Nothing here clamps: a value outside raises ``OutOfFrame``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from pydantic import BaseModel

from foveate.actions.errors import OutOfFrame

ActionT = TypeVar("ActionT", bound=BaseModel)

_LAST_BELOW_ONE = math.nextafter(1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Point:
    """A place in a Frame, as fractions of its width and height.

    Attributes:
        x: ``0 <= x < 1``; 0 is the image's left edge.
        y: ``0 <= y < 1``; 0 is the image's top edge.

    Raises:
        OutOfFrame: If a fraction is not a finite number in that range.
    """

    x: float
    y: float

    def __post_init__(self) -> None:
        for name, value in (("x", self.x), ("y", self.y)):
            if not 0.0 <= value < 1.0:
                raise OutOfFrame(f"{name} = {value!r} is outside the frame: a point's fractions are 0 <= {name} < 1")


@dataclass(frozen=True, slots=True)
class Box:
    """A region of a Frame, half-open, as fractions of its width and height; swapped edges are put in order.

    Attributes:
        left: ``0 <= left <= right``.
        top: ``0 <= top <= bottom``.
        right: Up to 1, which is the frame's right edge.
        bottom: Up to 1, which is the frame's bottom edge.

    Raises:
        OutOfFrame: If an edge is not a finite number in 0..1.
    """

    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self) -> None:
        for name in ("left", "top", "right", "bottom"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise OutOfFrame(f"{name} = {value!r} is outside the frame: a box's edges are 0 <= {name} <= 1")
        if self.left > self.right:
            left, right = self.right, self.left
            object.__setattr__(self, "left", left)
            object.__setattr__(self, "right", right)
        if self.top > self.bottom:
            top, bottom = self.bottom, self.top
            object.__setattr__(self, "top", top)
            object.__setattr__(self, "bottom", bottom)

    def contains(self, point: Point) -> bool:
        """Tell whether a point of the same frame lies in this box (right and bottom excluded)."""
        return self.left <= point.x < self.right and self.top <= point.y < self.bottom


@dataclass(frozen=True, slots=True)
class PixelBox:
    """Whole pixels of an image, half-open: ``left <= x < right``, ``top <= y < bottom``."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class Frame:
    """Where an observation's image lies in the world that input goes to.

    Attributes:
        width: Image width in pixels; a Point's x spans it, 0.0 its left edge, 1.0 its right.
        height: Image height in pixels.
        left: x of the image's left edge, in input units (negative on a monitor left of the primary).
        top: y of the image's top edge, in input units.
        extent: Width and height of the image in input units, exact, so the axes may scale differently; by default
            one unit a pixel.

    Input units are what the adapter's input call takes: CSS pixels in a browser, X11 pixels, logical points on macOS.

    Raises:
        ValueError: If the image is empty or a number is not finite.
    """

    width: int
    height: int
    left: float = 0.0
    top: float = 0.0
    extent: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a frame has at least one pixel, not {self.width}x{self.height}")
        if self.extent == (0.0, 0.0):
            object.__setattr__(self, "extent", (float(self.width), float(self.height)))
        if min(self.extent) <= 0 or not all(map(math.isfinite, (*self.extent, self.left, self.top))):
            raise ValueError(f"a frame's extent is positive and finite, not {self.extent} at {self.left}, {self.top}")

    def to_input(self, point: Point) -> tuple[float, float]:
        """Give the point's x and y in input units, exact."""
        return self.left + point.x * self.extent[0], self.top + point.y * self.extent[1]

    def to_input_integer(self, point: Point) -> tuple[int, int]:
        """Give the point's x and y in whole input units (the floor), for devices that take integers."""
        x, y = self.to_input(point)
        return math.floor(x), math.floor(y)

    def from_input(self, x: float, y: float) -> Point:
        """Give the Point that lies at x, y in input units.

        Raises:
            OutOfFrame: If that place is outside this frame.
        """
        inside = self.left <= x < self.left + self.extent[0] and self.top <= y < self.top + self.extent[1]
        if not inside:
            raise OutOfFrame(f"({x}, {y}) in input units is outside {self.describe()}")
        return Point(_fraction(x - self.left, self.extent[0]), _fraction(y - self.top, self.extent[1]))

    def pixel(self, point: Point) -> tuple[int, int]:
        """Give column and row of the image's pixel that holds the point, ``0 <= column < width``."""
        column, row = math.floor(point.x * self.width), math.floor(point.y * self.height)
        return min(column, self.width - 1), min(row, self.height - 1)  # 0.999... * width may round up to width

    def pixel_box(self, box: Box) -> PixelBox:
        """Give the smallest whole-pixel region that holds the box, at least one pixel."""
        left = min(math.floor(box.left * self.width + 1e-9), self.width - 1)
        top = min(math.floor(box.top * self.height + 1e-9), self.height - 1)
        right = max(math.ceil(box.right * self.width - 1e-9), left + 1)
        bottom = max(math.ceil(box.bottom * self.height - 1e-9), top + 1)
        return PixelBox(left, top, right, bottom)

    def crop(self, region: PixelBox) -> "Frame":
        """Give the Frame of the part of this frame's image that ``region`` cuts out."""
        unit_x, unit_y = self.extent[0] / self.width, self.extent[1] / self.height
        return Frame(
            width=region.right - region.left,
            height=region.bottom - region.top,
            left=self.left + region.left * unit_x,
            top=self.top + region.top * unit_y,
            extent=((region.right - region.left) * unit_x, (region.bottom - region.top) * unit_y),
        )

    def describe(self) -> str:
        """Name this frame in an error message."""
        right, bottom = self.left + self.extent[0], self.top + self.extent[1]
        region = f"{self.left:g} <= x < {right:g}, {self.top:g} <= y < {bottom:g}"
        return f"the frame of {self.width}x{self.height} pixels ({region})"


def _fraction(offset: float, extent: float) -> float:
    """Divide, keeping a quotient that rounding pushed onto 1.0 inside the frame that it was measured in."""
    return min(max(offset / extent, 0.0), _LAST_BELOW_ONE)


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
