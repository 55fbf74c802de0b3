"""What stands between a captured page and what is shown of it: a dialog that waits, masks, blanked secrets."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from foveate.actions.errors import OutOfFrame, UnsupportedAction
from foveate.actions.geometry import Frame, Point, points_of
from foveate.actions.guard import Limits, Target
from foveate.actions.schema import (
    KEYBOARD_KINDS,
    POINTER_KINDS,
    Action,
    Click,
    Dialog,
    KeyUp,
    Move,
    NewTab,
    PointerDown,
    PointerUp,
    Press,
    Scroll,
    SelectOption,
    SwitchTab,
    TypeText,
    Wait,
)
from foveate.envs.base import EventKind, Image, PendingDialog
from foveate.envs.dialog_drawing import DialogLayout, draw
from foveate.envs.dialogs import Dialogs, Held
from foveate.envs.inspection import inspect
from foveate.envs.masking import blank, fill
from foveate.envs.tab import Tab

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, CDPSession, Page

_PAPER = 255
_MOST_MESSAGE = 4_000


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture as an observation has it.

    Attributes:
        image: uint8 RGB, shape (height, width, 3); the captured one itself where nothing was drawn or hidden.
        dialog: The dialog that is drawn into it.
    """

    image: Image
    dialog: PendingDialog | None


