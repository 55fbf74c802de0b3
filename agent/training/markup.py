"""A page while it is written: its HTML, and what each of its elements is to a person."""

import html
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

from foveate.agent.training.icons import ICONS, draw_pen, icon
from foveate.agent.training.themes import Theme
from foveate.agent.training.words import Split, Vocabulary, cased

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Mark:
    """An element as its writer means it.

    Attributes:
        role: What it is.
        name: What a person calls it.
        facts: More that can be asked about it.
    """

    role: str
    name: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """A page that is ready to be drawn.

    Attributes:
        html: What stands between its ``<html>`` tags.
        marks: Its elements; ``data-e`` in the HTML counts them.
        scroll: How far it is scrolled: 0 not at all, 1 to its end.
        facts: About the whole: seed, split, theme ...
    """

    html: str
    marks: tuple[Mark, ...]
    scroll: float
    facts: Mapping[str, str]


@dataclass(slots=True)
class Sheet:
    """A page that is being written.

    Attributes:
        rng: Decides everything.
        words: Gives its texts.
        theme: How it looks.
        split: Whether it is of what is trained on.
        marks: Its elements so far.
        overlays: What lies over the page: menus, dialogs, toasts.
        focused: Whether a field has the focus already.
        drawn: The names of all icons drawn, those beside words too.
        motley: Whether things of a kind look different each time, as on few pages.
    """

    rng: random.Random
    words: Vocabulary
    theme: Theme
    split: Split
    marks: list[Mark] = field(default_factory=list)
    overlays: list[str] = field(default_factory=list)
    focused: bool = False
    drawn: list[str] = field(default_factory=list)
    motley: bool = False
    _taken: set[str] = field(default_factory=set)
    _habits: dict[str, object] = field(default_factory=dict)

    def mark(self, role: str, name: str, **facts: str) -> int:
        """Take an element down; gives its number."""
        self.marks.append(Mark(role, name, {key: value for key, value in facts.items() if value}))
        return len(self.marks) - 1

    def name(self, draw: Callable[[], str], longest: int = 18) -> str:
        """Draw a name that nothing else on the page has, in one of the usual cases, at most so long."""
        for attempt in range(60):
            text = cased(self.rng, draw()) if attempt < 40 else cased(self.rng, self.words.made_up())
            if 1 < len(text) <= longest and self.take(text):
                return text
        text = f"{self.words.made_up()[:4].capitalize()}{len(self._taken)}"
        self.take(text)
        return text

    def take(self, text: str) -> bool:
        """Keep a name for one element; False where it is taken."""
        key = text.casefold()
        if key in self._taken:
            return False
        self._taken.add(key)
        return True

    def free(self, *names: str) -> bool:
        """Take the names of icons; False where one of them is on the page already."""
        taken = [self.take(f"icon {name}") for name in names]
        return all(taken)

    def habit(self, key: str, draw: Callable[[], T]) -> T:
        """Draw something once a page, so that things of a kind look alike; each time on a motley page."""
        if self.motley:
            return draw()
        if key not in self._habits:
            self._habits[key] = draw()
        return cast("T", self._habits[key])

    def one(self, key: str, choices: Sequence[T]) -> T:
        """Choose one of several, once a page."""
        return self.habit(key, lambda: self.rng.choice(choices))

    def icon_name(self) -> str | None:
        """Draw the name of an icon that the page does not have yet."""
        for _ in range(20):
            name = self.rng.choice(tuple(ICONS))
            if self.take(f"icon {name}"):
                return name
        return None

    def picture(
        self, name: str | None = None, size: float | None = None, style: str = "", *, plain: bool = False
    ) -> str:
        """Write an icon, any by default, about as large as the text; a plain one in its first variant."""
        name = name or self.rng.choice(tuple(ICONS))
        self.drawn.append(name)
        size = size or self.habit("icon size", lambda: round(self.theme.size * self.rng.uniform(0.95, 1.5)))
        pen = self.habit("pen", lambda: draw_pen(self.rng))
        variant = 0 if plain else self.habit(f"icon {name}", lambda: self.rng.randrange(len(ICONS[name])))
        return icon(name, variant, pen, size, style)

    def some(self, low: int, high: int) -> int:
        """Draw a number, both ends included."""
        return self.rng.randint(low, high)

    def chance(self, share: float) -> bool:
        """Give True in that share of all cases."""
        return self.rng.random() < share

    def worn(self) -> str:
        """Draw a class for a control that is hovered over or pressed at the moment; mostly none."""
        chance = self.rng.random()
        return " hover" if chance < 0.04 else " pressed" if chance < 0.06 else ""


def shown(text: str) -> str:
    """Write a text as HTML."""
    return html.escape(text, quote=True)
