"""The torch engine behind a real HTTP framework, speaking OpenAI's protocol as vLLM does: a peer for OpenAIEngine.

It is the tests' own: people serve models with ``foveate serve``.
"""

import asyncio
import base64
import io
import json
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from PIL import Image as Pillow
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from foveate.actions.errors import ModelUnavailable
from foveate.policies.base import Sampling
from foveate.policies.engines.base import ImagePart, Message, Request, TextPart
from foveate.policies.engines.torch import TorchEngine


def read(body: dict[str, Any]) -> Request:
    """Read a request of OpenAI's chat protocol with vLLM's extensions."""
    tiles = int(body.get("mm_processor_kwargs", {}).get("max_dynamic_patch", 1))
    messages = [Message(one["role"], tuple(_parts(one["content"], tiles))) for one in body["messages"]]
    prefill = ""
    if body.get("continue_final_message"):
        (begun,) = messages.pop().parts
        assert isinstance(begun, TextPart)
        prefill = begun.text
    return Request(
        messages=tuple(messages), prefill=prefill, grammar=body.get("structured_outputs", {}).get("regex"),
        sampling=Sampling(body["temperature"], body.get("top_p", 1.0), body.get("seed")),
        max_new_tokens=body["max_tokens"],
    )  # fmt: skip


def _parts(content: Any, tiles: int) -> Iterator[TextPart | ImagePart]:
    if isinstance(content, str):
        yield TextPart(content)
        return
    for part in content:
        if part["type"] == "text":
            yield TextPart(part["text"])
            continue
        data = base64.b64decode(part["image_url"]["url"].removeprefix("data:image/png;base64,"))
        picture = Pillow.open(io.BytesIO(data)).convert("RGB")
        yield ImagePart(np.asarray(picture), tiles)


def app(model: str | Path) -> Starlette:
    """Make the application that serves a checkpoint."""
    engine = TorchEngine(model, device="cpu")

    @asynccontextmanager
    async def alive(_: Starlette) -> AsyncIterator[None]:
        async with engine:
            yield

    async def models(_: Asked) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": "served", "object": "model", "owned_by": "vllm"}]})

    async def chat(asked: Asked) -> Response:
        request = read(await asked.json())
        stream = events(request)
        try:
            first = await anext(stream)
        except ModelUnavailable as exc:
            return JSONResponse({"error": {"message": str(exc), "type": "invalid_request_error"}}, 400)
        return StreamingResponse(_behind(first, stream), media_type="text/event-stream")

    async def events(request: Request) -> AsyncGenerator[str, None]:
        async with aclosing(engine.generate(request)) as stream:
            async for delta in stream:
                finish = {"aborted": "abort"}.get(str(delta.finish), delta.finish)
                choice = {"index": 0, "delta": {"content": delta.text}, "finish_reason": finish}
                yield _event([choice])
                if delta.usage is not None:
                    used = delta.usage
                    yield _event([], {
                        "prompt_tokens": used.prompt, "completion_tokens": used.output,
                        "total_tokens": used.prompt + used.output,
                    })  # fmt: skip
        yield "data: [DONE]\n\n"

    return Starlette(
        routes=[Route("/v1/models", models), Route("/v1/chat/completions", chat, methods=["POST"])], lifespan=alive
    )


async def _behind(first: str, rest: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece


def _event(choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> str:
    data = {"id": "one", "object": "chat.completion.chunk", "created": 0, "model": "served", "choices": choices}
    return f"data: {json.dumps(data | ({'usage': usage} if usage else {}))}\n\n"


@contextmanager
def torch_server(model: str | Path) -> Iterator[str]:
    """Serve a checkpoint on a free port from a thread of its own; gives the address."""
    server = uvicorn.Server(uvicorn.Config(app(model), host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), name="torch-server")
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the server ended before it was ready")
            thread.join(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
