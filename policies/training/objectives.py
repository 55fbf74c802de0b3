"""What a small InternVL is taught: the answer, and dense objectives whose heads are dropped afterwards.

The answer alone gives no useful gradient for a long time. *Chars* and *centre*: each patch says its characters and
where to press what it shows. *Align*: each character of a named text looks for the visual token where it stands.
*Point*: where a place is to be said, the visual tokens of what is meant; where a text is to be read out, that of its
next character. *Where*: each visual token says where to press what it shows, through the very output rows that say
coordinates. *Say* and *place*: the answer itself, its places with soft labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveate.policies.internvl.tiling import IMAGENET_MEAN, IMAGENET_STD
from foveate.policies.training.packing import CHARS, IGNORED, NO_CHAR, SLOTS, Batch, first_visual
from foveate.policies.training.tokenizer import COORDINATES, build_tokenizer
from foveate.policies.training.weighting import square_average

_SPREAD = 1.5
"""Standard deviation of a coordinate's soft label, in hundredths."""

_NEAR = 0.035
_ALIGN_LAYER, _POINT_LAYER = 2, 3
_LOOK = 64
_NONE_WEIGHT = 0.15


class Heads(nn.Module):
    """The objectives' own parameters; no part of the checkpoint.

    Args:
        vision: Width of the vision tower.
        hidden: Width of the decoder.
    """

    def __init__(self, vision: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(vision)  # the tower's own output has none
        self.chars = nn.Linear(vision, SLOTS * CHARS)
        self.centre = nn.Linear(vision, 2 * len(COORDINATES))
        self.align_query, self.align_key = nn.Linear(hidden, _LOOK), nn.Linear(hidden, _LOOK)
        self.point_query, self.point_key = nn.Linear(hidden, _LOOK), nn.Linear(hidden, _LOOK)
        self.where = nn.ModuleList([nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)])


@dataclass(frozen=True, slots=True)
class Scores:
    """A batch's losses and, for people, shares that were right (0 to 1, NaN of nothing), both by objective."""

    losses: dict[str, Tensor] = field(default_factory=dict)
    right: dict[str, Tensor] = field(default_factory=dict)

    def total(self, weights: Mapping[str, float]) -> Tensor:
        """Give the weighted sum of the losses."""
        return torch.stack([weight * self.losses[name] for name, weight in weights.items()]).sum()


def busy_patches(chars: Tensor, count: int) -> Tensor:
    """Choose the patches worth looking at: those with characters, then their neighbours, then any.

    Args:
        chars: int64 (B, patches, slots), as in Batch.
        count: How many a screen.

    Returns:
        int64 (B, count), patch numbers.
    """
    busy = (chars != NO_CHAR).any(-1).float()
    side = round(busy.shape[1] ** 0.5)
    near = functional.max_pool2d(busy.view(-1, 1, side, side), 3, stride=1, padding=1).flatten(1)
    return (2 * busy + near + 0.9 * torch.rand_like(busy)).topk(count, dim=1).indices


