"""Screens become batches whose every target is where it should be, and every objective can be learned from them."""

import random
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = pytest.mark.torch

from foveate.policies.training.architecture import Shape, new_model  # noqa: E402
from foveate.policies.training.objectives import Heads, Scores, answer, busy_patches, project, read, see  # noqa: E402
from foveate.policies.training.packing import (  # noqa: E402
    IGNORED,
    NO_CHAR,
    PREFILL,
    Batch,
    cell_of,
    first_visual,
    lay_out,
    pack,
    prefix_ids,
    written_operations,
)
from foveate.policies.training.screens import Element, Glyph, Question, Screen, Text  # noqa: E402
from foveate.policies.training.tokenizer import COORDINATES, build_tokenizer  # noqa: E402
from foveate.policies.training.varying import varied  # noqa: E402

TOY = Shape(tile=112, patch=14, vision_width=32, vision_layers=1, text_width=32, text_layers=4, head=16)
ALL = ("chars", "centre", "align", "point", "where", "say", "place")


def written(text: str, x: float, y: float) -> Text:
    glyphs = tuple(Glyph(char, x + 0.05 * at, y) for at, char in enumerate(text) if char != " ")
    return Text(text, glyphs, (x - 0.025, y - 0.05, x + 0.05 * len(text) - 0.025, y + 0.05))


def screen() -> Screen:
    """A button that says Go on, a field whose label stands over it, and a line of text."""
    texts = (written("Go on", 0.2, 0.2), written("Name", 0.6, 0.6), written("Total 42", 0.1, 0.9))
    elements = (
        Element("button", "Go on", (0.15, 0.1, 0.5, 0.3), (0.3, 0.2), (0,)),
        Element("field", "Name", (0.55, 0.7, 0.95, 0.85), (0.62, 0.75), (1,)),
    )
    questions = (
        Question("Click go on", "Click Go on", "click({place})", 0),
        Question("Type Anna in Name", "Click Name", "click({place})", 1, notes=("nothing changed",)),
        Question("Which word is last?", "Answer 42", 'response(answer="42")', operations=("Click Go on",)),
    )
    return Screen(np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8), texts, elements, questions)


def test_a_question_is_laid_out_as_the_engine_asks_it() -> None:
    one, tokenizer = screen(), build_tokenizer()
    laid = lay_out(one.questions[0], one, 4)
    text = tokenizer.decode([*prefix_ids(16), *laid.ids])
    assert text == (
        "<|im_start|>system\nYou are a GUI agent.<|im_end|>\n<|im_start|>user\n"
        + "<img>" + "<IMG_CONTEXT>" * 16 + "</img>\n"
        "Task:\nClick go on\n\nPrevious operations:\nNone<|im_end|>\n<|im_start|>assistant\n"
        + PREFILL + "Click Go on\n</operation>\n<action>\nclick(x=0.30, y=0.20)\n</action><|im_end|>"
    )  # fmt: skip
    assert tokenizer.decode([token for token in laid.answers if token != IGNORED]).startswith("Click Go on\n</op")
    assert written_operations(("Click a", "Type b")) == "Step 1: Click a\nStep 2: Type b"


def test_named_characters_are_looked_for_where_they_stand_in_the_task_and_in_the_plan() -> None:
    one, tokenizer = screen(), build_tokenizer()
    laid = lay_out(one.questions[0], one, 4)
    said = [(tokenizer.decode([laid.ids[at]]), cell) for at, cell in sorted(laid.aligned.items())]
    once = [(char, cell_of(glyph.x, glyph.y, 4)) for char, glyph in zip("Goon", one.texts[0].glyphs, strict=True)]
    assert said == [(char.lower(), cell) for char, cell in once] + once
    cells = {cell for _, cell in once} | {cell_of(0.3, 0.2, 4)}
    assert {frozenset(wanted) for wanted in laid.pointers.values()} == {frozenset(cells)}
    first = build_tokenizer().convert_tokens_to_ids(COORDINATES[0])
    numbers = [at for at, token in enumerate(laid.ids) if first <= token < first + 100]
    assert [laid.points[at - 1] for at in numbers] == [0.3, 0.2]
    assert sorted(laid.pointers)[1:] == [at - 1 for at in numbers]


