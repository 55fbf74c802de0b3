"""VisionClient: asks a vision process for a picture's features, and finds it again after either was restarted.

A connection has one question under way at a time and is thrown away with any fault, so that nothing late can be taken
for an answer; the next question opens another and checks anew who is there. All of it runs in the caller's event loop;
only cutting and converting take a thread.
"""

import asyncio
import shlex
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
import zmq
import zmq.asyncio
from torch import Tensor

from foveate.actions.errors import ModelTimeout, ModelUnavailable, UsageError
from foveate.envs.base import Image, Resource
from foveate.policies.engines.base import Encoded, ImagePart
from foveate.policies.engines.dvd_wire import (
    HEADER_BYTES,
    MOST_TILES,
    WIDTHS,
    About,
    Asked,
    ForeignVision,
    Header,
    Hello,
    Refused,
    RemoteVision,
    Seen,
    Times,
    pack,
    receive,
    set_bounds,
    unpack,
)
from foveate.policies.engines.torch_placing import enough_memory
from foveate.policies.engines.torch_vision import TileFeatures
from foveate.policies.internvl.checkpoint import BUNDLED, Checkpoint, find
from foveate.policies.internvl.fingerprint import fingerprint
from foveate.policies.internvl.tiling import tiles
from foveate.policies.internvl.vir import KEPT_SHARE

