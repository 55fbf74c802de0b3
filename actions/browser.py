"""Carry out actions in a browser: pointer and keyboard by coordinates, everything else through the world behind it."""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Literal, Protocol

from foveate.actions.errors import OutOfFrame, UnsupportedAction
from foveate.actions.geometry import Frame, Point
from foveate.actions.schema import (
    BROWSER_KINDS,
    Action,
    Button,
    Click,
    Drag,
    Key,
    KeyDown,
    KeyUp,
    Modifier,
    Move,
    PointerDown,
    PointerUp,
    Press,
    Scroll,
    TypeText,
    Wait,
)

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page

NOTCH = 100.0
"""CSS pixels that one notch of the wheel scrolls."""

_TYPED_LIMIT = 300  # characters; longer runs are inserted at once, as pasting does, for a key costs about a millisecond
_KEY_S = 0.1  # seconds that a key may take on a machine under load
_DRAG_STEP = 24.0  # CSS pixels between two moves of a drag, so that what follows the pointer sees it move
_RELEASE_LIMIT_S = 2.0

_KEY_NAMES: dict[Key, str] = {
    Key.LEFT: "ArrowLeft",
    Key.RIGHT: "ArrowRight",
    Key.UP: "ArrowUp",
    Key.DOWN: "ArrowDown",
    Key.PLUS: "+",
    Key.MINUS: "Minus",
    Key.EQUAL: "Equal",
    Key.COMMA: "Comma",
    Key.PERIOD: "Period",
    Key.SLASH: "Slash",
    Key.BACKSLASH: "Backslash",
    Key.SEMICOLON: "Semicolon",
    Key.QUOTE: "Quote",
    Key.BACKQUOTE: "Backquote",
    Key.BRACKET_LEFT: "BracketLeft",
    Key.BRACKET_RIGHT: "BracketRight",
}
_FUNCTION_KEYS = {Key(f"f{number}"): 111 + number for number in range(13, 25)}  # those that Playwright does not know
_BUTTON_BITS = {"left": 1, "right": 2, "middle": 4, "back": 8, "forward": 16}
_MODIFIER_BITS = {Key.ALT: 1, Key.CONTROL: 2, Key.META: 4, Key.SHIFT: 8}


class BrowserWorld(Protocol):
    """What the adapter acts on."""

    @property
    def page(self) -> "Page":
        """The current page."""

    @property
    def session(self) -> "CDPSession":
        """The current page's DevTools session."""

    async def attempt(self, call: Coroutine[Any, Any, Any], *, lasts_s: float = 0.0, release: bool = False) -> None:
        """Await an input call, but return at once where a dialog opens and holds it up, or the page does not take it.

        Args:
            call: The call.
            lasts_s: How long it may take by itself, in seconds.
            release: It lets go of a key or button, and is made even where the page has not taken what came before.

        Raises:
            BrowserCrashed: If the page or the browser dies meanwhile.
            UnsupportedAction: If the browser refuses it, or the page has not taken what came before.
        """

    async def text_for(self, text: str) -> str:
        """Give the text to type for one that may hold placeholders of secrets.

        Raises:
            UnsupportedAction: If a secret does not belong where the focus is.
        """

    async def browse(self, action: Action, frame: Frame) -> Action:
        """Do one of the browser's own kinds: tabs, history, addresses, lists, files, dialogs.

        Raises:
            UnsupportedAction: If it cannot be done here and now.
        """


def key_name(key: Key) -> str:
    """Give Playwright's name of a key: of the physical one, so that Shift makes of it what it makes of it by hand."""
    if key in _KEY_NAMES:
        return _KEY_NAMES[key]
    if len(key.value) == 1:
        return f"Digit{key.value}" if key.value.isdigit() else f"Key{key.value.upper()}"
    return "".join(part.capitalize() for part in key.value.split("_"))


