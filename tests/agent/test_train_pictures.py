"""What a training run shows: bars and lines, curves, the card; and the data that it makes first."""

import io
import json
import random
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from foveate.actions.errors import UsageError
from foveate.agent.fingerprints import weights_in
from foveate.agent.training.card import main, write_card
from foveate.agent.training.curves import Curves, draw_curves
from foveate.agent.training.progress import TrainingView, clock
from foveate.policies.training.settings import StageSettings

STAGE = StageSettings(name="say", objectives={"say": 1.0}, steps=100)
LINE = {
    "stage": "say", "step": 50, "pages": 800, "elapsed_s": 9.0, "loss_say": 0.5, "say": 0.75, "pages_per_s": 8.0,
    "answers_per_s": 40.0,
}  # fmt: skip
SHAPE = {
    "tile": 448, "patch": 28, "vision_width": 192, "vision_layers": 5, "text_width": 192, "text_layers": 5, "head": 64,
}  # fmt: skip
READ = {"name": "read", "steps": 10, "pages": 160, "answers": 0, "seconds": 8.0, "gate": "reached"}
SAY = {"name": "say", "steps": 5, "pages": 80, "answers": 400, "seconds": 100.0, "gate": None}
RUN = {
    "config": "tiny",
    "begun": "random weights (seed 1)",
    "parameters": 5_400_000,
    "machine": "2 cores of a processor",
    "shape": SHAPE,
    "stages": [{**READ, "measured": {"chars": 0.8}}, {**SAY, "measured": {"answer": 0.5}}],
}
FIGURES: dict[str, Any] = {
    "head": {"policy": "internvl"},
    "suites": {
        "clicks": {
            "right": {
                "all": {"right": 9, "of": 10, "share": 0.9, "wilson95": [0.596, 0.982]},
                "unseen": {"right": 0, "of": 0, "share": None, "wilson95": [0.0, 1.0]},
            },
            "median_ms": {"encode": 12.5, "total": 40.0},
        }
    },
    "machine": {"cores": 2, "cpu": "a processor"},
    "items": [{"right": True}],
}


def test_without_a_terminal_a_line_comes_now_and_then() -> None:
    written = io.StringIO()
    view = TrainingView(Console(file=written, width=300))
    with view.running():
        view.begins(STAGE, 2, 4)
        view.moves(0.5)
        view.steps(LINE, 0.5, 75.0)
        view.steps({**LINE, "step": 51}, 0.51, 74.0)  # too soon after the one before
        view.measures({**LINE, "held_out": {"loss_say": 1.0, "say": 0.5, "answer": 0.25}})
    lines = written.getvalue().splitlines()
    assert lines == [
        "stage say (2 of 4): say; 100 steps",
        "say (2 of 4)  50% step 50: 8.0 pages/s, 40.0 answers/s, 1:15 min left; say 75%",
        "say (2 of 4) step 50, held out: say 50%, answer 25%",
    ]


def test_on_a_terminal_there_is_a_bar() -> None:
    written = io.StringIO()
    view = TrainingView(Console(file=written, width=160, force_terminal=True))
    with view.running():
        view.begins(STAGE, 1, 1)
        view.moves(0.5)
        view.steps(LINE, 0.5, 75.0)
    assert "━" in written.getvalue()
    assert "50%" in written.getvalue()
    assert "1:15 min left" in written.getvalue()


@pytest.mark.parametrize(
    ("seconds", "says"), [(0.2, "0 s"), (59.4, "59 s"), (75, "1:15 min"), (3600, "1:00 h"), (1e12, "99:59 h")]
)
def test_times_read_as_a_person_says_them(seconds: float, says: str) -> None:
    assert clock(seconds) == says


def log(stages: int = 2, lines: int = 12) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for stage in range(stages):
        for step in range(1, lines + 1):
            where = {"stage": f"stage{stage}", "step": step, "pages": 16 * (step + lines * stage)}
            made.append({**where, "loss_say": 5.0 / (step + lines * stage), "say": 0.5})
            if step % 4 == 0:
                made.append({**where, "held_out": {"say": step / lines, "answer": 0.1, "loss_say": 1.0}})
    return made


def test_curves_are_those_of_the_log() -> None:
    curves = Curves.of(log())
    assert curves.borders == [("stage0", 0.0), ("stage1", 192.0)]
    assert len(curves.losses["say"]) == 24
    assert curves.losses["say"][0] == (16.0, 5.0)
    assert [value for _, value in curves.right["say"]] == pytest.approx([1 / 3, 2 / 3, 1.0] * 2)


def test_the_picture_shows_each_curve_in_its_colour_and_rises_where_the_measure_does(tmp_path: Path) -> None:
    draw_curves(log(), tmp_path / "curves.png")
    picture = np.asarray(Image.open(tmp_path / "curves.png").convert("RGB")).astype(int)
    assert picture.shape == (900, 1100, 3)
    red = (np.abs(picture - (214, 39, 40)).sum(-1) < 12)[:, 82:878]
    losses, measures = red[:440], red[450:]
    for panel, falls in ((losses, True), (measures[:, :390], False)):
        ys, xs = np.nonzero(panel)
        left, right = ys[xs < xs.min() + 20].mean(), ys[xs > xs.max() - 20].mean()
        assert bool(right > left) is falls


