import json
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foveate.actions.errors import ModelUnavailable, OutOfFrame, ParseError, ResetNeeded, UsageError
from foveate.actions.geometry import Convention, Frame, Point
from foveate.actions.schema import KINDS, Click, Terminate
from foveate.envs.base import CameraObservation, Observation, ScreenObservation
from foveate.policies.base import Decision, Look, Outcome, Sampling, Turn
from foveate.policies.engines.base import ImagePart, Request, TextPart
from foveate.policies.engines.scripted import ScriptedEngine
from foveate.policies.internvl import InternVLPolicy
from foveate.policies.internvl.profiles import INTERNVL3_5, PROFILES, TINY, profile_named

PIXELS = np.zeros((720, 1280, 3), np.uint8)
LOOK = ScreenObservation(image=PIXELS, frame=Frame(1280, 720), captured_at_s=0.0)
CLICK = "<operation>Click it</operation>\n<action>\nclick(x=0.5, y=0.25)\n</action>"
BIG = "OpenGVLab/InternVL3_5-8B-HF"


async def asked(
    answers: list[str] | None = None,
    *,
    look: Look | None = None,
    history: tuple[Turn, ...] = (),
    observation: Observation = LOOK,
    seed: int | None = None,
    kinds: frozenset[str] | None = None,
    **options: Any,
) -> tuple[Decision, Request]:
    async with ScriptedEngine(answers or [CLICK]) as engine:
        async with InternVLPolicy(options.pop("model", BIG), engine=engine, **options) as policy:
            await policy.reset("Buy milk", seed=seed, action_kinds=kinds)
            decision = await policy.act(observation, history, look)
        return decision, engine.requests[-1]


def texts(request: Request) -> tuple[str, str]:
    system, user = (next(p.text for p in m.parts if isinstance(p, TextPart)) for m in request.messages)
    return system, user


def picture(request: Request) -> ImagePart:
    part = request.messages[1].parts[0]
    assert isinstance(part, ImagePart)
    return part


async def test_pixels_become_a_typed_action_with_what_it_cost() -> None:
    decision, request = await asked()
    assert decision.actions == (Click(at=Point(0.5, 0.25)),)
    assert (decision.operation, decision.raw, decision.written) == ("Click it", CLICK, ((0.5, 0.25),))
    assert decision.usage.visual == 9 * 256
    assert decision.usage.output > 1
    assert decision.usage.timing_ms["parse"] > 0
    assert [message.role for message in request.messages] == ["system", "user"]
    assert picture(request).image is PIXELS  # before the text, untouched
    assert request.sampling == Sampling()
    assert (request.stop, request.prefill, request.flash) == (("</action>",), "", None)


async def test_the_answer_ends_behind_the_action() -> None:
    decision, _ = await asked([CLICK + "\nand then I would go on"])
    assert decision.raw == CLICK


async def test_the_prompt_offers_what_the_environment_can_do() -> None:
    kinds = frozenset({"click", "back", "terminate"})
    _, request = await asked(kinds=kinds)
    system, _ = texts(request)
    assert "Web Browser" in system
    assert "def click(" in system
    assert "def write(" not in system
    _, request = await asked()
    assert texts(request)[0].count("def ") == len(KINDS)


async def test_a_kind_that_is_not_offered_is_a_parse_error_with_the_decision() -> None:
    with pytest.raises(ParseError, match="terminate") as raised:
        await asked(kinds=frozenset({"terminate"}))
    decision = raised.value.decision
    assert (decision.raw, decision.actions) == (CLICK, ())
    assert decision.usage.visual == 9 * 256
    assert decision.usage.timing_ms["parse"] > 0


async def test_a_point_outside_the_frame_keeps_the_text_too() -> None:
    with pytest.raises(OutOfFrame) as raised:
        await asked(["<action>click(x=1.01, y=0.5)</action>"])
    assert "1.01" in raised.value.decision.raw


async def test_an_answer_that_was_cut_off_says_so() -> None:
    profile = replace(INTERNVL3_5, max_new_tokens=2)
    with pytest.raises(ParseError, match="cut off at 2 tokens") as raised:
        await asked(profile=profile)
    assert raised.value.decision.raw


async def test_the_history_is_the_loops_and_its_notes_are_passed_on() -> None:
    done = Turn(LOOK, Decision(operation="Open the shop"), (Outcome("allow", applied=Click(at=Point(0.1, 0.1))),))
    failed = Turn(LOOK, Decision(raw="what?"), notes=("Your answer could not be used: no action",))
    _, request = await asked(history=(done, failed))
    _, user = texts(request)
    assert "Task:\nBuy milk\n\nPrevious operations:\nStep 1: Open the shop\n" in user
    assert user.endswith("Notes on the last step:\n- Your answer could not be used: no action")
    _, request = await asked()
    assert texts(request)[1].endswith("Previous operations:\nNone")


