"""Drawing a token from a model's logits: greedy, or by temperature and nucleus, repeatable by a seed."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from foveate.policies.base import Sampling

Drawer: TypeAlias = Callable[[Tensor, Tensor | None], tuple[int, float]]
"""Draws one of the allowed tokens (None is all) from logits (rows,); gives its log-probability under the model, too."""


def drawer(sampling: Sampling) -> Drawer:
    """Give what draws one of the allowed tokens from logits, with its log-probability under the model itself."""
    generator = torch.Generator()  # on the CPU whatever the device, so that a seed means the same everywhere
    if sampling.seed is None:
        generator.seed()
    else:
        generator.manual_seed(sampling.seed % 2**63)

    def draw(logits: Tensor, allowed: Tensor | None = None) -> tuple[int, float]:
        logits = logits.float()
        choices = logits if allowed is None else logits.masked_fill(~allowed, float("-inf"))
        if sampling.temperature == 0:
            token = int(choices.argmax())
        else:
            shares, order = torch.softmax(choices / sampling.temperature, -1).sort(descending=True)
            sums = shares.cumsum(-1)
            kept = int((sums - shares < sampling.top_p).sum())
            mark = float(torch.rand((), generator=generator)) * float(sums[kept - 1])
            token = int(order[min(int((sums[:kept] <= mark).sum()), kept - 1)])
        return token, float(logits[token] - logits.logsumexp(-1))

    return draw
