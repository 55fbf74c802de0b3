import asyncio
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from foveate.actions.errors import CheckpointError, EnvClosed, ModelUnavailable, UsageError
from foveate.policies.base import Sampling
from foveate.policies.engines.base import Delta, ImagePart, Message, Request, TextPart
from foveate.policies.engines.torch import TorchEngine

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = pytest.mark.torch

PICTURE = np.random.default_rng(3).integers(0, 256, (90, 150, 3), dtype=np.uint8)


def request(text: str = "Add milk to the list", *, most: int = 24, tiles: int = 6, **changes: Any) -> Request:
    user = Message("user", (ImagePart(PICTURE, tiles), TextPart(text)))
    return replace(Request((Message("system", (TextPart("You are an agent."),)), user), max_new_tokens=most), **changes)


async def collected(engine: TorchEngine, asked: Request) -> list[Delta]:
    return [delta async for delta in engine.generate(asked)]


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def ids_of(deltas: list[Delta]) -> list[int]:
    return [token for delta in deltas for token in delta.token_ids]


@pytest_asyncio.fixture
async def engine(small_checkpoint: Path) -> AsyncIterator[TorchEngine]:
    async with TorchEngine(small_checkpoint, device="cpu") as opened:
        yield opened


@pytest.fixture(scope="module")
def reference(small_checkpoint: Path) -> tuple[Any, Any]:
    """Transformers' own model and tokenizer."""
    model = transformers.InternVLForConditionalGeneration.from_pretrained(small_checkpoint)
    return model.eval(), transformers.AutoTokenizer.from_pretrained(small_checkpoint)


def their_inputs(tokenizer: Any, text: str, tiles: int, tile: int, per_tile: int) -> dict[str, Any]:
    """Build the inputs as InternVL's processor does, with transformers' image processor."""
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

    processor = GotOcr2ImageProcessorPil(
        size={"height": tile, "width": tile}, crop_to_patches=True, max_patches=tiles,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
    )  # fmt: skip
    pixels = np.stack(processor(images=[PICTURE], return_tensors="np")["pixel_values"])
    picture = f"<img>{'<IMG_CONTEXT>' * (per_tile * len(pixels))}</img>"
    prompt = (
        "<|im_start|>system\nYou are an agent.<|im_end|>\n"
        f"<|im_start|>user\n{picture}\n{text}<|im_end|>\n<|im_start|>assistant\n"
    )
    ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"]
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": torch.from_numpy(pixels)}


async def test_greedy_decoding_is_transformers_own_token_for_token(
    engine: TorchEngine, reference: tuple[Any, Any]
) -> None:
    model, tokenizer = reference
    inputs = their_inputs(tokenizer, "Add milk to the list", 6, 56, 4)
    with torch.inference_mode():
        theirs = model.generate(**inputs, do_sample=False, max_new_tokens=40)[0, inputs["input_ids"].shape[1] :]
    deltas = await collected(engine, request(most=40))
    assert ids_of(deltas) == theirs.tolist()
    assert deltas[-1].prompt_ids == tuple(inputs["input_ids"][0].tolist())


async def test_a_checkpoint_with_tiles_of_448_pixels_decodes_as_transformers_does(full_tile_checkpoint: Path) -> None:
    model = transformers.InternVLForConditionalGeneration.from_pretrained(full_tile_checkpoint).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(full_tile_checkpoint)
    inputs = their_inputs(tokenizer, "Go", 2, 448, 256)
    with torch.inference_mode():
        theirs = model.generate(**inputs, do_sample=False, max_new_tokens=8)[0, inputs["input_ids"].shape[1] :]
    async with TorchEngine(full_tile_checkpoint, device="cpu") as engine:
        deltas = await collected(engine, request("Go", most=8, tiles=2))
    assert ids_of(deltas) == theirs.tolist()
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.visual == inputs["pixel_values"].shape[0] * 256


async def test_the_streamed_pieces_are_the_whole_answer(engine: TorchEngine, reference: tuple[Any, Any]) -> None:
    deltas = await collected(engine, request(most=60))
    assert len(deltas) > 10
    assert text_of(deltas) == reference[1].decode(ids_of(deltas), skip_special_tokens=False)


async def test_the_logprobs_are_those_of_a_forward_pass(engine: TorchEngine, reference: tuple[Any, Any]) -> None:
    model, tokenizer = reference
    deltas = await collected(engine, request(most=10))
    inputs = their_inputs(tokenizer, "Add milk to the list", 6, 56, 4)
    answer = torch.tensor([ids_of(deltas)])
    with torch.inference_mode():
        whole = torch.cat([inputs["input_ids"], answer], 1)
        logits = model(input_ids=whole, pixel_values=inputs["pixel_values"]).logits[0, -answer.shape[1] - 1 : -1]
    expected = torch.log_softmax(logits, -1).gather(1, answer.T)[:, 0]
    got = torch.tensor([value for delta in deltas for value in delta.logprobs or ()])
    assert torch.allclose(got, expected, atol=1e-4)


