"""Ask things about a screen, with the answers that its drawing knows: clicks, texts to type, values to read."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal, TypeAlias

from foveate.agent.oracles.moves import NOTCHES
from foveate.agent.training import phrases
from foveate.agent.training.goals import Goal, goals_of
from foveate.agent.training.naming import Names, operation_of
from foveate.agent.training.words import Split, Vocabulary, cased
from foveate.policies.training.screens import PLACE, Glyph, Question, Screen, Text, middle_of

Mode: TypeAlias = Literal["click", "type", "read", "look", "act"]
"""What is asked: one click; a text into a field; the word at a place; a click or a word; or everything, all of these
among it."""

Asker: TypeAlias = Callable[[random.Random, Screen, Names], Question | None]

FINISHED: Final = ("Finished", 'terminate(status="success")')
KEYS: Final = ("enter", "tab", "escape", "backspace", "delete", "up", "down", "left", "right", "space", "home", "end")
_WITHOUT_TRACE = frozenset({"button", "link", "icon", "menuitem", "sort", "page"})
_NOTHING = "Nothing changed in the picture."
_STRAY = ("The answer held no action.", "The answer could not be used: no action", "The page went to another address.")


def ask(rng: random.Random, screen: Screen, count: int, *, mode: Mode = "act") -> tuple[Question, ...]:
    """Ask a number of questions about a screen, each about something else where there is enough on it.

    Args:
        rng: Decides everything.
        screen: Its elements and texts are what is asked about; its questions are not looked at.
        count: How many, at most: fewer where the screen has nothing more of the kind.
        mode: What is asked.
    """
    names = Names(screen)
    asked: dict[str, Question] = {}
    for _ in range(count * 6):
        if len(asked) == count:
            break
        question = _draw(rng, mode)(rng, screen, names)
        if question is not None:
            asked.setdefault(question.task, question)
    return tuple(asked.values())


def _draw(rng: random.Random, mode: Mode) -> Asker:
    askers = MODES[mode]
    return rng.choices([asker for asker, _ in askers], [weight for _, weight in askers])[0]


def _vocabulary(rng: random.Random, screen: Screen) -> Vocabulary:
    split: Split = "unseen" if screen.facts.get("split") == "unseen" else "seen"
    return Vocabulary(rng, split, screen.facts.get("language", "en"))


def quoted(text: str) -> str:
    """Write a text as a literal of a call."""
    return json.dumps(text, ensure_ascii=False)


def one_click(rng: random.Random, screen: Screen, names: Names) -> Question | None:
    """Ask for one click on an element, none of a kind more often for being many."""
    if not names.pressable:
        return None
    some = names.pressable if rng.random() < 0.4 else names.by_role[rng.choice(sorted(names.by_role))]
    index = rng.choice(some)
    element = screen.elements[index]
    task = names.task(rng, element)
    operation = operation_of(element, task)
    question = Question(task, operation, f"click({PLACE})", index)
    chance = rng.random()
    if chance < 0.03:  # it was tried, and nothing came of it
        return replace(question, operations=(operation,), notes=(_NOTHING,))
    if chance < 0.05:
        return replace(question, notes=(rng.choice(_STRAY),))
    return question


def clicked(rng: random.Random, screen: Screen, names: Names) -> Question | None:
    """Ask for a click that the history says is done."""
    question = one_click(rng, screen, names)
    if question is None or question.element is None:
        return None
    if screen.elements[question.element].role not in _WITHOUT_TRACE:
        return None  # the screen would show it
    return Question(question.task, *FINISHED, operations=(question.operation,))


def presses(rng: random.Random, screen: Screen, names: Names) -> Question | None:
    """Ask for two or three presses that leave no trace on the screen, some of them done."""
    able = [index for index in names.pressable if screen.elements[index].role in _WITHOUT_TRACE]
    if len(able) < 2:
        return None
    chosen = rng.sample(able, min(len(able), rng.choice((2, 2, 3))))
    step = rng.randint(0, len(chosen))
    tasks = [names.task(rng, screen.elements[index]) for index in chosen]
    task = phrases.joined(rng, tasks)
    operations = [operation_of(screen.elements[index], one) for index, one in zip(chosen, tasks, strict=True)]
    before = tuple(operations[:step])
    if step == len(chosen):
        return Question(task, *FINISHED, operations=before)
    return Question(task, operations[step], f"click({PLACE})", chosen[step], before)


def several(rng: random.Random, screen: Screen, names: Names) -> Question | None:
    """Ask for several things, some of which are done."""
    return _step(rng, goals_of(rng, screen, names, _vocabulary(rng, screen), rng.choice((1, 1, 2, 2, 2, 3, 3, 4))))


def typing(rng: random.Random, screen: Screen, names: Names) -> Question | None:
    """Ask for a text in a field: to click it, to type, or to end."""
    return _step(rng, goals_of(rng, screen, names, _vocabulary(rng, screen), 1, kinds=("field",)))


def _step(rng: random.Random, goals: Sequence[Goal]) -> Question | None:
    """Ask for the first goal that is not reached, the others before it being history."""
    if not goals:
        return None
    task = phrases.joined(rng, [goal.task for goal in goals])
    done: list[str] = []
    for goal in goals:
        if goal.call is not None:
            operations = (*done, *goal.before)
            return Question(task, goal.operation, goal.call, goal.element, operations[-8:])
        done += goal.before
    return Question(task, *FINISHED, operations=tuple(done[-8:]))


def word_at(rng: random.Random, screen: Screen, _: Names) -> Question | None:
    """Ask for the word that stands at a place."""
    places = [found for text in screen.texts for found in words_of(text) if any(map(str.isalnum, found[0]))]
    if not places:
        return None
    word, glyphs = rng.choice(places)
    across, down = (f"{min(max(int(value * 100 + 0.5), 0), 99) / 100:.2f}" for value in middle_of(glyphs))
    task = rng.choice(phrases.PLACE).format(x=across, y=down)
    return replace(_answered(rng, task, word, share=0.04), reads=glyphs)


def words_of(text: Text) -> list[tuple[str, tuple[Glyph, ...]]]:
    """Give a text's words with their characters."""
    found, start = [], 0
    for word in text.text.split():
        glyphs = text.glyphs[start : start + len(word)]
        start += len(word)
        if glyphs:
            found.append((word, glyphs))
    return found


