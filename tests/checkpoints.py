"""Random InternVL checkpoints, built once a run: right in every shape, trained on nothing; and as GGUF files."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

LAYERS = 4
"""Of the vision tower, where llama.cpp is to take it."""

SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "<ref>",
    "</ref>", "<box>", "</box>", "<video>", "<think>", "</think>",
)  # fmt: skip
_TEXTS = (
    "Please generate the next move according to the UI screenshot, the task and previous operations.",
    "<operation>Click the button</operation><action>click(x=0.5, y=0.25)</action>",
    "system user assistant été 牛奶 🥛 milk",
)


def build(folder: Path, *, image_size: int, context: int = 2048, seed: int = 0) -> Path:
    """Write a checkpoint whose tiles have ``image_size`` pixels a side (a multiple of 28)."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    from transformers.models.internvl import InternVLVisionConfig

    tokenizer = _tokenizer(transformers)
    text = transformers.Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=context, tie_word_embeddings=False,
        bos_token_id=None, eos_token_id=tokenizer.convert_tokens_to_ids("<|im_end|>"), pad_token_id=None,
    )  # fmt: skip
    vision = InternVLVisionConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, attention_bias=True,
        image_size=[image_size, image_size], patch_size=[14, 14],
    )  # fmt: skip
    config = transformers.InternVLConfig(
        vision_config=vision, text_config=text, downsample_ratio=0.5, image_seq_length=(image_size // 28) ** 2,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"), tie_word_embeddings=False,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = transformers.InternVLForConditionalGeneration(config)
    with torch.no_grad():  # far from uniform, so that greedy choices are no matter of rounding
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, 0.25)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor = {
        "image_processor_type": "GotOcr2ImageProcessor", "size": {"height": image_size, "width": image_size},
        "crop_to_patches": True, "min_patches": 1, "max_patches": 12,
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def _tokenizer(transformers: Any) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=list(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(_TEXTS, trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=SPECIAL[2], pad_token=SPECIAL[0])


def deepened(source: Path, target: Path) -> Path:
    """Give a checkpoint a vision tower of four layers, and no taste for parts of characters or an end."""
    safetensors_torch = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    shutil.copytree(source, target)
    said = json.loads((target / "config.json").read_text())
    had = said["vision_config"]["num_hidden_layers"]
    said["vision_config"]["num_hidden_layers"] = LAYERS
    (target / "config.json").write_text(json.dumps(said))
    state = safetensors_torch.load_file(target / "model.safetensors")
    for name in [name for name in state if ".encoder.layer." in name]:
        before, _, after = name.partition(".encoder.layer.")
        number, _, rest = after.partition(".")
        for layer in range(had + int(number), LAYERS, had):
            state[f"{before}.encoder.layer.{layer}.{rest}"] = state[name].flip(0).clone()
    vocab = json.loads((target / "tokenizer.json").read_text())["model"]["vocab"]
    (head,) = [name for name in state if name.endswith("lm_head.weight")]
    for token, number in vocab.items():
        if not token.isascii() or token in ("<|endoftext|>", "<|im_end|>"):
            state[head][number] = 0.0
    safetensors_torch.save_file(state, target / "model.safetensors", metadata={"format": "pt"})
    return target


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint with tiles of 56 pixels, four visual tokens each."""
    return build(tmp_path_factory.mktemp("checkpoint") / "small", image_size=56)


@pytest.fixture(scope="session")
def full_tile_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint with tiles of 448 pixels, 256 visual tokens each."""
    return build(tmp_path_factory.mktemp("checkpoint") / "full", image_size=448, context=4096)


@pytest.fixture(scope="session")
def deep_checkpoint(small_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small one with a vision tower of four layers, as llama.cpp wants it."""
    return deepened(small_checkpoint, tmp_path_factory.mktemp("deep") / "small")


@pytest.fixture(scope="session")
def deep_full_checkpoint(full_tile_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one with full tiles, with a vision tower of four layers."""
    return deepened(full_tile_checkpoint, tmp_path_factory.mktemp("deep") / "full")


def with_router(source: Path, folder: Path, *, seed: int = 5) -> Path:
    """Write a small checkpoint in GitHub's layout, with a random router (Flash) beside its tensors."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from safetensors.torch import load_file, save_file

    from foveate.policies.internvl.converting import convert
    from foveate.policies.internvl.vir import Router

    convert(source, folder, "github")
    torch.manual_seed(seed)
    router = Router(32, 32)
    with torch.no_grad():
        for parameter in router.parameters():
            parameter.normal_(0.0, 0.3)
    tensors = load_file(folder / "model.safetensors") | router.state_dict()
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors")
    return change(folder, flash_mode=True, flash_relative_threshold=0.3, flash_absolute_threshold=0.0)


def change(folder: Path, **settings: Any) -> Path:
    """Change settings in a checkpoint's configuration."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **settings}))
    return folder


@pytest.fixture(scope="session", name="base")
def base_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint without a router, tiles of 112 pixels, 16 tokens each."""
    return build(tmp_path_factory.mktemp("base") / "hf", image_size=112)


@pytest.fixture(scope="session", name="flash")
def flash_checkpoint(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in GitHub's layout, with a router."""
    return with_router(base, tmp_path_factory.mktemp("flash") / "small-Flash")


def _exported(source: Path, target: Path) -> Path:
    for needed in ("gguf", "xllamacpp"):
        pytest.importorskip(needed, reason=f"{needed} is not installed")
    from foveate.policies.internvl.gguf_export import export

    return export(source, target).folder


@pytest.fixture(scope="session")
def small_gguf(deep_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``deep_checkpoint`` as GGUF."""
    return _exported(deep_checkpoint, tmp_path_factory.mktemp("gguf") / "small")


@pytest.fixture(scope="session")
def full_gguf(deep_full_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``deep_full_checkpoint`` as GGUF."""
    return _exported(deep_full_checkpoint, tmp_path_factory.mktemp("gguf") / "full")


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled checkpoint as GGUF."""
    from foveate.policies.internvl.checkpoint import find

    return _exported(find("tiny"), tmp_path_factory.mktemp("gguf") / "tiny")
