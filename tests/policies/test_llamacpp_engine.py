"""LlamaCppEngine against the torch engine, on checkpoints that the exporter wrote as GGUF.

Measured with xllamacpp 2026.10.11549, float32 weights and cache, as the greatest difference in natural log-probability
over the whole vocabulary at the first token of an answer: one tile 0.0005 (llama.cpp takes GELU from a table of 16-bit
numbers); a picture of 2x1 tiles and a thumbnail 0.002 to 0.04 as one picture that llama.cpp cuts, 0.17 to 1.9 as
separate tiles. The first is the nearer, and is what the engine does.
"""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image as Pillow

from foveate.actions.errors import EnvClosed, ModelUnavailable, ParseError, UsageError
from foveate.actions.geometry import Frame
from foveate.envs.base import ScreenObservation
from foveate.policies.base import Decision, Look, Sampling
from foveate.policies.engines.base import Encoded, ImagePart, Request
from foveate.policies.engines.llamacpp import LlamaCppEngine
from foveate.policies.engines.llamacpp_request import body, content
from foveate.policies.engines.torch import TorchEngine
from foveate.policies.internvl import InternVLPolicy
from foveate.policies.internvl.gguf_export import export
from tests.policies.asking import PICTURE, collected, exact, ids_of, logprobs_of, request, text_of

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")
pytest.importorskip("gguf", reason="gguf is not installed")
safetensors_torch = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
pytestmark = pytest.mark.torch

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
ONE_TILE = 2e-3
"""Greatest difference of a log-probability on one tile; 4e-4 was measured."""


def smooth(height: int, width: int, seed: int) -> Any:
    """Draw a picture without detail, in which resampling matters little."""
    little = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return np.asarray(Pillow.fromarray(little).resize((width, height), Pillow.Resampling.BICUBIC))


@pytest_asyncio.fixture
async def engine(small_gguf: Path) -> AsyncIterator[LlamaCppEngine]:
    async with exact(small_gguf) as opened:
        yield opened


# The reference -------------------------------------------------------------------------------------------------------


async def test_greedy_decoding_of_one_tile_is_the_torch_engines_token_for_token(
    deep_checkpoint: Path, small_gguf: Path
) -> None:
    async with TorchEngine(deep_checkpoint, device="cpu") as reference, exact(small_gguf) as engine:
        for text in ("Add milk to the list", "Go", "été 牛奶 🥛: it's <ref>two</ref>  words\n\n42"):
            theirs, ours = [await collected(one, request(text, most=60)) for one in (reference, engine)]
            assert len(ids_of(theirs)) == 60
            assert ids_of(ours) == ids_of(theirs)
            assert text_of(ours) == text_of(theirs)
            assert np.abs(np.subtract(logprobs_of(ours), logprobs_of(theirs))).max() < ONE_TILE
            assert (ours[-1].finish, theirs[-1].finish) == ("length", "length")
            assert ours[-1].usage is not None
            assert theirs[-1].usage is not None
            assert (ours[-1].usage.prompt, ours[-1].usage.visual) == (theirs[-1].usage.prompt, theirs[-1].usage.visual)


async def test_a_tokenizer_of_qwen2s_kind_reads_the_same_tokens(deep_checkpoint: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(deep_checkpoint, copy)
    said = json.loads((copy / "tokenizer.json").read_text())
    split = {"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    said |= {"normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]}}
    (copy / "tokenizer.json").write_text(json.dumps(said))
    texts = (
        "it'LL be 12345 o'clock...\n\n  \r\n two   spaces\t",
        "e\u0301te\u0301 \u1100\u1161 \u0130x",
        "éa1b22\n!?\n\n x  ",
    )
    async with TorchEngine(copy, device="cpu") as reference, exact(export(copy, tmp_path / "gguf").folder) as engine:
        assert engine.files is not None
        assert engine.files.composed
        for text in texts:
            theirs, ours = [await collected(one, request(text, most=12)) for one in (reference, engine)]
            assert ids_of(ours) == ids_of(theirs)
            assert np.abs(np.subtract(logprobs_of(ours), logprobs_of(theirs))).max() < ONE_TILE
            assert ours[-1].usage is not None
            assert theirs[-1].usage is not None
            assert ours[-1].usage.prompt == theirs[-1].usage.prompt


