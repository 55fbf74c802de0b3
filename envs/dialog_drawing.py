"""A dialog drawn onto the last picture of the page that it holds up, and what a click on the drawing means."""

from dataclasses import dataclass

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

from foveate.actions.geometry import Frame, PixelBox, Point
from foveate.actions.schema import Dialog
from foveate.envs.base import Image, PendingDialog
from foveate.envs.lettering import Colour, Line, cut, width_of, wrap, write

_WIDTH, _MARGIN, _PAD, _FONT, _LINE, _BUTTON, _GAP = 400, 8, 14, 14, 19, 30, 10  # CSS pixels
_WHITE: Colour = (255, 255, 255)
_TEXT: Colour = (32, 33, 36)
_GREY: Colour = (95, 99, 104)
_BLUE: Colour = (11, 87, 208)
_EDGE: Colour = (116, 119, 117)

_TITLES = {"beforeunload": "Leave this page?", "sign_in": "Sign in"}
_MESSAGES = {
    "beforeunload": "Changes that you made may not be saved.",
    "sign_in": "This site asks for a name and a password.",
}
_ACCEPT = {"beforeunload": "Leave", "sign_in": "Sign in"}


@dataclass(frozen=True, slots=True)
class DialogLayout:
    """Where a drawn dialog's parts lie, in pixels of the picture.

    Attributes:
        panel: The whole dialog.
        accept: The OK button.
        dismiss: The Cancel button; None where there is none (alert).
        field: The text field; None where there is none.
        text: What the field holds; OK sends it.
        lines: What was written, for oracles and tests.
    """

    panel: PixelBox
    accept: PixelBox
    dismiss: PixelBox | None
    field: PixelBox | None
    text: str | None
    lines: tuple[Line, ...] = ()

    def action_at(self, point: Point, frame: Frame) -> Dialog | None:
        """Give the answer that a click means; None for a click beside the buttons, which does nothing."""
        column, row = frame.pixel(point)
        if _inside(self.accept, column, row):
            return Dialog(accept=True, text=self.text)
        if self.dismiss is not None and _inside(self.dismiss, column, row):
            return Dialog(accept=False)
        return None


