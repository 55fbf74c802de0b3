"""The two halves of a model in one event loop: the same features, the same answers, and what is refused."""

import asyncio
import json
import logging
import socket
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("zmq", reason="pyzmq is not installed")
pytestmark = pytest.mark.torch

import zmq  # noqa: E402
import zmq.asyncio  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from foveate.actions.errors import CheckpointError, ModelTimeout, ModelUnavailable, UsageError  # noqa: E402
from foveate.policies.engines import dvd_server  # noqa: E402
from foveate.policies.engines.base import ImagePart, Message, Request, TextPart  # noqa: E402
from foveate.policies.engines.dvd_client import VisionClient  # noqa: E402
from foveate.policies.engines.dvd_server import VisionServer  # noqa: E402
from foveate.policies.engines.dvd_wire import (  # noqa: E402
    HEADER_BYTES,
    MOST_TILES,
    About,
    Asked,
    ForeignVision,
    Hello,
    Refused,
    RemoteVision,
    Seen,
    Times,
    is_loopback,
    pack,
    unpack,
)
from foveate.policies.engines.names import Wanted, engine_named  # noqa: E402
from foveate.policies.engines.torch import TorchEngine  # noqa: E402
from foveate.policies.internvl.checkpoint import check  # noqa: E402
from foveate.policies.internvl.converting import convert  # noqa: E402
from foveate.policies.internvl.fingerprint import fingerprint  # noqa: E402
from foveate.policies.internvl.vir import Router  # noqa: E402
from tests.checkpoints import build  # noqa: E402
from tests.policies.asking import collected, ids_of  # noqa: E402

PICTURE = np.random.default_rng(3).integers(0, 256, (224, 336, 3), dtype=np.uint8)
PART = ImagePart(PICTURE, 12)
NOBODY = "tcp://127.0.0.1:9"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint without a router, tiles of 112 pixels, 16 tokens each."""
    return build(tmp_path_factory.mktemp("base") / "hf", image_size=112)


@pytest.fixture(scope="module")
def flash(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in GitHub's layout, with a router."""
    folder = tmp_path_factory.mktemp("flash") / "small-Flash"
    convert(base, folder, "github")
    torch.manual_seed(5)
    router = Router(32, 32)
    with torch.no_grad():
        for parameter in router.parameters():
            parameter.normal_(0.0, 0.3)
    tensors = load_file(folder / "model.safetensors") | router.state_dict()
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    config |= {"flash_mode": True, "flash_relative_threshold": 0.3, "flash_absolute_threshold": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@asynccontextmanager
async def serving(model: Path, *, bind: str = "tcp://127.0.0.1:0", queue: int = 8) -> AsyncIterator[VisionServer]:
    async with VisionServer(model, bind=bind, device="cpu", queue=queue) as server, asyncio.TaskGroup() as group:
        task = group.create_task(server.serve())
        yield server
        task.cancel()


def asked(text: str = "Click the button", **more: Any) -> Request:
    user = Message("user", (PART, TextPart(text)))
    return Request((Message("system", (TextPart("You act."),)), user), **{"max_new_tokens": 8, **more})


async def answer(engine: TorchEngine, request: Request) -> tuple[list[int], tuple[int, ...] | None]:
    """Give an answer's tokens and its prompt's."""
    deltas = await collected(engine, request)
    return ids_of(deltas), deltas[-1].prompt_ids


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
    assert all(one.sent <= one.received <= one.began <= one.ended <= one.got for one in heard)


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
        async with TorchEngine(base, device="cpu", vision=remote) as engine, TorchEngine(base, device="cpu") as local:
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
    async with serving(base) as server, TorchEngine(base, device="cpu", vision=server.address) as engine:
        usage = (await collected(engine, asked()))[-1].usage
    assert usage is not None and usage.visual == 7 * 16
    assert set(usage.timing_ms) == {"tile", "encode", "prefill", "decode"}
    assert usage.timing_ms["encode"] > 1.0


# Faults --------------------------------------------------------------------------------------------------------------


async def test_a_vision_process_of_another_checkpoint_is_refused_before_any_request(base: Path, tmp_path: Path) -> None:
    other = build(tmp_path / "other", image_size=112, seed=1)
    async with serving(other) as server:
        for local in (False, True):
            engine = TorchEngine(base, device="cpu", vision=server.address, local_vision=local)
            with pytest.raises(ForeignVision, match=f"serves another.* foveate vision {base} --bind {server.address}$"):
                await engine.open()
            assert not engine.opened


async def test_nobody_there_is_named_with_its_address_and_the_remedy(base: Path) -> None:
    began = time.monotonic()
    with pytest.raises(ModelUnavailable, match=rf"{NOBODY} cannot be reached.*foveate vision {base} --bind {NOBODY}"):
        await TorchEngine(base, device="cpu", vision=NOBODY).open()
    with pytest.raises(ModelUnavailable, match=rf"foveate vision tiny --bind {NOBODY}"):
        await TorchEngine("tiny", device="cpu", vision=NOBODY).open()
    assert time.monotonic() - began < 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("foveate")]


