"""Policies on a server: its model and profile, thinking, grammars, the router."""

import json
import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openai", reason="the openai client is not installed")

from foveate.actions.errors import ModelUnavailable, UsageError
from foveate.actions.geometry import Frame, Point
from foveate.actions.schema import Click, Wait
from foveate.envs.base import ScreenObservation
from foveate.policies.base import Decision, Look, Outcome, Turn
from foveate.policies.engines.names import Wanted, engine_named
from foveate.policies.internvl import InternVLPolicy
from foveate.policies.thinking import ThinkWhenStuck
from tests.policies.openai_server import (
    Server,
    says,
    server_fixture,  # noqa: F401 - what the tests call server
)


async def test_a_policy_asks_a_server_for_the_model_that_it_serves(server: Server) -> None:
    server.scripts = [says("<action>\nclick(x=0.25, y=0.5)\n</action>")]
    async with InternVLPolicy(engine=f"openai:{server.url}") as policy:
        assert (policy.model, policy.profile.name, policy.preferred_viewport) == ("big", "internvl3_5", None)
        await policy.reset("Click the red half")
        image = np.zeros((448, 896, 3), np.uint8)
        decision = await policy.act(ScreenObservation(image=image, frame=Frame(896, 448), captured_at_s=0.0), ())
    assert decision.actions == (Click(at=Point(0.25, 0.5)),)
    assert "Click the red half" in json.dumps(server.asked[0]["messages"])


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
