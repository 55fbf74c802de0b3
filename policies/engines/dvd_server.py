"""VisionServer: a model's vision half as a process of its own; pictures in, features out.

It loads vision tower, projectors and router, never the language model. One thread encodes, a picture at a time, while
the event loop takes the next pictures and sends the last features. What waits is bounded: a picture too many is
refused, not kept. A frame that is longer than any picture ends its sender's connection before it is read; the number
of frames in one message is the one thing that libzmq does not bound, so only those who are trusted may reach the port.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import zmq
import zmq.asyncio
from torch import Tensor

from foveate.actions.errors import FoveateError, ModelUnavailable, UsageError
from foveate.envs.base import Resource
from foveate.policies.engines.dvd_wire import (
    MOST_TILES,
    About,
    Asked,
    Header,
    Hello,
    Number,
    Refused,
    Seen,
    Why,
    check_address,
    pack,
    receive,
    set_bounds,
    unpack,
)
from foveate.policies.engines.torch_loading import device_named, dtype_named, load_tower, quiet
from foveate.policies.engines.torch_placing import enough_memory
from foveate.policies.engines.torch_vision import Vision
from foveate.policies.internvl import checkpoint as checkpoints
from foveate.policies.internvl.fingerprint import fingerprint
from foveate.policies.internvl.tiling import normalised
from foveate.policies.internvl.vir import KEPT_SHARE

_log = logging.getLogger(__name__)

_SENT_AHEAD: Final = 16
_SAYS: Final = 500


@dataclass(frozen=True, slots=True)
class _Job:
    """A picture that waits.

    Attributes:
        sender: Whose it is.
        asked: What is asked.
        pixels: uint8, ``asked.size`` bytes.
        received_s: When it was whole, by the monotonic clock.
    """

    sender: bytes
    asked: Asked
    pixels: zmq.Frame
    received_s: float


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The vision half in memory."""

    checkpoint: checkpoints.Checkpoint
    vision: Vision
    device: torch.device
    about: About


