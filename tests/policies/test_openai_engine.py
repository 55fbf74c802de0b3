"""OpenAIEngine, and policies on it, against a server that answers, refuses, breaks off, babbles or says nothing."""

import base64
import http.server
import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

pytest.importorskip("openai", reason="the openai client is not installed")

from foveate.actions.errors import ModelTimeout, ModelUnavailable, UsageError
from foveate.actions.geometry import Frame, Point
from foveate.actions.schema import Click, Wait
from foveate.envs.base import ScreenObservation
from foveate.policies.base import Decision, Look, Outcome, Sampling, Turn
from foveate.policies.engines.base import Delta, Encoded, ImagePart, Message, Request, TextPart
from foveate.policies.engines.names import Wanted, engine_named
from foveate.policies.engines.openai import OpenAIEngine
from foveate.policies.internvl import InternVLPolicy
from foveate.policies.thinking import ThinkWhenStuck

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


@pytest.fixture
def server() -> Iterator[Server]:
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


async def test_an_answer_comes_piece_by_piece_with_the_servers_own_counts(server: Server) -> None:
    server.scripts = [says("<action>", "click(x=0.5, y=0.5)", "</action>")]
    text, last = await answer(server)
    assert text == "<action>click(x=0.5, y=0.5)</action>"
    assert last.finish == "stop"
    assert last.usage is not None
    assert (last.usage.prompt, last.usage.visual, last.usage.cached, last.usage.output) == (800, 768, 40, 3)
    assert last.usage.timing_ms.keys() == {"prefill", "decode"}
    (body,) = server.asked
    assert (body["model"], body["temperature"], body["max_tokens"], body["stream"]) == ("big", 0.0, 512, True)
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["messages"][0]["content"] == "You act."
    picture, words = body["messages"][1]["content"]
    assert words == {"type": "text", "text": "Click the button"}
    sent = Pillow.open(io.BytesIO(base64.b64decode(picture["image_url"]["url"].partition(",")[2])))
    assert np.array_equal(np.asarray(sent), asked().messages[1].parts[0].image)  # type: ignore[union-attr]


async def test_a_stop_text_ends_the_request_at_the_server(server: Server) -> None:
    def endless(handler: Handler) -> None:
        begin(handler)
        for text in ("click()</act", "ion> and", *[" more"] * 10_000):
            piece(handler, text)
            time.sleep(0.005)

    server.scripts = [endless]
    text, last = await answer(server, asked(stop=("</action>",)))
    assert text == "click()</action>"
    assert last.finish == "stop"
    assert last.usage is not None and (last.usage.prompt, last.usage.visual, last.usage.output) == (0, 768, 2)
    assert server.closed.wait(5)


async def test_closing_the_stream_closes_the_connection(server: Server) -> None:
    def endless(handler: Handler) -> None:
        begin(handler)
        while True:
            piece(handler, "x")
            time.sleep(0.005)

    server.scripts = [endless]
    async with engine(server) as opened, aclosing(opened.generate(asked())) as stream:
        assert (await anext(stream)).text == "x"
    assert server.closed.wait(5)


