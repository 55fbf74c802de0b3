"""Several pictures, a video, several turns and several requests at once, against the reference's prompt.

The reference is written out here as internvl_chat builds it: the whole text in one piece, every ``<image>`` replaced by
its placeholders, tokenised at once.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from foveate.envs.base import Image
from foveate.policies.engines.base import ImagePart, Message, Request, TextPart
from foveate.policies.engines.torch import TorchEngine
from foveate.policies.internvl.conversations import answered, pictures, video
from foveate.policies.internvl.tiling import tile_grid
from tests.policies.asking import collected, ids_of

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = pytest.mark.torch

SYSTEM = "You are an agent."
TILE, PER_TILE = 56, 4


def picture(width: int, height: int, seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


WIDE, SQUARE, TALL = picture(200, 90, 1), picture(64, 64, 2), picture(60, 170, 3)


def tiles_of(image: Image, most: int) -> int:
    columns, rows = tile_grid(image.shape[1], image.shape[0], max_tiles=most, tile=TILE)
    return columns * rows + (columns * rows > 1)


def reference(tokenizer: Any, turns: Sequence[tuple[str, str | None]], tiles: Sequence[int]) -> tuple[int, ...]:
    """Build the prompt of a conversation, question and answer by turns, with so many tiles a picture."""
    text = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n"
    for question, answer in turns:
        text += f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        text += f"{answer}<|im_end|>\n" if answer is not None else ""
    left = iter(tiles)
    text = re.sub("<image>", lambda _: f"<img>{'<IMG_CONTEXT>' * (PER_TILE * next(left))}</img>", text)
    assert next(left, None) is None
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def asked(*messages: Message, most: int = 4) -> Request:
    return Request((Message("system", (TextPart(SYSTEM),)), *messages), max_new_tokens=most)


async def prompt_of(engine: TorchEngine, request: Request) -> tuple[int, ...]:
    ids = (await collected(engine, request))[-1].prompt_ids
    assert ids is not None
    return ids


@pytest_asyncio.fixture
async def engine(small_checkpoint: Path) -> AsyncIterator[TorchEngine]:
    async with TorchEngine(small_checkpoint, device="cpu") as opened:
        yield opened


@pytest.fixture(scope="module")
def tokenizer(small_checkpoint: Path) -> Any:
    return transformers.AutoTokenizer.from_pretrained(small_checkpoint)


async def test_one_picture_stands_before_the_text_without_a_number(engine: TorchEngine, tokenizer: Any) -> None:
    ours = await prompt_of(engine, asked(pictures([ImagePart(WIDE, 6)], "What is it?")))
    assert ours == reference(tokenizer, [("<image>\nWhat is it?", None)], [tiles_of(WIDE, 6)])


async def test_several_pictures_are_numbered_each_with_its_own_tiles(engine: TorchEngine, tokenizer: Any) -> None:
    images = [ImagePart(WIDE, 6), ImagePart(SQUARE, 1), ImagePart(TALL, 12)]
    tiles = [tiles_of(WIDE, 6), 1, tiles_of(TALL, 12)]
    assert len(set(tiles)) == 3
    ours = await prompt_of(engine, asked(pictures(images, "What changed?")))
    question = "Image-1: <image>\nImage-2: <image>\nImage-3: <image>\nWhat changed?"
    assert ours == reference(tokenizer, [(question, None)], tiles)


async def test_a_video_is_numbered_frames_of_one_tile(engine: TorchEngine, tokenizer: Any) -> None:
    ours = await prompt_of(engine, asked(video([WIDE] * 9 + [TALL], "Where does it go?")))
    question = "".join(f"Frame{number}: <image>\n" for number in range(1, 11)) + "Where does it go?"
    assert ours == reference(tokenizer, [(question, None)], [1] * 10)


async def test_turns_follow_one_another_with_pictures_in_several(engine: TorchEngine, tokenizer: Any) -> None:
    request = asked(
        pictures([ImagePart(WIDE, 6)], "What is it?"), answered("A page."),
        Message("user", (TextPart("Which colour?"),)), answered("Grey."),
        pictures([ImagePart(SQUARE, 1), ImagePart(TALL, 2)], "And these?"),
    )  # fmt: skip
    turns = [
        ("<image>\nWhat is it?", "A page."),
        ("Which colour?", "Grey."),
        ("Image-1: <image>\nImage-2: <image>\nAnd these?", None),
    ]
    theirs = reference(tokenizer, turns, [tiles_of(WIDE, 6), 1, tiles_of(TALL, 2)])
    assert await prompt_of(engine, request) == theirs


async def test_requests_at_once_have_the_prompts_and_answers_that_they_have_alone(engine: TorchEngine) -> None:
    requests = [
        asked(pictures([ImagePart(WIDE, 6)], "What is it?"), most=12),
        asked(video([SQUARE, TALL], "Where to?"), most=12),
        asked(Message("user", (TextPart("Hello"),)), most=12),
        asked(pictures([ImagePart(TALL, 12), ImagePart(WIDE, 2)], "Both?"), most=12),
    ]
    alone = [await collected(engine, request) for request in requests]
    at_once = await asyncio.gather(*(collected(engine, request) for request in requests))
    assert [ids_of(deltas) for deltas in at_once] == [ids_of(deltas) for deltas in alone]
    assert [deltas[-1].prompt_ids for deltas in at_once] == [deltas[-1].prompt_ids for deltas in alone]
    assert len({deltas[-1].prompt_ids for deltas in alone}) == len(requests)


async def test_the_tokens_of_several_pictures_are_those_of_transformers_own_model(
    engine: TorchEngine, tokenizer: Any, small_checkpoint: Path
) -> None:
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

    processor = GotOcr2ImageProcessorPil(
        size={"height": TILE, "width": TILE}, crop_to_patches=True, max_patches=6,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
    )  # fmt: skip
    pixels = np.concatenate(
        [np.stack(processor(images=[image], return_tensors="np")["pixel_values"]) for image in (WIDE, TALL)]
    )
    question = "Image-1: <image>\nImage-2: <image>\nWhich is wider?"
    ids = torch.tensor([reference(tokenizer, [(question, None)], [tiles_of(WIDE, 6), tiles_of(TALL, 6)])])
    model = transformers.InternVLForConditionalGeneration.from_pretrained(small_checkpoint).eval()
    with torch.inference_mode():
        theirs = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=torch.from_numpy(pixels),
            do_sample=False, max_new_tokens=30,
        )[0, ids.shape[1] :]  # fmt: skip
    ours = await collected(
        engine, asked(pictures([ImagePart(WIDE, 6), ImagePart(TALL, 6)], "Which is wider?"), most=30)
    )
    assert ids_of(ours) == theirs.tolist()