def _answered(rng: random.Random, task: str, answer: str, share: float = 0.12) -> Question:
    operation = f"Answer {answer}"
    if rng.random() < share:
        return Question(task, *FINISHED, operations=(operation,))
    return Question(task, operation, f"response(answer={quoted(answer)})")


def value(rng: random.Random, screen: Screen, names: Names) -> Question | None:
    """Ask for what a screen says about something."""
    if not names.telling:
        return None
    element = screen.elements[rng.choice(names.telling)]
    name, facts = phrases.said(rng, element.name), element.facts
    if element.role in ("checkbox", "switch"):
        return _answered(
            rng, rng.choice(phrases.STATE[element.role]).format(n=name), "yes" if facts.get("state") == "on" else "no"
        )
    templates = {"field": phrases.FIELD_VALUE, "select": phrases.CHOSEN}.get(element.role, phrases.VALUE)
    templates = phrases.VALUE_OF_ROW if "row" in facts else templates
    return _answered(rng, rng.choice(templates).format(n=name, r=facts.get("row", "")), facts["value"])


def absent(rng: random.Random, screen: Screen, names: Names) -> Question | None:
    """Ask for something that is not there: it cannot be done, or one has to scroll."""
    words = _vocabulary(rng, screen)
    way = rng.choice([way for way in ("below", "above") if screen.facts.get(f"more {way}")] or [""])
    hidden = [name for name in screen.facts.get(way, "").split("\n") if len(name) > 2] if way else []
    if hidden:
        name = rng.choice(hidden)
        if names.shows(name):
            return None
        task = rng.choice((*phrases.CLICK, "Find {n}", "Find {n}", "Scroll to {n}", "Look for {n}")).format(n=name)
        return _scrolled(rng, task, "down" if way == "below" else "up")
    if way:
        return None
    role = rng.choice(("button", "link", "field", "checkbox off", "radio", "tab", "delete", "row", "icon", "menuitem"))
    name = cased(rng, rng.choice((words.action, words.field, words.thing))())
    name = rng.choice(sorted(phrases.OTHER_NAMES)) if role == "icon" else name
    if names.shows(name) or (role == "icon" and names.has_icon(name)):
        return None
    task = rng.choice(phrases.BY_ROLE[role]).format(n=name, g=cased(rng, words.field()), m="")
    if role == "field" and rng.random() < 0.6:
        task = rng.choice(phrases.TYPE).format(n=name, v=words.value())
    thing = f"{name} icon" if role == "icon" else name
    return Question(task, "Not possible", f'terminate(status="failure", info={quoted(f"there is no {thing}")})')


