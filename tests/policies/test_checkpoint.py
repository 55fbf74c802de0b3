import json
import shlex
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from foveate.actions.errors import CheckpointError, ModelUnavailable
from foveate.policies.internvl import checkpoint
from foveate.policies.internvl.tiling import IMAGENET_MEAN, IMAGENET_STD

CONFIG = {
    "model_type": "internvl",
    "vision_config": {"image_size": [56, 56], "patch_size": [14, 14]},
    "text_config": {"max_position_embeddings": 2048},
    "downsample_ratio": 0.5,
    "image_seq_length": 4,
}


def write_weights(path: Path, *, cut: int = 0) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    data = struct.pack("<Q", len(header)) + header + bytes(16)
    path.write_bytes(data[: len(data) - cut])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / "config.json").write_text(json.dumps(CONFIG))
    (made / "tokenizer.json").write_text("{}")
    write_weights(made / "model.safetensors")
    return made


def change(folder: Path, **changes: object) -> None:
    (folder / "config.json").write_text(json.dumps({**CONFIG, **changes}))


def one_line(error: pytest.ExceptionInfo[Exception]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_sound_checkpoint_says_what_it_is(folder: Path) -> None:
    found = checkpoint.check(folder)
    assert (found.tile, found.tokens_per_tile, found.context, found.profile) == (56, 4, 2048, None)
    assert (found.mean, found.std) == (IMAGENET_MEAN, IMAGENET_STD)


def test_the_processors_mean_and_deviation_are_used_wherever_they_are_written(folder: Path) -> None:
    settings = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": settings}))
    assert checkpoint.check(folder).mean == (0.1, 0.2, 0.3)
    (folder / "preprocessor_config.json").write_text(json.dumps({**settings, "image_std": [0.7, 0.8, 0.9]}))
    assert checkpoint.check(folder).std == (0.7, 0.8, 0.9)


def test_a_checkpoint_may_name_its_profile(folder: Path) -> None:
    change(folder, foveate_profile="tiny")
    assert checkpoint.check(folder).profile == "tiny"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no such folder") as error:
        checkpoint.check(tmp_path / "nowhere")
    assert "nowhere" in one_line(error)


def test_a_folder_without_a_configuration_holds_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"no config\.json"):
        checkpoint.check(tmp_path)


def test_a_name_that_is_neither_folder_nor_hub_id_is_explained() -> None:
    with pytest.raises(ModelUnavailable, match="'huge'") as error:
        checkpoint.find("huge")
    assert "'tiny'" in one_line(error)


def test_a_path_is_never_looked_up_on_a_hub(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no model"):
        checkpoint.find(f"{tmp_path}/nowhere")


def test_the_home_of_a_user_that_there_is_not_is_no_folder() -> None:
    with pytest.raises(ModelUnavailable, match="no model '~nobody-there/model'"):
        checkpoint.find("~nobody-there/model")


def test_a_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelUnavailable, match="is a file"):
        checkpoint.find(tmp_path / "model.safetensors")


def test_the_bundled_model_is_found_by_its_name() -> None:
    assert checkpoint.find("tiny").name == "tiny"


@pytest.mark.torch
def test_a_hub_that_cannot_be_reached_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    start = time.monotonic()
    with pytest.raises(ModelUnavailable, match=r"nobody/nothing-at-all.*127\.0\.0\.1:9 cannot be reached") as error:
        checkpoint.find("nobody/nothing-at-all", endpoint="http://127.0.0.1:9")
    assert "folder" in one_line(error)
    assert time.monotonic() - start < 6


@pytest.mark.parametrize("cut", [1, 16, 30, 60])
def test_truncated_weights_are_named_before_anything_is_loaded(folder: Path, cut: int) -> None:
    write_weights(folder / "model.safetensors", cut=cut)
    with pytest.raises(CheckpointError, match="truncated") as error:
        checkpoint.check(folder)
    assert "model.safetensors" in one_line(error)


def test_weights_that_are_something_else_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"<html>not found</html>" * 9)
    with pytest.raises(CheckpointError, match="no safetensors file"):
        checkpoint.check(folder)


def test_a_missing_shard_is_named(folder: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"lacks model-00002\.safetensors"):
        checkpoint.check(folder)


