"""What an oracle knows of a page: its true state, and what of it can be seen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from foveate.actions.errors import PolicyError
from foveate.envs.base import PendingDialog
from foveate.policies.training.screens import Element, Text

ACCEPT: Final = "dialog: accept"
DISMISS: Final = "dialog: dismiss"
DIALOG_FIELD: Final = "dialog: field"
"""Keys of the parts of a dialog that the runtime draws."""


def option_key(label: str) -> str:
    """Give the key of a drawn option of an open drop-down list."""
    return f"option: {label}"


class OracleLost(PolicyError):
    """Raised when an oracle finds no step: what it looks for is not on the page."""


@dataclass(frozen=True, slots=True)
class Thing:
    """Something on the page that can be acted on, as the oracle knows it.

    Attributes:
        key: Its name in the page's code.
        role: What it is.
        name: What a person calls it.
        element: Its place among the screen's elements; None where it cannot be seen and pressed now.
        away: How far below (positive) or above (negative) the view it is, in CSS pixels; 0 in view, None where it is
            not laid out at all.
        scroller: Key of what must be scrolled to see it; empty where it is the page.
        value: What a field holds, the label that a drop-down list shows, or what the page says of it.
        checked: It is ticked, chosen, open or selected.
        focused: The keyboard goes to it.
        marked: Its whole text is selected: typing replaces it.
        height: How much of its height is in view, in CSS pixels.
    """

    key: str
    role: str
    name: str
    element: int | None
    away: int | None = 0
    scroller: str = ""
    value: str = ""
    checked: bool = False
    focused: bool = False
    marked: bool = False
    height: int = 0


@dataclass(frozen=True, slots=True)
class Sight:
    """The true state of a page, and what of it can be seen.

    Attributes:
        things: By key.
        state: What the page says of itself.
        texts: What can be read.
        elements: What can be pointed at.
        listed: Key of the drop-down list that is drawn open; None where none is.
        dialog: The dialog that holds the page up.
        above: How much of the page lies above the view, in CSS pixels.
        below: How much of it lies below the view.
    """

    things: Mapping[str, Thing]
    state: Mapping[str, Any]
    texts: tuple[Text, ...] = ()
    elements: tuple[Element, ...] = ()
    listed: str | None = None
    dialog: PendingDialog | None = None
    above: int = 0
    below: int = 0

    def thing(self, key: str) -> Thing:
        """Give a thing.

        Raises:
            OracleLost: If the page has none of that key.
        """
        if key not in self.things:
            raise OracleLost(f"the page has nothing called {key!r}: it has {', '.join(sorted(self.things))}")
        return self.things[key]


Condition: TypeAlias = Callable[[Sight], bool]
"""Tells whether something is so."""


def says(name: str, value: object) -> Condition:
    """Make the condition that the page's state holds a value under a name."""
    return lambda sight: sight.state.get(name) == value


def keeps(name: str, goal: Mapping[str, Any]) -> Condition:
    """Make the condition that the page's state holds an object under a name that has all of a goal's values."""

    def reached(sight: Sight) -> bool:
        found = sight.state.get(name)
        return isinstance(found, Mapping) and all(found.get(key) == value for key, value in goal.items())

    return reached
