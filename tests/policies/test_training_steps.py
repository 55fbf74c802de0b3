import copy
import json
import math
import random
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = pytest.mark.torch

from foveate.actions.errors import CheckpointError, TrainingError, UsageError  # noqa: E402
from foveate.policies.training.architecture import Shape, new_model, write_checkpoint  # noqa: E402
from foveate.policies.training.learning import Learner  # noqa: E402
from foveate.policies.training.measuring import right_answers  # noqa: E402
from foveate.policies.training.muon import Muon, orthogonalised  # noqa: E402
from foveate.policies.training.optimisation import Average, Optimisers, rate_share  # noqa: E402
from foveate.policies.training.packing import pack  # noqa: E402
from foveate.policies.training.settings import OptimiserSettings, ShapeSettings, StageSettings  # noqa: E402
from foveate.policies.training.starting import given  # noqa: E402
from foveate.policies.training.stream import Portion  # noqa: E402
from foveate.policies.training.toys import toy_screen  # noqa: E402

SIZES = {
    "tile": 112,
    "patch": 14,
    "vision_width": 32,
    "vision_layers": 1,
    "text_width": 32,
    "text_layers": 4,
    "head": 16,
}
TOY = Shape(**SIZES)
EVERYTHING = {"chars": 1.0, "centre": 0.2, "align": 1.0, "point": 1.0, "where": 0.5, "say": 1.0, "place": 1.0}


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def stage(**more: Any) -> StageSettings:
    return StageSettings(**{"name": "all", "objectives": EVERYTHING, "steps": 100, "warm_up": 1, **more})


def portion(count: int = 4) -> Portion:
    rng = random.Random(5)
    return Portion(pack([toy_screen(rng) for _ in range(count)], TOY), count, 2 * count)


def learner(**more: Any) -> Learner:
    return Learner(new_model(TOY), OptimiserSettings(precision="float32", **more))


def taken(learning: Learner, one: StageSettings, count: int) -> list[dict[str, float]]:
    learning.begin(one)
    data = portion()
    return [dict(learning.step(data, one, step=step, first=step, spent=0.0).losses) for step in range(count)]


def test_a_few_steps_lower_every_loss() -> None:
    told = taken(learner(), stage(rate=5e-3), 30)
    assert set(told[0]) == set(EVERYTHING)
    assert [name for name in EVERYTHING if not told[-1][name] < told[0][name]] == []


def test_bfloat16_learns_too() -> None:
    made = Learner(new_model(TOY), OptimiserSettings(precision="bf16"))
    told = taken(made, stage(rate=5e-3), 8)
    assert sum(told[-1].values()) < sum(told[0].values())


def test_a_stage_that_only_sees_leaves_the_decoder_alone() -> None:
    made = learner()
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    taken(made, stage(objectives={"chars": 1.0}, patches=16), 2)
    changed = {name for name, value in made.model.state_dict().items() if not torch.equal(before[name], value)}
    assert changed and all("vision_tower" in name for name in changed)


def test_a_step_is_the_same_again_from_its_state() -> None:
    one, data = stage(objectives={"chars": 1.0}, patches=16), portion()
    first, second = learner(average=0.9), learner(average=0.9)
    taken(first, one, 3)
    second.load_state(copy.deepcopy(first.state()), one)
    told = [made.step(data, one, step=3, first=12, spent=0.1) for made in (first, second)]
    assert told[0] == told[1]
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name])
    assert first.measure([data], one) == second.measure([data], one)


def test_a_gradient_that_is_not_finite_is_named_and_changes_nothing() -> None:
    made = learner()
    taken(made, stage(), 1)
    with torch.no_grad():
        made.heads.chars.bias[0] = math.inf
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    with pytest.raises(TrainingError, match=r"stage all: the gradient of step 2 is nan.*lower the stage's rate"):
        made.step(portion(), stage(), step=1, first=4, spent=0.0)
    assert all(torch.equal(value, made.model.state_dict()[name]) for name, value in before.items())


def test_the_rate_rises_stays_and_falls_and_the_heads_come_first() -> None:
    one = stage(warm_up=10, decay=0.5, floor=0.1, heads_alone=20)
    heads = [rate_share(one, step, spent, heads=True) for step, spent in ((0, 0.0), (9, 0.0), (50, 0.5), (90, 1.0))]
    assert heads == pytest.approx([0.1, 1.0, 1.0, 0.1])
    trunk = [rate_share(one, step, 0.0, heads=False) for step in (0, 19, 20, 29)]
    assert trunk == pytest.approx([0.0, 0.0, 0.1, 1.0])
    assert rate_share(one, 90, 0.75, heads=False) == pytest.approx(0.1 + 0.9 * 0.5)
    assert rate_share(stage(warm_up=0, decay=0.0), 0, 0.99, heads=True) == 1.0


def test_heads_that_learn_alone_leave_the_model_as_it_is() -> None:
    made = learner()
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    heads = made.heads.chars.weight.detach().clone()
    taken(made, stage(heads_alone=5), 3)
    assert all(torch.equal(value, made.model.state_dict()[name]) for name, value in before.items())
    assert not torch.equal(heads, made.heads.chars.weight)


