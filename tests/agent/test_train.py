"""``foveate train sft`` as a user meets it: killed, interrupted, asked for the wrong thing."""

import contextlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = [pytest.mark.torch, pytest.mark.timeout(300)]

from rich.console import Console  # noqa: E402

from foveate.actions.errors import TrainingError, UsageError  # noqa: E402
from foveate.agent.training.running import Order, begin  # noqa: E402
from foveate.policies.internvl import checkpoint as checkpoints  # noqa: E402
from foveate.policies.training.shards import write_shard  # noqa: E402
from foveate.policies.training.states import read_log  # noqa: E402
from foveate.policies.training.toys import toy_screen  # noqa: E402

COMMAND = [sys.executable, "-m", "foveate.agent.start", "train", "sft"]
CONFIG = """
seed = 1
[shape]
tile = 112
patch = 14
vision_width = 32
vision_layers = 1
text_width = 32
text_layers = 4
head = 16
[data]
questions = 2
[data.shards.toys]
folder = "shards"
[evaluation]
every = 7
pages = 4
[run]
workers = {workers}
threads = 1
log_every = 1
save_every_s = {save}
[[stages]]
name = "read"
objectives = {{ chars = 1.0 }}
steps = 10
warm_up = 2
batch_pages = 4
[[stages]]
name = "say"
objectives = {{ chars = 1.0, align = 1.0, point = 1.0, where = 1.0, say = 1.0, place = 1.0 }}
steps = {steps}
rate = {rate}
warm_up = 2
batch_pages = 4
"""


def config(folder: Path, *, workers: int = 0, steps: int = 12, rate: float = 5e-3, save: float = 0.1) -> Path:
    path = folder / "toy.toml"
    path.write_text(CONFIG.format(workers=workers, steps=steps, rate=rate, save=save))
    return path


def work(folder: Path, name: str = "work", screens: int = 30) -> Path:
    rng = random.Random(1)
    write_shard(folder / name / "shards" / "toys.tar", (toy_screen(rng) for _ in range(screens)))
    return folder / name


