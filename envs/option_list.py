"""The list of an open drop-down, drawn onto the picture: which rows it has, where they lie, what keys do to it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

from foveate.actions.geometry import Frame, PixelBox, Point
from foveate.actions.schema import Key
from foveate.envs.base import Image
from foveate.envs.lettering import Colour, Line, cut, width_of, write

_ROW, _FONT, _PAD, _BAR, _LEAST_ROWS, _MOST_ROWS = 22, 13, 6, 6, 3, 20  # CSS pixels; rows that are shown at once
_LEAST_WIDTH, _MOST_WIDTH = 60, 400
_WHITE: Colour = (255, 255, 255)
_TEXT: Colour = (25, 25, 25)
_GREY: Colour = (140, 140, 140)
_HEADING: Colour = (60, 60, 60)
_ACTIVE: Colour = (25, 103, 210)
_EDGE: Colour = (110, 110, 110)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list.

    Attributes:
        label: What is drawn.
        index: Place among the field's options; None for the heading of a group.
        value: What the form sends.
        disabled: It can be seen but not chosen.
        grouped: It belongs to a heading.
    """

    label: str
    index: int | None
    value: str = ""
    disabled: bool = False
    grouped: bool = False

    @property
    def offered(self) -> bool:
        """True where it can be chosen."""
        return self.index is not None and not self.disabled


@dataclass(frozen=True, slots=True)
class DrawnRow:
    """One line of the list where it was drawn, in pixels of the picture.

    Attributes:
        row: The line.
        box: All of it.
        line: What was drawn of its label.
    """

    row: Row
    box: PixelBox
    line: Line


Reply: TypeAlias = Row | Literal["close"] | None
"""What an input to the list means: a row is chosen, the list closes, or it only looks different."""


