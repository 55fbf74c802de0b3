import math
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = pytest.mark.torch

from foveate.agent.training.examination import blind, past, seen, wilson  # noqa: E402
from foveate.agent.training.make_tiny import Pages  # noqa: E402
from foveate.agent.training.pages import draw_page  # noqa: E402
from foveate.agent.training.shifting import varied  # noqa: E402
from foveate.agent.training.tasks import ask  # noqa: E402
from foveate.agent.training.web_pages import draw_web_pages, load_pages, save_pages, write_page  # noqa: E402
from foveate.policies.internvl import checkpoint as checkpoints  # noqa: E402
from foveate.policies.internvl.tiling import normalised  # noqa: E402
from foveate.policies.training.architecture import Shape, new_model, write_checkpoint  # noqa: E402
from foveate.policies.training.batching import Batch, collate  # noqa: E402
from foveate.policies.training.losses import busy_patches, project, see  # noqa: E402
from foveate.policies.training.samples import Glyph, Label, Question, Sample  # noqa: E402
from foveate.policies.training.trainer import Stage, Trainer  # noqa: E402

TOY = Shape(tile=112, patch=14, vision_width=32, vision_layers=1, text_width=32, text_layers=4, head=16)
EVERYTHING = {"chars": 1.0, "centre": 0.2, "align": 1.0, "point": 1.0, "where": 0.5, "say": 1.0, "place": 1.0}
STAGE = Stage("answer", 1.0, EVERYTHING, rate=2e-3, warm_up=1)


def batch(count: int = 4) -> Batch:
    label = Label("ab", (Glyph("a", 0.3, 0.3), Glyph("b", 0.4, 0.3)), (0.25, 0.2, 0.45, 0.4), (0.2, 0.2, 0.5, 0.4))
    image = np.zeros((112, 112, 3), np.uint8)
    image[22:45, 28:50] = 255
    asked = (
        Question("Click ab", "None", "click(x=0.35, y=0.30)\n</action>", 0),
        Question("Wait 3 s", "Step 1: click", "wait(seconds=3)\n</action>", notes=("nothing changed",)),
    )
    return collate([Sample(image, (label,), asked)] * count, TOY)


def trainer(folder: Path) -> Trainer:
    return Trainer(new_model(TOY), folder)


def test_a_few_steps_lower_every_loss(tmp_path: Path) -> None:
    made = trainer(tmp_path)
    optimisers, data = made.optimisers(STAGE), batch()
    first = made.scores(data, STAGE).losses
    for _ in range(12):
        made.step(data, STAGE, optimisers)
    last = made.scores(data, STAGE).losses
    assert set(last) == set(EVERYTHING)
    assert [name for name in last if not float(last[name].detach()) < float(first[name].detach())] == []
    assert made.pages == 12 * 4


def test_what_training_computes_is_what_transformers_computes() -> None:
    model = new_model(TOY).eval()
    data = batch(2)
    pixels = torch.from_numpy(normalised(data.pixels.permute(0, 2, 3, 1).numpy()))
    with torch.no_grad():
        theirs = model.model.get_image_features(
            pixel_values=pixels, vision_feature_layer=-1, vision_feature_select_strategy="default"
        )
        ours = project(model, see(model, data.pixels))
    torch.testing.assert_close(ours, theirs.pooler_output.reshape(ours.shape), atol=1e-5, rtol=1e-4)


def test_a_question_does_not_see_its_neighbours() -> None:
    data = batch(1)
    seen = data.mask[0, 0] == 0
    second = int(torch.nonzero(data.positions[0, 1:] < data.positions[0, :-1]).flatten()[0]) + 1
    prefix = int(data.positions[0, second])
    assert not seen[second:, prefix:second].any()
    assert seen[second, :prefix].all()


