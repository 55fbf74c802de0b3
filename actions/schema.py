"""The closed union of everything that can be done, on a screen, by a body, or by the loop itself.

An action is data: a frozen model tagged by ``kind``, with its bounds in the model. Places are Points and Boxes,
fractions of the Frame of the observation that the policy was given.
"""
# One file, however long: the union is closed, and what is in it can be seen at once.

import math
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Literal, TypeAlias, Union, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from foveate.actions.geometry import Box, Point

Button: TypeAlias = Literal["left", "right", "middle", "back", "forward"]
Modifier: TypeAlias = Literal["shift", "control", "alt", "meta"]


class Key(StrEnum):
    """Every key that can be pressed, by its name on a US keyboard; letters are lower case."""

    ENTER = "enter"
    TAB = "tab"
    ESCAPE = "escape"
    BACKSPACE = "backspace"
    DELETE = "delete"
    INSERT = "insert"
    HOME = "home"
    END = "end"
    PAGE_UP = "page_up"
    PAGE_DOWN = "page_down"
    LEFT = "left"
    RIGHT = "right"
    UP = "up"
    DOWN = "down"
    SPACE = "space"
    SHIFT = "shift"
    CONTROL = "control"
    ALT = "alt"
    META = "meta"
    CAPS_LOCK = "caps_lock"
    NUM_LOCK = "num_lock"
    SCROLL_LOCK = "scroll_lock"
    PRINT_SCREEN = "print_screen"
    PAUSE = "pause"
    CONTEXT_MENU = "context_menu"
    F1 = "f1"
    F2 = "f2"
    F3 = "f3"
    F4 = "f4"
    F5 = "f5"
    F6 = "f6"
    F7 = "f7"
    F8 = "f8"
    F9 = "f9"
    F10 = "f10"
    F11 = "f11"
    F12 = "f12"
    F13 = "f13"
    F14 = "f14"
    F15 = "f15"
    F16 = "f16"
    F17 = "f17"
    F18 = "f18"
    F19 = "f19"
    F20 = "f20"
    F21 = "f21"
    F22 = "f22"
    F23 = "f23"
    F24 = "f24"
    A = "a"
    B = "b"
    C = "c"
    D = "d"
    E = "e"
    F = "f"
    G = "g"
    H = "h"
    I = "i"
    J = "j"
    K = "k"
    L = "l"
    M = "m"
    N = "n"
    O = "o"
    P = "p"
    Q = "q"
    R = "r"
    S = "s"
    T = "t"
    U = "u"
    V = "v"
    W = "w"
    X = "x"
    Y = "y"
    Z = "z"
    DIGIT_0 = "0"
    DIGIT_1 = "1"
    DIGIT_2 = "2"
    DIGIT_3 = "3"
    DIGIT_4 = "4"
    DIGIT_5 = "5"
    DIGIT_6 = "6"
    DIGIT_7 = "7"
    DIGIT_8 = "8"
    DIGIT_9 = "9"
    MINUS = "-"
    EQUAL = "="
    PLUS = "+"
    COMMA = ","
    PERIOD = "."
    SLASH = "/"
    BACKSLASH = "\\"
    SEMICOLON = ";"
    QUOTE = "'"
    BACKQUOTE = "`"
    BRACKET_LEFT = "["
    BRACKET_RIGHT = "]"


