"""An answer that is held to a grammar always parses, and what the grammar says already is not decoded again."""

import re
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("xgrammar", reason="xgrammar is not installed: pip install 'foveate[grammar]'")
pytestmark = pytest.mark.torch

from foveate.actions.errors import MissingDependency, ModelUnavailable  # noqa: E402
from foveate.actions.geometry import Convention, Frame  # noqa: E402
from foveate.actions.grammar import answer_pattern  # noqa: E402
from foveate.actions.parse import parse_answer  # noqa: E402
from foveate.actions.schema import (  # noqa: E402
    BROWSER_KINDS,
    EMBODIED_KINDS,
    KEYBOARD_KINDS,
    LOOP_KINDS,
    POINTER_KINDS,
)
from foveate.agent.doctor_model import screen  # noqa: E402
from foveate.envs.base import ScreenObservation  # noqa: E402
from foveate.policies.base import Look, Sampling, Usage  # noqa: E402
from foveate.policies.engines.base import Delta, ImagePart, Message, Request, TextPart  # noqa: E402
from foveate.policies.engines.scripted import ScriptedEngine  # noqa: E402
from foveate.policies.engines.torch import TorchEngine  # noqa: E402
from foveate.policies.internvl import InternVLPolicy  # noqa: E402

SCREEN = POINTER_KINDS | KEYBOARD_KINDS | BROWSER_KINDS | LOOP_KINDS | {"wait"}
BODY = EMBODIED_KINDS | LOOP_KINDS - {"terminate"}
FRAME = Frame(320, 320)
PICTURE = np.random.default_rng(0).integers(0, 256, (320, 320, 3), np.uint8)
CLICK = answer_pattern(frozenset({"click"}), Convention.UNIT, FRAME)
STOP = ("</action>",)


@pytest_asyncio.fixture
async def engine(small_checkpoint: Path) -> AsyncIterator[TorchEngine]:
    async with TorchEngine(small_checkpoint, device="cpu") as opened:
        yield opened


def request(grammar: str | None, *, seed: int | None = None, most: int = 600, prefill: str = "") -> Request:
    user = Message("user", (ImagePart(PICTURE, max_tiles=1), TextPart("Task:\nClick Save")))
    drawn = Sampling() if seed is None else Sampling(temperature=1.0, seed=seed)
    return Request((user,), prefill=prefill, grammar=grammar, stop=STOP, sampling=drawn, max_new_tokens=most)


async def answered(engine: TorchEngine, asked: Request) -> tuple[str, list[Delta], Usage]:
    deltas = [delta async for delta in engine.generate(asked)]
    usage = deltas[-1].usage
    assert usage is not None
    return "".join(delta.text for delta in deltas), deltas, usage


@pytest.mark.parametrize("kinds", [SCREEN, BODY])
async def test_a_model_that_knows_nothing_answers_with_an_action(engine: TorchEngine, kinds: frozenset[str]) -> None:
    pattern = answer_pattern(kinds, Convention.UNIT, FRAME)
    ended = 0
    for seed in range(6):
        text, deltas, usage = await answered(engine, request(pattern, seed=seed))
        assert deltas[-1].finish in ("stop", "length")
        if deltas[-1].finish == "stop":
            ended += 1
            # bytes of half a surrogate pair are one character to xgrammar and three that are broken to Python
            assert re.fullmatch(pattern, text) or "\ufffd" in text, ascii(text)
            answer = parse_answer(text, frame=FRAME, convention=Convention.UNIT, kinds=kinds)
            assert answer.actions[0].kind in kinds
        assert usage.output == sum(len(delta.token_ids) for delta in deltas)
    assert ended >= 3


async def test_jumping_forward_says_the_same_and_draws_less(small_checkpoint: Path, engine: TorchEngine) -> None:
    pattern = CLICK.replace("{0,198}", "{3}")
    async with TorchEngine(small_checkpoint, device="cpu", jump_forward=False) as slow:
        for seed in (None, 1):
            quick_text, quick, usage = await answered(engine, request(pattern, seed=seed))
            slow_text, _, all_drawn = await answered(slow, request(pattern, seed=seed))
            assert re.fullmatch(pattern, quick_text) and re.fullmatch(pattern, slow_text)
            assert all_drawn.forced == 0 < usage.forced < usage.output
    forced = [delta for delta in quick if len(delta.token_ids) > 1]
    assert "".join(delta.text for delta in forced).startswith("<operation>\n")
    assert all(value == 0.0 for delta in forced for value in delta.logprobs or (1.0,))
    drawn = [delta for delta in quick if len(delta.token_ids) == 1]
    assert any(value < 0.0 for delta in drawn for value in delta.logprobs or ())


