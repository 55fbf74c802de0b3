"""The seeing half of the torch engine: tiles to visual tokens, and which of them a router lets be fewer."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from foveate.actions.errors import CheckpointError, ModelUnavailable
from foveate.policies.engines.base import Encoded, Request
from foveate.policies.internvl.checkpoint import Checkpoint
from foveate.policies.internvl.converting import Source, Weights
from foveate.policies.internvl.layouts import ROUTER, refuse_tensors
from foveate.policies.internvl.vir import KEPT_SHARE, Router, route, shuffled, within


@dataclass(frozen=True, slots=True)
class TileFeatures:
    """What the vision encoder made of one picture.

    Attributes:
        owner: The model that may use it; None is any.
        values: Shape (tiles, tokens a tile, hidden), on the model's device and in its dtype.
        compressed: The same with a quarter of the tokens a tile; None without a router.
        certainty: float32 (tiles,), how sure the router is that a quarter will do; None without one.
    """

    owner: object = field(repr=False)
    values: Tensor = field(repr=False)
    compressed: Tensor | None = field(repr=False, default=None)
    certainty: Tensor | None = field(repr=False, default=None)


class Vision:
    """Vision tower, projectors and router of a loaded model.

    Args:
        model: An ``InternVLForConditionalGeneration``.
        checkpoint: What it was loaded from; a router's weights are read from there.
        blind: Leave the router out, too: pictures are encoded elsewhere, and what comes from there is chosen from.

    Raises:
        CheckpointError: If a router's tensor is missing, left over or of another shape; names it.
    """

    def __init__(self, model: Any, checkpoint: Checkpoint, *, blind: bool = False) -> None:
        self._model = model
        self._checkpoint = checkpoint
        self.router = None if blind or checkpoint.thresholds is None else load_router(model, checkpoint)

    def encode(self, pixels: Tensor, owner: object) -> TileFeatures:
        """Encode the tiles of a picture.

        Args:
            pixels: float32, shape (tiles, 3, tile, tile).
            owner: Who may use what comes out.
        """
        config, inner = self._model.config, self._model.model
        values = pixels.to(self._model.device, self._model.dtype)
        if self.router is None:
            out = inner.get_image_features(
                pixel_values=values,
                vision_feature_layer=config.vision_feature_layer,
                vision_feature_select_strategy=config.vision_feature_select_strategy,
            )
            return TileFeatures(owner, out if isinstance(out, Tensor) else out.pooler_output)
        patches = inner.vision_tower(pixel_values=values).last_hidden_state[:, 1:].to(values.device)  # of several GPUs
        whole = inner.multi_modal_projector(shuffled(patches, config.downsample_ratio)).to(values.device)
        return TileFeatures(owner, whole, self.router.compressed(patches), self.router.certainty(patches))

    def refuse(self, request: Request) -> None:
        """Refuse what the checkpoint cannot do.

        Raises:
            ModelUnavailable: Names the remedy.
        """
        if self._checkpoint.thresholds is None and request.flash:
            raise ModelUnavailable(
                f"{self._checkpoint.folder.name} cannot run Flash, it has no router: take a checkpoint whose name "
                "ends in -Flash, or leave flash out"
            )
        if self._checkpoint.thresholds is None and request.visual_tokens is not None:
            raise ModelUnavailable(
                f"{self._checkpoint.folder.name} cannot compress visual tokens: lower the number of tiles, or take a "
                "-Flash checkpoint"
            )
        if request.flash is False and request.visual_tokens is not None:
            raise ModelUnavailable("a budget of visual tokens needs Flash: leave one of the two out")

    def choose(self, pictures: Sequence[TileFeatures], request: Request) -> list[bool]:
        """Say of each tile of a request, in order, whether it is compressed.

        The request's tiles are judged together, and by themselves: what else is asked at the time plays no part. A
        budget of visual tokens that is less than a quarter of them is not kept.
        """
        sure = [picture.certainty for picture in pictures if picture.certainty is not None]
        thresholds = self._checkpoint.thresholds
        if thresholds is None or not sure or request.flash is False:
            return [False] * sum(len(picture.values) for picture in pictures)
        certainty, per_tile = torch.cat(sure), self._checkpoint.tokens_per_tile
        if request.visual_tokens is not None:
            return [bool(one) for one in within(certainty, per_tile, request.visual_tokens).tolist()]
        if request.flash is None and not self._checkpoint.flash:
            return [False] * len(certainty)
        chosen = route(certainty, relative=thresholds.relative, absolute=thresholds.absolute)
        return [bool(one) for one in chosen.tolist()]


def visual_tokens(pictures: Sequence[TileFeatures], compressed: Sequence[bool]) -> Tensor:
    """Give the visual tokens of a request's pictures, one tile behind the other: (tokens, hidden)."""
    whole = chain.from_iterable(picture.values for picture in pictures)
    small = chain.from_iterable(
        picture.values if picture.compressed is None else picture.compressed for picture in pictures
    )
    return torch.cat([few if chosen else many for many, few, chosen in zip(whole, small, compressed, strict=True)])


