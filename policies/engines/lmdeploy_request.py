"""A request in LMDeploy's words.

The prompt is InternVL's own, written here and not by a chat template, so that it is the torch engine's token for token:
LMDeploy is handed one message of texts and pictures and told to leave it as it is.
"""

import re
from typing import Any, Final

import numpy as np
from PIL import Image as Pillow

from foveate.actions.errors import ModelUnavailable
from foveate.policies.engines.base import Encoded, ImagePart, Request, TextPart
from foveate.policies.engines.servable import Servable
from foveate.policies.internvl.tiling import tile_count, tile_grid

_LIKE_A_TOKEN: Final = re.compile(r"<(?=img>|/img>|IMG_CONTEXT>|IMAGE_TOKEN>|video>|\|[^<>\s]*\|>)")
_WORD_JOINER: Final = "\u2060"


def content(request: Request, subject: Servable) -> str | list[dict[str, Any]]:
    """Write the prompt: a text, or one message of texts and pictures, each picture with its tile budget.

    Raises:
        ModelUnavailable: If a picture is none, or its tile budget is one that LMDeploy would leave out.
    """
    parts: list[dict[str, Any]] = []
    said = ""
    for message in request.messages:
        said += f"<|im_start|>{message.role}\n"
        text = ""  # of parts that follow one another: a token's halves in two of them are harmless alone
        for part in message.parts:
            if isinstance(part, TextPart):
                text += part.text
                continue
            parts += [{"type": "text", "text": said + harmless(text)}, _picture(part, subject)]
            said = text = ""  # LMDeploy writes the marks around the picture, and a line break behind them
        said += f"{harmless(text)}<|im_end|>\n"
    said += "<|im_start|>assistant\n" + request.prefill
    return [{"role": "user", "content": [*parts, {"type": "text", "text": said}]}] if parts else said


def harmless(text: str) -> str:
    """Keep what looks like a control token in a text from being one: a word joiner follows its first character."""
    return _LIKE_A_TOKEN.sub(f"<{_WORD_JOINER}", text)


def visual_tokens(request: Request, subject: Servable) -> int:
    """Count a request's visual tokens, every tile whole."""
    tile, each = _tile(subject), 256 if subject.size is None else subject.size.tower.tokens
    count = 0
    for part in request.pictures:
        if not isinstance(part.image, Encoded):
            height, width = part.image.shape[:2]
            count += tile_count(width, height, max_tiles=part.max_tiles, tile=tile)
    return count * each


def generation(request: Request) -> dict[str, Any]:
    """Lay out the fields of LMDeploy's GenerationConfig.

    Stop texts are not among them: LMDeploy leaves out those of several tokens, and cuts those of one.
    """
    sampling = request.sampling
    fields: dict[str, Any] = {
        "max_new_tokens": request.max_new_tokens,
        "do_sample": sampling.temperature > 0,
        "skip_special_tokens": False,
    }
    if sampling.temperature > 0:
        fields |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        if sampling.seed is not None:
            fields["random_seed"] = sampling.seed % 2**31
    if request.grammar is not None:
        fields["response_format"] = {"type": "regex_schema", "regex_schema": request.grammar}
    return fields


def refuse(request: Request, flash: bool | None) -> None:
    """Refuse what LMDeploy cannot do with a request.

    Args:
        request: What is asked.
        flash: Whether the router is on; None without one.

    Raises:
        ModelUnavailable: If it cannot; names what.
    """
    if request.flash is not None and request.flash != bool(flash):
        state = "off" if not flash else "on"
        raise ModelUnavailable(
            f"LMDeploy's router is {state} since it was loaded, and no request changes that: say flash where the "
            "engine is made"
        )
    if request.visual_tokens is not None:
        raise ModelUnavailable(
            "LMDeployEngine keeps to no budget of visual tokens: lower the number of tiles, or take the torch engine"
        )
    if request.sampling.temperature > 2:
        raise ModelUnavailable(
            f"LMDeploy samples with a temperature of 2 at most, not {request.sampling.temperature}: lower it"
        )


def _tile(subject: Servable) -> int:
    return 448 if subject.size is None else subject.size.tower.tile


def _picture(part: ImagePart, subject: Servable) -> dict[str, Any]:
    """Hand over a picture as it is; of transformers' layout LMDeploy leaves the budget out, so it must not matter."""
    if isinstance(part.image, Encoded):
        raise ModelUnavailable("LMDeployEngine takes pixels, not what another engine encoded")
    picture = Pillow.fromarray(np.ascontiguousarray(part.image))
    if subject.code:
        return {"type": "image_data", "image_data": {"data": picture, "max_dynamic_patch": part.max_tiles}}
    tile, (width, height) = _tile(subject), picture.size
    wanted = tile_grid(width, height, max_tiles=part.max_tiles, tile=tile)
    if wanted == (1, 1):
        picture = picture.resize((tile, tile), Pillow.Resampling.BICUBIC)
    elif wanted != tile_grid(width, height, max_tiles=subject.tiles, tile=tile):
        raise ModelUnavailable(
            f"LMDeploy takes no tile budget a picture with a checkpoint in transformers' layout: {subject.model} "
            f"always has {subject.tiles}, not {part.max_tiles}; take one in GitHub's layout, that many tiles, or one"
        )
    return {"type": "image_data", "image_data": {"data": picture}}