@pytest.mark.parametrize(
    ("owner", "dialect", "more", "wanted"),
    [
        ("vllm", "vllm", {"grammar": "a+"}, {"structured_outputs": {"regex": "a+"}}),
        ("vllm", "vllm", {}, {"mm_processor_kwargs": {"max_dynamic_patch": 6}}),
        ("vllm", "vllm", {"prefill": "<think>"}, {"continue_final_message": True, "add_generation_prompt": False}),
        ("lmdeploy", "lmdeploy", {"grammar": "a"}, {"response_format": {"type": "regex_schema", "regex_schema": "a"}}),
        ("sglang", "sglang", {"grammar": "a"}, {"regex": "a"}),
        ("llama.cpp", "llamacpp", {"prefill": "<think>"}, {}),
        ("llama.cpp", "llamacpp", {"grammar": "a+(b|c)"}, {"grammar": 'root ::= "a" + ( "b" | "c" )\n'}),
        ("someone", "other", {"sampling": Sampling(temperature=0.6, top_p=0.9, seed=4)}, {"top_p": 0.9, "seed": 4}),
    ],
)
async def test_each_dialect_is_told_apart_and_spoken(
    server: Server, owner: str, dialect: str, more: dict[str, Any], wanted: dict[str, Any]
) -> None:
    server.models["data"][0]["owned_by"] = owner
    server.scripts = [says("x")]
    async with engine(server) as opened:
        assert opened.dialect == dialect
        async for _ in opened.generate(asked(**more)):
            pass
    (body,) = server.asked
    assert {key: body.get(key) for key in wanted} == wanted
    patch = body["messages"][1]["content"][0]["image_url"].get("max_dynamic_patch")
    assert patch == (6 if dialect in ("lmdeploy", "sglang") else None)
    if "prefill" in more:
        assert body["messages"][-1] == {"role": "assistant", "content": "<think>"}


@pytest.mark.parametrize(("size", "budget"), [((448, 896), 1), ((480, 640), 4), ((300, 300), 12)])
async def test_a_picture_of_one_tile_is_sent_as_that_tile(server: Server, size: tuple[int, int], budget: int) -> None:
    server.scripts = [says("x", usage=counted(280))]
    part = ImagePart(np.zeros((*size, 3), np.uint8), budget)
    _, last = await answer(server, Request((Message("user", (part, TextPart("x"))),)))
    url = server.asked[0]["messages"][0]["content"][0]["image_url"]["url"]
    assert Pillow.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).size == (448, 448)
    assert "mm_processor_kwargs" not in server.asked[0]
    assert last.usage is not None and last.usage.visual == 256


def counted(prompt: int) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": 3, "total_tokens": prompt + 3}


def long(**more: Any) -> Request:
    """Ask at length, as a policy does: 2400 bytes, some 600 tokens."""
    request = asked(**more)
    return replace(request, messages=(Message("system", (TextPart("You act, at last. " * 133),)), request.messages[1]))


@pytest.mark.parametrize("tokens", [480, 600, 800])
async def test_a_count_that_the_tile_budgets_explain_is_believed(
    server: Server, tokens: int, caplog: pytest.LogCaptureFixture
) -> None:
    server.scripts = [says("x", usage=counted(768 + tokens))]
    _, last = await answer(server, long())
    assert last.usage is not None and (last.usage.prompt, last.usage.visual) == (768 + tokens, 768)
    assert not caplog.records


@pytest.mark.parametrize("tiles", [1, 9])
@pytest.mark.parametrize("owner", ["lmdeploy", "vllm", "sglang", "llamacpp", "someone"])
async def test_a_server_that_keeps_to_no_tile_budget_is_named_once_and_nothing_is_made_up(
    server: Server, owner: str, tiles: int, caplog: pytest.LogCaptureFixture
) -> None:
    server.models["data"][0]["owned_by"] = owner
    stopped = says("</action>", usage=counted(600 + tiles * 256))
    server.scripts = [says("x", usage=counted(600 + tiles * 256))] * 2 + [stopped, says("x", usage=counted(1400))]
    async with engine(server) as opened:
        last = [[one async for one in opened.generate(long(stop=("</action>",)))][-1].usage for _ in range(4)]
    assert [usage and usage.visual for usage in last] == [0, 0, 0, 768]  # the last agrees with the budgets
    (said,) = caplog.messages
    assert f"counts {600 + tiles * 256} tokens in a prompt that has 768 visual ones" in said
    assert "GitHub's layout" in said and "--tiles" in said and server.url in said


