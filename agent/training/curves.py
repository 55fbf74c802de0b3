"""A training run's curves as one picture: losses above, what was right on held-out screens below, over screens seen."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from PIL import Image, ImageDraw, ImageFont

Series: TypeAlias = list[tuple[float, float]]

_SIZE: Final = (1100, 900)
_LEFT, _RIGHT, _TOP, _GAP = 80, 220, 50, 70
_COLOURS: Final[Mapping[str, tuple[int, int, int]]] = {
    "chars": (31, 119, 180), "centre": (23, 190, 207), "align": (255, 127, 14), "point": (44, 160, 44),
    "where": (148, 103, 189), "say": (214, 39, 40), "place": (140, 86, 75), "answer": (20, 20, 20),
}  # fmt: skip
_GREY, _FAINT, _INK = (150, 150, 150), (228, 228, 228), (40, 40, 40)
_SMOOTH: Final = 5
_FEW: Final = 40


@dataclass(slots=True)
class Curves:
    """What a log holds.

    Attributes:
        losses: By objective: screens seen, mean loss since the line before.
        right: By measure: screens seen, share that was right on held-out screens.
        borders: Where each stage begins, in screens seen.
    """

    losses: dict[str, Series] = field(default_factory=dict)
    right: dict[str, Series] = field(default_factory=dict)
    borders: list[tuple[str, float]] = field(default_factory=list)

    @classmethod
    def of(cls, lines: Sequence[Mapping[str, Any]]) -> "Curves":
        """Collect the lines of a log."""
        found = cls()
        before = 0.0
        for line in lines:
            pages = float(line["pages"])
            if not found.borders or found.borders[-1][0] != line["stage"]:
                found.borders.append((str(line["stage"]), before))
            before = pages
            held_out = line.get("held_out")
            for name, value in (line if held_out is None else held_out).items():
                if held_out is None and name.startswith("loss_"):
                    found.losses.setdefault(name.removeprefix("loss_"), []).append((pages, float(value)))
                elif held_out is not None and not name.startswith("loss_"):
                    found.right.setdefault(name, []).append((pages, float(value)))
        return found


@dataclass(frozen=True, slots=True)
class _Panel:
    """A rectangle of the picture and the ranges it shows; a logarithmic height where ``log``."""

    top: int
    bottom: int
    most_pages: float
    low: float
    high: float
    log: bool

    def at(self, pages: float, value: float) -> tuple[float, float]:
        x = _LEFT + (_SIZE[0] - _LEFT - _RIGHT) * pages / self.most_pages
        low, high, now = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, now = math.log(low), math.log(high), math.log(now)
        return x, self.bottom - (self.bottom - self.top) * (now - low) / (high - low)


def draw_curves(lines: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw a log's curves.

    Args:
        lines: Of the log, as ``foveate.policies.training.states.read_log`` gives them.
        path: The PNG to write.
    """
    curves = Curves.of(lines)
    most = max(
        (point[0] for series in (*curves.losses.values(), *curves.right.values()) for point in series), default=1.0
    )
    values = [value for series in curves.losses.values() for _, value in series if value > 0]
    low, high = max(min(values, default=0.1), 1e-4), max(values, default=1.0)
    middle = (_SIZE[1] - _TOP - _GAP) // 2
    panels = (
        _Panel(_TOP, middle, most, low, max(high, low * 1.01), log=True),
        _Panel(middle + _GAP, _SIZE[1] - _GAP, most, 0.0, 1.0, log=False),
    )
    picture = Image.new("RGB", _SIZE, "white")
    pen = ImageDraw.Draw(picture)
    titles = ("loss, by objective (logarithmic)", "right on held-out screens, by objective")
    for panel, series, title in zip(panels, (curves.losses, curves.right), titles, strict=True):
        _frame(pen, panel, title, curves.borders)
        _lines(pen, panel, series, smooth=panel.log)
    picture.save(path)


def _frame(pen: ImageDraw.ImageDraw, panel: _Panel, title: str, borders: Sequence[tuple[str, float]]) -> None:
    font, small = ImageFont.load_default(16), ImageFont.load_default(13)
    right = _SIZE[0] - _RIGHT
    pen.text((_LEFT, panel.top - 26), title, fill=_INK, font=font)
    for value in _ticks(panel):
        _, y = panel.at(0, value)
        pen.line((_LEFT, y, right, y), fill=_FAINT)
        pen.text((_LEFT - 8, y), f"{value:.3g}" if panel.log else f"{value:.0%}", fill=_INK, font=small, anchor="rm")
    for share in range(6):
        pages = panel.most_pages * share / 5
        x, _ = panel.at(pages, panel.low)
        pen.text((x, panel.bottom + 8), f"{pages:,.0f}", fill=_INK, font=small, anchor="ma")
    pen.text((right, panel.bottom + 26), "screens seen", fill=_INK, font=small, anchor="ra")
    for name, pages in borders:
        x, _ = panel.at(pages, panel.low)
        pen.line((x, panel.top, x, panel.bottom), fill=_GREY)
        pen.text((x + 4, panel.top + 2), name, fill=_GREY, font=small)
    pen.rectangle((_LEFT, panel.top, right, panel.bottom), outline=_GREY)


def _ticks(panel: _Panel) -> Iterator[float]:
    if not panel.log:
        yield from (share / 5 for share in range(6))
        return
    for power in range(math.floor(math.log10(panel.low)), math.ceil(math.log10(panel.high)) + 1):
        for digit in (1, 2, 5):
            if panel.low <= digit * 10.0**power <= panel.high:
                yield digit * 10.0**power


def _lines(pen: ImageDraw.ImageDraw, panel: _Panel, curves: Mapping[str, Series], *, smooth: bool) -> None:
    font = ImageFont.load_default(14)
    for number, (name, series) in enumerate(curves.items()):
        colour = _COLOURS.get(name, _GREY)
        shown = _smoothed(series) if smooth else series
        points = [panel.at(pages, value) for pages, value in shown]
        if len(points) > 1:
            pen.line(points, fill=colour, width=2, joint="curve")
        for x, y in points if not smooth or len(points) == 1 else ():
            pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour)
        y = panel.top + 12 + 22 * number
        last = f"{series[-1][1]:.3g}" if smooth else f"{series[-1][1]:.1%}"
        pen.line((_SIZE[0] - _RIGHT + 16, y, _SIZE[0] - _RIGHT + 44, y), fill=colour, width=3)
        pen.text((_SIZE[0] - _RIGHT + 52, y), f"{name}  {last}", fill=_INK, font=font, anchor="lm")


def _smoothed(series: Series) -> Series:
    """Average each value with those just before it, where there are many."""
    found, width = [], min(_SMOOTH, 1 + len(series) // _FEW)
    for index, (pages, _) in enumerate(series):
        near = [value for _, value in series[max(0, index + 1 - width) : index + 1]]
        found.append((pages, sum(near) / len(near)))
    return found
