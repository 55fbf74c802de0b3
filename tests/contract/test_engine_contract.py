"""What every Engine must do, whoever wrote it."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foveate.actions.errors import EnvClosed, ModelUnavailable, UsageError
from foveate.policies.base import Sampling
from foveate.policies.engines.base import ImagePart, Message, Request, TextPart
from foveate.policies.engines.scripted import ScriptedEngine
from foveate.policies.engines.serving import program
from foveate.policies.internvl.conversations import answered, pictures
from tests.commands import served
from tests.policies.asking import collected


@dataclass(frozen=True)
class Make:
    """Makes an engine, still closed.

    Attributes:
        new: Makes one.
        tokens_per_tile: Visual tokens of a picture of one tile.
    """

    new: Callable[[], Any]
    tokens_per_tile: int

    def __call__(self) -> Any:
        return self.new()


PICTURE = np.random.default_rng(0).integers(0, 256, (120, 120, 3), dtype=np.uint8)
REQUEST = Request(
    messages=(
        Message("system", (TextPart("You are an agent."),)),
        Message("user", (ImagePart(PICTURE, 1), TextPart("Click the square."))),
    ),
    max_new_tokens=16,
)


# Who serves -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def scripted() -> Make:
    said = "<operation>Click the square</operation> <action>click(x=0.5, y=0.5)</action> " * 4
    return Make(lambda: ScriptedEngine([said] * 8), 256)


@pytest.fixture
def torch_tiny() -> Make:
    """The bundled checkpoint."""
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("transformers", reason="transformers is not installed")
    from foveate.policies.engines.torch import TorchEngine
    from foveate.policies.internvl.checkpoint import check, find

    return Make(lambda: TorchEngine("tiny", device="cpu"), check(find("tiny")).tokens_per_tile)


@pytest.fixture
def llamacpp(full_gguf: Path) -> Make:
    """A GGUF file that foveate's exporter wrote, in this process."""
    from foveate.policies.engines.llamacpp import LlamaCppEngine

    return Make(lambda: LlamaCppEngine(full_gguf, threads=1), 256)


@pytest.fixture(scope="module")
def torch_address(deep_full_checkpoint: Path) -> Iterator[str]:
    from tests.torch_server import torch_server

    with torch_server(deep_full_checkpoint) as address:
        yield address


@pytest.fixture
def openai_torch(torch_address: str) -> Make:
    """The torch engine behind Starlette and uvicorn, in vLLM's dialect."""
    pytest.importorskip("openai", reason="openai is not installed")
    from foveate.policies.engines.openai import OpenAIEngine

    return Make(lambda: OpenAIEngine(torch_address), 256)


@pytest.fixture(scope="module")
def vision_address() -> Iterator[str]:
    pytest.importorskip("zmq", reason="pyzmq is not installed")
    with served("vision", "tiny", "--bind", "tcp://127.0.0.1:0") as address:
        yield address


@pytest.fixture
def torch_vision(vision_address: str) -> Make:
    """The bundled checkpoint's language half, its pictures encoded by another process."""
    from foveate.policies.engines.torch import TorchEngine
    from foveate.policies.internvl.checkpoint import check, find

    per_tile = check(find("tiny")).tokens_per_tile
    return Make(lambda: TorchEngine("tiny", device="cpu", vision=vision_address), per_tile)


@pytest.fixture(scope="module")
def llamacpp_address(full_gguf: Path) -> Iterator[str]:
    with served("serve", full_gguf) as address:
        yield address


@pytest.fixture
def openai_llamacpp(llamacpp_address: str) -> Make:
    """llama.cpp's own server, started by ``foveate serve``."""
    pytest.importorskip("openai", reason="openai is not installed")
    from foveate.policies.engines.openai import OpenAIEngine

    return Make(lambda: OpenAIEngine(llamacpp_address), 256)


@pytest.fixture(scope="module")
def lmdeploy_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA GPU here")
    if program("lmdeploy") is None:
        pytest.skip("LMDeploy is not installed: make lmdeploy-env")
    from foveate.policies.internvl.catalogue import SIZES
    from foveate.policies.internvl.made_up import Reduced, made_up

    folder = made_up(SIZES["1B"], tmp_path_factory.mktemp("1B") / "hf", reduced=Reduced(2))
    with served("serve", folder, "--engine", "lmdeploy", ready_s=600) as address:
        yield address


