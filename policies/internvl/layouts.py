"""The two layouts of InternVL's checkpoints: which tensor is which, and what either configuration says.

*GitHub* is what OpenGVLab trains and publishes first (``model_type`` ``internvl_chat``), *transformers* what the
library of that name reads (``internvl``). Nothing here loads a tensor or runs a checkpoint's code.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from foveate.actions.errors import CheckpointError

Layout: TypeAlias = Literal["github", "transformers"]
"""Who reads it: InternVL's own code and LMDeploy, or transformers."""

MODEL_TYPES: Final[Mapping[str, Layout]] = {"internvl_chat": "github", "internvl": "transformers"}
"""The layout of a configuration's ``model_type``."""

ROUTER: Final = ("mlp2.", "pooling_before_gating.", "gating.")
"""How the names of the tensors begin that only a Flash checkpoint has; transformers' layout has no place for them."""

LANGUAGE_MODELS: Final[Mapping[str, str]] = {
    "LlamaForCausalLM": "llama",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "Qwen3MoeForCausalLM": "qwen3_moe",
    "GptOssForCausalLM": "gpt_oss",
}
"""Language models that InternVL was built on, by class: transformers' ``model_type``."""

_VISION: Final = (
    ("hidden_size", "hidden_size", 1024),
    ("intermediate_size", "intermediate_size", 4096),
    ("num_hidden_layers", "num_hidden_layers", 24),
    ("num_attention_heads", "num_attention_heads", 16),
    ("num_channels", "num_channels", 3),
    ("hidden_act", "hidden_act", "gelu"),
    ("layer_norm_eps", "layer_norm_eps", 1e-6),
    ("initializer_range", "initializer_range", 0.02),
    ("initializer_factor", "layer_scale_init_value", 0.1),
    ("attention_dropout", "attention_dropout", 0.0),
    ("dropout", "hidden_dropout_prob", 0.0),
    ("norm_type", "norm_type", "layer_norm"),
    ("qkv_bias", "attention_bias", True),
    ("qk_normalization", "use_qk_norm", False),
)
"""Of the vision tower: GitHub's key, transformers' key, and the value of InternViT-300M, which a missing key means."""

_SETTINGS: Final = {"dynamic_image_size": True, "use_thumbnail": True, "pad2square": False, "min_dynamic_patch": 1}
"""How pictures are cut, and what every InternVL3.5 says of it."""

_FOREIGN_TEMPLATES: Final = ("internvl3_5_gpt_oss", "Hermes-2", "internlm2-chat", "phi3-chat", "internvl_zh")
"""Templates of internvl_chat's conversation.py that are no ChatML, or not ours."""

_PLAIN: Final = (
    ("mlp1.0.", "multi_modal_projector.layer_norm."),
    ("mlp1.1.", "multi_modal_projector.linear_1."),
    ("mlp1.3.", "multi_modal_projector.linear_2."),
    ("vision_model.embeddings.class_embedding", "vision_tower.embeddings.cls_token"),
    ("vision_model.embeddings.position_embedding", "vision_tower.embeddings.position_embeddings"),
    ("vision_model.embeddings.patch_embedding.", "vision_tower.embeddings.patch_embeddings.projection."),
)
"""Beginnings of names outside the layers of the vision tower: GitHub's, transformers'."""

_LAYER: Final = (
    ("attn.proj.", "attention.projection_layer."),
    ("attn.q_norm.", "attention.q_norm."),
    ("attn.k_norm.", "attention.k_norm."),
    ("norm1.", "layernorm_before."),
    ("norm2.", "layernorm_after."),
    ("ls1", "lambda_1"),
    ("ls2", "lambda_2"),
    ("mlp.", "mlp."),
)
"""The same within a layer of the vision tower. Source: InternVL, internvl_chat/tools/internvl_custom2hf.py."""

_GITHUB_LAYER = re.compile(r"vision_model\.encoder\.layers\.(\d+)\.(.+)")
_THEIR_LAYER = re.compile(r"vision_tower\.encoder\.layer\.(\d+)\.(.+)")
_THEIR_PART = re.compile(r"attention\.([qkv])_proj\.(weight|bias)")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a tile is compressed.

    Attributes:
        relative: The quantile of the request's tiles above which a tile's certainty must lie: at least so large a
            share of them is kept whole. 0 to 1.
        absolute: The certainty that it must have in any case. 0 to 1.
    """

    relative: float
    absolute: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Thresholds":
        """Read them from a Flash checkpoint's ``config.json``.

        Raises:
            CheckpointError: If one is missing or no share.
        """
        found = []
        for key in ("flash_relative_threshold", "flash_absolute_threshold"):
            value = config.get(key)
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
                raise CheckpointError(f"config.json: {key} is {value!r}: a Flash checkpoint says a number of 0 to 1")
            found.append(float(value))
        return cls(*found)


class Piece(NamedTuple):
    """A tensor of the other layout.

    Attributes:
        name: What it is called there.
        part: Which third of the rows it is of a packed tensor, 0 query, 1 key, 2 value; None for all of it.
    """

    name: str
    part: int | None = None


def layout_of(config: Mapping[str, Any]) -> Layout | None:
    """Tell the layout from a configuration; None where it is not InternVL's."""
    return MODEL_TYPES.get(str(config.get("model_type")))


