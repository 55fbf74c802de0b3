"""The bundled checkpoint's architecture and files: InternVL's own classes, small, in transformers' layout.

``python -m foveate.policies.training.tiny_model FOLDER`` writes one with random weights within seconds.
"""

import argparse
import json
from pathlib import Path
from typing import Any, Final

import torch
from foveate.policies.internvl.tiling import IMAGENET_MEAN, IMAGENET_STD
from foveate.policies.training.tokenizer import VOCABULARY, build_tokenizer
from safetensors.torch import save_file
from transformers import InternVLConfig, InternVLForConditionalGeneration

TILE: Final = 448
PATCH: Final = 28
"""Twice InternVL's: a tile is four times cheaper, and 14 CSS pixels at 1.4 device pixels are still read."""

TOKENS_PER_TILE: Final = (TILE // PATCH // 2) ** 2
PROFILE: Final = "tiny"

CHAT_TEMPLATE: Final = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<IMG_CONTEXT>\\n' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

_IMAGE_PROCESSOR: Final[dict[str, Any]] = {
    "image_processor_type": "GotOcr2ImageProcessor",
    "do_resize": True,
    "size": {"height": TILE, "width": TILE},
    "crop_to_patches": True,
    "min_patches": 1,
    "max_patches": 12,
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": list(IMAGENET_MEAN),
    "image_std": list(IMAGENET_STD),
    "do_convert_rgb": True,
}


def tiny_config() -> InternVLConfig:
    """Build the configuration: 5.4 million parameters, 64 visual tokens a tile."""
    tokenizer = build_tokenizer()
    vision = {
        "hidden_size": 192,
        "num_hidden_layers": 5,
        "num_attention_heads": 3,
        "intermediate_size": 768,
        "image_size": [TILE, TILE],
        "patch_size": [PATCH, PATCH],
        "attention_bias": True,
        "norm_type": "layer_norm",
        "layer_scale_init_value": 1.0,
        "use_mask_token": False,
    }
    text = {
        "model_type": "qwen3",
        "hidden_size": 192,
        "num_hidden_layers": 5,
        "num_attention_heads": 3,
        "num_key_value_heads": 3,
        "head_dim": 64,
        "intermediate_size": 512,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 2048,
        "bos_token_id": None,
        "eos_token_id": tokenizer.convert_tokens_to_ids("<|im_end|>"),
        "pad_token_id": tokenizer.convert_tokens_to_ids("<|endoftext|>"),
        "tie_word_embeddings": False,
    }
    return InternVLConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=TOKENS_PER_TILE,
        downsample_ratio=0.5,
        tie_word_embeddings=False,
    )


def new_model(seed: int = 0) -> InternVLForConditionalGeneration:
    """Make a model with random float32 weights, the same for the same seed."""
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        return InternVLForConditionalGeneration._from_config(tiny_config(), attn_implementation="sdpa")
    finally:
        torch.random.set_rng_state(state)


def write_checkpoint(model: InternVLForConditionalGeneration, folder: Path) -> int:
    """Write a checkpoint in transformers' layout, the weights in bfloat16.

    Args:
        model: Its weights are written under the names that ``from_pretrained`` of every version takes.
        folder: Made where it is missing; files of the same name are replaced.

    Returns:
        The size of ``model.safetensors`` in bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {_on_disk(name): value.detach().to(torch.bfloat16) for name, value in model.state_dict().items()}
    tensors = {name: value.contiguous().clone() for name, value in tensors.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = model.config.to_dict()
    config.update(architectures=["InternVLForConditionalGeneration"], dtype="bfloat16", foveate_profile=PROFILE)
    _write_json(folder / "config.json", config)
    end, pad = config["text_config"]["eos_token_id"], config["text_config"]["pad_token_id"]
    _write_json(folder / "generation_config.json", {"do_sample": False, "eos_token_id": end, "pad_token_id": pad})
    _write_json(folder / "preprocessor_config.json", _IMAGE_PROCESSOR)
    processor = {
        "processor_class": "InternVLProcessor",
        "image_seq_length": TOKENS_PER_TILE,
        "image_processor": _IMAGE_PROCESSOR,
        "video_processor": {
            key: value
            for key, value in _IMAGE_PROCESSOR.items()
            if key not in {"image_processor_type", "crop_to_patches", "min_patches", "max_patches"}
        }
        | {"video_processor_type": "InternVLVideoProcessor"},
    }
    _write_json(folder / "processor_config.json", processor)
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    _write_tokenizer(folder)
    return (folder / "model.safetensors").stat().st_size


def _on_disk(name: str) -> str:
    """Give a tensor's name on disk: the one that every version since 4.52 reads."""
    return (
        name.removeprefix("model.").replace("language_model.", "language_model.model.", 1)
        if name.startswith("model.language_model.")
        else ("language_model.lm_head.weight" if name == "lm_head.weight" else name.removeprefix("model."))
    )


def _write_tokenizer(folder: Path) -> None:
    """Write the tokenizer's two files under the class name that every version knows."""
    tokenizer = build_tokenizer()
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "processor_class": "InternVLProcessor",
        "clean_up_tokenization_spaces": False,
        "model_max_length": tokenizer.model_max_length,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "extra_special_tokens": {
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
    }
    _write_json(folder / "tokenizer_config.json", settings)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Write a checkpoint with random weights."""
    parser = argparse.ArgumentParser(description="Write a tiny InternVL checkpoint with random weights.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    write_checkpoint(new_model(chosen.seed), chosen.folder)


if __name__ == "__main__":
    main()
