"""A request in the words of llama.cpp's server, and its answer in ours."""

import base64
import codecs
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from PIL import Image as Pillow

from foveate.actions.errors import ModelUnavailable
from foveate.envs.base import Image
from foveate.policies.base import Usage
from foveate.policies.engines.base import (
    Delta,
    Encoded,
    FinishReason,
    ImagePart,
    Message,
    Request,
    TextPart,
    check_request,
)
from foveate.policies.engines.gbnf import gbnf
from foveate.policies.engines.llamacpp_files import GgufFiles
from foveate.policies.engines.llamacpp_text import PromptText
from foveate.policies.engines.streaming import StopText
from foveate.policies.internvl.tiling import tile_grid, tiles

TileForm: TypeAlias = Literal["grid", "separate"]
"""How the tiles of a picture of several are sent: as one picture that llama.cpp cuts, or each as one of its own."""

AS_WRITTEN: Final = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
"""The chat template that leaves a prompt as it is."""

_EXCERPT: Final = 300
_UTF8: Final = codecs.getincrementaldecoder("utf-8")


def content(request: Request, text: PromptText, files: GgufFiles, form: TileForm) -> tuple[list[dict[str, Any]], int]:
    """Lay out a conversation as the torch engine does; llama.cpp adds the marks around pictures.

    Args:
        request: What is asked.
        text: Writes texts for the model's tokenizer.
        files: Of the model.
        form: How the tiles of a picture of several are sent.

    Returns:
        The parts, and the number of visual tokens.

    Raises:
        ModelUnavailable: If a picture has more tiles than the model's file allows, or is none.
    """
    parts: list[dict[str, Any]] = []
    visual = sum([_add(parts, message, text, files, form) for message in request.messages])
    _say(parts, "<|im_start|>" + text.trusted("assistant\n" + request.prefill))
    return parts, visual


@dataclass(slots=True)
class Answer:
    """What has come of an answer.

    Attributes:
        request: What was asked.
        files: Of the model.
        visual: Visual tokens of the prompt.
        tile_ms: Milliseconds of tiling and packing.
        stopped: Whether a stop text ended it.
        finish: Why it ended.
        timings: llama.cpp's own, milliseconds and numbers of tokens.
        text: Makes text of bytes, whole characters at a time.
        stop: Looks for stop texts.
    """

    request: Request
    files: GgufFiles
    visual: int
    tile_ms: float
    stopped: bool = False
    finish: FinishReason = "length"
    timings: Mapping[str, float] = field(default_factory=dict)
    text: codecs.IncrementalDecoder = field(default_factory=lambda: _UTF8("replace"))
    stop: StopText = field(init=False)

    def __post_init__(self) -> None:
        self.stop = StopText(self.request.stop)

    def take(self, event: Mapping[str, Any]) -> Iterator[Delta]:
        """Take an event; give what it adds."""
        if "error" in event:
            raise ModelUnavailable(self._refusal(event["error"]))
        self.timings = event.get("timings") or self.timings
        for choice in event.get("choices") or ():
            if choice.get("finish_reason"):
                self.finish = "length" if choice["finish_reason"] == "length" else "stop"
            listed = (choice.get("logprobs") or {}).get("content") or ()
            if not listed:
                continue
            ids = tuple(int(one["id"]) for one in listed)
            # the message's own text lacks white space at its beginning
            said = self.text.decode(bytes(byte for one in listed for byte in one["bytes"]))
            if ids[-1] in self.files.ends:
                said, self.finish = said.removesuffix(self.files.ends[ids[-1]]), "stop"
            yield Delta(self._until_stop(said), ids, tuple(float(one["logprob"]) for one in listed))

    def _until_stop(self, text: str) -> str:
        text = self.stop.push(text)
        if self.stop.stopped:
            self.stopped, self.finish = True, "stop"
        return text

    def last(self) -> Delta:
        """Give the end, with what the request cost."""
        said = self.timings
        cached, prompt = int(said.get("cache_n", 0)), int(said.get("prompt_n", 0))
        timing = {
            "tile": self.tile_ms,
            "prefill": float(said.get("prompt_ms", 0.0)),
            "decode": float(said.get("predicted_ms", 0.0)),
        }
        usage = Usage(cached + prompt, self.visual, cached, int(said.get("predicted_n", 0)), timing)
        rest = "" if self.stopped else self._until_stop(self.text.decode(b"", final=True))
        return Delta(rest, finish=self.finish, usage=usage)

    def _refusal(self, error: Mapping[str, Any]) -> str:
        if error.get("type") == "exceed_context_size_error":
            return (
                f"the prompt takes {error.get('n_prompt_tokens')} tokens ({self.visual} of them visual), but the "
                f"model's context is {error.get('n_ctx')}: lower the number of tiles or shorten the history"
            )
        return f"llama.cpp refuses the request: {str(error.get('message'))[:_EXCERPT]}"