def test_pickled_weights_are_refused_with_the_remedy(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pickled weights \(pytorch_model\.bin\)") as error:
        checkpoint.check(folder)
    assert "safetensors" in one_line(error)


def test_no_weights_at_all_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="no weights"):
        checkpoint.check(folder)


def test_a_missing_tokenizer_is_named(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"no tokenizer\.json"):
        checkpoint.check(folder)


@pytest.mark.parametrize(
    ("kind", "says"), [("internvl_chat", "no token <IMG_CONTEXT>"), ("llama", "'llama'"), (None, "None")]
)
def test_a_foreign_configuration_is_named(folder: Path, kind: str | None, says: str) -> None:
    change(folder, model_type=kind)
    with pytest.raises(CheckpointError, match=says):
        checkpoint.check(folder)


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_a_broken_configuration_is_named(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        checkpoint.check(folder)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"image_seq_length": 256}, "give 4 tokens"),
        ({"vision_config": None}, "no vision_config"),
        ({"text_config": None}, "no text_config"),
        ({"vision_config": {"image_size": [56, 28], "patch_size": 14}}, "square"),
    ],
)
def test_a_configuration_that_contradicts_itself_is_refused(
    folder: Path, changes: dict[str, object], says: str
) -> None:
    change(folder, **changes)
    with pytest.raises(CheckpointError, match=says):
        checkpoint.check(folder)


def test_a_real_layout_is_read_too(small_checkpoint: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(small_checkpoint, copy)
    assert checkpoint.check(copy).tokens_per_tile == 4


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"downsample_ratio": None}, "downsample_ratio of None"),
        ({"vision_feature_layer": -40}, "layer -40"),
        ({"vision_feature_layer": "last"}, "layer 'last'"),
    ],
)
def test_settings_that_make_no_sense_are_named(folder: Path, settings: dict[str, Any], says: str) -> None:
    change(folder, **settings)
    with pytest.raises(CheckpointError, match=says) as error:
        checkpoint.check(folder)
    one_line(error)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("image_std", [0, 0, 0], "numbers above 0"), ("image_std", [1.0], "three numbers"),
        ("image_mean", [1], "three numbers"), ("image_mean", ["a", "b", "c"], "three numbers"),
    ],
)  # fmt: skip
def test_a_normalisation_that_is_none_is_named(folder: Path, key: str, value: object, says: str) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps({key: value}))
    with pytest.raises(CheckpointError, match=says):
        checkpoint.check(folder)


@pytest.mark.parametrize(
    ("mapped", "says"),
    [
        ([1], "no weight_map"), ({"a": 5}, "'5'"), ({"a": "../other/model.safetensors"}, "no safetensors file of its"),
        ({"a": "weights.bin"}, "'weights.bin'"),
    ],
)  # fmt: skip
def test_an_index_names_files_of_its_folder_alone(folder: Path, mapped: object, says: str) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": mapped}))
    with pytest.raises(CheckpointError, match=says):
        checkpoint.check(folder)


def test_weights_that_are_a_folder_or_whole_numbers_are_named(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.unlink()
    header = json.dumps({"a": {"dtype": "I32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"0000")
    with pytest.raises(CheckpointError, match="a is of I32 numbers"):
        checkpoint.check(folder)
    path.unlink()
    path.mkdir()
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint.check(folder)


@pytest.mark.torch
@pytest.mark.parametrize("names", [["pytorch_model.bin"], [f"pytorch_model-0000{one}-of-00002.bin" for one in (1, 2)]])
def test_pickled_weights_are_all_written_anew_by_the_line_that_is_named(folder: Path, names: list[str]) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    (folder / "model.safetensors").unlink()
    torch.save({"optimizer": "none of its weights"}, folder / "optimizer.pt")
    torch.save("none of its weights", folder / "training_args.bin")
    tied, wanted = torch.arange(6.0).reshape(2, 3), {}
    for name in names:
        part = {f"{name}.turned": tied.T, f"{name}.tied": tied, f"{name}.again": tied}
        torch.save(part, folder / name)
        wanted |= part
    with pytest.raises(CheckpointError, match=rf"holds pickled weights \({names[0]}\)") as error:
        checkpoint.check(folder)
    command = shlex.split(one_line(error).partition("in that folder: ")[2])
    assert command[0] == "python"
    subprocess.run([sys.executable, *command[1:]], cwd=folder, check=True, timeout=90)
    found = safetensors.load_file(folder / "model.safetensors")
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())
    checkpoint.check(folder)