def see(model: Any, pixels: Tensor, kept: Tensor | None = None) -> Tensor:
    """Run the vision tower.

    Args:
        model: An InternVLForConditionalGeneration.
        pixels: uint8 (B, 3, tile, tile).
        kept: int64 (B, n), the patches to look at; None is all.

    Returns:
        (B, n, width), without the class token.
    """
    tower = model.model.vision_tower
    projection = tower.embeddings.patch_embeddings.projection
    patch, size = int(projection.kernel_size[0]), pixels.shape[0]
    side = pixels.shape[2] // patch
    if kept is None:
        kept = torch.arange(side * side, device=pixels.device).expand(size, -1)
    rows = torch.arange(size, device=pixels.device)[:, None]
    cut = pixels.view(size, 3, side, patch, side, patch).permute(0, 2, 4, 1, 3, 5)[rows, kept // side, kept % side]
    mean, std = (
        torch.tensor(values, device=pixels.device).view(3, 1, 1) * 255.0 for values in (IMAGENET_MEAN, IMAGENET_STD)
    )
    values = ((cut.float() - mean) / std).flatten(2)
    # a product instead of a convolution: the same numbers, and its gradient is several times faster on a CPU
    tokens = functional.linear(values, projection.weight.flatten(1), projection.bias)
    tokens = tokens + tower.embeddings.position_embeddings[0][kept + 1]
    first = (tower.embeddings.cls_token + tower.embeddings.position_embeddings[:, :1]).expand(size, -1, -1)
    hidden = tower.encoder(torch.cat([first, tokens], 1)).last_hidden_state
    features: Tensor = tower.layernorm(hidden)[:, 1:]
    return features


def project(model: Any, features: Tensor) -> Tensor:
    """Turn patches into visual tokens: (B, patches, width) to (B, tokens, hidden)."""
    size, patches = features.shape[:2]
    side = round(patches**0.5)
    shuffled = model.model.pixel_shuffle(features.reshape(size, side, side, -1), scale_factor=0.5)
    tokens: Tensor = model.model.multi_modal_projector(shuffled.reshape(size, patches // 4, -1))
    return tokens


def soft_coordinates(values: Tensor) -> Tensor:
    """Give the soft labels over the hundred coordinates of fractions 0 to 1: (n,) to (n, 100), rows sum to 1."""
    grid = torch.arange(len(COORDINATES), dtype=torch.float32, device=values.device)
    return torch.softmax(-((values[:, None] * 100 - grid) ** 2) / (2 * _SPREAD**2), -1)


def _mean(losses: Tensor) -> Tensor:
    """Average; 0, with a gradient, of nothing."""
    return losses.sum() / max(losses.numel(), 1)


def _place_loss(logits: Tensor, values: Tensor) -> Tensor:
    """Score (n, 100) logits against n fractions."""
    return _mean(-(soft_coordinates(values) * torch.log_softmax(logits.float(), -1)).sum(-1))


def _near(logits: Tensor, values: Tensor) -> Tensor:
    return ((logits.detach().argmax(-1) / 100 - values).abs() < _NEAR).float().mean()


def _equal(logits: Tensor, wanted: Tensor) -> Tensor:
    return (logits.detach().argmax(-1) == wanted).float().mean()


def read(heads: Heads, features: Tensor, batch: Batch, scores: Scores, kept: Tensor | None = None) -> None:
    """Score characters and centres said by patches (B, n, width), ``kept`` as for ``see``."""
    chars, centres = batch.chars, batch.centres
    if kept is not None:
        rows = torch.arange(kept.shape[0], device=kept.device)[:, None]
        chars, centres = chars[rows, kept], centres[rows, kept]
    features = heads.norm(features)
    logits = heads.chars(features).float().view(*features.shape[:2], SLOTS, CHARS).flatten(0, 2)
    wanted = chars.flatten()
    weight = torch.ones(CHARS, device=wanted.device)
    weight[NO_CHAR] = _NONE_WEIGHT
    shown = wanted != NO_CHAR
    scores.losses["chars"] = functional.cross_entropy(logits, wanted, weight=weight)
    scores.right["chars"] = _equal(logits[shown], wanted[shown])
    on = ~centres[..., 0].isnan()
    values = centres[on]
    said = heads.centre(features[on]).view(-1, 2, len(COORDINATES))
    scores.losses["centre"] = _place_loss(said[:, 0], values[:, 0]) + _place_loss(said[:, 1], values[:, 1])
    scores.right["centre"] = _near(said[:, 0], values[:, 0])


def answer(model: Any, heads: Heads, visual: Tensor, batch: Batch, scores: Scores) -> None:
    """Score align, point, where and the answer itself."""
    tokens = visual.shape[1]
    first = first_visual(tokens)
    embeds = model.get_input_embeddings()(batch.ids)
    embeds = torch.cat([embeds[:, :first], visual.to(embeds.dtype), embeds[:, first + tokens :]], 1)
    out = model.model.language_model(
        inputs_embeds=embeds,
        attention_mask={"full_attention": batch.mask().to(embeds.dtype)},
        position_ids=batch.positions,
        output_hidden_states=True,
        use_cache=False,
    )
    seen = slice(first, first + tokens)
    _align(heads, out.hidden_states[_ALIGN_LAYER], seen, batch, scores)
    hidden = out.hidden_states[_POINT_LAYER]
    _point(heads, hidden, seen, batch, scores)
    _where(model, heads, hidden[:, seen], batch, scores)
    _say(model, out.last_hidden_state, batch, scores)


def _align(heads: Heads, hidden: Tensor, seen: slice, batch: Batch, scores: Scores) -> None:
    rows, tokens = torch.nonzero(batch.aligned != IGNORED, as_tuple=True)
    keys = heads.align_key(hidden[:, seen])
    logits = torch.einsum("nd,ncd->nc", heads.align_query(hidden[rows, tokens]), keys[rows]).float() / _LOOK**0.5
    wanted = batch.aligned[rows, tokens]
    scores.losses["align"] = _mean(functional.cross_entropy(logits, wanted, reduction="none"))
    scores.right["align"] = _equal(logits, wanted)


def _point(heads: Heads, hidden: Tensor, seen: slice, batch: Batch, scores: Scores) -> None:
    rows, tokens = batch.pointed.unbind(1)
    keys = heads.point_key(hidden[:, seen])
    logits = torch.einsum("nd,ncd->nc", heads.point_query(hidden[rows, tokens]), keys[rows]).float() / _LOOK**0.5
    share = torch.log_softmax(logits, -1).masked_fill(~batch.cells, float("-inf"))
    scores.losses["point"] = _mean(-torch.logsumexp(share, -1))
    best = logits.detach().argmax(-1, keepdim=True)
    scores.right["point"] = batch.cells.gather(1, best).float().mean()


@lru_cache(maxsize=1)
def _coordinate_rows() -> slice:
    first = int(build_tokenizer().convert_tokens_to_ids(COORDINATES[0]))
    return slice(first, first + len(COORDINATES))


def _where(model: Any, heads: Heads, hidden: Tensor, batch: Batch, scores: Scores) -> None:
    rows = model.lm_head.weight[_coordinate_rows()]
    values = batch.places.flatten(0, 1)
    said = [functional.linear(head(hidden), rows).flatten(0, 1) for head in heads.where]
    scores.losses["where"] = _place_loss(said[0], values[:, 0]) + _place_loss(said[1], values[:, 1])
    scores.right["where"] = _near(said[0], values[:, 0])


def _say(model: Any, hidden: Tensor, batch: Batch, scores: Scores) -> None:
    """Score the answer's tokens; coordinates apart, for their labels are soft and they are few among many."""
    place = ~batch.points.isnan()
    spoken = (batch.answers != IGNORED) & ~place
    logits = model.lm_head(hidden[spoken]).float()
    wanted = batch.answers[spoken]
    losses = functional.cross_entropy(logits, wanted, reduction="none")
    rows = torch.arange(batch.ids.shape[0], device=wanted.device)[:, None]
    numbers = (batch.groups + rows * (int(batch.groups.max()) + 1))[spoken]
    scores.losses["say"] = square_average(losses, numbers)
    scores.right["say"] = _equal(logits, wanted)
    values = batch.points[place]
    logits = torch.log_softmax(model.lm_head(hidden[place]).float(), -1)[:, _coordinate_rows()]
    scores.losses["place"] = _mean(-(soft_coordinates(values) * logits).sum(-1))
    scores.right["place"] = _near(logits, values)
