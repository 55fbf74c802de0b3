"""An InternVL of a few million parameters, and writing one as a checkpoint in transformers' layout."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from foveate.policies.internvl.tiling import IMAGENET_MEAN, IMAGENET_STD
from foveate.policies.training.tokenizer import VOCABULARY, build_tokenizer

_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<IMG_CONTEXT>\\n' }}"
    "{% elif part['type'] == 'video' %}{{ '<video>\\n' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a model; the defaults are the bundled checkpoint's.

    Attributes:
        tile: Side of a tile in pixels.
        patch: Side of a patch in pixels; four patches become one token.
        vision_width: Width of the vision tower.
        vision_layers: Its layers.
        text_width: Width of the decoder.
        text_layers: Its layers, at least four.
        head: Width of an attention head, in both.
        context: Greatest number of tokens of prompt and answer.
    """

    tile: int = 448
    patch: int = 28
    vision_width: int = 192
    vision_layers: int = 5
    text_width: int = 192
    text_layers: int = 5
    head: int = 64
    context: int = 2048

    @property
    def patches(self) -> int:
        """Patches along a side of a tile."""
        return self.tile // self.patch

    @property
    def cells(self) -> int:
        """Visual tokens along a side of a tile."""
        return self.patches // 2


def configuration(shape: Shape, tokenizer: Any) -> Any:
    """Write transformers' InternVL configuration for a shape."""
    vision = {
        "hidden_size": shape.vision_width,
        "num_hidden_layers": shape.vision_layers,
        "num_attention_heads": shape.vision_width // shape.head,
        "intermediate_size": 4 * shape.vision_width,
        "image_size": [shape.tile, shape.tile],
        "patch_size": [shape.patch, shape.patch],
        "attention_bias": True,
        "layer_scale_init_value": 1.0,
        "norm_type": "layer_norm",
        "use_mask_token": False,
    }
    ids = {
        name: tokenizer.convert_tokens_to_ids(token)
        for name, token in (("end", "<|im_end|>"), ("pad", "<|endoftext|>"))
    }
    text = {
        "model_type": "qwen3",
        "hidden_size": shape.text_width,
        "num_hidden_layers": shape.text_layers,
        "num_attention_heads": shape.text_width // shape.head,
        "num_key_value_heads": shape.text_width // shape.head,
        "head_dim": shape.head,
        "intermediate_size": 8 * shape.text_width // 3,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": shape.context,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": ids["end"],
        "pad_token_id": ids["pad"],
    }
    return transformers.InternVLConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=shape.cells**2,
        downsample_ratio=0.5,
        tie_word_embeddings=False,
        foveate_profile="tiny",
    )


def _grid_positions(side: int, width: int) -> torch.Tensor:
    """Give waves over a grid, a quarter of the channels each for sine and cosine of column and row.

    Wavelengths go from two patches to four times the side, so that near patches are alike and far ones are not, and
    places are as loud as what the patches show: with small random ones the model is late to say where anything is.

    Args:
        side: Patches along a side.
        width: Channels, a multiple of four.

    Returns:
        float32 (side * side, width), row by row, each entry -1 to 1.
    """
    rates = torch.pi * torch.logspace(0, -1, width // 4, base=2.0 * side)
    rows, columns = torch.meshgrid(torch.arange(float(side)), torch.arange(float(side)), indexing="ij")
    phases = [place.flatten()[:, None] * rates for place in (columns, rows)]
    return torch.cat([wave(phase) for phase in phases for wave in (torch.sin, torch.cos)], dim=1)


def new_model(shape: Shape | None = None, *, seed: int = 0) -> Any:
    """Make transformers' own ``InternVLForConditionalGeneration`` with random weights, float32, on the CPU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.InternVLForConditionalGeneration(configuration(shape or Shape(), build_tokenizer()))
        embeddings = model.model.vision_tower.embeddings
        positions = _grid_positions((shape or Shape()).patches, (shape or Shape()).vision_width)
        embeddings.position_embeddings.data.zero_()[0, 1:] = positions
    return model


def write_checkpoint(folder: Path, model: Any) -> None:
    """Write a model with its tokenizer and processor files; weights in float16.

    Args:
        folder: Is made where it is missing; files of the same names are replaced.
        model: An ``InternVLForConditionalGeneration``; left unchanged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer()
    tokenizer.chat_template = _TEMPLATE
    tokenizer.save_pretrained(folder)
    _name_for_every_version(folder / "tokenizer_config.json")
    halved = transformers.InternVLForConditionalGeneration(model.config).to(torch.float16)
    halved.load_state_dict({name: value.to(torch.float16) for name, value in model.state_dict().items()})
    halved.generation_config = transformers.GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    halved.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    tile = int(model.config.vision_config.image_size[0])
    picture = {
        "do_resize": True,
        "size": {"height": tile, "width": tile},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(IMAGENET_MEAN),
        "image_std": list(IMAGENET_STD),
        "do_convert_rgb": True,
    }
    image = {
        "image_processor_type": "GotOcr2ImageProcessor",
        "crop_to_patches": True,
        "min_patches": 1,
        "max_patches": 12,
    }
    _write_json(folder / "preprocessor_config.json", {**image, **picture, "processor_class": "InternVLProcessor"})
    _write_json(
        folder / "video_preprocessor_config.json", {"video_processor_type": "InternVLVideoProcessor", **picture}
    )
    tokens = int(model.config.image_seq_length)
    _write_json(folder / "processor_config.json", {"processor_class": "InternVLProcessor", "image_seq_length": tokens})


def _name_for_every_version(path: Path) -> None:
    """Write the tokenizer's class and image tokens as transformers before 5 reads them, too."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    named = {name: settings.pop(name) for name in list(settings) if name.endswith(("_image_token", "video_token"))}
    _write_json(path, {**settings, "tokenizer_class": "PreTrainedTokenizerFast", "extra_special_tokens": named})


def parameters_of(model: Any) -> int:
    """Count a model's parameters."""
    return sum(value.numel() for value in model.parameters())


def _write_json(path: Path, value: dict[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Write a checkpoint of random weights.")
    arguments.add_argument("--random", type=Path, required=True, metavar="DIR", help="where to write it")
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    write_checkpoint(given.random, new_model(seed=given.seed))
