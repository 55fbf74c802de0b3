"""OpenAIEngine against a server that refuses, breaks off, babbles, floods, or says nothing."""

import gc
import re
import time
import types
from typing import Any

import pytest

pytest.importorskip("openai", reason="the openai client is not installed")

from foveate.actions.errors import ModelTimeout, ModelUnavailable, UsageError
from foveate.policies.engines.openai import OpenAIEngine
from tests.policies.asking import collected
from tests.policies.openai_server import (
    Handler,
    Script,
    Server,
    answer,
    asked,
    begin,
    engine,
    piece,
    says,
    send,
    server_fixture,  # noqa: F401 - what the tests call server
)

NONSENSE = "{nonsense"


def cut(text: str | None, *events: str, wait_s: float = 0.0) -> Script:
    """Say a piece, or only who speaks, then what else there is, and end there without an end."""

    def script(handler: Handler) -> None:
        begin(handler)
        piece(handler, text)
        for event in events:
            handler.wfile.write(f"data: {event}\n\n".encode())
        time.sleep(wait_s)

    return script


def sends(event: str) -> Script:
    return cut("x", event)


@pytest.mark.parametrize(
    "script",
    [cut("</action>"), cut("</action>", NONSENSE), cut("</action>", wait_s=3.0)],
    ids=["breaks off", "babbles", "falls silent"],
)
async def test_what_comes_behind_a_stop_text_cannot_spoil_the_answer(server: Server, script: Script) -> None:
    server.scripts = [script]
    began = time.monotonic()
    text, last = await answer(server, asked(stop=("</action>",)))
    assert (text, last.finish) == ("</action>", "stop")
    assert last.usage is not None and (last.usage.prompt, last.usage.visual, last.usage.output) == (0, 768, 1)
    assert time.monotonic() - began < 2


TOO_LONG = "lower the number of tiles .--tiles., shorten the history, or start the server with a longer context"
LMDEPLOYS = "internal error happened, status code ResponseType.INPUT_LENGTH_ERROR"


def fails(body: str, status: int, kind: str = "application/json") -> Script:
    return lambda handler: send(handler, body, status, kind)


@pytest.mark.parametrize(
    ("script", "error", "says_"),
    [
        (cut("half"), ModelUnavailable, "ended its answer without saying why, after 1 pieces"),
        (cut(None, NONSENSE), ModelUnavailable, "does not speak OpenAI's protocol"),
        (cut("x", wait_s=3.0), ModelTimeout, "gave nothing for 0.5 s"),
        (sends('{"error": {"message": "CUDA out of memory", "code": 500}}'), ModelUnavailable, "CUDA out of memory"),
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


def suspended() -> list[str]:
    """Name the async generators of the client's that have begun and wait for more."""
    found = [one for one in gc.get_objects() if type(one) is types.AsyncGeneratorType and one.ag_frame is not None]
    begun = [one for one in found if one.ag_frame.f_lineno > one.ag_code.co_firstlineno]
    return [one.__qualname__ for one in begun if re.search("openai/|httpx2?/|httpcore2?/", one.ag_code.co_filename)]


async def test_a_stream_that_is_closed_leaves_nothing_of_the_clients_to_the_garbage_collector(server: Server) -> None:
    def talks(handler: Handler) -> None:
        begin(handler)
        for _ in range(1000):
            piece(handler, "x")
            time.sleep(0.005)

    gc.collect()
    async with engine(server) as opened:
        server.scripts = [talks]
        stream = opened.generate(asked())
        await anext(stream)
        assert "AsyncStream.__stream__" in suspended(), "the client has changed: look for its generators"
        await stream.aclose()
        assert suspended() == []
        server.scripts = [fails("<html>" + "x" * 10**6, 200, "text/html")]
        with pytest.raises(ModelUnavailable, match="with text/html"):
            await collected(opened, asked())
        assert suspended() == []