def test_the_vision_tower_has_its_own_rate() -> None:
    made = learner()
    optimisers = Optimisers(made.model, made.heads, stage(rate=1.0, vision_rate=0.25), OptimiserSettings())
    peaks = {group["peak"] for state in optimisers.state() for group in state["param_groups"]}
    assert peaks == {0.25, 1.0}


def test_muon_takes_torchs_own_steps() -> None:
    torch.manual_seed(0)
    shapes = ((8, 8), (8, 8), (24, 8), (8, 24))
    ours, theirs = ([torch.nn.Parameter(torch.zeros(shape)) for shape in shapes] for _ in range(2))
    options: dict[str, Any] = {"momentum": 0.9, "weight_decay": 0.1}
    first = Muon([{"params": ours, "lr": 0.1}], **options)
    second = torch.optim.Muon(theirs, lr=0.1, adjust_lr_fn="match_rms_adamw", **options)
    for _ in range(3):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape)
            other.grad = one.grad.clone()
        first.step()
        second.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=0.02, rtol=0.02)


def test_orthogonalised_matrices_have_singular_values_near_one() -> None:
    torch.manual_seed(1)
    for shape in ((3, 16, 16), (2, 32, 8)):
        values = torch.linalg.svdvals(orthogonalised(torch.randn(shape)).float())
        assert 0.5 < float(values.median()) < 1.3
        assert float(values.max()) < 1.4


def test_the_average_follows_the_weights_and_takes_their_place_for_a_while() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    average = Average([parameter], 0.5)
    for value in (1.0, 1.0, 1.0, 1.0):
        parameter.data.fill_(value)
        average.update()
    with average.in_place():
        inside = float(parameter.detach())
    assert 0.9 < inside < 1.0
    assert float(parameter.detach()) == 1.0


def test_what_is_measured_is_of_the_averaged_weights() -> None:
    one, data = stage(objectives={"chars": 1.0}), portion()
    made = learner(average=0.999)
    fresh = learner().measure([data], one).losses["chars"]
    taken(made, stage(objectives={"chars": 1.0}, rate=2e-2), 4)
    averaged = made.measure([data], one).losses["chars"]
    made.average = None
    assert made.measure([data], one).losses["chars"] < averaged < fresh


def test_an_answer_is_right_only_from_end_to_end() -> None:
    made = learner()
    one, data = (
        stage(objectives={"say": 1.0, "place": 1.0, "point": 1.0, "where": 1.0, "align": 1.0}, rate=1e-2),
        portion(2),
    )
    assert not any(right_answers(made.model, data.batch))
    made.begin(one)
    for step in range(120):
        told = made.step(data, one, step=step, first=0, spent=0.0)
        if told.losses["place"] < 1.87 and told.losses["say"] < 0.02:
            break
    found = right_answers(made.model, data.batch)
    assert found == [True] * 4
    data.batch.answers[0][(data.batch.answers[0] >= 0).nonzero()[3]] += 1
    assert right_answers(made.model, data.batch) == [False, True, True, True]
    assert made.measure([data], one).right["answer"] == 0.75


def test_given_weights_find_their_tokens_by_name(tmp_path: Path) -> None:
    model = new_model(TOY, seed=4)
    write_checkpoint(tmp_path, model)
    settings = ShapeSettings(**SIZES)
    start = given(tmp_path, settings, seed=0)
    assert start.new_tokens == 0 and start.shape == TOY
    for name, value in model.state_dict().items():
        torch.testing.assert_close(start.model.state_dict()[name], value, atol=2e-3, rtol=2e-3)
    file = tmp_path / "tokenizer.json"
    data = json.loads(file.read_text())
    last = max(data["added_tokens"], key=lambda one: one["id"])
    last["content"] = "something else"
    file.write_text(json.dumps(data))
    again = given(tmp_path, None, seed=0)
    assert again.new_tokens == 1
    rows = again.model.state_dict()["lm_head.weight"], model.state_dict()["lm_head.weight"]
    torch.testing.assert_close(rows[0][: last["id"]], rows[1][: last["id"]], atol=2e-3, rtol=2e-3)


def test_given_weights_of_other_sizes_are_refused_by_name(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, new_model(TOY))
    wanted = ShapeSettings(**{**SIZES, "text_width": 64, "vision_layers": 2})
    with pytest.raises(
        UsageError, match=r"it has vision_layers 1 and not 2, text_width 32 and not 64: leave \[shape\] out"
    ):
        given(tmp_path, wanted, seed=0)


def test_given_weights_that_training_does_not_make_are_refused_by_name(small_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--init \S+: \S+ is .* and not .*, as foveate's own training makes it"):
        given(small_checkpoint, None, seed=0)
    model = new_model(TOY)
    with torch.no_grad():
        model.state_dict()["lm_head.weight"][3, 3] = float("nan")
    write_checkpoint(tmp_path, model)
    with pytest.raises(CheckpointError, match=r"lm_head.weight holds values that are no numbers"):
        given(tmp_path, None, seed=0)
    write_checkpoint(tmp_path, new_model(TOY))
    tokens = json.loads((tmp_path / "tokenizer.json").read_text())
    tokens["added_tokens"][0]["id"] = 10**6
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokens))
    with pytest.raises(CheckpointError, match=r"tokenizer.json is none: .* beyond the \d+ that the weights have"):
        given(tmp_path, None, seed=0)