async def test_the_tile_budget_is_the_environments_unless_a_look_says_otherwise() -> None:
    camera = CameraObservation(image=PIXELS, frame=Frame(1280, 720), captured_at_s=0.0)
    assert picture((await asked())[1]).max_tiles == 12
    assert picture((await asked(observation=camera))[1]).max_tiles == 4
    budget = Look(max_tiles=6)
    assert picture((await asked(look=budget, observation=camera))[1]).max_tiles == 6
    async with ScriptedEngine([CLICK]) as engine, InternVLPolicy(BIG, engine=engine, look=budget) as policy:
        await policy.reset("task")
        await policy.act(LOOK, (), Look(sampling=Sampling()))
    assert picture(engine.requests[0]).max_tiles == 6


async def test_thinking_changes_prompt_prefill_sampling_and_length() -> None:
    answer = "I see a button.\n</think>\n" + CLICK
    decision, request = await asked([answer], look=Look(thinking=True), seed=5)
    assert "<think>" in texts(request)[0]
    assert (request.prefill, request.max_new_tokens) == ("<think>\n", 4096)
    assert (request.sampling.temperature, request.sampling.top_p) == (0.6, 0.95)
    assert request.sampling.seed is not None
    assert decision.thought == "I see a button."
    assert decision.raw.startswith("<think>\n")
    assert "<think>" not in texts((await asked())[1])[0]


async def test_a_model_that_cannot_think_is_refused_as_a_default_and_left_as_it_is_in_a_step() -> None:
    with pytest.raises(UsageError, match="cannot think"):
        InternVLPolicy("tiny", look=Look(thinking=True))
    _, request = await asked(
        ["Click it\n</operation>\n<action>\nclick(x=0.5, y=0.25)\n</action>"], look=Look(thinking=True), model="tiny"
    )
    assert request.prefill == TINY.plain_prefill


async def test_every_step_and_every_repeated_question_draws_anew_but_repeatably() -> None:
    warm = Look(sampling=Sampling(temperature=0.7))
    turn = Turn(LOOK, Decision())
    seeds = [(await asked(look=warm, seed=3, history=(turn,) * n))[1].sampling.seed for n in (0, 1, 0)]
    assert seeds[0] == seeds[2] != seeds[1]
    assert (await asked(look=warm))[1].sampling.seed is None
    told = Look(sampling=Sampling(temperature=0.7, seed=11))
    assert (await asked(look=told, seed=3))[1].sampling.seed == 11


async def test_a_visual_token_budget_reaches_the_engine_which_may_refuse_it() -> None:
    with pytest.raises(ModelUnavailable, match="visual_tokens"):
        await asked(look=Look(visual_tokens=256))


async def test_an_injected_engine_must_be_open_and_stays_open() -> None:
    engine = ScriptedEngine([CLICK, CLICK])
    with pytest.raises(ModelUnavailable, match="ScriptedEngine given to InternVLPolicy is not open"):
        await InternVLPolicy(engine=engine).open()
    async with engine:
        async with InternVLPolicy(engine=engine), InternVLPolicy(engine=engine):
            pass
        assert engine.opened


async def test_a_profile_decides_convention_and_viewport() -> None:
    profile = replace(INTERNVL3_5, convention=Convention.PER_MILLE)
    decision, _ = await asked(["<action>click(x=500, y=250)</action>"], profile=profile)
    assert decision.actions == (Click(at=Point(0.5, 0.25)),)
    assert InternVLPolicy("tiny").preferred_viewport == TINY.viewport
    assert InternVLPolicy(BIG).preferred_viewport is None
    assert InternVLPolicy(BIG, profile="tiny").profile is TINY


async def test_an_engine_that_cannot_begin_an_answer_is_refused_where_every_answer_has_to_begin_somehow() -> None:
    class Unable(ScriptedEngine):
        capabilities = frozenset()

    async with Unable([CLICK]) as engine:
        with pytest.raises(ModelUnavailable, match=r"Unable .* profile 'tiny' begins with '<operation>\\n': take an"):
            await InternVLPolicy("tiny", engine=engine).open()
        async with InternVLPolicy(BIG, engine=engine) as policy:
            await policy.reset("Buy milk")
            assert (await policy.act(LOOK, (), Look(thinking=True))).actions == (Click(at=Point(0.5, 0.25)),)
    assert engine.requests[0].prefill == "" and engine.requests[0].sampling.temperature == 0.6


async def test_it_needs_a_task_first() -> None:
    async with ScriptedEngine([CLICK]) as engine, InternVLPolicy(engine=engine) as policy:
        with pytest.raises(ResetNeeded):
            await policy.act(LOOK, ())