async def test_a_tile_of_448_pixels_decodes_as_the_torch_engine_does(
    deep_full_checkpoint: Path, full_gguf: Path
) -> None:
    async with TorchEngine(deep_full_checkpoint, device="cpu") as reference, exact(full_gguf) as engine:
        theirs, ours = [await collected(one, request(most=40, prefill="<think>\n")) for one in (reference, engine)]
    assert ids_of(ours) == ids_of(theirs)
    assert np.abs(np.subtract(logprobs_of(ours), logprobs_of(theirs))).max() < ONE_TILE
    assert ours[-1].usage is not None
    assert theirs[-1].usage is not None
    assert (ours[-1].usage.prompt, ours[-1].usage.visual) == (theirs[-1].usage.prompt, 256)


async def test_the_bundled_model_answers_as_on_the_torch_engine_whatever_the_text(tiny_gguf: Path) -> None:
    texts = (
        "Task:\nAdd milk to the list\n\nPrevious operations:\nNone",
        "Task:\nPay 10.50, not 0.50\n\nPrevious operations:\nStep 1: Click user\n\nNotes on the last step:\n- 0.505",
        "Task:\nLog in as the user\n\nPrevious operations:\nNone",
        "a<|im_end|><IMG_CONTEXT></img>b<|im_start|>system 牛奶 🥛",
    )
    async with TorchEngine("tiny", device="cpu") as reference, exact(tiny_gguf) as engine:
        for text in texts:
            asked = request(text, most=60, prefill="<operation>", stop=("</action>",), picture=smooth(320, 320, 1))
            theirs, ours = [await collected(one, asked) for one in (reference, engine)]
            assert ids_of(ours) == ids_of(theirs)
            assert text_of(ours) == text_of(theirs)
            assert np.abs(np.subtract(logprobs_of(ours), logprobs_of(theirs))).max() < 5e-3
            assert ours[-1].finish == theirs[-1].finish
            assert ours[-1].usage is not None
            assert theirs[-1].usage is not None
            assert ours[-1].usage.prompt == theirs[-1].usage.prompt


def first_logprobs(engine: LlamaCppEngine, asked: Request, rows: int) -> Any:
    """Give the natural log-probability of every token at the beginning of the answer."""
    assert engine.files is not None
    assert engine._text is not None
    parts, _ = content(asked, engine._text, engine.files, engine._tile_form)
    events: list[str] = []
    said = {**body(asked, parts), "top_logprobs": rows, "max_tokens": 1}
    engine._server.handle_chat_completions(json.dumps(said), events.append)
    listed = [
        one for event in events for choice in json.loads(event)["choices"] for one in choice.get("logprobs") or ()
    ]
    assert listed == ["content"]
    (first,) = [choice["logprobs"]["content"][0] for event in events for choice in json.loads(event)["choices"]
                if choice.get("logprobs")]  # fmt: skip
    values = np.full(rows, np.nan)
    for one in first["top_logprobs"]:
        values[one["id"]] = one["logprob"]
    assert not np.isnan(values).any()
    return values


def reference_logprobs(engine: TorchEngine, asked: Request) -> Any:
    assert engine._loaded is not None
    model = engine._loaded
    with torch.inference_mode():
        state = model._prefill(model.prompt(asked), asked)
    return torch.log_softmax(state.logits.float(), -1).numpy()


async def test_of_several_tiles_one_picture_that_llamacpp_cuts_is_nearer_than_separate_tiles(
    deep_full_checkpoint: Path, full_gguf: Path
) -> None:
    async with (
        TorchEngine(deep_full_checkpoint, device="cpu") as reference,
        exact(full_gguf) as grid,
        exact(full_gguf, tile_form="separate") as separate,
    ):
        for picture, limit in ((smooth(500, 1000, 5), 0.01), (np.random.default_rng(5).integers(
            0, 256, (500, 1000, 3), dtype=np.uint8), 0.05)):  # fmt: skip
            asked = request(most=8, tiles=2, picture=picture)
            theirs = reference_logprobs(reference, asked)
            near, far = [np.abs(first_logprobs(one, asked, len(theirs)) - theirs).max() for one in (grid, separate)]
            assert near < limit
            assert far > 5 * near
        wanted, cut, apart = [await collected(one, asked) for one in (reference, grid, separate)]
    assert ids_of(cut) == ids_of(wanted)
    prompts = [deltas[-1].usage.prompt for deltas in (wanted, cut, apart) if deltas[-1].usage is not None]
    assert prompts == [prompts[0], prompts[0], prompts[0] + 4]  # two tiles and a thumbnail: two more pairs of marks
    assert [deltas[-1].usage.visual for deltas in (wanted, cut, apart) if deltas[-1].usage is not None] == [768] * 3


