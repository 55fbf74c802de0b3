"""The least that a step of a model can take on a machine.

Arithmetic goes at the rate of a large product of matrices, and every weight is read once a token at the rate of a large
copy, both measured here and now.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Speed:
    """What a machine can do.

    Attributes:
        flops: Operations a second in a large product of matrices.
        bytes_s: Bytes a second that a large copy reads and writes.
    """

    flops: float
    bytes_s: float


def floor_ms(config: Mapping[str, Any], speed: Speed, *, tiles: int, prompt: int, output: int, width: int) -> float:
    """Give the least time of a step in milliseconds.

    Args:
        config: A checkpoint's, in transformers' layout.
        speed: Of the machine.
        tiles: Of the picture, the thumbnail counted.
        prompt: Tokens.
        output: Tokens.
        width: Bytes a weight.
    """
    vision, text = config["vision_config"], config["text_config"]
    seen, layers, inner = vision["hidden_size"], vision["num_hidden_layers"], vision["intermediate_size"]
    side = vision["image_size"][0] // vision["patch_size"][0]
    patches, visual = side * side + 1, side * side // 4
    wide, depth = text["hidden_size"], text["num_hidden_layers"]
    heads, shared, head = text["num_attention_heads"], text["num_key_value_heads"], text["head_dim"]
    experts = text.get("num_experts_per_tok") if text["model_type"] != "qwen3" else None
    part = 3 * wide * (text.get("moe_intermediate_size") or text["intermediate_size"]) * (experts or 1)
    layer = 2 * wide * heads * head + 2 * wide * shared * head + part
    rows = text["vocab_size"]
    tower = tiles * layers * (2 * (4 * seen**2 + 2 * seen * inner) * patches + 4 * patches**2 * seen)
    between = tiles * 2 * visual * (4 * seen * wide + wide**2)
    body = 2 * layer * depth * prompt + 2 * prompt**2 * heads * head * depth + 2 * wide * rows
    weights = (layer * depth + wide * rows) * width
    cache = 2 * shared * head * width * depth * prompt
    once = (tower + between) / speed.flops + max(body / speed.flops, weights / speed.bytes_s)
    least: float = 1e3 * (once + output * (weights + cache) / speed.bytes_s)
    return least


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