def started(*args: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, said = process.communicate(timeout=240)
    return process.returncode, out, said


def sft(*args: object) -> tuple[int, str, str]:
    return ended(started(*args))


@contextlib.contextmanager
def surely_gone(process: "subprocess.Popen[str]") -> Iterator[None]:
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for_step(process: "subprocess.Popen[str]", log: Path, stage: str, step: int) -> None:
    deadline = time.monotonic() + 200
    while not any(line["stage"] == stage and line["step"] >= step for line in read_log(log)):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def told(folder: Path) -> list[dict[str, Any]]:
    clock = ("elapsed_s", "pages_per_s", "answers_per_s")
    return [
        {name: value for name, value in line.items() if name not in clock} for line in read_log(folder / "log.jsonl")
    ]


def test_a_run_that_is_killed_twice_goes_on_with_the_same_curve(tmp_path: Path) -> None:
    whole, broken, plan = work(tmp_path, "whole"), work(tmp_path, "broken"), config(tmp_path)
    unbroken = started("--config", plan, "--work", whole)
    with surely_gone(unbroken):
        for stage, step, more in (("read", 6, []), ("say", 5, ["--resume"])):
            process = started("--config", plan, "--work", broken, *more)
            with surely_gone(process):
                wait_for_step(process, broken / "log.jsonl", stage, step)
                while not (broken / "state.pt").exists():
                    assert process.poll() is None, process.communicate()[1]
                    time.sleep(0.02)
                process.kill()
        config(tmp_path, workers=2)  # how this machine does it may change
        code, out, said = sft("--config", plan, "--work", broken, "--resume", "--json")
        assert code == 0, said
        assert ended(unbroken)[0] == 0
    lines = told(whole), told(broken)
    assert [(line["stage"], line["step"]) for line in lines[0]] == [(line["stage"], line["step"]) for line in lines[1]]
    for one, other in zip(*lines, strict=True):
        assert one == pytest.approx(other, abs=1e-6) if "held_out" not in one else True
        assert one.get("held_out", {}) == pytest.approx(other.get("held_out", {}), abs=1e-6)
    ending = json.loads(out)
    assert (ending["status"], ending["outcome"], [one["name"] for one in ending["stages"]]) == (
        "success", "completed", ["read", "say"],
    )  # fmt: skip
    model = Path(ending["model"])
    assert checkpoints.check(model).tile == 112
    assert {"README.md", "curves.png", "training.json"} <= {file.name for file in model.iterdir()}
    weights = [(folder / "model" / "model.safetensors").read_bytes() for folder in (whole, broken)]
    assert weights[0] == weights[1]


def test_ctrl_c_saves_the_state_and_says_how_to_go_on(tmp_path: Path) -> None:
    folder, plan = work(tmp_path), config(tmp_path, workers=1, steps=100_000, save=1e9)
    process = started("--config", plan, "--work", folder)
    with surely_gone(process):
        wait_for_step(process, folder / "log.jsonl", "say", 3)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to the processes that make batches, too
        code, _, said = ended(process)
    assert code == 130
    assert "Stopping after the step in flight" in said
    assert f"foveate train sft --config {plan} --work {folder} --out {folder / 'model'} --resume" in said
    assert "Traceback" not in said
    assert checkpoints.check(folder / "last").tile == 112
    assert not (folder / "model").exists()
    again = started("--config", plan, "--work", folder, "--resume")
    with surely_gone(again):
        wait_for_step(again, folder / "log.jsonl", "say", len(told(folder)))
        code, _, said = sft("--config", plan, "--work", folder, "--resume")
        assert (code, "another run is training there" in said) == (2, True)


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ({"config": "tinier"}, "there is no such file: give a TOML file, or one of tiny"),
        ({"resume": True}, r"--resume: \S+ holds no state to go on from: leave --resume out"),
        ({"resume": True, "init": "tiny"}, "--resume and --init exclude each other"),
        (
            {"init": "tiny"},
            r"--init tiny does not fit the configuration's \[shape\]: it has tile 448 and not 112, patch 28",
        ),
        ({"work": "empty"}, r"empty/shards holds no shards \(\*.tar\): make some with foveate data make"),
        ({"out": Path(__file__) / "model"}, r"--out \S+: \S+test_train.py is no folder that can be written to"),
        ({"work": "toy.toml"}, r"--work \S+toy.toml cannot be used: File exists: give another folder"),
    ],
)
def test_what_cannot_be_begun_is_refused_by_name(tmp_path: Path, order: dict[str, Any], says: str) -> None:
    folder = work(tmp_path)
    given = {"config": str(config(tmp_path)), "work": folder, **order}
    given["work"] = tmp_path / given["work"]
    with pytest.raises(UsageError, match=says):
        begin(Order(**{"out": tmp_path / "model", **given}), Console(file=io.StringIO()))
    assert not (folder / "state.pt").exists()


def test_a_run_that_was_complete_leaves_the_card_with_what_was_measured_since(tmp_path: Path) -> None:
    order = Order(config=str(config(tmp_path)), work=work(tmp_path), out=tmp_path / "model")
    console = Console(file=io.StringIO())
    begin(order, console)
    card = order.out / "README.md"
    card.write_text(card.read_text().replace("Not measured yet", "Measured since"))
    before = card.read_text()
    assert begin(replace(order, resume=True), console).outcome == "completed"
    assert card.read_text() == before and "Measured since" in before
    card.unlink()
    begin(replace(order, resume=True), console)
    assert "Not measured yet" in card.read_text()
    card.write_text("mine")
    with pytest.raises(UsageError, match=r"README.md has no section to fill"):
        begin(replace(order, resume=True), console)


def test_given_weights_are_not_spoiled_by_a_stage_that_trains_the_tower_alone(tmp_path: Path) -> None:
    order = Order(config=str(config(tmp_path)), work=work(tmp_path), out=tmp_path / "model")
    console = Console(file=io.StringIO())
    begin(order, console)
    more = replace(order, work=work(tmp_path, "more"), out=tmp_path / "gone_on", init=str(order.out))
    with pytest.raises(UsageError, match=r"stage read trains the vision tower alone, .* as --config tiny-more does$"):
        begin(more, console)
    assert not more.out.exists() and not (more.work / "state.pt").exists()


