import numpy as np
import pytest

from foveate.actions.errors import ModelUnavailable, UsageError
from foveate.policies.engines.base import ImagePart, Message, Request, TextPart
from foveate.policies.engines.names import ENGINES, Wanted, engine_named
from foveate.policies.engines.openai import OpenAIEngine
from foveate.policies.engines.scripted import ScriptedEngine
from foveate.policies.engines.torch import TorchEngine

REQUEST = Request(
    (Message("user", (ImagePart(np.zeros((720, 1280, 3), np.uint8)), TextPart("What now, and where to?"))),)
)


async def test_it_gives_its_texts_in_order_and_keeps_every_request() -> None:
    async with ScriptedEngine(["one two", "three"]) as engine:
        texts = ["".join([delta.text async for delta in engine.generate(REQUEST)]) for _ in range(2)]
        assert texts == ["one two", "three"]
        assert engine.requests == [REQUEST, REQUEST]
        with pytest.raises(ModelUnavailable, match="no answer left: all 2"):
            await anext(engine.generate(REQUEST))


async def test_it_counts_words_and_visual_tokens() -> None:
    async with ScriptedEngine(["go on"]) as engine:
        deltas = [delta async for delta in engine.generate(REQUEST)]
    usage = deltas[-1].usage
    assert usage is not None
    assert (usage.prompt, usage.visual, usage.output) == (5 + 9 * 256, 9 * 256, 2)


async def test_it_counts_the_streams_that_were_closed_early() -> None:
    async with ScriptedEngine(["a long answer of many words", "short"]) as engine:
        stream = engine.generate(REQUEST)
        await anext(stream)
        await stream.aclose()
        assert engine.aborted == 1
        assert [delta async for delta in engine.generate(REQUEST)][-1].finish == "stop"
        assert engine.aborted == 1


async def test_it_scores_as_it_was_told() -> None:
    async with ScriptedEngine([], scores={"+": -0.1}) as engine:
        assert await engine.score(REQUEST, ["+", "-"]) == (-0.1, -100.0)


def test_an_engine_can_be_had_by_its_name() -> None:
    assert isinstance(engine_named("torch", Wanted("tiny")), TorchEngine)
    assert isinstance(engine_named("auto", Wanted("tiny", device="cpu")), TorchEngine)
    with pytest.raises(UsageError, match="choose one of auto, torch"):
        engine_named("vllm", Wanted("tiny"))
    assert list(ENGINES) == ["auto", "torch", "lmdeploy", "llamacpp"]
    assert isinstance(engine_named("openai:http://127.0.0.1:1", Wanted("tiny")), OpenAIEngine)
    for name in ("openai", "openai:", "openai:localhost:80"):
        with pytest.raises(UsageError, match="needs its server's address"):
            engine_named(name, Wanted("tiny"))


def test_llamacpp_on_a_gpu_is_wrong_usage_as_fewer_bits_are() -> None:
    for more in ({"device": "cuda:all"}, {"device": "cuda"}, {"bits": 4}):
        with pytest.raises(UsageError, match="the engine llamacpp"):
            engine_named("llamacpp", Wanted("x.gguf", **more))
    engine_named("llamacpp", Wanted("x.gguf", device="cpu"))


def test_other_engines_take_no_vision_process() -> None:
    with pytest.raises(UsageError, match="the engine llamacpp sees for itself"):
        engine_named("llamacpp", Wanted("x.gguf", vision="tcp://127.0.0.1:1"))
    assert isinstance(engine_named("torch", Wanted("tiny", vision="tcp://127.0.0.1:1")), TorchEngine)
