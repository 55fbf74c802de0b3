"""Frames, points, boxes and conventions, at every edge."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.actions.errors import OutOfFrame
from foveate.actions.geometry import (
    Box,
    Convention,
    Frame,
    PixelBox,
    Point,
    convert,
    points_of,
    quantise,
    smart_resize,
)
from foveate.actions.schema import Click, Drag, Wait, Zoom

SCREEN = Frame(1000, 500)
BELOW_ONE = math.nextafter(1.0, 0.0)
RESIZED = Convention.resized(500, 250)


# Points and boxes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1e-9, 1.0, 1.5, math.nan, math.inf, -math.inf])
def test_a_point_outside_its_frame_is_refused(value: float) -> None:
    with pytest.raises(OutOfFrame, match="x = "):
        Point(value, 0.5)
    with pytest.raises(OutOfFrame, match="y = "):
        Point(0.5, value)


def test_a_point_reaches_from_zero_to_just_below_one() -> None:
    assert (Point(0.0, BELOW_ONE).x, Point(0.0, BELOW_ONE).y) == (0.0, BELOW_ONE)


@pytest.mark.parametrize("value", [-1e-9, 1.0000001, math.nan, math.inf])
def test_a_box_outside_its_frame_is_refused(value: float) -> None:
    with pytest.raises(OutOfFrame, match="right = "):
        Box(0.0, 0.0, value, 1.0)


def test_swapped_corners_are_put_in_order() -> None:
    assert Box(0.9, 0.8, 0.1, 0.2) == Box(0.1, 0.2, 0.9, 0.8)
    assert Box(0.9, 0.2, 0.1, 0.8) == Box(0.1, 0.2, 0.9, 0.8)


def test_a_box_holds_its_left_and_top_and_not_its_right_and_bottom() -> None:
    box = Box(0.25, 0.25, 0.75, 0.75)
    assert box.contains(Point(0.25, 0.25)) and box.contains(Point(0.5, 0.5))
    assert not box.contains(Point(0.75, 0.5)) and not box.contains(Point(0.5, 0.75))


# Conventions: points ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("convention", "x", "y", "expected"),
    [
        (Convention.UNIT, 0.0, 0.0, (0.0, 0.0)),
        (Convention.UNIT, 0.5, 0.25, (0.5, 0.25)),
        (Convention.UNIT, 0.9999, 0.9999, (0.9999, 0.9999)),
        (Convention.UNIT, 1.0, 1.0, (0.9995, 0.999)),
        (Convention.PER_MILLE, 0, 0, (0.0, 0.0)),
        (Convention.PER_MILLE, 999, 999, (0.999, 0.999)),
        (Convention.PER_MILLE, 1000, 1000, (0.9995, 0.999)),
        (Convention.PER_MILLE, 333.3, 1.5, (0.3333, 0.0015)),
        (Convention.PIXEL, 0, 0, (0.0005, 0.001)),
        (Convention.PIXEL, 999, 499, (0.9995, 0.999)),
        (Convention.PIXEL, 999.9, 499.9, (0.9995, 0.999)),
        (RESIZED, 0, 0, (0.001, 0.002)),
        (RESIZED, 499, 249, (0.999, 0.998)),
    ],
)
def test_a_written_point_is_read_as(convention: Convention, x: float, y: float, expected: tuple[float, float]) -> None:
    point = convention.point(x, y, SCREEN)
    assert (point.x, point.y) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("convention", "x", "y", "message"),
    [
        (Convention.UNIT, 1.0001, 0.5, "x = 1.0001 is out of frame: the unit convention here allows 0 <= x <= 1"),
        (Convention.UNIT, 0.5, -0.0001, "y = -0.0001"),
        (Convention.UNIT, 500, 0.5, "x = 500"),
        (Convention.PER_MILLE, 1000.5, 0, "0 <= x <= 1000"),
        (Convention.PER_MILLE, 0, -1, "y = -1"),
        (Convention.PIXEL, 1000, 0, "x = 1000 is out of frame: the pixel convention here allows 0 <= x < 1000"),
        (Convention.PIXEL, 0, 500, "0 <= y < 500"),
        (RESIZED, 500, 0, "0 <= x < 500"),
        (Convention.PIXEL, math.nan, 0, "x = nan"),
        (Convention.UNIT, math.inf, 0, "x = inf"),
        (Convention.PER_MILLE, 0, -math.inf, "y = -inf"),
    ],
)
def test_a_written_point_outside_names_value_and_limit(
    convention: Convention, x: float, y: float, message: str
) -> None:
    with pytest.raises(OutOfFrame) as caught:
        convention.point(x, y, SCREEN)
    assert message in str(caught.value)


@pytest.mark.parametrize("convention", [Convention.UNIT, Convention.PER_MILLE, Convention.PIXEL, RESIZED])
@settings(max_examples=50, deadline=None)
@given(x=st.floats(0.0, BELOW_ONE), y=st.floats(0.0, BELOW_ONE))
def test_what_is_written_is_the_nearest_that_can_be(convention: Convention, x: float, y: float) -> None:
    written = convention.numbers(Point(x, y), SCREEN)
    scale = 10**convention.decimals
    assert all(value == round(value * scale) / scale for value in written)
    read = convention.point(*written, SCREEN)
    unit = 1.0 / scale
    for axis, (number, fraction, before) in enumerate(zip(written, (read.x, read.y), (x, y), strict=True)):
        for step in (-2, -1, 1, 2):
            other = [0.0, 0.0]
            other[axis] = round((number + step * unit) * scale) / scale
            try:
                moved = convention.point(other[0], other[1], SCREEN)
            except OutOfFrame:
                continue
            assert abs(fraction - before) <= abs((moved.x, moved.y)[axis] - before)


def test_a_tie_goes_to_the_smaller_number() -> None:
    # 0.00005 of a frame lies exactly between 0.0000 and 0.0001.
    assert Convention.UNIT.numbers(Point(0.00005, 0.0), SCREEN)[0] == 0.0
    # Halves are exact in a frame of four pixels: 0.25 lies between the centres 0.125 and 0.375 of pixels 0 and 1.
    assert Convention.PIXEL.numbers(Point(0.25, 0.5), Frame(4, 4)) == (0.0, 1.0)


def test_the_largest_number_is_written_for_the_last_pixel_alone() -> None:
    assert Convention.PER_MILLE.numbers(Point(0.9995, 0.999), SCREEN) == (1000.0, 999.0)
    assert Convention.PER_MILLE.numbers(Point(BELOW_ONE, BELOW_ONE), SCREEN) == (1000.0, 999.0)


# Conventions: boxes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("convention", "numbers", "expected"),
    [
        (Convention.UNIT, (0.0, 0.0, 1.0, 1.0), Box(0.0, 0.0, 1.0, 1.0)),
        (Convention.PER_MILLE, (0, 0, 1000, 1000), Box(0.0, 0.0, 1.0, 1.0)),
        (Convention.PIXEL, (0, 0, 1000, 500), Box(0.0, 0.0, 1.0, 1.0)),
        (Convention.PIXEL, (100, 100, 200, 250), Box(0.1, 0.2, 0.2, 0.5)),
        (Convention.PIXEL, (200, 250, 100, 100), Box(0.1, 0.2, 0.2, 0.5)),
        (RESIZED, (0, 0, 500, 250), Box(0.0, 0.0, 1.0, 1.0)),
    ],
)
def test_the_edges_of_a_box_are_edges(
    convention: Convention, numbers: tuple[float, float, float, float], expected: Box
) -> None:
    assert convention.box(*numbers, SCREEN) == expected
    assert convention.edges(expected, SCREEN) == (numbers if numbers[0] <= numbers[2] else (*numbers[2:], *numbers[:2]))


@pytest.mark.parametrize("convention", [Convention.UNIT, Convention.PER_MILLE, Convention.PIXEL, RESIZED])
def test_a_box_beyond_the_frame_is_refused(convention: Convention) -> None:
    for numbers in ((0, 0, 1001, 0), (-1, 0, 0, 0), (0, 0, 0, 1001), (0, math.nan, 0, 0)):
        with pytest.raises(OutOfFrame, match="out of frame"):
            convention.box(*numbers, SCREEN)


def test_a_box_is_its_centre_and_an_empty_side_its_point() -> None:
    assert Convention.PIXEL.box_centre(100, 100, 300, 300, SCREEN) == Point(0.2, 0.4)
    assert Convention.PIXEL.box_centre(100, 100, 100, 300, SCREEN) == Point(0.1005, 0.4)
    assert Convention.PER_MILLE.box_centre(1000, 1000, 1000, 1000, SCREEN) == Point(0.9995, 0.999)
    with pytest.raises(OutOfFrame, match="0 <= x < 1000"):
        Convention.PIXEL.box_centre(1000, 0, 1000, 10, SCREEN)


def test_the_foot_of_a_box_is_half_a_pixel_above_its_bottom() -> None:
    assert Convention.PIXEL.box_foot(100, 100, 300, 500, SCREEN) == Point(0.2, 0.999)
    assert Convention.PER_MILLE.box_foot(0, 0, 1000, 1000, SCREEN) == Point(0.5, 0.999)
    assert Convention.UNIT.box_foot(0.1, 0.4, 0.1, 0.4, SCREEN) == Point(0.1, 0.4)
    assert Convention.UNIT.box_foot(0.1, 0.4, 0.3, 0.4001, SCREEN).y == 0.4, "a flat box's foot stays in it"


def test_a_convention_of_no_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one pixel, not 0x5"):
        Convention.resized(0, 5)


# Frames -------------------------------------------------------------------------------------------------------------


def test_a_frame_is_one_input_unit_a_pixel_unless_it_says_otherwise() -> None:
    assert Frame(640, 480).extent == (640.0, 480.0)
    assert Frame(640, 480, extent=(320.0, 240.5)).extent == (320.0, 240.5)


@pytest.mark.parametrize(
    "bad",
    [
        {"width": 0, "height": 1},
        {"width": 1, "height": -1},
        {"width": 1, "height": 1, "extent": (0.0, 1.0)},
        {"width": 1, "height": 1, "extent": (math.inf, 1.0)},
        {"width": 1, "height": 1, "left": math.nan},
        {"width": 1, "height": 1, "top": math.inf},
    ],
)
def test_an_impossible_frame_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a frame"):
        Frame(**bad)  # type: ignore[arg-type]


def test_input_units_scale_by_axis_and_start_anywhere() -> None:
    frame = Frame(1366, 768, left=-1366.0, top=10.0, extent=(1092.8, 614.0))
    assert frame.to_input(Point(0.5, 0.5)) == pytest.approx((-819.6, 317.0))
    assert frame.to_input_integer(Point(0.5, 0.5)) == (-820, 317)


def test_from_input_is_the_way_back_and_refuses_what_is_outside() -> None:
    frame = Frame(100, 50, left=-100.0, top=5.0, extent=(200.0, 100.0))
    assert frame.from_input(0.0, 55.0) == Point(0.5, 0.5)
    assert frame.from_input(-100.0, 5.0) == Point(0.0, 0.0)
    for x, y in ((100.0, 55.0), (-100.1, 55.0), (0.0, 105.0), (0.0, 4.9), (math.nan, 55.0)):
        with pytest.raises(OutOfFrame, match="input units is outside the frame of 100x50"):
            frame.from_input(x, y)


@settings(max_examples=100, deadline=None)
@given(
    x=st.floats(0.0, BELOW_ONE),
    y=st.floats(0.0, BELOW_ONE),
    width=st.integers(1, 4000),
    height=st.integers(1, 4000),
)
def test_the_pixel_of_a_point_lies_inside_the_image(x: float, y: float, width: int, height: int) -> None:
    column, row = Frame(width, height).pixel(Point(x, y))
    assert 0 <= column < width and 0 <= row < height
    assert abs(column - x * width) <= 1 and abs(row - y * height) <= 1


def test_the_pixels_of_a_box_are_whole_and_at_least_one() -> None:
    assert SCREEN.pixel_box(Box(0.1, 0.2, 0.3, 0.4)) == PixelBox(100, 100, 300, 200)
    assert SCREEN.pixel_box(Box(0.1001, 0.2, 0.2999, 0.4)) == PixelBox(100, 100, 300, 200)
    assert SCREEN.pixel_box(Box(1.0, 1.0, 1.0, 1.0)) == PixelBox(999, 499, 1000, 500)
    assert SCREEN.pixel_box(Box(0.0, 0.0, 0.0, 0.0)) == PixelBox(0, 0, 1, 1)


def test_a_crop_keeps_the_place_of_its_pixels() -> None:
    whole = Frame(1000, 500, left=-50.0, extent=(500.0, 250.0))
    part = whole.crop(PixelBox(200, 100, 600, 300))
    assert part == Frame(400, 200, left=50.0, top=50.0, extent=(200.0, 100.0))
    assert part.to_input(Point(0.0, 0.0)) == whole.to_input(Point(0.2, 0.2))


# Whole actions ------------------------------------------------------------------------------------------------------


def test_points_of_an_action_are_found_in_order() -> None:
    first, second = Point(0.1, 0.2), Point(0.3, 0.4)
    assert points_of(Click(at=first)) == (first,)
    assert points_of(Drag(path=(first, second))) == (first, second)
    assert points_of(Click()) == points_of(Wait()) == ()


def test_quantise_moves_every_place_of_an_action() -> None:
    drag = Drag(path=(Point(0.12344, 0.5), Point(0.12346, 0.5)))
    assert quantise(drag, Convention.UNIT, SCREEN) == Drag(path=(Point(0.1234, 0.5), Point(0.1235, 0.5)))
    zoom = Zoom(region=Box(0.12346, 0.0, 1.0, 0.99999))
    assert quantise(zoom, Convention.UNIT, SCREEN) == Zoom(region=Box(0.1235, 0.0, 1.0, 1.0))
    assert quantise(Wait(), Convention.UNIT, SCREEN) == Wait()


def test_a_point_of_a_crop_is_converted_to_the_whole() -> None:
    part = SCREEN.crop(PixelBox(200, 100, 600, 300))
    assert convert(Click(at=Point(0.5, 0.5)), part, SCREEN) == Click(at=Point(0.4, 0.4))
    assert convert(Zoom(region=Box(0.0, 0.0, 1.0, 1.0)), part, SCREEN) == Zoom(region=Box(0.2, 0.2, 0.6, 0.6))
    assert convert(Click(at=Point(0.5, 0.5)), SCREEN, SCREEN) == Click(at=Point(0.5, 0.5))


def test_a_point_outside_the_target_frame_is_not_converted() -> None:
    part = SCREEN.crop(PixelBox(200, 100, 600, 300))
    with pytest.raises(OutOfFrame):
        convert(Click(at=Point(0.1, 0.5)), SCREEN, part)
    with pytest.raises(OutOfFrame):
        convert(Zoom(region=Box(0.0, 0.0, 1.0, 1.0)), SCREEN, part)


@settings(max_examples=200, deadline=None)
@given(
    x=st.one_of(st.floats(0.0, BELOW_ONE), st.just(BELOW_ONE)),
    y=st.one_of(st.floats(0.0, BELOW_ONE), st.just(BELOW_ONE)),
    left=st.integers(0, 900),
    top=st.integers(0, 400),
    width=st.integers(1, 100),
    height=st.integers(1, 100),
    origin=st.floats(-5000, 5000),
    scale=st.sampled_from((0.5, 2 / 3, 0.8, 1.0, 1.25)),
)
def test_every_point_of_a_crop_lies_in_the_whole(
    x: float, y: float, left: int, top: int, width: int, height: int, origin: float, scale: float
) -> None:
    whole = Frame(1000, 500, left=origin, top=-origin, extent=(1000 * scale, 500 * scale))
    part = whole.crop(PixelBox(left, top, left + width, top + height))
    point = convert(Click(at=Point(x, y)), part, whole).at
    assert point is not None
    assert point.x == pytest.approx((left + x * width) / 1000, abs=1e-6)
    assert point.y == pytest.approx((top + y * height) / 500, abs=1e-6)


# The size that processors send --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "options", "expected"),
    [
        # Source: the processor's rule by hand, round(1920 / 28) * 28 and round(1080 / 28) * 28.
        ((1920, 1080), {}, (1932, 1092)),
        ((1280, 720), {}, (1288, 728)),
        ((448, 448), {}, (448, 448)),
        # 3840 x 2160 is too large: both divided by sqrt(8294400 / 2116800) = 1.9795, then floored to 28.
        ((3840, 2160), {}, (1932, 1064)),
        # 28 x 28 is too small for 3136: both times sqrt(3136 / 784) = 2.
        ((28, 28), {}, (56, 56)),
        ((10, 10), {"min_pixels": 1}, (28, 28)),
        ((1000, 1000), {"factor": 32, "max_pixels": 1_048_576}, (992, 992)),
    ],
)
def test_smart_resize_gives_the_size_that_is_sent(
    size: tuple[int, int], options: dict[str, int], expected: tuple[int, int]
) -> None:
    assert smart_resize(*size, **options) == expected


def test_smart_resize_refuses_a_strip() -> None:
    with pytest.raises(ValueError, match="200 to 1, not 2010x10"):
        smart_resize(2010, 10)


@settings(max_examples=100, deadline=None)
@given(width=st.integers(28, 4000), height=st.integers(28, 4000))
def test_smart_resize_gives_multiples_within_the_bounds(width: int, height: int) -> None:
    columns, rows = smart_resize(width, height)
    assert columns % 28 == rows % 28 == 0
    assert 3136 <= columns * rows <= 2_116_800