async def test_the_first_answer_is_read_on_for_the_count_behind_its_stop_text(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.scripts = [says("<action>", "</action>", "\n", usage=counted(2900))]
    async with engine(server) as opened:
        request = long(stop=("</action>",))
        first, second = [[one async for one in opened.generate(request)] for _ in range(2)]
    assert ["".join(one.text for one in deltas) for deltas in (first, second)] == ["<action></action>"] * 2
    costs = [deltas[-1].usage for deltas in (first, second)]
    assert [cost and (cost.prompt, cost.visual, cost.output) for cost in costs] == [(2900, 0, 2), (0, 0, 2)]
    assert len(caplog.records) == 1


def ends_and_breaks(handler: Handler) -> None:
    begin(handler)
    piece(handler, "</action>")


def ends_and_babbles(handler: Handler) -> None:
    ends_and_breaks(handler)
    handler.wfile.write(b"data: {nonsense\n\n")


def ends_and_is_silent(handler: Handler) -> None:
    ends_and_breaks(handler)
    time.sleep(3)


@pytest.mark.parametrize("script", [ends_and_breaks, ends_and_babbles, ends_and_is_silent])
async def test_what_comes_behind_a_stop_text_cannot_spoil_the_answer(server: Server, script: Script) -> None:
    server.scripts = [script]
    began = time.monotonic()
    text, last = await answer(server, asked(stop=("</action>",)))
    assert (text, last.finish) == ("</action>", "stop")
    assert last.usage is not None and (last.usage.prompt, last.usage.visual, last.usage.output) == (0, 768, 1)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("owner", "more", "says_"),
    [
        ("someone", {"grammar": "a"}, "cannot keep to a regular expression"),
        ("llamacpp", {"grammar": "a(?=b)"}, "for which llama.cpp has no word"),
        ("lmdeploy", {"prefill": "<think>"}, "cannot be given the beginning"),
        ("vllm", {"flash": True}, "takes no flash"),
        ("vllm", {"visual_tokens": 64}, "takes no flash and no budget"),
    ],
)
async def test_what_a_dialect_has_no_word_for_is_refused(
    server: Server, owner: str, more: dict[str, Any], says_: str
) -> None:
    server.models["data"][0]["owned_by"] = owner
    server.scripts = [says("x")]
    with pytest.raises(ModelUnavailable, match=says_):
        await answer(server, asked(**more))
    assert server.asked == []


async def test_pictures_of_other_engines_and_two_budgets_are_refused(server: Server) -> None:
    server.scripts = [says("x")]
    image = np.zeros((20, 40, 3), np.uint8)
    with pytest.raises(ModelUnavailable, match="takes pixels"):
        await answer(server, Request((Message("user", (ImagePart(Encoded(None, 4), 1),)),)))
    two = Message("user", (ImagePart(image, 4), ImagePart(image, 6)))
    with pytest.raises(ModelUnavailable, match=r"one tile budget for all pictures .* \[4, 6\]"):
        await answer(server, Request((two,)))


@pytest.mark.torch
async def test_vllm_gets_what_a_vision_process_encoded_all_of_it_or_nothing(server: Server) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("transformers", reason="transformers is not installed")
    from foveate.policies.engines.torch_vision import TileFeatures

    values = torch.arange(7 * 4 * 8).view(7, 4, 8).to(torch.bfloat16)
    seen = ImagePart(Encoded(TileFeatures(None, values, values[:, :1], torch.ones(7)), 28))
    server.scripts = [says("x")]
    _, last = await answer(server, Request((Message("user", (seen, TextPart("Click"), seen)),)))
    assert last.usage is not None and last.usage.visual == 56
    first, words, second = server.asked[0]["messages"][0]["content"]
    assert (words, set(first), first) == ({"type": "text", "text": "Click"}, {"type", "image_embeds"}, second)
    assert first["type"] == "image_embeds"
    loaded = torch.load(io.BytesIO(base64.b64decode(first["image_embeds"])), weights_only=True)
    assert torch.equal(loaded, values.view(28, 8)) and loaded.dtype == torch.bfloat16
    assert "mm_processor_kwargs" not in server.asked[0]

    mixed = Request((Message("user", (seen, ImagePart(np.zeros((10, 10, 3), np.uint8), 1))),))
    with pytest.raises(ModelUnavailable, match="encode all pictures of a request, or none"):
        await answer(server, mixed)
    with pytest.raises(ModelUnavailable, match=r"\(sglang\) takes pixels, not what another engine encoded"):
        await answer(server, Request((Message("user", (seen,)),)), dialect="sglang")
    assert len(server.asked) == 1


