"""The closed table of functions that a model may call, and the reading of calls by it.

Names are ScaleCUA's, pyautogui's, UI-TARS's and our own kinds'; every one goes through this table, never ``getattr``.
"""

from collections.abc import Mapping
from types import MappingProxyType

from foveate.actions.errors import ParseError
from foveate.actions.formats import places, pointer_calls, values
from foveate.actions.formats.arguments import Arguments
from foveate.actions.formats.literal import Call
from foveate.actions.formats.pointer_calls import Reader
from foveate.actions.formats.reading import Found, Reading, Spot, build
from foveate.actions.formats.values import MAX_ACTIONS, excerpt
from foveate.actions.keys import NAMES, read_chord, read_key

_MODULES = frozenset({"", "pyautogui", "pag", "time", "mobile", "computer", "browser"})
_MOBILE = frozenset(
    {
        "navigate_home", "navigate_back", "press_home", "press_back", "press_recent", "home", "system_button",
        "press_menu", "press_appselect", "open_notifications",
    }
)  # fmt: skip


def typed(reading: Reading, text: str) -> list[Found]:
    """Make typing of a text."""
    return [reading.make("type_text", text=text)]


def presses(reading: Reading, names: object, times: int = 1) -> list[Found]:
    """Make presses of keys one after the other; each entry is a key or a chord such as ``ctrl+c``.

    Raises:
        ParseError: If a name is no key's, or there are none or too many.
    """
    chords = [read_chord(name) for name in values.strings(names, "keys")]
    if len(chords) == 1:
        return [reading.make("press", keys=chords[0], presses=times)]
    if not 1 <= len(chords) * times <= MAX_ACTIONS:
        raise ParseError(f"press() presses 1 to {MAX_ACTIONS} keys, not {len(chords)} keys {excerpt(times)} times")
    return [reading.make("press", keys=chord) for _ in range(times) for chord in chords]


def chord(reading: Reading, names: object, times: int = 1) -> list[Found]:
    """Make one chord of keys, given as a list, as ``ctrl+c`` or as ``ctrl c``.

    Raises:
        ParseError: If a name is no key's, or there are none or more than five.
    """
    keys = tuple(key for name in values.strings(names, "keys") for key in read_chord(name))
    return [reading.make("press", keys=keys, presses=times)]


def ended(reading: Reading, status: object, reason: str) -> list[Found]:
    """Make the end of the task."""
    return [reading.make("terminate", status=values.status(status), reason=reason)]


def answered(reading: Reading, answer: str) -> list[Found]:
    """Make the answer, where there is one, and the successful end of the task."""
    found = ended(reading, "success", "")
    if answer and reading.offers("respond"):
        return [reading.make("respond", answer=answer), *found]
    return ended(reading, "success", answer) if answer else found


def not_on_this_platform(name: str) -> ParseError:
    """Make the error for what only a phone can do."""
    return ParseError(f"{name[:40]} is not on this platform: it is a phone's")


def _write(args: Arguments) -> list[Found]:
    message = args.raw("message", "text", "content")
    if isinstance(message, list) and args.call.name.lower() == "typewrite":
        return [found for item in message for found in _typewritten(args.reading, values.string(item, "message"))]
    return typed(args.reading, args.string("message", "text", "content"))


def _typewritten(reading: Reading, item: str) -> list[Found]:
    return presses(reading, item) if item.lower() in NAMES else typed(reading, item)


def _press(args: Arguments) -> list[Found]:
    return presses(args.reading, args.raw("keys", "key"), args.integer("presses", default=1))


def _hotkey(args: Arguments) -> list[Found]:
    names = args.raw("args", "keys", "key", "hotkey")
    return chord(args.reading, names, args.integer("presses", default=1))


def _key(kind: str) -> Reader:
    def read(args: Arguments) -> list[Found]:
        return [args.reading.make(kind, key=read_key(args.string("key", "keys")))]

    return read


def _plain(kind: str) -> Reader:
    return lambda args: [args.reading.make(kind)]


def _text(kind: str, field: str, *names: str, default: str | None = None) -> Reader:
    return lambda args: [args.reading.make(kind, None, **{field: args.string(*names, default=default)})]


def _numbers(kind: str, **defaults: float | None) -> Reader:
    def read(args: Arguments) -> list[Found]:
        given = {name: args.number(name, default=default) for name, default in defaults.items()}
        return [args.reading.make(kind, None, **given)]

    return read


def _at(kind: str) -> Reader:
    return lambda args: [args.reading.make(kind, args.needed_spot())]


def _switch_tab(args: Arguments) -> list[Found]:
    return [args.reading.make("switch_tab", index=args.integer("index", "tab", "tab_index"))]


def _select_option(args: Arguments) -> list[Found]:
    value = args.string("value", "option", "text")
    return [args.reading.make("select_option", args.needed_spot(), value=value)]


def _upload(args: Arguments) -> list[Found]:
    return [args.reading.make("upload", args.spot(), paths=args.strings("paths", "path", "files", "file"))]


def _dialog(args: Arguments) -> list[Found]:
    accept = values.flag(args.raw("accept"), "accept")
    text = args.string("text") if args.has("text") else None
    return [args.reading.make("dialog", accept=accept, text=text)]


def _control(args: Arguments) -> list[Found]:
    given = args.raw("values")
    if not isinstance(given, list) or len(given) > 64:
        raise ParseError(f"control(values) takes a list of 1 to 64 numbers, not {excerpt(given)}")
    return [args.reading.make("control", values=tuple(values.number(item, "values") for item in given))]


