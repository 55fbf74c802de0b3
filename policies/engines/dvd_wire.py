"""What the two halves of a model say to each other: messages, their bounds, addresses.

A message is one frame of JSON (a header of this module) and frames of plain numbers, whose lengths follow from the
header and are compared with it before anything is made of them. Nothing is pickled. Neither end proves who it is and
nothing is encrypted: beyond one machine it belongs into a tunnel (``ssh -L``, WireGuard).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from foveate.actions.errors import ModelUnavailable, UsageError
from foveate.policies.engines.hosts import on_this_machine

if TYPE_CHECKING:
    import zmq
    import zmq.asyncio

Number: TypeAlias = Literal["bfloat16", "float32"]
"""How features travel, little-endian."""

PROTOCOL: Final = 1
"""Changes with every change of the messages; ends that differ in it refuse each other."""

MOST_TILES: Final = 41
"""Tiles of a picture at most, its thumbnail included."""

HEADER_BYTES: Final = 4_096
"""Greatest length of a header."""

WIDTHS: Final[dict[Number, int]] = {"bfloat16": 2, "float32": 4}
"""Bytes of a number."""

_FRAMES: Final = 3
_HEARTBEAT_MS: Final = 2_000
"""An end that gives no sign of life three times counts as gone."""

_ADDRESS = re.compile(r"tcp://(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(\d{1,5})")

_Count = Annotated[int, Field(ge=1, le=1 << 20)]
_Id = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
_Fingerprint = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
_Moment = Annotated[float, Field(allow_inf_nan=False)]


Why: TypeAlias = Literal["busy", "malformed", "foreign", "failed"]
"""Why something is not done; ``foreign`` is a question about another checkpoint."""


class ForeignVision(ModelUnavailable):
    """Raised when a vision process serves another checkpoint; pictures are not encoded elsewhere to hide it."""


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    protocol: Literal[1] = PROTOCOL


class Hello(_Header):
    """Asks who is there; the answer is About."""

    kind: Literal["hello"] = "hello"


class About(_Header):
    """Says who is there.

    Attributes:
        fingerprint: Of the vision half (``internvl.fingerprint``), 64 hexadecimal digits.
        tile: Side of a tile, pixels.
        tokens: Visual tokens of a whole tile.
        small: Visual tokens of a compressed tile; 0 without a router.
        hidden: Width of a visual token.
        weights: How many numbers the process holds of the checkpoint.
    """

    kind: Literal["about"] = "about"
    fingerprint: _Fingerprint
    tile: _Count
    tokens: _Count
    small: Annotated[int, Field(ge=0, le=1 << 20)]
    hidden: _Count
    weights: Annotated[int, Field(ge=1)]


class Asked(_Header):
    """Asks for the features of a picture; the frame behind it is uint8 RGB (tiles, tile, tile, 3).

    Attributes:
        id: The answer's, too.
        fingerprint: What the asking half was loaded from.
        tiles: How many, the thumbnail included.
        tile: Side of a tile, pixels.
        dtype: How the features are to travel.
    """

    kind: Literal["asked"] = "asked"
    id: _Id
    fingerprint: _Fingerprint
    tiles: Annotated[int, Field(ge=1, le=MOST_TILES)]
    tile: _Count
    dtype: Number

    @property
    def size(self) -> int:
        """Bytes of the frame behind it."""
        return self.tiles * self.tile * self.tile * 3


class Seen(_Header):
    """Answers Asked; behind it (tiles, tokens, hidden) and, from a router, (tiles, small, hidden).

    Attributes:
        id: The question's.
        tiles: How many.
        tokens: Visual tokens of a whole tile.
        small: Visual tokens of a compressed tile; 0 where the second frame is missing.
        hidden: Width of a visual token.
        dtype: How the features travel.
        certainty: Of each tile, how sure the router is that a quarter will do, 0 to 1; None without one.
        received_s: When the question was whole, by the answering machine's monotonic clock, seconds.
        began_s: When encoding began, likewise.
        ended_s: When it had ended, likewise.
    """

    kind: Literal["seen"] = "seen"
    id: _Id
    tiles: Annotated[int, Field(ge=1, le=MOST_TILES)]
    tokens: _Count
    small: Annotated[int, Field(ge=0, le=1 << 20)]
    hidden: _Count
    dtype: Number
    certainty: tuple[_Share, ...] | None = None
    received_s: _Moment
    began_s: _Moment
    ended_s: _Moment

    @property
    def sizes(self) -> tuple[int, ...]:
        """Bytes of each frame behind it."""
        each = [self.tokens] if self.small == 0 else [self.tokens, self.small]
        return tuple(self.tiles * count * self.hidden * WIDTHS[self.dtype] for count in each)


class Refused(_Header):
    """Answers anything that is not done.

    Attributes:
        id: The question's; empty where it could not be read.
        why: ``busy`` (ask again later), ``malformed``, ``foreign`` (another checkpoint) or ``failed``.
        says: For people.
    """

    kind: Literal["refused"] = "refused"
    id: Annotated[str, Field(pattern="^([0-9a-f]{32})?$")] = ""
    why: Why
    says: Annotated[str, Field(max_length=500)]


Header: TypeAlias = Hello | About | Asked | Seen | Refused
_HEADERS: TypeAdapter[Header] = TypeAdapter(Annotated[Header, Field(discriminator="kind")])


class Times(NamedTuple):
    """When a picture was where, in seconds of each machine's own monotonic clock (one clock on one machine).

    Attributes:
        sent_s: Handed to the socket.
        received_s: Whole at the vision process.
        began_s: Encoding began there.
        ended_s: Encoding had ended there.
        got_s: The features were whole here.
        size: Bytes that travelled, both ways.
    """

    sent_s: float
    received_s: float
    began_s: float
    ended_s: float
    got_s: float
    size: int


@dataclass(frozen=True, slots=True)
class RemoteVision:
    """Where a model's vision half is, and how long to wait for it.

    Attributes:
        address: ``tcp://HOST:PORT``.
        dtype: How features travel; float32 takes twice the bytes and is what the process computed, to the bit, where
            that is float32.
        connect_s: Longest wait for a connection, seconds.
        wait_s: Longest wait for a picture's features, seconds; what waits before it there counts. A process that gives
            no sign of life for 6 seconds, busy or not, counts as gone.
        ahead: Pictures at most on their way or in the process at a time.
        heard: Called with the times of every picture; for measuring.
    """

    address: str
    dtype: Number = "bfloat16"
    connect_s: float = 5.0
    wait_s: float = 30.0
    ahead: int = 4
    heard: Callable[[Times], None] | None = None

    def __post_init__(self) -> None:
        check_address(self.address)
        if self.ahead < 1 or self.connect_s <= 0 or self.wait_s <= 0:
            raise UsageError(
                f"RemoteVision needs ahead of 1 or more and waits above 0 s, not {self.ahead}, {self.connect_s} and "
                f"{self.wait_s}"
            )


def check_address(address: str) -> None:
    """Check that an address is one.

    Raises:
        UsageError: If it is not ``tcp://HOST:PORT``.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None or int(found[2]) > 65_535:
        raise UsageError(f"the vision process's address {address!r} is none: give tcp://HOST:PORT")