def embeds_of(encoded: Encoded) -> str:
    """Write a picture's features as vLLM's ``image_embeds`` wants them, every tile whole.

    vLLM asks for what ``torch.save`` writes of a tensor (tokens, hidden) and loads it with ``weights_only``; that is a
    pickle of its choosing, which nothing here ever reads.

    Returns:
        Base64.

    Raises:
        ModelUnavailable: If it is neither a VisionClient's nor a torch engine's.
    """
    features = encoded.features
    if not isinstance(features, TileFeatures):
        raise ModelUnavailable("OpenAIEngine takes pixels, or what a VisionClient or a TorchEngine encoded")
    packed = io.BytesIO()
    torch.save(features.values.flatten(0, 1).to("cpu").contiguous().clone(), packed)
    return base64.b64encode(packed.getvalue()).decode()


def shortened(ids: Sequence[int], placeholder: int, per_tile: int, compressed: Sequence[bool]) -> list[int]:
    """Take from a prompt the placeholders that compressed tiles do not need.

    Args:
        ids: The prompt with ``per_tile`` placeholders for every tile.
        placeholder: The placeholder's id.
        per_tile: Visual tokens of a whole tile.
        compressed: One a tile, in order.
    """
    kept: list[int] = []
    seen = 0
    for number in ids:
        if number == placeholder:
            tile, at = divmod(seen, per_tile)
            seen += 1
            if compressed[tile] and at >= per_tile // KEPT_SHARE:
                continue
        kept.append(number)
    return kept


def load_router(model: Any, checkpoint: Checkpoint) -> Router:
    """Load a Flash checkpoint's router, beside the model that was loaded from it.

    Raises:
        CheckpointError: If a tensor is missing, left over or of another shape; names it.
    """
    config = model.config
    if config.vision_feature_layer != -1:
        raise CheckpointError(
            f"{checkpoint.folder}: select_layer is {config.vision_feature_layer}: the router reads the last layer (-1)"
        )
    with torch.device("meta"):
        router = Router(
            config.vision_config.hidden_size, config.text_config.hidden_size, downsample=config.downsample_ratio
        )
    wanted = {name: tuple(value.shape) for name, value in router.state_dict().items()}
    with Weights(checkpoint.folder) as weights:
        given = {name: shape for name, shape in weights.shapes.items() if name.startswith(ROUTER)}
        both = wanted.keys() & given.keys()
        wrong = {
            "lacks tensors of its router": wanted.keys() - given.keys(),
            "holds tensors that no router has": given.keys() - wanted.keys(),
            "has tensors of its router in another shape": (name for name in both if wanted[name] != given[name]),
        }
        refuse_tensors(checkpoint.folder, wrong)
        state = {name: weights.read(Source((name,))) for name in wanted}
    router.load_state_dict(state, assign=True)
    return router.to(model.device, model.dtype).eval()
