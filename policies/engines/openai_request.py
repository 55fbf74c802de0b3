"""A request in the words of an OpenAI-compatible server's dialect, and in ours what it counts and says."""

import base64
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from PIL import Image as Pillow

from foveate.actions.errors import ModelUnavailable
from foveate.policies.base import Usage
from foveate.policies.engines.base import Encoded, ImagePart, Message, Request, TextPart
from foveate.policies.engines.gbnf import gbnf
from foveate.policies.internvl.tiling import tile_grid, visual_tokens

Dialect: TypeAlias = Literal["lmdeploy", "vllm", "sglang", "llamacpp", "other"]
"""Whose server it is."""

TILE: Final = 448
"""Side of a tile of every InternVL3.5, pixels."""

_MARKS: Final = 16
"""Most tokens that a chat template puts around a message or a picture."""

_SPARE: Final = 128
"""Half a tile's tokens: a system message that a chat template adds takes no more."""

EXCERPT: Final = 300
"""Most characters of what a server said that go into an error."""

_TOO_LONG: Final = re.compile(r"context|length|too long|longer than", re.IGNORECASE)
"""What a server says of a prompt that is too long for it, among other things."""


@dataclass(frozen=True, slots=True)
class Ways:
    """What a dialect has words for.

    Attributes:
        tiles: Where the tile budget goes: with the picture, with the request, or nowhere. Whether it is kept there is
            for ``counts_fit`` to see.
        grammar: Whether an answer can be kept to a regular expression.
        prefill: Whether the beginning of an answer can be given.
        embeds: Whether pictures can come encoded.
    """

    tiles: Literal["picture", "request", "nowhere"] = "nowhere"
    grammar: bool = False
    prefill: bool = False
    embeds: bool = False


DIALECTS: Final[Mapping[Dialect, Ways]] = MappingProxyType(
    {
        "lmdeploy": Ways("picture", grammar=True),
        "vllm": Ways("request", grammar=True, prefill=True, embeds=True),
        "sglang": Ways("picture", grammar=True, prefill=True),
        "llamacpp": Ways(grammar=True, prefill=True),
        "other": Ways(),
    }
)
"""By dialect."""


def body_of(request: Request, dialect: Dialect, *, served: str, where: str) -> dict[str, Any]:
    """Write a request.

    Args:
        request: What is asked.
        dialect: Whose server it is.
        served: The model that is asked.
        where: What errors call the server.

    Raises:
        ModelUnavailable: If the dialect has no word for something.
    """
    ways = DIALECTS[dialect]
    _refuse(request, ways, f"{where} ({dialect})")
    sampling = request.sampling
    extra: dict[str, Any] = {}
    messages = [_message(message, ways) for message in request.messages]
    if request.prefill:
        messages.append({"role": "assistant", "content": request.prefill})
        if dialect != "llamacpp":  # whose server goes on with a last assistant's message by itself
            extra |= {"continue_final_message": True, "add_generation_prompt": False}
    if request.grammar is not None:
        extra |= _grammar(request.grammar, dialect)
    budgets = _budgets(request)
    if ways.tiles == "request" and budgets - {1}:
        extra["mm_processor_kwargs"] = {"max_dynamic_patch": max(budgets)}
    body: dict[str, Any] = {
        "model": served,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": sampling.temperature,
        "max_tokens": request.max_new_tokens,
    }
    if sampling.temperature > 0:
        body["top_p"] = sampling.top_p
        if sampling.seed is not None:
            body["seed"] = sampling.seed % 2**31
    return {**body, "extra_body": extra} if extra else body


def _grammar(pattern: str, dialect: Dialect) -> dict[str, Any]:
    match dialect:
        case "lmdeploy":
            return {"response_format": {"type": "regex_schema", "regex_schema": pattern}}
        case "vllm":
            return {"structured_outputs": {"regex": pattern}}
        case "llamacpp":
            return {"grammar": gbnf(pattern)}
        case _:
            return {"regex": pattern}


def _refuse(request: Request, ways: Ways, where: str) -> None:
    if request.grammar is not None and not ways.grammar:
        raise ModelUnavailable(f"{where} cannot keep to a regular expression: leave the grammar out")
    if request.prefill and not ways.prefill:
        raise ModelUnavailable(
            f"{where} cannot be given the beginning of an answer ({request.prefill!r}): take vLLM, SGLang or "
            "llama.cpp, or a profile without one"
        )
    if request.flash is not None or request.visual_tokens is not None:
        raise ModelUnavailable(
            f"{where} takes no flash and no budget of visual tokens with a request: set it where the server is "
            "started, or lower the number of tiles"
        )
    encoded = [isinstance(part.image, Encoded) for part in request.pictures]
    if any(encoded) and not (ways.embeds and all(encoded)):
        raise ModelUnavailable(
            f"{where} takes pixels, not what another engine encoded"
            + (": encode all pictures of a request, or none" if ways.embeds else "")
        )
    budgets = _budgets(request)
    if ways.tiles == "request" and len(budgets - {1}) > 1:
        raise ModelUnavailable(f"{where} takes one tile budget for all pictures of a request, not {sorted(budgets)}")


