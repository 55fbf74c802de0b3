"""What every Engine must do, whoever wrote it."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pytest

from foveate.actions.errors import EnvClosed, ModelUnavailable
from foveate.policies.engines.base import Delta, ImagePart, Message, Request, TextPart
from foveate.policies.engines.scripted import ScriptedEngine
from foveate.policies.engines.torch import TorchEngine

AnyEngine: TypeAlias = ScriptedEngine | TorchEngine

PICTURE = np.random.default_rng(0).integers(0, 256, (120, 120, 3), dtype=np.uint8)
REQUEST = Request(
    messages=(
        Message("system", (TextPart("You are an agent."),)),
        Message("user", (ImagePart(PICTURE, 1), TextPart("Click the square."))),
    ),
    max_new_tokens=16,
)


def scripted() -> AnyEngine:
    return ScriptedEngine(["<operation>Click the square</operation> <action>click(x=0.5, y=0.5)</action> " * 4] * 8)


def torch_tiny() -> AnyEngine:
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("transformers", reason="transformers is not installed")
    return TorchEngine("tiny", device="cpu")


@pytest.fixture(
    params=[scripted, pytest.param(torch_tiny, marks=pytest.mark.torch)], ids=lambda make: getattr(make, "__name__", "")
)
def make(request: pytest.FixtureRequest) -> Callable[[], AnyEngine]:
    made: Callable[[], AnyEngine] = request.param
    return made


def tokens_per_tile(engine: AnyEngine) -> int:
    """Visual tokens of a picture of one tile: the checkpoint's own number, InternVL's 256 where there is none."""
    checkpoint = engine.checkpoint if isinstance(engine, TorchEngine) else None
    return checkpoint.tokens_per_tile if checkpoint is not None else 256


async def collected(engine: AnyEngine, request: Request) -> list[Delta]:
    return [delta async for delta in engine.generate(request)]


async def test_a_stream_ends_with_why_and_what_it_cost(make: Callable[[], AnyEngine]) -> None:
    async with make() as engine:
        deltas = await collected(engine, REQUEST)
        visual = tokens_per_tile(engine)
    assert [delta.finish for delta in deltas[:-1]] == [None] * (len(deltas) - 1)
    assert deltas[-1].finish in ("stop", "length")
    usage = deltas[-1].usage
    assert usage is not None
    assert usage.visual == visual
    assert usage.prompt > usage.visual
    assert 1 <= usage.output <= 16
    assert all(delta.usage is None for delta in deltas[:-1])


async def test_the_limit_of_tokens_is_kept(make: Callable[[], AnyEngine]) -> None:
    async with make() as engine:
        deltas = await collected(engine, replace(REQUEST, max_new_tokens=3))
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.output <= 3


async def test_nothing_follows_a_stop_text(make: Callable[[], AnyEngine]) -> None:
    async with make() as engine:
        whole = "".join(delta.text for delta in await collected(engine, REQUEST))
    if len(whole) < 3:
        pytest.skip("the bundled checkpoint said too little to stop in")
    word = whole[1:3]
    async with make() as engine:
        deltas = await collected(engine, replace(REQUEST, stop=("never said", word)))
    assert "".join(delta.text for delta in deltas) == whole[: whole.index(word) + len(word)]
    assert deltas[-1].finish == "stop"


async def test_closing_a_stream_frees_the_engine(make: Callable[[], AnyEngine]) -> None:
    async with make() as engine:
        stream = engine.generate(replace(REQUEST, max_new_tokens=400))
        await anext(stream)
        await stream.aclose()
        async with asyncio.timeout(10):
            assert (await collected(engine, REQUEST))[-1].finish


async def test_what_it_does_not_name_as_a_capability_is_refused(make: Callable[[], AnyEngine]) -> None:
    asked: dict[str, dict[str, Any]] = {
        "grammar": {"grammar": "a+"},
        "flash": {"flash": True},
        "visual_tokens": {"visual_tokens": 64},
    }
    async with make() as engine:
        for name, change in asked.items():
            if name not in engine.capabilities:
                with pytest.raises(ModelUnavailable):
                    await collected(engine, replace(REQUEST, **change))


async def test_what_it_encoded_can_be_asked_about(make: Callable[[], AnyEngine]) -> None:
    async with make() as engine:
        if "encode" not in engine.capabilities:
            return
        (encoded,) = await engine.encode([ImagePart(PICTURE, 1)])
        visual = tokens_per_tile(engine)
        assert encoded.visual_tokens == visual
        user = Message("user", (ImagePart(encoded), TextPart("Click the square.")))
        deltas = await collected(engine, replace(REQUEST, messages=(REQUEST.messages[0], user)))
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.visual == visual


async def test_scores_are_log_probabilities_one_a_choice(make: Callable[[], AnyEngine]) -> None:
    async with make() as engine:
        if "score" not in engine.capabilities:
            return
        scores = await engine.score(REQUEST, ["click", "wait"])
    assert len(scores) == 2
    assert all(score <= 0 for score in scores)


async def test_it_works_only_while_it_is_open_and_leaves_no_thread(make: Callable[[], AnyEngine]) -> None:
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
