"""Sizes that no screen has are refused where they are said."""

import math

import pytest

from foveate.actions.errors import UsageError
from foveate.envs.base import Viewport
from foveate.envs.browser import BrowserEnv


@pytest.mark.parametrize("size", [(0, 0), (-1, 5), (63, 64), (100.5, 100), (9_000, 100), (math.nan, 100)])
def test_a_side_that_is_none_is_refused_with_its_value(size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="64 to 8192, not"):
        Viewport(*size)
    with pytest.raises(UsageError, match="64 to 8192, not"):
        BrowserEnv(viewport=size)


@pytest.mark.parametrize("scale", [0, -1, math.nan, math.inf, 8])
def test_a_scale_that_is_none_is_refused_with_its_value(scale: float) -> None:
    with pytest.raises(UsageError, match=r"device scale factor is 0\.5 to 4, not"):
        Viewport(320, 320, scale)
    with pytest.raises(UsageError, match=r"device scale factor is 0\.5 to 4, not"):
        BrowserEnv(device_scale_factor=scale)


def test_what_screens_have_is_taken() -> None:
    assert Viewport(320, 320, 1.4).scale == 1.4
    BrowserEnv(viewport=(1366, 768), device_scale_factor=1.25)
