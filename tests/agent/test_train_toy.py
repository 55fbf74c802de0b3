"""Training end to end at toy size: it learns what shuffled targets cannot teach, and goes on without forgetting."""

import math
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
load_file = pytest.importorskip("safetensors.torch").load_file
pytestmark = [pytest.mark.torch, pytest.mark.timeout(400)]

from foveate.policies.training.architecture import Shape  # noqa: E402
from foveate.policies.training.learning import Learner  # noqa: E402
from foveate.policies.training.measuring import right_answers  # noqa: E402
from foveate.policies.training.packing import pack  # noqa: E402
from foveate.policies.training.settings import InitSettings, OptimiserSettings, StageSettings  # noqa: E402
from foveate.policies.training.shards import write_shard  # noqa: E402
from foveate.policies.training.starting import given  # noqa: E402
from foveate.policies.training.stream import Portion, Stream, Wanted  # noqa: E402
from foveate.policies.training.toys import ToyScreens, shuffled, toy_screen  # noqa: E402

CONFIG = """
seed = 2
[shape]
tile = 112
patch = 14
vision_width = 64
vision_layers = 2
text_width = 64
text_layers = 4
head = 16
[data]
questions = 2
[data.shards.toys]
folder = "shards"
varied = 0.0
[optimiser]
precision = "float32"
[evaluation]
every = 1000
pages = 8
[run]
workers = 0
threads = 1
[[stages]]
name = "all"
objectives = { chars = 0.5, align = 1.0, point = 1.0, where = 1.0, say = 1.0, place = 1.0 }
steps = 120
rate = 6e-3
warm_up = 10
batch_pages = 12
"""
OBJECTIVES = {"chars": 0.5, "align": 1.0, "point": 1.0, "where": 1.0, "say": 1.0, "place": 1.0}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two checkpoints of the same training, one of them on targets that were shuffled."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "toy.toml").write_text(CONFIG)
    for name in ("true", "shuffled"):
        rng = random.Random(3)
        screens = (toy_screen(rng) for _ in range(600))
        told = screens if name == "true" else (shuffled(screen, rng) for screen in screens)
        write_shard(folder / name / "shards" / "toys.tar", told)
    running = {name: training(folder / "toy.toml", folder / name) for name in ("true", "shuffled")}
    return {name: ended(process) for name, process in running.items()}


def training(config: Path, work: Path, *more: object) -> "subprocess.Popen[str]":
    """Begin ``foveate train sft``."""
    command = ["train", "sft", "--config", config, "--work", work, "--device", "cpu", *more]
    return subprocess.Popen(
        [sys.executable, "-m", "foveate.agent.start", *map(str, command)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ended(process: "subprocess.Popen[str]") -> Path:
    """Give the checkpoint that a training wrote."""
    out, said = process.communicate(timeout=390)
    assert process.returncode == 0, said
    return Path(out.strip())


def held_out() -> Portion:
    """Give screens that neither run has seen."""
    rng = random.Random("held out")
    shape = Shape(tile=112, patch=14, vision_width=64, vision_layers=2, text_width=64, text_layers=4, head=16)
    return Portion(pack([toy_screen(rng) for _ in range(60)], shape), 60, 120)


def as_likely(first: int, second: int, count: int) -> float:
    """Give Fisher's exact p, one-sided, of so many more right in the first of two groups of the same size."""
    both = first + second
    ways = [
        math.comb(count, hits) * math.comb(count, both - hits)
        for hits in range(max(0, both - count), min(count, both) + 1)
    ]
    return sum(ways[first - max(0, both - count) :]) / sum(ways)


def test_it_answers_what_it_was_never_shown_and_shuffled_targets_teach_nothing(models: dict[str, Path]) -> None:
    batch = held_out().batch
    right = {
        name: sum(right_answers(given(folder, None, seed=0).model.eval(), batch)) for name, folder in models.items()
    }
    assert as_likely(right["true"], right["shuffled"], 120) < 0.01, right
    assert right["true"] > 30, right
    assert as_likely(60, 60, 120) > 0.4  # the test itself can say no


def test_the_command_goes_on_from_given_weights_with_what_they_had_learned(
    models: dict[str, Path], tmp_path: Path
) -> None:
    config = tmp_path / "short.toml"
    config.write_text(CONFIG.replace("steps = 120", "steps = 30") + "[init]\nheads_alone = 5\nwarm_up = 20\n")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "shards").symlink_to(models["true"].parent / "shards")
    gone_on = ended(training(config, tmp_path / "work", "--init", models["true"]))
    batch = held_out().batch
    before, after = (
        sum(right_answers(given(one, None, seed=0).model.eval(), batch)) for one in (models["true"], gone_on)
    )
    assert as_likely(before, after, 120) > 0.05, (before, after)
    weights = [load_file(one / "model.safetensors") for one in (models["true"], gone_on)]
    changed = [name for name, tensor in weights[0].items() if not torch.equal(tensor, weights[1][name])]
    assert len(changed) > 0.9 * len(weights[0])


def test_the_first_hundred_steps_from_given_weights_do_not_lose_what_was_learned(models: dict[str, Path]) -> None:
    start, init = given(models["true"], None, seed=0), InitSettings(heads_alone=30, warm_up=60)
    stage = StageSettings(
        name="more", objectives=OBJECTIVES, steps=400, rate=2e-3, batch_pages=6, **init.model_dump()
    )  # fmt: skip
    learner, data = Learner(start.model, OptimiserSettings(precision="float32")), [held_out()]
    stream = Stream(
        {"toys": ToyScreens()}, {"toys": 1.0}, seed="more", first=0, pages=6, wanted=Wanted(2), shape=start.shape
    )

    def lost() -> float:
        losses = learner.measure(data, stage).losses
        return losses["say"] + losses["place"]

    before, worst = lost(), 0.0
    learner.begin(stage)
    for step in range(100):
        learner.step(stream.portion(step), stage, step=step, first=6 * step, spent=step / 400)
        if step % 20 == 19:
            worst = max(worst, lost())
    assert worst <= before + 0.1
