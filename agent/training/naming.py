"""Which of a screen's elements can be named without doubt, and by which words."""

import random
from collections import Counter

from foveate.agent.training import phrases
from foveate.policies.training.screens import Element, Screen

WORDLESS = frozenset({"icon", "star", "slider"})
"""Roles that are found without a text of their own."""

_OPENED = frozenset({"row", "section", "select"})

_NOT_PRESSED = frozenset({"value", "scroller"})

_TELLING = frozenset({"value", "field", "select", "checkbox", "switch"})


def kind_of(element: Element) -> str:
    """Give an element's role, with its state where a click on it means something else in each."""
    state = element.facts.get("state", "")
    if element.role in ("checkbox", "switch", "section"):
        return f"{element.role} {state}"
    return "select open" if element.role == "select" and state == "open" else element.role


def operation_of(element: Element, task: str = "") -> str:
    """Say what a click on an element does, as the answer says it: ``Click Save``, ``Tick Newsletter``.

    Args:
        element: What is clicked.
        task: How it was asked for: who says ``Click Eggs`` of a row that opens hears ``Click Eggs``.
    """
    facts = element.facts
    template = phrases.OPERATIONS.get(kind_of(element), "Click {n}")
    if element.role in _OPENED and task.startswith(phrases.CLICKING):
        template = "Click {n}"
    text = template.format(n=element.name, g=facts.get("group", ""))
    if "row" in facts and element.role in phrases.OF_ROW:
        text += f" for {facts['row']}"
    return text[:60]


class Names:
    """What on a screen can be asked about.

    Args:
        screen: The screen.

    Attributes:
        pressable: The elements that a click can be asked for, one instruction fitting no two of them.
        by_role: The same by role.
        reached: The elements that are chosen already.
        telling: The elements whose value or state can be asked for.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._shown = "\n".join(text.text for text in screen.texts).casefold()
        self._same = Counter(self._key(element) for element in screen.elements)
        self._icons = Counter(screen.facts.get("icons", "").split())
        good = [index for index, element in enumerate(screen.elements) if self._clear(element)]
        self.pressable = [index for index in good if self._pressable(screen.elements[index])]
        self.reached = [
            index for index in good if screen.elements[index].role in ("radio", "option", "tab")
            and screen.elements[index].facts.get("state") == "on"
        ]  # fmt: skip
        self.telling = [index for index in good if self._tells(screen.elements[index])]
        self.by_role: dict[str, list[int]] = {}
        for index in self.pressable:
            self.by_role.setdefault(screen.elements[index].role, []).append(index)

    def shows(self, name: str) -> bool:
        """Tell whether a name stands anywhere on the screen."""
        return name.casefold() in self._shown

    def has_icon(self, name: str) -> bool:
        """Tell whether an icon of that name, or one that might be called so, is drawn anywhere."""
        called = {name, *phrases.OTHER_NAMES.get(name, ())}
        return any(called & {icon, *phrases.OTHER_NAMES.get(icon, ())} for icon in self._icons)

    def task(self, rng: random.Random, element: Element) -> str:
        """Say that an element is to be clicked."""
        facts = element.facts
        row = facts.get("row", "")
        templates = phrases.OF_ROW.get(element.role, ()) if row else ()
        template = rng.choice(templates or phrases.BY_ROLE[kind_of(element)])
        name = element.name
        if element.role == "icon" and rng.random() < 0.25:
            name = self._other_name(rng, name)
        elif element.role not in ("icon", "day", "star", "page") and '"' not in template:
            name = phrases.said(rng, name)
        month = facts.get("group", "").partition(" ")[0]
        if "{m}" in template and not month.isalpha():
            template = "Choose day {n}"
        return template.format(n=name, g=facts.get("group", ""), r=row, m=month)

    def _other_name(self, rng: random.Random, name: str) -> str:
        others = [
            other
            for other in phrases.OTHER_NAMES.get(name, ())
            if other not in self._icons
            and not any(other in phrases.OTHER_NAMES.get(icon, ()) for icon in set(self._icons) - {name})
        ]
        return rng.choice(others or [name])

    @staticmethod
    def _key(element: Element) -> tuple[str, ...]:
        facts = element.facts
        return element.role, element.name.casefold(), facts.get("row", ""), facts.get("group", "")

    def _clear(self, element: Element) -> bool:
        """Tell whether it is the only one of its name, and its name can be read."""
        if self._same[self._key(element)] > 1 or element.facts.get("cut"):
            return False
        row = element.facts.get("row", "")
        if row and not self.shows(row):
            return False
        group = element.facts.get("group", "")
        if group and element.role not in ("day",) and not self.shows(group):
            return False
        if element.role == "icon":
            like = sum(one.role == "icon" and one.name == element.name for one in self._screen.elements)
            return self._icons[element.name] <= like
        if element.role in WORDLESS:
            return True
        said = " ".join(self._screen.texts[index].text for index in element.texts)
        return element.name.casefold() in said.casefold()

    @staticmethod
    def _pressable(element: Element) -> bool:
        """Tell whether a click on it brings something about: what is chosen already is not chosen again."""
        if element.role in ("radio", "option", "tab", "page", "day") and element.facts.get("state") == "on":
            return False
        return element.role not in _NOT_PRESSED and not element.facts.get("disabled")

    def _tells(self, element: Element) -> bool:
        if element.role not in _TELLING or element.facts.get("kind") == "password":
            return False
        if element.role in ("checkbox", "switch"):
            return True
        said = element.facts.get("value", "")
        return bool(said) and self.shows(said)
