"""How weights are changed: which optimiser has which, the rate at each step, and the moving average of the weights."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from foveate.actions.errors import TrainingError
from foveate.policies.training.muon import Muon
from foveate.policies.training.settings import OptimiserSettings, StageSettings


def rate_share(stage: StageSettings, step: int, spent: float, *, heads: bool) -> float:
    """Give the share of its greatest rate that a part of the model has at a step.

    Args:
        stage: Its warm-up, decay, floor and steps for the heads alone.
        step: Steps taken in this stage.
        spent: Share of the stage's budget that has passed, 0 to 1.
        heads: True for the objectives' heads, false for the model itself.
    """
    begun = step + 1 if heads else step + 1 - stage.heads_alone
    if begun <= 0:
        return 0.0
    rising = min(1.0, begun / stage.warm_up) if stage.warm_up else 1.0
    left = min(1.0, (1.0 - spent) / stage.decay) if stage.decay else 1.0
    return min(rising, stage.floor + (1.0 - stage.floor) * max(left, 0.0))


class Diverged(TrainingError):
    """Raised when a gradient or a weight is no number any more: what was saved before is better than what there is."""


class Optimisers:
    """Muon for hidden matrices and AdamW for everything else, for one stage.

    Args:
        model: An InternVLForConditionalGeneration.
        heads: The objectives' own parameters.
        stage: Where it only sees, the decoder is left alone.
        settings: Of both optimisers.
    """

    def __init__(self, model: Any, heads: nn.Module, stage: StageSettings, settings: OptimiserSettings) -> None:
        self._stage, self._clip = stage, settings.clip
        trunk: dict[tuple[bool, float], list[nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            vision = "vision_tower." in name
            if stage.sees_only and not vision:
                continue
            inner = parameter.ndim == 2 and ("layer" in name or "projector" in name)
            trunk.setdefault((inner, stage.rate * (stage.vision_rate if vision else 1.0)), []).append(parameter)
        matrices, others = (
            [_group(parameters, rate) for (inner, rate), parameters in trunk.items() if inner is wanted]
            for wanted in (True, False)
        )
        others.append(_group(list(heads.parameters()), stage.rate, heads=True))
        self._optimisers: tuple[torch.optim.Optimizer, ...] = (
            Muon(matrices, momentum=settings.momentum, weight_decay=settings.weight_decay),
            torch.optim.AdamW(others, betas=settings.betas, weight_decay=0.0),
        )
        self.parameters = [parameter for group in self._groups() for parameter in group["params"]]

    def _groups(self) -> list[dict[str, Any]]:
        # asked for every time: loading a state puts others in their place
        return [group for optimiser in self._optimisers for group in optimiser.param_groups]

    def step(self, step: int, spent: float) -> float:
        """Change the weights by their gradients.

        Args:
            step: Steps taken before in this stage.
            spent: Share of the stage's budget that has passed, 0 to 1.

        Returns:
            The gradient's norm before it was shortened.

        Raises:
            Diverged: If the gradient is not finite; nothing was changed.
        """
        norm = float(nn.utils.clip_grad_norm_(self.parameters, self._clip))
        if not math.isfinite(norm):
            raise Diverged(
                f"stage {self._stage.name}: the gradient of step {step + 1} is {norm}, and nothing was changed by it: "
                "lower the stage's rate or lengthen its warm_up"
            )
        for group in self._groups():
            group["lr"] = group["peak"] * rate_share(self._stage, step, spent, heads=group["heads"])
        for optimiser in self._optimisers:
            optimiser.step()
        return norm

    def state(self) -> list[dict[str, Any]]:
        """Give everything that the next step depends on."""
        return [optimiser.state_dict() for optimiser in self._optimisers]

    def load_state(self, state: list[dict[str, Any]]) -> None:
        """Go on from what ``state`` gave."""
        for optimiser, saved in zip(self._optimisers, state, strict=True):
            optimiser.load_state_dict(saved)


def _group(parameters: list[nn.Parameter], rate: float, *, heads: bool = False) -> dict[str, Any]:
    return {"params": parameters, "lr": 0.0, "peak": rate, "heads": heads}


class Average:
    """An exponential moving average of parameters, which begins as a plain one.

    Args:
        parameters: What is averaged.
        decay: Share of the average that a step keeps, 0 to 1.
    """

    def __init__(self, parameters: list[nn.Parameter], decay: float) -> None:
        self._parameters, self._decay = parameters, decay
        self._kept = [parameter.detach().clone() for parameter in parameters]
        self._count = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in what the parameters now are."""
        self._count += 1
        decay = min(self._decay, (1 + self._count) / (10 + self._count))
        torch._foreach_lerp_(self._kept, [parameter.detach() for parameter in self._parameters], 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the parameters be their averages meanwhile."""
        own = [parameter.data for parameter in self._parameters]
        for parameter, kept in zip(self._parameters, self._kept, strict=True):
            parameter.data = kept
        try:
            yield
        finally:
            for parameter, value in zip(self._parameters, own, strict=True):
                parameter.data = value

    def state(self) -> dict[str, Any]:
        """Give what it goes on from."""
        return {"count": self._count, "kept": self._kept}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        self._count = int(state["count"])
        kept: list[Tensor] = state["kept"]
        with torch.no_grad():
            for own, saved in zip(self._kept, kept, strict=True):
                own.copy_(saved)
