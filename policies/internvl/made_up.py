"""Checkpoints in InternVL3.5's shapes, made on the spot: true configuration, random weights, a tokenizer of ours.

They say nothing sensible and cost what the true ones cost: for benchmarks, and for trying that every size loads and
runs. The tokenizer parts text as Qwen's does (a token a digit, words with the blank before them), learned from this
package's own prompts; where the true one has more tokens, rows are left that nothing uses.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from foveate.actions.errors import UsageError
from foveate.actions.schema import KINDS
from foveate.policies.engines.torch_loading import quiet
from foveate.policies.internvl.catalogue import LARGE_TOWER, Language, Size, Tower
from foveate.policies.internvl.converting import convert
from foveate.policies.internvl.prompts import system_prompt, user_prompt
from foveate.policies.internvl.tiling import IMAGENET_MEAN, IMAGENET_STD
from foveate.policies.internvl.vir import Router

Precision: TypeAlias = Literal["float32", "bfloat16"]

TILE: Final = 448
PATCH: Final = 14

_SPECIAL: Final = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "<ref>",
    "</ref>", "<box>", "</box>", "<video>", "<think>", "</think>",
)  # fmt: skip
_PIECES: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CONTEXT: Final = 40_960


@dataclass(frozen=True, slots=True)
class Reduced:
    """How much smaller than the true shape.

    Attributes:
        layers: Layers of either tower at most; None is all.
        narrower: Widths, heads, experts and vocabulary are divided by this; widths stay multiples of a head.
    """

    layers: int | None = None
    narrower: int = 1


def made_up(
    size: Size,
    folder: Path,
    *,
    reduced: Reduced = Reduced(),
    flash: bool = False,
    precision: Precision = "bfloat16",
    seed: int = 0,
) -> Path:
    """Write a checkpoint of random weights.

    Args:
        size: Whose shape.
        folder: Is made.
        reduced: Where the true shape is too large.
        flash: With a router, in GitHub's layout, as Flash checkpoints are.
        precision: Of the weights.
        seed: Of the weights.

    Returns:
        The folder.

    Raises:
        UsageError: If the size has no Flash checkpoint.
    """
    if flash and not size.flash:
        raise UsageError(f"{size.id} has no Flash checkpoint: leave flash out")
    small = _smaller(size, reduced)
    tokenizer = reference_tokenizer()
    config = configuration(small, tokenizer)
    dtype = torch.float32 if precision == "float32" else torch.bfloat16
    where = folder.with_name(f"{folder.name}.base") if flash else folder
    with quiet(), torch.random.fork_rng(devices=[]), _default(dtype):
        torch.manual_seed(seed)
        model = transformers.InternVLForConditionalGeneration(config)
        router = Router(small.tower.width, small.language.width) if flash else None
        model.save_pretrained(where)
        del model
    tokenizer.save_pretrained(where)
    picture = {
        "image_processor_type": "GotOcr2ImageProcessor", "size": {"height": TILE, "width": TILE},
        "crop_to_patches": True, "min_patches": 1, "max_patches": 12,
        "image_mean": list(IMAGENET_MEAN), "image_std": list(IMAGENET_STD),
    }  # fmt: skip
    (where / "preprocessor_config.json").write_text(json.dumps(picture), encoding="utf-8")
    if router is not None:
        _with_router(where, folder, router)
    return folder


def reference_tokenizer() -> Any:
    """Make the tokenizer: byte-level BPE over Qwen's pieces, learned from the prompts that this package writes."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4096, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    texts = [
        system_prompt(platform, KINDS, form) for platform in ("web", "embodied") for form in ("operation", "thought")
    ]
    tokenizer.train_from_iterator([*texts, user_prompt("Click the button", "Step 1: Click the link")] * 4, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in _SPECIAL])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=_SPECIAL[2], pad_token=_SPECIAL[0], clean_up_tokenization_spaces=False
    )


