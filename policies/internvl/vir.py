"""The Visual Resolution Router of InternVL3.5's Flash checkpoints: which tiles need only a quarter of their tokens.

Each tile is pooled to one vector, a gate says how sure it is that the tile can be compressed, and two thresholds
decide; a compressed tile goes through a projector of its own, over 4x4 patches a token in place of 2x2. Modules and
parameters bear the names that the checkpoints give them; the arithmetic is that of OpenGVLab's
``modeling_internvl_chat.py`` of the Flash checkpoints, and of LMDeploy.
"""

from typing import Final

import torch
from torch import Tensor, nn

HEADS: Final = 16
"""Attention heads of the pooling, whatever the width of the vision tower."""

KEPT_SHARE: Final = 4
"""A compressed tile has so many times fewer tokens."""


class Pooling(nn.Module):
    """Pools a tile's patches into one vector by attention.

    The second of the four attentions is taken three times over and the last two never: the checkpoints were trained
    so, and hold weights of the unused ones all the same.

    Args:
        width: Of the vision tower.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query_token = nn.Parameter(torch.zeros(1, width))
        for number in range(1, 5):
            setattr(self, f"attn{number}", nn.MultiheadAttention(width, HEADS, batch_first=True))
            setattr(self, f"norm{number}", nn.LayerNorm(width))

    def forward(self, patches: Tensor) -> Tensor:
        """Pool (tiles, patches, width) to (tiles, width)."""
        query = self.query_token.expand(patches.shape[0], 1, -1)
        for number in (1, 2, 2, 2):
            attended, _ = getattr(self, f"attn{number}")(query, patches, patches, need_weights=False)
            query = getattr(self, f"norm{number}")(attended)
        return query[:, 0]


class Gate(nn.Module):
    """Says of pooled tiles how sure it is that each can be compressed.

    Args:
        width: Of the vision tower.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        for number in range(1, 5):
            block = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(0.1), nn.Linear(4 * width, width), nn.Dropout(0.1),
                nn.LayerNorm(width),
            )  # fmt: skip
            setattr(self, f"block{number}", block)
        self.gate = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2))

    def forward(self, pooled: Tensor) -> Tensor:
        """Give the probability that a tile is compressed: (tiles, width) to (tiles,)."""
        for number in range(1, 5):
            pooled = pooled + getattr(self, f"block{number}")(pooled)
        return torch.softmax(self.gate(pooled), dim=-1)[:, 0]


class Router(nn.Module):
    """What a Flash checkpoint has beside InternVL: pooling, gate and the projector of compressed tiles.

    Args:
        vision: Width of the vision tower.
        hidden: Width of the language model.
        downsample: Patches to tokens along a side without compression, as in ``downsample_ratio``.
    """

    def __init__(self, vision: int, hidden: int, *, downsample: float = 0.5) -> None:
        super().__init__()
        channels = vision * round(1 / downsample) ** 4
        self.pooling_before_gating = Pooling(vision)
        self.gating = Gate(vision)
        self.mlp2 = nn.Sequential(
            nn.LayerNorm(channels), nn.Linear(channels, 2 * hidden), nn.GELU(), nn.Dropout(0.1),
            nn.Linear(2 * hidden, 2 * hidden), nn.GELU(), nn.Dropout(0.1), nn.Linear(2 * hidden, hidden),
        )  # fmt: skip
        self._ratio = downsample**2

    def certainty(self, patches: Tensor) -> Tensor:
        """Say how sure it is of each tile that a quarter of its tokens will do.

        Args:
            patches: The vision tower's, without the class token: (tiles, patches, width).

        Returns:
            float32 (tiles,), 0 to 1.
        """
        return self.gating(self.pooling_before_gating(patches)).float()  # type: ignore[no-any-return]

    def compressed(self, patches: Tensor) -> Tensor:
        """Project tiles to a quarter of their tokens: (tiles, patches, width) to (tiles, patches / 16, hidden)."""
        tokens: Tensor = self.mlp2(shuffled(patches, self._ratio))
        return tokens


def shuffled(patches: Tensor, ratio: float) -> Tensor:
    """Lay neighbouring patches behind one another as channels (pixel shuffle, ``ps_version`` v2).

    Args:
        patches: (tiles, patches, width); patches of a square, row by row.
        ratio: Along a side, 0.5 makes a token of 2x2 patches and 0.25 of 4x4.

    Returns:
        (tiles, patches * ratio², width / ratio²).
    """
    tiles, count, width = patches.shape
    side, step = round(count**0.5), round(1 / ratio)
    new = side // step
    # a token's channels: its patches row by row, each with all of its own
    squares = patches.view(tiles, new, step, new, step, width).transpose(2, 3)
    return squares.reshape(tiles, new * new, step * step * width)


def route(gate: Tensor, *, relative: float, absolute: float) -> Tensor:
    """Decide which tiles of one request are compressed.

    A single tile never is, nor are tiles that are all alike: none lies above the quantile.

    Args:
        gate: float (tiles,), 0 to 1, the probability that a tile may be compressed: of all tiles of the request,
            thumbnails included, and of no other request.
        relative: The share of tiles that stays whole, 0 to 1, as a quantile of ``gate``.
        absolute: The least probability at which a tile is compressed, 0 to 1.

    Returns:
        bool (tiles,), True where a tile is compressed.
    """
    if not len(gate):
        return gate.bool()
    values = gate.float()
    return (values > torch.quantile(values, relative)) & (values >= absolute)


def within(certainty: Tensor, tokens_per_tile: int, budget: int) -> Tensor:
    """Compress as few tiles as a budget of visual tokens asks for, the surest first; all of them if it is too small.

    Args:
        certainty: float (tiles,), as ``route`` takes it.
        tokens_per_tile: Visual tokens of a whole tile.
        budget: Visual tokens that the request may have.

    Returns:
        bool (tiles,).
    """
    saved = tokens_per_tile - tokens_per_tile // KEPT_SHARE
    excess = len(certainty) * tokens_per_tile - budget
    count = min(max(-(-excess // saved), 0), len(certainty))
    chosen = torch.zeros(len(certainty), dtype=torch.bool, device=certainty.device)
    chosen[torch.sort(certainty.float(), descending=True, stable=True).indices[:count]] = True
    return chosen
