from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.policies.internvl.tiling import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    normalised,
    tile_count,
    tile_grid,
    tiles,
    visual_tokens,
)

BUDGETS = (1, 4, 6, 12, 24)
ONE = (1, 1, 256)
# Columns, rows and tokens at each budget, for every screenshot and camera size that the runtime is likely to meet.
TABLE = {
    ((1280, 720), (1366, 768), (1920, 1080), (2560, 1440), (3840, 2160)): (
        ONE, (2, 1, 768), (2, 1, 768), (4, 2, 2304), (5, 3, 4096),
    ),
    ((1280, 800), (1440, 900), (1680, 1050), (1920, 1200)): (
        ONE, (2, 1, 768), (3, 2, 1792), (3, 2, 1792), (5, 3, 4096),
    ),
    ((1024, 768), (800, 600)): (ONE, (2, 2, 1280), (3, 2, 1792), (4, 3, 3328), (4, 3, 3328)),
    ((640, 480), (400, 300), (320, 240)): (ONE, ONE, (3, 2, 1792), (4, 3, 3328), (4, 3, 3328)),
    ((3440, 1440),): (ONE, (2, 1, 768), (2, 1, 768), (5, 2, 2816), (7, 3, 5632)),
    ((1080, 2400),): (ONE, (1, 2, 768), (1, 2, 768), (2, 5, 2816), (3, 7, 5632)),
    ((512, 512), (448, 448), (256, 256), (224, 224)): (ONE, ONE, ONE, ONE, ONE),
    ((896, 896),): (ONE, (2, 2, 1280), (2, 2, 1280), (2, 2, 1280), (2, 2, 1280)),
    ((1344, 1344),): (ONE, (2, 2, 1280), (2, 2, 1280), (3, 3, 2560), (4, 4, 4352)),
    ((960, 540),): (ONE, (2, 1, 768), (2, 1, 768), (2, 1, 768), (5, 3, 4096)),
}  # fmt: skip
CELLS = [
    (size, budget, cell)
    for sizes, row in TABLE.items()
    for size in sizes
    for budget, cell in zip(BUDGETS, row, strict=True)
]


@pytest.mark.parametrize(("size", "budget", "cell"), CELLS)
def test_the_grid_and_the_tokens_are_those_of_the_reference_table(
    size: tuple[int, int], budget: int, cell: tuple[int, int, int]
) -> None:
    assert (*tile_grid(*size, max_tiles=budget), visual_tokens(*size, max_tiles=budget)) == cell


def brute_force(width: int, height: int, most: int, tile: int) -> set[tuple[int, int]]:
    """State the rule without a loop that remembers: nearest proportions, then the largest grid that the area bears."""
    grids = [(c, r) for c in range(1, most + 1) for r in range(1, most + 1) if c * r <= most]
    ratio = Fraction(width, height)
    least = min(abs(ratio - Fraction(c, r)) for c, r in grids)
    nearest = [grid for grid in grids if abs(ratio - Fraction(*grid)) == least]
    smallest = min(c * r for c, r in nearest)
    borne = [(c, r) for c, r in nearest if c * r > smallest and 2 * width * height > tile * tile * c * r]
    largest = max((c * r for c, r in borne), default=smallest)
    return {(c, r) for c, r in nearest if c * r == largest}


@settings(max_examples=400, deadline=None)
@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(1, 24), st.sampled_from([28, 448]))
def test_the_grid_is_what_the_rule_says_in_other_words(width: int, height: int, most: int, tile: int) -> None:
    assert tile_grid(width, height, max_tiles=most, tile=tile) in brute_force(width, height, most, tile)


@pytest.mark.parametrize("side", [448, 449, 633, 634, 896])
def test_a_tie_goes_to_the_larger_grid_once_the_picture_has_half_its_area(side: int) -> None:
    assert tile_grid(side, side, max_tiles=4) == ((2, 2) if side * side > 0.5 * 4 * 448 * 448 else (1, 1))


@pytest.mark.parametrize("bad", [{"max_tiles": 0}, {"min_tiles": 3, "max_tiles": 2}, {"tile": 0}])
def test_an_impossible_grid_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="no grid of"):
        tile_grid(640, 480, **bad)


def test_tiles_go_row_by_row_and_the_thumbnail_is_last() -> None:
    image = np.zeros((2 * 56, 3 * 56, 3), np.uint8)
    for row in range(2):
        for column in range(3):
            image[row * 56 : (row + 1) * 56, column * 56 : (column + 1) * 56] = 40 * (row * 3 + column)
    cut = tiles(image, max_tiles=6, tile=56)
    assert cut.shape == (7, 56, 56, 3)
    assert [int(tile[28, 28, 0]) for tile in cut[:6]] == [0, 40, 80, 120, 160, 200]
    assert len(np.unique(cut[6])) > 6  # the whole picture, made small


def test_a_picture_of_one_tile_has_no_thumbnail_and_is_left_as_it_is() -> None:
    image = np.random.default_rng(0).integers(0, 256, (56, 56, 3), dtype=np.uint8)
    cut = tiles(image, tile=56)
    assert cut.shape == (1, 56, 56, 3)
    assert np.array_equal(cut[0], image)


@pytest.mark.torch
@pytest.mark.parametrize("size", [(1280, 720), (333, 777), (500, 448)])
def test_the_values_are_those_of_transformers_image_processor(size: tuple[int, int]) -> None:
    module = pytest.importorskip(
        "transformers.models.got_ocr2.image_processing_pil_got_ocr2", reason="transformers has no PIL image processor"
    )
    image = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    processor = module.GotOcr2ImageProcessorPil(
        size={"height": 112, "width": 112}, crop_to_patches=True, min_patches=1, max_patches=12,
        image_mean=list(IMAGENET_MEAN), image_std=list(IMAGENET_STD),
    )  # fmt: skip
    theirs = np.stack(processor(images=[image], return_tensors="np")["pixel_values"])
    ours = normalised(tiles(image, tile=112))
    assert ours.dtype == np.float32
    assert ours.shape == (tile_count(*size, tile=112), 3, 112, 112)
    assert np.abs(ours - theirs).max() < 1e-5


@pytest.mark.torch
def test_the_grid_is_transformers_grid_on_many_sizes() -> None:
    module = pytest.importorskip(
        "transformers.models.got_ocr2.image_processing_pil_got_ocr2", reason="transformers has no PIL image processor"
    )
    sizes = np.random.default_rng(2).integers(1, 4000, (3000, 2))
    for width, height in sizes.tolist():
        for most in (6, 12):
            theirs = module.get_optimal_tiled_canvas((height, width), (448, 448), 1, most)
            assert tile_grid(width, height, max_tiles=most) == tuple(theirs)