class OptionList:
    """An open list.

    Args:
        rows: Its lines.
        selected: The field's chosen option, -1 for none.
        field: The field's left, top, right and bottom, in CSS pixels of the viewport.
    """

    def __init__(self, rows: tuple[Row, ...], selected: int, field: tuple[float, float, float, float]) -> None:
        self.rows = rows
        self.field = field
        self.active: int | None = next((at for at, row in enumerate(rows) if row.index == selected), None)
        self._first = 0
        self._shown = min(len(rows), _MOST_ROWS)
        self._box: PixelBox | None = None
        self._row_height = 1
        self._unit = 1.0
        self._size = _FONT
        self._seen = False

    @property
    def box(self) -> PixelBox | None:
        """Where it was drawn, in pixels of the picture; None before it was."""
        return self._box

    def drawn(self) -> tuple[DrawnRow, ...]:
        """Give the lines that were drawn, from the top; for oracles and tests, never for policies."""
        box = self._box
        if box is None:
            return ()
        return tuple(self._laid_out(box, at) for at in range(self._first, self._first + self._shown))

    def _laid_out(self, box: PixelBox, at: int) -> DrawnRow:
        row, unit, size = self.rows[at], self._unit, self._size
        top = box.top + (at - self._first) * self._row_height
        indent = _PAD * unit * (3 if row.grouped else 1)
        text = cut(row.label, box.right - box.left - indent - (_BAR + _PAD) * unit, size)
        bottom = top + self._row_height
        line = Line(text, box.left + indent, (top + bottom) / 2, size)
        return DrawnRow(row, PixelBox(box.left, top, box.right, bottom), line)

    # Drawing --------------------------------------------------------------------------------------------------------

    def draw(self, image: Image, frame: Frame) -> Image:
        """Draw it below its field, or above where there is more room; what does not fit is scrolled to.

        Args:
            image: uint8 RGB, shape (height, width, 3); it is not changed.
            frame: The image's.

        Returns:
            A new read-only picture of the same shape.
        """
        unit = self._unit = frame.height / frame.extent[1]
        size = self._size = max(6, round(_FONT * unit))
        self._place(frame, unit, size)
        box = self._box
        assert box is not None  # noqa: S101 - placed just now
        if not self._seen:
            self._reveal()
            self._seen = True
        canvas = PillowImage.fromarray(image)
        pen = ImageDraw.Draw(canvas)
        pen.rectangle((box.left, box.top, box.right - 1, box.bottom - 1), fill=_WHITE, outline=_EDGE)
        for at in range(self._first, self._first + self._shown):
            self._draw_row(pen, box, at)
        if self._shown < len(self.rows):
            self._draw_bar(pen, box, unit)
        drawn = np.asarray(canvas, dtype=np.uint8)
        drawn.flags.writeable = False
        return drawn

    def _place(self, frame: Frame, unit: float, size: int) -> None:
        left, top, right, bottom = (
            (edge - origin) * unit
            for edge, origin in zip(self.field, (frame.left, frame.top, frame.left, frame.top), strict=True)
        )
        row = self._row_height = max(1, min(round(_ROW * unit), frame.height))
        room_below, room_above = int((frame.height - bottom) // row), int(top // row)
        wanted = min(len(self.rows), _MOST_ROWS)
        below = room_below >= min(wanted, _LEAST_ROWS) and (room_below >= wanted or room_below >= room_above)
        fits = max(1, min(frame.height // row, max(room_below if below else room_above, _LEAST_ROWS)))
        self._shown = min(wanted, fits)
        self._first = max(0, min(self._first, len(self.rows) - self._shown))
        height = self._shown * row
        longest = max((width_of(item.label[:80], size) for item in self.rows[:200]), default=0.0)
        width = longest + (3 * _PAD + _BAR) * unit
        width = min(max(width, right - left, _LEAST_WIDTH * unit), max(_MOST_WIDTH * unit, right - left), frame.width)
        x = round(min(max(left, 0), frame.width - width))
        y = round(bottom) if below else round(top) - height
        y = min(max(y, 0), frame.height - height)
        self._box = PixelBox(x, y, x + round(width), y + height)

    def _draw_row(self, pen: ImageDraw.ImageDraw, box: PixelBox, at: int) -> None:
        drawn = self._laid_out(box, at)
        row, line = drawn.row, drawn.line
        colour = _TEXT if row.offered else _HEADING if row.index is None else _GREY
        if at == self.active:
            pen.rectangle((box.left + 1, drawn.box.top, box.right - 2, drawn.box.bottom - 1), fill=_ACTIVE)
            colour = _WHITE
        write(pen, (line.left, line.middle), line.text, line.size, colour)
        if row.index is None:  # a heading is told from an option by its line
            y = drawn.box.bottom - 1
            pen.line([(line.left, y), (box.right - (line.left - box.left), y)], fill=_GREY)

    def _draw_bar(self, pen: ImageDraw.ImageDraw, box: PixelBox, unit: float) -> None:
        height = box.bottom - box.top
        top = box.top + height * self._first / len(self.rows)
        bottom = max(top + 4 * unit, box.top + height * (self._first + self._shown) / len(self.rows))
        pen.rectangle((box.right - _BAR * unit, top, box.right - 2, min(bottom, box.bottom) - 2), fill=_GREY)

    # Input ----------------------------------------------------------------------------------------------------------

    def row_at(self, point: Point, frame: Frame) -> Row | None:
        """Give the line that is drawn at a place; None beside the list."""
        column, line = frame.pixel(point)
        box = self._box
        if box is None or not (box.left <= column < box.right and box.top <= line < box.bottom):
            return None
        return self.rows[min(self._first + (line - box.top) // self._row_height, len(self.rows) - 1)]

    def clicked(self, point: Point, frame: Frame) -> Reply:
        """Press at a place: a row is chosen, beside the list it closes, on a heading nothing happens."""
        row = self.row_at(point, frame)
        if row is None:
            return "close"
        return row if row.offered else None

    def scrolled(self, notches: float) -> None:
        """Turn the wheel: positive shows what is below; a notch is three rows."""
        step = max(1, round(abs(notches) * 3)) * (1 if notches > 0 else -1) if notches else 0
        self._first = max(0, min(self._first + step, len(self.rows) - self._shown))

    def pressed(self, keys: tuple[Key, ...]) -> Reply:
        """Press a chord: arrows, Home, End and pages move, Enter, space and Tab choose, Escape closes."""
        key = keys[-1]
        if key is Key.ESCAPE or (key in (Key.UP, Key.DOWN) and keys[:-1] == (Key.ALT,)):
            return "close"
        if key in (Key.ENTER, Key.SPACE, Key.TAB):
            row = self.rows[self.active] if self.active is not None else None
            return row if row is not None and row.offered else "close"
        page = max(1, self._shown - 1)
        start = -1 if self.active is None else self.active
        moves = {Key.DOWN: 1, Key.UP: -1, Key.PAGE_DOWN: page, Key.PAGE_UP: -page}
        if key in moves:
            self._move(start + moves[key], 1 if moves[key] > 0 else -1)
        elif key is Key.HOME:
            self._move(0, 1)
        elif key is Key.END:
            self._move(len(self.rows) - 1, -1)
        elif len(key.value) == 1:
            self._search(key.value, start + 1)
        return None

    def typed(self, text: str) -> Reply:
        """Type: the first row that begins so becomes the active one; a newline chooses it."""
        line, newline, _ = text.replace("\r\n", "\n").partition("\n")
        if line.strip():
            self._search(line, 0)
        return self.pressed((Key.ENTER,)) if newline else None

    def _move(self, target: int, step: int) -> None:
        """Go to the nearest row that can be chosen, from a place on in one direction, else back from it."""
        target = min(max(target, 0), len(self.rows) - 1)
        onward = range(target, len(self.rows) if step > 0 else -1, step)
        back = range(target, -1 if step > 0 else len(self.rows), -step)
        for at in (*onward, *back):
            if self.rows[at].offered:
                self.active = at
                self._reveal()
                return

    def _search(self, text: str, start: int) -> None:
        count = len(self.rows)
        for at in ((start + step) % count for step in range(count)):
            if self.rows[at].offered and self.rows[at].label.strip().casefold().startswith(text.casefold()):
                self.active = at
                self._reveal()
                return

    def _reveal(self) -> None:
        if self.active is not None:
            low, high = self.active - self._shown + 1, self.active
            self._first = max(0, min(max(self._first, low), high, len(self.rows) - self._shown))
