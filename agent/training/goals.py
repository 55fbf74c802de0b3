"""Things to bring about on a screen, and how far each of them is: what is done, what comes next."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from foveate.agent.training import phrases
from foveate.agent.training.naming import Names, operation_of
from foveate.agent.training.words import Vocabulary
from foveate.policies.training.screens import PLACE, Element, Screen


@dataclass(frozen=True, slots=True)
class Goal:
    """Something to bring about.

    Attributes:
        task: How it is asked for.
        before: What was done for it.
        operation: What comes next.
        call: The next action; None where it is reached.
        element: Where the action is to be done.
    """

    task: str
    before: tuple[str, ...] = ()
    operation: str = ""
    call: str | None = None
    element: int | None = None


Maker = Callable[[random.Random, Element, int, Vocabulary], Goal | None]


def _field(rng: random.Random, field: Element, index: int, words: Vocabulary) -> Goal | None:
    facts = field.facts
    if facts.get("kind") == "password" and facts.get("filled"):
        return None
    there = facts.get("value", "")
    wanted = there if there and rng.random() < 0.6 else words.value()
    enter = rng.random() < 0.12
    templates = phrases.SEARCH if facts.get("kind") == "search" and rng.random() < 0.5 else phrases.TYPE
    quote = '"{}"' if rng.random() < 0.12 else "{}"
    task = rng.choice(templates).format(v=quote.format(wanted), n=phrases.said(rng, field.name))
    task += rng.choice((" and press enter", ", then press enter")) if enter else ""
    click, typed = f"Click {field.name}", f"Type {wanted}"[:60]
    focused = bool(facts.get("focused"))
    if there == wanted:
        done: tuple[str, ...] = rng.choice(((click, typed), (click, typed), (click, "Select all", typed)))
        if enter and (focused or rng.random() < 0.5):
            return Goal(task, done, "Press enter", 'press(keys="enter")')
        return Goal(task, (*done, "Press enter") if enter else done)
    if not focused:
        return Goal(task, (), click, f"click({PLACE})", index)
    before = (click,) if rng.random() < 0.8 else ()
    if there:
        if rng.random() < 0.5:
            return Goal(task, before, "Select all", 'hotkey("control", "a")')
        return None  # whether all is selected would have to be seen
    return Goal(task, before, typed, f"write(message={json.dumps(wanted, ensure_ascii=False)})")


def _tick(rng: random.Random, box: Element, index: int, _: Vocabulary) -> Goal:
    on = box.facts.get("state") == "on"
    wanted = rng.random() < 0.5 if not on else rng.random() < 0.7
    task = rng.choice(phrases.BY_ROLE[f"{box.role} {'off' if wanted else 'on'}"]).format(n=phrases.said(rng, box.name))
    operation = f"{'Tick' if wanted else 'Untick'} {box.name}"[:60]
    if on == wanted:
        return Goal(task, (operation,) if rng.random() < 0.8 else ())
    return Goal(task, (), operation, f"click({PLACE})", index)


def _choice(rng: random.Random, option: Element, index: int, _: Vocabulary) -> Goal:
    task = rng.choice(phrases.BY_ROLE[option.role]).format(
        n=phrases.said(rng, option.name), g=option.facts.get("group", "")
    )
    if option.facts.get("state") == "on":
        return Goal(task, (operation_of(option),))
    return Goal(task, (), operation_of(option), f"click({PLACE})", index)


def _count(rng: random.Random, mark: Element, index: int, _: Vocabulary) -> Goal | None:
    """Bring a number to a value: the mark for it must be there, and what was pressed before is history."""
    now = int(mark.facts["value"])
    up = mark.role == "increase"
    left, done = rng.randint(0, 3), rng.randint(0, 2)
    target = now + left if up else now - left
    if target < 0 or (not up and now + done < 0) or (up and now - done < 0):
        return None
    task = rng.choice(("Set {n} to {v}", "Set {n} to {v}", "Change {n} to {v}", "Bring {n} to {v}")).format(
        n=phrases.said(rng, mark.name), v=target
    )
    before = (operation_of(mark),) * done
    if not left:
        return Goal(task, before)
    return Goal(task, before, operation_of(mark), f"click({PLACE})", index)


def _press(rng: random.Random, button: Element, index: int, _: Vocabulary) -> Goal | None:
    if "row" in button.facts:
        return None
    task = rng.choice(phrases.CLICK).format(n=button.name)
    return Goal(task, (), operation_of(button), f"click({PLACE})", index)


MAKERS: Final[Mapping[str, Maker]] = {
    "field": _field, "checkbox": _tick, "switch": _tick, "radio": _choice, "tab": _choice, "option": _choice,
    "increase": _count, "decrease": _count, "button": _press,
}  # fmt: skip
"""By role: what can be brought about and seen on the screen."""

_LAST: Final = ("button",)


def goals_of(
    rng: random.Random, screen: Screen, names: Names, words: Vocabulary, count: int, kinds: Sequence[str] = ()
) -> tuple[Goal, ...]:
    """Make up to so many goals about different things, what is done first, what is to be pressed last.

    Args:
        rng: Decides everything.
        screen: What it is about.
        names: What on it can be named.
        words: Gives texts to type.
        count: How many at most.
        kinds: The roles; all that MAKERS knows by default.
    """
    able = [index for index in (*names.pressable, *names.reached) if screen.elements[index].role in (kinds or MAKERS)]
    rng.shuffle(able)
    if rng.random() < 0.5:
        able.sort(key=lambda index: not screen.elements[index].facts.get("focused"))
    taken: set[str] = set()
    found: list[Goal] = []
    last: list[Goal] = []
    for index in able:
        element = screen.elements[index]
        about = element.facts.get("group") or element.name
        if len(found) + len(last) == count or about in taken or (element.role in _LAST and last):
            continue
        goal = MAKERS[element.role](rng, element, index, words)
        if goal is not None:
            taken.add(about)
            (last if element.role in _LAST else found).append(goal)
    if not found:
        return ()
    # A step that the screen shows half done, a field that has the focus, comes before what was not begun.
    found.sort(key=lambda goal: (goal.call is not None, not goal.before))
    return (*found, *last)