@pytest.fixture
def openai_lmdeploy(lmdeploy_address: str) -> Make:
    """LMDeploy's own server, started by ``foveate serve``."""
    pytest.importorskip("openai", reason="openai is not installed")
    from foveate.policies.engines.openai import OpenAIEngine

    return Make(lambda: OpenAIEngine(lmdeploy_address), 256)


MODELS = ("torch_tiny", "torch_vision", "llamacpp", "openai_torch", "openai_llamacpp")
SERVED = (
    "scripted",
    *(pytest.param(name, marks=pytest.mark.torch) for name in MODELS),
    pytest.param("openai_lmdeploy", marks=(pytest.mark.torch, pytest.mark.gpu)),
)


@pytest.fixture(params=SERVED)
def make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.getfixturevalue(request.param)
    return made


async def test_a_stream_ends_with_why_and_what_it_cost(make: Make) -> None:
    async with make() as engine:
        deltas = await collected(engine, REQUEST)
        visual = make.tokens_per_tile
    assert [delta.finish for delta in deltas[:-1]] == [None] * (len(deltas) - 1)
    assert deltas[-1].finish in ("stop", "length")
    usage = deltas[-1].usage
    assert usage is not None
    assert usage.visual == visual
    assert usage.prompt > usage.visual
    assert 1 <= usage.output <= 16
    assert all(delta.usage is None for delta in deltas[:-1])


async def test_the_limit_of_tokens_is_kept(make: Make) -> None:
    async with make() as engine:
        deltas = await collected(engine, replace(REQUEST, max_new_tokens=3))
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.output <= 3


async def test_nothing_follows_a_stop_text(make: Make) -> None:
    async with make() as engine:
        whole = "".join(delta.text for delta in await collected(engine, REQUEST))
    if len(whole) < 3:
        pytest.skip("the bundled checkpoint said too little to stop in")
    word = whole[1:3]
    async with make() as engine:
        deltas = await collected(engine, replace(REQUEST, stop=("never said", word)))
    assert "".join(delta.text for delta in deltas) == whole[: whole.index(word) + len(word)]
    assert deltas[-1].finish == "stop"


async def test_closing_a_stream_frees_the_engine(make: Make) -> None:
    async with make() as engine:
        stream = engine.generate(replace(REQUEST, max_new_tokens=400))
        await anext(stream)
        await stream.aclose()
        async with asyncio.timeout(10):
            assert (await collected(engine, REQUEST))[-1].finish


async def test_what_it_does_not_name_as_a_capability_is_refused(make: Make) -> None:
    asked: dict[str, dict[str, Any]] = {
        "grammar": {"grammar": "a+"},
        "prefill": {"prefill": "<operation>\n"},
        "flash": {"flash": True},
        "visual_tokens": {"visual_tokens": 64},
    }
    async with make() as engine:
        for name, change in asked.items():
            if name not in engine.capabilities:
                with pytest.raises(ModelUnavailable):
                    await collected(engine, replace(REQUEST, **change))


IMPOSSIBLE: tuple[tuple[dict[str, Any], str], ...] = (
    ({"max_new_tokens": 0}, "max_new_tokens is 0: a whole number of at least 1"),
    ({"max_new_tokens": -1}, "max_new_tokens is -1: "),
    ({"max_new_tokens": 1.5}, "max_new_tokens is 1.5: "),
    ({"sampling": Sampling(temperature=float("nan"))}, "temperature nan: temperature >= 0"),
    ({"sampling": Sampling(temperature=float("inf"))}, "temperature inf: "),
    ({"sampling": Sampling(temperature=-1.0)}, "temperature -1.0: "),
    ({"sampling": Sampling(temperature=1.0, top_p=0.0)}, "top_p 0.0: 0 < top_p <= 1"),
    ({"sampling": Sampling(temperature=1.0, top_p=float("nan"))}, "top_p nan: "),
    ({"sampling": Sampling(temperature=1.0, seed=1.5)}, "seed 1.5: a whole number or None"),  # type: ignore[arg-type]
)
NO_PICTURES: tuple[tuple[Any, str], ...] = (
    (np.zeros((0, 5, 3), np.uint8), "a picture is uint8 of shape (0, 5, 3): uint8 RGB of shape (height, width, 3)"),
    (np.zeros((5, 5), np.uint8), "uint8 of shape (5, 5): "),
    (np.zeros((5, 5, 4), np.uint8), "uint8 of shape (5, 5, 4): "),
    (np.zeros((1, 5, 5, 3), np.uint8), "uint8 of shape (1, 5, 5, 3): "),
    (np.zeros((5, 5, 3), np.float32), "float32 of shape (5, 5, 3): "),
    ([[[0, 0, 0]]], "a picture is list: "),
)


