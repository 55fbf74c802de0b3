"""A vision process that is another, dead, silent, or talks nonsense, as the language half sees it."""

import asyncio
import logging
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("zmq", reason="pyzmq is not installed")
pytestmark = pytest.mark.torch


from foveate.actions.errors import EnvClosed, ModelTimeout, ModelUnavailable  # noqa: E402
from foveate.policies.engines.base import ImagePart, Message, Request  # noqa: E402
from foveate.policies.engines.dvd_client import VisionClient  # noqa: E402
from foveate.policies.engines.dvd_wire import (  # noqa: E402
    HEADER_BYTES,
    ForeignVision,
    Hello,
    Refused,
    RemoteVision,
    Times,
    pack,
)
from foveate.policies.engines.torch import TorchEngine  # noqa: E402
from foveate.policies.internvl.checkpoint import check  # noqa: E402
from tests.checkpoints import build  # noqa: E402
from tests.policies.asking import collected  # noqa: E402
from tests.policies.dvd import (  # noqa: E402
    NOBODY,
    PART,
    Fake,
    after_hello,
    answer,
    asked,
    pretending,
    seen,
    serving,
)


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


async def test_closing_wakes_whoever_waits_for_a_place_and_a_close_that_is_cancelled_leaves_nothing(
    base: Path,
) -> None:
    async with pretending(after_hello(base, lambda _: None)) as address:
        client = VisionClient(RemoteVision(address, ahead=1), check(base))
        await client.open()
        first, second = (asyncio.ensure_future(client.encode([PART])) for _ in range(2))
        await asyncio.sleep(0.3)
        await client.close()
        async with asyncio.timeout(5):
            ended = await asyncio.gather(first, second, return_exceptions=True)
        assert all(isinstance(one, ModelUnavailable | EnvClosed) for one in ended), ended

        await client.open()
        held = client._places
        await held.acquire()
        closing = asyncio.ensure_future(client.close())
        await asyncio.sleep(0.1)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        held.release()
        await client.open()
        await client.close()


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

    async with (
        serving(base) as server,
        VisionClient(RemoteVision(server.address), check(base)) as client,
    ):
        monkeypatch.setattr(torch, "frombuffer", full)
        with pytest.raises(ModelUnavailable, match="cpu has not enough memory: CUDA out of memory"):
            await client.encode([PART])


@pytest.mark.parametrize(
    ("pictures", "wishes", "says"),
    [
        (80, {}, r"at least 2240 tokens \(2240 of them visual\).* context is 2048"),
        (20, {"flash": False}, r"at least 2240 tokens \(2240 of them visual\).* context is 2048"),
        (1, {"visual_tokens": 27}, "7 tiles take at least 28 visual tokens, and 27 are allowed"),
    ],
)
async def test_pictures_that_cannot_fit_are_refused_before_they_are_sent(
    flash: Path, monkeypatch: pytest.MonkeyPatch, pictures: int, wishes: dict[str, Any], says: str
) -> None:
    async def sent(*_: Any) -> Any:
        raise AssertionError("a picture was sent")

    async with serving(flash) as server, TorchEngine(flash, device="cpu", vision=server.address) as engine:
        monkeypatch.setattr(VisionClient, "encode", sent)
        with pytest.raises(ModelUnavailable, match=says):
            await collected(engine, Request((Message("user", (PART,) * pictures),), **wishes))


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
