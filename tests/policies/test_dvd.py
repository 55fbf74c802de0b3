"""The two halves of a model in one event loop: the same features, the same answers, at once."""

import asyncio
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("zmq", reason="pyzmq is not installed")
pytestmark = pytest.mark.torch

from safetensors.torch import load_file, save_file  # noqa: E402

from foveate.actions.errors import CheckpointError, UsageError  # noqa: E402
from foveate.policies.engines.base import ImagePart  # noqa: E402
from foveate.policies.engines.dvd_client import VisionClient  # noqa: E402
from foveate.policies.engines.dvd_server import VisionServer  # noqa: E402
from foveate.policies.engines.dvd_wire import (  # noqa: E402
    RemoteVision,
    Times,
    is_loopback,
)
from foveate.policies.engines.torch import TorchEngine  # noqa: E402
from foveate.policies.internvl.checkpoint import check  # noqa: E402
from foveate.policies.internvl.converting import convert  # noqa: E402
from foveate.policies.internvl.fingerprint import fingerprint  # noqa: E402
from tests.checkpoints import build  # noqa: E402
from tests.policies.asking import collected  # noqa: E402
from tests.policies.dvd import (  # noqa: E402
    PART,
    answer,
    asked,
    serving,
)

# The same as in one process ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["base", "flash"])
async def test_what_was_seen_elsewhere_is_what_is_seen_here(kind: str, request: pytest.FixtureRequest) -> None:
    model: Path = request.getfixturevalue(kind)
    heard: list[Times] = []
    async with serving(model) as server, TorchEngine(model, device="cpu") as local:
        exact = RemoteVision(server.address, dtype="float32", heard=heard.append)
        half = replace(exact, dtype="bfloat16")
        found = []
        for remote in (exact, half):
            async with TorchEngine(model, device="cpu", vision=remote) as engine:
                found.append((await engine.encode([PART]))[0])
        (mine,) = await local.encode([PART])
    same, near = found
    assert same.visual_tokens == mine.visual_tokens == 7 * 16
    for name in ("values", "compressed", "certainty"):
        wanted, got, rounded = (getattr(each.features, name) for each in (mine, same, near))
        if kind == "base" and name != "values":
            assert got is None and rounded is None
            continue
        assert torch.equal(got, wanted), name
        assert rounded.dtype == torch.float32
        expected = wanted if name == "certainty" else wanted.to(torch.bfloat16).float()
        assert torch.equal(rounded, expected), name
    sent = 7 * 112 * 112 * 3
    assert heard[0].size - sent == 2 * (heard[1].size - sent) > 0
    assert all(one.sent_s <= one.received_s <= one.began_s <= one.ended_s <= one.got_s for one in heard)


async def test_an_answer_has_the_same_tokens(base: Path) -> None:
    async with serving(base) as server, TorchEngine(base, device="cpu") as local:
        wanted = await answer(local, asked())
        scores = await local.score(asked(), ["milk", "+"])
        for dtype in ("float32", "bfloat16"):
            remote = RemoteVision(server.address, dtype=dtype)
            async with TorchEngine(base, device="cpu", vision=remote) as engine:
                assert await answer(engine, asked()) == wanted
                if dtype == "float32":
                    assert await engine.score(asked(), ["milk", "+"]) == pytest.approx(scores, abs=1e-4)


@pytest.mark.parametrize("size", [(112, 112), (112, 224), (448, 112), (90, 150), (1, 1)])
async def test_a_picture_of_any_size_is_sent(base: Path, size: tuple[int, int]) -> None:
    part = ImagePart(np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8), 4)
    async with serving(base) as server, TorchEngine(base, device="cpu") as local:
        remote = RemoteVision(server.address, dtype="float32")
        async with TorchEngine(base, device="cpu", vision=remote) as engine:
            (here,), (there,) = await local.encode([part]), await engine.encode([part])
    assert torch.equal(here.features.values, there.features.values)


@pytest.mark.parametrize("more", [{"flash": True}, {"flash": False}, {}, {"visual_tokens": 64}])
async def test_each_request_decides_for_itself_which_tiles_are_compressed(flash: Path, more: dict[str, Any]) -> None:
    async with serving(flash) as server, TorchEngine(flash, device="cpu") as local:
        remote = RemoteVision(server.address, dtype="float32")
        async with TorchEngine(flash, device="cpu", vision=remote) as engine:
            assert {"flash", "visual_tokens"} <= engine.capabilities
            assert await answer(engine, asked(**more)) == await answer(local, asked(**more))


async def test_neither_half_holds_the_other_ones_weights(flash: Path) -> None:
    tensors = load_file(flash / "model.safetensors")
    language = sum(value.numel() for name, value in tensors.items() if name.startswith("language_model."))
    whole = sum(value.numel() for value in tensors.values())
    async with serving(flash) as server:
        assert server.about is not None and server.about.weights == whole - language
        async with TorchEngine(flash, device="cpu", vision=server.address) as engine:
            assert engine._loaded is not None
            held = engine._loaded.model
            assert not list(held.model.vision_tower.encoder.layer)
            assert engine._loaded.vision.router is None
            assert sum(value.numel() for value in held.model.language_model.parameters()) < language  # no head
            assert sum(value.numel() for value in held.parameters()) < whole


