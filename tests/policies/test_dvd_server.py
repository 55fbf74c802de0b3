"""What reaches a vision process: nonsense, too much, and questions that nobody waits for."""

import asyncio
import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("zmq", reason="pyzmq is not installed")
pytestmark = pytest.mark.torch

import zmq  # noqa: E402
import zmq.asyncio  # noqa: E402

from foveate.actions.errors import ModelUnavailable  # noqa: E402
from foveate.policies.engines import dvd_server  # noqa: E402
from foveate.policies.engines.dvd_client import VisionClient  # noqa: E402
from foveate.policies.engines.dvd_server import VisionServer  # noqa: E402
from foveate.policies.engines.dvd_wire import (  # noqa: E402
    MOST_TILES,
    About,
    Hello,
    Refused,
    RemoteVision,
    Seen,
    pack,
    unpack,
)
from foveate.policies.engines.torch import TorchEngine  # noqa: E402
from foveate.policies.internvl.checkpoint import check  # noqa: E402
from tests.policies.dvd import (  # noqa: E402
    PART,
    about,
    answer,
    asked,
    exchanged,
    question,
    serving,
)


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
    async with (
        serving(base) as server,
        TorchEngine(base, device="cpu", vision=server.address) as engine,
    ):

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
