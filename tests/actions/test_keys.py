"""Key names, as pyautogui, xdotool, browsers and people write them."""

import pytest

from foveate.actions.errors import ParseError
from foveate.actions.keys import NAMES, read_chord, read_key, read_modifier
from foveate.actions.schema import Key


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Return", "enter"), ("ESC", "escape"), ("win", "meta"), ("cmd", "meta"), ("super", "meta"),
        ("Super_L", "meta"), ("command", "meta"), ("ctrl", "control"), ("Control_L", "control"), ("option", "alt"),
        ("PageDown", "page_down"), ("Page_Up", "page_up"), ("pgdn", "page_down"), ("Prior", "page_up"),
        ("ArrowLeft", "left"),
        ("del", "delete"), ("A", "a"), ("+", "+"), ("plus", "+"), ("minus", "-"),
        (" ", "space"), ("\n", "enter"), ("\t", "tab"), ("F12", "f12"), ("kp_5", "5"),
        ("KeyQ", "q"), ("Digit7", "7"), ("BracketLeft", "["), ("grave", "`"), ("PrtSc", "print_screen"),
        (" tab ", "tab"), ("ControlOrMeta", "control"),
    ],
)  # fmt: skip
def test_a_name_is_the_key(name: str, key: str) -> None:
    assert read_key(name) is Key(key)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ctrl+c", ("control", "c")),
        ("Ctrl + Shift + T", ("control", "shift", "t")),
        ("ctrl++", ("control", "+")),
        ("ctrl+-", ("control", "-")),
        ("ctrl-c", ("control", "c")),
        ("ctrl c", ("control", "c")),
        ("+", ("+",)),
        ("-", ("-",)),
        (" ", ("space",)),
        ("page-down", ("page_down",)),
        ("enter", ("enter",)),
    ],
)
def test_a_chord_is_its_keys(text: str, keys: tuple[str, ...]) -> None:
    assert read_chord(text) == tuple(map(Key, keys))


@pytest.mark.parametrize("text", ["", "banana", "ctrl+", "+c", "ctrl+banana", "a" * 300, "ctrl+" * 100])
def test_what_names_no_key_is_an_error(text: str) -> None:
    with pytest.raises(ParseError):
        read_chord(text)


def test_a_misspelled_key_names_the_nearest() -> None:
    with pytest.raises(ParseError, match="'entre' is no key's name; did it mean 'enter'"):
        read_key("entre")


def test_only_four_keys_are_modifiers() -> None:
    assert [read_modifier(name) for name in ("Shift", "ctrl", "option", "win")] == ["shift", "control", "alt", "meta"]
    with pytest.raises(ParseError, match="no modifier"):
        read_modifier("tab")


def test_every_key_is_known_by_its_own_name() -> None:
    assert all(NAMES[str(key)] is key for key in Key)
    assert all(name == name.lower() for name in NAMES)
