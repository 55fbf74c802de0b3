import json
import math
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = pytest.mark.torch

from foveate.actions.errors import TrainingError, UsageError  # noqa: E402
from foveate.policies.internvl import checkpoint as checkpoints  # noqa: E402
from foveate.policies.training.learning import Learner  # noqa: E402
from foveate.policies.training.settings import Settings, StageSettings  # noqa: E402
from foveate.policies.training.settings_file import settings_of  # noqa: E402
from foveate.policies.training.sft import LAST, LOG, STATE, Begun, Supply, Training  # noqa: E402
from foveate.policies.training.starting import fresh  # noqa: E402
from foveate.policies.training.states import Log, read_log, read_state, write_state  # noqa: E402
from foveate.policies.training.toys import ToyScreens  # noqa: E402

SIZES = {
    "tile": 112,
    "patch": 14,
    "vision_width": 32,
    "vision_layers": 1,
    "text_width": 32,
    "text_layers": 4,
    "head": 16,
}
READ = {"name": "read", "objectives": {"chars": 1.0}, "steps": 4, "batch_pages": 4, "warm_up": 1, "patches": 32}
SAY = {
    "name": "say",
    "objectives": {"chars": 1.0, "say": 1.0, "place": 1.0},
    "steps": 4,
    "batch_pages": 4,
    "warm_up": 1,
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Ear:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.said: list[str] = []
        self.left: list[float] = []

    def begins(self, stage: StageSettings, number: int, count: int) -> None:
        self.stages.append(f"{stage.name} {number} of {count}")

    def moves(self, spent: float) -> None: ...

    def steps(self, line: Mapping[str, Any], spent: float, left_s: float) -> None:
        self.left.append(left_s)

    def measures(self, line: Mapping[str, Any]) -> None: ...

    def says(self, text: str) -> None:
        self.said.append(text)


class Stop:
    """Asks to stop before the so-manyth step."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def settings(*stages: dict[str, Any], **more: Any) -> Settings:
    given: dict[str, Any] = {
        "shape": SIZES,
        "data": {"browserless": 1.0, "questions": 2},
        "stages": stages or (READ, SAY),
        "optimiser": {"precision": "float32", "average": 0.5},
        "evaluation": {"every": 3, "pages": 4},
        "run": {"workers": 0, "log_every": 2, "save_every_s": 1e9},
    }
    return settings_of({**given, **more}, "run.toml")


def training(
    folder: Path, chosen: Settings, *, ear: Ear | None = None, stop: Any = None, given: str | None = None
) -> Training:
    folder.mkdir(exist_ok=True)
    start = fresh(chosen.shape, seed=chosen.seed)
    toys = {"browserless": ToyScreens()}
    learner = Learner(start.model, chosen.optimiser, seed=chosen.seed)
    return Training(
        chosen, learner, Supply(toys, toys, "toys"), Begun(dict(SIZES), given), folder, listener=ear or Ear(),
        stop=stop or (lambda: False),
    )  # fmt: skip


def told(folder: Path) -> list[dict[str, Any]]:
    """Give a log without what depends on the clock."""
    clock = ("elapsed_s", "pages_per_s", "answers_per_s")
    return [{name: value for name, value in line.items() if name not in clock} for line in read_log(folder / LOG)]


def test_stages_follow_one_another_and_leave_their_models(tmp_path: Path) -> None:
    ear = Ear()
    made = training(tmp_path, settings(), ear=ear)
    assert made.run() == "completed"
    assert ear.stages == ["read 1 of 2", "say 2 of 2"]
    assert [(one.name, one.steps, one.pages, one.answers) for one in made.results] == [
        ("read", 4, 16, 0),
        ("say", 4, 16, 32),
    ]
    assert set(made.results[1].measured) == {"chars", "say", "place", "answer"}
    for name in ("after-read", "after-say"):
        assert checkpoints.check(tmp_path / name).profile == "tiny"
        assert not list(tmp_path.glob(".*.part"))
    lines = told(tmp_path)
    assert [(line["stage"], line["step"], line["pages"], "held_out" in line) for line in lines] == [
        ("read", 2, 8, False), ("read", 3, 12, True), ("read", 4, 16, False), ("read", 4, 16, True),
        ("say", 2, 24, False), ("say", 3, 28, True), ("say", 4, 32, False), ("say", 4, 32, True),
    ]  # fmt: skip
    assert ear.left[1] == pytest.approx(0.0)


@pytest.mark.parametrize("after", [2, 3, 5, 7])
def test_a_run_that_was_interrupted_goes_on_as_if_it_had_not_been(tmp_path: Path, after: int) -> None:
    whole, broken, chosen = tmp_path / "whole", tmp_path / "broken", settings()
    training(whole, chosen).run()
    assert training(broken, chosen, stop=Stop(after)).run() == "interrupted"
    assert checkpoints.check(broken / LAST).tile == 112
    Log(broken / LOG).add({"stage": "read", "step": 99, "pages": 99})  # steps that are lost by a kill are taken again
    again = training(broken, chosen)
    again.resume(read_state(broken / STATE))
    assert again.run() == "completed"
    assert told(broken) == told(whole)
    states = [read_state(folder / STATE)["learner"] for folder in (whole, broken)]
    for part in ("model", "heads"):
        assert all(torch.equal(value, states[1][part][name]) for name, value in states[0][part].items())


def test_a_run_that_is_complete_has_nothing_left_to_do(tmp_path: Path) -> None:
    first = training(tmp_path, settings())
    first.run()
    before = told(tmp_path)
    again = training(tmp_path, settings())
    again.resume(read_state(tmp_path / STATE))
    assert again.run() == "completed"
    assert again.results == first.results
    assert told(tmp_path) == before


def gated(at_least: float, **more: Any) -> dict[str, Any]:
    return {**READ, "gate": {"metric": "chars", "at_least": at_least, **more}}


def test_a_gate_that_is_reached_ends_its_stage_early(tmp_path: Path) -> None:
    ear = Ear()
    made = training(tmp_path, settings(gated(0.0)), ear=ear)
    assert made.run() == "completed"
    assert (made.results[0].steps, made.results[0].gate) == (3, "reached")
    assert "at least the 0.0% asked for: training goes on" in ear.said[0]
    patient = training(tmp_path / "patient", settings(gated(0.0, leave_early=False)))
    patient.run()
    assert (patient.results[0].steps, patient.results[0].gate) == (4, "reached")


def test_a_gate_that_is_missed_says_so_and_goes_on(tmp_path: Path) -> None:
    ear = Ear()
    made = training(tmp_path, settings(gated(1.0), SAY), ear=ear)
    assert made.run() == "completed"
    assert [one.gate for one in made.results] == ["missed", None]
    assert "short of the 100.0% asked for: training goes on" in ear.said[0]


def test_a_gate_that_is_missed_can_stop_the_run(tmp_path: Path) -> None:
    ear, chosen = Ear(), settings(gated(1.0, if_missed="stop"), SAY)
    made = training(tmp_path, chosen, ear=ear)
    assert made.run() == "gate missed"
    assert "training stops here" in ear.said[0]
    assert ear.stages == ["read 1 of 2"]
    again = training(tmp_path, chosen)
    again.resume(read_state(tmp_path / STATE))
    assert again.run() == "gate missed"


def test_a_budget_in_minutes_ends_with_the_clock(tmp_path: Path) -> None:
    timed = {**{name: value for name, value in READ.items() if name != "steps"}, "minutes": 0.005}
    made = training(tmp_path, settings(timed))
    assert made.run() == "completed"
    assert made.results[0].steps >= 1
    assert made.results[0].seconds < 60


def test_a_gradient_that_is_not_finite_stops_the_run_with_its_state_of_before(tmp_path: Path) -> None:
    chosen = settings({**READ, "steps": 9})
    made = training(tmp_path, chosen, stop=Stop(3))
    made.run()
    before = read_state(tmp_path / STATE)
    again = training(tmp_path, chosen)
    again.resume(before)
    with torch.no_grad():
        again._learner.heads.chars.bias[0] = math.nan
    with pytest.raises(TrainingError, match="stage read: the gradient of step 4 is nan"):
        again.run()
    after = read_state(tmp_path / STATE)
    assert after["position"]["step"] == before["position"]["step"] == 3
    assert all(
        torch.equal(value, after["learner"]["model"][name]) for name, value in before["learner"]["model"].items()
    )
    assert checkpoints.check(tmp_path / LAST).profile == "tiny"
    ruined = training(tmp_path, chosen, stop=Stop(4))
    ruined.resume(before)
    with torch.no_grad():
        ruined._learner.model.get_input_embeddings().weight[-1, 0] = 1e6  # a number, but none of float16
    kept = (tmp_path / LAST / "model.safetensors").read_bytes()
    with pytest.raises(TrainingError, match=r"stage read: after step \d+ there are weights that float16 cannot hold"):
        ruined.run()
    assert read_state(tmp_path / STATE)["position"]["step"] == 3
    assert (tmp_path / LAST / "model.safetensors").read_bytes() == kept


def test_another_configuration_or_other_shards_are_refused_with_what_differs(tmp_path: Path) -> None:
    training(tmp_path, settings(), stop=Stop(2)).run()
    state = read_state(tmp_path / STATE)
    changed = training(tmp_path, settings({**READ, "rate": 1.0}, SAY))
    with pytest.raises(UsageError, match=r"stages\[0\].rate was 0.002 and is 1.0: put that back"):
        changed.resume(state)
    with pytest.raises(UsageError, match="the shards are other files"):
        training(tmp_path, settings()).resume({**state, "supply": "others"})
    unknown = {**json.loads(state["settings"]), "bygone": 1}
    with pytest.raises(UsageError, match=r"state.pt was saved by another version of foveate: begin in another --work"):
        training(tmp_path, settings()).resume({**state, "settings": json.dumps(unknown)})
    more = training(tmp_path, settings(run={"workers": 1, "log_every": 2, "save_every_s": 1e9}))
    more.resume(state)


def test_given_weights_are_gone_on_from_gently(tmp_path: Path) -> None:
    chosen = settings(init={"heads_alone": 5, "warm_up": 7})
    first = training(tmp_path, chosen, given="tiny")._stages
    assert (first[0].heads_alone, first[0].warm_up, first[1].heads_alone) == (5, 7, 0)
    assert training(tmp_path, chosen)._stages[0].heads_alone == 0


@pytest.fixture
def no_room() -> Iterator[None]:
    """Let no file grow beyond 100 kB, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_state_that_finds_no_room_leaves_the_one_before(tmp_path: Path, no_room: None) -> None:
    path = tmp_path / STATE
    write_state(path, {"step": 1})
    with pytest.raises(
        TrainingError, match=r"state.pt cannot be saved: .* \(the one saved before is kept\): make room"
    ):
        write_state(path, {"step": 2, "large": torch.zeros(100_000)})
    assert read_state(path) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == [STATE]


def test_a_model_that_finds_no_room_leaves_the_one_before(tmp_path: Path, no_room: None) -> None:
    made = training(tmp_path / "work", settings())
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    with pytest.raises(TrainingError, match=r"model cannot be written: .* make room"):
        made.write(tmp_path / "model")
    assert (tmp_path / "model" / "config.json").read_text() == "{}"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model", "work"]


def test_an_error_is_told_even_where_what_was_learned_until_then_cannot_be_saved(
    tmp_path: Path, no_room: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> None:
        raise UsageError("the third shard is broken")

    monkeypatch.setattr(ToyScreens, "screen", broken)
    with pytest.raises(TrainingError, match=r"^the third shard is broken; and what was .*state.pt cannot be saved"):
        training(tmp_path, settings()).run()


@pytest.mark.parametrize("content", [b"", b"no state at all", b"PK\x03\x04 half a state"])
def test_a_broken_state_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / STATE).write_bytes(content)
    with pytest.raises(TrainingError, match=r"state.pt cannot be read: .*: begin again in another --work folder"):
        read_state(tmp_path / STATE)


def test_a_state_of_which_one_bit_has_changed_is_named(tmp_path: Path) -> None:
    write_state(tmp_path / STATE, {"weights": torch.zeros(1000)})
    data = bytearray((tmp_path / STATE).read_bytes())
    data[data.index(bytes(2000)) + 1000] ^= 4
    (tmp_path / STATE).write_bytes(data)
    with pytest.raises(TrainingError, match=r"state.pt cannot be read: it is no state that was saved whole"):
        read_state(tmp_path / STATE)


def test_a_state_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holds no state to go on from: leave --resume out"):
        read_state(tmp_path / STATE)


def test_a_log_line_that_a_kill_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / LOG
    path.write_text(json.dumps({"step": 1}) + '\n{"step": 2, "lo')
    assert read_log(path) == [{"step": 1}]