async def test_where_it_is_allowed_pictures_are_encoded_here_and_told_once(
    base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Times] = []
    async with serving(base) as server, TorchEngine(base, device="cpu") as local:
        address, wanted = server.address, await answer(local, asked())
    remote = RemoteVision(address, dtype="float32", heard=heard.append)
    with caplog.at_level(logging.WARNING, "foveate"):
        async with TorchEngine(base, device="cpu", vision=remote, local_vision=True) as engine:
            assert [await answer(engine, asked()) for _ in range(2)] == [wanted] * 2
            assert (engine.fell_back, len(heard)) == (2, 0)
            assert [record.message for record in caplog.records if "encoded here" in record.message][1:] == []
            assert address in caplog.text
            async with serving(base, bind=address):  # it is back
                assert await answer(engine, asked()) == wanted
                assert (engine.fell_back, len(heard)) == (2, 1)
            assert await answer(engine, asked()) == wanted  # and gone again
            assert engine.fell_back == 3
    assert caplog.text.count("pictures are encoded here") == 2


async def test_without_it_the_error_is_typed_and_the_next_request_connects_again(base: Path) -> None:
    async with serving(base) as server:
        address = server.address
        async with TorchEngine(base, device="cpu", vision=address) as other:
            wanted = await answer(other, asked())
        engine = TorchEngine(base, device="cpu", vision=address)
        await engine.open()
    with pytest.raises(ModelUnavailable, match=f"{address} cannot be reached"):
        await answer(engine, asked())
    async with serving(base, bind=address):
        assert await answer(engine, asked()) == wanted
    await engine.close()


async def test_after_a_restart_between_two_requests_who_is_there_is_looked_at_anew(base: Path, tmp_path: Path) -> None:
    other = build(tmp_path / "other", image_size=112, seed=1)
    async with serving(base) as server:
        address = server.address
        engine = TorchEngine(base, device="cpu", vision=address, local_vision=True)
        await engine.open()
        wanted = await answer(engine, asked())
    async with serving(base, bind=address):
        assert await answer(engine, asked()) == wanted
    async with serving(other, bind=address):
        with pytest.raises(ForeignVision, match="serves another checkpoint"):
            await answer(engine, asked())
    assert engine.fell_back == 0
    await engine.close()


Fake = Callable[[list[bytes]], list[bytes] | None]


@asynccontextmanager
async def pretending(reply: Fake) -> AsyncIterator[str]:
    """A vision process that answers as it is told: None is silence, an empty list the end of it."""
    context = zmq.asyncio.Context()
    router = context.socket(zmq.ROUTER)
    port = router.bind_to_random_port("tcp://127.0.0.1")

    async def answers() -> None:
        while not router.closed:
            sender, *frames = await router.recv_multipart()
            given = reply(frames)
            if given:
                await router.send_multipart([sender, *given])
            elif given is not None:
                router.close(0)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(answers())
        yield f"tcp://127.0.0.1:{port}"
        task.cancel()
    context.destroy(0)


def about(model: Path) -> About:
    return About(fingerprint=fingerprint(check(model)), tile=112, tokens=16, small=0, hidden=32, weights=1)


def seen(frames: list[bytes], **changes: Any) -> Seen:
    question = unpack(frames[0])
    assert isinstance(question, Asked)
    said: dict[str, Any] = {
        "id": question.id, "tiles": 7, "tokens": 16, "small": 0, "hidden": 32, "dtype": "bfloat16",
        "received_s": 0.0, "began_s": 0.0, "ended_s": 0.0,
    }  # fmt: skip
    return Seen(**{**said, **changes})


