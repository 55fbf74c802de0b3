"""Native drop-down lists (``<select>``): opened as by hand, drawn by us, chosen by a click on what is drawn.

Headless Chromium draws an open list into some captures and not into others (not at device scale, not into every
frame), keeps it out of reach of coordinates (a press on it reaches what lies underneath) and closes it where a capture
is scaled. So the native list is closed at once, unseen by the page, and ours is drawn instead.

How to use this module (one ``Selects`` a page, beside its ``Elements``):

- after each click, pointer press or key that was sent: ``await selects.look()``; True where a list has opened;
- at each capture: ``await selects.check()``, then ``image = selects.draw(image, frame)``;
- while ``selects.open`` is not None input goes to ``click``, ``scroll``, ``press`` and ``type`` here, not to the page;
  each gives the ``SelectOption`` that was applied, or None;
- ``await selects.select(action, frame)`` does the action itself.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from foveate.actions.errors import OutOfFrame, UnsupportedAction
from foveate.actions.geometry import Frame, Point
from foveate.actions.guard import Limits, Target
from foveate.actions.schema import Key, SelectOption
from foveate.envs.base import Image
from foveate.envs.inspection import describe
from foveate.envs.option_list import OptionList, Reply, Row

if TYPE_CHECKING:
    from foveate.envs.elements import Element, Elements

_MOST_ROWS = 2_000
_MOST_LABEL = 200
_LISTED = 20

# A list that the page draws itself (appearance: base-select) is ordinary content: leave it alone.
_OPEN = """function () {
  if (!(this instanceof HTMLSelectElement) || this.multiple || this.size > 1) return false;
  try { if (!this.matches(":open")) return false; } catch { return false; }
  return getComputedStyle(this).appearance !== "base-select";
}"""
_ROWS = """function (most, length) {
  let el = this instanceof Element ? this : this.parentElement;
  if (el && el.closest("label") && !el.closest("select")) el = el.closest("label").control;
  const select = el && el.closest("select");
  if (!select) return null;
  const rows = [];
  let group = null;
  const options = select.options;
  for (let index = 0; index < options.length && rows.length < most; index++) {
    const option = options[index];
    if (option.hidden) continue;
    const parent = option.parentElement instanceof HTMLOptGroupElement ? option.parentElement : null;
    if (parent !== group) {
      group = parent;
      if (parent) rows.push([parent.label.slice(0, length), null, "", true, false]);
    }
    const disabled = option.disabled || Boolean(parent && parent.disabled);
    const label = option.label.replace(/\\s+/g, " ").trim().slice(0, length);
    rows.push([label, index, option.value.slice(0, 2000), disabled, Boolean(parent)]);
  }
  return { rows, selected: select.selectedIndex, disabled: select.matches(":disabled") };
}"""
_CHOOSE = """function (index, value) {
  let el = this instanceof Element ? this : this.parentElement;
  if (el && el.closest("label") && !el.closest("select")) el = el.closest("label").control;
  const select = el && el.closest("select");
  const option = select && select.isConnected && select.options[index];
  if (!option || option.value.slice(0, 2000) !== value) return false;
  select.focus({ preventScroll: true });
  if (select.selectedIndex !== index || (select.multiple && select.selectedOptions.length !== 1)) {
    select.selectedIndex = index;
    select.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
    select.dispatchEvent(new Event("change", { bubbles: true }));
  }
  return true;
}"""
# Asking for the box brings the layout up to date, so that the place that is asked for next is the new one.
_ALIVE = "function () { this.getBoundingClientRect(); return this.isConnected; }"
_ESCAPE = {"type": "rawKeyDown", "key": "Escape", "code": "Escape", "windowsVirtualKeyCode": 27}


class Selects:
    """The drop-down lists of one page.

    Args:
        elements: Finds elements of the page.
        limits: Hold the secrets whose values are replaced in what is drawn, offered and told.
    """

    def __init__(self, elements: "Elements", limits: Limits = Limits()) -> None:  # noqa: B008 - frozen
        self._elements = elements
        self._limits = limits
        self._element: Element | None = None
        self.open: OptionList | None = None

    # An open list ---------------------------------------------------------------------------------------------------

    async def look(self) -> bool:
        """See whether the last input opened a list; if so it is ours from now on.

        One look at what has the focus: a list opens only there. Never raises; a page that does not answer has none.
        """
        from playwright.async_api import Error

        element = await self._elements.focused()
        if element is None:
            return False
        try:
            if not await element.call(_OPEN):
                await element.release()
                return False
            # The open list takes the key before the page can see it. There is no release: that the page would see.
            await self._elements.key(_ESCAPE)
            found = await element.call(_ROWS, _MOST_ROWS, _MOST_LABEL + self._limits.reach)
            box = await _box(element)
        except (Error, TimeoutError):
            return False
        if found is None or box is None or not found["rows"]:
            await element.release()
            return False
        await self.close()
        self._element = element
        self.open = OptionList(_rows(found, self._limits), int(found["selected"]), box)
        return True

    async def check(self) -> None:
        """Follow the field of the open list; close the list where the field has gone."""
        from playwright.async_api import Error

        if self.open is None or self._element is None:
            return
        try:
            box = await _box(self._element) if await self._element.call(_ALIVE) else None
        except TimeoutError:
            return  # busy: the list stays where it is
        except Error:
            box = None
        if box is None:
            await self.close()
        else:
            self.open.field = box

    def draw(self, image: Image, frame: Frame) -> Image:
        """Draw the open list; gives the image itself where none is open."""
        return image if self.open is None else self.open.draw(image, frame)

    async def target(self, point: Point | None, frame: Frame) -> Target | None:
        """Tell what an action acts on while the list is open: the option at a place, the field for the keyboard.

        None where no list is open and for a place beside it.
        """
        if self.open is None or self._element is None:
            return None
        row = None if point is None else self.open.row_at(point, frame)
        if point is not None and row is None:
            return None
        field = await describe(self._element, self._limits) or Target()
        return field if row is None else replace(field, role="option", name=row.label)

    async def close(self) -> None:
        """Close the list; nothing is chosen."""
        element, self._element, self.open = self._element, None, None
        if element is not None:
            await element.release()

    async def click(self, point: Point, frame: Frame) -> SelectOption | None:
        """Press while a list is open: an option is chosen, beside the list it closes; the page gets nothing.

        Returns:
            The action that was applied; None where nothing was chosen.

        Raises:
            UnsupportedAction: If the options have changed meanwhile.
        """
        return await self._reply(self._list().clicked(point, frame), frame)

    def scroll(self, dy: float) -> None:
        """Turn the wheel over the open list, in notches."""
        self._list().scrolled(dy)

    async def press(self, keys: tuple[Key, ...], frame: Frame) -> SelectOption | None:
        """Press a chord while a list is open; as ``click``."""
        return await self._reply(self._list().pressed(keys), frame)

    async def type(self, text: str, frame: Frame) -> SelectOption | None:
        """Type while a list is open; as ``click``."""
        return await self._reply(self._list().typed(text), frame)

    def _list(self) -> OptionList:
        if self.open is None:
            raise UnsupportedAction("no drop-down list is open")
        return self.open

    async def _reply(self, reply: Reply, frame: Frame) -> SelectOption | None:
        if reply is None:
            return None
        field, element, self._element = self._list().field, self._element, None
        self.open = None
        assert element is not None  # noqa: S101 - an open list has its element
        try:
            if reply == "close":
                return None
            await _choose(element, reply)
        finally:
            await element.release()
        return SelectOption(at=_middle(field, frame), value=reply.label)

    # The action -----------------------------------------------------------------------------------------------------

    async def select(self, action: SelectOption, frame: Frame) -> SelectOption:
        """Choose an option of the list at a place by its label or value.

        Exact labels come before exact values; where neither fits, the only one that fits in any case.

        Returns:
            The action with the label that was chosen.

        Raises:
            UnsupportedAction: If there is no list, or no such option; the message lists the options.
        """
        from playwright.async_api import Error

        await self.close()
        async with self._elements.borrow(frame.to_input(action.at)) as element:
            try:
                found = (
                    None if element is None else await element.call(_ROWS, _MOST_ROWS, _MOST_LABEL + self._limits.reach)
                )
            except (Error, TimeoutError) as exc:
                raise UnsupportedAction("the page went away before an option was chosen") from exc
            if found is None or element is None:
                raise UnsupportedAction("there is no drop-down list at that place")
            if found["disabled"]:
                raise UnsupportedAction("the drop-down list at that place is disabled")
            row = _match(_rows(found, self._limits), action.value)
            await _choose(element, row)
        return action.model_copy(update={"value": row.label})


async def _choose(element: "Element", row: Row) -> None:
    from playwright.async_api import Error

    try:
        chosen = await element.call(_CHOOSE, row.index, row.value)
    except TimeoutError:
        return  # a dialog that the choice opened holds the page
    except Error as exc:
        raise UnsupportedAction("the page went away before an option was chosen") from exc
    if not chosen:
        raise UnsupportedAction(f"the option {row.label!r} went away before it was chosen")


def _match(rows: tuple[Row, ...], wanted: str) -> Row:
    """Find the option that a text means.

    Raises:
        UnsupportedAction: If none or several fit, or the one that fits is disabled.
    """
    options = [row for row in rows if row.index is not None]
    text = " ".join(wanted.split())
    fits = [row for row in options if row.label == text] or [row for row in options if row.value == wanted]
    if not fits:
        folded = text.casefold()
        fits = [row for row in options if folded in (row.label.casefold(), row.value.casefold())]
        if len(fits) > 1:
            raise UnsupportedAction(f"{wanted!r} fits {len(fits)} options: {_listed(fits)}")
    if not fits:
        raise UnsupportedAction(f"there is no option {wanted!r}: the options are {_listed(options)}")
    row = next((row for row in fits if row.offered), None)
    if row is None:
        raise UnsupportedAction(f"the option {fits[0].label!r} is disabled")
    return row


def _listed(options: list[Row]) -> str:
    names = ", ".join(repr(row.label[:60]) for row in options[:_LISTED])
    return names + (f" and {len(options) - _LISTED} more" if len(options) > _LISTED else "") if options else "none"


def _rows(found: Any, limits: Limits) -> tuple[Row, ...]:
    mask = limits.mask_secrets
    return tuple(Row(mask(label)[:_MOST_LABEL], *rest) for label, *rest in found["rows"])


async def _box(element: "Element") -> tuple[float, float, float, float] | None:
    quads = await element.quads()
    if not quads:
        return None
    xs, ys = [x for quad in quads for x in quad[::2]], [y for quad in quads for y in quad[1::2]]
    return min(xs), min(ys), max(xs), max(ys)


def _middle(field: tuple[float, float, float, float], frame: Frame) -> Point:
    try:
        return frame.from_input((field[0] + field[2]) / 2, (field[1] + field[3]) / 2)
    except OutOfFrame:  # the page scrolled it out of sight meanwhile
        return Point(0.5, 0.5)
