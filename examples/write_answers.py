"""Write the scripted answers in ``answers/`` again, from where the controls are now.

    python examples/write_answers.py [--browser PATH]

Each answer is a model's text with a place for the centre of a control. This program finds the control by its selector,
takes the centre of its box, and does the step with Playwright's own mouse and keyboard, so that the next control is
where it will be. It is the only part of the examples that looks at the DOM: what it writes is played without it.
"""

import argparse
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Literal, TypeAlias

from playwright.sync_api import Dialog, Page, sync_playwright

HERE = Path(__file__).resolve().parent
VIEWPORT = (1280, 720)
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]

Doing: TypeAlias = Literal["click", "type", "press", "select", "accept", "end"]


@dataclass(frozen=True, slots=True)
class Line:
    """One answer and what it does.

    Attributes:
        text: The model's text; ``$x`` and ``$y`` stand for the numbers of the place.
        doing: What Playwright does instead, to get to the next answer.
        selector: CSS selector of the control that is meant; empty where the text has no place.
        value: What is typed, pressed or chosen.
    """

    text: str
    doing: Doing = "click"
    selector: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """The answers that do one application's task at seed 0.

    Attributes:
        convention: How places are written: ``unit``, ``per_mille`` or ``pixel``.
        lines: In order; the last one says that the task is finished.
    """

    convention: str
    lines: tuple[Line, ...]

    def numbers(self, x: float, y: float) -> tuple[str, str]:
        """Write a place, given in CSS pixels of the viewport, in this convention."""
        if self.convention == "pixel":
            return str(int(x)), str(int(y))
        if self.convention == "per_mille":
            return str(round(x / VIEWPORT[0] * 1000)), str(round(y / VIEWPORT[1] * 1000))
        return f"{x / VIEWPORT[0]:.4f}", f"{y / VIEWPORT[1]:.4f}"


def scalecua(operation: str, call: str, thought: str = "") -> str:
    """Write an answer with ScaleCUA's tags."""
    think = f"<think>\n{thought}\n</think>\n" if thought else ""
    return f"{think}<operation>\n{operation}\n</operation>\n<action>\n{call}\n</action>"


def tars(thought: str, call: str) -> str:
    """Write an answer in UI-TARS's form."""
    return f"Thought: {thought}\nAction: {call}"


def qwen(arguments: str) -> str:
    """Write an answer as Qwen3-VL's function call."""
    return f'<tool_call>\n{{"name": "computer_use", "arguments": {arguments}}}\n</tool_call>'