def is_loopback(address: str) -> bool:
    """Tell whether an address is reached from this machine alone."""
    found = _ADDRESS.fullmatch(address)
    return found is not None and on_this_machine(found[1].strip("[]"))


def pack(header: Header) -> bytes:
    """Write a header."""
    return header.model_dump_json().encode()


def unpack(frame: Any) -> Header:
    """Read a header from a frame's bytes.

    Raises:
        ModelUnavailable: If it is none of this protocol.
    """
    if len(frame) > HEADER_BYTES:
        raise ModelUnavailable(f"a header of {len(frame)} bytes came, and {HEADER_BYTES} are allowed")
    try:
        return _HEADERS.validate_json(bytes(frame))
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ModelUnavailable(
            f"that is no message of protocol {PROTOCOL} ({where or 'header'}: {first['msg'][:200]})"
        ) from exc


def set_bounds(socket: "zmq.asyncio.Socket", longest: int, *, ipv6: bool) -> None:
    """Bound what a socket takes, and have it notice an end that is gone.

    Args:
        socket: Not connected or bound yet.
        longest: Greatest length of a frame, bytes; who sends a longer one is cut off.
        ipv6: Whether its address is written as IPv6.
    """
    import zmq

    socket.set(zmq.LINGER, 0)
    socket.set(zmq.MAXMSGSIZE, longest)
    socket.set(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
    socket.set(zmq.HEARTBEAT_TIMEOUT, 3 * _HEARTBEAT_MS)
    socket.set(zmq.IPV6, int(ipv6))


async def receive(socket: "zmq.asyncio.Socket", most: int = _FRAMES) -> "list[zmq.Frame]":
    """Receive a message, frame by frame; of one with too many frames, one more than ``most`` is kept."""
    frames: list[zmq.Frame] = []
    while True:
        frame: zmq.Frame = await socket.recv(copy=False)
        if len(frames) <= most:
            frames.append(frame)
        if not frame.more:
            return frames