class ActionModel(BaseModel):
    """Base of every action: frozen, without unknown fields, without infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


# Pointer ------------------------------------------------------------------------------------------------------------


class Click(ActionModel):
    """Press and release a button.

    Attributes:
        at: Where; None is where the pointer is.
        button: Which button.
        clicks: 1 to 3 presses (3 selects a line or paragraph).
        modifiers: Keys held meanwhile.
        hold_s: Seconds between press and release, up to 10.
    """

    kind: Literal["click"] = "click"
    at: Point | None = None
    button: Button = "left"
    clicks: int = Field(default=1, ge=1, le=3)
    modifiers: tuple[Modifier, ...] = Field(default=(), max_length=4)
    hold_s: float = Field(default=0.0, ge=0.0, le=10.0)


class Move(ActionModel):
    """Move the pointer to a place without pressing."""

    kind: Literal["move"] = "move"
    at: Point


class Drag(ActionModel):
    """Press, move along a path, release.

    Attributes:
        path: 1 to 100 points; a path of one point starts where the pointer is.
        button: Which button is held.
    """

    kind: Literal["drag"] = "drag"
    path: tuple[Point, ...] = Field(min_length=1, max_length=100)
    button: Button = "left"


class Scroll(ActionModel):
    """Turn the wheel.

    Attributes:
        at: Where; None is where the pointer is.
        dx: Notches, -100 to 100; positive shows what is to the right.
        dy: Notches, -100 to 100; positive shows what is below. One notch is 100 CSS pixels or one X11 button press.
    """

    kind: Literal["scroll"] = "scroll"
    at: Point | None = None
    dx: float = Field(default=0.0, ge=-100.0, le=100.0)
    dy: float = Field(default=0.0, ge=-100.0, le=100.0)


class PointerDown(ActionModel):
    """Press a button and keep it down, at a place or where the pointer is."""

    kind: Literal["pointer_down"] = "pointer_down"
    at: Point | None = None
    button: Button = "left"


class PointerUp(ActionModel):
    """Release a button, at a place or where the pointer is."""

    kind: Literal["pointer_up"] = "pointer_up"
    at: Point | None = None
    button: Button = "left"


# Keyboard -----------------------------------------------------------------------------------------------------------


class TypeText(ActionModel):
    """Type text into what has the focus.

    Attributes:
        text: 1 to 20,000 characters; a newline is Enter, a tab is Tab; ``{{name}}`` is a secret's placeholder.
    """

    kind: Literal["type_text"] = "type_text"
    text: str = Field(min_length=1, max_length=20_000)


class Press(ActionModel):
    """Press one chord: all keys down in order, then up in reverse.

    Attributes:
        keys: 1 to 5 keys.
        presses: How often, 1 to 100.
    """

    kind: Literal["press"] = "press"
    keys: tuple[Key, ...] = Field(min_length=1, max_length=5)
    presses: int = Field(default=1, ge=1, le=100)


class KeyDown(ActionModel):
    """Press a key and keep it down."""

    kind: Literal["key_down"] = "key_down"
    key: Key


class KeyUp(ActionModel):
    """Release a key."""

    kind: Literal["key_up"] = "key_up"
    key: Key


# Browser ------------------------------------------------------------------------------------------------------------


class Navigate(ActionModel):
    """Open an address in the current tab; the guard checks it first."""

    kind: Literal["navigate"] = "navigate"
    url: str = Field(min_length=1, max_length=8_192)


class Back(ActionModel):
    """Go back in the tab's history."""

    kind: Literal["back"] = "back"


class Forward(ActionModel):
    """Go forward in the tab's history."""

    kind: Literal["forward"] = "forward"


class Reload(ActionModel):
    """Load the page again."""

    kind: Literal["reload"] = "reload"


class NewTab(ActionModel):
    """Open an empty tab and go to it."""

    kind: Literal["new_tab"] = "new_tab"


class SwitchTab(ActionModel):
    """Go to a tab.

    Attributes:
        index: Its place in ``ScreenObservation.tabs``, from 0.
    """

    kind: Literal["switch_tab"] = "switch_tab"
    index: int = Field(ge=0, le=999)


class CloseTab(ActionModel):
    """Close the current tab and go to the one used before."""

    kind: Literal["close_tab"] = "close_tab"


class SelectOption(ActionModel):
    """Choose an option of the drop-down list at a place, by its label or value."""

    kind: Literal["select_option"] = "select_option"
    at: Point
    value: str = Field(max_length=2_000)


class Upload(ActionModel):
    """Give files to the file field at a place, or to the file chooser that is open.

    Attributes:
        at: The field; None is the file chooser that is open.
        paths: 1 to 20 base names of files that the user named.
    """

    kind: Literal["upload"] = "upload"
    at: Point | None = None
    paths: tuple[str, ...] = Field(min_length=1, max_length=20)


class Dialog(ActionModel):
    """Answer the pending JavaScript dialog.

    Attributes:
        accept: OK (true) or Cancel (false).
        text: What to enter in a prompt; for an HTTP sign-in ``name:password``.
    """

    kind: Literal["dialog"] = "dialog"
    accept: bool
    text: str | None = Field(default=None, max_length=20_000)


# Desktop ------------------------------------------------------------------------------------------------------------


class OpenApp(ActionModel):
    """Start an application by its name."""

    kind: Literal["open_app"] = "open_app"
    name: str = Field(min_length=1, max_length=200)


class FocusWindow(ActionModel):
    """Bring a window to the front by its title."""

    kind: Literal["focus_window"] = "focus_window"
    title: str = Field(min_length=1, max_length=500)


# Embodied -----------------------------------------------------------------------------------------------------------


class MoveForward(ActionModel):
    """Move the body ahead by a distance in metres, up to 20."""

    kind: Literal["move_forward"] = "move_forward"
    distance_m: float = Field(default=0.25, gt=0.0, le=20.0)


class Turn(ActionModel):
    """Turn the body by an angle in degrees, left positive, -360 to 360."""

    kind: Literal["turn"] = "turn"
    angle_deg: float = Field(ge=-360.0, le=360.0)


