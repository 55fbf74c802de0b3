"""Flash in the torch engine: which tiles are compressed, and that nothing else of an answer changes."""

import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = pytest.mark.torch

from safetensors.torch import load_file, save_file  # noqa: E402

from foveate.actions.errors import CheckpointError, ModelUnavailable, UsageError  # noqa: E402
from foveate.actions.geometry import Frame  # noqa: E402
from foveate.envs.base import ScreenObservation  # noqa: E402
from foveate.policies.base import Look  # noqa: E402
from foveate.policies.engines.base import Delta, ImagePart, Message, Request, TextPart  # noqa: E402
from foveate.policies.engines.torch import TorchEngine  # noqa: E402
from foveate.policies.engines.torch_vision import shortened  # noqa: E402
from foveate.policies.internvl import InternVLPolicy  # noqa: E402
from foveate.policies.internvl.vir import shuffled  # noqa: E402
from tests.checkpoints import change  # noqa: E402

THRESHOLDS = {"flash_relative_threshold": 0.3, "flash_absolute_threshold": 0.0}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(flash: Path) -> AsyncIterator[TorchEngine]:
    async with TorchEngine(flash, device="cpu") as opened:
        yield opened


def asked(width: int = 336, height: int = 224, *, seed: int = 0, **more: Any) -> Request:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    user = Message("user", (ImagePart(image, 12), TextPart("Click the button")))
    return Request((Message("system", (TextPart("You act."),)), user), max_new_tokens=4, **more)


async def last(engine: TorchEngine, request: Request) -> tuple[Delta, list[float]]:
    deltas = [delta async for delta in engine.generate(request)]
    return deltas[-1], [value for delta in deltas for value in delta.logprobs or ()]


@pytest.mark.asyncio(loop_scope="module")
async def test_compressed_tiles_take_a_quarter_and_the_answer_is_that_of_the_written_out_rule(
    engine: TorchEngine, base: Path
) -> None:
    request = asked(flash=True)
    model = engine._loaded
    assert model is not None and model.vision.router is not None
    # the rule, written out: patches of all tiles, one quantile, blocks cut from ids and embeddings
    prompt = model.prompt(request)
    with torch.inference_mode():
        inner = model.model.model
        patches = inner.vision_tower(pixel_values=prompt.pictures[0]).last_hidden_state[:, 1:]
        sure = model.vision.router.gating(model.vision.router.pooling_before_gating(patches))
        chosen = (sure > torch.quantile(sure, 0.3)) & (sure >= 0.0)
        blocks = [
            model.vision.router.mlp2(shuffled(tile[None], 0.25))[0] if small
            else inner.multi_modal_projector(shuffled(tile[None], 0.5))[0]
            for tile, small in zip(patches, chosen.tolist(), strict=True)
        ]  # fmt: skip
        ids = shortened(prompt.ids, model.ids["<IMG_CONTEXT>"], 16, chosen.tolist())
        embeds = model.model.get_input_embeddings()(torch.tensor([ids]))
        embeds[torch.tensor([ids]) == model.ids["<IMG_CONTEXT>"]] = torch.cat(blocks)
        logits = model.model(inputs_embeds=embeds).logits[0, -1]
    tiles, few = len(patches), int(chosen.sum())
    assert (tiles, 0 < few < tiles) == (7, True)
    end, logprobs = await last(engine, request)
    assert end.usage is not None and end.prompt_ids is not None
    assert end.usage.visual == 16 * (tiles - few) + 4 * few
    assert end.usage.saved == 12 * few
    assert list(end.prompt_ids) == ids
    assert logprobs[0] == pytest.approx(float(torch.log_softmax(logits, -1).max()), abs=1e-4)


@pytest.mark.asyncio(loop_scope="module")
async def test_switched_off_it_answers_as_the_checkpoint_without_a_router(engine: TorchEngine, base: Path) -> None:
    off, logprobs = await last(engine, asked(flash=False))
    async with TorchEngine(base, device="cpu") as plain:
        wanted, theirs = await last(plain, asked())
    assert off.prompt_ids == wanted.prompt_ids
    assert logprobs == pytest.approx(theirs, abs=1e-4)
    assert off.usage is not None and off.usage.visual == 7 * 16


@pytest.mark.asyncio(loop_scope="module")
async def test_the_checkpoint_says_what_is_done_where_the_request_does_not(engine: TorchEngine, flash: Path) -> None:
    on, _ = await last(engine, asked())
    assert on.usage is not None and on.usage.visual < 7 * 16
    try:
        change(flash, flash_mode=False)
        async with TorchEngine(flash, device="cpu") as other:
            quiet, _ = await last(other, asked())
            loud, _ = await last(other, asked(flash=True))
    finally:
        change(flash, flash_mode=True)
    assert quiet.usage is not None and quiet.usage.visual == 7 * 16
    assert loud.usage is not None and loud.usage.visual == on.usage.visual


@pytest.mark.asyncio(loop_scope="module")
async def test_a_single_tile_is_never_compressed(engine: TorchEngine) -> None:
    end, _ = await last(engine, asked(112, 112, flash=True))
    assert end.usage is not None and end.usage.visual == 16


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("budget", "visual"), [(112, 112), (111, 100), (64, 64), (63, 52), (28, 28)])
async def test_a_budget_is_kept_with_as_many_tokens_as_it_allows(engine: TorchEngine, budget: int, visual: int) -> None:
    end, _ = await last(engine, asked(visual_tokens=budget))
    assert end.usage is not None and end.usage.visual == visual