def is_flash(config: Mapping[str, Any]) -> bool:
    """Tell whether a configuration is a Flash checkpoint's: it has a router, whether or not that is switched on."""
    return "flash_mode" in config or "flash_relative_threshold" in config


def check_settings(config: Mapping[str, Any]) -> None:
    """Refuse settings of GitHub's layout under which InternVL would see, or be asked, otherwise than here.

    Raises:
        CheckpointError: Names the key and the value.
    """
    for key, wanted in _SETTINGS.items():
        value = config.get(key, wanted)
        if value != wanted or isinstance(value, bool) != isinstance(wanted, bool):
            raise CheckpointError(f"config.json: {key} is {value!r}: foveate cuts pictures as with {wanted!r} alone")
    template = str(config.get("template", ""))
    if template in _FOREIGN_TEMPLATES:
        raise CheckpointError(
            f"config.json: the prompt's template is {template!r}, and foveate's own engines write ChatML: serve it "
            "with vLLM, and take --engine openai:URL"
        )
    if not isinstance(config.get("flash_mode", False), bool):
        raise CheckpointError(f"config.json: flash_mode is {config['flash_mode']!r}: it is true or false")


def transformers_pieces(name: str) -> tuple[Piece, ...]:
    """Give what a tensor of GitHub's layout is in transformers': one tensor, or three of a packed one.

    Raises:
        CheckpointError: If the layout has no tensor of that name, or transformers' has no place for it.
    """
    if name.startswith("language_model."):
        return (Piece(name),)
    for theirs, ours in _PLAIN:
        if name.startswith(theirs):
            return (Piece(ours + name.removeprefix(theirs)),)
    found = _GITHUB_LAYER.fullmatch(name)
    if found is not None:
        layer, rest = f"vision_tower.encoder.layer.{found[1]}.", found[2]
        if rest in ("attn.qkv.weight", "attn.qkv.bias"):
            kind = rest.rpartition(".")[2]
            return tuple(Piece(f"{layer}attention.{one}_proj.{kind}", part) for part, one in enumerate("qkv"))
        for theirs, ours in _LAYER:
            if rest.startswith(theirs):
                return (Piece(layer + ours + rest.removeprefix(theirs)),)
    if name.startswith(ROUTER):
        raise CheckpointError(
            f"{name} belongs to a router (Flash), for which transformers' layout has no place: leave the checkpoint "
            "in GitHub's layout, which the torch and LMDeploy engines read"
        )
    raise CheckpointError(f"GitHub's layout of InternVL has no tensor {name!r}")


def github_piece(name: str) -> Piece:
    """Give what a tensor of transformers' layout is in GitHub's; ``part`` where it is a third of a packed one.

    Raises:
        CheckpointError: If the layout has no tensor of that name.
    """
    name = on_disk(name)
    if name.startswith("language_model."):
        return Piece(name)
    for theirs, ours in _PLAIN:
        if name.startswith(ours):
            return Piece(theirs + name.removeprefix(ours))
    found = _THEIR_LAYER.fullmatch(name)
    if found is not None:
        layer, rest = f"vision_model.encoder.layers.{found[1]}.", found[2]
        third = _THEIR_PART.fullmatch(rest)
        if third is not None:
            return Piece(f"{layer}attn.qkv.{third[2]}", "qkv".index(third[1]))
        for theirs, ours in _LAYER:
            if rest.startswith(ours):
                return Piece(layer + theirs + rest.removeprefix(ours))
    raise CheckpointError(f"transformers' layout of InternVL has no tensor {name!r}")


def on_disk(name: str) -> str:
    """Give the name of a tensor in transformers' files, which differs from that in its newer models."""
    if name == "lm_head.weight":
        return "language_model.lm_head.weight"
    if name.startswith("model.language_model."):
        return "language_model.model." + name.removeprefix("model.language_model.")
    return name.removeprefix("model.")


