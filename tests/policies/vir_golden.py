"""Run LMDeploy's own ViR over a small Flash model and write down what it gave, ``golden/vir.safetensors``.

    make lmdeploy-env
    .venv-lmdeploy/bin/python tests/policies/vir_golden.py tests/policies/golden/vir.safetensors

The model is LMDeploy's ``InternVLChatModel``, built by its own builder, its weights loaded by its own ``load_weights``
under the names of GitHub's layout: a vision half of random numbers, and a language model that gives embeddings alone.
No layer is replaced: outside its Triton kernels LMDeploy's layers are plain torch, and this model meets no kernel (a
tower with ``rms_norm``, as InternViT-6B has, would). For ``extract_and_compress`` an object with ``q_seqlens``, all
that is read of it, stands in for the engine's step context, and what was decided is noted on its way to the method that
cuts the prompt. Nothing of foveate's is imported here.
"""

import argparse
import json
import math
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

SOURCE: Final = "lmdeploy.pytorch.models.internvl.InternVLChatModel"
GOLDEN: Final = "golden."
"""How the names of what is not a weight begin."""

CONFIG: Final[dict[str, Any]] = {
    "architectures": ["InternVLChatModel"],
    "model_type": "internvl_chat",
    "vision_config": {
        "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "image_size": 448, "patch_size": 14, "layer_norm_eps": 1e-6, "hidden_act": "gelu", "norm_type": "layer_norm",
        "qkv_bias": True, "qk_normalization": False,
    },
    "llm_config": {
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": 16, "hidden_size": 32,
        "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
        "head_dim": 16, "tie_word_embeddings": False,
    },
    "downsample_ratio": 0.5, "force_image_size": 448, "select_layer": -1, "ps_version": "v2",
    "flash_mode": True, "flash_relative_threshold": 0.5, "flash_absolute_threshold": 0.5,
}  # fmt: skip
"""The model's ``config.json``; of the language model only the width counts."""

CONTEXT: Final = 1
"""The id of ``<IMG_CONTEXT>`` in ``prompt``; all others are 0."""

GRAIN: Final = 8
"""Pixels a side of a square of one colour in the tiles; it does not divide a patch's 14, so patches are cut unalike."""


class Case(NamedTuple):
    """A request.

    Attributes:
        tiles: How many of the tiles, from the first.
        relative: ``flash_relative_threshold``.
        absolute: ``flash_absolute_threshold``.
    """

    tiles: int
    relative: float
    absolute: float


CASES: Final = (
    Case(7, 0.0, 0.0), Case(7, 0.1, 0.5), Case(7, 0.5, 0.0), Case(7, 0.75, 0.5), Case(7, 0.25, 0.7), Case(7, 1.0, 0.0),
    Case(3, 0.5, 0.5), Case(1, 0.1, 0.0),
)  # fmt: skip


