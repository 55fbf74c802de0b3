"""Reading untrusted values: numbers, texts and words of closed sets."""

import math
import re
from collections.abc import Mapping, Sequence

from foveate.actions.errors import ParseError
from foveate.actions.schema import Button

MAX_ACTIONS = 100
"""Greatest number of actions in one answer."""

NUMBER = r"[-+]?(?:\d{1,400}(?:\.\d{0,400})?|\.\d{1,400})(?:[eE][-+]?\d{1,9})?"

_NUMBER = re.compile(NUMBER, re.ASCII)
_BUTTONS: Mapping[str, Button] = {
    "left": "left",
    "right": "right",
    "middle": "middle",
    "wheel": "middle",
    "back": "back",
    "forward": "forward",
    "primary": "left",
    "secondary": "right",
}
_STATUSES: Mapping[str, str] = dict.fromkeys(
    ("success", "successful", "succeeded", "done", "complete", "completed", "finished"), "success"
) | dict.fromkeys(("failure", "fail", "failed", "infeasible", "impossible", "incomplete"), "failure")

_FULL_WIDTH = str.maketrans(
    {
        **{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},
        "　": " ",
        "\u00a0": " ",
        "【": "[",
        "】": "]",
        "、": ",",
        "。": ".",
        "−": "-",
    }
)


class Numeral(float):
    """A number that remembers how it was written, for where it turns out to be a text: a price of 1.50.

    Attributes:
        written: The digits as they stood.
    """

    __slots__ = ("written",)
    written: str

    def __new__(cls, written: str) -> "Numeral":
        """Read digits."""
        number = super().__new__(cls, written)
        number.written = written
        return number


def narrow(text: str) -> str:
    """Replace full-width punctuation, digits and letters by their ASCII forms."""
    return text.translate(_FULL_WIDTH)


def excerpt(value: object, limit: int = 80) -> str:
    """Show a value in an error message, cut, on one line."""
    if isinstance(value, str):
        return repr(value) if len(value) <= limit else f"{value[:limit]!r}... ({len(value)} characters)"
    if isinstance(value, int | float | None):
        shown = "a number of hundreds of digits" if isinstance(value, int) and abs(value) >= 10**300 else repr(value)
    else:
        shown = f"a {type(value).__name__} of {len(value)}" if isinstance(value, Sequence | Mapping) else "a value"
    return shown[:limit]


def is_number(value: object) -> bool:
    """Tell whether a value is a number, or a text that is one."""
    if isinstance(value, str):
        return _NUMBER.fullmatch(narrow(value).strip()) is not None if len(value) < 1_000 else False
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(value: object, name: str) -> float:
    """Read a finite or infinite number, or a text that is one.

    Raises:
        ParseError: If it is none.
    """
    if isinstance(value, str) and is_number(value):
        value = float(narrow(value).strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ParseError(f"{name} is a number, not {excerpt(value)}")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def integer(value: object, name: str) -> int:
    """Read a whole number.

    Raises:
        ParseError: If it is none.
    """
    result = number(value, name) if is_number(value) else math.nan
    if not math.isfinite(result) or not result.is_integer():
        raise ParseError(f"{name} is a whole number, not {excerpt(value)}")
    return int(result)


def string(value: object, name: str) -> str:
    """Read a text; a number becomes its digits, as they were written.

    Raises:
        ParseError: If it is neither.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15:
        return value.written if isinstance(value, Numeral) else str(value)
    raise ParseError(f"{name} is a text, not {excerpt(value)}")


def strings(value: object, name: str) -> tuple[str, ...]:
    """Read a text or a list of texts, at most ``MAX_ACTIONS``.

    Raises:
        ParseError: If it is neither, or too long.
    """
    items = value if isinstance(value, list | tuple) else [value]
    if len(items) > MAX_ACTIONS:
        raise ParseError(f"{name} holds at most {MAX_ACTIONS} entries, not {len(items)}")
    return tuple(string(item, name) for item in items)


def flag(value: object, name: str) -> bool:
    """Read yes or no.

    Raises:
        ParseError: If it is neither.
    """
    words = {True: True, False: False, "true": True, "false": False, "1": True, "0": False}
    key = value.strip().lower() if isinstance(value, str) else value
    if isinstance(key, bool | str | int) and key in words:
        return words[key]
    raise ParseError(f"{name} is true or false, not {excerpt(value)}")


def button(value: object) -> Button:
    """Read a button's name.

    Raises:
        ParseError: If it names none.
    """
    known = _BUTTONS.get(value.strip().lower()) if isinstance(value, str) else None
    if known is None:
        raise ParseError(f"button is left, right, middle, back or forward, not {excerpt(value)}")
    return known


def status(value: object) -> str:
    """Read how a task ended: ``success`` or ``failure``.

    Raises:
        ParseError: If it says neither.
    """
    known = _STATUSES.get(value.strip().lower()) if isinstance(value, str) else None
    if known is None:
        raise ParseError(f"status is success or failure, not {excerpt(value)}")
    return known


def chosen(value: object, name: str, *options: str) -> str:
    """Read one of a closed set of words, in any case.

    Raises:
        ParseError: If it is another.
    """
    word = value.strip().lower() if isinstance(value, str) else None
    if word not in options:
        raise ParseError(f"{name} is {' or '.join(options)}, not {excerpt(value)}")
    return word