def test_an_interrupted_stage_goes_on_where_it_was_saved(tmp_path: Path) -> None:
    made = trainer(tmp_path)
    optimisers, data = made.optimisers(STAGE), batch()
    made.step(data, STAGE, optimisers)
    made.save(STAGE, optimisers, 1, 30.0)
    made.step(data, STAGE, optimisers)
    again = trainer(tmp_path)
    assert again.load() == "answer"
    fresh = again.optimisers(STAGE)
    assert again._resume(STAGE, fresh) == (1, 30.0)
    again.step(data, STAGE, fresh)
    for name, value in made.model.state_dict().items():
        torch.testing.assert_close(again.model.state_dict()[name], value, msg=name)


def test_a_stage_whose_time_is_over_takes_no_step(tmp_path: Path) -> None:
    made = trainer(tmp_path)
    made.save(STAGE, made.optimisers(STAGE), 9, STAGE.minutes * 60)
    made.run(STAGE, iter([batch()]))
    assert made.pages == 0


def test_the_rate_rises_and_then_falls_with_the_time() -> None:
    stage = Stage("a", 1.0, rate=1.0, warm_up=10, floor=0.1)
    assert stage.scale(0, 0.0) == pytest.approx(0.1)
    assert stage.scale(50, 0.2) == 1.0
    assert stage.scale(50, 1.0) == pytest.approx(0.1)


def test_a_gradient_that_is_not_finite_changes_nothing(tmp_path: Path) -> None:
    made = trainer(tmp_path)
    optimisers, data = made.optimisers(STAGE), batch()
    with torch.no_grad():
        made.heads.chars.bias[0] = math.inf
    before = made.model.lm_head.weight.clone()
    with pytest.raises(FloatingPointError, match="lower the stage's rate"):
        made.step(data, STAGE, optimisers)
    assert torch.equal(made.model.lm_head.weight, before)


def test_what_is_written_has_no_heads_and_gives_the_same_logits(tmp_path: Path) -> None:
    import transformers

    made = trainer(tmp_path / "work")
    made.step(batch(), STAGE, made.optimisers(STAGE))
    write_checkpoint(tmp_path / "model", made.model)
    loaded, info = transformers.InternVLForConditionalGeneration.from_pretrained(
        tmp_path / "model", dtype=torch.float32, output_loading_info=True
    )
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert set(loaded.state_dict()) == set(new_model(TOY).state_dict())
    assert checkpoints.check(tmp_path / "model").profile == "tiny"
    ids = torch.arange(20)[None] + 20
    with torch.no_grad():
        ours, theirs = made.model.eval()(input_ids=ids).logits, loaded.eval()(input_ids=ids).logits
    torch.testing.assert_close(ours, theirs, atol=5e-3, rtol=0)


def test_busy_patches_come_first() -> None:
    chars = torch.zeros(1, 64, 3, dtype=torch.int64)
    chars[0, 27, 0] = 5
    kept = busy_patches(chars, 9)[0].tolist()
    assert kept[0] == 27
    assert set(kept) == {18, 19, 20, 26, 27, 28, 34, 35, 36}


def test_a_page_is_the_same_for_the_same_seed_and_its_labels_lie_on_it() -> None:
    image, labels = draw_page(random.Random(7))
    again, same = draw_page(random.Random(7))
    assert image.shape == (448, 448, 3)
    assert np.array_equal(image, again)
    assert labels == same
    for label in labels:
        left, top, right, bottom = label.target
        assert 0 <= left < label.centre[0] < right <= 1
        assert 0 <= top < label.centre[1] < bottom <= 1
        assert "".join(glyph.char for glyph in label.glyphs) == label.text.replace(" ", "")


def test_a_moved_page_keeps_what_its_labels_say_where_they_now_are() -> None:
    rng = random.Random(3)
    image, labels = draw_page(rng)
    moved, after = varied(rng, image, labels)
    assert moved.shape == image.shape
    for old, new in zip(labels, after, strict=True):
        assert [glyph.char for glyph in old.glyphs] == [glyph.char for glyph in new.glyphs]
        assert all(0 <= glyph.x < 1 and 0 <= glyph.y < 1 for glyph in new.glyphs)
        if new.whole:
            assert new.extent[2] - new.extent[0] == pytest.approx(old.extent[2] - old.extent[0])


