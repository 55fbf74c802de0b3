"""Every size of InternVL3.5, from its true configuration at reduced width and depth, is loaded and answers."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = pytest.mark.torch

from foveate.actions.errors import UsageError  # noqa: E402
from foveate.policies.engines.base import ImagePart, Message, Request, TextPart  # noqa: E402
from foveate.policies.engines.torch import TorchEngine  # noqa: E402
from foveate.policies.internvl.catalogue import SIZES  # noqa: E402
from foveate.policies.internvl.made_up import Reduced, made_up, reference_tokenizer  # noqa: E402

SMALL = Reduced(layers=2, narrower=16)
WIDE = np.random.default_rng(0).integers(0, 256, (448, 896, 3), np.uint8)


def asked(most: int = 4) -> Request:
    user = Message("user", (ImagePart(WIDE, max_tiles=2), TextPart("Click Save")))
    return Request((Message("system", (TextPart("You are an agent."),)), user), max_new_tokens=most)


@pytest.mark.parametrize("name", list(SIZES))
async def test_every_size_loads_encodes_and_answers(tmp_path: Path, name: str) -> None:
    size = SIZES[name]
    folder = made_up(size, tmp_path / name, reduced=SMALL, precision="float32")
    async with TorchEngine(folder, device="cpu") as engine:
        assert engine.checkpoint is not None and engine.checkpoint.tokens_per_tile == 256
        (encoded,) = await engine.encode((ImagePart(WIDE, max_tiles=2),))
        assert encoded.visual_tokens == 3 * 256
        deltas = [delta async for delta in engine.generate(asked())]
    usage = deltas[-1].usage
    assert usage is not None and usage.visual == 3 * 256 and usage.output >= 1
    config = transformers.AutoConfig.from_pretrained(folder)
    text, vision = config.text_config, config.vision_config
    kinds = {"gpt_oss": size.language.biased, "qwen3_moe": bool(size.language.experts) and not size.language.biased}
    assert kinds.get(text.model_type, not size.language.experts)
    assert text.num_attention_heads // text.num_key_value_heads == size.language.heads // size.language.shared
    assert (vision.norm_type, vision.use_qk_norm) == (
        ("layer_norm", False) if size.tower.centred else ("rms_norm", True)
    )


@pytest.mark.parametrize("name", ["1B", "38B", "30B-A3B"])
async def test_a_made_up_flash_checkpoint_has_a_router(tmp_path: Path, name: str) -> None:
    folder = made_up(SIZES[name], tmp_path / "flash", reduced=SMALL, flash=True, precision="float32")
    assert not (tmp_path / "flash.base").exists()
    async with TorchEngine(folder, device="cpu") as engine:
        assert "flash" in engine.capabilities
        whole, fewer = [
            [
                delta
                async for delta in engine.generate(Request(asked().messages, max_new_tokens=2, visual_tokens=budget))
            ]
            for budget in (768, 384)
        ]
    assert whole[-1].usage is not None and fewer[-1].usage is not None
    assert whole[-1].usage.visual > fewer[-1].usage.visual


def test_a_size_without_flash_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="GPT-OSS-20B-A4B-Preview has no Flash checkpoint"):
        made_up(SIZES["GPT-OSS-20B-A4B"], tmp_path / "x", reduced=SMALL, flash=True)


def test_the_tokenizer_parts_text_as_the_true_one_does() -> None:
    tokenizer = reference_tokenizer()
    pieces = [
        tokenizer.decode([token]) for token in tokenizer.encode("<operation>\nClick the\n</operation>\nclick(x=0.5123)")
    ]
    assert "".join(pieces) == "<operation>\nClick the\n</operation>\nclick(x=0.5123)"
    assert pieces[-6:] == ["0", ".", "5", "1", "2", "3)"] or pieces[-7:] == ["0", ".", "5", "1", "2", "3", ")"]
    assert "operation" in pieces and len(tokenizer) < 4200
    assert tokenizer.encode("<|im_end|>") == [tokenizer.convert_tokens_to_ids("<|im_end|>")]
