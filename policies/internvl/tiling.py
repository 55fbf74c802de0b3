"""InternVL's tiling: a picture becomes a grid of square tiles and a thumbnail, with PIL and numpy alone.

Source: ``dynamic_preprocess`` of OpenGVLab/InternVL (internvl_chat/internvl/train/dataset.py, 2410d1d); transformers'
``GotOcr2ImageProcessor`` applies the same rule.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from foveate.envs.base import Image

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@lru_cache(maxsize=1024)
def tile_grid(width: int, height: int, *, min_tiles: int = 1, max_tiles: int = 12, tile: int = 448) -> tuple[int, int]:
    """Choose the grid whose proportions are nearest to the picture's.

    Among grids of ``min_tiles`` to ``max_tiles`` tiles, in order of their number, the first with the least
    ``|width / height - columns / rows|`` wins; one that ties with it replaces it where the picture has more than half
    of the area that the grid's tiles have.

    Args:
        width: The picture's width in pixels.
        height: The picture's height in pixels.
        min_tiles: Least number of tiles, the thumbnail not counted.
        max_tiles: Greatest number of tiles, the thumbnail not counted.
        tile: Side of a tile in pixels.

    Returns:
        Columns and rows.

    Raises:
        ValueError: If a size is not positive, or no grid has so many tiles.
    """
    if width < 1 or height < 1 or tile < 1 or not 1 <= min_tiles <= max_tiles:
        raise ValueError(f"no grid of {min_tiles} to {max_tiles} tiles of {tile} for a picture of {width}x{height}")
    ratio, area = width / height, width * height
    best, least = (1, 1), float("inf")
    for columns, rows in _grids(min_tiles, max_tiles):
        distance = abs(ratio - columns / rows)
        if distance < least or (distance == least and area > 0.5 * tile * tile * columns * rows):
            best, least = (columns, rows), distance
    return best


def tile_count(width: int, height: int, *, max_tiles: int = 12, tile: int = 448) -> int:
    """Give the number of tiles of a picture, the thumbnail included (a picture of one tile has none)."""
    columns, rows = tile_grid(width, height, max_tiles=max_tiles, tile=tile)
    return columns * rows + (1 if columns * rows > 1 else 0)


def visual_tokens(width: int, height: int, *, max_tiles: int = 12, tile: int = 448, tokens_per_tile: int = 256) -> int:
    """Give the number of visual tokens of a picture, the thumbnail's included."""
    return tile_count(width, height, max_tiles=max_tiles, tile=tile) * tokens_per_tile


def tiles(image: Image, *, max_tiles: int = 12, tile: int = 448) -> Image:
    """Cut a picture into tiles, row by row, the thumbnail last.

    The picture is resized to the whole grid (bicubic, its proportions not kept), so a place in it is the same fraction
    before and after.

    Args:
        image: uint8 RGB, shape (height, width, 3).
        max_tiles: Greatest number of tiles, the thumbnail not counted.
        tile: Side of a tile in pixels.

    Returns:
        uint8 RGB, shape (tiles, tile, tile, 3).
    """
    height, width = image.shape[:2]
    columns, rows = tile_grid(width, height, max_tiles=max_tiles, tile=tile)
    picture = Pillow.fromarray(np.ascontiguousarray(image))
    grid = _resized(picture, columns * tile, rows * tile)
    cut = grid.reshape(rows, tile, columns, tile, 3).swapaxes(1, 2).reshape(rows * columns, tile, tile, 3)
    if columns * rows == 1:
        return cut
    return np.concatenate([cut, _resized(picture, tile, tile)[None]])


def normalised(
    cut: Image, *, mean: tuple[float, ...] = IMAGENET_MEAN, std: tuple[float, ...] = IMAGENET_STD
) -> NDArray[np.float32]:
    """Turn tiles into what the vision encoder takes.

    Args:
        cut: uint8 RGB, shape (tiles, tile, tile, 3).
        mean: Of each channel, of values in 0..1.
        std: Of each channel, of values in 0..1.

    Returns:
        float32, shape (tiles, 3, tile, tile), contiguous.
    """
    scale = (1.0 / (255.0 * np.asarray(std))).astype(np.float32)
    shift = (np.asarray(mean) / np.asarray(std)).astype(np.float32)
    values = cut.transpose(0, 3, 1, 2).astype(np.float32, order="C")
    values *= scale[:, None, None]
    values -= shift[:, None, None]
    return values


@lru_cache(maxsize=64)
def _grids(min_tiles: int, max_tiles: int) -> tuple[tuple[int, int], ...]:
    """Give every (columns, rows) in order of their product."""
    sides = range(1, max_tiles + 1)
    grids = [(columns, rows) for columns in sides for rows in sides if min_tiles <= columns * rows <= max_tiles]
    return tuple(sorted(grids, key=lambda grid: grid[0] * grid[1]))


def _resized(picture: Pillow.Image, width: int, height: int) -> Image:
    if picture.size == (width, height):
        return np.asarray(picture)
    return np.asarray(picture.resize((width, height), Pillow.Resampling.BICUBIC))
