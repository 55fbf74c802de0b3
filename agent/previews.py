"""Small pictures for a report: as a data address each, within a budget of bytes, and where two of them differ."""

import base64
import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

_COLUMNS = 96
_DIFFERS = 3
_MOST_CELLS = 300
_MOST_PIXELS = 100_000_000
_MEDIA = {"PNG": "image/png", "JPEG": "image/jpeg"}


@dataclass(frozen=True, slots=True)
class Preview:
    """A picture in a report.

    Attributes:
        address: ``data:`` address.
        width: Of the original, in pixels.
        height: Of the original, in pixels.
        grey: int16, shape (rows, columns), 0 to 255: the picture in coarse cells, to compare it with others.
    """

    address: str = field(repr=False)
    width: int
    height: int
    grey: NDArray[np.int16] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a picture, as fractions of its width and height."""

    left: float
    top: float
    width: float
    height: float


def make_previews(files: Sequence[Path], *, budget_bytes: int) -> dict[Path, Preview]:
    """Make previews that together stay within a budget; a file that is no picture is left out."""
    share = budget_bytes // max(1, len(files))
    widest = 1280 if len(files) <= 60 else 960 if len(files) <= 200 else 640
    with ThreadPoolExecutor(max_workers=2) as pool:
        made = pool.map(lambda file: _preview(file, share, widest), files)
        return {file: preview for file, preview in zip(files, made, strict=True) if preview is not None}


def changed_regions(before: Preview, after: Preview) -> tuple[Region, ...]:
    """Tell where two pictures differ, as few rectangles: one where there are many, or where the sizes differ."""
    if before.grey.shape != after.grey.shape or (before.width, before.height) != (after.width, after.height):
        return (Region(0.0, 0.0, 1.0, 1.0),)
    differs = np.abs(before.grey - after.grey) >= _DIFFERS
    rows, columns = differs.shape
    found: list[Region] = []
    open_runs: dict[tuple[int, int], int] = {}
    for row in range(rows + 1):
        runs = set(_runs(differs[row])) if row < rows else set()
        for run, top in list(open_runs.items()):
            if run not in runs:
                found.append(_region(run, top, row, rows, columns))
                del open_runs[run]
        for run in runs:
            open_runs.setdefault(run, row)
    if len(found) <= _MOST_CELLS:
        return tuple(found)
    ys, xs = np.nonzero(differs)
    return (_region((int(xs.min()), int(xs.max()) + 1), int(ys.min()), int(ys.max()) + 1, rows, columns),)


def _runs(cells: NDArray[np.bool_]) -> Iterable[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], cells, [False]))))
    return ((int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True))


def _region(run: tuple[int, int], top: int, bottom: int, rows: int, columns: int) -> Region:
    return Region(run[0] / columns, top / rows, (run[1] - run[0]) / columns, (bottom - top) / rows)


def _preview(file: Path, share: int, widest: int) -> Preview | None:
    try:
        data = file.read_bytes()
        with PillowImage.open(io.BytesIO(data), formats=("PNG", "JPEG")) as opened:
            media = _MEDIA[opened.format or "PNG"]
            if opened.width * opened.height > _MOST_PIXELS:
                return None
            image = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, PillowImage.DecompressionBombError):
        return None
    rows = max(1, round(_COLUMNS * image.height / image.width))
    grey = image.convert("L").resize((_COLUMNS, rows), PillowImage.Resampling.BOX)
    if len(data) > share or image.width > widest:
        data, media = _shrink(image, share, widest), "image/jpeg"
    address = f"data:{media};base64,{base64.b64encode(data).decode('ascii')}"
    return Preview(address, image.width, image.height, np.asarray(grey, dtype=np.int16))


def _shrink(image: PillowImage.Image, share: int, widest: int) -> bytes:
    width = min(widest, image.width)
    data = b""
    for scale, quality in ((1.0, 82), (0.75, 72), (0.5, 62), (0.35, 50), (0.2, 40)):
        size = max(1, round(width * scale)), max(1, round(image.height * width * scale / image.width))
        small = image if size == image.size else image.resize(size, PillowImage.Resampling.LANCZOS)
        out = io.BytesIO()
        small.save(out, "JPEG", quality=quality, optimize=False)
        data = out.getvalue()
        if len(data) <= share:
            break
    return data