class VisionServer(Resource):
    """Serves the vision half of one checkpoint.

    Args:
        model: ``tiny``, a checkpoint's folder (either layout), or a hub id.
        bind: ``tcp://HOST:PORT``; port 0 is any that is free. Whoever reaches it is served, and nothing is encrypted:
            beyond this machine put a tunnel before it.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        dtype: ``auto`` (float32 on a CPU, bfloat16 on a GPU), ``float32``, ``bfloat16`` or ``float16``.
        queue: Pictures that may wait; at most 25 MB each with tiles of 448 pixels.

    Attributes:
        address: Where it listens, once it is open.
        about: What it says of itself, once it is open.
    """

    def __init__(
        self,
        model: str | Path = "tiny",
        *,
        bind: str = "tcp://127.0.0.1:0",
        device: str = "auto",
        dtype: str = "auto",
        queue: int = 8,
    ) -> None:
        check_address(bind)
        if queue < 1:
            raise UsageError(f"a queue of {queue} pictures holds none: give 1 or more")
        self.address = bind
        self.about: About | None = None
        self._model, self._bind, self._device, self._dtype, self._queue_size = model, bind, device, dtype, queue
        self._thread: ThreadPoolExecutor | None = None
        self._context: zmq.asyncio.Context | None = None
        self._parts: tuple[_Loaded, zmq.asyncio.Socket, asyncio.Queue[_Job]] | None = None

    async def _open(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="foveate-vision")
        try:
            loaded = await asyncio.get_running_loop().run_in_executor(self._thread, self._load)
            self._parts = loaded, self._listening(loaded.checkpoint.tile), asyncio.Queue(self._queue_size)
            self.about = loaded.about
        except BaseException:
            await self._close()
            raise

    async def _close(self) -> None:
        thread, self._thread = self._thread, None
        context, self._context = self._context, None
        if context is not None:
            context.destroy(0)
        self._parts = None
        if thread is not None:
            await asyncio.to_thread(thread.shutdown)

    def _load(self) -> _Loaded:
        checkpoint = checkpoints.check(checkpoints.find(self._model))
        device = device_named(self._device)
        with quiet(), enough_memory(device):
            model = load_tower(checkpoint, dtype_named(self._dtype, device)).to(device)
            vision = Vision(model, checkpoint)
        parts = [model] if vision.router is None else [model, vision.router]
        about = About(
            fingerprint=fingerprint(checkpoint), tile=checkpoint.tile, tokens=checkpoint.tokens_per_tile,
            small=0 if vision.router is None else checkpoint.tokens_per_tile // KEPT_SHARE,
            hidden=int(model.config.text_config.hidden_size),
            weights=sum(weight.numel() for part in parts for weight in part.parameters()),
        )  # fmt: skip
        return _Loaded(checkpoint, vision, device, about)

    def _listening(self, tile: int) -> zmq.asyncio.Socket:
        self._context = zmq.asyncio.Context()
        socket = self._context.socket(zmq.ROUTER)
        set_bounds(socket, MOST_TILES * tile * tile * 3, ipv6="[" in self._bind)
        socket.set(zmq.RCVHWM, self._queue_size)
        socket.set(zmq.SNDHWM, _SENT_AHEAD)
        socket.set(zmq.ROUTER_MANDATORY, 1)
        try:
            socket.bind(self._bind)
        except zmq.ZMQError as exc:
            socket.close(0)
            raise UsageError(f"nothing can listen at {self._bind}: {exc.strerror}: give another address") from exc
        self.address = socket.get_string(zmq.LAST_ENDPOINT).rstrip("\0")
        return socket

    async def serve(self) -> None:
        """Answer until it is cancelled or the server is closed."""
        self.require_open()
        async with asyncio.TaskGroup() as group:
            working = group.create_task(self._work())
            group.create_task(self._listen()).add_done_callback(lambda _: working.cancel())

    def _ready(self) -> "tuple[_Loaded, zmq.asyncio.Socket, asyncio.Queue[_Job]]":
        if self._parts is None:
            raise ModelUnavailable("VisionServer is closed")
        return self._parts

    async def _listen(self) -> None:
        loaded, socket, queue = self._ready()
        while not socket.closed:  # closing it also cancels what waits for it
            sender, *frames = await receive(socket)
            now = time.monotonic()
            try:
                answer = self._taken(loaded, queue, sender.bytes, frames, now)
            except ModelUnavailable as exc:
                answer = _refused("malformed", str(exc))
            if answer is not None:
                await self._send(socket, sender.bytes, [pack(answer)])

    def _taken(
        self, loaded: _Loaded, queue: "asyncio.Queue[_Job]", sender: bytes, frames: Sequence[zmq.Frame], now: float
    ) -> Header | None:
        """Put a question into the queue, or answer it at once."""
        if not frames:
            raise ModelUnavailable("an empty message came")
        question = unpack(frames[0].buffer)
        if isinstance(question, Hello):
            return loaded.about
        if not isinstance(question, Asked):
            raise ModelUnavailable(f"a message of kind {question.kind!r} is an answer, not a question")
        if question.fingerprint != loaded.about.fingerprint or question.tile != loaded.about.tile:
            says = f"{loaded.about.fingerprint[:12]}, not {question.fingerprint[:12]}"
            return _refused("foreign", says, question.id)
        sizes = [len(frame) for frame in frames[1:]]
        if sizes != [question.size]:
            says = f"{question.tiles} tiles are one frame of {question.size} bytes, not {sizes}"
            return _refused("malformed", says, question.id)
        try:
            queue.put_nowait(_Job(sender, question, frames[1], now))
        except asyncio.QueueFull:
            return _refused("busy", f"{queue.maxsize} pictures wait already: ask again later", question.id)
        return None

    async def _work(self) -> None:
        loaded, socket, queue = self._ready()
        while True:
            job = await queue.get()
            frames = await asyncio.get_running_loop().run_in_executor(self._thread, _encoded, loaded, job)
            await self._send(socket, job.sender, frames)

    async def _send(self, socket: zmq.asyncio.Socket, receiver: bytes, frames: Sequence[Any]) -> None:
        """Send an answer; to one who has gone, or does not read, none is sent."""
        try:
            await socket.send_multipart([receiver, *frames], flags=zmq.NOBLOCK, copy=False)
        except zmq.ZMQError as exc:
            _log.info("an answer found nobody: %s", exc.strerror)


def _encoded(loaded: _Loaded, job: _Job) -> list[Any]:
    """Encode a picture; whatever goes wrong with it is its answer."""
    asked, began = job.asked, time.monotonic()
    checkpoint = loaded.checkpoint
    try:
        cut = np.frombuffer(job.pixels.buffer, np.uint8).reshape(asked.tiles, asked.tile, asked.tile, 3)
        values = torch.from_numpy(normalised(cut, mean=checkpoint.mean, std=checkpoint.std))
        with torch.inference_mode(), enough_memory(loaded.device):
            found = loaded.vision.encode(values, None)
            sent = [found.values] if found.compressed is None else [found.values, found.compressed]
            frames = [_bytes(tensor, asked.dtype) for tensor in sent]
        header = Seen(
            id=asked.id, tiles=asked.tiles, tokens=loaded.about.tokens, small=loaded.about.small,
            hidden=loaded.about.hidden, dtype=asked.dtype,
            certainty=None if found.certainty is None else tuple(found.certainty.tolist()),
            received_s=job.received_s, began_s=began, ended_s=time.monotonic(),
        )  # fmt: skip
    except (FoveateError, RuntimeError, ValueError, TypeError, LookupError, OSError, MemoryError) as exc:
        _log.exception("a picture could not be encoded")
        return [pack(_refused("failed", f"{type(exc).__name__}: {exc}", asked.id))]
    return [pack(header), *frames]


def _bytes(tensor: Tensor, dtype: Number) -> Any:
    """Give a tensor's numbers as a buffer, little-endian."""
    numbers = tensor.to("cpu", torch.bfloat16 if dtype == "bfloat16" else torch.float32).contiguous()
    return numbers.view(torch.uint8).numpy()


def _refused(why: Why, says: str, asked_id: str = "") -> Refused:
    return Refused(id=asked_id, why=why, says=says[:_SAYS])