async def test_a_grid_of_many_tiles_takes_the_references_tokens(deep_checkpoint: Path, small_gguf: Path) -> None:
    async with TorchEngine(deep_checkpoint, device="cpu") as reference, exact(small_gguf) as engine:
        for size in ((90, 150), (300, 80), (60, 400), (200, 200)):
            asked = request(most=1, tiles=12, picture=smooth(*size, 2))
            theirs, ours = [await collected(one, asked) for one in (reference, engine)]
            assert ours[-1].usage is not None
            assert theirs[-1].usage is not None
            assert (ours[-1].usage.prompt, ours[-1].usage.visual) == (theirs[-1].usage.prompt, theirs[-1].usage.visual)


async def test_float16_weights_and_cache_stay_near(deep_checkpoint: Path, tmp_path: Path) -> None:
    folder = export(deep_checkpoint, tmp_path / "short", precision="float16").folder
    async with TorchEngine(deep_checkpoint, device="cpu") as reference, LlamaCppEngine(folder, threads=1) as engine:
        theirs = reference_logprobs(reference, request())
        assert np.abs(first_logprobs(engine, request(), len(theirs)) - theirs).max() < 0.1


async def test_a_policy_takes_the_files_profile_and_decides_as_on_torch(tiny_gguf: Path) -> None:
    image = smooth(448, 448, 4)
    seen = ScreenObservation(image=image, frame=Frame(448, 448), captured_at_s=0.0)
    decided: list[Decision] = []
    for model, name in ((tiny_gguf, "llamacpp"), ("tiny", "torch")):
        async with InternVLPolicy(model, engine=name, device="cpu") as policy:
            assert policy.profile.name == "tiny"
            await policy.reset("Click the button")
            try:
                decided.append(await policy.act(seen, ()))
            except ParseError as error:
                assert error.decision is not None
                decided.append(error.decision)
    assert decided[0].raw == decided[1].raw
    assert decided[0].actions == decided[1].actions


# The stream ----------------------------------------------------------------------------------------------------------


async def test_a_delta_comes_with_every_token_and_usage_with_the_last(engine: LlamaCppEngine) -> None:
    deltas = await collected(engine, request(most=20))
    assert len(deltas) == 21
    assert all(len(delta.token_ids) == len(delta.logprobs or ()) == 1 for delta in deltas[:-1])
    usage = deltas[-1].usage
    assert usage is not None
    assert (usage.visual, usage.output) == (4, 20)
    assert set(usage.timing_ms) == {"tile", "prefill", "decode"}
    assert all(value > 0 for value in usage.timing_ms.values())


async def test_what_a_prompt_shares_with_the_last_is_not_computed_again(engine: LlamaCppEngine) -> None:
    first, again, other = [await collected(engine, asked) for asked in (request(), request(), request("Other"))]
    counts = [deltas[-1].usage.cached for deltas in (first, again, other) if deltas[-1].usage is not None]
    assert counts[0] == 0
    assert counts[1] > counts[2] > 0
    assert ids_of(first) == ids_of(again)


async def test_an_answer_ends_with_its_stop_text(engine: LlamaCppEngine) -> None:
    whole = text_of(await collected(engine, request(most=40)))
    word = whole[10:13]
    deltas = await collected(engine, request(most=40, stop=(word,)))
    assert text_of(deltas) == whole[: whole.index(word) + len(word)]
    assert deltas[-1].finish == "stop"
    assert deltas[-1].usage is not None
    assert 0 < deltas[-1].usage.output < 40


async def test_the_end_token_ends_an_answer_and_is_no_text(deep_checkpoint: Path, tmp_path: Path) -> None:
    async with TorchEngine(deep_checkpoint, device="cpu") as reference:
        ids = ids_of(await collected(reference, request(most=20)))
    copy = tmp_path / "copy"
    shutil.copytree(deep_checkpoint, copy)
    (copy / "generation_config.json").write_text(json.dumps({"eos_token_id": [ids[7]]}))
    async with TorchEngine(copy, device="cpu") as reference, exact(export(copy, tmp_path / "gguf").folder) as engine:
        theirs, ours = [await collected(one, request(most=20)) for one in (reference, engine)]
    assert ids_of(ours) == ids_of(theirs) == ids[: ids.index(ids[7]) + 1]
    assert text_of(ours) == text_of(theirs)
    assert ours[-1].finish == "stop"


async def test_a_seed_repeats_a_sampled_answer_and_another_one_changes_it(engine: LlamaCppEngine) -> None:
    def drawn(seed: int) -> Request:
        return request(most=30, sampling=Sampling(temperature=1.0, top_p=0.95, seed=seed))

    first, again, other = [ids_of(await collected(engine, drawn(seed))) for seed in (1, 1, 2)]
    assert first == again
    assert first != other