def transformers_config(config: Mapping[str, Any], *, image_token: int) -> dict[str, Any]:
    """Write the configuration of GitHub's layout as transformers'.

    Args:
        config: ``config.json`` as it was read.
        image_token: The tokenizer's id of ``<IMG_CONTEXT>``.

    Raises:
        CheckpointError: If it is none, or says what transformers' InternVL cannot do; names key and value.
    """
    vision, text = _table(config, "vision_config"), dict(_table(config, "llm_config"))
    if config.get("ps_version", "v2") != "v2":
        raise CheckpointError(f"ps_version is {config['ps_version']!r}: transformers' pixel shuffle is 'v2' alone")
    side = int(config.get("force_image_size") or vision.get("image_size", 448))
    patch = int(vision.get("patch_size", 14))
    ratio = float(config.get("downsample_ratio", 0.5))
    names = text.pop("architectures", None) or ["?"]
    text["model_type"] = text.get("model_type") or LANGUAGE_MODELS.get(str(names[0]))
    if text["model_type"] not in LANGUAGE_MODELS.values():
        known = ", ".join(LANGUAGE_MODELS)
        raise CheckpointError(f"llm_config is of {names[0]} ({text['model_type']}): known are {known}")
    for key in ("auto_map", "_name_or_path", "torch_dtype", "transformers_version", "use_bfloat16"):
        text.pop(key, None)
    text["tie_word_embeddings"] = False
    return {
        "architectures": ["InternVLForConditionalGeneration"],
        "model_type": "internvl",
        "vision_config": {
            **{ours: vision.get(theirs, default) for theirs, ours, default in _VISION},
            "model_type": "internvl_vision",
            "image_size": [side, side],
            "patch_size": [patch, patch],
            "projection_dropout": 0.0,
            "use_absolute_position_embeddings": True,
            "use_mask_token": False,
            "use_mean_pooling": True,
        },
        "text_config": text,
        "image_token_id": image_token,
        "image_seq_length": round(side // patch * ratio) ** 2,
        "downsample_ratio": ratio,
        "projector_hidden_act": "gelu",
        "vision_feature_layer": int(config.get("select_layer", -1)),
        "vision_feature_select_strategy": "default",
        "tie_word_embeddings": False,
        "dtype": str(config.get("torch_dtype") or config.get("dtype") or "bfloat16"),
        **_own(config),
    }


def github_config(config: Mapping[str, Any], *, max_tiles: int = 12) -> dict[str, Any]:
    """Write transformers' configuration as GitHub's layout has it, as LMDeploy and llama.cpp read it.

    Args:
        config: ``config.json`` as it was read.
        max_tiles: Greatest number of tiles a picture where the caller says nothing.

    Raises:
        CheckpointError: If it is none, or says what GitHub's InternVL cannot do; names key and value.
    """
    vision, text = _table(config, "vision_config"), dict(_table(config, "text_config"))
    if config.get("vision_feature_select_strategy", "default") != "default":
        raise CheckpointError(
            f"vision_feature_select_strategy is {config['vision_feature_select_strategy']!r}: GitHub's layout leaves "
            "the class token out ('default')"
        )
    classes = {kind: name for name, kind in LANGUAGE_MODELS.items()}
    if text.get("model_type") not in classes:
        raise CheckpointError(f"text_config is of {text.get('model_type')!r}: known are {', '.join(classes)}")
    text["architectures"] = [classes[text["model_type"]]]
    text["tie_word_embeddings"] = False
    if "rope_parameters" in text:  # transformers before 5, which InternVL's own code needs, reads the plain key
        text["rope_theta"] = text["rope_parameters"].get("rope_theta", 10_000.0)
    side, patch = _square(vision, "image_size"), _square(vision, "patch_size")
    dtype = str(config.get("dtype") or config.get("torch_dtype") or "bfloat16")
    return {
        "architectures": ["InternVLChatModel"],
        "model_type": "internvl_chat",
        "auto_map": {
            "AutoConfig": "configuration_internvl_chat.InternVLChatConfig",  # there is no model code beside it
        },
        "vision_config": {
            **{theirs: vision.get(ours, default) for theirs, ours, default in _VISION},
            "architectures": ["InternVisionModel"],
            "model_type": "intern_vit_6b",
            "image_size": side,
            "patch_size": patch,
            "drop_path_rate": 0.0,
            "use_flash_attn": False,
        },
        "llm_config": text,
        "downsample_ratio": config.get("downsample_ratio", 0.5),
        "dynamic_image_size": True,
        "use_thumbnail": True,
        "min_dynamic_patch": 1,
        "max_dynamic_patch": max_tiles,
        "force_image_size": side,
        "pad2square": False,
        "ps_version": "v2",
        "select_layer": int(config.get("vision_feature_layer", -1)),
        "template": "internvl2_5",
        "tie_word_embeddings": False,
        "torch_dtype": dtype,
        **_own(config),
    }


def _own(config: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what foveate itself writes into configurations."""
    return {key: value for key, value in config.items() if key.startswith("foveate_")}


def _table(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = config.get(name)
    if not isinstance(table, Mapping):
        raise CheckpointError(f"config.json has no {name}")
    return table


def _square(vision: Mapping[str, Any], name: str) -> int:
    value = vision.get(name, 448 if name == "image_size" else 14)
    sides = value if isinstance(value, list | tuple) else [value]
    if not sides or any(not isinstance(side, int) or side != sides[0] for side in sides):
        raise CheckpointError(f"vision_config.{name} is {value!r}: tiles and patches are square")
    return int(sides[0])


def refuse_tensors(where: Path, wrong: Mapping[str, Iterable[str]]) -> None:
    """Refuse a checkpoint whose tensors are not those that are wanted.

    Args:
        where: Its folder.
        wrong: What is the matter, as "lacks tensors", with the names of the tensors that it is the matter with.

    Raises:
        CheckpointError: If there is one; names the first three.
    """
    for says, names in wrong.items():
        listed = sorted(names)
        if listed:
            more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
            raise CheckpointError(f"{where} {says}: {', '.join(listed[:3])}{more}")
