"""Points and boxes, fractions of a Frame, and the Frame, which says where its image lies in input units."""

import math
from dataclasses import dataclass

from foveate.actions.errors import OutOfFrame

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
