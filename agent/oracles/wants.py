"""What an oracle wants to be true of a page, and the step that brings it nearer.

A want looks at the page's true state (``Sight``) and gives the next ``Move``, or None where it is fulfilled. Nothing is
remembered between steps, so that whatever went wrong before, the next step is right again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from foveate.agent.oracles.moves import SELECT_ALL, Move, click, press, scroll, towards, write
from foveate.agent.oracles.state import ACCEPT, DIALOG_FIELD, DISMISS, Condition, OracleLost, Sight, option_key


class Want(Protocol):
    """Something that is to be true."""

    def step(self, sight: Sight) -> Move | None:
        """Give the next step towards it; None where it is so.

        Raises:
            OracleLost: If there is none.
        """


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
    """The Enter key was pressed in a field; again until the state is reached, if one is named.

    Attributes:
        key: The field's.
        name: What it is called.
        reached: The state.
        also: Keys of other fields that do as well.
    """

    key: str
    name: str
    reached: Condition = field(default=lambda _sight: False)
    also: Sequence[str] = ()

    def step(self, sight: Sight) -> Move | None:
        """Go to the field, press Enter."""
        if self.reached(sight):
            return None
        if any(sight.thing(key).focused for key in (self.key, *self.also)):
            return press("enter")
        return click(sight, self.key, f"Click {self.name}")


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
