"""What must not be seen in pictures: masked regions, and fields that hold a secret; where secrets may be typed.

How to use this module (one ``SecretFields`` a page, beside its ``Elements``):

- ``await fields.text_for(text)`` before text is typed, once for each stretch between Tabs and Enters: fills the
  placeholders in and remembers the field; raises where a secret does not belong.
- ``if fields.any: await fields.trace()``, a fresh capture, ``boxes = await fields.boxes(frame)`` (with ``held=True``
  where a dialog holds the page), then ``blank(image, (*limits.masks, *boxes))``; a picture that was changed
  (``is not image``) has no ``encoded`` form.

A value that a page shows anywhere else (an echo, a list of what was typed, a field that a later page fills by itself)
stays in the picture. In texts ``limits.mask_secrets`` finds it.
"""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from foveate.actions.errors import UnsupportedAction
from foveate.actions.geometry import Frame, PixelBox
from foveate.actions.limits import Limits
from foveate.actions.placeholders import PLACEHOLDER
from foveate.envs.base import Image

if TYPE_CHECKING:
    from foveate.envs.elements import Element, Elements, Quad

BLANK = 0
"""Value of all three channels of what is blanked."""

_MOST_FIELDS = 32
_EDGE = 2.0  # CSS pixels around a field: its outline and what is drawn across its border

# A field inside a host of a custom element is remembered itself; a document that is edited as a whole has no field.
_EDITABLE = """function () {
  const field = this instanceof HTMLInputElement || this instanceof HTMLTextAreaElement;
  return field || (this instanceof HTMLElement && this.isContentEditable);
}"""
_ORIGIN = "function () { return self.origin; }"
# Asking for the box brings the layout up to date, so that the place that is asked for next is the new one.
_ALIVE = "function () { this.getBoundingClientRect(); return this.isConnected; }"


def blank(image: Image, boxes: Iterable[PixelBox]) -> Image:
    """Blank regions of a picture.

    Args:
        image: uint8 RGB, shape (height, width, 3); it is not changed.
        boxes: Half-open, in pixels of the image; what lies outside it is left out.

    Returns:
        A read-only copy with the regions black; the image itself where no region touches it.
    """
    height, width = image.shape[:2]
    blanked: Image | None = None
    for box in boxes:
        left, top, right, bottom = max(0, box.left), max(0, box.top), min(width, box.right), min(height, box.bottom)
        if left >= right or top >= bottom:
            continue
        blanked = np.array(image) if blanked is None else blanked
        blanked[top:bottom, left:right] = BLANK
    if blanked is None:
        return image
    blanked.flags.writeable = False
    return blanked


def has_secret(limits: Limits, text: str) -> bool:
    """Tell whether a text holds the placeholder of a secret that there is."""
    return any(match[1] in limits.secrets for match in PLACEHOLDER.finditer(text))


def fill(limits: Limits, text: str, origin: str | None) -> str:
    """Put secrets in the place of their placeholders; braces around any other name stay as they are.

    Args:
        limits: Holds the secrets.
        text: What the policy wrote.
        origin: Of the frame (or the dialog) that receives the text.

    Raises:
        UnsupportedAction: If a secret does not belong to that origin; the message does not tell its value.
    """
    for match in PLACEHOLDER.finditer(text):
        secret = limits.secrets.get(match[1])
        if secret is not None and not secret.belongs_to(origin):
            where = origin if origin and origin != "null" else "a page without an origin"
            raise UnsupportedAction(f"the secret {match[1]!r} does not belong to {where}: nothing was typed")
    return PLACEHOLDER.sub(
        lambda match: limits.secrets[match[1]].value if match[1] in limits.secrets else match[0], text
    )