async def test_either_layout_of_a_checkpoint_has_one_fingerprint(base: Path, tmp_path: Path) -> None:
    convert(base, tmp_path / "github", "github")
    assert fingerprint(check(base)) == fingerprint(check(tmp_path / "github"))
    other = build(tmp_path / "other", image_size=112, seed=1)
    assert fingerprint(check(base)) != fingerprint(check(other))
    async with serving(tmp_path / "github") as server:
        remote = RemoteVision(server.address, dtype="float32")
        async with (
            TorchEngine(base, device="cpu", vision=remote) as engine,
            TorchEngine(base, device="cpu") as local,
        ):
            assert await answer(engine, asked()) == await answer(local, asked())


def edited(source: Path, folder: Path, name: str, value: Any) -> Path:
    """Copy a checkpoint, one tensor of it changed or left out."""
    folder.mkdir()
    for file in source.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    tensors = load_file(source / "model.safetensors")
    (full,) = [each for each in tensors if each.endswith(name)]
    before = tensors.pop(full)
    kept = tensors if value is None else {**tensors, full: before + value}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_change_of_one_tensor_of_the_tower_changes_the_fingerprint_and_one_of_the_rest_does_not(
    base: Path, tmp_path: Path
) -> None:
    before = fingerprint(check(base))
    tower = edited(base, tmp_path / "tower", "layer.1.attention.k_proj.weight", 0.01)
    rest = edited(base, tmp_path / "rest", "layers.1.self_attn.k_proj.weight", 0.01)
    assert fingerprint(check(tower)) != before
    assert fingerprint(check(rest)) == before


async def test_a_tower_that_is_not_whole_is_named(base: Path, tmp_path: Path) -> None:
    broken = edited(base, tmp_path / "broken", "multi_modal_projector.linear_1.weight", None)
    with pytest.raises(CheckpointError, match=r"does not fit: .*multi_modal_projector\.linear_1\.weight"):
        await VisionServer(broken, device="cpu").open()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("foveate")]


@pytest.mark.parametrize("settings", [{"hidden_act": 17}, {"num_attention_heads": 0}])
async def test_a_configuration_that_makes_no_tower_is_named(
    base: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    broken = edited(base, tmp_path / "broken", "multi_modal_projector.linear_1.weight", 0.0)
    said = json.loads((broken / "config.json").read_text())
    said["vision_config"].update(settings)
    (broken / "config.json").write_text(json.dumps(said))
    with pytest.raises(CheckpointError, match=r"config\.json makes no model"):
        await VisionServer(broken, device="cpu").open()


# Overlap -------------------------------------------------------------------------------------------------------------


async def test_the_next_picture_is_seen_while_an_answer_is_given(base: Path) -> None:
    seen = asyncio.Event()
    async with serving(base) as server:
        remote = RemoteVision(server.address, heard=lambda _: seen.set())
        async with TorchEngine(base, device="cpu", vision=remote) as engine:
            wanted = await answer(engine, asked("Two"))
            first = engine.generate(asked("One", max_new_tokens=400))
            await anext(first)
            seen.clear()
            async with asyncio.TaskGroup() as group:
                second = group.create_task(answer(engine, asked("Two")))
                async with asyncio.timeout(20):
                    await seen.wait()
                assert not second.done()  # its picture is here; the language half is still at the first
                await first.aclose()
            assert second.result() == wanted


async def test_what_it_waited_for_the_picture_counts_as_encoding(base: Path) -> None:
    async with (
        serving(base) as server,
        TorchEngine(base, device="cpu", vision=server.address) as engine,
    ):
        usage = (await collected(engine, asked()))[-1].usage
    assert usage is not None and usage.visual == 7 * 16
    assert set(usage.timing_ms) == {"tile", "encode", "prefill", "decode"}
    assert usage.timing_ms["encode"] > 1.0


# Values of people ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["", "127.0.0.1:5", "tcp://127.0.0.1", "ipc:///x", "tcp://h:99999", "http://h:1"])
def test_what_is_no_address_is_refused_by_name(address: str) -> None:
    for make in (RemoteVision, lambda bind: VisionServer("tiny", bind=bind)):
        with pytest.raises(UsageError, match="give tcp://HOST:PORT"):
            make(address)


@pytest.mark.parametrize("address", ["tcp://*:5733", "tcp://a,b:5"])
async def test_what_can_be_no_address_of_a_process_is_refused_when_it_is_asked(base: Path, address: str) -> None:
    with pytest.raises(UsageError, match="is none to connect to"):
        await TorchEngine(base, device="cpu", vision=address).open()


def test_loopback_is_told_from_the_rest() -> None:
    assert all(map(is_loopback, ("tcp://127.0.0.1:1", "tcp://127.9.0.1:1", "tcp://localhost:1", "tcp://[::1]:1")))
    assert not any(map(is_loopback, ("tcp://0.0.0.0:1", "tcp://10.0.0.1:1", "tcp://example.org:1", "tcp://[::]:1")))


async def test_an_address_in_use_is_refused(base: Path) -> None:
    async with VisionServer(base, device="cpu") as server:
        with pytest.raises(UsageError, match=f"nothing can listen at {server.address}"):
            await VisionServer(base, bind=server.address, device="cpu").open()


async def test_a_picture_can_be_encoded_for_whoever_takes_features(base: Path) -> None:
    async with (
        serving(base) as server,
        VisionClient(RemoteVision(server.address), check(base)) as client,
    ):
        (found,) = await client.encode([PART])
        assert (await client.encode([ImagePart(found)]))[0] is found
    assert (found.visual_tokens, found.features.values.dtype) == (112, torch.bfloat16)
