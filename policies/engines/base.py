"""The Engine protocol: a request in, a stream of text out."""

import math
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from foveate.actions.errors import UsageError
from foveate.envs.base import Image
from foveate.policies.base import Sampling, Usage

FinishReason: TypeAlias = Literal["stop", "length", "aborted"]
Capability: TypeAlias = Literal["encode", "score", "grammar", "prefill", "logprobs", "flash", "visual_tokens"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """An image as an engine encoded it before, to be used in a request to the same engine.

    Attributes:
        features: The engine's own object.
        visual_tokens: How many tokens it takes.
    """

    features: Any = field(repr=False)
    visual_tokens: int


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of a message's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A picture in a message.

    Attributes:
        image: Pixels, uint8 RGB (height, width, 3), or what ``Engine.encode`` made of them.
        max_tiles: Greatest number of tiles, the thumbnail not counted.
    """

    image: Image | Encoded = field(repr=False)
    max_tiles: int = 12


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[TextPart | ImagePart, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What an engine is asked.

    Attributes:
        messages: The conversation, system message first.
        prefill: How the answer begins, given to the model as its own words; the stream does not repeat it; for
            engines that can.
        grammar: A regular expression that the answer must match; for engines that can.
        stop: Texts after which generation ends; they are part of the stream.
        sampling: How tokens are drawn.
        max_new_tokens: Limit of the answer's length.
        visual_tokens: Budget of visual tokens, for engines that can compress.
        flash: Compress tiles where the model's router says so; None is the checkpoint's default.
    """

    messages: tuple[Message, ...]
    prefill: str = ""
    grammar: str | None = None
    stop: tuple[str, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    max_new_tokens: int = 512
    visual_tokens: int | None = None
    flash: bool | None = None

    @property
    def pictures(self) -> tuple[ImagePart, ...]:
        """Every picture of the conversation, in order."""
        return tuple(part for message in self.messages for part in message.parts if isinstance(part, ImagePart))


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of an answer; the last one carries ``finish`` and ``usage``.

    Attributes:
        text: Text since the last Delta.
        token_ids: Tokens since the last Delta.
        logprobs: Natural log-probability of each of them, or None.
        finish: Why the answer ended; None while it goes on.
        usage: What the request cost; with ``finish`` alone.
        prompt_ids: Ids of the prompt as computed, with ``finish``, where the engine gives them.
    """

    text: str = ""
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] | None = None
    finish: FinishReason | None = None
    usage: Usage | None = None
    prompt_ids: tuple[int, ...] | None = None


class Engine(Protocol):
    """Serves a model. Subclass it with ``envs.base.Resource`` for its lifetime.

    Attributes:
        capabilities: What it can do beyond ``generate``.
    """

    capabilities: frozenset[Capability]

    @property
    def opened(self) -> bool:
        """True while it is open."""
        raise NotImplementedError

    async def open(self) -> None:
        """Load or reach the model.

        Raises:
            ModelUnavailable: If there is none.
            CheckpointError: If its checkpoint is broken or foreign.
        """

    async def close(self) -> None:
        """Release the model."""

    def generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        """Answer a request piece by piece; closing the stream aborts the request before it returns.

        Raises:
            UsageError: If the request holds a value that no model can take; see ``check_request``.
            ModelUnavailable: If the model cannot take the request (a capability that it lacks, say).
            ModelTimeout: If it does not answer in time.
        """
        raise NotImplementedError

    async def encode(self, images: Sequence[ImagePart]) -> tuple[Encoded, ...]:
        """Encode images ahead of a request; where ``capabilities`` has ``encode``."""
        raise NotImplementedError(f"{type(self).__name__} cannot encode ahead")

    async def score(self, request: Request, choices: Sequence[str]) -> tuple[float, ...]:
        """Give the log-probability of each choice as the answer; where ``capabilities`` has ``score``."""
        raise NotImplementedError(f"{type(self).__name__} cannot score")


def check_request(request: Request) -> None:
    """Refuse what no model can take; every engine asks this first.

    Raises:
        UsageError: If a picture, a limit or the sampling is none; names the value and what is wanted.
    """
    for part in request.pictures:
        check_picture(part)
    sampling = request.sampling
    _whole("max_new_tokens", request.max_new_tokens)
    if not (_finite(sampling.temperature) and sampling.temperature >= 0):
        raise UsageError(f"the sampling has temperature {sampling.temperature!r}: temperature >= 0 is wanted")
    if not (_finite(sampling.top_p) and 0 < sampling.top_p <= 1):
        raise UsageError(f"the sampling has top_p {sampling.top_p!r}: 0 < top_p <= 1 is wanted")
    if not isinstance(sampling.seed, Integral | None):
        raise UsageError(f"the sampling has seed {sampling.seed!r}: a whole number or None is wanted")


def check_picture(part: ImagePart) -> None:
    """Refuse a picture that is none; what an engine encoded is for that engine to judge.

    Raises:
        UsageError: Names its type or shape, and what is wanted.
    """
    image: object = part.image
    if isinstance(image, Encoded):
        return
    _whole("a picture's max_tiles", part.max_tiles)
    found = f"{image.dtype} of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape[2:] != (3,) or image.size == 0:
        raise UsageError(f"a picture is {found}: uint8 RGB of shape (height, width, 3) is wanted")


def _whole(name: str, value: object) -> None:
    if not isinstance(value, Integral) or value < 1:
        raise UsageError(f"{name} is {value!r}: a whole number of at least 1 is wanted")


def _finite(value: object) -> bool:
    return isinstance(value, Real) and math.isfinite(value)