def after_hello(model: Path, then: Fake) -> Fake:
    return lambda frames: [pack(about(model))] if isinstance(unpack(frames[0]), Hello) else then(frames)


async def test_one_that_dies_in_the_middle_is_noticed_at_once(base: Path) -> None:
    dying = pretending(after_hello(base, lambda _: []))
    async with dying as address, TorchEngine(base, device="cpu", vision=address) as engine:
        began = time.monotonic()
        with pytest.raises(ModelUnavailable, match="died in the middle"):
            await answer(engine, asked())
        assert time.monotonic() - began < 5


async def test_one_that_says_nothing_is_given_up_in_time(base: Path) -> None:
    async with pretending(after_hello(base, lambda _: None)) as address:
        remote = RemoteVision(address, wait_s=0.2)
        async with TorchEngine(base, device="cpu", vision=remote) as engine:
            with pytest.raises(ModelTimeout, match=rf"{address} gave nothing for 0\.2 s"):
                await answer(engine, asked())
        async with TorchEngine(base, device="cpu", vision=remote, local_vision=True) as engine:
            assert len((await answer(engine, asked()))[0]) == 8
            assert engine.fell_back == 1
            (known,) = await engine.encode([PART])
            await engine.encode([ImagePart(known), PART])
            assert engine.fell_back == 3, "what was encoded already is not counted again"


@pytest.mark.parametrize(
    ("then", "says"),
    [
        (lambda frames: [b"{"], "speaks another language"),
        (lambda frames: [b"x" * (HEADER_BYTES + 1)], "a header of 4097 bytes"),
        (lambda frames: [pack(Hello())], "no answer to what it was asked"),
        (lambda frames: [pack(seen(frames))], "no answer to what it was asked"),
        (lambda frames: [pack(seen(frames)), b"\0" * 7], "no answer to what it was asked"),
        (lambda frames: [pack(seen(frames, id=uuid.uuid4().hex)), b"\0" * 7168], "no answer to what it was asked"),
        (lambda frames: [pack(seen(frames, tiles=8)), b"\0" * 8192], "no answer to what it was asked"),
        (lambda frames: [pack(seen(frames, hidden=16)), b"\0" * 3584], "no answer to what it was asked"),
        (lambda frames: [pack(seen(frames, certainty=(0.5,) * 7)), b"\0" * 7168], "no answer to what it was asked"),
        (lambda frames: [pack(seen(frames)), b"\0" * 7168, b"", b"", b""], "no answer to what it was asked"),
        (lambda frames: [pack(seen(frames)), b"\0" * 1_000_000], "died in the middle"),
        (lambda frames: [pack(Refused(why="busy", says="8 wait"))], r"refuses \(busy\): 8 wait"),
    ],
)
async def test_nonsense_for_an_answer_is_an_error_not_features(base: Path, then: Fake, says: str) -> None:
    babbling = pretending(after_hello(base, then))
    async with babbling as address, TorchEngine(base, device="cpu", vision=address) as engine:
        with pytest.raises(ModelUnavailable, match=says):
            await answer(engine, asked())


async def test_an_answer_that_fits_is_taken(base: Path) -> None:
    good = after_hello(base, lambda frames: [pack(seen(frames)), b"\0" * 7168])
    async with pretending(good) as address, TorchEngine(base, device="cpu", vision=address) as engine:
        (found,) = await engine.encode([PART])
    assert found.features.values.shape == (7, 16, 32)
    assert not found.features.values.any()


async def test_closing_an_engine_ends_its_wait_for_a_picture(base: Path) -> None:
    async with pretending(after_hello(base, lambda _: None)) as address:
        engine = TorchEngine(base, device="cpu", vision=address)
        await engine.open()

        async def ask() -> None:
            with pytest.raises(ModelUnavailable, match="was closed here"):
                await answer(engine, asked())

        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(ask())
            await asyncio.sleep(0.2)
            await engine.close()


