"""What is measured on held-out screens: means over batches, and which answers are right from end to end."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from foveate.policies.training.objectives import project, see
from foveate.policies.training.packing import IGNORED, Batch, first_visual

_NEAR: Final = 0.03


class Measures:
    """Losses and shares of several batches, averaged over their screens; what is not a number is left out."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], float] = {}
        self._pages: dict[tuple[str, str], int] = {}
        self._answers: list[bool] = []

    def add(self, losses: Mapping[str, float], right: Mapping[str, float], pages: int) -> None:
        """Take in a batch of so many screens."""
        for kind, values in (("loss", losses), ("right", right)):
            for name, value in values.items():
                if not math.isnan(value):
                    self._sums[kind, name] = self._sums.get((kind, name), 0.0) + value * pages
                    self._pages[kind, name] = self._pages.get((kind, name), 0) + pages

    def add_answers(self, right: Sequence[bool]) -> None:
        """Take in whether each of some answers is right."""
        self._answers += right

    def losses(self) -> dict[str, float]:
        """Give the mean losses by objective."""
        return self._means("loss")

    def right(self) -> dict[str, float]:
        """Give the mean shares by objective, 0 to 1, and ``answer`` where there are any."""
        said = {"answer": sum(self._answers) / len(self._answers)} if self._answers else {}
        return {**self._means("right"), **said}

    def _means(self, kind: str) -> dict[str, float]:
        return {name: total / self._pages[one, name] for (one, name), total in self._sums.items() if one == kind}


@torch.no_grad()
def right_answers(model: Any, batch: Batch, *, near: float = _NEAR) -> list[bool]:
    """Tell of each answer of a batch whether the model would say it, token by token.

    An answer whose every token is the likeliest after the right ones is what the model says by itself.

    Args:
        model: An InternVLForConditionalGeneration.
        batch: On the model's device.
        near: How far off a coordinate may be, as a fraction of the picture's side.

    Returns:
        One a question, screen by screen in their order.
    """
    visual = project(model, see(model, batch.pixels))
    first = first_visual(visual.shape[1])
    embeds = model.get_input_embeddings()(batch.ids)
    embeds = torch.cat([embeds[:, :first], visual.to(embeds.dtype), embeds[:, first + visual.shape[1] :]], 1)
    hidden = model.model.language_model(
        inputs_embeds=embeds,
        attention_mask={"full_attention": batch.mask().to(embeds.dtype)},
        position_ids=batch.positions,
        use_cache=False,
    ).last_hidden_state
    asked = batch.answers != IGNORED
    wanted = batch.answers[asked]
    said = model.lm_head(hidden[asked]).argmax(-1)
    # coordinates follow one another in the vocabulary, a hundredth a token
    place = ~batch.points[asked].isnan()
    right = torch.where(place, (said - wanted).abs() <= round(near * 100), said == wanted)
    rows, groups = batch.groups.shape[0], int(batch.groups.max()) + 1
    numbers = (batch.groups.clamp(min=0) + groups * torch.arange(rows, device=wanted.device)[:, None])[asked]
    return _all_right(right, numbers)


def _all_right(right: Tensor, numbers: Tensor) -> list[bool]:
    """Give for each number, in order, whether all that bear it are right."""
    found, inverse = torch.unique(numbers, return_inverse=True)
    wrong = torch.zeros(len(found), device=right.device).index_add_(0, inverse, (~right).float())
    return [bool(count == 0) for count in wrong.tolist()]