class SecretFields:
    """The fields of one page that secrets were typed into.

    Args:
        limits: Holds the secrets.
        elements: Finds elements of the page.
    """

    def __init__(self, limits: Limits, elements: "Elements") -> None:
        self._limits = limits
        self._elements = elements
        self._fields: list[Element] = []
        self._last: tuple[Quad, ...] = ()
        self._before: tuple[Quad, ...] = ()

    async def text_for(self, text: str) -> str:
        """Give the text to type for one that may hold placeholders, and remember the field that has the focus.

        Raises:
            UnsupportedAction: If a secret does not belong to the origin of the frame that has the focus, or if no
                text field has it, or the page does not answer.
        """
        from playwright.async_api import Error

        if not has_secret(self._limits, text):
            return text
        element = await self._elements.focused()
        if element is None:
            raise UnsupportedAction("the page does not tell where the focus is: no secret was typed")
        kept = False
        try:
            filled = fill(self._limits, text, await element.call(_ORIGIN))
            if not await element.call(_EDITABLE):
                raise UnsupportedAction("no text field has the focus: click the field first; no secret was typed")
            kept = await self._remember(element)
            self._last = (*self._last, *await element.quads())  # a dialog may hold the page before it is asked again
        except (Error, TimeoutError) as exc:
            raise UnsupportedAction("the page went away: no secret was typed") from exc
        finally:
            if not kept:
                await element.release()
        return filled

    async def _remember(self, element: "Element") -> bool:
        if any(known.backend == element.backend and known.session is element.session for known in self._fields):
            return False
        if len(self._fields) >= _MOST_FIELDS:
            raise UnsupportedAction(f"secrets were typed into {_MOST_FIELDS} fields already: no secret was typed")
        self._fields.append(element)
        return True

    @property
    def any(self) -> bool:
        """True where a field is remembered, so that pictures must be taken between ``trace`` and ``boxes``."""
        return bool(self._fields)

    async def trace(self) -> None:
        """Note where the fields are before a picture is taken: one that moves meanwhile is blanked all the way."""
        self._before = await self._find()

    async def boxes(self, frame: Frame, *, held: bool = False) -> tuple[PixelBox, ...]:
        """Find the fields again, in pixels of the frame's image; those of documents that are gone are forgotten.

        Args:
            frame: The image's.
            held: A dialog holds the page, so that it cannot be asked: their last places are given. So they are where
                a page is too busy to answer.
        """
        before, self._before = self._before, ()
        found = self._last if held else await self._find()
        if len(before) == len(found):
            return tuple(_pixels((*old, *new), frame) for old, new in zip(before, found, strict=True))
        return tuple(_pixels(quad, frame) for quad in (*before, *found))

    async def _find(self) -> tuple["Quad", ...]:
        from playwright.async_api import Error

        if not self._fields:
            return ()
        found: list[Quad] = []
        gone: list[Element] = []
        try:
            for field in self._fields:
                try:
                    if await field.call(_ALIVE):
                        found.extend(await field.quads())
                except Error as exc:
                    if not _is_gone(exc):
                        raise
                    gone.append(field)
        except (Error, TimeoutError):
            found = [*found, *self._last]
        self._fields = [field for field in self._fields if field not in gone]
        self._last = tuple(found)
        return self._last


def _is_gone(error: Exception) -> bool:
    """Tell whether an error means that an element's document is no more."""
    text = str(error)
    return any(
        sign in text for sign in ("Cannot find context", "Could not find object", "context was destroyed", "closed")
    )


def _pixels(quad: "Quad", frame: Frame) -> PixelBox:
    """Give the whole pixels around a quad of CSS pixels; it may lie outside the image."""
    across, down = frame.width / frame.extent[0], frame.height / frame.extent[1]
    return PixelBox(
        math.floor((min(quad[::2]) - _EDGE - frame.left) * across),
        math.floor((min(quad[1::2]) - _EDGE - frame.top) * down),
        math.ceil((max(quad[::2]) + _EDGE - frame.left) * across),
        math.ceil((max(quad[1::2]) + _EDGE - frame.top) * down),
    )