def breaks_off(handler: Handler) -> None:
    begin(handler)
    piece(handler, "half")


def babbles(handler: Handler) -> None:
    begin(handler)
    handler.wfile.write(b"data: {nonsense\n\n")


def is_silent(handler: Handler) -> None:
    begin(handler)
    piece(handler, "x")
    time.sleep(3)


def fails_within(handler: Handler) -> None:
    begin(handler)
    piece(handler, "x")
    handler.wfile.write(b'data: {"error": {"message": "CUDA out of memory", "code": 500}}\n\n')


TOO_LONG = "lower the number of tiles .--tiles., shorten the history, or start the server with a longer context"
LMDEPLOYS = "internal error happened, status code ResponseType.INPUT_LENGTH_ERROR"


def fails(body: str, status: int, kind: str = "application/json") -> Script:
    return lambda handler: send(handler, body, status, kind)


def sends(data: str) -> Script:
    """Send one event in the middle of an answer."""

    def script(handler: Handler) -> None:
        begin(handler)
        piece(handler, "x")
        handler.wfile.write(f"data: {data}\n\n".encode())

    return script


@pytest.mark.parametrize(
    ("script", "error", "says_"),
    [
        (breaks_off, ModelUnavailable, "ended its answer without saying why, after 1 pieces"),
        (babbles, ModelUnavailable, "does not speak OpenAI's protocol"),
        (is_silent, ModelTimeout, "gave nothing for 0.5 s"),
        (fails_within, ModelUnavailable, "CUDA out of memory"),
        (fails('{"error": {"message": "kaputt"}}', 500), ModelUnavailable, "1 times with 500.*kaputt"),
        (fails('{"message": "too long"}', 400), ModelUnavailable, "refuses the request with 400.*too long"),
        (fails('{"message": "maximum context length is 9"}', 400), ModelUnavailable, f"with 400.* is 9.*: {TOO_LONG}"),
        (sends('{"error": {"message": "longer than 9"}}'), ModelUnavailable, f"longer than 9: {TOO_LONG}"),
        (says(LMDEPLOYS, finish="error"), ModelUnavailable, f"INPUT_LENGTH_ERROR: {TOO_LONG}"),
        (says(finish="error"), ModelUnavailable, "failed in the middle of an answer: no word why$"),
        (fails('{"message": "no such role"}', 400), ModelUnavailable, "refuses the request with 400: .*no such role$"),
        (fails("{}", 401), ModelUnavailable, "FOVEATE_API_KEY"),
        (fails("{}", 404), ModelUnavailable, "no such address or model"),
        (lambda handler: time.sleep(2), ModelTimeout, "has not answered in time"),
        (sends('{"object": "error", "message": "out of pages"}'), ModelUnavailable, "out of pages"),
        (sends('{"error": "CUDA out of memory"}'), ModelUnavailable, "CUDA out of memory"),
        (sends('{"error": {"code": 507}}'), ModelUnavailable, "'code': 507"),
        (sends('{"detail": "worker died"}'), ModelUnavailable, "worker died"),
        (sends('{"choices": {"0": 1}}'), ModelUnavailable, "does not speak OpenAI's protocol"),
        (sends("null"), ModelUnavailable, "does not speak OpenAI's protocol"),
        (fails("<html>\n<h1>Sign in", 200, "text/html"), ModelUnavailable, "with text/html and .*: <html> <h1>Sign in"),
        (fails('{"message": "busy"}', 200), ModelUnavailable, 'with application/json and .*"busy"'),
        (says("x", finish="content_filter"), ModelUnavailable, "'content_filter': its own filter ended it"),
        (says("x", finish="tool_calls"), ModelUnavailable, "'tool_calls': known are stop, length, abort"),
        (says("x", finish=7), ModelUnavailable, "finish_reason 7: known are"),
    ],
    ids=[
        "breaks off", "babbles", "falls silent", "fails within", "500", "400", "context", "context within",
        "LMDeploy's length", "LMDeploy's error", "400 of another kind", "401", "404", "says nothing",
        "error object", "error text", "error without message", "detail", "choices by name", "null", "page", "JSON",
        "filter", "tools", "number",
    ],
)  # fmt: skip
async def test_a_server_that_fails_is_one_clear_error(
    server: Server, script: Script, error: type[Exception], says_: str
) -> None:
    server.scripts = [script]
    with pytest.raises(error, match=says_) as raised:
        await answer(server, first_s=1.0, next_s=0.5)
    assert server.url in str(raised.value)
    assert "\n" not in str(raised.value)


