"""A checkpoint's vision half by its fingerprint: whether two processes see with the same eyes."""

import hashlib
from typing import Any, Final

from foveate.policies.internvl.checkpoint import Checkpoint
from foveate.policies.internvl.converting import Source, Weights, plan
from foveate.policies.internvl.layouts import ROUTER, on_disk

_ROWS: Final = 8
_LANGUAGE: Final = "language_model."


def vision_sources(checkpoint: Checkpoint, weights: Weights) -> dict[str, Source]:
    """Say where the tensors of vision tower and projector come from, by their names in transformers' files.

    Raises:
        CheckpointError: If a tensor is not the layout's; names it.
    """
    if checkpoint.layout == "transformers":
        named = {on_disk(name): Source((name,)) for name in weights.shapes}
        return {name: source for name, source in named.items() if not name.startswith(_LANGUAGE)}
    own = {name: shape for name, shape in weights.shapes.items() if not name.startswith((_LANGUAGE, *ROUTER))}
    return plan(own, "transformers")


def fingerprint(checkpoint: Checkpoint) -> str:
    """Give the fingerprint of a checkpoint's tower, projectors and router; either layout of one has the same.

    Of every tensor its name, shape, number format and eight rows go into it, evenly spread: it tells checkpoints
    apart that were trained differently, and is no proof against somebody who forges one. Blocks for milliseconds.

    Returns:
        64 hexadecimal digits.

    Raises:
        CheckpointError: If a tensor is not the layout's; names it.
    """
    found = hashlib.sha256()
    found.update(repr((checkpoint.tile, checkpoint.tokens_per_tile, checkpoint.mean, checkpoint.std)).encode())
    with Weights(checkpoint.folder) as weights:
        sources = vision_sources(checkpoint, weights)
        sources |= {name: Source((name,)) for name in weights.shapes if name.startswith(ROUTER)}
        for name in sorted(sources):
            found.update(f"{name} {_shape(weights, sources[name])}".encode())
            for row in weights.rows(sources[name], _ROWS):
                found.update(_bytes(row))
    return found.hexdigest()


def _shape(weights: Weights, source: Source) -> tuple[int, ...]:
    rows, *rest = weights.shapes[source.parts[0]]
    return (rows if source.part is None else rows // 3, *rest)


def _bytes(row: Any) -> bytes:
    import torch

    return str(row.dtype).encode() + bytes(row.contiguous().view(torch.uint8).numpy())