class BrowserAdapter:
    """Input by coordinates into one browser; unguarded, so only an Env calls it.

    Args:
        world: The pages that it acts on.
    """

    def __init__(self, world: BrowserWorld) -> None:
        self._world = world
        self._cursor: tuple[float, float] | None = None
        self._keys: list[Key] = []
        self._buttons: list[Button] = []
        self._apply: dict[type[Any], Callable[[Any, Frame], Awaitable[Action]]] = {
            Click: self._click,
            Move: self._move,
            Drag: self._drag,
            Scroll: self._scroll,
            PointerDown: self._pointer_down,
            PointerUp: self._pointer_up,
            TypeText: self._type_text,
            Press: self._press,
            KeyDown: self._key_down,
            KeyUp: self._key_up,
            Wait: self._wait,
        }

    @property
    def cursor(self) -> tuple[float, float] | None:
        """The pointer's x and y in CSS pixels; None before it was first moved."""
        return self._cursor

    async def apply(self, action: Action, frame: Frame) -> Action:
        """Do one action.

        Args:
            action: Its points are of ``frame``.
            frame: The Env's own last Frame.

        Returns:
            The action really applied; one without a point is given the place where the pointer was.

        Raises:
            UnsupportedAction: If a browser cannot do that kind of action, or not here and now.
            BrowserCrashed: If the page or the browser dies meanwhile.
        """
        if action.kind in BROWSER_KINDS:
            return await self._world.browse(action, frame)
        apply = self._apply.get(type(action))
        if apply is None:
            raise UnsupportedAction(f"{action.kind} cannot be done in a browser")
        return await apply(action, frame)

    async def release_all(self) -> None:
        """Release every key and button that is down; never raises, never hangs."""
        with contextlib.suppress(UnsupportedAction, TimeoutError):
            async with asyncio.timeout(_RELEASE_LIMIT_S):
                while self._buttons:
                    await self._button("up", self._buttons.pop())
                while self._keys:
                    await self._key("up", self._keys.pop())

    def forget(self) -> None:
        """Forget the pointer and what was down, because the page that knew of it is gone."""
        self._cursor = None
        self._keys.clear()
        self._buttons.clear()

    # Pointer --------------------------------------------------------------------------------------------------------

    def _place(self, at: Point | None, frame: Frame) -> tuple[float, float]:
        """Give where to act in CSS pixels: at a point, else where the pointer is, else in the middle."""
        if at is not None:
            return frame.to_input(at)
        return self._cursor if self._cursor is not None else frame.to_input(Point(0.5, 0.5))

    def _point(self, place: tuple[float, float], frame: Frame) -> Point | None:
        try:
            return frame.from_input(*place)
        except OutOfFrame:  # the page became smaller than where the pointer was left
            return None

    async def _click(self, action: Click, frame: Frame) -> Action:
        place = self._place(action.at, frame)
        async with _Held(self, action.modifiers):
            button = action.button
            if button == "back" or button == "forward" or action.hold_s > 0:
                await self._slow_click(action, place)
            else:
                self._cursor = place
                mouse = self._world.page.mouse
                await self._world.attempt(mouse.click(*place, button=button, click_count=action.clicks))
        return action.model_copy(update={"at": self._point(place, frame)})

    async def _slow_click(self, action: Click, place: tuple[float, float]) -> None:
        await self._go(place)
        for number in range(1, action.clicks + 1):
            await self._button("down", action.button, number)
            try:
                await asyncio.sleep(action.hold_s)
            finally:
                await self._button("up", action.button, number)

    async def _move(self, action: Move, frame: Frame) -> Action:
        await self._go(frame.to_input(action.at))
        return action

    async def _go(self, place: tuple[float, float]) -> None:
        self._cursor = place
        await self._world.attempt(self._world.page.mouse.move(*place))

    async def _drag(self, action: Drag, frame: Frame) -> Action:
        places = [frame.to_input(point) for point in action.path]
        start = places.pop(0) if len(places) > 1 else self._place(None, frame)
        await self._go(start)
        await self._button("down", action.button)
        try:
            for place in places:
                await self._glide(place)
        finally:
            await self._button("up", action.button)
        points = (self._point(start, frame) if len(action.path) == 1 else None, *action.path)
        return action.model_copy(update={"path": tuple(point for point in points if point is not None)})

    async def _glide(self, place: tuple[float, float]) -> None:
        start = self._cursor or place
        distance = max(abs(place[0] - start[0]), abs(place[1] - start[1]))
        steps = min(50, max(2, round(distance / _DRAG_STEP)))
        self._cursor = place
        await self._world.attempt(self._world.page.mouse.move(*place, steps=steps))

    async def _scroll(self, action: Scroll, frame: Frame) -> Action:
        place = self._place(action.at, frame)
        await self._go(place)
        await self._world.attempt(self._world.page.mouse.wheel(action.dx * NOTCH, action.dy * NOTCH))
        return action.model_copy(update={"at": self._point(place, frame)})

    async def _pointer_down(self, action: PointerDown, frame: Frame) -> Action:
        place = self._place(action.at, frame)
        await self._go(place)
        await self._button("down", action.button)
        return action.model_copy(update={"at": self._point(place, frame)})

    async def _pointer_up(self, action: PointerUp, frame: Frame) -> Action:
        place = self._place(action.at, frame)
        if action.at is not None:
            await self._glide(place)
        await self._button("up", action.button)
        return action.model_copy(update={"at": self._point(place, frame)})

    async def _button(self, change: Literal["down", "up"], button: Button, clicks: int = 1) -> None:
        """Press or release one button where the pointer is."""
        if change == "down":
            self._buttons.append(button)
        elif button in self._buttons:
            self._buttons.remove(button)
        mouse = self._world.page.mouse
        if button == "left" or button == "right" or button == "middle":
            press = mouse.down if change == "down" else mouse.up
            await self._world.attempt(press(button=button, click_count=clicks), release=change == "up")
            return
        x, y = self._cursor or (0.0, 0.0)  # Playwright's mouse knows three buttons only
        event = {
            "type": "mousePressed" if change == "down" else "mouseReleased",
            "x": x,
            "y": y,
            "button": button,
            "buttons": sum(_BUTTON_BITS[name] for name in set(self._buttons)),
            "clickCount": clicks,
            "modifiers": sum(_MODIFIER_BITS.get(key, 0) for key in set(self._keys)),
        }
        call = self._world.session.send("Input.dispatchMouseEvent", event)
        await self._world.attempt(call, release=change == "up")

    # Keyboard -------------------------------------------------------------------------------------------------------

    async def _type_text(self, action: TypeText, frame: Frame) -> Action:
        for part in re.split(r"(\r\n|\r|\n|\t)", action.text):
            keyboard = self._world.page.keyboard
            if part == "\t":
                await self._world.attempt(keyboard.press("Tab"))
            elif part in ("\n", "\r", "\r\n"):
                await self._world.attempt(keyboard.press("Enter"))
            elif part:
                text = await self._world.text_for(part)  # each part anew, for Tab and Enter move the focus
                if text.isascii() and len(text) <= _TYPED_LIMIT:
                    await self._world.attempt(keyboard.type(text), lasts_s=len(text) * _KEY_S)
                else:
                    await self._world.attempt(keyboard.insert_text(text))
        return action

    async def _press(self, action: Press, frame: Frame) -> Action:
        for _ in range(action.presses):
            async with _Held(self, action.keys, repeat=True):
                pass
        return action

    async def _key_down(self, action: KeyDown, frame: Frame) -> Action:
        await self.hold(action.key)
        return action

    async def _key_up(self, action: KeyUp, frame: Frame) -> Action:
        await self.release(action.key)
        return action

    async def hold(self, key: Key) -> None:
        """Press a key and keep it down until it is released, or everything is; one that is down already repeats."""
        repeats = key in self._keys
        if not repeats:
            self._keys.append(key)
        await self._key("down", key, repeats=repeats)

    async def release(self, key: Key) -> None:
        """Release a key."""
        if key in self._keys:
            self._keys.remove(key)
        await self._key("up", key)

    async def _key(self, change: Literal["down", "up"], key: Key, *, repeats: bool = False) -> None:
        keyboard, release = self._world.page.keyboard, change == "up"
        if key not in _FUNCTION_KEYS:  # Playwright knows by itself which keys repeat
            await self._world.attempt((keyboard.up if release else keyboard.down)(key_name(key)), release=release)
            return
        event = {
            "type": "rawKeyDown" if change == "down" else "keyUp",
            "key": key_name(key),
            "code": key_name(key),
            "windowsVirtualKeyCode": _FUNCTION_KEYS[key],
            "modifiers": sum(_MODIFIER_BITS.get(held, 0) for held in set(self._keys)),
            "autoRepeat": repeats,
        }
        await self._world.attempt(self._world.session.send("Input.dispatchKeyEvent", event), release=release)

    def is_down(self, key: Key) -> bool:
        """Tell whether a key is held."""
        return key in self._keys

    # Time -----------------------------------------------------------------------------------------------------------

    async def _wait(self, action: Wait, frame: Frame) -> Action:
        await asyncio.sleep(action.duration_s)
        return action


class _Held:
    """Keys held for the length of a block; those that were down before stay down after it.

    Args:
        adapter: Presses them.
        keys: In the order in which they go down.
        repeat: The last of them is what is pressed: it repeats, as a keyboard's does, where it is down already.
    """

    def __init__(
        self, adapter: BrowserAdapter, keys: tuple[Key, ...] | tuple[Modifier, ...], *, repeat: bool = False
    ) -> None:
        self._adapter = adapter
        self._wanted = [Key(key) for key in keys]
        self._repeated = self._wanted[-1:] if repeat else []
        self._held: list[Key] = []

    async def __aenter__(self) -> None:
        try:
            for key in self._wanted:
                if not self._adapter.is_down(key):
                    self._held.append(key)
                    await self._adapter.hold(key)
                elif [key] == self._repeated:
                    await self._adapter.hold(key)
        except BaseException:
            await self.__aexit__()
            raise

    async def __aexit__(self, *exc_info: object) -> None:
        while self._held:
            await self._adapter.release(self._held.pop())
