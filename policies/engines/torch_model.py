"""The blocking half of the torch engine: a loaded InternVL, its prompt and its decoding loop. Runs in one thread.

Only ``engines/torch.py`` imports this module, and only when an engine is opened: torch and transformers come with it.
"""

import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import Tensor

from foveate.actions.errors import CheckpointError, ModelUnavailable
from foveate.policies.base import Usage
from foveate.policies.engines.base import Delta, Encoded, FinishReason, ImagePart, Message, Request, TextPart
from foveate.policies.engines.constraint import Constraint, Constraints
from foveate.policies.engines.streaming import Aborted, TextStream
from foveate.policies.engines.torch_loading import (
    device_named,
    dtype_named,
    end_tokens,
    load_model,
    load_tokenizer,
    quiet,
)
from foveate.policies.engines.torch_placing import EVERY_GPU, check_bits, enough_memory, quantise, spread
from foveate.policies.engines.torch_sampling import Drawer, drawer
from foveate.policies.engines.torch_vision import TileFeatures, Vision, shortened, visual_tokens
from foveate.policies.internvl.checkpoint import Checkpoint
from foveate.policies.internvl.tiling import normalised, tile_count, tiles
from foveate.policies.internvl.vir import KEPT_SHARE

_TOKENS = ("<img>", "</img>", "<IMG_CONTEXT>", "<|im_start|>", "<|im_end|>")


@dataclass(slots=True)
class _Prompt:
    """A prompt as the model takes it.

    Attributes:
        ids: Token ids, placeholders expanded.
        pictures: One a run of placeholders: normalised tiles (tiles, 3, tile, tile), or features.
        visual: Number of visual tokens.
        tile_ms: Milliseconds of tiling and normalising.
        saved: Visual tokens that a router left out.
    """

    ids: list[int]
    pictures: list[Tensor | TileFeatures]
    visual: int
    tile_ms: float
    saved: int = 0


