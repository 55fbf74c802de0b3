"""What an oracle wants to be true of a page, and the step that brings it nearer.

A want looks at the page's true state (``Sight``) and gives the next ``Move``, or None where it is fulfilled. Nothing is
remembered between steps, so that whatever went wrong before, the next step is right again.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

from foveate.actions.errors import PolicyError
from foveate.envs.base import PendingDialog
from foveate.policies.training.screens import PLACE, Element, Text

NOTCHES: Final = 2
"""How far the oracle scrolls a page at once: less than a small viewport, so that nothing is passed by."""

_NOTCH = 100  # CSS pixels
_OPERATION = 60  # characters


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


@dataclass(frozen=True, slots=True)
class Move:
    """One step.

    Attributes:
        operation: The sentence that says it, cut to what a history keeps.
        call: The action in the canonical form, ``{place}`` where its place stands.
        key: What the place is of; None where the call has none.
    """

    operation: str
    call: str
    key: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "operation", self.operation[:_OPERATION].rstrip())


Condition: TypeAlias = Callable[[Sight], bool]


class Want(Protocol):
    """Something that is to be true."""

    def step(self, sight: Sight) -> Move | None:
        """Give the next step towards it; None where it is so.

        Raises:
            OracleLost: If there is none.
        """


# Moves --------------------------------------------------------------------------------------------------------------


def write(text: str) -> Move:
    """Type a text into what has the focus."""
    return Move(f"Type {text}", f"write(message={json.dumps(text, ensure_ascii=False)})")


def press(key: str) -> Move:
    """Press one key."""
    return Move(f"Press {key}", f'press(keys="{key}")')


SELECT_ALL: Final = Move("Select all", 'hotkey("control", "a")')
FINISHED: Final = Move("Finished", 'terminate(status="success")')


def answer(text: str) -> Move:
    """Give the answer that the task asks for."""
    return Move(f"Answer {text}", f"response(answer={json.dumps(text, ensure_ascii=False)})")


def give_up(reason: str) -> Move:
    """Say that the task cannot be done."""
    return Move("Not possible", f'terminate(status="failure", info={json.dumps(reason, ensure_ascii=False)})')


def scroll(down: bool, part: Thing | None = None) -> Move:
    """Turn the wheel, over a part that scrolls, by less than its height, or where the pointer is."""
    notches = NOTCHES if part is None else max(1, min(NOTCHES, int(0.9 * part.height) // _NOTCH))
    place = "" if part is None else f", {PLACE}"
    call = f"scroll(clicks={-notches if down else notches}{place})"
    return Move(f"Scroll {'down' if down else 'up'}", call, None if part is None else part.key)


def click(sight: Sight, key: str, operation: str) -> Move:
    """Click something, or scroll until it can be clicked."""
    thing = sight.thing(key)
    if thing.element is not None:
        return Move(operation, f"click({PLACE})", key)
    return towards(sight, thing)


def towards(sight: Sight, thing: Thing) -> Move:
    """Scroll towards something that is out of view.

    Raises:
        OracleLost: If scrolling does not bring it into view.
    """
    if not thing.away:
        raise OracleLost(f"{thing.key!r} ({thing.name}) cannot be seen, and scrolling does not help")
    if not thing.scroller:
        return scroll(thing.away > 0)
    part = sight.thing(thing.scroller)
    if part.element is None:
        return towards(sight, part)
    return scroll(thing.away > 0, part)


# Wants --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class All:
    """Several wants, in their order."""

    wants: Sequence[Want]

    def step(self, sight: Sight) -> Move | None:
        """Give the step of the first that is not fulfilled."""
        return next((move for want in self.wants if (move := want.step(sight)) is not None), None)


@dataclass(frozen=True, slots=True)
class Until:
    """Wants that lead to a state; where it is reached they do not matter any more."""

    reached: Condition
    wants: Sequence[Want]

    def step(self, sight: Sight) -> Move | None:
        """Give the step of the first that is not fulfilled, unless the state is reached."""
        return None if self.reached(sight) else All(self.wants).step(sight)


@dataclass(frozen=True, slots=True)
class Within:
    """Something is to be so in a part of the page that may be shut: it is opened where that is needed.

    Attributes:
        opened: The part is open.
        opener: Opens it.
        want: What is to be so in it.
    """

    opened: Condition
    opener: Want
    want: Want

    def step(self, sight: Sight) -> Move | None:
        """Open the part, then do what is wanted."""
        if self.opened(sight):
            return self.want.step(sight)
        return self.opener.step(sight) if _unmet(self.want, sight) else None


@dataclass(frozen=True, slots=True)
class Paged:
    """Wants on pages that follow one another, of which one is shown.

    Attributes:
        pages: One want a page.
        forward: Key of what leads to the next page.
        onward: How that is said.
        back: Key of what leads to the page before.
        backward: How that is said.
        at: Name under which the page's state holds the number of the page that is shown, from 0.
    """

    pages: Sequence[Want]
    forward: str
    onward: str
    back: str
    backward: str
    at: str = "page"

    def step(self, sight: Sight) -> Move | None:
        """Do what is wanted on this page; go back where something was left undone, else on."""
        page = int(sight.state[self.at])
        if any(_unmet(want, sight) for want in self.pages[:page]):
            return click(sight, self.back, self.backward)
        move = self.pages[page].step(sight)
        if move is not None or page == len(self.pages) - 1:
            return move
        return click(sight, self.forward, self.onward)


def _unmet(want: Want, sight: Sight) -> bool:
    """Tell whether something is still to be done for a want whose part of the page may be shut."""
    try:
        return want.step(sight) is not None
    except OracleLost:
        return True


@dataclass(frozen=True, slots=True)
class Clicked:
    """Something was clicked; it is clicked again until the state is reached, if one is named, else for ever."""

    key: str
    operation: str
    reached: Condition = field(default=lambda _sight: False)

    def step(self, sight: Sight) -> Move | None:
        """Click it."""
        return None if self.reached(sight) else click(sight, self.key, self.operation)


@dataclass(frozen=True, slots=True)
class Holds:
    """A field holds a text: it is clicked, cleared where it holds another, and typed into."""

    key: str
    name: str
    text: str

    def step(self, sight: Sight) -> Move | None:
        """Go to the field, clear it, type."""
        thing = sight.thing(self.key)
        if thing.value == self.text:
            return None
        if not thing.focused or thing.element is None:
            return click(sight, self.key, f"Click {self.name}")
        if self.text and (not thing.value or thing.marked):
            return write(self.text)
        if thing.value[:-1] == self.text or thing.marked:
            return press("backspace")
        return SELECT_ALL


@dataclass(frozen=True, slots=True)
class Entered:
    """The Enter key was pressed in a field; again until the state is reached, if one is named."""

    key: str
    name: str
    reached: Condition = field(default=lambda _sight: False)

    def step(self, sight: Sight) -> Move | None:
        """Go to the field, press Enter."""
        if self.reached(sight):
            return None
        thing = sight.thing(self.key)
        return press("enter") if thing.focused else click(sight, self.key, f"Click {self.name}")


@dataclass(frozen=True, slots=True)
class Ticked:
    """A box is ticked, or not; a switch is on, or off."""

    key: str
    name: str
    on: bool = True

    def step(self, sight: Sight) -> Move | None:
        """Click its mark where it is otherwise."""
        thing = sight.thing(self.key)
        if thing.checked == self.on:
            return None
        return click(sight, self.key, f"{'Tick' if self.on else 'Untick'} {self.name}")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A radio button, option, chip or tab is the chosen one."""

    key: str
    operation: str

    def step(self, sight: Sight) -> Move | None:
        """Click it where it is not."""
        return None if sight.thing(self.key).checked else click(sight, self.key, self.operation)


