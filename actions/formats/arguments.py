"""The arguments of one call, bound to a function's parameters and read by type."""

from collections.abc import Mapping, Sequence

from foveate.actions.errors import ParseError
from foveate.actions.formats import places, values
from foveate.actions.formats.literal import Call
from foveate.actions.formats.reading import Reading, Spot
from foveate.actions.formats.values import excerpt

PLACES = ("start_box", "start_point", "point", "coordinate", "coordinates", "position", "coord", "box", "bbox", "at")
"""Names under which families give a place as one value."""

IGNORED = frozenset({"interval", "tween", "logScreenshot", "_pause", "element_type", "element_info"})
"""Parameters that change how, not what, is done (pyautogui), or that say what is there (CogAgent)."""


class Arguments:
    """A call's arguments by name; what nobody asked for is refused by ``finish``.

    Args:
        call: The call as the model wrote it.
        positional: Names of its parameters in order.
        reading: What places are read with.

    Raises:
        ParseError: If there are more positional arguments than parameters, or one is given twice.
    """

    def __init__(self, call: Call, positional: Sequence[str], reading: Reading) -> None:
        self.call = call
        self.reading = reading
        self.given = dict(call.kwargs)
        self._asked: set[str] = set()
        for index, value in enumerate(call.args):
            name = positional[index] if index < len(positional) else ""
            if name == "x" and isinstance(value, str | list | dict) and "y" not in self.given and len(call.args) != 2:
                name = "point" if not isinstance(value, str) or not values.is_number(value) else "x"
            elif name in ("interval", "duration") and isinstance(value, str) and not values.is_number(value):
                name = "button"
            if not name:
                raise ParseError(f"{call.name}() takes at most {len(positional)} positional arguments")
            if name in self.given:
                raise ParseError(f"{call.name}() got {name} twice")
            self.given[name] = value

    def raw(self, *names: str) -> object:
        """Give the value under the one of these names that is given and not None; None where there is none.

        Raises:
            ParseError: If more than one is given.
        """
        self._asked.update(names)
        present = [name for name in names if self.given.get(name) is not None]
        if len(present) > 1:
            raise ParseError(f"{self.call.name}() got both {present[0]} and {present[1]}")
        return self.given[present[0]] if present else None

    def has(self, *names: str) -> bool:
        """Tell whether one of these names is given and not None."""
        return any(self.given.get(name) is not None for name in names)

    def number(self, *names: str, default: float | None = None) -> float:
        """Read a number.

        Raises:
            ParseError: If it is none, or absent without a default.
        """
        value = self.raw(*names)
        return values.number(self._or(value, default, names), names[0])

    def integer(self, *names: str, default: int | None = None) -> int:
        """Read a whole number.

        Raises:
            ParseError: If it is none, or absent without a default.
        """
        return values.integer(self._or(self.raw(*names), default, names), names[0])

    def string(self, *names: str, default: str | None = None) -> str:
        """Read a text.

        Raises:
            ParseError: If it is none, or absent without a default.
        """
        return values.string(self._or(self.raw(*names), default, names), names[0])

    def strings(self, *names: str) -> tuple[str, ...]:
        """Read a text or a list of texts.

        Raises:
            ParseError: If it is neither, or absent.
        """
        return values.strings(self._or(self.raw(*names), None, names), names[0])

    def button(self) -> Mapping[str, str]:
        """Read the button where one is given."""
        value = self.raw("button")
        return {} if value is None else {"button": values.button(value)}

    def spot(self, *names: str) -> Spot | None:
        """Read a place given as one value or as x and y; None where neither is given.

        Args:
            names: Names of the value; those that families use for the one place of an action by default.

        Raises:
            ParseError: If half of it, or it and x or y, is given.
        """
        value = self.raw(*(names or PLACES))
        if names:
            return None if value is None else places.place(value, names[0])
        x, y = self.raw("x"), self.raw("y")
        if value is not None:
            if x is not None or y is not None:
                raise ParseError(f"{self.call.name}() got a place twice")
            return places.place(value, "the place")
        if x is None and y is None:
            return None
        if y is None and isinstance(x, str | list | dict) and not values.is_number(x):
            return places.place(x, "x")
        if x is None or y is None:
            raise ParseError(f"{self.call.name}() needs both x and y, not {'y' if x is None else 'x'} alone")
        return Spot.of((x, y), "x", "y")

    def needed_spot(self, *names: str) -> Spot:
        """Read a place that must be given.

        Raises:
            ParseError: If it is absent.
        """
        spot = self.spot(*names)
        if spot is None:
            raise ParseError(f"{self.call.name}() needs a place: x and y")
        return spot

    def finish(self) -> None:
        """Check that every argument was read.

        Raises:
            ParseError: If one is not known; the message names those that are.
        """
        for name in self.given:
            if name not in self._asked and name not in IGNORED:
                known = ", ".join(sorted(self._asked - set(PLACES))) or "no argument"
                raise ParseError(f"{self.call.name}() has no argument {excerpt(name)}; it takes {known}")

    def ignore(self, *names: str) -> None:
        """Take arguments that do not change what is done."""
        self._asked.update(names)

    def _or(self, value: object, default: object, names: tuple[str, ...]) -> object:
        if value is None and default is None:
            raise ParseError(f"{self.call.name}() needs {names[0]}")
        return default if value is None else value