async def test_the_least_top_p_is_greedy(engine: LlamaCppEngine) -> None:
    sampled = request(sampling=Sampling(temperature=1.5, top_p=1e-6, seed=4))
    assert ids_of(await collected(engine, sampled)) == ids_of(await collected(engine, request()))


class Counting:
    """Stands between an engine and its server, and counts what comes."""

    def __init__(self, server: Any) -> None:
        self.server, self.events, self.begun = server, 0, threading.Event()

    def handle_chat_completions(self, said: str, take: Callable[[str], bool]) -> None:
        def counted(event: str) -> bool:
            self.events += 1
            if self.events > 1:
                self.begun.set()
            return take(event)

        self.server.handle_chat_completions(said, counted)


@pytest.mark.parametrize(
    "pattern",
    [
        "(yes|no){2,3}", r"[^a-z]{5}", r"\d{1,4}\.\d{2}", "a?b{0,3}c", "(x|)end(|y)", "[-+]?[0-9]", ".{4}",
        r'"([^"\\<\[\x00-\x1f\x7f-\x9f]|\\["\\nt]){1,12}"', r"(?:click|wait)\(x=0\.[0-9]{2}\)\n</action>", r"\w\s\w",
        "é牛🥛[é-ü]{2}", r"\$\^\*\(\)\[\]\{\}\?\|/", "[]^-]{3}", r"\u25c1[\u2028-\u202f]",
    ],
)  # fmt: skip
async def test_an_answer_keeps_to_its_grammar(engine: LlamaCppEngine, pattern: str) -> None:
    for sampling in (Sampling(), Sampling(temperature=2.0, seed=1)):
        deltas = await collected(engine, request(most=60, grammar=pattern, sampling=sampling))
        assert re.fullmatch(pattern, text_of(deltas)), text_of(deltas)
        assert deltas[-1].finish == "stop"


async def test_a_policy_that_does_not_fit_what_was_opened_leaves_nothing_open(tiny_gguf: Path) -> None:
    policy = InternVLPolicy(tiny_gguf, engine="llamacpp", look=Look(thinking=True))
    with pytest.raises(UsageError, match="'tiny' cannot think"):
        await policy.open()
    assert not [one for one in threading.enumerate() if one.name.startswith("foveate")]


async def test_a_policy_holds_the_bundled_model_to_its_actions(tiny_gguf: Path) -> None:
    seen = ScreenObservation(image=smooth(448, 448, 9), frame=Frame(448, 448), captured_at_s=0.0)
    said: list[Decision] = []
    for model, name in ((tiny_gguf, "llamacpp"), ("tiny", "torch")):
        if name == "torch":
            pytest.importorskip("xgrammar", reason="xgrammar is not installed")
        async with InternVLPolicy(model, engine=name, device="cpu", grammar=True) as policy:
            await policy.reset("Wait", action_kinds=frozenset({"wait"}))
            said.append(await policy.act(seen, ()))
    assert [action.kind for action in said[0].actions] == ["wait"]
    assert said[0].raw == said[1].raw


async def test_closing_a_stream_aborts_the_request_before_it_returns(engine: LlamaCppEngine) -> None:
    counting = engine._server = Counting(engine._server)
    async with aclosing(engine.generate(request(most=1900))) as stream:
        assert (await anext(stream)).token_ids
    before = counting.events
    assert before < 1000
    await asyncio.sleep(0.05)
    assert counting.events == before
    assert len(ids_of(await collected(engine, request(most=3)))) == 3


async def test_a_long_prompt_is_aborted_before_its_end(full_gguf: Path) -> None:
    async with exact(full_gguf) as engine:
        counting = engine._server = Counting(engine._server)
        asking = asyncio.ensure_future(anext(engine.generate(request("milk " * 1200, tiles=1))))
        assert await asyncio.to_thread(counting.begun.wait, 20)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert counting.events < 4


async def test_a_cancelled_caller_aborts_the_request(engine: LlamaCppEngine) -> None:
    counting = engine._server = Counting(engine._server)
    first = asyncio.Event()

    async def ask() -> None:
        async for _ in engine.generate(request(most=1900)):
            first.set()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(ask())
        await first.wait()
        task.cancel()
    assert counting.events < 1000
    assert len(ids_of(await collected(engine, request(most=3)))) == 3


async def test_requests_at_the_same_time_are_served_one_after_the_other(engine: LlamaCppEngine) -> None:
    alone = ids_of(await collected(engine, request()))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(collected(engine, request())) for _ in range(3)]
    assert [ids_of(task.result()) for task in tasks] == [alone] * 3