async def test_closing_while_a_wait_is_over_by_itself_closes_all_the_same(base: Path) -> None:
    reached = asyncio.Event()
    async with pretending(after_hello(base, lambda _: reached.set())) as address:
        client = VisionClient(RemoteVision(address), check(base))
        await client.open()
        context = client._context
        asking = asyncio.ensure_future(client.encode([PART]))
        await reached.wait()
        (wait,) = client._waits
        wait.reschedule(asyncio.get_running_loop().time())
        await asyncio.sleep(0)
        assert wait.expired() and not asking.done()
        await client.close()
        assert context is not None and context.closed
        with pytest.raises(ModelUnavailable, match="was closed here"):
            await asking


async def test_features_that_find_no_room_are_an_error_of_the_models(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Any, *_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    async with serving(base) as server, VisionClient(RemoteVision(server.address), check(base)) as client:
        monkeypatch.setattr(torch, "frombuffer", full)
        with pytest.raises(ModelUnavailable, match="cpu has not enough memory: CUDA out of memory"):
            await client.encode([PART])


async def test_a_caller_who_gives_up_leaves_the_next_one_alone(base: Path) -> None:
    async with serving(base) as server:
        remote = RemoteVision(server.address, ahead=1)
        async with TorchEngine(base, device="cpu", vision=remote) as engine:
            wanted = await answer(engine, asked())
            held = threading.Event()
            assert server._thread is not None
            server._thread.submit(held.wait, 20)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await answer(engine, asked("Something else"))
            held.set()
            assert await answer(engine, asked()) == wanted


# What reaches the server ---------------------------------------------------------------------------------------------


def question(model: Path, **changes: Any) -> Asked:
    said = {"id": "0" * 32, "fingerprint": fingerprint(check(model)), "tiles": 1, "tile": 112, "dtype": "float32"}
    return Asked(**{**said, **changes})


async def exchanged(dealer: Any, frames: list[bytes]) -> Any:
    await dealer.send_multipart(frames)
    async with asyncio.timeout(10):
        return unpack((await dealer.recv_multipart())[0])


async def test_what_is_no_question_is_refused_and_the_server_lives(base: Path) -> None:
    good, pixels = question(base), bytes(112 * 112 * 3)
    raw = json.loads(pack(good))
    bad: list[tuple[list[bytes], str]] = [
        ([b""], "malformed"),
        ([b"\x80\x04."], "malformed"),
        ([b"{}" * 4000], "malformed"),
        ([json.dumps({**raw, "protocol": 2}).encode(), pixels], "malformed"),
        ([json.dumps({**raw, "tiles": MOST_TILES + 1}).encode(), pixels], "malformed"),
        ([json.dumps({**raw, "tiles": "1"}).encode(), pixels], "malformed"),
        ([json.dumps({**raw, "more": 1}).encode(), pixels], "malformed"),
        ([json.dumps({**raw, "tile": 1 << 40}).encode(), pixels], "malformed"),
        ([pack(about(base))], "malformed"),
        ([pack(good)], "malformed"),
        ([pack(good), pixels[:-1]], "malformed"),
        ([pack(good), pixels, b"x"], "malformed"),
        ([pack(good), *[b"x"] * 500], "malformed"),
        ([pack(question(base, fingerprint="0" * 64)), pixels], "foreign"),
        ([pack(question(base, tile=56)), bytes(56 * 56 * 3)], "foreign"),
    ]
    context = zmq.asyncio.Context()
    async with serving(base) as server:
        dealer = context.socket(zmq.DEALER)
        dealer.connect(server.address)
        for frames, why in bad:
            said = await exchanged(dealer, frames)
            assert isinstance(said, Refused) and said.why == why, (frames[0][:80], said)
        port = int(server.address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:  # no ZeroMQ at all
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n" + bytes(10_000))
        assert isinstance(await exchanged(dealer, [pack(good), pixels]), Seen)
    context.destroy(0)


async def test_a_frame_larger_than_any_picture_ends_its_senders_connection_alone(base: Path) -> None:
    context = zmq.asyncio.Context()
    async with serving(base) as server:
        greedy, polite = context.socket(zmq.DEALER), context.socket(zmq.DEALER)
        greedy.connect(server.address)
        polite.connect(server.address)
        assert isinstance(await exchanged(greedy, [pack(Hello())]), About)
        watch = greedy.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        await greedy.send_multipart([pack(question(base)), bytes(MOST_TILES * 112 * 112 * 3 + 1)])
        assert await watch.poll(10_000)
        assert isinstance(await exchanged(polite, [pack(question(base)), bytes(112 * 112 * 3)]), Seen)
        greedy.disable_monitor()
    context.destroy(0)


async def test_a_picture_too_many_is_refused_at_once(base: Path) -> None:
    context, held = zmq.asyncio.Context(), threading.Event()
    async with serving(base, queue=2) as server:
        assert server._thread is not None
        server._thread.submit(held.wait, 20)
        dealer = context.socket(zmq.DEALER)
        dealer.connect(server.address)
        pixels = bytes(112 * 112 * 3)
        for number in range(3):  # one at work, two waiting
            await dealer.send_multipart([pack(question(base, id=f"{number:032x}")), pixels])
            await asyncio.sleep(0.05)
        said = await exchanged(dealer, [pack(question(base, id=f"{9:032x}")), pixels])
        assert isinstance(said, Refused) and (said.why, said.id) == ("busy", f"{9:032x}")
        held.set()
        answered = [unpack((await dealer.recv_multipart())[0]) for _ in range(3)]
        assert [getattr(one, "id", None) for one in answered] == [f"{number:032x}" for number in range(3)]
    context.destroy(0)


@pytest.mark.parametrize(
    "error",
    [
        kind("no room")
        for kind in (MemoryError, torch.OutOfMemoryError, ValueError, TypeError, IndexError, KeyError, OSError)
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_picture_that_cannot_be_encoded_is_refused_and_the_next_one_seen(
    base: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(base) as server, TorchEngine(base, device="cpu", vision=server.address) as engine:

        def full(*_: Any, **__: Any) -> Any:
            monkeypatch.undo()
            raise error

        monkeypatch.setattr(dvd_server, "normalised", full)
        with pytest.raises(ModelUnavailable, match=r"refuses \(failed\): .*no room"):
            await engine.encode([PART])
        assert (await engine.encode([PART]))[0].visual_tokens == 7 * 16


async def test_closing_a_server_ends_its_serving(base: Path) -> None:
    server = VisionServer(base, device="cpu")
    await server.open()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        serving_ = group.create_task(server.serve())
        async with VisionClient(RemoteVision(server.address), check(base)) as client:
            await client.encode([PART])
        await server.close()
        await serving_


async def test_an_answer_that_nobody_waits_for_stops_nothing(base: Path) -> None:
    context, held = zmq.asyncio.Context(), threading.Event()
    async with serving(base) as server:
        assert server._thread is not None
        server._thread.submit(held.wait, 20)
        gone = context.socket(zmq.DEALER)
        gone.connect(server.address)
        await gone.send_multipart([pack(question(base)), bytes(112 * 112 * 3)])
        await asyncio.sleep(0.1)
        gone.close(0)
        await asyncio.sleep(0.1)
        held.set()
        async with TorchEngine(base, device="cpu", vision=server.address) as engine:
            assert len((await answer(engine, asked()))[0]) == 8
    context.destroy(0)


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


def test_llamacpp_on_a_gpu_is_wrong_usage_as_fewer_bits_are() -> None:
    for more in ({"device": "cuda:all"}, {"device": "cuda"}, {"bits": 4}):
        with pytest.raises(UsageError, match="the engine llamacpp"):
            engine_named("llamacpp", Wanted("x.gguf", **more))
    engine_named("llamacpp", Wanted("x.gguf", device="cpu"))


def test_other_engines_take_no_vision_process() -> None:
    with pytest.raises(UsageError, match="the engine llamacpp sees for itself"):
        engine_named("llamacpp", Wanted("x.gguf", vision="tcp://127.0.0.1:1"))
    assert isinstance(engine_named("torch", Wanted("tiny", vision="tcp://127.0.0.1:1")), TorchEngine)


async def test_an_address_in_use_is_refused(base: Path) -> None:
    async with VisionServer(base, device="cpu") as server:
        with pytest.raises(UsageError, match=f"nothing can listen at {server.address}"):
            await VisionServer(base, bind=server.address, device="cpu").open()


async def test_a_picture_can_be_encoded_for_whoever_takes_features(base: Path) -> None:
    async with serving(base) as server, VisionClient(RemoteVision(server.address), check(base)) as client:
        (found,) = await client.encode([PART])
        assert (await client.encode([ImagePart(found)]))[0] is found
    assert (found.visual_tokens, found.features.values.dtype) == (112, torch.bfloat16)
