"""A picture of hits and misses: pages of an evaluation, each with what was meant and where it was clicked."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from PIL import Image as Pillow
from PIL import ImageDraw

from foveate.actions.errors import RecordError
from foveate.agent.evaluation_items import Done
from foveate.agent.evaluation_pages import Pages
from foveate.envs.base import Image
from foveate.envs.lettering import cut, width_of, write

SHOWN: Final = 24
"""So many pages are on it: the suite's first ones, whatever came of them."""

_COLUMNS, _SIDE, _LINE, _GAP, _SIZE = 6, 224, 22, 8, 13
_PAPER, _INK = (255, 255, 255), (40, 40, 40)
_HIT, _MISS, _MEANT = (20, 150, 60), (215, 35, 35), (30, 90, 230)
_LEGEND = (
    ("a hit", _HIT),
    ("a miss", _MISS),
    ("what was meant", _MEANT),
)


async def draw_clicks(tell: Callable[[Path], None], items: Sequence[Done], path: Path, browser: str | None) -> None:
    """Draw the first clicks of an evaluation; their pages are drawn again from their seeds.

    Args:
        tell: Hears of the file when it is written.
        items: The clicks.
        path: The PNG to write.
        browser: Path of the Chromium; None looks for one.

    Raises:
        RecordError: If the file cannot be written.
        FoveateError: If the browser fails.
    """
    some = items[:SHOWN]
    async with Pages(browser) as pages:
        cells = [(one, (await pages.asked(one.item)).screen.image) for one in some]
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            sheet_of(cells).quantize(192).save(file, "PNG", optimize=True)
        part.replace(path)
    except OSError as exc:
        raise RecordError(f"{path} cannot be written: {exc.strerror or exc}: give another --out") from exc
    tell(path)


def sheet_of(cells: Sequence[tuple[Done, Image]]) -> Pillow.Image:
    """Lay out pages in a grid, a legend below.

    Args:
        cells: Clicks and their pages, uint8 RGB (height, width, 3).
    """
    columns = min(_COLUMNS, max(len(cells), 1))
    rows = -(-len(cells) // columns)
    width = columns * (_SIDE + _GAP) + _GAP
    height = rows * (_SIDE + _LINE + _GAP) + _GAP + _LINE
    sheet = Pillow.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (done, image) in enumerate(cells):
        row, column = divmod(number, columns)
        left, top = _GAP + column * (_SIDE + _GAP), _GAP + row * (_SIDE + _LINE + _GAP)
        sheet.paste(_cell(done, image), (left, top))
        draw.rectangle((left - 1, top - 1, left + _SIDE, top + _SIDE), outline=(190, 190, 190))
        colour = _HIT if done.found["right"] else _MISS
        write(draw, (left, top + _SIDE + _LINE / 2), cut(str(done.found["task"]), _SIDE, _SIZE), _SIZE, colour)
    x, y = float(_GAP), height - _LINE / 2 - 2
    for text, colour in _LEGEND:
        draw.rectangle((x, y - 5, x + 10, y + 5), fill=colour)
        write(draw, (x + 16, y), text, _SIZE, _INK)
        x += 16 + width_of(text, _SIZE) + 24
    return sheet


def _cell(done: Done, image: Image) -> Pillow.Image:
    """Draw what was meant and where it was clicked onto a page, twice as large as it will be."""
    side = 2 * _SIDE
    page = Pillow.fromarray(image).resize((side, side), Pillow.Resampling.LANCZOS)
    draw = ImageDraw.Draw(page)
    left, top, right, bottom = (value * side for value in done.found["target"])
    draw.rectangle((left - 3, top - 3, right + 3, bottom + 3), outline=_MEANT, width=4)
    if done.found["point"] is not None:
        x, y = (value * side for value in done.found["point"])
        for radius, colour in ((13, _PAPER), (10, _HIT if done.found["right"] else _MISS)):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return page.resize((_SIDE, _SIDE), Pillow.Resampling.LANCZOS)
