"""The least that a step of a model can take on a machine.

Arithmetic goes at the rate of a large product of matrices, and every weight is read once a token at the rate of a large
copy, both measured here and now.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from foveate.policies.internvl.catalogue import Language, Tower


@dataclass(frozen=True, slots=True)
class Speed:
    """What a machine can do.

    Attributes:
        flops: Operations a second in a large product of matrices.
        bytes_s: Bytes a second that a large copy reads and writes.
    """

    flops: float
    bytes_s: float


def floor_ms(
    tower: Tower, language: Language, speed: Speed, *, tiles: int, prompt: int, output: int, width: int,
    flash: bool = False,
) -> float:  # fmt: skip
    """Give the least time of a step in milliseconds.

    Args:
        tower: What sees.
        language: What reads and writes.
        speed: Of the machine.
        tiles: Of the picture, the thumbnail counted.
        prompt: Tokens.
        output: Tokens.
        width: Bytes a weight.
        flash: Whether a router pools and judges every tile, and projects it a second time.
    """
    seen, patches = tower.width, (tower.tile // tower.patch) ** 2 + 1
    layer = 2 * (4 * seen**2 + 2 * seen * tower.inner) * patches + 4 * patches**2 * seen
    between = 2 * tower.tokens * (4 * seen * language.width + language.width**2)
    if flash:  # keys and values of the two attentions that are taken; a query is one vector, and so is the gate's
        judged = 2 * 2 * 2 * seen**2 * patches + 2 * 4 * 8 * seen**2
        outer = 16 * seen * 2 * language.width + (2 * language.width) ** 2 + 2 * language.width**2
        between += judged + 2 * (tower.tokens // 4) * outer
    head = language.width * language.vocabulary
    attention = language.heads * language.head * language.layers
    body = 2 * language.active * prompt + 2 * prompt**2 * attention + 2 * head
    weights = (language.active + head) * width
    cache = 2 * language.shared * language.head * language.layers * width * prompt
    vision = tiles * (tower.layers * layer + between) / speed.flops
    prefill = max(body / speed.flops, weights / speed.bytes_s)
    return 1e3 * (vision + prefill + output * (weights + cache) / speed.bytes_s)


def speed_of(device: Any, dtype: Any) -> Speed:
    """Measure a device by a product of matrices and a copy, the best of several."""
    import torch

    on_gpu = device.type == "cuda"
    side = 8192 if on_gpu else 1024
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    data = torch.ones(2**30 if on_gpu else 2**26, device=device, dtype=torch.int16)
    product = min(_seconds(lambda: left @ right, on_gpu) for _ in range(8))
    target = torch.zeros_like(data)  # of pages that are there already: a new one costs more than its copy
    copy = min(_seconds(lambda: target.copy_(data), on_gpu) for _ in range(8))
    return Speed(2 * side**3 / product, 2 * 2 * data.numel() / copy)


def _seconds(work: Callable[[], object], on_gpu: bool) -> float:
    import torch

    started = time.perf_counter()
    work()
    if on_gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - started