@pytest.mark.asyncio(loop_scope="module")
async def test_what_cannot_be_is_refused_with_the_remedy(engine: TorchEngine, base: Path) -> None:
    with pytest.raises(ModelUnavailable, match="7 tiles take at least 28 visual tokens, and 27 are allowed"):
        await last(engine, asked(visual_tokens=27))
    with pytest.raises(ModelUnavailable, match="needs Flash"):
        await last(engine, asked(flash=False, visual_tokens=64))
    async with TorchEngine(base, device="cpu") as plain:
        with pytest.raises(ModelUnavailable, match="cannot run Flash, it has no router"):
            await last(plain, asked(flash=True))
        with pytest.raises(ModelUnavailable, match="cannot compress visual tokens"):
            await last(plain, asked(visual_tokens=64))
        assert "flash" not in plain.capabilities
    assert {"flash", "visual_tokens"} <= engine.capabilities


@pytest.mark.asyncio(loop_scope="module")
async def test_pictures_encoded_ahead_and_choices_are_routed_alike(engine: TorchEngine) -> None:
    request = asked(flash=True)
    end, logprobs = await last(engine, request)
    system, user = request.messages
    picture, text = user.parts
    assert isinstance(picture, ImagePart)
    (encoded,) = await engine.encode([picture])
    ahead = replace(request, messages=(system, Message("user", (ImagePart(encoded, 12), text))))
    again, same = await last(engine, ahead)
    assert again.prompt_ids == end.prompt_ids
    assert same == pytest.approx(logprobs, abs=1e-4)
    first = await engine.score(request, ["a"])
    off = await engine.score(replace(request, flash=False), ["a"])
    assert first != pytest.approx(off, abs=1e-4)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_router_that_is_not_whole_is_named(flash: Path, tmp_path: Path) -> None:
    def broken(says: str, **changes: Any) -> Path:
        folder = tmp_path / says
        folder.mkdir()
        for file in flash.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        tensors = {**load_file(flash / "model.safetensors"), **changes}
        kept = {name: value for name, value in tensors.items() if value is not None}
        save_file(kept, folder / "model.safetensors")
        return folder

    for says, changes in (
        ("lacks tensors of its router", {"gating.gate.1.bias": None}),
        ("holds tensors that no router has", {"gating.block5.0.bias": torch.zeros(3)}),
        ("has tensors of its router in another shape", {"mlp2.7.bias": torch.zeros(3)}),
    ):
        with pytest.raises(CheckpointError, match=says):
            await TorchEngine(broken(says, **changes), device="cpu").open()


async def test_a_policy_asked_for_flash_opens_no_engine_without_it(base: Path, flash: Path) -> None:
    async with TorchEngine(base, device="cpu") as engine:
        assert "flash" not in engine.capabilities
    async with InternVLPolicy(flash, engine="torch", device="cpu", flash=False) as policy:
        await policy.reset("Click")
        image = np.zeros((224, 336, 3), np.uint8)
        observation = ScreenObservation(image=image, frame=Frame(336, 224), captured_at_s=0.0)
        assert policy.request(observation, (), Look()).flash is False


async def test_a_policy_looks_at_the_configuration_before_anything_is_loaded(
    base: Path, flash: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(*_: Any) -> Any:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(TorchEngine, "_load", loaded)
    with pytest.raises(ModelUnavailable, match="cannot run Flash: it has no router"):
        await InternVLPolicy(base, device="cpu", flash=True).open()
    with pytest.raises(ModelUnavailable, match="tiny cannot run Flash"):
        await InternVLPolicy("tiny", device="cpu", flash=True).open()
    for wanted in (None, True):
        with pytest.raises(UsageError, match=r"images_kept=2: a router judges all pictures .* flash=False"):
            await InternVLPolicy(flash, device="cpu", images_kept=2, flash=wanted).open()
    monkeypatch.undo()
    still = tmp_path / "still"
    shutil.copytree(flash, still)
    for folder, wanted in ((flash, False), (change(still, flash_mode=False), None)):
        async with InternVLPolicy(folder, device="cpu", images_kept=2, flash=wanted) as policy:
            assert policy.engine is not None and "flash" in policy.engine.capabilities


async def test_a_router_that_the_configuration_does_not_speak_of_is_named(flash: Path, tmp_path: Path) -> None:
    folder = tmp_path / "forgotten"
    shutil.copytree(flash, folder)
    said = json.loads((folder / "config.json").read_text())
    kept = {key: value for key, value in said.items() if not key.startswith("flash_")}
    (folder / "config.json").write_text(json.dumps(kept))
    with pytest.raises(CheckpointError, match=r"a router's tensors .* flash_relative_threshold"):
        await TorchEngine(folder, device="cpu").open()


@pytest.mark.asyncio(loop_scope="module")
async def test_what_exceeds_the_context_whatever_is_compressed_is_refused_before_anything_is_encoded(
    engine: TorchEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from foveate.policies.engines.torch_vision import Vision

    def encoded(*_: Any) -> Any:
        raise AssertionError("a picture was encoded")

    monkeypatch.setattr(Vision, "encode", encoded)
    image = np.zeros((224, 336, 3), np.uint8)
    pictures = tuple(ImagePart(image, 12) for _ in range(80))
    request = Request((Message("user", (*pictures, TextPart("Which?"))),))
    with pytest.raises(ModelUnavailable, match=r"at least 2240 tokens .* context is 2048"):
        await last(engine, request)
    with pytest.raises(ModelUnavailable, match=r"at least 8960 tokens .* context is 2048"):
        await last(engine, replace(request, flash=False))
