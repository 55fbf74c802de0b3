"""Reading untrusted values, and making actions of them: what every format shares."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from pydantic import ValidationError

from foveate.actions.errors import OutOfFrame, ParseError
from foveate.actions.geometry import Box, Convention, Frame, Point
from foveate.actions.schema import CLASSES, Action, Button

Written: TypeAlias = tuple[float, ...] | tuple[tuple[float, ...], ...] | None
"""A place's numbers as the model wrote them: of a point or box, of a path, or None."""

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
    """Read a text; a number becomes its digits.

    Raises:
        ParseError: If it is neither.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15:
        return str(value)
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


@dataclass(frozen=True, slots=True)
class Spot:
    """Two or four numbers that name a place, as written.

    Attributes:
        numbers: x, y of a point or x1, y1, x2, y2 of a box.
        per_mille: True where InternVL's own ``<box>`` or ``<ref>`` tags fix the scale at 0..1000.
    """

    numbers: tuple[float, ...]
    per_mille: bool = False

    def __post_init__(self) -> None:
        if len(self.numbers) not in (2, 4):
            raise ParseError(f"a place is two numbers (a point) or four (a box), not {len(self.numbers)}")


@dataclass(frozen=True, slots=True)
class Found:
    """An action and its place's numbers as the model wrote them."""

    action: Action
    written: Written = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text is read with.

    Attributes:
        frame: The frame of the observation that the model saw.
        convention: How it writes places, where its tags do not say otherwise.
        kinds: The kinds that are offered; None is every kind.
    """

    frame: Frame
    convention: Convention
    kinds: frozenset[str] | None = None

    def offers(self, kind: str) -> bool:
        """Tell whether a kind is offered."""
        return self.kinds is None or kind in self.kinds

    def point(self, spot: Spot) -> Point:
        """Give the place that is meant: the point itself, or the box's centre.

        Raises:
            OutOfFrame: If a number lies beyond what the convention allows.
        """
        convention = self._convention(spot)
        if len(spot.numbers) == 2:
            return convention.point(spot.numbers[0], spot.numbers[1], self.frame)
        x1, y1, x2, y2 = spot.numbers
        return convention.box_centre(x1, y1, x2, y2, self.frame)

    def foot(self, spot: Spot) -> Point:
        """Give the place where the thing that is meant meets the floor.

        Raises:
            OutOfFrame: If a number lies beyond what the convention allows.
        """
        if len(spot.numbers) == 2:
            return self.point(spot)
        x1, y1, x2, y2 = spot.numbers
        return self._convention(spot).box_foot(x1, y1, x2, y2, self.frame)

    def region(self, spot: Spot) -> Box:
        """Give the box that is meant.

        Raises:
            ParseError: If two numbers are given.
            OutOfFrame: If a number lies beyond what the convention allows.
        """
        if len(spot.numbers) != 4:
            raise ParseError(f"a region is four numbers x1, y1, x2, y2, not {len(spot.numbers)}")
        x1, y1, x2, y2 = spot.numbers
        return self._convention(spot).box(x1, y1, x2, y2, self.frame)

    def make(self, kind: str, spot: Spot | None = None, **fields: object) -> Found:
        """Make an action, at a place where one is given.

        Raises:
            ParseError: If a field breaks its bounds; the message names field, value and limit.
            OutOfFrame: If the place lies outside the frame.
        """
        # Adding 0.0 turns the negative zero of a reversed sign into zero.
        fields = {name: value + 0.0 if isinstance(value, float) else value for name, value in fields.items()}
        if spot is not None:
            fields["at"] = self.point(spot)
        return Found(build(kind, fields), spot.numbers if spot is not None else None)

    def drag(self, spots: Sequence[Spot], **fields: object) -> Found:
        """Make a drag along a path.

        Raises:
            ParseError: If the path has no or more than 100 points, or a field breaks its bounds.
            OutOfFrame: If a place lies outside the frame.
        """
        if not 1 <= len(spots) <= 100:
            raise ParseError(f"a drag's path has 1 to 100 points, not {len(spots)}")
        path = tuple(self.point(spot) for spot in spots)
        return Found(build("drag", {"path": path, **fields}), tuple(spot.numbers for spot in spots))

    def bare(self, spot: Spot) -> Found:
        """Make what a place alone means: a click where clicks are offered, else a walk to it.

        Raises:
            ParseError: If neither is offered.
            OutOfFrame: If the place lies outside the frame.
        """
        if self.offers("click") or not self.offers("go_to"):
            return self.make("click", spot)
        return Found(build("go_to", {"at": self.foot(spot)}), spot.numbers)

    def _convention(self, spot: Spot) -> Convention:
        convention = Convention.PER_MILLE if spot.per_mille else self.convention
        values = spot.numbers
        if convention.name != "unit" and all(0 <= v <= 1 for v in values) and any(v % 1 for v in values):
            # Fractions read as pixels or per mille all fall into the top left corner: refuse, never guess.
            written = ", ".join(f"{v:g}" for v in values)
            raise OutOfFrame(f"({written}) are fractions of the frame: the {convention.name} convention here is not")
        return convention


def build(kind: str, fields: Mapping[str, object]) -> Action:
    """Make an action of a kind.

    Raises:
        ParseError: If a field is unknown, missing or breaks its bounds; the message names it, its value and limit.
    """
    try:
        return cast(Action, CLASSES[kind].model_validate(fields))
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_context=False)[0]
        field = ".".join(str(part) for part in error["loc"]) or kind
        raise ParseError(f"{kind}: {field} = {excerpt(error['input'])}: {error['msg'][:200]}") from exc


def check_kinds(found: Sequence[Found], kinds: frozenset[str] | None) -> None:
    """Refuse what is not offered.

    Raises:
        ParseError: If an action's kind is not among the kinds; the message names those.
    """
    for item in found:
        if kinds is not None and item.action.kind not in kinds:
            offered = ", ".join(kind for kind in CLASSES if kind in kinds)
            raise ParseError(f"{item.action.kind} is not offered here: the actions are {offered or 'none'}")
