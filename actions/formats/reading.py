"""Making places and actions of what was read, in one frame and convention: what every format shares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from pydantic import ValidationError

from foveate.actions.errors import OutOfFrame, ParseError
from foveate.actions.formats.values import excerpt, narrow, number
from foveate.actions.geometry import Box, Convention, Frame, Point
from foveate.actions.schema import CLASSES, Action

Written: TypeAlias = tuple[float, ...] | tuple[tuple[float, ...], ...] | None
"""A place's numbers as the model wrote them: of a point or box, of a path, or None."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Two or four numbers that name a place, as written.

    Attributes:
        numbers: x, y of a point or x1, y1, x2, y2 of a box.
        per_mille: True where InternVL's own ``<box>`` or ``<ref>`` tags fix the scale at 0..1000.
        fractional: True where one of them was written with a decimal point or an exponent: ``1.0``, not ``1``.

    Raises:
        ParseError: If there are as many numbers as no place has.
    """

    numbers: tuple[float, ...]
    per_mille: bool = False
    fractional: bool = False

    def __post_init__(self) -> None:
        if len(self.numbers) not in (2, 4):
            raise ParseError(f"a place is two numbers (a point) or four (a box), not {len(self.numbers)}")

    @classmethod
    def of(cls, written: Sequence[object], *names: str, per_mille: bool = False) -> "Spot":
        """Make a place of numbers, or of texts that are numbers, and remember whether they are whole ones.

        Args:
            written: The numbers.
            names: What to call each in an error, or one name for all.
            per_mille: True where tags fix the scale at 0..1000.

        Raises:
            ParseError: If one is no number, or there are as many as no place has.
        """
        names = names if len(names) == len(written) else names[:1] * len(written)
        numbers = tuple(number(item, name) for item, name in zip(written, names, strict=True))
        fractional = any(
            isinstance(item, float) or (isinstance(item, str) and not set(narrow(item)).isdisjoint(".eE"))
            for item in written
        )
        return cls(numbers, per_mille, fractional)


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
        if convention.name != "unit" and spot.fractional and any(values) and all(0 <= value <= 1 for value in values):
            # Fractions read as pixels or per mille all fall into the top left corner: refuse, never guess.
            written = ", ".join(str(value) for value in values)
            raise OutOfFrame(
                f"({written}) look like fractions of the frame: the {convention.name} convention writes "
                f"{'0..1000' if convention.name == 'per_mille' else 'pixels'}, and whole numbers up to 1"
            )
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
