"""The sizes of InternVL3.5: what their dimensions come to is what the paper says."""

import pytest

from foveate.policies.internvl.catalogue import LARGE_TOWER, SIZES, SMALL_TOWER, size_of

BILLIONS = {
    "1B": (0.8, 1.1), "2B": (2.0, 2.3), "4B": (4.4, 4.7), "8B": (8.2, 8.5), "14B": (14.8, 15.1), "38B": (32.8, 38.4),
    "GPT-OSS-20B-A4B": (20.9, 21.2), "30B-A3B": (30.5, 30.8), "241B-A28B": (235.1, 240.7),
}  # fmt: skip
"""Of language model and whole, Table 1 of arXiv 2508.18265."""


def test_there_are_nine_sizes() -> None:
    assert SIZES.keys() == BILLIONS.keys()


@pytest.mark.parametrize("name", BILLIONS)
def test_dimensions_come_to_the_papers_totals(name: str) -> None:
    language, whole = BILLIONS[name]
    assert SIZES[name].language.parameters / 1e9 == pytest.approx(language, abs=0.06)
    assert SIZES[name].parameters / 1e9 == pytest.approx(whole, abs=0.16)


def test_towers_and_routers_have_their_weights() -> None:
    assert SMALL_TOWER.parameters / 1e6 == pytest.approx(304.0, abs=0.1)
    assert LARGE_TOWER.parameters / 1e9 == pytest.approx(5.53, abs=0.01)
    for name, millions in (("1B", 40), ("8B", 235), ("14B", 325), ("38B", 682)):
        size = SIZES[name]
        shared = 34 + 17 if size.tower is SMALL_TOWER else 328 + 164
        assert size.router / 1e6 == pytest.approx(millions + shared, abs=1.5)


def test_weights_that_are_built_are_those_that_are_counted() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    from foveate.policies.internvl.vir import Router

    size = SIZES["1B"]
    language = size.language
    text = transformers.Qwen3Config(
        vocab_size=language.vocabulary, hidden_size=language.width, intermediate_size=language.inner,
        num_hidden_layers=language.layers, num_attention_heads=language.heads, num_key_value_heads=language.shared,
        head_dim=language.head, tie_word_embeddings=False,
    )  # fmt: skip
    config = transformers.InternVLConfig(vision_config={"attention_bias": True}, text_config=text)
    config.tie_word_embeddings = False
    with torch.device("meta"):
        model = transformers.InternVLForConditionalGeneration(config)
        router = Router(size.tower.width, language.width)
    built = {name: value.numel() for name, value in model.named_parameters() if "mask_token" not in name}
    assert sum(built.values()) == size.parameters
    assert sum(value.numel() for value in router.parameters()) == size.router


def test_memory_grows_with_tiles_and_shrinks_with_bits() -> None:
    size = SIZES["8B"]
    whole, half, quarter = (size.memory(number) for number in ("bf16", "fp8", "int4"))
    assert whole > half > quarter
    assert whole / 1e9 == pytest.approx(2 * 8.53 + (13 * 256 + 4096) * 2 * 2 * 36 * 8 * 128 / 1e9, abs=0.05)
    assert size.memory("bf16", tiles=1) < whole < size.memory("bf16", flash=True)
    assert size.language.active == size.language.matrices
    assert SIZES["30B-A3B"].language.active / 1e9 == pytest.approx(2.7, abs=0.3)


def test_attention_is_parted_among_gpus_that_share_its_heads_evenly() -> None:
    for name, counts in (("14B", [1, 2, 4, 8]), ("38B", [1, 2, 4, 8, 16]), ("241B-A28B", [1, 2, 4, 8, 16])):
        assert [count for count in range(1, 17) if SIZES[name].language.parts_among(count)] == counts


def test_ids_lead_to_their_size_and_strangers_do_not() -> None:
    for size in SIZES.values():
        for model in size.ids:
            assert size_of(model) is size
            assert size_of(f"/models/{model.rpartition('/')[2]}/") is size
            assert size_of(f"modelscope:{model}@refs/pr/1") is size
    assert "OpenGVLab/InternVL3_5-8B-Flash" in SIZES["8B"].ids
    assert "OpenGVLab/InternVL3_5-30B-A3B-MPO-HF" in SIZES["30B-A3B"].ids
    assert not any("Flash" in model for model in SIZES["GPT-OSS-20B-A4B"].ids)
    assert size_of("OpenGVLab/InternVL3_5-241B-A28B-Flash") is SIZES["241B-A28B"]
    assert not SIZES["241B-A28B"].flash, "its makers list none: it is known where it is named, and never offered"
    for stranger in ("OpenGVLab/InternVL3-8B", "Qwen/Qwen3-8B", "tiny", ""):
        assert size_of(stranger) is None
