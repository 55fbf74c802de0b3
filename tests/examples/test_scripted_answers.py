"""The scripted answers: model texts whose places are still where the controls are."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from foveate.actions.geometry import Convention, Frame, points_of
from foveate.actions.parse import parse_answer
from foveate.actions.schema import Terminate

playwright = pytest.importorskip("playwright.sync_api")

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("todo", "signin", "settings", "shop", "calendar")
CONVENTIONS = {"unit": Convention.UNIT, "per_mille": Convention.PER_MILLE, "pixel": Convention.PIXEL}
MARGIN = 8.0
"""CSS pixels that a place keeps from its control's edge, so that other fonts do not move it out."""


def program(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


WRITER = program("write_answers")


@pytest.fixture(scope="module")
def tab(chromium: str) -> Iterator["playwright.Page"]:
    with playwright.sync_playwright() as runner:
        browser = runner.chromium.launch(executable_path=chromium, args=[*WRITER.FLAGS, "--no-first-run"])
        page = browser.new_page(viewport={"width": WRITER.VIEWPORT[0], "height": WRITER.VIEWPORT[1]})
        page.on("dialog", WRITER.accept)
        yield page
        browser.close()


def script(name: str) -> dict[str, object]:
    return json.loads((EXAMPLES / "answers" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.browser
@pytest.mark.parametrize("font", ["as it is", "monospace", "serif"])
@pytest.mark.parametrize("name", NAMES)
def test_each_scripted_place_lies_well_inside_its_control(tab: "playwright.Page", name: str, font: str) -> None:
    loaded = script(name)
    frame = Frame(*loaded["viewport"])
    assert len(loaded["answers"]) == len(WRITER.SCRIPTS[name].lines)
    tab.goto((EXAMPLES / "pages" / f"{name}.html").as_uri())
    if font != "as it is":  # another machine has other fonts
        tab.add_style_tag(content=f"* {{ font-family: {font} !important; }}")
    for text, line in zip(loaded["answers"], WRITER.SCRIPTS[name].lines, strict=True):
        WRITER.settled(tab)
        answer = parse_answer(text, frame=frame, convention=CONVENTIONS[loaded["convention"]])
        places = [frame.to_input(point) for action in answer.actions for point in points_of(action)]
        box = WRITER.play(tab, line)
        assert len(places) == (box is not None), text
        for x, y in places:
            left, top, width, height = box
            assert left + MARGIN <= x <= left + width - MARGIN, text
            assert top + MARGIN <= y <= top + height - MARGIN, text
    assert tab.evaluate("foveateTask.done()")


@pytest.mark.browser
def test_the_program_that_writes_the_answers_does_each_task(tab: "playwright.Page") -> None:
    for name in NAMES:
        assert {**WRITER.write(tab, name), "answers": []} == {**script(name), "answers": []}


@pytest.mark.parametrize("name", NAMES)
def test_a_script_takes_several_kinds_of_action_and_ends_by_its_own_word(name: str) -> None:
    loaded = script(name)
    answers = [
        parse_answer(text, frame=Frame(*loaded["viewport"]), convention=CONVENTIONS[loaded["convention"]])
        for text in loaded["answers"]
    ]
    *work, last = [action for answer in answers for action in answer.actions if action.kind != "respond"]
    assert len(work) >= 3
    assert len({action.kind for action in work}) >= 2
    assert last == Terminate(status="success")


def test_the_scripts_show_several_formats_and_every_convention() -> None:
    marks = ("<action>", "Action:", "<tool_call>", "pyautogui.", '"coordinate"', '"type": "click"', "```")
    texts = [text for name in NAMES for text in script(name)["answers"]]
    assert [mark for mark in marks if not any(mark in text for text in texts)] == []
    assert {script(name)["convention"] for name in NAMES} == set(CONVENTIONS)
    kinds = {line.doing for name in NAMES for line in WRITER.SCRIPTS[name].lines}
    assert {"select", "accept", "type", "press", "click", "end"} == kinds


@pytest.mark.browser
def test_the_demo_asks_for_what_each_page_asks_for(tab: "playwright.Page") -> None:
    tasks = program("demo").TASKS
    for name in NAMES:
        tab.goto((EXAMPLES / "pages" / f"{name}.html").as_uri())
        assert tab.evaluate("foveateTask.instruction") == tasks[name]