def test_screens_that_are_kept_for_evaluation_are_never_trained_on(tmp_path: Path) -> None:
    folder, plan = tmp_path / "work", config(tmp_path)
    for facts, says in (
        ({"split": "unseen", "seed": "3"}, "seed 3, split unseen"),
        ({"split": "seen", "seed": "10000000007"}, "seed 10000000007, split seen"),
        ({"split": "seen"}, "seed unknown, split seen"),
        ({"seed": "3"}, "seed 3, split unknown"),
        ({"split": "seen", "seed": "+10000000007"}, "seed .10000000007"),
    ):
        screens = (replace(toy_screen(random.Random(seed)), facts=facts) for seed in range(4))
        write_shard(folder / "shards" / "toys.tar", screens)
        with pytest.raises(
            UsageError, match=f"a screen of {says}.* is or may be kept for evaluation and is never trained on"
        ):
            begin(Order(str(plan), folder, tmp_path / "model"), Console(file=io.StringIO()))


def test_screens_of_another_size_are_refused(tmp_path: Path) -> None:
    folder, plan = work(tmp_path), config(tmp_path)
    plan.write_text(plan.read_text().replace("tile = 112", "tile = 448"))
    with pytest.raises(UsageError, match=r"toys\.tar: a screen is 112x112 pixels and the model's tile is 448"):
        begin(Order(str(plan), folder, tmp_path / "model"), Console(file=io.StringIO()))


def test_the_folder_where_one_stands_may_be_the_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, plan = work(tmp_path), config(tmp_path, steps=2)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert begin(Order(str(plan), folder, Path()), Console(file=io.StringIO())).outcome == "completed"
    assert checkpoints.check(tmp_path / "here").tile == 112


def test_more_patches_than_a_screen_has_are_refused(tmp_path: Path) -> None:
    folder, plan = work(tmp_path), config(tmp_path)
    plan.write_text(plan.read_text().replace('name = "read"', 'name = "read"\npatches = 999'))
    with pytest.raises(UsageError, match="stage read: patches = 999, and a screen has"):
        begin(Order(str(plan), folder, tmp_path / "model"), Console(file=io.StringIO()))


@pytest.mark.parametrize("content", [b"garbage" * 99, b"", "other"])
def test_a_state_that_is_none_is_named_without_advice_that_would_run_its_code(tmp_path: Path, content: Any) -> None:
    folder, plan = work(tmp_path), config(tmp_path)
    if content == "other":
        torch.save({"weights": torch.zeros(2)}, folder / "state.pt")
    else:
        (folder / "state.pt").write_bytes(content)
    with pytest.raises(TrainingError, match=r"state\.pt .*begin again in another --work folder") as caught:
        begin(Order(str(plan), folder, tmp_path / "model", resume=True), Console(file=io.StringIO()))
    assert "weights_only" not in str(caught.value)


def test_a_rate_that_is_too_high_is_named_and_the_state_of_before_is_kept(tmp_path: Path) -> None:
    folder = work(tmp_path)
    code, _, said = sft("--config", config(tmp_path, rate=1e30), "--work", folder)
    assert code == 3
    assert "stage say: the gradient of step" in said
    assert "lower the stage's rate" in said
    assert f"with another configuration, from weights: --init {folder / 'after-read'}" in said
    assert not (folder / "last").exists(), "the weights of the last step may be ruined"
    assert checkpoints.check(folder / "after-read").tile == 112
    code, _, said = sft("--config", config(tmp_path, rate=1e-3), "--work", folder, "--resume")
    assert code == 2
    assert "stages[1].rate was 1e+30 and is 0.001: put that back to go on" in said
    code, _, said = sft("--config", config(tmp_path), "--work", folder)
    assert (code, "holds a state: go on with --resume" in said) == (2, True)