@dataclass(frozen=True, slots=True)
class Shows:
    """A drop-down list shows an option: it is opened, and the option clicked that the runtime draws."""

    key: str
    name: str
    label: str

    def step(self, sight: Sight) -> Move | None:
        """Open the list, choose in it; a list that is open by mistake is closed."""
        if sight.listed == self.key:
            if sight.thing(self.key).value == self.label:
                return press("escape")
            return click(sight, option_key(self.label), f"Choose {self.label}")
        if sight.thing(self.key).value == self.label:
            return None
        if sight.listed is not None:
            return press("escape")
        return click(sight, self.key, f"Open {self.name}")


def option_key(label: str) -> str:
    """Give the key of a drawn option of an open drop-down list."""
    return f"option: {label}"


@dataclass(frozen=True, slots=True)
class Counts:
    """A stepper shows a number.

    Attributes:
        key: What shows the number.
        more: The key of its plus.
        less: The key of its minus.
        name: What it counts.
        target: The number.
    """

    key: str
    more: str
    less: str
    name: str
    target: int

    def step(self, sight: Sight) -> Move | None:
        """Press plus or minus once."""
        count = int(sight.thing(self.key).value)
        if count == self.target:
            return None
        if count < self.target:
            return click(sight, self.more, f"Increase {self.name}")
        return click(sight, self.less, f"Decrease {self.name}")


@dataclass(frozen=True, slots=True)
class Replied:
    """A dialog of the browser's, if one is open, gets its answer; its field is filled in before."""

    accept: bool = True
    text: str | None = None

    def step(self, sight: Sight) -> Move | None:
        """Type, press one of its buttons."""
        if sight.dialog is None:
            return None
        if self.accept and self.text is not None and sight.thing(DIALOG_FIELD).value != self.text:
            return write(self.text) if sight.thing(DIALOG_FIELD).marked else SELECT_ALL
        return click(sight, ACCEPT if self.accept else DISMISS, f"Click {'OK' if self.accept else 'Cancel'}")


ACCEPT: Final = "dialog: accept"
DISMISS: Final = "dialog: dismiss"
DIALOG_FIELD: Final = "dialog: field"


@dataclass(frozen=True, slots=True)
class Seen:
    """Something can be seen: it is scrolled to."""

    key: str

    def step(self, sight: Sight) -> Move | None:
        """Scroll towards it."""
        thing = sight.thing(self.key)
        return None if thing.element is not None else towards(sight, thing)


@dataclass(frozen=True, slots=True)
class AtEnd:
    """The page is scrolled to its end: what was not seen is not there."""

    def step(self, sight: Sight) -> Move | None:
        """Scroll down."""
        return scroll(True) if sight.below > 4 else None


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing is wanted."""

    def step(self, sight: Sight) -> Move | None:
        """Do nothing."""
        return None


def says(name: str, value: object) -> Condition:
    """Make the condition that the page's state holds a value under a name."""
    return lambda sight: sight.state.get(name) == value


def keeps(name: str, goal: Mapping[str, Any]) -> Condition:
    """Make the condition that the page's state holds an object under a name that has all of a goal's values."""

    def reached(sight: Sight) -> bool:
        found = sight.state.get(name)
        return isinstance(found, Mapping) and all(found.get(key) == value for key, value in goal.items())

    return reached