@pytest.mark.parametrize("lines", [[], log(1, 1), [{"stage": "a", "step": 1, "pages": 4, "held_out": {"say": 0.0}}]])
def test_a_log_of_next_to_nothing_can_be_drawn(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    draw_curves(lines, tmp_path / "curves.png")
    assert Image.open(tmp_path / "curves.png").size == (1100, 900)


def checkpoint(folder: Path) -> Path:
    (folder / "training.json").write_text(json.dumps(RUN))
    (folder / "model.safetensors").write_bytes(bytes(10_900_000))
    return folder


def measured(folder: Path, **head: str) -> Path:
    """Write figures of a checkpoint, or of what ``head`` says."""
    figures = folder.parent / "tiny.json"
    figures.write_text(json.dumps(FIGURES | {"head": {"policy": "internvl", "weights": weights_in(folder), **head}}))
    return figures


def test_the_card_says_what_was_trained_and_what_was_measured(tmp_path: Path) -> None:
    card = write_card(checkpoint(tmp_path)).read_text()
    assert "at 5.4 million parameters" in card
    assert "10.9 MB of weights" in card
    assert "patches of 28, 64 visual tokens" in card
    assert "| read | 160 | 0 | 8 s | 20.0 screens, 0.0 answers | chars 80% (gate reached) |" in card
    assert "| say | 80 | 400 | 1:40 min | 0.8 screens, 4.0 answers | answer 50% |" in card
    assert "Not measured yet" in card
    assert "{" not in card
    figures = measured(tmp_path)
    assert main(["--model", str(tmp_path), "--figures", str(figures)]) == 0
    card = (tmp_path / "README.md").read_text()
    assert "| one click | 9 of 10: 90% (60% to 98%) | - | - |" in card
    assert "A step: 40 ms median (encode 12)." in card
    assert "provision --work work\nfoveate train sft --config tiny --work work --out model\n" in card
    assert "Not measured yet" not in card


def test_what_a_person_writes_outside_the_sections_stays_and_all_within_is_of_the_present_run(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path)
    card = write_card(folder)
    card.write_text("before\n" + card.read_text().replace("## What it does", "Between.\n\n## What it does") + "after\n")
    shown = {**RUN, "begun": "the weights of tiny", "given": "tiny", "parameters": 7_700_000}
    (folder / "training.json").write_text(json.dumps(shown))
    (folder / "model.safetensors").write_bytes(bytes(15_400_000))
    filled = write_card(folder).read_text()
    assert filled.startswith("before\n") and filled.endswith("after\n") and "Between.\n" in filled
    assert "7.7 million parameters" in filled and "15.4 MB" in filled and "the weights of tiny" in filled
    assert "--config tiny --init tiny --work" in filled
    assert not any(old in filled for old in ("5.4 million", "10.9 MB", "random weights"))
    assert filled.count("Trained on 2 cores") == 1


def test_a_card_without_a_section_is_neither_filled_nor_lost(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path)
    (folder / "README.md").write_text("mine")
    with pytest.raises(UsageError, match=r"README.md has no section to fill, as <!-- figures --> .*: move it away"):
        write_card(folder)
    assert (folder / "README.md").read_text() == "mine"


@pytest.mark.parametrize("head", [{"weights": "0" * 16}, {"policy": "oracle"}])
def test_figures_of_other_weights_or_of_another_policy_are_refused(tmp_path: Path, head: dict[str, str]) -> None:
    (tmp_path / "model").mkdir()
    folder = checkpoint(tmp_path / "model")
    before = write_card(folder).read_text()
    with pytest.raises(UsageError, match=r"tiny.json was measured of other weights, or of another policy \(\w+\)"):
        write_card(folder, measured(folder, **head))
    assert (folder / "README.md").read_text() == before


def test_a_card_that_finds_no_room_stays_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = checkpoint(tmp_path)
    card = write_card(folder)
    card.write_text(card.read_text() + "mine\n" * 3000)
    before, limit = card.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))
    try:
        assert main(["--model", str(folder)]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert capsys.readouterr().err == f"error: {card} cannot be written: File too large: make room there\n"
    assert card.read_bytes() == before
    assert {file.name for file in folder.iterdir()} == {"README.md", "training.json", "model.safetensors"}


def test_a_card_that_is_no_text_is_named(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path)
    (folder / "README.md").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"README.md cannot be read: .*: move it away"):
        write_card(folder)


def test_a_card_without_its_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"training.json cannot be read: .* the card needs it"):
        write_card(tmp_path)


@pytest.mark.parametrize("run", [None, "{}", "[1]", "no json"])
def test_the_command_says_what_the_card_lacks_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], run: str | None
) -> None:
    if run is not None:
        (tmp_path / "training.json").write_text(run)
    assert main(["--model", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path}/training.json ")
    assert "the card needs" in line
    done = subprocess.run(
        [sys.executable, "-m", "foveate.agent.training.card", "--model", "/nonexistent"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    told = "error: /nonexistent/training.json cannot be read: No such file or directory: the card needs it\n"
    assert (done.returncode, done.stderr) == (2, told)


def test_screens_without_browser_are_asked_about_and_crowded_where_nothing_is() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    from foveate.agent.training.supply import Drawn
    from foveate.policies.training.stream import Wanted

    asked = Drawn(448).screen(0, random.Random(3), Wanted(3, "click"))
    assert 1 <= len(asked.questions) <= 3
    assert all(question.call == "click({place})" for question in asked.questions)
    assert replace(asked, questions=()).questions == ()
    seen = [Drawn(448).screen(0, random.Random(seed), Wanted(0)) for seed in range(4)]
    assert all(screen.questions == () for screen in seen)
    assert sum(len(screen.texts) for screen in seen) > 40
