import json
import random
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.actions.errors import OutOfFrame, ParseError
from foveate.actions.geometry import Convention, Frame
from foveate.actions.schema import Click
from foveate.envs.base import ScreenObservation, Viewport
from foveate.policies.base import Decision, Look
from foveate.policies.engines.torch import TorchEngine
from foveate.policies.internvl import InternVLPolicy
from foveate.policies.internvl import checkpoint as checkpoints

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = pytest.mark.torch

FOLDER = checkpoints.find("tiny")
LIMIT = 15_000_000
TEST_SEEDS = 10_000_000_000


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return transformers.AutoTokenizer.from_pretrained(FOLDER, local_files_only=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def policy() -> AsyncIterator[InternVLPolicy]:
    async with InternVLPolicy("tiny", engine="torch", device="cpu") as opened:
        yield opened


def seen(image: Any) -> ScreenObservation:
    return ScreenObservation(image=image, frame=Frame(image.shape[1], image.shape[0]), captured_at_s=0.0)


def test_the_folder_has_every_file_and_one_file_of_weights_within_its_size() -> None:
    names = {path.name for path in FOLDER.iterdir()}
    assert {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "preprocessor_config.json",
        "processor_config.json",
        "README.md",
    } <= names
    weights = [path for path in FOLDER.iterdir() if path.suffix in (".safetensors", ".bin", ".pt")]
    assert [path.name for path in weights] == ["model.safetensors"]
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= LIMIT


def test_it_names_its_own_profile_and_asks_for_a_viewport_of_one_tile() -> None:
    checkpoint = checkpoints.check(FOLDER)
    assert (checkpoint.tile, checkpoint.tokens_per_tile, checkpoint.profile) == (448, 64, "tiny")
    policy = InternVLPolicy("tiny")
    assert policy.profile.convention is Convention.UNIT
    assert policy.preferred_viewport == Viewport(320, 320, 1.4)
    assert round(320 * 1.4) == checkpoint.tile


def test_transformers_own_class_loads_every_tensor_and_no_other() -> None:
    model, info = transformers.InternVLForConditionalGeneration.from_pretrained(
        FOLDER, dtype=torch.float32, local_files_only=True, output_loading_info=True
    )
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    assert all(bool(torch.isfinite(value).all()) for value in model.state_dict().values())
    assert type(model.model.vision_tower).__name__ == "InternVLVisionModel"
    assert model.config.text_config.model_type == "qwen3"


def test_its_image_processor_and_our_tiling_give_the_same_numbers() -> None:
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

    from foveate.policies.internvl.tiling import normalised, tiles

    processor = GotOcr2ImageProcessorPil.from_pretrained(FOLDER, local_files_only=True)
    image = np.random.default_rng(0).integers(0, 256, (448, 448, 3), dtype=np.uint8)
    theirs = processor(image, return_tensors="np")["pixel_values"]
    np.testing.assert_allclose(normalised(tiles(image, max_tiles=1)), theirs, atol=1e-5)


def test_its_processor_lays_out_the_prompt_that_our_engine_lays_out() -> None:
    pytest.importorskip("torchvision", reason="AutoProcessor needs torchvision, which is not installed")
    processor = transformers.AutoProcessor.from_pretrained(FOLDER, local_files_only=True)
    image = np.zeros((448, 448, 3), np.uint8)
    user = {"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": "Task:\nClick Go"}]}
    inputs = processor.apply_chat_template([user], add_generation_prompt=True, tokenize=True, return_dict=True)
    ids = np.asarray(inputs["input_ids"]).ravel()
    assert int((ids == processor.image_token_id).sum()) == 64


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=60))
def test_the_tokenizer_gives_back_any_text(text: str) -> None:
    loaded = transformers.AutoTokenizer.from_pretrained(FOLDER, local_files_only=True)
    ids = loaded.encode(text, add_special_tokens=False)
    assert loaded.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False) == text


def test_a_coordinate_is_one_token(tokenizer: Any) -> None:
    ids = [tokenizer.encode(f"0.{number:02d}", add_special_tokens=False) for number in range(100)]
    assert all(len(own) == 1 for own in ids)
    assert len({own[0] for own in ids}) == 100


def test_the_image_token_is_the_one_that_the_configuration_names(tokenizer: Any) -> None:
    config = json.loads((FOLDER / "config.json").read_text())
    assert tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>") == config["image_token_id"]
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") == config["text_config"]["eos_token_id"]
    assert len(tokenizer) <= config["text_config"]["vocab_size"]
    assert (tokenizer.start_image_token, tokenizer.end_image_token) == ("<img>", "</img>")


@pytest.mark.asyncio(loop_scope="module")
async def test_the_same_picture_and_task_give_the_same_answer(policy: InternVLPolicy) -> None:
    from foveate.agent.training.drawing import draw_screen

    image = draw_screen(random.Random(TEST_SEEDS + 1)).image
    await policy.reset("Wait 3 seconds")
    first, second = [(await attempt(policy, image)).completion for _ in range(2)]
    assert first is not None
    assert first == second


@pytest.mark.asyncio(loop_scope="module")
async def test_the_engine_asks_what_training_taught(policy: InternVLPolicy) -> None:
    from foveate.policies.training.packing import lay_out, prefix_ids
    from foveate.policies.training.screens import Question, Screen

    image = np.zeros((448, 448, 3), np.uint8)
    await policy.reset("Click Save 0.47 <b>")
    decision = await attempt(policy, image)
    question = Question("Click Save 0.47 <b>", "Wait 2 seconds", "wait(seconds=2)")
    taught = (*prefix_ids(64), *lay_out(question, Screen(image, (), ()), 8).ids)
    assert decision.completion is not None
    asked = decision.completion.prompt_ids
    assert taught[: len(asked)] == asked


async def attempt(policy: InternVLPolicy, image: Any) -> Decision:
    try:
        return await policy.act(seen(image), ())
    except (ParseError, OutOfFrame) as error:
        assert error.decision is not None
        return error.decision


@pytest.mark.asyncio(loop_scope="module")
async def test_it_points_and_acts_on_pages_that_it_never_saw(policy: InternVLPolicy) -> None:
    from foveate.agent.training.asking import ask
    from foveate.agent.training.drawing import draw_screen

    parsed, hits, count = 0, 0, 0
    for number in range(12):
        rng = random.Random(TEST_SEEDS + 10 + number)
        screen = draw_screen(rng)
        for question in ask(rng, screen, 2, mode="click"):
            await policy.reset(question.task)
            decision = await attempt(policy, screen.image)
            box = screen.elements[question.element or 0].box
            parsed += bool(decision.actions)
            hits += any(hit(action, box) for action in decision.actions[:1])
            count += 1
    assert count == 24
    assert parsed >= PARSED
    assert hits >= CLICKED


def hit(action: Any, box: Any) -> bool:
    return isinstance(action, Click) and box[0] <= action.at.x < box[2] and box[1] <= action.at.y < box[3]


PARSED, CLICKED = 23, 20
"""Of 24 answers and clicks, where the weights of this commit have all; its card has Chromium's pages."""


async def test_weights_in_half_precision_answer_as_in_single() -> None:
    image = np.full((448, 448, 3), 255, np.uint8)
    texts = []
    for dtype in ("float32", "bfloat16"):
        async with TorchEngine("tiny", device="cpu", dtype=dtype) as engine:
            policy = InternVLPolicy("tiny", engine=engine, look=Look())
            async with policy:
                await policy.reset("Wait 3 seconds")
                texts.append((await policy.act(seen(image), ())).raw)
    assert texts[0] == texts[1]
