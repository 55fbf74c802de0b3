"""Muon, with matrices of one shape orthogonalised together: several times fewer and larger products.

Source: Keller Jordan, Muon; the scale that matches AdamW's from "Muon is Scalable for LLM Training", arXiv 2502.16982.
"""

from collections.abc import Iterable
from typing import Any, Final

import torch
from torch import Tensor

_COEFFICIENTS: Final = (3.4445, -4.7750, 2.0315)
_ROUNDS: Final = 5
_LEAST: Final = 1e-7


def orthogonalised(matrices: Tensor) -> Tensor:
    """Bring every singular value near 1, by Newton and Schulz in bfloat16.

    Args:
        matrices: (n, rows, columns), all of one shape.
    """
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    found = matrices.mT.to(torch.bfloat16) if tall else matrices.to(torch.bfloat16)
    found = found / found.norm(dim=(1, 2), keepdim=True).clamp(min=_LEAST)
    for _ in range(_ROUNDS):
        gram = found @ found.mT
        found = torch.baddbmm(found, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.mT if tall else found


class Muon(torch.optim.Optimizer):
    """Momentum whose every step is orthogonalised; for matrices alone.

    Args:
        params: Groups of matrices, each group with its ``lr``.
        momentum: Of the gradient's moving average, Nesterov's way.
        weight_decay: Share of a weight that is taken away a step, times the rate.
    """

    def __init__(self, params: Iterable[dict[str, Any]], *, momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": 1e-3, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change every matrix that has a gradient."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes.setdefault(parameter.shape, []).append(parameter)
            for shape, parameters in shapes.items():
                self._change(parameters, group, 0.2 * max(shape) ** 0.5)

    def _change(self, parameters: list[Tensor], group: dict[str, Any], scale: float) -> None:
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        for parameter in parameters:
            if "momentum_buffer" not in self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        kept = [self.state[parameter]["momentum_buffer"] for parameter in parameters]
        torch._foreach_lerp_(kept, gradients, 1 - group["momentum"])
        update = orthogonalised(torch.stack(torch._foreach_lerp(gradients, kept, group["momentum"])))
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, list(update.float().unbind()), alpha=-group["lr"] * scale)
