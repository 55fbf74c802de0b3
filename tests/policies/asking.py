"""What the tests of engines ask, and what they make of the answer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from foveate.policies.engines.base import Delta, Engine, ImagePart, Message, Request, TextPart
from foveate.policies.engines.llamacpp import LlamaCppEngine

PICTURE = np.random.default_rng(3).integers(0, 256, (90, 150, 3), dtype=np.uint8)


def request(text: str = "Add milk to the list", *, most: int = 24, tiles: int = 1, **changes: Any) -> Request:
    user = Message("user", (ImagePart(changes.pop("picture", PICTURE), tiles), TextPart(text)))
    return replace(Request((Message("system", (TextPart("You are an agent."),)), user), max_new_tokens=most), **changes)


async def collected(engine: Engine, asked: Request) -> list[Delta]:
    return [delta async for delta in engine.generate(asked)]


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def ids_of(deltas: list[Delta]) -> list[int]:
    return [token for delta in deltas for token in delta.token_ids]


def logprobs_of(deltas: list[Delta]) -> list[float]:
    return [value for delta in deltas for value in delta.logprobs or ()]


def exact(folder: Path, **settings: Any) -> LlamaCppEngine:
    return LlamaCppEngine(folder, cache="float32", threads=1, **settings)
