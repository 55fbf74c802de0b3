"""A checkpoint's size from its own configuration, whatever it is called."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from foveate.actions.errors import CheckpointError
from foveate.policies.internvl.catalogue import ROOM, Language, Size, Tower
from foveate.policies.internvl.checkpoint import find_config
from foveate.policies.internvl.layouts import is_flash, layout_of, transformers_config

_GPU_BYTES: Final = 80e9


def described(model: str | Path) -> Size:
    """Read a checkpoint's shape.

    Args:
        model: A bundled model's name, a folder, or a hub id, of which the configuration alone is downloaded.

    Raises:
        ModelUnavailable: If there is no such model.
        CheckpointError: If its configuration is none of InternVL's, or leaves out what is needed.
    """
    said = find_config(model)
    config = said if layout_of(said) == "transformers" else transformers_config(said, image_token=0)
    try:
        tower, language = parts_of(config)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as exc:
        raise CheckpointError(f"{model}: its config.json does not say what it is made of: {exc!r}") from exc
    size = Size(Path(str(model)).name, tower, language, flash=is_flash(said), own=str(model))
    filled = math.ceil(ROOM * size.memory("bf16", flash=size.flash) / _GPU_BYTES)
    return replace(size, gpus=1 << (filled - 1).bit_length())  # a power of two, as tensor parallelism wants it


def parts_of(config: Mapping[str, Any]) -> tuple[Tower, Language]:
    """Read what a checkpoint is made of from its configuration in transformers' layout.

    Raises:
        KeyError, TypeError, ValueError, ZeroDivisionError: If it leaves out what is needed.
    """
    return _tower(config["vision_config"]), _language(config["text_config"])


def _tower(vision: Mapping[str, Any]) -> Tower:
    return Tower(
        name=str(vision.get("model_type", "InternViT")), width=int(vision["hidden_size"]),
        layers=int(vision["num_hidden_layers"]), inner=int(vision["intermediate_size"]),
        biased=bool(vision.get("attention_bias", False)), normed=bool(vision.get("use_qk_norm", False)),
        centred=vision.get("norm_type", "layer_norm") == "layer_norm",
        tile=_side(vision.get("image_size", 448)), patch=_side(vision.get("patch_size", 14)),
    )  # fmt: skip


def _language(text: Mapping[str, Any]) -> Language:
    experts = int(text.get("num_experts") or text.get("num_local_experts") or 0)
    inner = (text.get("moe_intermediate_size") if experts else None) or text["intermediate_size"]
    heads = int(text["num_attention_heads"])
    return Language(
        name=str(text.get("model_type", "")), width=int(text["hidden_size"]), layers=int(text["num_hidden_layers"]),
        heads=heads, shared=int(text.get("num_key_value_heads") or heads), inner=int(inner),
        head=int(text.get("head_dim") or int(text["hidden_size"]) // heads), experts=experts,
        chosen=int(text.get("num_experts_per_tok") or 0) if experts else 0, vocabulary=int(text["vocab_size"]),
        biased=text.get("model_type") == "gpt_oss",
    )  # fmt: skip


def _side(value: Any) -> int:
    return int(value[0] if isinstance(value, list | tuple) else value)