def body(request: Request, content: list[dict[str, Any]]) -> dict[str, Any]:
    """Write a request in the server's words."""
    sampling = request.sampling
    said: dict[str, Any] = {
        "messages": [{"role": "user", "content": content}],
        "max_tokens": request.max_new_tokens,
        "stream": True,
        "timings_per_token": True,
        "return_progress": True,
        "logprobs": True,
        "top_logprobs": 1,
        "temperature": sampling.temperature,
        "samplers": ["temperature"],
    }
    if sampling.temperature > 0:
        said |= {"samplers": ["temperature", "top_p"], "top_p": sampling.top_p}
        if sampling.seed is not None:
            said["seed"] = sampling.seed % 2**31
    if request.grammar is not None:
        said["grammar"] = gbnf(request.grammar)
    return said


def _add(parts: list[dict[str, Any]], message: Message, text: PromptText, files: GgufFiles, form: TileForm) -> int:
    """Add a message to a prompt's parts; gives its number of visual tokens."""
    visual, said, begun = 0, f"{message.role}\n", "<|im_start|>"
    for part in message.parts:
        if isinstance(part, TextPart):
            said += part.text
            continue
        pictures, count = _pictures(part, files, form)
        _say(parts, begun + text.untrusted(said))
        parts += map(_packed, pictures)
        visual += count * files.tokens_per_tile
        said, begun = "\n", ""
    _say(parts, begun + text.untrusted(said) + "<|im_end|>" + text.trusted("\n"))
    return visual


def _pictures(part: ImagePart, files: GgufFiles, form: TileForm) -> tuple[list[Image], int]:
    """Give what is sent of a picture, and the number of its tiles."""
    if isinstance(part.image, Encoded):
        raise ModelUnavailable("LlamaCppEngine takes pixels, not what another engine encoded")
    height, width = part.image.shape[:2]
    columns, rows = tile_grid(width, height, max_tiles=part.max_tiles, tile=files.tile)
    count = columns * rows
    if count > files.max_tiles:
        raise ModelUnavailable(
            f"a picture takes {count} tiles, and {files.vision.name} allows {files.max_tiles}: lower the number of "
            "tiles"
        )
    if count == 1 or form == "separate":
        cut = tiles(part.image, max_tiles=part.max_tiles, tile=files.tile)
        return list(cut), len(cut)
    picture = Pillow.fromarray(np.ascontiguousarray(part.image))
    size = (columns * files.tile, rows * files.tile)
    return [np.asarray(picture.resize(size, Pillow.Resampling.BICUBIC))], count + 1


def _say(parts: list[dict[str, Any]], text: str) -> None:
    """Add a text to a prompt's parts; two on end are one, for the server puts a line break between them."""
    if parts and parts[-1]["type"] == "text":
        parts[-1]["text"] += text
    else:
        parts.append({"type": "text", "text": text})


def _packed(image: Image) -> dict[str, Any]:
    packed = io.BytesIO()
    Pillow.fromarray(np.ascontiguousarray(image)).save(packed, "BMP")  # nothing to compress: it stays in this process
    url = f"data:image/bmp;base64,{base64.b64encode(packed.getvalue()).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def refuse(request: Request) -> None:
    """Refuse what this engine cannot do, rather than leave it out.

    Raises:
        UsageError: If the request holds a value that no model can take.
        ModelUnavailable: If it asks for what llama.cpp cannot do.
    """
    check_request(request)
    if request.flash:
        raise ModelUnavailable(
            "LlamaCppEngine cannot run Flash, llama.cpp has no router: take the torch engine, or leave flash out"
        )
    if request.visual_tokens is not None:
        raise ModelUnavailable(
            "LlamaCppEngine cannot compress visual tokens: lower the number of tiles, or take the torch engine"
        )