def pictures(seed: int, tiles: int) -> Tensor:
    """Draw tiles from blank to glaring: uint8 (tiles, 3, 56, 56), to be enlarged by ``pixels``."""
    generator = torch.Generator().manual_seed(seed)
    side = CONFIG["force_image_size"] // GRAIN
    noise = torch.randint(0, 256, (tiles, 3, side, side), generator=generator)
    share = torch.arange(1, tiles + 1).view(-1, 1, 1, 1)
    ground = torch.randint(0, 256, (tiles, 3, 1, 1), generator=generator)
    return ((noise * share + ground * (tiles - share)) // tiles).to(torch.uint8)


def pixels(small: Tensor) -> Tensor:
    """Enlarge ``pictures`` and normalise them as InternVL does: float32 (tiles, 3, 448, 448)."""
    large = small.repeat_interleave(GRAIN, 2).repeat_interleave(GRAIN, 3).float() / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (large - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)


def prompt(tiles: int) -> list[int]:
    """Give the ids of a prompt with two pictures, of three tiles at most and of the rest, 256 placeholders a tile."""
    first = min(tiles, 3)
    return [0, 0, *[CONTEXT] * (256 * first), 0, 0, *[CONTEXT] * (256 * (tiles - first)), 0]


def drawn(name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Draw a weight, of a size that keeps features near 1 and lets every layer count."""
    noise = torch.randn(shape, generator=generator)
    if name.endswith(("class_embedding", "position_embedding", "query_token")):
        return noise
    if name.endswith(("ls1", "ls2")):
        return 0.5 + 0.1 * noise
    if len(shape) == 1:
        return 0.1 * noise + (1 if name.endswith("weight") else 0)
    return noise / math.sqrt(math.prod(shape[1:]))


def spread(gate: Tensor, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Change the gate's last layer so that what it said of some tiles lies evenly about a half.

    Args:
        gate: What it said: (tiles, 2).
        weights: The model's.
    """
    odds = torch.log(gate[:, 0] / gate[:, 1])
    factor = 1.5 / odds.std()
    weight, bias = weights["gating.gate.1.weight"] * factor, weights["gating.gate.1.bias"] * factor
    bias[0] -= odds.mean() * factor
    return weights | {"gating.gate.1.weight": weight, "gating.gate.1.bias": bias}


def configuration() -> Any:
    """Give LMDeploy's model the configuration as objects."""
    from transformers import PretrainedConfig, Qwen3Config

    said = {**CONFIG, "vision_config": PretrainedConfig(**CONFIG["vision_config"])}
    return PretrainedConfig(**{**said, "llm_config": Qwen3Config(**CONFIG["llm_config"])})


def build(seed: int, images: Tensor) -> tuple[Any, dict[str, Tensor]]:
    """Build LMDeploy's model; gives it with the weights that were loaded into it, some of ``images`` compressed."""
    from lmdeploy.pytorch.model_inputs import StepContextManager
    from lmdeploy.pytorch.models.patch import build_model_from_hf_config

    model = build_model_from_hf_config(
        configuration(), dtype=torch.float32, device=torch.device("cpu"), ctx_mgr=StepContextManager()
    )
    generator = torch.Generator().manual_seed(seed)
    weights = {
        name: drawn(name, parameter.shape, generator)
        for name, parameter in model.named_parameters()
        if not name.startswith(("language_model.", "lm_head."))
    }
    model.load_weights(weights.items())
    weights = spread(model.extract_feature_flash(images, torch.ones(len(images)))[2], weights)
    model.load_weights(weights.items())
    return model, weights


def routed(model: Any, images: Tensor, case: Case) -> tuple[Tensor, Tensor, Tensor]:
    """Have LMDeploy route a request; gives what it decided of each tile, the ids it kept and the visual stream."""
    decided: list[Tensor] = []
    compress = model.compress_visual_tokens_in_sentence

    def noting(**given: Any) -> Any:
        decided.append(given["gate_result"].clone())
        return compress(**given)

    ids = torch.tensor([prompt(case.tiles)])
    model.flash_relative_threshold, model.flash_absolute_threshold = case.relative, case.absolute
    model.compress_visual_tokens_in_sentence = noting
    try:
        with model.ctx_mgr.context(SimpleNamespace(q_seqlens=torch.tensor([ids.shape[1]]))):
            stream, _, kept, _, _ = model.extract_and_compress(images[: case.tiles], ids, CONTEXT)
    finally:
        del model.compress_visual_tokens_in_sentence
    return decided[0], kept[0], stream


@torch.inference_mode()
def golden(seed: int) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Run everything; gives weights, inputs and what came out by name, and what made them."""
    import lmdeploy
    import transformers

    small = pictures(seed, max(case.tiles for case in CASES))
    images = pixels(small)
    model, weights = build(seed, images)
    few, many, gate = model.extract_feature_flash(images, torch.ones(len(images)))
    marks = sorted({*gate[:, 0].tolist(), *(case.absolute for case in CASES)})
    near = min(after - before for before, after in pairwise(marks))
    assert near > 1e-3, f"a rounding could change a decision, take another seed: {marks}"
    found = {"tiles": small, "features_64": few, "features_256": many, "gate": gate}
    for number, case in enumerate(CASES):
        compressed, kept, stream = routed(model, images, case)
        wanted = torch.cat([few[tile] if compressed[tile] else many[tile] for tile in range(case.tiles)])
        torch.testing.assert_close(stream, wanted, atol=1e-5, rtol=0)
        found |= {f"compressed.{number}": compressed, f"kept.{number}": kept.to(torch.uint8)}
    layer = model.vision_model.encoder.layers[0]
    parts = {"attn.qkv": layer.attn.qkv, "attn.proj": layer.attn.proj, "mlp.fc1": layer.mlp.fc1, "norm1": layer.norm1}
    made_by = {
        "lmdeploy": lmdeploy.__version__, "torch": torch.__version__, "transformers": transformers.__version__,
        "device": str(gate.device), "dtype": str(gate.dtype), "seed": str(seed), "config": json.dumps(CONFIG),
        "source": f"{SOURCE}.extract_feature_flash; decisions and kept ids: {SOURCE}.extract_and_compress",
        "built_by": "lmdeploy.pytorch.models.patch.build_model_from_hf_config, load_weights; no layer replaced",
        "stand_in": "an object with q_seqlens for the step context of extract_and_compress",
        "layers": ", ".join(f"{name} {type(one).__name__}/{type(one.impl).__name__}" for name, one in parts.items()),
        "cases": json.dumps([case._asdict() for case in CASES]),
    }  # fmt: skip
    tensors = weights | {GOLDEN + name: value for name, value in found.items()}
    return {name: value.clone().contiguous() for name, value in tensors.items()}, made_by


def main() -> None:
    """Write the file that the command line names."""
    from safetensors.torch import save_file

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="of weights and tiles")
    said = parser.parse_args()
    torch.set_num_threads(1)
    tensors, made_by = golden(said.seed)
    said.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, said.out, metadata=made_by)
    sure = ", ".join(f"{value:.4f}" for value in tensors[f"{GOLDEN}gate"][:, 0].tolist())
    print(f"{said.out}: {said.out.stat().st_size} bytes, lmdeploy {made_by['lmdeploy']}, torch {made_by['torch']}")
    print(f"certainties: {sure}")
    for number, case in enumerate(CASES):
        print(f"{case}: {tensors[f'{GOLDEN}compressed.{number}'].int().tolist()}")


if __name__ == "__main__":
    main()
