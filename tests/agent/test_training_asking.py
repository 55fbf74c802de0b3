"""Questions about screens: every answer is an action that the parser reads, at the place it names."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from foveate.actions.geometry import Convention, Frame
from foveate.actions.parse import parse_answer
from foveate.actions.schema import Click
from foveate.agent.training.asking import MODES, Mode, ask, words_of
from foveate.agent.training.layouts import write_page
from foveate.agent.training.naming import Names, operation_of
from foveate.agent.training.rendering import Renderer
from foveate.agent.training.words import split_of
from foveate.policies.training.screens import Element, Glyph, Question, Screen, Text, middle_of

FRAME = Frame(448, 448)


def text(content: str, y: float, x: float = 0.1) -> Text:
    places = [index for index, char in enumerate(content) if char != " "]
    glyphs = tuple(Glyph(content[index], x + 0.02 * index, y) for index in places)
    return Text(content, glyphs, (x - 0.01, y - 0.02, x + 0.02 * len(content), y + 0.02))


def screen_of(*elements: Element, texts: tuple[Text, ...] = (), **facts: str) -> Screen:
    return Screen(np.zeros((448, 448, 3), np.uint8), texts, elements, (), {"split": "seen", **facts})


def element(role: str, name: str, y: float, by: int | None = 0, **facts: str) -> Element:
    return Element(role, name, (0.1, y - 0.03, 0.5, y + 0.03), (0.3, y), () if by is None else (by,), facts)


def asked(screen: Screen, mode: Mode = "act", times: int = 400) -> list[Question]:
    return [question for seed in range(times) for question in ask(random.Random(seed), screen, 1, mode=mode)]


@pytest.fixture(scope="module")
def screens(chromium: str) -> Iterator[list[Screen]]:
    with Renderer(browser=chromium) as renderer:
        yield [
            screen for split in ("seen", "unseen") for screen in renderer.draw(write_page(n, split) for n in range(24))
        ]


@pytest.mark.browser
@pytest.mark.parametrize("mode", list(MODES))
def test_every_answer_is_read_as_the_action_it_means(screens: list[Screen], mode: Mode) -> None:
    count = 0
    for number, screen in enumerate(screens):
        for question in ask(random.Random(number), screen, 12, mode=mode):
            answer = question.answer(screen.elements)
            (action,) = parse_answer(f"<operation>\n{answer}", frame=FRAME, convention=Convention.UNIT).actions
            count += 1
            assert len(question.operation) <= 60
            if question.element is not None:
                left, top, right, bottom = screen.elements[question.element].box
                assert isinstance(action, Click)
                assert action.at is not None
                # places have two decimals
                assert left - 0.005 <= action.at.x <= right + 0.005
                assert top - 0.005 <= action.at.y <= bottom + 0.005
            elif mode == "click":
                raise AssertionError("a click has a place")
    assert count > 60


@pytest.mark.browser
def test_a_tenth_of_what_is_asked_at_least_has_no_place_and_every_kind_of_action_is_met(screens: list[Screen]) -> None:
    questions = [
        (question, screen) for seed, screen in enumerate(screens) for question in ask(random.Random(seed), screen, 25)
    ]
    share = sum(question.element is None for question, _ in questions) / len(questions)
    assert 0.1 < share < 0.55
    calls = Counter(question.call.partition("(")[0] for question, _ in questions)
    assert set(calls) >= {"click", "write", "press", "scroll", "wait", "response", "terminate"}
    noted = sum(bool(question.notes) for question, _ in questions) / len(questions)
    assert 0.01 < noted < 0.06


@pytest.mark.browser
def test_what_is_asked_on_a_page_has_only_words_of_its_split(screens: list[Screen]) -> None:
    for seed, screen in enumerate(screens):
        split = screen.facts["split"]
        for question in ask(random.Random(seed), screen, 12):
            if question.call.startswith("write"):
                said = question.call.partition('"')[2].rpartition('"')[0]
                assert split_of(said) <= {split}, question
            if "there is no" in question.call and "icon" not in question.call:
                said = question.call.partition("there is no ")[2].partition('"')[0]
                assert split_of(said) <= {split}, question


@pytest.mark.browser
def test_the_same_seed_asks_the_same(screens: list[Screen]) -> None:
    assert ask(random.Random(1), screens[5], 6) == ask(random.Random(1), screens[5], 6)


def test_two_buttons_of_one_name_are_asked_for_with_their_rows_or_not_at_all() -> None:
    texts = (text("Edit", 0.1, 0.6), text("Edit", 0.3, 0.6), text("Eggs", 0.1), text("Milk", 0.3), text("Go", 0.7))
    rows = screen_of(
        element("button", "Edit", 0.1, 0, row="Eggs"), element("button", "Edit", 0.3, 1, row="Milk"), texts=texts
    )  # fmt: skip
    for question in asked(rows, "click"):
        assert question.element is not None
        row = rows.elements[question.element].facts["row"]
        assert row in question.task
        assert question.operation == f"Click Edit for {row}"
    without = screen_of(*(replace(one, facts={}) for one in rows.elements), texts=texts)
    assert asked(without, "click") == []


def test_what_cannot_be_read_or_pressed_is_not_asked_for() -> None:
    texts = (text("Sav", 0.1), text("Send", 0.3), text("Total", 0.5))
    screen = screen_of(
        element("button", "Save", 0.1, 0),
        element("button", "Send", 0.3, 1, disabled="yes"),
        element("value", "Total", 0.5, 2, value="12"),
        element("button", "Hidden", 0.7, None),
        texts=texts,
    )
    assert Names(screen).pressable == []


@pytest.mark.parametrize(
    ("role", "state", "operation"),
    [
        ("checkbox", "off", "Tick Eggs"), ("checkbox", "on", "Untick Eggs"), ("switch", "off", "Tick Eggs"),
        ("radio", "off", "Choose Eggs"), ("delete", "", "Delete Eggs"), ("row", "", "Open Eggs"),
        ("increase", "", "Increase Eggs"), ("decrease", "", "Decrease Eggs"), ("icon", "", "Click Eggs icon"),
        ("button", "", "Click Eggs"), ("field", "", "Click Eggs"), ("tab", "off", "Click Eggs"),
        ("select", "", "Open Eggs"), ("option", "off", "Choose Eggs"),
    ],
)  # fmt: skip
def test_the_operation_names_what_a_click_does(role: str, state: str, operation: str) -> None:
    assert operation_of(element(role, "Eggs", 0.5, state=state)) == operation


def test_a_box_that_is_ticked_already_is_no_click() -> None:
    screen = screen_of(element("checkbox", "Eggs", 0.5, 0, state="on"), texts=(text("Eggs", 0.5),))
    for question in asked(screen):
        ticking = any(question.task.startswith(word) for word in ("Tick", "Check", "Mark", "Select"))
        if ticking and "Eggs" in question.task and question.element is None:
            assert question.call == 'terminate(status="success")'
        if question.element is not None:
            assert question.operation == "Untick Eggs"
            assert not ticking


def test_typing_goes_from_the_click_over_the_text_to_the_end() -> None:
    label = text("Name", 0.2)
    steps: dict[tuple[str, str], set[str]] = {}
    for state in ({}, {"focused": "yes"}, {"value": "Anna", "filled": "yes", "focused": "yes"}):
        screen = screen_of(element("field", "Name", 0.3, 0, **state), texts=(label, text("Anna", 0.3, 0.2)))
        for question in asked(screen, "type", 200):
            assert "name" in question.task.casefold()
            key = (state.get("value", ""), state.get("focused", ""))
            steps.setdefault(key, set()).add(question.operation.split()[0])
            if question.operation.startswith("Type "):
                assert question.operation.removeprefix("Type ")[:30] in question.task
    assert steps == {("", ""): {"Click"}, ("", "yes"): {"Type"}, ("Anna", "yes"): {"Finished", "Press", "Select"}}


def test_the_word_at_a_place_is_the_word_there() -> None:
    line = text("eggs and milk", 0.4)
    assert [word for word, _ in words_of(line)] == ["eggs", "and", "milk"]
    for question in asked(screen_of(texts=(line,)), "read", 60):
        if question.call.startswith("response"):
            x = float(question.task.split("0.")[1].split()[0].rstrip("?")) / 100
            ((nearest, glyphs),) = [found for found in words_of(line) if abs(middle_of(found[1])[0] - x) < 0.02]
            assert question.call == f'response(answer="{nearest}")' and question.reads == glyphs


def test_what_is_not_there_is_scrolled_to_or_refused() -> None:
    here = screen_of(element("button", "Save", 0.5, 0), texts=(text("Save", 0.5),))
    more = screen_of(*here.elements, texts=here.texts, below="Send", **{"more below": "yes"})
    refused = [question for question in asked(here) if question.operation == "Not possible"]
    assert refused
    for question in refused:
        assert "Save" not in question.call
        assert 'status="failure", info="there is no ' in question.call
    found = [question for question in asked(more) if "Send" in question.task]
    assert found
    assert {question.call for question in found} == {"scroll(clicks=-2)"}
    assert not any(question.operation == "Not possible" for question in asked(more))


def test_an_icon_beside_words_makes_the_same_icon_alone_a_riddle() -> None:
    icon = element("icon", "search", 0.5, None)
    assert Names(screen_of(icon, icons="search")).pressable == [0]
    assert Names(screen_of(icon, icons="search star search")).pressable == []


def test_answers_read_values_and_states() -> None:
    texts = (text("Total", 0.2), text("12,40 €", 0.2, 0.6), text("News", 0.4))
    total, news = element("value", "Total", 0.2, 0, value="12,40 €"), element("checkbox", "News", 0.4, 2, state="off")
    screen = screen_of(total, news, texts=texts)
    answers = {(question.task, question.call) for question in asked(screen) if question.call.startswith("response")}
    assert ("What is the Total?", 'response(answer="12,40 €")') in answers
    assert ("Is News ticked?", 'response(answer="no")') in answers


def test_the_part_of_a_screen_that_scrolls_is_never_what_is_pressed() -> None:
    shown = screen_of(element("button", "Save", 0.2), element("scroller", "", 0.6, None), texts=(text("Save", 0.2),))
    assert Names(shown).pressable == [0]
    for mode in ("act", "look", "click"):
        assert asked(shown, mode, 150)
