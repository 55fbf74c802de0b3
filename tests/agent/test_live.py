"""What a person sees: current on a terminal, plain elsewhere, and never steered by a page or a model."""

import io
import time

import numpy as np
import pytest
from rich.console import Console

from foveate.actions.geometry import Frame, Point
from foveate.actions.schema import Click, TypeText
from foveate.agent.live import LiveView, phase_bar, shown, step_line
from foveate.agent.trajectory import Result, Trajectory
from foveate.envs.base import Observation
from foveate.policies.base import Decision, Outcome, Turn, Usage

EVIL = "\x1b]0;owned\x07\x1b[2J[bold red]x[/] line\nbreak \u202e \x9b31m"


def look() -> Observation:
    image = np.zeros((8, 8, 3), np.uint8)
    return Observation(
        image=image, frame=Frame(8, 8), captured_at_s=0.0, timing_ms={"dispatch": 5.0, "settle": 60.0, "capture": 9.0}
    )


def turn(operation: str = "Click it", verdict: str = "allow", note: str = "") -> Turn:
    usage = Usage(1000, 900, 0, 12, {"prefill": 40.0, "decode": 80.0})
    outcome = Outcome(verdict)  # type: ignore[arg-type]
    return Turn(look(), Decision((Click(at=Point(0.25, 0.5)),), "", operation, usage=usage), (outcome,), 0.1,
                (note,) if note else ())  # fmt: skip


def run(console: Console) -> LiveView:
    view = LiveView(console, max_steps=9, timeout_s=60)
    with view.running():
        view.started("Add milk")
        view.observed(look())
        view.turned(turn())
        view.turned(turn(verdict="refused", note="navigate was refused: outside"))
        time.sleep(0.4)  # two redraws of a terminal
        view.ended(Result("success", True, "done", None, Trajectory("Add milk")))
    return view


def test_without_a_terminal_there_are_plain_lines_only() -> None:
    out = io.StringIO()
    view = run(Console(file=out, width=100, highlight=False))
    text = out.getvalue()
    assert "\x1b" not in text
    lines = text.splitlines()
    assert lines[0] == "Task: Add milk"
    assert "Click it  click(0.250, 0.500)" in lines[1]
    assert "refused" in lines[2]
    assert lines[3].strip() == "navigate was refused: outside"
    assert view.under_way
    assert view.result is not None


def test_on_a_terminal_the_current_step_budget_and_phases_are_redrawn() -> None:
    out = io.StringIO()
    run(Console(file=out, width=120, force_terminal=True, highlight=False))
    text = out.getvalue()
    assert "step 3 of at most 9" in text
    assert "of 60 s in all" in text
    assert "2,024 tokens" in text
    assert "decode 80" in text


@pytest.mark.parametrize("terminal", [False, True])
def test_text_of_a_model_or_a_page_cannot_steer_the_terminal(terminal: bool) -> None:
    out = io.StringIO()
    view = LiveView(Console(file=out, width=200, force_terminal=terminal, highlight=False), max_steps=9)
    view.started(EVIL)
    view.turned(turn(EVIL, note=EVIL))
    text = out.getvalue()
    for part in ("\x1b]0;", "\x1b[2J", "\x07", "\x9b", "\u202e"):
        assert part not in text
    assert "[bold red]x[/] line break" in text


def test_a_question_pauses_the_redrawing() -> None:
    out = io.StringIO()
    view = LiveView(Console(file=out, width=100, force_terminal=True, highlight=False), max_steps=9)
    with view.running(), view.paused():
        before = out.getvalue()
        time.sleep(0.5)
        assert out.getvalue() == before


def test_a_failed_action_and_a_step_without_one_are_told() -> None:
    failed = Turn(look(), Decision((TypeText(text="a" * 500),)), (Outcome("allow", error="UnsupportedAction: no"),))
    assert step_line(3, failed, 12.0).plain.startswith("   3     12 ms  type_text aaaa")
    assert step_line(3, failed, 12.0).plain.endswith("… failed")
    assert "no action" in step_line(4, Turn(look(), Decision(raw="mumble")), 5.0).plain


def test_a_bar_without_time_is_empty() -> None:
    assert "█" not in phase_bar({}).plain
    assert shown("x" * 500) == "x" * 160 + "…"
