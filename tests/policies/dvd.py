"""What the tests of the vision process share: the process itself in one event loop, one that pretends, questions."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("zmq", reason="pyzmq is not installed")

import zmq  # noqa: E402
import zmq.asyncio  # noqa: E402

from foveate.policies.engines.base import ImagePart, Message, Request, TextPart  # noqa: E402
from foveate.policies.engines.dvd_server import VisionServer  # noqa: E402
from foveate.policies.engines.dvd_wire import (  # noqa: E402
    About,
    Asked,
    Hello,
    Seen,
    pack,
    unpack,
)
from foveate.policies.engines.torch import TorchEngine  # noqa: E402
from foveate.policies.internvl.checkpoint import check  # noqa: E402
from foveate.policies.internvl.fingerprint import fingerprint  # noqa: E402
from tests.policies.asking import collected, ids_of  # noqa: E402

PICTURE = np.random.default_rng(3).integers(0, 256, (224, 336, 3), dtype=np.uint8)
PART = ImagePart(PICTURE, 12)
NOBODY = "tcp://127.0.0.1:9"


@asynccontextmanager
async def serving(model: Path, *, bind: str = "tcp://127.0.0.1:0", queue: int = 8) -> AsyncIterator[VisionServer]:
    async with VisionServer(model, bind=bind, device="cpu", queue=queue) as server, asyncio.TaskGroup() as group:
        task = group.create_task(server.serve())
        yield server
        task.cancel()


def asked(text: str = "Click the button", **more: Any) -> Request:
    user = Message("user", (PART, TextPart(text)))
    return Request((Message("system", (TextPart("You act."),)), user), **{"max_new_tokens": 8, **more})


async def answer(engine: TorchEngine, request: Request) -> tuple[list[int], tuple[int, ...] | None]:
    """Give an answer's tokens and its prompt's."""
    deltas = await collected(engine, request)
    return ids_of(deltas), deltas[-1].prompt_ids


Fake = Callable[[list[bytes]], list[bytes] | None]


@asynccontextmanager
async def pretending(reply: Fake) -> AsyncIterator[str]:
    """A vision process that answers as it is told: None is silence, an empty list the end of it."""
    context = zmq.asyncio.Context()
    router = context.socket(zmq.ROUTER)
    port = router.bind_to_random_port("tcp://127.0.0.1")

    async def answers() -> None:
        while not router.closed:
            sender, *frames = await router.recv_multipart()
            given = reply(frames)
            if given:
                await router.send_multipart([sender, *given])
            elif given is not None:
                router.close(0)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(answers())
        yield f"tcp://127.0.0.1:{port}"
        task.cancel()
    context.destroy(0)


def about(model: Path) -> About:
    return About(fingerprint=fingerprint(check(model)), tile=112, tokens=16, small=0, hidden=32, weights=1)


def seen(frames: list[bytes], **changes: Any) -> Seen:
    question = unpack(frames[0])
    assert isinstance(question, Asked)
    said: dict[str, Any] = {
        "id": question.id, "tiles": 7, "tokens": 16, "small": 0, "hidden": 32, "dtype": "bfloat16",
        "received_s": 0.0, "began_s": 0.0, "ended_s": 0.0,
    }  # fmt: skip
    return Seen(**{**said, **changes})


def after_hello(model: Path, then: Fake) -> Fake:
    return lambda frames: [pack(about(model))] if isinstance(unpack(frames[0]), Hello) else then(frames)


def question(model: Path, **changes: Any) -> Asked:
    said = {"id": "0" * 32, "fingerprint": fingerprint(check(model)), "tiles": 1, "tile": 112, "dtype": "float32"}
    return Asked(**{**said, **changes})


async def exchanged(dealer: Any, frames: list[bytes]) -> Any:
    await dealer.send_multipart(frames)
    async with asyncio.timeout(10):
        return unpack((await dealer.recv_multipart())[0])