def wait(default_s: float) -> Reader:
    """Make the reader of a wait whose length is this many seconds where none is given."""

    def read(args: Arguments) -> list[Found]:
        given = args.raw("seconds", "duration_s", "time", "duration", "secs")
        seconds = default_s if given in (None, "") else values.number(given, "seconds")
        return [args.reading.make("wait", duration_s=seconds)]

    return read


def _zoom(args: Arguments) -> list[Found]:
    corners = [args.raw(name) for name in ("x1", "y1", "x2", "y2")]
    if any(corner is not None for corner in corners):
        spot = Spot.of(corners, "x1", "y1", "x2", "y2")
    else:
        spot = places.place(args.raw("region", "box", "bbox", "start_box"), "region")
    return [Found(build("zoom", {"region": args.reading.region(spot)}), spot.numbers)]


def _terminate(args: Arguments) -> list[Found]:
    return ended(args.reading, args.string("status", default="success"), args.string("info", "reason", default=""))


def _finished(args: Arguments) -> list[Found]:
    return answered(args.reading, args.string("content", "answer", default=""))


def _fail(args: Arguments) -> list[Found]:
    return ended(args.reading, "failure", args.string("reason", "content", default=""))


_BACK = ("go_backward", "go_back", "back", "history_back")
_FORWARD = ("go_forward", "forward", "history_forward")

FUNCTIONS: Mapping[str, tuple[tuple[str, ...], Reader]] = MappingProxyType(
    {
        **pointer_calls.FUNCTIONS,
        **dict.fromkeys(("write", "typewrite", "type", "type_text", "input_text"), (("message", "interval"), _write)),
        "press": (("keys", "presses", "interval"), _press),
        "hotkey": (("args",), _hotkey),
        **dict.fromkeys(("keydown", "key_down"), (("key",), _key("key_down"))),
        **dict.fromkeys(("keyup", "key_up", "release"), (("key",), _key("key_up"))),
        **dict.fromkeys(("open_url", "goto", "navigate", "visit_url"), (("url",), _text("navigate", "url", "url"))),
        **dict.fromkeys(_BACK, ((), _plain("back"))),
        **dict.fromkeys(_FORWARD, ((), _plain("forward"))),
        **dict.fromkeys(("reload", "refresh"), ((), _plain("reload"))),
        "new_tab": ((), _plain("new_tab")),
        **dict.fromkeys(("switch_tab", "tab_focus"), (("index",), _switch_tab)),
        **dict.fromkeys(("close_tab", "tab_close"), ((), _plain("close_tab"))),
        "select_option": (("x", "y", "value"), _select_option),
        **dict.fromkeys(("upload", "upload_file"), (("paths", "x", "y"), _upload)),
        "dialog": (("accept", "text"), _dialog),
        "open_app": (("app_name",), _text("open_app", "name", "app_name", "name", "app")),
        "focus_window": (("title",), _text("focus_window", "title", "title")),
        "move_forward": (("distance_m",), _numbers("move_forward", distance_m=0.25)),
        "turn": (("angle_deg",), _numbers("turn", angle_deg=None)),
        "look": (("angle_deg",), _numbers("look", angle_deg=None)),
        "go_to": (("x", "y"), _at("go_to")),
        "pick": (("x", "y"), _at("pick")),
        "place": (("x", "y"), _at("place")),
        "velocity": (
            ("linear_m_s", "angular_rad_s", "duration_s"),
            _numbers("velocity", linear_m_s=0.0, angular_rad_s=0.0, duration_s=None),
        ),
        "control": (("values",), _control),
        "stop": ((), _plain("stop")),
        "wait": (("seconds",), wait(3.0)),
        "sleep": (("seconds",), wait(1.0)),
        "zoom": (("region",), _zoom),
        **dict.fromkeys(("response", "respond", "answer"), (("answer",), _text("respond", "answer", "answer", "text"))),
        "call_user": (("question",), _text("call_user", "question", "question", "content", default="")),
        "terminate": (("status", "info"), _terminate),
        **dict.fromkeys(("finished", "done"), (("content",), _finished)),
        "fail": (("reason",), _fail),
    }
)
"""Of every name, in lower case: its parameters in order and what reads it."""


def known(name: str) -> bool:
    """Tell whether a name, with its module, is a function's that a model may call or that only a phone has."""
    module, _, bare = name.rpartition(".")
    return module in _MODULES and (bare.lower() in FUNCTIONS or bare.lower() in _MOBILE)


def read_call(
    call: Call, reading: Reading, functions: Mapping[str, tuple[tuple[str, ...], Reader]] = FUNCTIONS
) -> list[Found]:
    """Read one call.

    Args:
        call: As the model wrote it.
        reading: What places are read with.
        functions: The table; a format may bring its own.

    Raises:
        ParseError: If the function or an argument is not known or breaks its bounds.
        OutOfFrame: If a place lies outside the frame.
    """
    name = call.name.lower()
    if (name in _MOBILE and name not in functions) or (call.module == "mobile" and name in ("back", "home")):
        raise not_on_this_platform(call.name)
    if call.module not in _MODULES or name not in functions:
        full = f"{call.module}.{call.name}" if call.module else call.name
        raise ParseError(
            f"{full[:60]}() is no action; known are click, write, press, hotkey, scroll, moveTo, dragTo ..."
        )
    positional, read = functions[name]
    if name == "hotkey" and call.args:
        names = call.args[0] if len(call.args) == 1 else list(call.args)
        call = Call(call.module, call.name, (names,), call.kwargs)
    args = Arguments(call, positional, reading)
    found = read(args)
    args.finish()
    return found