def _smaller(size: Size, reduced: Reduced) -> Size:
    layers, share = reduced.layers, reduced.narrower
    tower, language = size.tower, size.language
    if share > 1:
        heads = max(2, tower.width // 64 // share)
        tower = replace(tower, width=64 * heads, inner=max(64, tower.inner // share))
        shared = max(1, language.shared // share)
        queries = shared * (language.heads // language.shared)
        language = replace(
            language, width=max(64, language.width // share // 64 * 64), heads=queries, shared=shared,
            inner=max(64, language.inner // share), vocabulary=max(4096 + len(_SPECIAL), language.vocabulary // share),
            experts=max(language.chosen, language.experts // share),
        )  # fmt: skip
    if layers is not None:
        tower = replace(tower, layers=min(layers, tower.layers))
        language = replace(language, layers=min(layers, language.layers))
    return replace(size, tower=tower, language=language)


def configuration(size: Size, tokenizer: Any) -> Any:
    """Write transformers' InternVL configuration of a size, its token ids those of a tokenizer."""
    number = tokenizer.convert_tokens_to_ids
    ends = {"bos_token_id": None, "eos_token_id": number("<|im_end|>"), "pad_token_id": number("<|endoftext|>")}
    return transformers.InternVLConfig(
        vision_config=_vision(size.tower), text_config=_text(size.language) | ends,
        image_token_id=number("<IMG_CONTEXT>"), image_seq_length=(TILE // PATCH // 2) ** 2, downsample_ratio=0.5,
        tie_word_embeddings=False,
    )  # fmt: skip


def _vision(tower: Tower) -> dict[str, Any]:
    width = 128 if tower.name == LARGE_TOWER.name and tower.width % 128 == 0 else 64
    return {
        "hidden_size": tower.width, "num_hidden_layers": tower.layers, "num_attention_heads": tower.width // width,
        "intermediate_size": tower.inner, "image_size": [TILE, TILE], "patch_size": [PATCH, PATCH],
        "attention_bias": tower.biased, "use_qk_norm": tower.normed,
        "norm_type": "layer_norm" if tower.centred else "rms_norm", "use_mask_token": False,
    }  # fmt: skip


def _text(language: Language) -> dict[str, Any]:
    common = {
        "hidden_size": language.width, "num_hidden_layers": language.layers, "num_attention_heads": language.heads,
        "num_key_value_heads": language.shared, "head_dim": language.head, "vocab_size": language.vocabulary,
        "max_position_embeddings": _CONTEXT, "tie_word_embeddings": False, "intermediate_size": language.inner,
    }  # fmt: skip
    if language.biased:
        kinds = ["sliding_attention", "full_attention"]
        return common | {
            "model_type": "gpt_oss", "num_local_experts": language.experts, "num_experts_per_tok": language.chosen,
            "layer_types": [kinds[layer % 2] for layer in range(language.layers)],
        }  # fmt: skip
    if language.experts:
        return common | {
            "model_type": "qwen3_moe", "num_experts": language.experts, "num_experts_per_tok": language.chosen,
            "moe_intermediate_size": language.inner, "decoder_sparse_step": 1, "norm_topk_prob": True,
        }  # fmt: skip
    return common | {"model_type": "qwen3", "rope_theta": 1_000_000.0}


def _with_router(base: Path, folder: Path, router: Router) -> None:
    """Turn a checkpoint into a Flash one: GitHub's layout, the router's tensors, its thresholds."""
    convert(base, folder, "github")
    files = sorted(folder.glob("*.safetensors"))
    last = files[-1]
    tensors = router.state_dict()
    save_file({**load_file(last), **{name: value.contiguous() for name, value in tensors.items()}}, last)
    index = folder / "model.safetensors.index.json"
    if index.exists():
        listed = json.loads(index.read_text(encoding="utf-8"))
        listed["weight_map"].update(dict.fromkeys(tensors, last.name))
        index.write_text(json.dumps(listed), encoding="utf-8")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"flash_mode": True, "flash_relative_threshold": 0.5, "flash_absolute_threshold": 0.5}
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    for path in base.iterdir():
        path.unlink()
    base.rmdir()


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
