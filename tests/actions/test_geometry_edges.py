"""Places at the very edge of what a convention, a box or a device can hold."""

import pytest

from foveate.actions.errors import OutOfFrame
from foveate.actions.geometry import Box, Convention, Frame, Point, quantise
from foveate.actions.schema import Click, Zoom

SCREEN = Frame(1000, 500)


def test_a_device_that_takes_integers_gets_the_floor_on_both_sides_of_zero() -> None:
    frame = Frame(10, 10, left=-5.0, top=0.0, extent=(10.0, 5.0))
    assert frame.to_input(Point(0.07, 0.19)) == pytest.approx((-4.3, 0.95))
    assert frame.to_input_integer(Point(0.07, 0.19)) == (-5, 0)
    assert frame.to_input_integer(Point(0.59, 0.99)) == (0, 4)


@pytest.mark.parametrize("width", [7, 100, 448, 3840])
@pytest.mark.parametrize("convention", [Convention.UNIT, Convention.PER_MILLE])
def test_the_centre_of_the_last_pixel_is_written_as_the_largest_number(convention: Convention, width: int) -> None:
    frame = Frame(width, width)
    last = (width - 0.5) / width
    largest = 1.0 if convention is Convention.UNIT else 1000.0
    x, y = convention.numbers(Point(last, last), frame)
    assert convention.point(x, y, frame) == Point(last, last)
    assert convention.point(largest, largest, frame) == Point(last, last)
    click = Click(at=Point(last, last))
    assert quantise(click, convention, frame) == click


def test_a_tie_between_two_edges_of_a_box_goes_to_the_smaller_number() -> None:
    frame = Frame(4, 4)
    assert Convention.PIXEL.edges(Box(0.125, 0.375, 0.625, 0.875), frame) == (0, 1, 2, 3)
    zoom = quantise(Zoom(region=Box(0.125, 0.375, 0.625, 0.875)), Convention.PIXEL, frame)
    assert zoom.region == Box(0.0, 0.25, 0.5, 0.75)


@pytest.mark.parametrize(
    ("convention", "numbers", "value", "limit"),
    [
        (Convention.PER_MILLE, (-0.25, 0, 10, 10), "x = -0.25", "0 <= x <= 1000 for the edge of a box"),
        (Convention.PER_MILLE, (0, 0, 1000.5, 10), "x = 1000.5", "0 <= x <= 1000 for the edge of a box"),
        (Convention.UNIT, (0, -1e-9, 1, 1), "y = -1e-09", "0 <= y <= 1 for the edge of a box"),
        (Convention.PIXEL, (0, 0, 1000, 500.5), "y = 500.5", "0 <= y <= 500 for the edge of a box"),
        (Convention.resized(28, 56), (0, 0, 28, 57), "y = 57", "0 <= y <= 56 for the edge of a box"),
    ],
)
def test_an_edge_outside_is_refused_by_its_own_number_and_the_limit(
    convention: Convention, numbers: tuple[float, float, float, float], value: str, limit: str
) -> None:
    with pytest.raises(OutOfFrame) as refused:
        convention.box(*numbers, SCREEN)
    assert value in str(refused.value)
    assert limit in str(refused.value)
    with pytest.raises(OutOfFrame):
        convention.box_centre(*numbers, SCREEN)