def test_a_field_is_recognised_at_its_aim_and_its_label_says_where_to_press() -> None:
    one = screen()
    laid = lay_out(one.questions[1], one, 4)
    assert set(laid.pointers.values()) == {frozenset((cell_of(0.62, 0.75, 4),))}
    batch = pack([one], TOY)
    label, total, button = (cell_of(x, y, 4) for x, y in ((0.61, 0.6), (0.15, 0.9), (0.3, 0.2)))
    assert batch.places[0, label].tolist() == pytest.approx([0.62, 0.75])
    assert batch.places[0, total].tolist() == pytest.approx([0.275, 0.9])
    assert batch.places[0, button].tolist() == pytest.approx([0.3, 0.2])
    assert batch.places[0, 3].tolist() == pytest.approx([0.875, 0.125])


def test_what_is_read_out_is_looked_for_character_by_character() -> None:
    one, tokenizer = screen(), build_tokenizer()
    laid = lay_out(one.questions[2], one, 4)
    said = [tokenizer.decode([laid.ids[at + 1]]) for at in sorted(laid.pointers)]
    assert said == ["4", "2"]
    assert set().union(*laid.pointers.values()) == {cell_of(0.4, 0.9, 4), cell_of(0.45, 0.9, 4)}
    twice = replace(one, texts=(*one.texts, written("also 42", 0.1, 0.4)))
    assert lay_out(one.questions[2], twice, 4).pointers == {}


def test_a_word_asked_for_by_its_place_is_looked_for_there_however_often_it_is_written() -> None:
    one, tokenizer = screen(), build_tokenizer()
    twice = replace(one, texts=(*one.texts, written("also 42", 0.1, 0.4)))
    reads = twice.texts[3].glyphs[-2:]
    asked = replace(one.questions[2], task="Which word stands at 0.38 0.40?", reads=reads)
    laid = lay_out(asked, twice, 4)
    cells = [cell_of(glyph.x, glyph.y, 4) for glyph in reads]
    assert [(tokenizer.decode([laid.ids[at]]), cell) for at, cell in laid.aligned.items()] == [
        ("0.40", cell_of(0.375, 0.4, 4))
    ]
    said = [(tokenizer.decode([laid.ids[at + 1]]), cell) for at, (cell,) in sorted(laid.pointers.items())]
    assert said == list(zip("42", cells, strict=True))
    assert varied(random.Random(0), replace(twice, questions=(asked,))).questions[0].reads == ()


def test_questions_that_find_no_room_are_left_out_and_every_batch_is_as_long() -> None:
    one = screen()
    sizes = [len(lay_out(question, one, 4).ids) for question in one.questions]
    assert sizes[1] > sizes[2]
    for room, kept in ((sum(sizes), 3), (sizes[0] + sizes[2], 2), (sizes[0], 1), (1, 1)):
        batch = pack([one, replace(one, questions=())], TOY, room=room)
        assert batch.answered() == kept
        assert batch.ids.shape[1] == len(prefix_ids(16)) + max(room, sizes[0])
        whole = pack([replace(one, questions=(one.questions[0], *one.questions[2:][: kept - 1]))], TOY)
        if kept < 3:
            assert batch.ids[0, : whole.ids.shape[1]].tolist() == whole.ids[0].tolist()