async def test_what_was_jumped_over_is_in_the_models_memory(engine: TorchEngine, small_checkpoint: Path) -> None:
    """Every drawn token has the probability that the model gives it behind all tokens before it, forced ones too."""
    from transformers import InternVLForConditionalGeneration

    pattern = r"<operation>\nClick the (button|agent|action) (a|b|c|d|e)+\n</operation>"
    asked = Request((Message("user", (TextPart("Click Save"),)),), grammar=pattern, max_new_tokens=24)
    text, deltas, usage = await answered(engine, asked)
    assert text.startswith("<operation>\nClick the ") and 3 < usage.forced < usage.output
    prompt = deltas[-1].prompt_ids or ()
    said = [token for delta in deltas for token in delta.token_ids]
    model = InternVLForConditionalGeneration.from_pretrained(small_checkpoint).eval()
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*prompt, *said]])).logits[0, len(prompt) - 1 : -1]
    theirs = torch.log_softmax(logits.float(), -1).gather(1, torch.tensor(said)[:, None])[:, 0].tolist()
    ours = [value for delta in deltas for value in delta.logprobs or ()]
    drawn = [at for at, value in enumerate(ours) if value != 0.0]
    assert len(drawn) == usage.output - usage.forced
    assert [ours[at] for at in drawn] == pytest.approx([theirs[at] for at in drawn], abs=1e-4)


async def test_a_constrained_token_is_drawn_among_those_that_may_come(engine: TorchEngine) -> None:
    said = set()
    for seed in range(8):
        hot = replace(request("(yes|no|perhaps)"), sampling=Sampling(temperature=50.0, seed=seed))
        text, _, _ = await answered(engine, hot)
        said.add(text)
    assert said <= {"yes", "no", "perhaps"} and len(said) > 1


async def test_the_bundled_model_writes_its_coordinates_in_whole_tokens() -> None:
    async with TorchEngine("tiny", device="cpu") as tiny:
        pattern = answer_pattern(SCREEN, Convention.UNIT, FRAME, begun="<operation>\n")
        system = Message("system", (TextPart("You are a GUI agent."),))
        asked = request(pattern, most=96, prefill="<operation>\n")
        told = TextPart("Task:\nClick Save\n\nPrevious operations:\nNone")
        user = Message("user", (ImagePart(screen(448, 448, (0.7, 0.3)), max_tiles=1), told))
        asked = replace(asked, messages=(system, user))
        text, deltas, usage = await answered(tiny, asked)
        free, _, _ = await answered(tiny, replace(asked, grammar=None))
    assert re.fullmatch(pattern, text)
    assert text == free  # it says so by itself
    pieces = [delta.text for delta in deltas]
    assert "click(x=" in text
    assert sum(bool(re.fullmatch(r"0\.[0-9]{2}", piece)) for piece in pieces) == 2
    assert usage.forced < usage.output


async def test_wrong_grammars_are_refused_by_name(engine: TorchEngine) -> None:
    for pattern, why in (("(a", "no regular expression that xgrammar takes"), ("[", "no regular expression")):
        with pytest.raises(ModelUnavailable, match=why):
            await answered(engine, request(pattern))
    with pytest.raises(ModelUnavailable, match="without a grammar"):
        await engine.score(request("a+"), ["a"])
    text, _, _ = await answered(engine, request("still (here|there)"))
    assert text in ("still here", "still there")


async def test_without_xgrammar_the_remedy_is_named_and_other_requests_are_served(
    engine: TorchEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xgrammar", None)
    with pytest.raises(MissingDependency, match=r"pip install 'foveate\[grammar\]'"):
        await answered(engine, request(CLICK))
    assert (await answered(engine, request(None, most=3)))[2].output == 3


async def test_a_policy_asks_for_the_grammar_of_what_its_world_offers() -> None:
    seen = ScreenObservation(image=PICTURE, frame=FRAME, captured_at_s=0.0)

    class Able(ScriptedEngine):
        capabilities = frozenset({"grammar", "prefill"})

        async def generate(self, request: Request):  # type: ignore[no-untyped-def]
            self.asked = request
            async for delta in super().generate(replace(request, grammar=None)):
                yield delta

    said = "<operation>\nIt is there\n</operation>\n<action>\nclick(x=0.50, y=0.25)\n</action>"
    async with Able([said, f"so it is</think>\n{said}", said]) as engine:
        async with InternVLPolicy("some/model", engine=engine, grammar=True) as policy:
            await policy.reset("task", action_kinds=frozenset({"click", "wait"}))
            await policy.act(seen, ())
            assert engine.asked.grammar is not None and re.fullmatch(engine.asked.grammar, said)
            assert "write" not in engine.asked.grammar
            await policy.act(seen, (), Look(thinking=True))
            assert re.fullmatch(engine.asked.grammar or "", f"so it is</think>\n{said}")
        async with InternVLPolicy("some/model", engine=engine) as policy:
            await policy.reset("task")
            await policy.act(seen, ())
            assert engine.asked.grammar is None
    async with ScriptedEngine([]) as mute:
        with pytest.raises(ModelUnavailable, match="ScriptedEngine cannot keep to a grammar"):
            await InternVLPolicy("some/model", engine=mute, grammar=True).open()
