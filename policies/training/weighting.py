"""How much each token of an answer counts: InternVL's square averaging.

Averaged over tokens, a batch listens to its long answers; averaged over answers, to its short ones. Between the two,
each token of an answer of N tokens counts 1 / sqrt(N), and the weights are normalised over the batch.

Source: InternVL3.5, arXiv 2508.18265: w_i = 1 / N^0.5.
"""

import torch
from torch import Tensor


def token_weights(lengths: Tensor) -> Tensor:
    """Give the weight of every token of some answers.

    Args:
        lengths: int64 (n,), how many tokens each answer has; one without tokens adds nothing.

    Returns:
        float32 (lengths.sum(),), the answers' tokens one behind another; sums to 1 where there are any.
    """
    weights = lengths.clamp(min=1).to(torch.float32).rsqrt().repeat_interleave(lengths)
    return weights / weights.sum()


def square_average(losses: Tensor, answers: Tensor) -> Tensor:
    """Average the losses of tokens so that each counts 1 / sqrt(N), N being the tokens of its answer.

    Args:
        losses: float (n,), one a token; without any the average is 0, and still has a gradient.
        answers: int64 (n,), which answer each token belongs to: any numbers from 0 on, in any order.

    Returns:
        float (), on the losses' device.
    """
    if not losses.numel():
        return losses.sum()
    weights = torch.bincount(answers)[answers].to(losses.dtype).rsqrt()
    return (weights * losses).sum() / weights.sum()