class Look(ActionModel):
    """Tilt the camera by an angle in degrees, up positive, -180 to 180."""

    kind: Literal["look"] = "look"
    angle_deg: float = Field(ge=-180.0, le=180.0)


class GoTo(ActionModel):
    """Walk to what is seen at a place."""

    kind: Literal["go_to"] = "go_to"
    at: Point


class Pick(ActionModel):
    """Grasp what is seen at a place."""

    kind: Literal["pick"] = "pick"
    at: Point


class Place(ActionModel):
    """Put what is held down at a place."""

    kind: Literal["place"] = "place"
    at: Point


class Velocity(ActionModel):
    """Drive at a velocity for a time.

    Attributes:
        linear_m_s: Ahead positive, -5 to 5 metres a second.
        angular_rad_s: Left positive, -10 to 10 radians a second.
        duration_s: Up to 10 seconds; the body stops after it.
    """

    kind: Literal["velocity"] = "velocity"
    linear_m_s: float = Field(default=0.0, ge=-5.0, le=5.0)
    angular_rad_s: float = Field(default=0.0, ge=-10.0, le=10.0)
    duration_s: float = Field(gt=0.0, le=10.0)


class Control(ActionModel):
    """Set the controls directly.

    Attributes:
        values: Shape (n,), 1 to 64 numbers in [-1, 1], scaled by the environment's ``control_spec``.
    """

    kind: Literal["control"] = "control"
    values: tuple[float, ...] = Field(min_length=1, max_length=64)

    @field_validator("values")
    @classmethod
    def _bounded(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        for value in values:
            if not (math.isfinite(value) and -1.0 <= value <= 1.0):
                raise ValueError(f"control values are in [-1, 1], not {value}")
        return values


class Stop(ActionModel):
    """Say that the embodied task is done; ends the episode."""

    kind: Literal["stop"] = "stop"


# Any world, and the loop's own --------------------------------------------------------------------------------------


class Wait(ActionModel):
    """Let time pass, up to 60 seconds."""

    kind: Literal["wait"] = "wait"
    duration_s: float = Field(default=1.0, ge=0.0, le=60.0)


class Zoom(ActionModel):
    """Look at a region of the last image again, alone and as large as it can be."""

    kind: Literal["zoom"] = "zoom"
    region: Box


class Respond(ActionModel):
    """Give the answer that the task asked for; the episode goes on."""

    kind: Literal["respond"] = "respond"
    answer: str = Field(max_length=20_000)


class CallUser(ActionModel):
    """Ask a person."""

    kind: Literal["call_user"] = "call_user"
    question: str = Field(default="", max_length=20_000)


class Terminate(ActionModel):
    """End the episode."""

    kind: Literal["terminate"] = "terminate"
    status: Literal["success", "failure"] = "success"
    reason: str = Field(default="", max_length=20_000)


_Any = Union[  # noqa: UP007 - pydantic reads the members of a plain union in order
    Click, Move, Drag, Scroll, PointerDown, PointerUp,
    TypeText, Press, KeyDown, KeyUp,
    Navigate, Back, Forward, Reload, NewTab, SwitchTab, CloseTab, SelectOption, Upload, Dialog,
    OpenApp, FocusWindow,
    MoveForward, Turn, Look, GoTo, Pick, Place, Velocity, Control, Stop,
    Wait, Zoom, Respond, CallUser, Terminate,
]  # fmt: skip

Action: TypeAlias = Annotated[_Any, Field(discriminator="kind")]
"""Every action; ``pydantic.TypeAdapter(Action)`` reads one from JSON by its ``kind``."""

CLASSES: Mapping[str, type[ActionModel]] = MappingProxyType(
    {str(cls.model_fields["kind"].default): cls for cls in get_args(_Any)}
)
"""The class of each kind, in the order of the union."""

KINDS: frozenset[str] = frozenset(CLASSES)
POINTER_KINDS = frozenset({"click", "move", "drag", "scroll", "pointer_down", "pointer_up"})
KEYBOARD_KINDS = frozenset({"type_text", "press", "key_down", "key_up"})
BROWSER_KINDS = frozenset(
    {"navigate", "back", "forward", "reload", "new_tab", "switch_tab", "close_tab", "select_option", "upload", "dialog"}
)
DESKTOP_KINDS = frozenset({"open_app", "focus_window"})
EMBODIED_KINDS = frozenset({"move_forward", "turn", "look", "go_to", "pick", "place", "velocity", "control", "stop"})
LOOP_KINDS = frozenset({"zoom", "respond", "call_user", "terminate"})
"""What the loop does itself; everything else goes to ``Env.step``."""