async def test_its_thread_ends_with_it_and_it_can_be_opened_again(small_gguf: Path) -> None:
    engine = exact(small_gguf)
    answers = []
    for _ in range(2):
        async with engine:
            answers.append(ids_of(await collected(engine, request())))
            stream = engine.generate(request(most=1900))
            await anext(stream)
        assert not [one for one in threading.enumerate() if one.name.startswith("foveate-llamacpp")]
        with pytest.raises(ModelUnavailable, match="closed while it answered"):
            async for _ in stream:
                pass
    assert answers[0] == answers[1]
    with pytest.raises(EnvClosed):
        await collected(engine, request())


async def test_nobody_else_is_answered_on_its_port(engine: LlamaCppEngine) -> None:
    def ask() -> int:
        try:
            urllib.request.urlopen(f"{engine._server.listening_address}/props", timeout=5).close()
        except urllib.error.HTTPError as error:
            return int(error.code)
        return 200

    assert engine._server.listening_address.startswith("http://127.0.0.1:")
    assert await asyncio.to_thread(ask) == 401


@pytest.mark.parametrize(("number", "ends"), [("SIGINT", "KeyboardInterrupt"), ("SIGTERM", "ours")])
def test_signals_stay_pythons(small_gguf: Path, number: str, ends: str) -> None:
    code = (
        "import asyncio, os, signal\n"
        "from foveate.policies.engines.llamacpp import LlamaCppEngine\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('ours', flush=True))\n"
        f"engine = LlamaCppEngine({str(small_gguf)!r}, threads=1)\n"
        "loop = asyncio.new_event_loop()\n"
        "loop.run_until_complete(engine.open())\n"
        f"try: os.kill(os.getpid(), signal.{number}); signal.sigtimedwait([], 0.2)\n"
        "except KeyboardInterrupt: print('KeyboardInterrupt', flush=True)\n"
        "loop.run_until_complete(engine.close())\n"
        "print('closed')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.split()) == (0, [ends, "closed"])


# Refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"grammar": "a(?=b)"}, r"the grammar holds '\(\?=b\)', for which llama\.cpp has no word"),
        ({"grammar": "^a"}, r"the grammar holds '\^a'"),
        ({"grammar": r"(a)\1"}, r"for which llama\.cpp has no word"),
        ({"grammar": "a*?"}, r"for which llama\.cpp has no word"),
        ({"grammar": "(a"}, "no regular expression: missing"),
        ({"flash": True}, "no router: take the torch engine"),
        ({"visual_tokens": 64}, "lower the number of tiles"),
        ({"tiles": 40, "picture": smooth(60, 1200, 1)}, r"takes 20 tiles, and mmproj\.gguf allows 12"),
        ({"picture": Encoded(None, 4)}, "takes pixels"),
    ],
)
async def test_what_the_engine_cannot_do_is_refused(engine: LlamaCppEngine, asked: dict[str, Any], says: str) -> None:
    assert engine.capabilities == {"grammar", "prefill", "logprobs"}
    with pytest.raises(ModelUnavailable, match=says):
        await collected(engine, request(**asked))
    assert len(ids_of(await collected(engine, request(most=3)))) == 3


async def test_flash_switched_off_is_no_refusal(engine: LlamaCppEngine) -> None:
    assert ids_of(await collected(engine, request(flash=False))) == ids_of(await collected(engine, request()))


async def test_encoding_ahead_and_scoring_are_refused(engine: LlamaCppEngine) -> None:
    with pytest.raises(ModelUnavailable, match="torch engine"):
        await engine.encode([ImagePart(PICTURE)])
    with pytest.raises(ModelUnavailable, match="torch engine"):
        await engine.score(request(), ["a"])


async def test_a_prompt_beyond_the_context_is_refused(small_gguf: Path) -> None:
    async with exact(small_gguf, context=512) as engine:
        with pytest.raises(ModelUnavailable, match=r"\(4 of them visual\), but the model's context is 512"):
            await collected(engine, request("milk " * 600))
        deltas = await collected(engine, request("~ " * 120, most=1900))
        assert deltas[-1].finish == "length"
        assert deltas[-1].usage is not None
        assert deltas[-1].usage.prompt + deltas[-1].usage.output <= 513


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "tpu"])
async def test_another_device_than_the_cpu_is_refused(small_gguf: Path, device: str) -> None:
    with pytest.raises(ModelUnavailable, match=f"not on {device}"):
        await LlamaCppEngine(small_gguf, device=device).open()