SCRIPTS = {
    "todo": Script(
        "unit",
        (
            Line(
                scalecua(
                    "Click the field for a new item.",
                    "click(x=$x, y=$y)",
                    "Milk is not on the list yet, so it has to be written into the field above it.",
                ),
                selector="#text",
            ),
            Line(scalecua("Type milk.", "write(message='milk')", "The field has the focus."), "type", value="milk"),
            Line(scalecua("Click the button beside the field.", "click(x=$x, y=$y)"), selector="#go"),
            Line(scalecua("Milk is on the list.", "terminate(status='success')"), "end"),
        ),
    ),
    "signin": Script(
        "per_mille",
        (
            Line(
                tars("The form asks for an email first.", "click(start_box='<|box_start|>($x,$y)<|box_end|>')"),
                selector="#name",
            ),
            Line(
                tars("I type the address.", "type(content='mira.holt@example.com')"),
                "type",
                value="mira.holt@example.com",
            ),
            Line(tars("Tab goes on to the password.", "hotkey(key='tab')"), "press", value="Tab"),
            Line(tars("I type the password.", "type(content='bluebird-42')"), "type", value="bluebird-42"),
            Line(
                tars("The session has to be kept.", "click(start_box='<|box_start|>($x,$y)<|box_end|>')"),
                selector="#stay",
            ),
            Line(
                tars("Everything is filled in.", "click(start_box='<|box_start|>($x,$y)<|box_end|>')"),
                selector="#go",
            ),
            Line(tars("The page greets Mira.", "finished(content='Signed in as Mira Holt.')"), "end"),
        ),
    ),
    "settings": Script(
        "unit",
        (
            Line("```python\npyautogui.click(x=$x, y=$y)\n```", selector="#gear"),
            Line(
                scalecua("Choose Deutsch as the language.", "select_option(x=$x, y=$y, value='Deutsch')"),
                "select",
                '[data-name="Language"] select',
                "Deutsch",
            ),
            Line("pyautogui.click(x=$x, y=$y)", selector='[data-name="Weekly summary"] input'),
            Line("pyautogui.click(x=$x, y=$y, clicks=1, button='left')", selector="#save"),
            Line(scalecua("Agree to the two changes.", "dialog(accept=True)"), "accept"),
            Line("terminate(status='success')", "end"),
        ),
    ),
    "shop": Script(
        "per_mille",
        (
            Line(qwen('{"action": "left_click", "coordinate": [$x, $y]}'), selector='#chips [data-kind="lamp"]'),
            Line(qwen('{"action": "left_click", "coordinate": [$x, $y]}'), selector='[data-name="Green lamp"] .put'),
            Line(qwen('{"action": "left_click", "coordinate": [$x, $y]}'), selector="#open"),
            Line(qwen('{"action": "left_click", "coordinate": [$x, $y]}'), selector="#code"),
            Line(qwen('{"action": "type", "text": "SPRING15"}'), "type", value="SPRING15"),
            Line(qwen('{"action": "key", "keys": ["enter"]}'), "press", value="Enter"),
            Line(qwen('{"action": "terminate", "status": "success"}'), "end"),
        ),
    ),
    "calendar": Script(
        "pixel",
        (
            Line('{"action": "left_click", "coordinate": [$x, $y]}', selector='button.day[aria-label^="14 May"]'),
            Line('{"type": "click", "x": $x, "y": $y, "button": "left"}', selector="#name"),
            Line('{"type": "type", "text": "Dentist"}', "type", value="Dentist"),
            Line('{"action": "left_click", "coordinate": [$x, $y]}', selector='#times label:has([value="10"])'),
            Line('{"action": "left_click", "coordinate": [$x, $y]}', selector="#save"),
            Line("terminate(status='success')", "end"),
        ),
    ),
}


def play(page: Page, line: Line) -> tuple[float, float, float, float] | None:
    """Do one line's step.

    Returns:
        Left, top, width and height of its control in CSS pixels of the viewport; None for a line without a place.
    """
    box = None
    if line.selector:
        found = page.locator(line.selector).bounding_box()
        if found is None:
            raise SystemExit(f"nothing to see of {line.selector} on {page.url}")
        box = (found["x"], found["y"], found["width"], found["height"])
    if line.doing == "click" and box:
        page.mouse.click(box[0] + box[2] / 2, box[1] + box[3] / 2)
    elif line.doing == "select":
        page.locator(line.selector).select_option(line.value)
    elif line.doing == "type":
        page.keyboard.type(line.value)
    elif line.doing == "press":
        page.keyboard.press(line.value)
    return box


def settled(page: Page) -> None:
    """Wait until no animation of the page runs."""
    page.wait_for_function("document.getAnimations().every((one) => one.playState !== 'running')")


def accept(dialog: Dialog) -> None:
    """Say OK to a dialog."""
    dialog.accept()


def write(page: Page, name: str) -> dict[str, object]:
    """Do an application's task and give the contents of its file of answers."""
    script = SCRIPTS[name]
    page.goto((HERE / "pages" / f"{name}.html").as_uri())
    answers = []
    for line in script.lines:
        settled(page)
        box = play(page, line)
        x, y = script.numbers(box[0] + box[2] / 2, box[1] + box[3] / 2) if box else ("", "")
        answers.append(Template(line.text).substitute(x=x, y=y))
    if not page.evaluate("foveateTask.done()"):
        raise SystemExit(f"the answers for {name} do not do its task")
    return {"convention": script.convention, "viewport": list(VIEWPORT), "answers": answers}


def main() -> None:
    """Write every file of answers."""
    parser = argparse.ArgumentParser(description="Write the scripted answers again, from where the controls are now.")
    parser.add_argument("--browser", default=shutil.which("chromium") or shutil.which("google-chrome"), metavar="PATH")
    browser_path = parser.parse_args().browser
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        page = browser.new_page(viewport={"width": VIEWPORT[0], "height": VIEWPORT[1]})
        page.on("dialog", accept)
        for name in SCRIPTS:
            path = HERE / "answers" / f"{name}.json"
            path.write_text(json.dumps(write(page, name), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            print(path)
        browser.close()


if __name__ == "__main__":
    main()