@pytest.mark.parametrize("wrong", [{"engine": "lmdeploi"}, {"profile": "qwen"}])
def test_a_wrong_name_is_named_with_the_choices(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="choose one of") as raised:
        InternVLPolicy(**wrong)  # type: ignore[arg-type]
    assert next(iter(wrong.values())) in str(raised.value)


async def test_a_missing_model_is_named_when_the_policy_is_opened() -> None:
    policy = InternVLPolicy("/nowhere/at/all")
    with pytest.raises(ModelUnavailable, match="/nowhere/at/all"):
        await policy.open()
    assert not policy.opened


def test_every_profile_can_be_had_by_its_name() -> None:
    assert [profile_named(name).name for name in PROFILES] == list(PROFILES)
    assert PROFILES["internvl3_5"].history_steps == 20


async def test_an_unused_terminate_is_read_like_any_other() -> None:
    decision, _ = await asked(["<action>terminate(status='failure', info='lost')</action>"])
    assert decision.actions == (Terminate(status="failure", reason="lost"),)


@pytest.mark.torch
async def test_a_real_checkpoint_answers_with_its_tokens_and_closes_with_the_policy(small_checkpoint: Path) -> None:
    policy = InternVLPolicy(small_checkpoint, device="cpu", profile=replace(INTERNVL3_5, max_new_tokens=8))
    async with policy:
        await policy.reset("Buy milk", action_kinds=frozenset({"click", "terminate"}))
        with pytest.raises(ParseError) as raised:  # it was never trained
            await policy.act(LOOK, ())
    decision = raised.value.decision
    assert decision.completion is not None
    assert len(decision.completion.output_ids) == decision.usage.output == 8
    assert len(decision.completion.logprobs or ()) == 8
    assert len(decision.completion.prompt_ids) == decision.usage.prompt
    assert set(decision.usage.timing_ms) == {"tile", "encode", "prefill", "decode", "parse"}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("foveate")]


@pytest.mark.torch
async def test_a_checkpoint_that_names_a_profile_is_asked_with_it(small_checkpoint: Path, tmp_path: Path) -> None:
    folder = named(small_checkpoint, tmp_path / "named", "tiny")
    async with InternVLPolicy(folder, device="cpu") as policy:
        assert policy.profile is TINY
        assert policy.preferred_viewport == TINY.viewport
    async with InternVLPolicy(folder, device="cpu", profile="internvl3_5") as policy:
        assert policy.profile is INTERNVL3_5


async def test_a_checkpoint_that_names_an_unknown_profile_is_refused(small_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'mystery'"):
        await InternVLPolicy(named(small_checkpoint, tmp_path / "named", "mystery"), device="cpu").open()


def named(source: Path, target: Path, profile: str) -> Path:
    """Copy a checkpoint and let it name its profile."""
    shutil.copytree(source, target)
    config = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**config, "foveate_profile": profile}))
    return target


def test_importing_the_policy_loads_no_heavy_library() -> None:
    code = (
        "import sys; from foveate.policies.internvl import InternVLPolicy; from foveate.policies.engines.torch import "
        "TorchEngine; TorchEngine('tiny'); InternVLPolicy(); "
        "print([m for m in ('torch', 'transformers', 'tokenizers', 'huggingface_hub') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def turn_with(image: Any) -> Turn:
    return Turn(replace(LOOK, image=image), Decision(operation="Scroll"))


async def test_pictures_of_earlier_steps_go_before_the_current_one_where_they_are_asked_for() -> None:
    first, second, third = (np.full((720, 1280, 3), shade, np.uint8) for shade in (1, 2, 3))
    history = (turn_with(first), turn_with(second), turn_with(third))
    _, request = await asked(history=history, images_kept=2)
    parts = request.messages[1].parts
    shown = [part for part in parts if isinstance(part, ImagePart)]
    assert [part.image[0, 0, 0] for part in shown] == [2, 3, 0]
    assert [part.max_tiles for part in shown] == [1, 1, 12]
    said = [part.text for part in parts if isinstance(part, TextPart)]
    assert said[:3] == ["Image-1: ", "Image-2: ", "Image-3: "]
    assert said[3].startswith("Image-3 is the current picture")
    assert "Buy milk" in said[3]


async def test_without_earlier_pixels_there_is_one_picture_without_a_number() -> None:
    empty = turn_with(np.empty((0, 0, 3), np.uint8))
    for history, kept in (((empty,), 2), ((turn_with(PIXELS),), 2), ((turn_with(PIXELS.copy()),), 0)):
        _, request = await asked(history=history, images_kept=kept)
        assert len(request.messages[1].parts) == 2
        assert picture(request).image is PIXELS