def draw(
    image: Image, dialog: PendingDialog, text: str | None = None, scale: float = 1.0, host: str = ""
) -> tuple[Image, DialogLayout]:
    """Draw a dialog onto a picture.

    Args:
        image: uint8 RGB, shape (height, width, 3); the page's last picture; it is not changed.
        dialog: What waits for an answer.
        text: What its field holds; None is the prompt's default. The part of a sign-in after its first colon is
            drawn as dots.
        scale: Device pixels a CSS pixel.
        host: Who asks, for the heading.

    Returns:
        A new read-only picture of the same shape, the page behind the dialog darkened, and where the parts lie.
    """
    height, width = image.shape[:2]
    has_field = dialog.kind in ("prompt", "sign_in")
    held = (dialog.default if text is None else text) if has_field else None
    unit = min(scale, width / 200, height / 150)  # a tiny picture has a tiny dialog
    plan = _Plan(width, height, unit, dialog, host)
    dimmed = (image.astype(np.uint16) * 3 // 5).astype(np.uint8)
    canvas = PillowImage.fromarray(dimmed)
    pen = ImageDraw.Draw(canvas)
    layout = plan.draw(pen, held)
    drawn = np.asarray(canvas, dtype=np.uint8)
    drawn.flags.writeable = False
    return drawn, layout


class _Plan:
    """Sizes of one dialog in one picture."""

    def __init__(self, width: int, height: int, unit: float, dialog: PendingDialog, host: str) -> None:
        self.unit = unit
        self.dialog = dialog
        self.size = max(6, round(_FONT * unit))
        self.pad, self.line = round(_PAD * unit), round(_LINE * unit)
        self.button, self.gap = round(_BUTTON * unit), round(_GAP * unit)
        self.panel_width = min(round(_WIDTH * unit), width - 2 * round(_MARGIN * unit))
        self.inner = self.panel_width - 2 * self.pad
        self.has_field = dialog.kind in ("prompt", "sign_in")
        fixed = 2 * self.pad + self.line + self.gap + self.gap + self.button
        fixed += self.button + self.gap if self.has_field else 0
        most = max(1, (height - 2 * round(_MARGIN * unit) - fixed) // self.line)
        message = dialog.message or _MESSAGES.get(dialog.kind, "")
        self.lines = wrap(message, self.inner, self.size, most)
        self.title = _TITLES.get(dialog.kind) or (f"{host} says" if host else "This page says")
        self.panel_height = fixed + len(self.lines) * self.line
        self.left = (width - self.panel_width) // 2
        self.top = max(round(_MARGIN * unit), (height - self.panel_height) // 3)
        self.written: list[Line] = []

    def draw(self, pen: ImageDraw.ImageDraw, held: str | None) -> DialogLayout:
        panel = PixelBox(self.left, self.top, self.left + self.panel_width, self.top + self.panel_height)
        _box(pen, panel, self.unit, _WHITE, _EDGE)
        x, y = self.left + self.pad, self.top + self.pad
        self._write(pen, (x, y + self.line / 2), cut(self.title, self.inner, self.size), _GREY)
        y += self.line + self.gap
        for line in self.lines:
            self._write(pen, (x, y + self.line / 2), line, _TEXT)
            y += self.line
        y += self.gap
        field = None
        if self.has_field:
            field = PixelBox(x, y, x + self.inner, y + self.button)
            self._draw_field(pen, field, held or "")
            y += self.button + self.gap
        accept, dismiss = self._draw_buttons(pen, panel.right - self.pad, y)
        return DialogLayout(panel, accept, dismiss, field, held, tuple(self.written))

    def _write(self, pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, colour: Colour) -> None:
        self.written.append(Line(text, *at, self.size))
        write(pen, at, text, self.size, colour)

    def _draw_field(self, pen: ImageDraw.ImageDraw, field: PixelBox, held: str) -> None:
        _box(pen, field, self.unit, _WHITE, _BLUE)
        left, middle = field.left + round(7 * self.unit), (field.top + field.bottom) / 2
        width = self.inner - round(16 * self.unit)
        if self.dialog.kind == "sign_in":
            name, colon, password = held.partition(":")
            shown = name + colon + "•" * len(password)
            if not held:
                self._write(pen, (left + 4 * self.unit, middle), cut("name:password", width, self.size), _GREY)
        else:
            shown = held.replace("\n", " ")
        while shown and width_of(shown[-400:], self.size) > width:  # its end is seen, as where the caret is
            shown = shown[-400:][max(1, len(shown[-400:]) // 20) :]
        self._write(pen, (left, middle), shown, _TEXT)
        caret = left + width_of(shown, self.size) + self.unit
        reach = 8 * self.unit
        pen.line([(caret, middle - reach), (caret, middle + reach)], fill=_TEXT, width=max(1, round(self.unit)))

    def _draw_buttons(self, pen: ImageDraw.ImageDraw, right: int, top: int) -> tuple[PixelBox, PixelBox | None]:
        kind = self.dialog.kind
        dismiss = None
        if kind != "alert":
            dismiss = self._button(pen, right, top, "Cancel", primary=False)
            right = dismiss.left - self.gap
        return self._button(pen, right, top, _ACCEPT.get(kind, "OK"), primary=True), dismiss

    def _button(self, pen: ImageDraw.ImageDraw, right: int, top: int, label: str, *, primary: bool) -> PixelBox:
        width = max(round(72 * self.unit), round(width_of(label, self.size)) + 2 * self.pad)
        box = PixelBox(right - width, top, right, top + self.button)
        _box(pen, box, self.unit, _BLUE if primary else _WHITE, _BLUE)
        middle = (box.left + (width - width_of(label, self.size)) / 2, (box.top + box.bottom) / 2)
        self._write(pen, middle, label, _WHITE if primary else _BLUE)
        return box


def _box(pen: ImageDraw.ImageDraw, box: PixelBox, unit: float, fill: Colour, edge: Colour) -> None:
    pen.rounded_rectangle(
        (box.left, box.top, box.right - 1, box.bottom - 1),
        radius=4 * unit,
        fill=fill,
        outline=edge,
        width=max(1, round(unit)),
    )


def _inside(box: PixelBox, column: int, row: int) -> bool:
    return box.left <= column < box.right and box.top <= row < box.bottom