async def test_what_no_model_can_take_is_refused_in_the_same_words(make: Make) -> None:
    asked = [(replace(REQUEST, **change), says) for change, says in IMPOSSIBLE]
    shown = [(ImagePart(image, 1), says) for image, says in NO_PICTURES]
    shown.append((ImagePart(PICTURE, 0), "a picture's max_tiles is 0: "))
    asked += [(replace(REQUEST, messages=(Message("user", (part,)),)), says) for part, says in shown]
    async with make() as engine:
        for request, says in asked:
            with pytest.raises(UsageError, match=re.escape(says)):
                await collected(engine, request)
        assert (await collected(engine, REQUEST))[-1].finish


async def test_what_it_encoded_can_be_asked_about(make: Make) -> None:
    async with make() as engine:
        if "encode" not in engine.capabilities:
            with pytest.raises((ModelUnavailable, NotImplementedError)):
                await engine.encode([ImagePart(PICTURE, 1)])
            return
        (encoded,) = await engine.encode([ImagePart(PICTURE, 1)])
        visual = make.tokens_per_tile
        assert encoded.visual_tokens == visual
        user = Message("user", (ImagePart(encoded), TextPart("Click the square.")))
        deltas = await collected(engine, replace(REQUEST, messages=(REQUEST.messages[0], user)))
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.visual == visual


async def test_scores_are_log_probabilities_one_a_choice(make: Make) -> None:
    async with make() as engine:
        if "score" not in engine.capabilities:
            with pytest.raises((ModelUnavailable, NotImplementedError)):
                await engine.score(REQUEST, ["click", "wait"])
            return
        scores = await engine.score(REQUEST, ["click", "wait"])
    assert len(scores) == 2
    assert all(score <= 0 for score in scores)


async def test_it_works_only_while_it_is_open_and_leaves_no_thread(make: Make) -> None:
    engine = make()
    before = set(threading.enumerate())
    with pytest.raises(EnvClosed):
        await collected(engine, REQUEST)
    async with engine:
        assert engine.opened
    assert not engine.opened
    await engine.close()
    with pytest.raises(EnvClosed):
        await collected(engine, REQUEST)
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("foveate")]


async def test_an_answer_keeps_to_a_grammar_where_it_can(make: Make) -> None:
    async with make() as engine:
        if "grammar" not in engine.capabilities:
            pytest.skip("it has no grammar, which is refused")
        if engine.capabilities & {"encode"}:
            pytest.importorskip("xgrammar", reason="xgrammar is not installed")
        pattern = r"(yes|no), (a|b){2,4}!"
        deltas = await collected(engine, replace(REQUEST, grammar=pattern, max_new_tokens=60))
    assert re.fullmatch(pattern, "".join(delta.text for delta in deltas))
    assert deltas[-1].finish == "stop"


async def test_several_turns_with_several_pictures_are_counted(make: Make) -> None:
    small = ImagePart(PICTURE[:60], 1)
    messages = (
        REQUEST.messages[0], pictures([small], "What is it?"), answered("A page."),
        pictures([small, ImagePart(PICTURE, 1)], "And these?"),
    )  # fmt: skip
    async with make() as engine:
        deltas = await collected(engine, replace(REQUEST, messages=messages))
    usage = deltas[-1].usage
    assert usage is not None
    assert usage.visual == 3 * make.tokens_per_tile
    assert usage.prompt > usage.visual


async def test_what_an_answer_begins_with_is_not_repeated(make: Make) -> None:
    async with make() as engine:
        if "prefill" not in engine.capabilities:
            pytest.skip("it cannot be given the beginning of an answer, which is refused")
        deltas = await collected(engine, replace(REQUEST, prefill="<operation>\nClick the square"))
    assert not "".join(delta.text for delta in deltas).startswith("<operation>\nClick the square")
    assert deltas[-1].finish in ("stop", "length")
