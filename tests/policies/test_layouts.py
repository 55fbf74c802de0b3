"""InternVL's two layouts: every tensor and setting finds its place, in either direction."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = pytest.mark.torch

from safetensors.torch import load_file, save_file  # noqa: E402

from foveate.actions.errors import CheckpointError, ModelUnavailable, UsageError  # noqa: E402
from foveate.policies.engines.torch import TorchEngine  # noqa: E402
from foveate.policies.engines.torch_loading import load_model  # noqa: E402
from foveate.policies.internvl.checkpoint import check  # noqa: E402
from foveate.policies.internvl.converting import convert  # noqa: E402
from foveate.policies.internvl.layouts import github_config, transformers_config  # noqa: E402
from foveate.policies.internvl.new_folder import new_folder  # noqa: E402
from tests.checkpoints import build  # noqa: E402
from tests.policies.asking import collected, request  # noqa: E402

TEXTS: dict[str, dict[str, Any]] = {
    "qwen3": {},
    "qwen3_moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "decoder_sparse_step": 1},
    "gpt_oss": {
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "layer_types": ["sliding_attention", "full_attention"],
    },
}
LARGE_TOWER = {"norm_type": "rms_norm", "use_qk_norm": True, "attention_bias": False}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("small") / "hf", image_size=56)


def other(small: Path, folder: Path, text: str, vision: dict[str, Any]) -> Path:
    """Write a checkpoint like the small one with another language model or vision tower."""
    config = json.loads((small / "config.json").read_text())
    kept = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim")
    own = {key: config["text_config"][key] for key in kept}
    made = transformers.AutoConfig.for_model(
        text, **own, intermediate_size=64, tie_word_embeddings=False, max_position_embeddings=512, **TEXTS[text]
    )
    whole = transformers.InternVLConfig.from_dict(
        {**config, "vision_config": {**config["vision_config"], **vision}, "text_config": made.to_dict()}
    )
    torch.manual_seed(3)
    transformers.InternVLForConditionalGeneration(whole).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        (folder / name).write_bytes((small / name).read_bytes())
    return folder


def logits(folder: Path) -> Any:
    model = load_model(check(folder), torch.float32).eval()
    config = model.config
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(1, 3, 56, 56, generator=generator)
    ids = torch.tensor([[7, *[config.image_token_id] * 4, 20, 30, 40]])
    with torch.no_grad():
        return model(input_ids=ids, pixel_values=pixels).logits


@pytest.mark.parametrize(
    ("text", "vision"),
    [("qwen3", {}), ("qwen3", LARGE_TOWER), ("qwen3_moe", {}), ("gpt_oss", {})],
    ids=["300M", "6B", "MoE", "GPT-OSS"],
)
def test_a_converted_checkpoint_says_what_it_said_before(
    small: Path, tmp_path: Path, text: str, vision: dict[str, Any]
) -> None:
    given = other(small, tmp_path / "given", text, vision)
    there, back = tmp_path / "there", tmp_path / "back"
    convert(given, there, "github")
    convert(there, back, "transformers")
    before, after = load_file(given / "model.safetensors"), load_file(back / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    wanted = logits(given)
    assert float(wanted.std()) > 1e-3
    for folder in (there, back):
        torch.testing.assert_close(logits(folder), wanted, atol=1e-4, rtol=0)


def test_the_names_of_githubs_layout_are_those_that_its_readers_know(small: Path, tmp_path: Path) -> None:
    convert(small, tmp_path / "out", "github")
    names = set(load_file(tmp_path / "out/model.safetensors"))
    layer = "vision_model.encoder.layers.1."
    inner = "attn.qkv.weight attn.qkv.bias attn.proj.weight norm1.weight norm2.bias ls1 ls2 mlp.fc1.weight mlp.fc2.bias"
    assert {layer + name for name in inner.split()} <= names
    assert {
        "mlp1.0.weight", "mlp1.1.bias", "mlp1.3.weight", "vision_model.embeddings.class_embedding",
        "vision_model.embeddings.position_embedding", "vision_model.embeddings.patch_embedding.weight",
        "language_model.model.embed_tokens.weight", "language_model.lm_head.weight",
    } <= names  # fmt: skip
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert (config["model_type"], config["llm_config"]["architectures"]) == ("internvl_chat", ["Qwen3ForCausalLM"])
    assert (config["ps_version"], config["select_layer"], config["force_image_size"]) == ("v2", -1, 56)


def test_settings_of_a_checkpoint_survive_both_ways(small: Path) -> None:
    given = json.loads((small / "config.json").read_text())
    back = transformers_config(github_config({**given, "foveate_profile": "tiny"}), image_token=given["image_token_id"])
    assert back["foveate_profile"] == "tiny"
    assert back["image_seq_length"] == given["image_seq_length"]
    own = transformers.InternVLConfig.from_dict(back).to_dict()
    for table in ("vision_config", "text_config"):
        differ = {
            key: (value, own[table].get(key))
            for key, value in given[table].items()
            if own[table].get(key) != value and key not in ("architectures", "dtype", "rope_theta")
        }
        assert differ == {}


def test_large_checkpoints_are_written_in_several_files(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foveate.policies.internvl.converting.SHARD_BYTES", 40_000)
    convert(small, tmp_path / "out", "github")
    files = sorted((tmp_path / "out").glob("*.safetensors"))
    assert len(files) > 2
    mapped = json.loads((tmp_path / "out/model.safetensors.index.json").read_text())["weight_map"]
    assert {file.name: set(load_file(file)) for file in files} == {
        file.name: {name for name, where in mapped.items() if where == file.name} for file in files
    }
    convert(tmp_path / "out", tmp_path / "back", "transformers")
    torch.testing.assert_close(logits(tmp_path / "back"), logits(small), atol=1e-4, rtol=0)


def test_what_has_no_place_in_the_other_layout_is_named(small: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    convert(small, there, "github")
    config = json.loads((there / "config.json").read_text())
    tensors = load_file(there / "model.safetensors")

    def refused(says: str, *, settings: dict[str, Any] | None = None, **more: Any) -> None:
        (there / "config.json").write_text(json.dumps({**config, **(settings or {})}))
        save_file({name: value for name, value in {**tensors, **more}.items() if value is not None},
                  there / "model.safetensors")  # fmt: skip
        with pytest.raises(CheckpointError, match=says):
            convert(there, tmp_path / "out", "transformers")
        assert not list(tmp_path.glob("out*"))

    refused("no tensor 'mlp9.weight'", **{"mlp9.weight": torch.zeros(1)})
    refused("Flash checkpoint", settings={"flash_mode": True})
    refused("belongs to a router", **{"gating.gate.0.weight": torch.zeros(1)})
    refused("ps_version is 'v1'", settings={"ps_version": "v1"})
    refused("is of XForCausalLM", settings={"llm_config": {"architectures": ["XForCausalLM"]}})
    refused("31 rows", **{"vision_model.encoder.layers.0.attn.qkv.bias": torch.zeros(31)})


def test_a_third_that_is_missing_is_named(small: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    for file in small.iterdir():
        (given / file.name).write_bytes(file.read_bytes())
    tensors = load_file(given / "model.safetensors")
    del tensors["vision_tower.encoder.layer.1.attention.k_proj.weight"]
    save_file(tensors, given / "model.safetensors")
    with pytest.raises(
        CheckpointError, match=r"layers\.1\.attn\.qkv\.weight cannot be packed: the checkpoint lacks its k"
    ):
        convert(given, tmp_path / "out", "github")


def test_a_missing_tensor_of_githubs_layout_is_named_when_it_is_loaded(small: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    convert(small, there, "github")
    tensors = load_file(there / "model.safetensors")
    del tensors["mlp1.3.weight"]
    save_file(tensors, there / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"lacks tensors: .*linear_2\.weight"):
        load_model(check(there), torch.float32)


def test_a_folder_in_use_and_the_same_layout_are_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is in use"):
        convert(small, small, "github")
    with pytest.raises(UsageError, match="transformers layout already"):
        convert(small, tmp_path / "out", "transformers")
    with pytest.raises(UsageError, match="cannot be written"):
        convert(small, Path("/proc/none/out"), "github")


def test_shards_that_transformers_wrote_are_loaded_and_converted_as_the_whole_is(small: Path, tmp_path: Path) -> None:
    model = transformers.InternVLForConditionalGeneration.from_pretrained(small)
    parted = tmp_path / "parted"
    model.save_pretrained(parted, max_shard_size="60KB")
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        (parted / name).write_bytes((small / name).read_bytes())
    assert len(list(parted.glob("*.safetensors"))) > 2
    convert(parted, tmp_path / "github", "github")
    for folder in (parted, tmp_path / "github"):
        torch.testing.assert_close(logits(folder), logits(small), atol=1e-4, rtol=0)


@pytest.mark.parametrize("to", ["github", "transformers"])
def test_a_tensor_that_lacks_or_has_another_shape_is_named_before_anything_is_written(
    small: Path, tmp_path: Path, to: str
) -> None:
    given = tmp_path / "given"
    if to == "github":
        shutil.copytree(small, given)
    else:
        convert(small, given, "github")
    tensors = load_file(given / "model.safetensors")
    (name,) = [one for one in tensors if one.endswith("layers.1.mlp.up_proj.weight")]
    for says, changed in (("lacks tensors", None), ("of another shape", torch.zeros(3, 3))):
        other = {one: value for one, value in {**tensors, name: changed}.items() if value is not None}
        save_file(other, given / "model.safetensors")
        with pytest.raises(CheckpointError, match=rf"{says}.*layers\.1\.mlp\.up_proj\.weight"):
            convert(given, tmp_path / "out", to)  # type: ignore[arg-type]
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"use_thumbnail": False}, "use_thumbnail is False"),
        ({"dynamic_image_size": False}, "dynamic_image_size is False"),
        ({"pad2square": True}, "pad2square is True"),
        ({"min_dynamic_patch": 2}, "min_dynamic_patch is 2"),
        ({"template": "Hermes-2"}, "'Hermes-2'"),
        ({"template": "internvl3_5_gpt_oss"}, "serve it with vLLM"),
        ({"flash_mode": "false"}, "flash_mode is 'false'"),
    ],
)
def test_settings_under_which_internvl_sees_otherwise_are_refused(
    small: Path, tmp_path: Path, settings: dict[str, Any], says: str
) -> None:
    convert(small, tmp_path / "given", "github")
    config = json.loads((tmp_path / "given/config.json").read_text())
    (tmp_path / "given/config.json").write_text(json.dumps({**config, **settings}))
    with pytest.raises(CheckpointError, match=says):
        check(tmp_path / "given")


async def test_weights_and_settings_that_make_no_numbers_are_named(small: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(small, broken)
    tensors = load_file(broken / "model.safetensors")
    (name,) = [one for one in tensors if one.endswith("layers.1.mlp.up_proj.weight")]
    save_file({**tensors, name: tensors[name] * float("nan")}, broken / "model.safetensors")
    async with TorchEngine(broken, device="cpu") as engine:
        with pytest.raises(ModelUnavailable, match="computes what is no number"):
            await collected(engine, request())
    config = json.loads((broken / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] = 3
    (broken / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"config\.json makes no model: .*layer") as error:
        await TorchEngine(broken, device="cpu").open()
    assert "\n" not in str(error.value)


def test_a_folder_that_is_being_written_leaves_those_beside_it_alone(small: Path, tmp_path: Path) -> None:
    mine = tmp_path / "out.part"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    with new_folder(tmp_path / "out") as part, new_folder(tmp_path / "out") as other:
        assert part != other and part.parent == tmp_path
    with pytest.raises(UsageError, match="is in use"):
        convert(small, tmp_path / "out.part", "github")
    convert(small, tmp_path / "written", "github")
    assert (mine / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.part", "written"]
    assert (tmp_path / "written").stat().st_mode == mine.stat().st_mode