async def test_a_prefill_behind_the_headers_may_take_as_long_as_the_first_piece(server: Server) -> None:
    def late(handler: Handler) -> None:
        begin(handler)
        piece(handler)
        time.sleep(0.8)
        piece(handler, "yes")
        piece(handler, "", finish="stop")
        handler.wfile.write(b"data: [DONE]\n\n")

    server.scripts = [late]
    text, last = await answer(server, first_s=5.0, next_s=0.3)
    assert (text, last.finish) == ("yes", "stop")
    server.scripts = [late]
    with pytest.raises(ModelTimeout, match=r"gave nothing for 0\.4 s"):
        await answer(server, first_s=0.4, next_s=5.0)


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ("lots", (0, 0, 2)),
        ([1], (0, 0, 2)),
        ({"prompt_tokens": "many", "completion_tokens": 7}, (0, 0, 7)),
        ({"prompt_tokens": -300, "completion_tokens": -2}, (0, 0, 2)),
        ({"prompt_tokens": 300, "completion_tokens": True, "prompt_tokens_details": "none"}, (300, 0, 2)),
        ({"prompt_tokens": 300, "prompt_tokens_details": {"cached_tokens": "some"}}, (300, 0, 2)),
    ],
)
async def test_counts_that_are_nonsense_are_as_if_none_came(
    server: Server, usage: Any, counts: tuple[int, int, int]
) -> None:
    server.scripts = [says("a", "b", usage=usage)]
    text, last = await answer(server)
    assert (text, last.finish) == ("ab", "stop")
    assert last.usage is not None
    assert (last.usage.prompt, last.usage.cached, last.usage.output) == counts


@pytest.mark.parametrize("text", ["x", "x" * 2000], ids=["in pieces", "in characters"])
async def test_a_server_that_never_stops_talking_is_cut_off(server: Server, text: str) -> None:
    def endless(handler: Handler) -> None:
        begin(handler)
        for _ in range(200_000):
            piece(handler, text)

    server.scripts = [endless]
    said, last = await answer(server, asked(max_new_tokens=16))
    assert last.finish == "length"
    assert 16 <= len(said) <= 16 * 256 + 2000
    assert last.usage is not None and last.usage.output <= 16 * 16 + 1
    assert server.closed.wait(5)


async def test_a_token_may_come_in_several_pieces(server: Server) -> None:
    server.scripts = [says(*"<action>wait()</action>")]
    text, last = await answer(server, asked(max_new_tokens=8))
    assert (text, last.finish) == ("<action>wait()</action>", "stop")


@pytest.mark.parametrize("pause_s", [0.01, 0.0], ids=["slowly", "in a flood"])
async def test_pieces_without_text_do_not_renew_the_time_for_ever(server: Server, pause_s: float) -> None:
    def endless(handler: Handler) -> None:
        begin(handler)
        while True:
            piece(handler, "")
            time.sleep(pause_s)

    server.scripts = [endless]
    with pytest.raises(ModelTimeout, match=r"/v1 has not come to the end of its answer within 0\.5 s"):
        await answer(server, whole_s=0.5)
    assert server.closed.wait(5)


async def test_an_answer_that_does_not_even_begin_has_no_more_time_than_a_whole_one(server: Server) -> None:
    server.scripts = [lambda handler: time.sleep(2)]
    with pytest.raises(ModelTimeout, match=r"within 0\.3 s"):
        await answer(server, whole_s=0.3)


