"""Key names as models and other programs write them, mapped to the closed Key enum."""

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from foveate.actions.errors import ParseError
from foveate.actions.schema import Key, Modifier

_OTHER_NAMES: Mapping[Key, str] = {
    Key.ENTER: "return kp_enter numpadenter num_enter kpenter",
    Key.ESCAPE: "esc",
    Key.BACKSPACE: "back_space bksp",
    Key.DELETE: "del kp_delete forward_delete",
    Key.INSERT: "ins kp_insert",
    Key.HOME: "kp_home",
    Key.END: "kp_end",
    Key.PAGE_UP: "pageup pgup prior kp_page_up page-up",
    Key.PAGE_DOWN: "pagedown pgdn pgdown next kp_page_down page-down",
    Key.LEFT: "arrowleft left_arrow leftarrow arrow_left kp_left ←",
    Key.RIGHT: "arrowright right_arrow rightarrow arrow_right kp_right →",
    Key.UP: "arrowup up_arrow uparrow arrow_up kp_up ↑",
    Key.DOWN: "arrowdown down_arrow downarrow arrow_down kp_down ↓",
    Key.SPACE: "spacebar kp_space",
    Key.SHIFT: "shiftleft shiftright shift_l shift_r",
    Key.CONTROL: (
        "ctrl ctl ctrlleft ctrlright control_l control_r ctrl_l ctrl_r controlleft controlright controlormeta ⌃"
    ),
    Key.ALT: "altleft altright alt_l alt_r option optionleft optionright opt altgr ⌥",
    Key.META: (
        "win winleft winright cmd command super super_l super_r windows windows_key meta_l meta_r metaleft metaright "
        "cmdleft cmdright os ⌘"
    ),
    Key.CAPS_LOCK: "capslock",
    Key.NUM_LOCK: "numlock",
    Key.SCROLL_LOCK: "scrolllock",
    Key.PRINT_SCREEN: "printscreen prntscrn prtsc prtscr prtscn print snapshot",
    Key.PAUSE: "break",
    Key.CONTEXT_MENU: "contextmenu apps menu",
    Key.MINUS: "minus hyphen dash subtract kp_subtract −",
    Key.EQUAL: "equal equals",
    Key.PLUS: "plus add kp_add",
    Key.COMMA: "comma",
    Key.PERIOD: "period dot decimal",
    Key.SLASH: "slash divide kp_divide",
    Key.BACKSLASH: "backslash",
    Key.SEMICOLON: "semicolon",
    Key.QUOTE: "apostrophe quote",
    Key.BACKQUOTE: "grave backquote backtick",
    Key.BRACKET_LEFT: "bracketleft",
    Key.BRACKET_RIGHT: "bracketright",
}

NAMES: Final[Mapping[str, Key]] = MappingProxyType(
    {str(key): key for key in Key}
    | {name: key for key, names in _OTHER_NAMES.items() for name in names.split()}
    | {f"num{digit}": Key(str(digit)) for digit in range(10)}
    | {f"digit{digit}": Key(str(digit)) for digit in range(10)}
    | {f"kp_{digit}": Key(str(digit)) for digit in range(10)}
    | {f"key{letter}": Key(letter) for letter in "abcdefghijklmnopqrstuvwxyz"}
    | {" ": Key.SPACE, "\n": Key.ENTER, "\r": Key.ENTER, "\t": Key.TAB, "\x1b": Key.ESCAPE, "\b": Key.BACKSPACE}
)
"""Every name of every key, in lower case."""

_MODIFIERS: Mapping[Key, Modifier] = {
    Key.SHIFT: "shift",
    Key.CONTROL: "control",
    Key.ALT: "alt",
    Key.META: "meta",
}


def read_key(name: str) -> Key:
    """Read one key's name, in any case.

    Raises:
        ParseError: If it names no key; the message gives the nearest name.
    """
    key = NAMES.get(name.lower()) or NAMES.get(name.strip().lower())
    if key is not None:
        return key
    near = difflib.get_close_matches(name.strip().lower()[:40], NAMES, n=1)
    hint = f"; did it mean {near[0]!r}?" if near else ""
    raise ParseError(f"{name[:40]!r} is no key's name{hint} (to enter text, type it)")


def read_chord(text: str) -> tuple[Key, ...]:
    """Read keys held together: ``ctrl+c``, ``ctrl-c``, ``ctrl c`` or one key's name.

    Raises:
        ParseError: If a part names no key, or there is none.
    """
    if text.lower() in NAMES:
        return (NAMES[text.lower()],)
    bare = text.strip()
    if bare.lower() in NAMES:
        return (NAMES[bare.lower()],)
    if len(bare) > 200:
        raise ParseError(f"a chord is at most 5 keys, not {bare[:40]!r}...")
    for separator in ("+", " ", "-"):
        if separator not in bare:
            continue
        # "ctrl++" presses the plus key: an empty last part stands for the separator itself.
        whole = bare[: -len(separator)] + "plus" if separator == "+" and bare.endswith("++") else bare
        parts = whole.split(separator) if separator != " " else whole.split()
        if separator != "-" or all(part.strip().lower() in NAMES for part in parts):
            return tuple(read_key(part) for part in parts)
    return (read_key(bare),)


def read_modifier(text: str) -> Modifier:
    """Read the name of a key that can be held during a click.

    Raises:
        ParseError: If it names no shift, control, alt or meta key.
    """
    key = read_key(text)
    if key not in _MODIFIERS:
        raise ParseError(f"{text[:40]!r} is no modifier: shift, control, alt or meta")
    return _MODIFIERS[key]