def test_patches_say_their_characters_and_what_to_press() -> None:
    batch = pack([screen()], TOY)
    patch = cell_of(0.2, 0.2, 8)
    assert (batch.chars[0, patch] != NO_CHAR).sum() == 1
    assert batch.centres[0, patch].tolist() == pytest.approx([0.3, 0.2])
    assert batch.centres[0, cell_of(0.8, 0.76, 8)].tolist() == pytest.approx([0.62, 0.75])
    assert batch.centres[0, cell_of(0.9, 0.05, 8)].isnan().all()


def test_a_question_sees_the_picture_and_itself_alone() -> None:
    batch = pack([screen()], TOY)
    seen, groups = batch.mask()[0, 0] == 0, batch.groups[0]
    second, prefix = torch.nonzero(groups == 2).flatten(), len(prefix_ids(16))
    assert seen[second[-1], :prefix].all() and seen[second[-1], second].all()
    assert not seen[second[-1], groups == 1].any() and not seen[second[0], second[1]]
    assert batch.positions[0, second[0]] == prefix
    assert len(batch) == 1 and batch.to("cpu") is batch


def losses(batch: Batch, model: object, heads: Heads) -> Scores:
    scores = Scores()
    features = see(model, batch.pixels)
    read(heads, features, batch, scores)
    answer(model, heads, project(model, features), batch, scores)
    return scores


def test_a_few_steps_lower_every_loss() -> None:
    model, batch = new_model(TOY), pack([screen()] * 2, TOY)
    heads = Heads(32, 32)
    model.set_attn_implementation("eager")
    optimiser = torch.optim.AdamW([*model.parameters(), *heads.parameters()], lr=3e-3)
    first = losses(batch, model, heads)
    for _ in range(15):
        losses(batch, model, heads).total(dict.fromkeys(ALL, 1.0)).backward()
        optimiser.step()
        optimiser.zero_grad()
    last = losses(batch, model, heads)
    assert set(last.losses) == set(last.right) == set(ALL)
    assert [name for name in ALL if not last.losses[name] < first.losses[name]] == []


def test_a_batch_without_anything_to_point_at_gives_finite_losses() -> None:
    one = replace(screen(), elements=(), questions=(Question("Wait", "Wait 1 second", "wait(seconds=1)"),))
    scores = losses(pack([one], TOY), new_model(TOY), Heads(32, 32))
    total = scores.total(dict.fromkeys(ALL, 1.0))
    total.backward()
    assert torch.isfinite(total)
    assert [float(scores.losses[name].detach()) for name in ("align", "point", "place")] == [0.0, 0.0, 0.0]


def test_busy_patches_come_first() -> None:
    chars = torch.zeros(1, 64, 3, dtype=torch.int64)
    chars[0, 27, 0] = 5
    assert set(busy_patches(chars, 9)[0].tolist()) == {18, 19, 20, 26, 27, 28, 34, 35, 36}


def test_a_moved_screen_says_of_each_thing_where_it_is_now() -> None:
    one = screen()
    first = first_visual(16)
    assert first > 0
    for seed in range(30):
        moved = varied(random.Random(seed), one)
        assert moved.image.shape == one.image.shape
        assert "".join(glyph.char for text in moved.texts for glyph in text.glyphs) == "GoonNameTotal42"
        for element in moved.elements:
            old = one.elements[[each.name for each in one.elements].index(element.name)]
            dx = (element.aim[0] - old.aim[0]) % 1.0
            glyph, before = moved.texts[element.texts[0]].glyphs[0], one.texts[old.texts[0]].glyphs[0]
            assert (glyph.x - before.x) % 1.0 == pytest.approx(dx, abs=1e-6)
            at = int(old.aim[1] * 112 + 0.5), int(old.aim[0] * 112 + 0.5)
            now = int(element.aim[1] * 112 + 0.5) % 112, int(element.aim[0] * 112 + 0.5) % 112
            assert sorted(moved.image[now]) in (sorted(one.image[at]), sorted(255 - one.image[at]))
        for question in moved.questions:
            named = None if question.element is None else moved.elements[question.element].name
            assert named in (None, question.operation.removeprefix("Click "))