_LOST: Final = (
    zmq.EVENT_CLOSED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CONNECT_RETRIED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
_CPU: Final = torch.device("cpu")
_DTYPES: Final = {"bfloat16": torch.bfloat16, "float32": torch.float32}


@dataclass(frozen=True, slots=True)
class Home:
    """Who gets the features.

    Attributes:
        owner: The model that may use them; None is any.
        device: Where they go.
        dtype: What they become; None leaves them as they travelled.
    """

    owner: object = None
    device: torch.device = _CPU
    dtype: torch.dtype | None = None


class _Lost(Exception):
    """The connection broke, or none came about."""


class _Line:
    """A connection.

    Args:
        context: Of the sockets.
        limit: Greatest length of a frame, bytes; a process that sends a longer one is cut off.
        ipv6: Whether the address is written as IPv6.
    """

    def __init__(self, context: zmq.asyncio.Context, limit: int, *, ipv6: bool) -> None:
        self._socket = context.socket(zmq.DEALER)
        set_bounds(self._socket, limit, ipv6=ipv6)
        self._socket.set(zmq.SNDHWM, 1)
        self._socket.set(zmq.RCVHWM, 1)
        self._monitor = self._socket.get_monitor_socket(_LOST)
        self._both = zmq.asyncio.Poller()
        for socket in (self._socket, self._monitor):
            self._both.register(socket, zmq.POLLIN)

    def connect(self, address: str) -> None:
        """Begin to connect.

        Raises:
            UsageError: If nothing can be connected to at such an address.
        """
        try:
            self._socket.connect(address)
        except zmq.ZMQError as exc:
            raise UsageError(f"the vision process's address {address!r} is none to connect to: {exc.strerror}") from exc

    async def ask(self, frames: Sequence[Any]) -> list[zmq.Frame]:
        """Send a message and wait for the next one that comes."""
        await self._socket.send_multipart(frames, copy=False)
        ready = dict(await self._both.poll())
        if self._socket not in ready:
            raise _Lost
        return await receive(self._socket)

    async def lost(self) -> bool:
        """Tell whether it has broken since it was used."""
        return bool(await self._monitor.poll(0))

    def close(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(0)


class VisionClient(Resource):
    """Encodes pictures in another process.

    Args:
        remote: Where it is.
        checkpoint: What the language half was loaded from, or will be.
    """

    def __init__(self, remote: RemoteVision, checkpoint: Checkpoint) -> None:
        self.remote = remote
        self._checkpoint = checkpoint
        self._hidden = int(checkpoint.config["text_config"]["hidden_size"])
        self._small = 0 if checkpoint.thresholds is None else checkpoint.tokens_per_tile // KEPT_SHARE
        self._fingerprint = ""
        self._context: zmq.asyncio.Context | None = None
        self._places = asyncio.Semaphore(remote.ahead)
        self._idle: list[_Line] = []
        self._waits: set[asyncio.Timeout] = set()

    async def _open(self) -> None:
        self._fingerprint = await asyncio.to_thread(fingerprint, self._checkpoint)
        self._context = zmq.asyncio.Context()
        self._places = asyncio.Semaphore(self.remote.ahead)

    async def _close(self) -> None:
        context, self._context = self._context, None
        now = asyncio.get_running_loop().time()
        for wait in self._waits:
            if not wait.expired():  # one that is over by itself at this moment cannot be moved
                wait.reschedule(now)
        taken = 0
        try:
            while taken < self.remote.ahead:  # until nobody waits for an answer any more
                await self._places.acquire()
                taken += 1
        finally:
            while self._idle:
                self._idle.pop().close()
            if context is not None:
                context.destroy(0)
            for _ in range(taken):  # whoever still waits for a place is told that it was closed
                self._places.release()

    async def greet(self) -> None:
        """Check who is there.

        Raises:
            ModelUnavailable: If nobody is, or a process that serves another checkpoint (ForeignVision).
            ModelTimeout: If it does not answer in time.
        """
        async with self._places:
            self._idle.append(await self._line())

    async def encode(self, images: Sequence[ImagePart], home: Home = Home()) -> tuple[Encoded, ...]:
        """Encode pictures, one after the other; several callers overlap, as many as ``RemoteVision.ahead`` says.

        Args:
            images: Pixels, uint8 RGB (height, width, 3); what is encoded already is passed on.
            home: Who gets the features.

        Returns:
            Of each picture, Encoded with TileFeatures: (tiles, tokens, hidden) of ``home.dtype``, from a router also
            (tiles, tokens / 4, hidden) and float32 (tiles,).

        Raises:
            ModelUnavailable: If the process cannot be reached, dies meanwhile, refuses, has too much to do, or speaks
                nonsense; ForeignVision if it serves another checkpoint. If its features find no room in memory here.
            ModelTimeout: If it does not answer in time.
            EnvClosed: If the client is not open.
        """
        self.require_open()
        checkpoint, found = self._checkpoint, []
        for part in images:
            if isinstance(part.image, Encoded):
                found.append(part.image)
                continue
            async with self._places:
                cut = await asyncio.to_thread(tiles, part.image, max_tiles=part.max_tiles, tile=checkpoint.tile)
                seen, frames = await self._seen(np.ascontiguousarray(cut))
            features = await asyncio.to_thread(_tensors, seen, frames, home)
            found.append(Encoded(features, len(cut) * checkpoint.tokens_per_tile))
        return tuple(found)

    async def _seen(self, cut: Image) -> tuple[Seen, list[zmq.Frame]]:
        """Have tiles encoded; the answer's frames are as long as it says."""
        if len(cut) > MOST_TILES:
            raise ModelUnavailable(
                f"a picture of {len(cut)} tiles is too large to send: lower max_tiles to {MOST_TILES - 1}"
            )
        asked = Asked(
            id=uuid.uuid4().hex, fingerprint=self._fingerprint, tiles=len(cut), tile=self._checkpoint.tile,
            dtype=self.remote.dtype,
        )  # fmt: skip
        line = await self._line()
        try:
            sent = time.monotonic()
            seen, frames = await self._asked(line, asked, [cut], self.remote.wait_s)
            got = time.monotonic()
            if not isinstance(seen, Seen) or not self._fits(seen, asked, frames):
                raise self._fault("gave no answer to what it was asked: is it of another version?")
        except BaseException:
            line.close()
            raise
        self._idle.append(line)
        if self.remote.heard is not None:
            size = cut.nbytes + sum(seen.sizes)
            self.remote.heard(Times(sent, seen.received_s, seen.began_s, seen.ended_s, got, size))
        return seen, frames

    def _fits(self, seen: Seen, asked: Asked, frames: Sequence[zmq.Frame]) -> bool:
        """Compare an answer with the question and with the frames that came with it."""
        wanted = (asked.id, asked.tiles, asked.dtype, self._checkpoint.tokens_per_tile, self._small, self._hidden)
        given = (seen.id, seen.tiles, seen.dtype, seen.tokens, seen.small, seen.hidden)
        sure = 0 if seen.certainty is None else len(seen.certainty)
        routed = sure == (asked.tiles if self._small else 0)
        return wanted == given and routed and seen.sizes == tuple(len(frame) for frame in frames)

    async def _line(self) -> _Line:
        """Take a connection that is whole, or open one and check who is there."""
        if self._context is None:
            raise self._closed()
        while self._idle:
            line = self._idle.pop()
            if not await line.lost():
                return line
            line.close()
        longest = MOST_TILES * self._checkpoint.tokens_per_tile * self._hidden * WIDTHS[self.remote.dtype]
        line = _Line(self._context, max(longest, HEADER_BYTES), ipv6="[" in self.remote.address)
        try:
            line.connect(self.remote.address)
            about, _ = await self._asked(line, Hello(), [], self.remote.connect_s)
            self._check(about)
        except BaseException:
            line.close()
            raise
        return line

    def _check(self, about: Header) -> None:
        if not isinstance(about, About):
            raise self._fault("did not say who it is: is it of another version?")
        mine = (self._fingerprint, self._checkpoint.tile, self._checkpoint.tokens_per_tile, self._small, self._hidden)
        if (about.fingerprint, about.tile, about.tokens, about.small, about.hidden) != mine:
            raise ForeignVision(self._foreign(f"{about.fingerprint[:12]}, not {self._fingerprint[:12]}"))

    def _foreign(self, why: str) -> str:
        return (
            f"the vision process at {self.remote.address} serves another checkpoint ({why}): stop it, and start it "
            f"with the same one: {self._remedy}"
        )

    async def _asked(
        self, line: _Line, header: Header, body: Sequence[Any], wait_s: float
    ) -> tuple[Header, list[zmq.Frame]]:
        if self._context is None:
            raise self._closed()
        limit = asyncio.timeout(wait_s)
        try:
            async with limit:
                self._waits.add(limit)
                first, *rest = await line.ask([pack(header), *body])
            answer = unpack(first.buffer)
        except TimeoutError as exc:
            if self._context is None:
                raise self._closed() from exc
            raise ModelTimeout(
                f"the vision process at {self.remote.address} gave nothing for {wait_s:g} s: it is stuck or has too "
                "much to do; look at it, wait longer, or allow encoding here"
            ) from exc
        except (_Lost, zmq.ZMQError) as exc:
            raise self._fault("cannot be reached, or died in the middle of an answer") from exc
        except ModelUnavailable as exc:
            raise self._fault(f"speaks another language: {exc}") from exc
        finally:
            self._waits.discard(limit)
        if isinstance(answer, Refused):
            if answer.why == "foreign":
                raise ForeignVision(self._foreign(answer.says))
            raise self._fault(f"refuses ({answer.why}): {answer.says}")
        return answer, rest

    def _closed(self) -> ModelUnavailable:
        return ModelUnavailable(f"the vision process at {self.remote.address} was not waited for: it was closed here")

    def _fault(self, says: str) -> ModelUnavailable:
        return ModelUnavailable(
            f"the vision process at {self.remote.address} {says} (it is started by: {self._remedy})"
        )

    @property
    def _remedy(self) -> str:
        """The command that starts what is wanted there."""
        folder = self._checkpoint.folder
        model = next((name for name in BUNDLED if folder == find(name)), str(folder))
        return f"foveate vision {shlex.quote(model)} --bind {self.remote.address}"


def _tensors(seen: Seen, frames: Sequence[zmq.Frame], home: Home) -> TileFeatures:
    """Make tensors of an answer whose lengths were checked."""

    def tensor(frame: zmq.Frame, count: int) -> Tensor:
        flat = torch.frombuffer(bytearray(frame.buffer), dtype=_DTYPES[seen.dtype])
        return flat.view(seen.tiles, count, seen.hidden).to(device=home.device, dtype=home.dtype)

    with enough_memory(home.device):
        compressed = tensor(frames[1], seen.small) if seen.small else None
        sure = None if seen.certainty is None else torch.tensor(seen.certainty, dtype=torch.float32, device=home.device)
        return TileFeatures(home.owner, tensor(frames[0], seen.tokens), compressed, sure)
