"""What is asked of a generated page: one click, a text into a field, the word that stands at a place."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from foveate.agent.evaluation_items import FIXING
from foveate.agent.training import phrases
from foveate.agent.training.asking import Mode, ask, quoted
from foveate.agent.training.markup import Page
from foveate.agent.training.naming import Names
from foveate.agent.training.words import Split, Vocabulary
from foveate.policies.training.screens import PLACE, Question, Screen

_QUESTIONS = 8
"""So many are drawn; the first without a history or notes is asked."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A page and one thing that is asked of it.

    Attributes:
        page: How it is written.
        screen: What it looks like, and where everything on it stands.
        question: What is asked first, and the right answer.
        text: The text that is to be typed or said; empty where there is none.
        answers: All right answers as a model would write them, in order.
    """

    page: Page
    screen: Screen
    question: Question
    text: str = ""
    answers: tuple[str, ...] = ()


Ask: TypeAlias = Callable[[random.Random, Page, Screen], Asked | None]
"""Asks something of a page; None where the page has nothing of the kind."""


def one_click(rng: random.Random, page: Page, screen: Screen) -> Asked | None:
    """Ask for one click, in the words that training uses."""
    question = _fresh(rng, screen, "click")
    return None if question is None else Asked(page, screen, question, answers=_written(screen, question))


def word_at(rng: random.Random, page: Page, screen: Screen) -> Asked | None:
    """Ask for the word that stands at a place."""
    question = _fresh(rng, screen, "read")
    if question is None:
        return None
    word = json.loads(question.call.removeprefix("response(answer=").removesuffix(")"))
    return Asked(page, screen, question, word, _written(screen, question))


def typing(rng: random.Random, page: Page, screen: Screen) -> Asked | None:
    """Ask for a text in an empty field; one that is drawn with the focus is left out, for it would not have it."""
    said_of = {index: screen.elements[index].facts for index in Names(screen).by_role.get("field", ())}
    empty = [index for index, facts in said_of.items() if not {"value", "filled", "focused"} & set(facts)]
    if not empty:
        return None
    index = rng.choice(empty)
    name, split = screen.elements[index].name, screen.facts["split"]
    known: Split = "unseen" if split == "unseen" else "seen"
    text = Vocabulary(rng, known, screen.facts.get("language", "en")).value()
    task = rng.choice(phrases.TYPE).format(v=text, n=phrases.said(rng, name))
    steps = (
        Question(task, f"Click {name}", f"click({PLACE})", index),
        Question(task, f"Type {text}", f"write(message={quoted(text)})"),
        Question(task, "Finished", 'terminate(status="success")'),
    )
    return Asked(page, screen, steps[0], text, _written(screen, *steps))


ASK: Final[Mapping[str, Ask]] = {"clicks": one_click, FIXING: one_click, "typing": typing, "answers": word_at}
"""By suite."""


def _fresh(rng: random.Random, screen: Screen, mode: Mode) -> Question | None:
    """Ask for something that is one step and not begun."""
    asked = ask(rng, screen, _QUESTIONS, mode=mode)
    return next((one for one in asked if not one.operations and not one.notes), None)


def _written(screen: Screen, *questions: Question) -> tuple[str, ...]:
    """Write the right answers as a model would."""
    return tuple(f"<operation>\n{question.answer(screen.elements)}" for question in questions)