class TorchModel:
    """An InternVL checkpoint in memory.

    Args:
        checkpoint: Where and what it is.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``cuda:all``.
        dtype: ``auto`` (float32 on a CPU, bfloat16 on a GPU and with fewer bits), ``float32``, ``bfloat16`` or
            ``float16``.
        bits: Of a number of the language model's matrices, 16, 8 or 4.
        jump_forward: Do not decode what a grammar leaves no choice about.
        blind: Load no vision tower: pictures come encoded.

    Raises:
        ModelUnavailable: If the device cannot be had or is too small, or there are no such bits.
        MissingDependency: If what fewer bits or several GPUs need is not installed.
        CheckpointError: If tensors are missing or left over, or the tokenizer does not fit.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str = "auto",
        dtype: str = "auto",
        bits: int = 16,
        jump_forward: bool = True,
        blind: bool = False,
    ) -> None:
        self.checkpoint = checkpoint
        check_bits(bits, checkpoint.config["text_config"])
        self.device = device_named(device)
        self.dtype = dtype_named("bfloat16" if dtype == "auto" and bits != 16 else dtype, self.device)
        self.cancelled = threading.Event()
        self.jump_forward = jump_forward
        self._grammars: Constraints | None = None
        with quiet(), enough_memory(self.device):
            self.tokenizer = load_tokenizer(checkpoint)
            model = load_model(checkpoint, self.dtype, blind=blind)
            quantise(model, bits)
            self.model = (spread(model, bits) if device == EVERY_GPU else model.to(self.device)).eval()
            self.vision = Vision(self.model, checkpoint, blind=blind)
        self.ids = {token: self._id(token) for token in _TOKENS}
        self.ends = end_tokens(self.model, self.tokenizer, self.ids["<|im_end|>"])
        added = self.tokenizer.get_added_vocab()
        controls = {token for token in added if token in _TOKENS or re.fullmatch(r"<\|.*\|>|<video>", token)}
        self._controls = re.compile("|".join(map(re.escape, sorted(controls))))
        self._watch()

    def _id(self, token: str) -> int:
        number = self.tokenizer.convert_tokens_to_ids(token)
        rows = self.model.get_input_embeddings().num_embeddings
        if not isinstance(number, int) or number == self.tokenizer.unk_token_id:
            raise CheckpointError(f"the tokenizer of {self.checkpoint.folder} has no token {token}: is it InternVL's?")
        if number >= rows:
            raise CheckpointError(
                f"{self.checkpoint.folder}: the tokenizer gives {token} the id {number}, the model has {rows} tokens"
            )
        return number

    def _watch(self) -> None:
        """Make every layer look whether the request was aborted, so that a long prefill ends at once."""

        def stop_here(*_: object) -> None:
            if self.cancelled.is_set():
                raise Aborted

        for name, module in self.model.named_modules():
            if re.search(r"\.layers?\.\d+$", name):
                module.register_forward_pre_hook(stop_here)

    # Prompt ---------------------------------------------------------------------------------------------------------

    def _encode_text(self, text: str) -> list[int]:
        """Tokenise untrusted text: what looks like a control token in it stays mere text."""
        ids: list[int] = []
        start = 0
        for found in self._controls.finditer(text):
            ids += self._tokenise(text[start : found.start() + 1])
            start = found.start() + 1
        return ids + self._tokenise(text[start:])

    def _tokenise(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False)) if text else []

    def prompt(self, request: Request) -> _Prompt:
        """Lay out a conversation in InternVL's ChatML, every picture as ``<img>`` placeholders ``</img>``.

        Source: template ``internvl2_5`` (OpenGVLab/InternVL, internvl_chat/internvl/conversation.py).
        """
        prompt = _Prompt([], [], 0, 0.0)
        for message in request.messages:
            self._add(prompt, message)
        prompt.ids += [self.ids["<|im_start|>"], *self._tokenise("assistant\n" + request.prefill)]
        self._fits(len(prompt.ids), prompt.visual, saved=self._saved_at_most(prompt.visual, request))
        start = time.perf_counter()
        prompt.pictures += map(self._picture, request.pictures)  # seconds where there are many: behind the refusal
        prompt.tile_ms = (time.perf_counter() - start) * 1000
        return prompt

    def refuse(self, request: Request) -> None:
        """Refuse what the checkpoint cannot do, and pictures that cannot fit, before one of them is encoded.

        Raises:
            ModelUnavailable: Names the remedy.
        """
        self.vision.refuse(request)
        visual = sum(map(self._tokens, request.pictures))
        saved = self._saved_at_most(visual, request)
        if request.visual_tokens is not None and visual - saved > request.visual_tokens:
            raise ModelUnavailable(
                f"{visual // self.checkpoint.tokens_per_tile} tiles take at least {visual - saved} visual tokens, and "
                f"{request.visual_tokens} are allowed: lower the number of tiles"
            )
        self._fits(visual, visual, saved=saved, least=True)

    def _saved_at_most(self, visual: int, request: Request) -> int:
        """Give how many of a request's visual tokens the router saves where it finds every tile simple."""
        flash = self.checkpoint.thresholds is not None and request.flash is not False
        return visual - visual // KEPT_SHARE if flash else 0

    def _fits(self, tokens: int, visual: int, *, saved: int = 0, least: bool = False) -> None:
        """Refuse a prompt that exceeds the context, also where a router should save as much as it can."""
        limit = self.checkpoint.context
        if tokens - saved >= limit:
            about = "at least " if saved or least else ""
            raise ModelUnavailable(
                f"the prompt takes {about}{tokens - saved} tokens ({visual - saved} of them visual), but the model's "
                f"context is {limit}: lower the number of tiles or shorten the history"
            )

    def _add(self, prompt: _Prompt, message: Message) -> None:
        prompt.ids.append(self.ids["<|im_start|>"])
        text = f"{message.role}\n"
        for part in message.parts:
            if isinstance(part, TextPart):
                text += part.text
                continue
            count = self._tokens(part)
            placeholders = [self.ids["<IMG_CONTEXT>"]] * count
            prompt.ids += [*self._encode_text(text), self.ids["<img>"], *placeholders, self.ids["</img>"]]
            prompt.visual += count
            text = "\n"
        prompt.ids += [*self._encode_text(text), self.ids["<|im_end|>"], *self._tokenise("\n")]

    def _tokens(self, part: ImagePart) -> int:
        """Count a picture's visual tokens, every tile whole, without tiling it."""
        if isinstance(part.image, Encoded):
            return part.image.visual_tokens
        height, width = part.image.shape[:2]
        tile, per_tile = self.checkpoint.tile, self.checkpoint.tokens_per_tile
        return tile_count(width, height, max_tiles=part.max_tiles, tile=tile) * per_tile

    def _picture(self, part: ImagePart) -> Tensor | TileFeatures:
        if isinstance(part.image, Encoded):
            features = part.image.features
            if not isinstance(features, TileFeatures) or features.owner is not self:
                raise ModelUnavailable("a picture was encoded by another engine, or by this one before it was closed")
            return features
        checkpoint = self.checkpoint
        cut = tiles(part.image, max_tiles=part.max_tiles, tile=checkpoint.tile)
        return torch.from_numpy(normalised(cut, mean=checkpoint.mean, std=checkpoint.std))

    # Model ----------------------------------------------------------------------------------------------------------

    def encode(self, images: Sequence[ImagePart]) -> tuple[Encoded, ...]:
        """Encode pictures ahead of a request."""
        encoded = []
        with torch.inference_mode(), enough_memory(self.device):
            for part in images:
                picture = self._picture(part)
                if isinstance(picture, Tensor):
                    picture = self.vision.encode(picture, self)
                encoded.append(Encoded(picture, self._tokens(part)))
        return tuple(encoded)

    def _prefill(self, prompt: _Prompt, request: Request) -> "_Prefilled":
        """Run the vision encoder and the prompt; compressed tiles make the prompt shorter."""
        start = time.perf_counter()
        found = [p if isinstance(p, TileFeatures) else self.vision.encode(p, self) for p in prompt.pictures]
        compressed = self.vision.choose(found, request)
        if any(compressed):
            per_tile, before = self.checkpoint.tokens_per_tile, len(prompt.ids)
            prompt.ids = shortened(prompt.ids, self.ids["<IMG_CONTEXT>"], per_tile, compressed)
            prompt.saved = before - len(prompt.ids)
            prompt.visual -= prompt.saved
        self._fits(len(prompt.ids), prompt.visual)
        ids = torch.tensor([prompt.ids], device=self.device)
        embeds = self.model.get_input_embeddings()(ids).to(self.device)  # of several GPUs it may be on another
        if found:
            embeds[ids == self.ids["<IMG_CONTEXT>"]] = visual_tokens(found, compressed).to(embeds)
        self._wait()
        encoded = time.perf_counter()
        cache = transformers.DynamicCache()
        out = self.model(inputs_embeds=embeds, past_key_values=cache, use_cache=True, logits_to_keep=1)
        self._wait()
        timing = {
            "tile": prompt.tile_ms,
            "encode": (encoded - start) * 1000,
            "prefill": (time.perf_counter() - encoded) * 1000,
        }
        if not bool(torch.isfinite(out.logits[0, -1]).all()):
            raise ModelUnavailable(
                f"{self.checkpoint.folder} computes what is no number: its weights are broken, or {self.dtype} is too "
                "narrow for them: download them again, or take another dtype"
            )
        return _Prefilled(out.logits[0, -1], out.past_key_values, timing)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def generate(self, request: Request, draw: Drawer | None = None) -> Iterator[Delta]:
        """Answer a request token by token; ends by itself, or raises Aborted once ``cancelled`` is set.

        Args:
            request: What is asked.
            draw: Draws tokens in place of the request's sampling: benchmarks put words into the model's mouth.
        """
        with torch.inference_mode(), enough_memory(self.device):
            self.refuse(request)
            prompt = self.prompt(request)
            state = self._prefill(prompt, request)
            start = time.perf_counter()
            text = TextStream(self._decode, request.stop)
            draw = draw or drawer(request.sampling)
            bound = None if request.grammar is None else self._constraints().begin(request.grammar)
            most = min(request.max_new_tokens, self.checkpoint.context - len(prompt.ids))
            finish: FinishReason = "length"
            count, forced, logits = 0, 0, state.logits
            said: list[int] = []  # not fed to the model yet
            while count < most:
                jumped = self._jumped(bound, text, most - count)
                if jumped is not None:
                    count, forced = count + len(jumped.token_ids), forced + len(jumped.token_ids)
                    said += jumped.token_ids
                    yield jumped
                    if text.stopped:
                        finish = "stop"
                        break
                    continue
                if said:
                    logits, said = self._next(said, state.cache), []
                token, logprob = draw(logits, None if bound is None else bound.allowed().to(logits.device))
                count += 1
                ended = token in self.ends
                piece = "" if ended else text.push(token)
                yield Delta(text=piece, token_ids=(token,), logprobs=(logprob,))
                if ended or text.stopped:
                    finish = "stop"
                    break
                if bound is not None:
                    bound.accept(token)
                said.append(token)
            timing = {**state.timing_ms, "decode": (time.perf_counter() - start) * 1000}
            usage = Usage(len(prompt.ids), prompt.visual, 0, count, timing, forced=forced, saved=prompt.saved)
            yield Delta(text=text.flush(), finish=finish, usage=usage, prompt_ids=tuple(prompt.ids))

    def _constraints(self) -> Constraints:
        if self._grammars is None:
            rows = int(self.model.get_output_embeddings().out_features)
            self._grammars = Constraints(self.tokenizer, rows, sorted(self.ends))
        return self._grammars

    def _jumped(self, bound: Constraint | None, text: TextStream, most: int) -> Delta | None:
        """Say what the grammar leaves no choice about, up to the end of the answer."""
        if bound is None or not self.jump_forward:
            return None
        ids: list[int] = []
        pieces: list[str] = []
        for token in bound.forced(most):
            ids.append(token)
            pieces.append(text.push(token))
            if text.stopped:
                break
        return Delta("".join(pieces), tuple(ids), (0.0,) * len(ids)) if ids else None

    def _next(self, said: Sequence[int], cache: Any) -> Tensor:
        ids = torch.tensor([list(said)], device=self.device)
        out = self.model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits: Tensor = out.logits[0, -1]
        return logits

    def _decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def score(self, request: Request, choices: Sequence[str]) -> tuple[float, ...]:
        """Give the log-probability that the answer begins with each choice."""
        with torch.inference_mode(), enough_memory(self.device):
            self.refuse(request)
            prompt = self.prompt(request)
            state = self._prefill(prompt, request)
            first = torch.log_softmax(state.logits.float(), -1)
            return tuple(self._score(choice, first, state.cache, len(prompt.ids)) for choice in choices)

    def _score(self, choice: str, first: Tensor, cache: Any, length: int) -> float:
        ids = self._tokenise(choice)
        if not ids:
            return 0.0
        total = float(first[ids[0]])
        if len(ids) > 1:
            if length + len(ids) > self.checkpoint.context:
                raise ModelUnavailable(f"a choice of {len(ids)} tokens exceeds the context: shorten it")
            fed = torch.tensor([ids[:-1]], device=self.device)
            out = self.model(input_ids=fed, past_key_values=cache, use_cache=True)
            cache.crop(-(len(ids) - 1))  # negative: how many to drop, in every version of transformers
            rest = torch.log_softmax(out.logits[0].float(), -1)
            total += float(rest.gather(1, torch.tensor(ids[1:], device=self.device)[:, None]).sum())
        return total


@dataclass(frozen=True, slots=True)
class _Prefilled:
    """Where decoding starts.

    Attributes:
        logits: Of the first token of the answer, shape (vocabulary,).
        cache: Keys and values of the prompt.
        timing_ms: Milliseconds of ``tile``, ``encode``, ``prefill``.
    """

    logits: Tensor
    cache: Any
    timing_ms: dict[str, float]