@pytest.mark.parametrize(
    ("data", "says_"),
    [
        ([1, 2], "it lists 1 as a model, without a name"),
        ([{"id": None, "object": "model"}], r"it lists .*id=None.* as a model, without a name"),
        ([{"id": ""}], "without a name"),
        ([["big"]], "without a name"),
        (5, "does not speak OpenAI's protocol"),
        (None, "serves no model"),
    ],
)
async def test_a_list_of_models_that_is_nonsense_is_one_clear_error(server: Server, data: Any, says_: str) -> None:
    server.models["data"] = data
    opened = engine(server)
    with pytest.raises(ModelUnavailable, match=says_) as raised:
        await opened.open()
    assert server.url in str(raised.value) and "\n" not in str(raised.value)
    assert not opened.opened


async def test_a_failure_is_tried_again_but_not_for_ever(server: Server) -> None:
    server.scripts = [fails("{}", 503), says("well")]
    text, _ = await answer(server, retries=1)
    assert (text, len(server.asked)) == ("well", 2)
    server.scripts = [fails("{}", 503)]
    with pytest.raises(ModelUnavailable, match="2 times with 503"):
        await answer(server, retries=1)
    assert len(server.asked) == 4


async def test_the_key_is_sent(server: Server) -> None:
    server.scripts = [says("x")]
    await answer(server, key="sesame")
    assert server.keys == ["Bearer sesame"]


async def test_a_server_that_is_not_there_or_serves_something_else_is_named(server: Server) -> None:
    with pytest.raises(ModelUnavailable, match=r"127\.0\.0\.1:9/v1 cannot be reached"):
        await OpenAIEngine("http://127.0.0.1:9", retries=0).open()
    with pytest.raises(ModelUnavailable, match="does not serve small: it serves big"):
        await engine(server, model="small").open()
    server.models["data"].append({"id": "other", "object": "model", "owned_by": "vllm"})
    with pytest.raises(ModelUnavailable, match="serves big, other: say which with --model"):
        await engine(server).open()
    server.models = "<html>"
    with pytest.raises(ModelUnavailable, match="does not speak OpenAI's protocol"):
        await engine(server).open()
    with pytest.raises(UsageError, match="no address"):
        OpenAIEngine("localhost:8000")


async def test_a_policy_asks_a_server_for_the_model_that_it_serves(server: Server) -> None:
    server.scripts = [says("<action>\nclick(x=0.25, y=0.5)\n</action>")]
    async with InternVLPolicy(engine=f"openai:{server.url}") as policy:
        assert (policy.model, policy.profile.name, policy.preferred_viewport) == ("big", "internvl3_5", None)
        await policy.reset("Click the red half")
        image = np.zeros((448, 896, 3), np.uint8)
        decision = await policy.act(ScreenObservation(image=image, frame=Frame(896, 448), captured_at_s=0.0), ())
    assert decision.actions == (Click(at=Point(0.25, 0.5)),)
    assert "Click the red half" in json.dumps(server.asked[0]["messages"])


# Policies on a server -------------------------------------------------------------------------------------------------

PLAIN = "<operation>\nClick it\n</operation>\n<action>\nclick(x=0.25, y=0.50)\n</action>"
THOUGHT = f"<think>\nNothing happened.\n</think>\n{PLAIN}"
SEEN = ScreenObservation(image=np.zeros((448, 896, 3), np.uint8), frame=Frame(896, 448), captured_at_s=0.0)
CLICK = Click(at=Point(0.25, 0.5))
STUCK = (Turn(SEEN, Decision(actions=(CLICK,)), (Outcome("allow", applied=CLICK),), changed=0.0),)


def on(server: Server, owner: str, **more: Any) -> InternVLPolicy:
    server.models["data"][0]["owned_by"] = owner
    return InternVLPolicy(engine=f"openai:{server.url}", **more)