def _message(message: Message, ways: Ways) -> dict[str, Any]:
    if all(isinstance(part, TextPart) for part in message.parts):
        text = "".join(part.text for part in message.parts if isinstance(part, TextPart))
        return {"role": message.role, "content": text}
    return {"role": message.role, "content": [_part(part, ways) for part in message.parts]}


def _budgets(request: Request) -> set[int]:
    """Give the tile budgets of a request's pictures; of one that comes to a single tile, 1."""
    pixels = (part for part in request.pictures if not isinstance(part.image, Encoded))
    return {1 if _one_tile(part) else part.max_tiles for part in pixels}


def _one_tile(part: ImagePart) -> bool:
    """Say whether a picture of pixels comes to a single tile, which is then sent as such."""
    height, width = part.image.shape[:2]  # type: ignore[union-attr]
    return tile_grid(width, height, max_tiles=part.max_tiles, tile=TILE) == (1, 1)


def _part(part: TextPart | ImagePart, ways: Ways) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part.image, Encoded):
        from foveate.policies.engines.torch_vision import embeds_of

        return {"type": "image_embeds", "image_embeds": embeds_of(part.image)}
    picture = Pillow.fromarray(part.image)
    if _one_tile(part):
        picture = picture.resize((TILE, TILE), Pillow.Resampling.BICUBIC)
    packed = io.BytesIO()
    picture.save(packed, "PNG", compress_level=1)
    url: dict[str, Any] = {"url": f"data:image/png;base64,{base64.b64encode(packed.getvalue()).decode()}"}
    if ways.tiles == "picture":
        url["max_dynamic_patch"] = part.max_tiles
    return {"type": "image_url", "image_url": url}


def usage_of(said: Any, request: Request, pieces: int, timing: Mapping[str, float]) -> Usage:
    """Read what an answer cost.

    Args:
        said: The server's own ``usage``; what is nonsense in it is as if it had not come.
        request: What was asked; visual tokens are counted from its pictures and their tile budgets.
        pieces: In how many pieces the answer came: its tokens where the server does not count them.
        timing: Milliseconds of ``prefill`` and ``decode``.
    """
    cached = _count(getattr(getattr(said, "prompt_tokens_details", None), "cached_tokens", None))
    prompt, output = _count(getattr(said, "prompt_tokens", None)), _count(getattr(said, "completion_tokens", None))
    return Usage(prompt, sum(map(_visual, request.pictures)), cached, output or pieces, dict(timing))


def counts_fit(prompt: int, request: Request) -> bool:
    """Say whether a prompt of so many tokens can have its pictures cut as their tile budgets have it.

    How many tokens its text has is the server's knowledge; a token of prose or code is some 4 bytes, a digit is one.
    An eighth and a third of the bytes and half a tile leave room on either side, so what lies outside is a matter of
    tiles.
    """
    texts = [part.text for message in request.messages for part in message.parts if isinstance(part, TextPart)]
    text = "".join([*texts, request.prefill])
    size, digits = len(text.encode("utf-8", "replace")), sum(map(str.isdigit, text))
    marks = _MARKS * (len(request.messages) + len(request.pictures))
    most = size // 3 + digits + marks
    return size // 8 - _SPARE <= prompt - sum(map(_visual, request.pictures)) <= most + _SPARE


def pixels_in(request: Request) -> bool:
    """Say whether a request has pictures that the server cuts, rather than encoded ones or none."""
    return any(not isinstance(part.image, Encoded) for part in request.pictures)


def excerpt(said: object) -> str:
    """Make one line of what a server said."""
    return " ".join(str(said)[: 4 * EXCERPT].split())[:EXCERPT]


def remedied(said: object) -> str:
    """Make one line of what a server said, with the remedy where it speaks of a prompt that is too long."""
    if not _TOO_LONG.search(str(said)):
        return excerpt(said)
    remedy = "lower the number of tiles (--tiles), shorten the history, or start the server with a longer context"
    return f"{excerpt(said)}: {remedy}"


def _visual(part: ImagePart) -> int:
    if isinstance(part.image, Encoded):
        return part.image.visual_tokens
    height, width = part.image.shape[:2]
    return visual_tokens(width, height, max_tiles=part.max_tiles, tile=TILE)


def _count(said: object) -> int:
    """Read a number of tokens; nonsense is as if none came."""
    return said if isinstance(said, int) and not isinstance(said, bool) and said > 0 else 0
