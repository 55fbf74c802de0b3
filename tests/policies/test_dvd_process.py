"""``foveate vision`` as a process: killed, frozen, started again, stopped."""

import asyncio
import os
import re
import signal
import subprocess
import time
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("zmq", reason="pyzmq is not installed")
pytestmark = pytest.mark.torch

from foveate.actions.errors import ModelTimeout, ModelUnavailable  # noqa: E402
from foveate.actions.geometry import Frame  # noqa: E402
from foveate.envs.base import ScreenObservation  # noqa: E402
from foveate.policies.engines.base import ImagePart, Message, Request, TextPart  # noqa: E402
from foveate.policies.engines.dvd_wire import RemoteVision  # noqa: E402
from foveate.policies.engines.torch import TorchEngine  # noqa: E402
from foveate.policies.internvl import InternVLPolicy  # noqa: E402
from tests.commands import COMMAND, Running, running  # noqa: E402

PICTURE = np.random.default_rng(3).integers(0, 256, (90, 150, 3), dtype=np.uint8)
REQUEST = Request((Message("user", (ImagePart(PICTURE, 6), TextPart("Click"))),), max_new_tokens=6)


def vision(model: Path | str, *flags: str) -> AbstractContextManager[Running]:
    """Run a vision process."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return running("vision", model, "--device", "cpu", *flags, environment=environment)


async def tokens(engine: TorchEngine) -> list[int]:
    return [token async for delta in engine.generate(REQUEST) for token in delta.token_ids]


@pytest.mark.timeout(180)
async def test_a_process_that_freezes_dies_and_comes_back_is_each_time_told(small_checkpoint: Path) -> None:
    with vision(small_checkpoint, "--bind", "tcp://127.0.0.1:0") as command:
        process, address = command.process, command.line()
        patient, hasty = RemoteVision(address, wait_s=60.0), RemoteVision(address, wait_s=0.3)
        async with TorchEngine(small_checkpoint, device="cpu") as local:
            wanted = await tokens(local)
        async with (
            TorchEngine(small_checkpoint, device="cpu", vision=patient) as engine,
            TorchEngine(small_checkpoint, device="cpu", vision=hasty) as other,
        ):
            assert await tokens(engine) == wanted
            process.send_signal(signal.SIGSTOP)
            with pytest.raises(ModelTimeout, match=r"gave nothing for 0\.3 s"):
                await tokens(other)
            process.send_signal(signal.SIGCONT)
            assert await tokens(engine) == wanted
            process.send_signal(signal.SIGSTOP)
            asking = asyncio.ensure_future(tokens(engine))
            await asyncio.sleep(0.3)
            assert not asking.done()
            began = time.monotonic()
            process.kill()
            with pytest.raises(ModelUnavailable, match=f"{address} cannot be reached, or died"):
                await asking
            assert time.monotonic() - began < 10
            with vision(small_checkpoint, "--bind", address) as another:
                assert another.line() == address
                assert await tokens(engine) == wanted


@pytest.mark.timeout(180)
async def test_a_policy_sees_through_it_until_a_signal_stops_it() -> None:
    with vision("tiny", "--bind", "tcp://127.0.0.1:0", "--dtype", "float32") as command:
        address = command.line()
        image = np.zeros((448, 448, 3), np.uint8)
        seen = ScreenObservation(image=image, frame=Frame(448, 448), captured_at_s=0.0)
        async with InternVLPolicy("tiny", device="cpu", vision=address) as policy:
            await policy.reset("Click Save")
            decision = await policy.act(seen, ())
        assert decision.raw
        out, err = command.end(signal.SIGINT)
        assert (command.process.returncode, out) == (130, "")
        assert "Interrupted." in err and "Traceback" not in err and "encrypted" not in err


@pytest.mark.timeout(180)
def test_beyond_this_machine_it_listens_only_when_told_and_says_what_that_means() -> None:
    with vision("tiny", "--bind", "tcp://0.0.0.0:0") as command:
        assert re.fullmatch(r"tcp://0\.0\.0\.0:\d+", command.line())
        out, err = command.end(signal.SIGTERM)
        assert (command.process.returncode, out) == (130, "")
        assert "nothing is encrypted" in err and "tunnel" in err and "Interrupted." in err
    with vision("tiny", "--bind", "tcp://127.0.0.1:0") as command:
        command.line()
        for _ in range(3):  # `timeout` sends two
            command.process.send_signal(signal.SIGTERM)
            time.sleep(0.01)
        _, err = command.end()
        assert command.process.returncode == 130 and "Traceback" not in err
    given = subprocess.run([COMMAND, "vision", "tiny", "--bind", "0.0.0.0"], capture_output=True, text=True, timeout=60)
    assert (given.returncode, given.stdout) == (2, "")
    assert "give tcp://HOST:PORT" in given.stderr