def _scrolled(rng: random.Random, task: str, way: str) -> Question:
    before = tuple([f"Scroll {way}"] * rng.choice((0, 0, 0, 1, 2)))
    return Question(task, f"Scroll {way}", _turned(way), operations=before)


def _turned(way: str) -> str:
    return f"scroll(clicks={-NOTCHES if way == 'down' else NOTCHES})"


def scroll(rng: random.Random, screen: Screen, _: Names) -> Question | None:
    """Ask for scrolling, or for a page's end."""
    way = rng.choice(("down", "down", "up"))
    more = screen.facts.get("more below" if way == "down" else "more above")
    if rng.random() < 0.3:
        end = "bottom" if way == "down" else "top"
        task = rng.choice(("Scroll to the {}", "Go to the {} of the page", "Show the {} of the page")).format(end)
        return _scrolled(rng, task, way) if more else Question(task, *FINISHED, operations=(f"Scroll {way}",))
    task = rng.choice(("Scroll {}", "Scroll {}", "Scroll the page {}", "Scroll {} a little", "Scroll further {}"))
    return _once(rng, task.format(way), f"Scroll {way}", _turned(way))


def _once(rng: random.Random, task: str, operation: str, call: str) -> Question:
    """Ask for something that takes one step; every third time it is done."""
    if rng.random() < 0.33:
        return Question(task, *FINISHED, operations=(operation,))
    return Question(task, operation, call)


def key(rng: random.Random, _: Screen, __: Names) -> Question | None:
    """Ask for a key."""
    name = rng.choice(KEYS)
    spoken = name.capitalize() if rng.random() < 0.7 else name
    task = rng.choice(("Press {}", "Press the {} key", "Hit {}", "Press {} on the keyboard")).format(spoken)
    return _once(rng, task, f"Press {name}", f'press(keys="{name}")')


def wait(rng: random.Random, _: Screen, __: Names) -> Question | None:
    """Ask to let time pass."""
    seconds = rng.randint(2, 9)
    task = rng.choice(("Wait {} seconds", "Wait for {} seconds", "Wait {} s", "Do nothing for {} seconds"))
    return _once(rng, task.format(seconds), f"Wait {seconds} seconds", f"wait(seconds={seconds})")


def text(rng: random.Random, screen: Screen, names: Names) -> Question | None:
    """Ask for a text in whatever has the focus."""
    if not any(element.facts.get("focused") for element in screen.elements):
        return None
    said = _vocabulary(rng, screen).value()
    task = rng.choice(("Type {}", "Type {}", 'Type "{}"', "Write {}", "Enter the text {}")).format(said)
    if names.shows(said):
        return None
    return Question(task, f"Type {said}", f"write(message={quoted(said)})")


MODES: Final[Mapping[Mode, tuple[tuple[Asker, float], ...]]] = {
    "click": ((one_click, 1),),
    "type": ((typing, 1),),
    "read": ((word_at, 1),),
    "look": ((one_click, 4), (word_at, 1)),
    "act": (
        (one_click, 40), (typing, 16), (several, 18), (presses, 5), (word_at, 10), (value, 5), (absent, 5),
        (clicked, 2), (scroll, 2), (key, 2), (wait, 1), (text, 2),
    ),
}  # fmt: skip
"""What is asked in each mode, and how often."""