class Overlays:
    """The dialogs of one context, drawn onto its pages, and what must not be seen of them.

    Args:
        context: Before it has a page.
        limits: Hold secrets and masks.
        scale: Device pixels a CSS pixel.
        spawn: Starts a coroutine that nobody awaits, and keeps hold of it.
        emit: Takes note of an event.
        wake: Called when a dialog opened or closed.
    """

    def __init__(
        self,
        context: "BrowserContext",
        *,
        limits: Limits,
        scale: float,
        spawn: Callable[[Coroutine[Any, Any, Any]], object],
        emit: Callable[[EventKind, str], None],
        wake: Callable[[], None],
    ) -> None:
        self._limits = limits
        self._scale = scale
        self._emit = emit
        self._wake = wake
        self._layout: DialogLayout | None = None
        self._dialogs = Dialogs(context, spawn=spawn, on_change=self._dialog_changed)

    def watch(self, tab: Tab) -> None:
        """Follow one page's dialogs."""
        self._dialogs.watch(tab.page)

    async def watch_sign_ins(self, session: "CDPSession", page_of: "Callable[[str], Page | None]") -> None:
        """Follow the HTTP sign-ins of every page, as ``Dialogs.watch_sign_ins`` does."""
        await self._dialogs.watch_sign_ins(session, page_of)

    def held(self, page: "Page") -> Held | None:
        """Give the dialog that holds a page; None where none does."""
        return self._dialogs.waiting(page)

    async def show(self, tab: Tab, image: Image, frame: Frame, *, mute: bool = False) -> Shown:
        """Draw what waits onto a captured picture and hide what must not be seen.

        Args:
            tab: The current page.
            image: Its picture.
            frame: The picture's.
            mute: The page does not answer: what is known of it is taken to be so still.
        """
        if tab.selects.open is not None and self.held(tab.page) is None:
            if not mute:
                await tab.selects.check()
            image = tab.selects.draw(image, frame)
        hidden = blank(image, (*self._limits.masks, *await self._secret_boxes(tab, frame, mute)))
        held = self.held(tab.page)
        if held is None:
            self._layout = None
            return Shown(hidden, None)
        pending = held.pending
        message, default = self._masked(pending.message)[:_MOST_MESSAGE], self._masked(pending.default)
        masked = PendingDialog(pending.kind, message, default[:_MOST_MESSAGE])
        text = self._masked(held.text) if held.has_field else None
        drawn, self._layout = draw(hidden, masked, text, self._scale, urlsplit(held.origin).netloc)
        return Shown(drawn, masked)

    async def _secret_boxes(self, tab: Tab, frame: Frame, mute: bool) -> tuple[Any, ...]:
        if not self._limits.secrets:
            return ()
        return await tab.secrets.boxes(frame, held=mute or self.held(tab.page) is not None)

    def target(self, tab: Tab) -> Target | None:
        """Tell what an action would act on where a dialog waits."""
        held = self.held(tab.page)
        if held is None:
            return None
        return Target(role="dialog", name=self._masked(held.pending.message)[:200], origin=held.origin)

    async def inspect(
        self, tab: Tab, action: Action, frame: Frame, cursor: tuple[float, float] | None
    ) -> Target | None:
        """Tell what an action would act on: a dialog, an option of an open list, else an element of the page.

        Args:
            tab: The current page.
            action: Its points are of ``frame``.
            frame: The Env's own last Frame.
            cursor: Where the pointer is, in CSS pixels, for actions without a point.
        """
        if self.held(tab.page) is not None:
            return self.target(tab)
        found: Target | None = None
        if tab.selects.open is not None and action.kind in POINTER_KINDS | KEYBOARD_KINDS:
            points = points_of(action)
            point = points[0] if points else _under(cursor, frame)
            found = await tab.selects.target(None if action.kind in KEYBOARD_KINDS else point, frame)
        if found is None:
            found = await inspect(tab.elements, action, frame, cursor, self._limits)
        return found

    async def apply(
        self, tab: Tab, action: Action, frame: Frame, cursor: tuple[float, float] | None = None
    ) -> Action | None:
        """Do an action where a dialog waits or a list is open; None where none is, or the action passes by it.

        Args:
            tab: The current page.
            action: Its points are of ``frame``.
            frame: The Env's own last Frame.
            cursor: Where the pointer is, in CSS pixels, for a click without a point.

        Raises:
            UnsupportedAction: If the dialog keeps it from being done.
        """
        held = self.held(tab.page)
        if held is None:
            if isinstance(action, Dialog):
                raise UnsupportedAction("no dialog waits for an answer")
            return await self._apply_to_list(tab, action, frame, cursor)
        if isinstance(action, Wait | SwitchTab | NewTab):
            return None
        answer: Dialog | None = None
        match action:
            case Dialog():
                answer = action
            case Click(at=at, button="left") if at is not None and self._layout is not None:
                answer = self._layout.action_at(at, frame)
                if answer is None:
                    raise UnsupportedAction("a dialog waits: press one of its buttons, or answer it")
                answer = answer.model_copy(update={"text": held.text}) if answer.text is not None else answer
            case TypeText(text=text) if held.has_field:
                fill(self._limits, text, held.origin)  # a secret that does not belong is refused before it is answered
                answer = held.typed(text)  # the field holds placeholders, so that no part of a value is ever drawn
            case Press(keys=keys, presses=presses):
                for _ in range(presses):
                    answer = answer or held.pressed(keys)
            case _:
                raise UnsupportedAction(f"a dialog waits ({held.pending.kind}): answer it before anything else")
        if answer is None:
            return action
        filled = None if answer.text is None else fill(self._limits, answer.text, held.origin)
        await self._dialogs.answer(tab.page, answer.model_copy(update={"text": filled}))
        return answer if answer.text is None else answer.model_copy(update={"text": self._masked(answer.text)})

    async def _apply_to_list(
        self, tab: Tab, action: Action, frame: Frame, cursor: tuple[float, float] | None
    ) -> Action | None:
        """Do an action where a drop-down list is open, or choose from a closed one; None where it is for the page."""
        selects = tab.selects
        if isinstance(action, SelectOption):
            return await selects.select(action, frame)
        if selects.open is None:
            return None
        chosen: SelectOption | None = None
        match action:
            case Click(at=at) | PointerDown(at=at):
                place = at or _under(cursor, frame)
                chosen = None if place is None else await selects.click(place, frame)
            case Scroll(dy=dy):
                selects.scroll(dy)
            case Press(keys=keys, presses=presses):
                for _ in range(presses):
                    if selects.open is not None:
                        chosen = await selects.press(keys, frame)
            case TypeText(text=text):
                chosen = await selects.type(text, frame)
            case Move() | Wait() | PointerUp() | KeyUp():
                return None
            case _:
                await selects.close()
                return None
        return chosen or action

    async def look_for_list(self, tab: Tab) -> None:
        """See whether the last input opened a drop-down list: its picture is drawn by us, not by the browser."""
        if tab.may_open_list and tab.selects.open is None and await tab.selects.look():
            tab.cast.stale = True
            self._emit("select_open", "a drop-down list is open")

    async def dismiss(self, page: "Page") -> None:
        """Get a dialog out of the way: an alert is accepted, anything else is cancelled."""
        held = self.held(page)
        if held is not None:
            await self._dialogs.answer(page, Dialog(accept=held.pending.kind == "alert"))

    def _masked(self, text: str) -> str:
        return self._limits.mask_secrets(text)

    def _dialog_changed(self, page: "Page", pending: PendingDialog | None) -> None:
        if pending is None:
            self._emit("dialog_closed", "the dialog closed")
        else:
            self._emit("dialog", f"{pending.kind}: {self._masked(pending.message)[:_MOST_MESSAGE]}")
        self._wake()


def _under(cursor: tuple[float, float] | None, frame: Frame) -> Point | None:
    """Give the point that the pointer is at, where that lies in the frame."""
    try:
        return None if cursor is None else frame.from_input(*cursor)
    except OutOfFrame:
        return None


def paper(width: int, height: int) -> Image:
    """Give an empty page of a size in pixels, for one that is held up before it was ever painted."""
    image = np.full((height, width, 3), _PAPER, dtype=np.uint8)
    image.flags.writeable = False
    return image
