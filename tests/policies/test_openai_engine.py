"""OpenAIEngine against a server that answers: each dialect's words, pictures, counts, the end of a stream."""

import base64
import io
import time
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

pytest.importorskip("openai", reason="the openai client is not installed")

from foveate.actions.errors import ModelUnavailable
from foveate.policies.base import Sampling
from foveate.policies.engines.base import Encoded, ImagePart, Message, Request, TextPart
from tests.policies.openai_server import (
    Handler,
    Server,
    answer,
    asked,
    begin,
    engine,
    piece,
    says,
    server_fixture,  # noqa: F401 - what the tests call server
)


def counted(prompt: int) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": 3, "total_tokens": prompt + 3}


def long(**more: Any) -> Request:
    """Ask at length, as a policy does: 2400 bytes, some 600 tokens."""
    request = asked(**more)
    return replace(request, messages=(Message("system", (TextPart("You act, at last. " * 133),)), request.messages[1]))


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


async def test_a_token_may_come_in_several_pieces(server: Server) -> None:
    server.scripts = [says(*"<action>wait()</action>")]
    text, last = await answer(server, asked(max_new_tokens=8))
    assert (text, last.finish) == ("<action>wait()</action>", "stop")


async def test_the_key_is_sent(server: Server) -> None:
    server.scripts = [says("x")]
    await answer(server, key="sesame")
    assert server.keys == ["Bearer sesame"]
