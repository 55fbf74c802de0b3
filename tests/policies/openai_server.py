"""A server of OpenAI's protocol that answers as it is told, and how the tests ask it."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openai", reason="the openai client is not installed")

from foveate.policies.engines.base import Delta, ImagePart, Message, Request, TextPart
from foveate.policies.engines.openai import OpenAIEngine

Handler = http.server.BaseHTTPRequestHandler
Script = Callable[[Handler], None]


class Server:
    """Lists one model and does what its script says; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.models: Any = {"object": "list", "data": [{"id": "big", "object": "model", "owned_by": "vllm"}]}
        self.scripts: list[Script] = []
        self.closed = threading.Event()
        server = self

        class Answers(Handler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:  # noqa: N802 - its name
                send(self, json.dumps(server.models))

            def do_POST(self) -> None:  # noqa: N802 - its name
                length = int(self.headers["Content-Length"])
                server.asked.append(json.loads(self.rfile.read(length)))
                server.keys.append(self.headers.get("Authorization", ""))
                script = server.scripts.pop(0) if len(server.scripts) > 1 else server.scripts[0]
                try:
                    script(self)
                except OSError:
                    server.closed.set()

            def log_message(self, *args: object) -> None:
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


def send(handler: Handler, body: str, status: int = 200, kind: str = "application/json") -> None:
    data = body.encode()
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def begin(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.close_connection = True


def piece(handler: Handler, text: str | None = None, *, finish: Any = None, usage: Any = None) -> None:
    delta = {"role": "assistant"} if text is None else {"content": text}
    choices = [] if usage else [{"index": 0, "delta": delta, "finish_reason": finish}]
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "big", "choices": choices}
    handler.wfile.write(f"data: {json.dumps({**chunk, 'usage': usage})}\n\n".encode())
    handler.wfile.flush()


def says(*texts: str, finish: Any = "stop", usage: Any = None) -> Script:
    def script(handler: Handler) -> None:
        begin(handler)
        piece(handler)
        for text in texts:
            piece(handler, text)
        piece(handler, "", finish=finish)
        tokens = {"prompt_tokens": 800, "completion_tokens": len(texts), "total_tokens": 800 + len(texts)}
        piece(handler, usage=usage or {**tokens, "prompt_tokens_details": {"cached_tokens": 40}})
        handler.wfile.write(b"data: [DONE]\n\n")

    return script


@pytest.fixture(name="server")
def server_fixture() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def asked(**more: Any) -> Request:
    image = np.zeros((448, 896, 3), np.uint8)
    image[:, 448:] = (200, 30, 10)
    user = Message("user", (ImagePart(image, 6), TextPart("Click the button")))
    return Request((Message("system", (TextPart("You act."),)), user), **more)


def engine(server: Server, **more: Any) -> OpenAIEngine:
    return OpenAIEngine(server.url, **{"retries": 0, "first_s": 5.0, "next_s": 5.0, **more})


async def answer(server: Server, request: Request | None = None, **more: Any) -> tuple[str, Delta]:
    async with engine(server, **more) as opened:
        deltas = [delta async for delta in opened.generate(request or asked())]
    return "".join(delta.text for delta in deltas), deltas[-1]