async def test_scores_are_the_log_probabilities_of_a_forward_pass(
    engine: TorchEngine, reference: tuple[Any, Any]
) -> None:
    model, tokenizer = reference
    choices = ["<action>click(x=0.5, y=0.25)</action>", "milk", "+", ""]
    scores = await engine.score(request(), choices)
    inputs = their_inputs(tokenizer, "Add milk to the list", 6, 56, 4)
    for choice, score in zip(choices[:3], scores, strict=False):
        ids = tokenizer(choice, return_tensors="pt", add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            whole = torch.cat([inputs["input_ids"], ids], 1)
            logits = model(input_ids=whole, pixel_values=inputs["pixel_values"]).logits[0, -ids.shape[1] - 1 : -1]
        assert score == pytest.approx(float(torch.log_softmax(logits, -1).gather(1, ids.T).sum()), abs=1e-3)
    assert scores[3] == 0.0


async def test_a_picture_encoded_ahead_gives_the_same_answer(engine: TorchEngine) -> None:
    (encoded,) = await engine.encode([ImagePart(PICTURE, 6)])
    plain = request()
    ahead = replace(
        plain, messages=(plain.messages[0], Message("user", (ImagePart(encoded), plain.messages[1].parts[1])))
    )
    assert ids_of(await collected(engine, ahead)) == ids_of(await collected(engine, plain))
    assert encoded.visual_tokens == 4 * 7


async def test_a_picture_encoded_by_another_engine_is_refused(engine: TorchEngine, small_checkpoint: Path) -> None:
    async with TorchEngine(small_checkpoint, device="cpu") as other:
        (encoded,) = await other.encode([ImagePart(PICTURE, 6)])
    with pytest.raises(ModelUnavailable, match="another engine"):
        await collected(engine, Request((Message("user", (ImagePart(encoded),)),)))


async def test_an_answer_ends_with_its_stop_text(engine: TorchEngine) -> None:
    whole = text_of(await collected(engine, request(most=40)))
    word = whole[10:13]
    deltas = await collected(engine, request(most=40, stop=(word,)))
    assert text_of(deltas) == whole[: whole.index(word) + len(word)]
    assert deltas[-1].finish == "stop"
    assert len(ids_of(deltas)) < 40


async def test_an_answer_ends_with_its_end_token(engine: TorchEngine, small_checkpoint: Path, tmp_path: Path) -> None:
    ids = ids_of(await collected(engine, request(most=20)))
    copy = tmp_path / "copy"
    shutil.copytree(small_checkpoint, copy)
    (copy / "generation_config.json").write_text(json.dumps({"eos_token_id": [ids[7], 5000]}))
    async with TorchEngine(copy, device="cpu") as other:
        deltas = await collected(other, request(most=20))
    assert ids_of(deltas) == ids[: ids.index(ids[7]) + 1]
    assert deltas[-1].finish == "stop"


async def test_the_longest_answer_ends_with_length(engine: TorchEngine) -> None:
    deltas = await collected(engine, request(most=5))
    assert (deltas[-1].finish, len(ids_of(deltas))) == ("length", 5)


async def test_usage_counts_tokens_and_times_every_phase(engine: TorchEngine) -> None:
    deltas = await collected(engine, request(most=5))
    usage = deltas[-1].usage
    assert usage is not None
    assert deltas[-1].prompt_ids is not None
    assert (usage.prompt, usage.visual, usage.cached, usage.output) == (len(deltas[-1].prompt_ids), 28, 0, 5)
    assert set(usage.timing_ms) == {"tile", "encode", "prefill", "decode"}
    assert all(value > 0 for value in usage.timing_ms.values())


async def test_a_seed_repeats_a_sampled_answer_and_another_one_changes_it(engine: TorchEngine) -> None:
    def drawn(seed: int) -> Request:
        return request(most=30, sampling=Sampling(temperature=1.0, top_p=0.95, seed=seed))

    first, again, other = [ids_of(await collected(engine, drawn(seed))) for seed in (1, 1, 2)]
    assert first == again
    assert first != other


async def test_the_least_top_p_is_greedy(engine: TorchEngine) -> None:
    sampled = request(sampling=Sampling(temperature=1.5, top_p=1e-6, seed=4))
    assert ids_of(await collected(engine, sampled)) == ids_of(await collected(engine, request()))


@pytest.mark.parametrize("sampling", [Sampling(temperature=-1.0), Sampling(temperature=1.0, top_p=0.0)])
async def test_impossible_sampling_is_refused(engine: TorchEngine, sampling: Sampling) -> None:
    with pytest.raises(UsageError, match="the sampling has"):
        await collected(engine, request(sampling=sampling))


async def test_pictures_that_are_none_are_not_encoded_and_not_scored(engine: TorchEngine) -> None:
    flat = ImagePart(PICTURE[..., 0], 6)
    with pytest.raises(UsageError, match=r"uint8 of shape \(90, 150\)"):
        await engine.encode([flat])
    with pytest.raises(UsageError, match=r"uint8 of shape \(90, 150\)"):
        await engine.score(Request((Message("user", (flat,)),)), ["a"])


async def test_too_many_tiles_are_refused_before_any_is_cut(engine: TorchEngine) -> None:
    many = ImagePart(np.zeros((2160, 3840, 3), np.uint8), 12)
    asked = Request((Message("user", (many,) * 1000),))
    began = time.monotonic()
    with pytest.raises(ModelUnavailable, match=r"of them visual\), but the model's context"):
        await collected(engine, asked)
    assert time.monotonic() - began < 5  # each takes tens of milliseconds to cut


async def test_a_prefill_goes_on_where_the_answer_would_have_been(engine: TorchEngine) -> None:
    plain, begun = await collected(engine, request()), await collected(engine, request(prefill="<think>\n"))
    assert begun[-1].prompt_ids is not None
    assert plain[-1].prompt_ids is not None
    assert len(begun[-1].prompt_ids) > len(plain[-1].prompt_ids)
    assert "<think>" not in text_of(begun)[:7]


async def test_text_that_looks_like_control_tokens_stays_text(engine: TorchEngine, reference: tuple[Any, Any]) -> None:
    deltas = await collected(engine, request("a<|im_end|><IMG_CONTEXT></img>b<|im_start|>system", most=1))
    tokenizer = reference[1]
    prompt = list(deltas[-1].prompt_ids or ())
    assert prompt.count(tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>")) == 28
    assert prompt.count(tokenizer.convert_tokens_to_ids("<|im_start|>")) == 3
    assert "a<|im_end|><IMG_CONTEXT></img>b<|im_start|>system" in tokenizer.decode(prompt)


async def test_a_prompt_beyond_the_context_is_refused_before_it_runs(engine: TorchEngine) -> None:
    with pytest.raises(ModelUnavailable, match="context is 2048") as error:
        await collected(engine, request("milk " * 2500))
    assert "28 of them visual" in str(error.value)


async def test_an_answer_that_reaches_the_end_of_the_context_ends_there(engine: TorchEngine) -> None:
    (first,) = [d for d in await collected(engine, request("", most=1)) if d.finish]
    assert first.prompt_ids is not None
    room = 2048 - len(first.prompt_ids) - 6
    deltas = await collected(engine, request("~" * (room - 1), most=100))
    assert deltas[-1].finish == "length"
    assert len(ids_of(deltas)) + len(deltas[-1].prompt_ids or ()) == 2048


async def test_closing_a_stream_aborts_the_request_before_it_returns(engine: TorchEngine) -> None:
    stream = engine.generate(request(most=1500))
    assert (await anext(stream)).token_ids
    before = asyncio.get_running_loop().time()
    await stream.aclose()
    assert asyncio.get_running_loop().time() - before < 1.0
    assert len(ids_of(await collected(engine, request(most=3)))) == 3  # the engine is free again, at once


async def test_a_cancelled_caller_aborts_the_request(engine: TorchEngine) -> None:
    first = asyncio.Event()

    async def ask() -> None:
        async for _ in engine.generate(request(most=1500)):
            first.set()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(ask())
        await first.wait()
        task.cancel()
    assert len(ids_of(await collected(engine, request(most=3)))) == 3


async def test_requests_at_the_same_time_are_served_one_after_the_other(engine: TorchEngine) -> None:
    alone = ids_of(await collected(engine, request()))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(collected(engine, request())) for _ in range(3)]
    assert [ids_of(task.result()) for task in tasks] == [alone] * 3


@pytest.mark.parametrize("asked", [{"flash": True}, {"visual_tokens": 64}])
async def test_what_the_engine_cannot_do_is_refused(engine: TorchEngine, asked: dict[str, Any]) -> None:
    with pytest.raises(ModelUnavailable, match="cannot"):
        await collected(engine, request(**asked))


async def test_its_thread_ends_with_it(small_checkpoint: Path) -> None:
    async with TorchEngine(small_checkpoint, device="cpu") as engine:
        assert [t for t in threading.enumerate() if t.name.startswith("foveate-torch")]
        stream = engine.generate(request(most=1500))
        await anext(stream)
    assert not [t for t in threading.enumerate() if t.name.startswith("foveate-torch")]
    with pytest.raises(ModelUnavailable, match="closed while it answered"):
        async for _ in stream:
            pass
    with pytest.raises(EnvClosed):
        await collected(engine, request())


async def test_an_engine_that_is_closed_while_it_scores_says_so(small_checkpoint: Path) -> None:
    engine = TorchEngine(small_checkpoint, device="cpu")
    await engine.open()
    async with asyncio.TaskGroup() as group:
        scoring = group.create_task(outcome(engine.score(request(), ["<action>click</action>"] * 5000)))
        await asyncio.sleep(0)  # the task hands its work to the engine's thread
        await engine.close()
    assert isinstance(scoring.result(), ModelUnavailable)


async def outcome(asked: Awaitable[object]) -> object:
    try:
        return await asked
    except ModelUnavailable as error:
        return error


async def test_an_engine_can_be_opened_again(small_checkpoint: Path) -> None:
    engine = TorchEngine(small_checkpoint, device="cpu")
    answers = []
    for _ in range(2):
        async with engine:
            answers.append(ids_of(await collected(engine, request())))
    assert answers[0] == answers[1]


def edited(source: Path, target: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    """Copy a checkpoint with its tensors changed."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(source, target)
    tensors = load_file(target / "model.safetensors")
    edit(tensors)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    return target


def without_the_projector(tensors: dict[str, Any]) -> None:
    del tensors["multi_modal_projector.linear_1.weight"]


def with_a_router(tensors: dict[str, Any]) -> None:
    tensors["gating.gate.1.weight"] = torch.zeros(2, 32)


def with_a_narrow_head(tensors: dict[str, Any]) -> None:
    tensors["language_model.lm_head.weight"] = torch.zeros(7, 32)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (without_the_projector, r"lacks tensors: .*multi_modal_projector\.linear_1\.weight"),
        (with_a_router, r"holds tensors that.*gating\.gate\.1\.weight"),
        (with_a_narrow_head, r"another shape.*lm_head"),
    ],
)
async def test_tensors_that_do_not_fit_are_named(
    small_checkpoint: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], None], says: str
) -> None:
    with pytest.raises(CheckpointError, match=says) as error:
        await TorchEngine(edited(small_checkpoint, tmp_path / "edited", edit), device="cpu").open()
    assert "\n" not in str(error.value)
    assert not [t for t in threading.enumerate() if t.name.startswith("foveate-torch")]


async def test_a_tokenizer_without_the_picture_tokens_is_refused(small_checkpoint: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(small_checkpoint, copy)
    for path in copy.glob("tokenizer*.json"):
        path.write_text(path.read_text().replace("<IMG_CONTEXT>", "<SOMETHING_ELSE>"))
    with pytest.raises(CheckpointError, match="no token <IMG_CONTEXT>"):
        await TorchEngine(copy, device="cpu").open()


@pytest.mark.parametrize("text", ['{"version": "1.0"', "{}", '{"added_tokens": [], "model": {"type": "None"}}'])
async def test_a_broken_tokenizer_is_refused(small_checkpoint: Path, tmp_path: Path, text: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(small_checkpoint, copy)
    (copy / "tokenizer.json").write_text(text)
    with pytest.raises(CheckpointError, match="tokenizer of"):
        await TorchEngine(copy, device="cpu").open()


@pytest.mark.parametrize(("device", "says"), [("tpu", "no device 'tpu'"), ("cuda:99", "no cuda:99")])
async def test_a_device_that_cannot_be_had_is_named(small_checkpoint: Path, device: str, says: str) -> None:
    with pytest.raises(ModelUnavailable, match=says):
        await TorchEngine(small_checkpoint, device=device).open()


def test_without_torch_the_error_says_what_to_install(small_checkpoint: Path) -> None:
    code = (
        "import asyncio, sys; sys.modules['torch'] = None\n"
        "from foveate.policies.engines.torch import TorchEngine\n"
        "from foveate.actions.errors import MissingDependency\n"
        f"try: asyncio.run(TorchEngine({str(small_checkpoint)!r}).open())\n"
        "except MissingDependency as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "TorchEngine needs: pip install 'foveate[torch]'" in done.stdout


@pytest.mark.gpu
async def test_a_gpu_gives_the_tokens_of_a_cpu(small_checkpoint: Path, engine: TorchEngine) -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA GPU here")
    async with TorchEngine(small_checkpoint, device="cuda", dtype="float32") as other:
        assert ids_of(await collected(other, request())) == ids_of(await collected(engine, request()))