@pytest.mark.parametrize("owner", ["lmdeploy", "someone"])
async def test_thinking_on_demand_is_asked_for_by_the_prompt_where_no_answer_can_be_begun(
    server: Server, owner: str
) -> None:
    server.scripts = [says(PLAIN), says(THOUGHT)]
    async with ThinkWhenStuck(on(server, owner)) as policy:
        await policy.reset("Buy milk")
        plain = await policy.act(SEEN, ())
        thinking = await policy.act(SEEN, STUCK)
    assert (plain.actions, plain.thought) == ((CLICK,), "")
    assert (thinking.actions, thinking.thought) == ((CLICK,), "Nothing happened.")
    for body, sampling in zip(server.asked, ((0.0, None), (0.6, 0.95)), strict=True):
        assert [message["role"] for message in body["messages"]] == ["system", "user"]
        assert not {"continue_final_message", "add_generation_prompt"} & body.keys()
        assert (body["temperature"], body.get("top_p")) == sampling
    systems = [body["messages"][0]["content"] for body in server.asked]
    assert ["within <think> and </think> tags" in system for system in systems] == [False, True]


async def test_thinking_always_begins_the_answer_where_a_server_can_be_given_that(server: Server) -> None:
    server.scripts = [says(THOUGHT.removeprefix("<think>\n"))]
    for owner in ("vllm", "sglang", "llamacpp"):
        async with on(server, owner, look=Look(thinking=True)) as policy:
            await policy.reset("Buy milk")
            decision = await policy.act(SEEN, ())
        assert (decision.actions, decision.thought) == ((CLICK,), "Nothing happened.")
        assert server.asked[-1]["messages"][-1] == {"role": "assistant", "content": "<think>\n"}


async def test_a_grammar_insists_on_the_thought_that_cannot_be_begun(server: Server) -> None:
    server.scripts = [says(THOUGHT)]
    async with on(server, "lmdeploy", look=Look(thinking=True), grammar=True) as policy:
        await policy.reset("Buy milk", action_kinds=frozenset({"click"}))
        assert (await policy.act(SEEN, ())).thought == "Nothing happened."
    pattern = server.asked[0]["response_format"]["regex_schema"]
    assert re.fullmatch(pattern, THOUGHT) and not re.fullmatch(pattern, PLAIN)


async def test_a_profile_whose_answers_have_to_begin_somehow_is_refused_when_it_is_opened(server: Server) -> None:
    server.scripts = [says(PLAIN)]
    for owner, remedy in (
        ("someone", r"'<operation>\\n': take an engine"),
        ("lmdeploy", r"add a grammar \(--grammar\), or"),
    ):
        policy = on(server, owner, profile="tiny")
        with pytest.raises(ModelUnavailable, match=rf"profile 'tiny' begins with .*{remedy}"):
            await policy.open()
        assert not policy.opened and policy.engine is None
    async with on(server, "lmdeploy", profile="tiny", grammar=True) as policy:
        await policy.reset("Buy milk", action_kinds=frozenset({"click", Wait(duration_s=1.0).kind}))
        assert (await policy.act(SEEN, ())).actions == (CLICK,)


@pytest.mark.parametrize(("flash", "name"), [(True, "on"), (False, "off")])
async def test_a_servers_router_is_switched_where_it_is_started(server: Server, flash: bool, name: str) -> None:
    policy = on(server, "lmdeploy", flash=flash)
    with pytest.raises(
        UsageError, match=rf"^--flash {name}: .*openai:http.*foveate serve MODEL --flash {name}"
    ) as raised:
        await policy.open()
    assert "tiny" not in str(raised.value)
    assert not policy.opened and server.asked == []


def test_a_server_has_no_use_for_a_vision_process_on_the_command_line() -> None:
    with pytest.raises(UsageError) as raised:
        engine_named("openai:http://127.0.0.1:9", Wanted("tiny", vision="tcp://127.0.0.1:5"))
    for says_ in ("take --engine torch", "Python programs alone", "VisionClient.encode", "--enable-mm-embeds", "Flash"):
        assert says_ in str(raised.value)