def test_questions_never_ask_for_a_label_that_an_edge_tears() -> None:
    rng = random.Random(5)
    for _ in range(20):
        _, labels = varied(rng, *draw_page(rng))
        for question in ask(rng, labels, 5):
            assert question.label is None or labels[question.label].whole


def test_every_answer_that_is_taught_is_an_action() -> None:
    from foveate.actions.geometry import Convention, Frame
    from foveate.actions.parse import parse_answer
    from foveate.policies.internvl.short_prompts import PREFILL

    rng = random.Random(1)
    kinds = set()
    for _ in range(60):
        _, labels = draw_page(rng)
        for question in ask(rng, labels, 4):
            read = parse_answer(PREFILL + question.answer, frame=Frame(448, 448), convention=Convention.UNIT)
            kinds.add(read.actions[0].kind)
    assert kinds == {"click", "type_text", "press", "scroll", "wait", "respond", "terminate"}


def test_batches_are_the_same_for_the_same_seed() -> None:
    first, second = (next(iter(Pages(4, 2, 3, 2))) for _ in range(2))
    fields: list[Any] = [(getattr(first, name), getattr(second, name)) for name in ("pixels", "ids", "chars", "mask")]
    assert all(torch.equal(a, b) for a, b in fields)


def test_shares_come_with_wilsons_interval() -> None:
    low, high = wilson(50, 100)
    assert (round(low, 3), round(high, 3)) == (0.404, 0.596)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 10)[0] == 0.0
    assert 0.2 < wilson(0, 10)[1] < 0.3


def test_clicks_that_do_not_look_are_counted() -> None:
    found = blind([(0.0, 0.0, 0.5, 0.5), (0.4, 0.4, 0.6, 0.6), (0.9, 0.9, 1.0, 1.0)])
    assert found["random_point"] == pytest.approx((0.25 + 0.04 + 0.01) / 3, abs=1e-4)
    assert found["best_fixed_point"] == pytest.approx(2 / 3, abs=1e-4)


def test_the_past_of_a_question_reads_as_the_loop_writes_it() -> None:
    from foveate.policies.internvl.prompts import previous_operations

    observation = seen(np.zeros((8, 8, 3), np.uint8))
    history = past(Question("a", "Step 1: click\nStep 2: type_text", ""), observation)
    assert previous_operations(history) == "Step 1: click\nStep 2: type_text"


def test_pages_that_were_kept_are_read_again(tmp_path: Path) -> None:
    image, labels = draw_page(random.Random(9))
    save_pages(tmp_path, iter([(image, labels)]))
    ((again, same),) = load_pages(tmp_path)
    assert np.array_equal(again, image)
    assert [label.text for label in same] == [label.text for label in labels]
    assert same[0].centre == labels[0].centre


def test_a_page_for_chromium_names_every_element_once() -> None:
    page = write_page(random.Random(2), 8)
    names = re.findall(r'data-name="([^"]*)"', page)
    assert 1 <= len(names) <= 8
    assert len(set(names)) == len(names)
    assert page == write_page(random.Random(2), 8)


@pytest.mark.browser
def test_chromium_says_where_each_character_stands() -> None:
    pytest.importorskip("playwright", reason="playwright is not installed")
    ((image, labels),) = list(draw_web_pages(range(3, 4)))
    assert image.shape == (448, 448, 3)
    whole = [label for label in labels if label.whole]
    assert whole
    for label in whole:
        glyph = label.glyphs[0]
        x, y = int(glyph.x * 448), int(glyph.y * 448)
        assert image[max(y - 9, 0) : y + 9, max(x - 7, 0) : x + 7].std() > 5
