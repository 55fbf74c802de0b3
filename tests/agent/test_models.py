"""``foveate models``: what is said of each size, and what a machine would do with it."""

import io
import json
import math
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from rich.console import Console

from foveate.actions.errors import CheckpointError, ModelUnavailable
from foveate.agent.models import Machine, pick, rows, show
from foveate.policies.internvl.catalogue import SIZES

COMMAND = str(Path(sys.executable).with_name("foveate"))
GPU = Machine("H100", 79_000_000_000, 128_000_000_000)
LAPTOP = Machine(ram_bytes=24_000_000_000)


def test_a_model_goes_where_it_fits() -> None:
    assert pick(SIZES["8B"], GPU, tiles=12)[0] == "torch on cuda"
    assert pick(SIZES["38B"], GPU, tiles=12)[0] == ""
    assert pick(SIZES["1B"], LAPTOP, tiles=12)[0] == "torch on cpu"
    here, why = pick(SIZES["8B"], LAPTOP, tiles=12)
    assert here == ""
    assert "there is no GPU" in why and "--engine openai:URL" in why


def test_a_flash_checkpoint_is_larger_and_fewer_can_serve_it() -> None:
    plain, flash = rows(["OpenGVLab/InternVL3_5-8B", "models/InternVL3_5-8B-Flash"], GPU, tiles=6)
    assert flash.parameters > plain.parameters
    assert flash.memory["bf16"] > plain.memory["bf16"] > plain.memory["int4"]
    assert flash.engines == ("torch", "lmdeploy", "openai (LMDeploy)")
    assert (plain.router, flash.router, plain.flash) == (False, True, "OpenGVLab/InternVL3_5-8B-Flash")
    assert rows(["OpenGVLab/InternVL3_5-8B-Flash@v1"], GPU, tiles=6)[0].router


def test_gpt_oss_is_left_to_vllm_with_the_reason() -> None:
    (row,) = rows(["OpenGVLab/InternVL3_5-GPT-OSS-20B-A4B-Preview"], GPU, tiles=6)
    assert (row.engines, row.here) == (("openai (vLLM)",), "")
    assert "Harmony's tokens" in row.why and "--engine openai:URL" in row.why


def test_small_models_are_told_in_megabytes_and_a_tile_costs_what_its_size_says() -> None:
    (tiny,) = rows(["tiny"], LAPTOP, tiles=1)
    assert re.search(r" \d+ MB of float32 fit into memory$", tiny.why)
    assert "7 GB of float32 fit into memory, about 4 s a tile" in pick(SIZES["1B"], LAPTOP, tiles=12)[1]


def shown(*models: str) -> str:
    console = Console(file=io.StringIO(), width=200)
    show(rows(models, LAPTOP, tiles=6), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_says_which_is_a_flash_checkpoint_and_what_a_row_stands_for() -> None:
    table = shown("tiny", "OpenGVLab/InternVL3_5-8B", "OpenGVLab/InternVL3_5-8B-Flash").splitlines()
    assert "Flash checkpoint" in table[0]
    assert [line.count(what) for line, what in zip(table[1:4], ("none", " 8B-Flash", "this is one"), strict=True)] == [
        1, 1, 1,
    ]  # fmt: skip
    assert " MB" in table[1] and "0.0" not in table[1]
    last = shown().splitlines()[-1]
    for form in ("-Pretrained, -Instruct, -MPO", "-HF", "modelscope:"):
        assert form in last


def test_a_folder_and_an_unknown_id_are_read_from_their_configuration(tmp_path: Path) -> None:
    (tiny,) = rows(["tiny"], LAPTOP, tiles=1)
    safetensors = pytest.importorskip("safetensors", reason="safetensors is not installed")
    with safetensors.safe_open(str(files("foveate.policies.internvl") / "tiny" / "model.safetensors"), "np") as weights:
        counted = sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    assert tiny.parameters == pytest.approx(counted, rel=0.002)
    assert (tiny.here, tiny.flash, tiny.gpus) == ("torch on cpu", "", 1)
    with pytest.raises(ModelUnavailable, match="there is no folder 'Qwen/Qwen3-8B'"):
        rows(["Qwen/Qwen3-8B"], GPU, tiles=6)
    (tmp_path / "config.json").write_text('{"model_type": "internvl", "vision_config": {}, "text_config": {}}')
    with pytest.raises(CheckpointError, match="does not say what it is made of"):
        rows([str(tmp_path)], GPU, tiles=6)


@pytest.mark.torch
@pytest.mark.parametrize("name", list(SIZES))
def test_what_a_configuration_says_is_what_the_catalogue_has(tmp_path: Path, name: str) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    from foveate.policies.internvl.made_up import configuration, reference_tokenizer

    size = SIZES[name]
    (tmp_path / "config.json").write_text(configuration(size, reference_tokenizer()).to_json_string())
    (read,) = rows([str(tmp_path)], GPU, tiles=6)
    (known,) = rows([size.id], GPU, tiles=6)
    assert (read.parameters, read.active, read.memory) == (known.parameters, known.active, known.memory)


def test_the_command_lists_all_nine(tmp_path: Path) -> None:
    done = subprocess.run(
        [COMMAND, "models", "--tiles", "6", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    said = json.loads(done.stdout)
    assert (done.returncode, said["status"], said["tiles"]) == (0, "success", 6)
    assert [one["model"] for one in said["models"]] == [size.id for size in SIZES.values()]
    assert [round(one["active"] / 1e9) for one in said["models"]][-2:] == [
        3,
        21,
    ]  # A3B, and A22B without its two embeddings
    assert [one["gpus"] for one in said["models"]] == [1, 1, 1, 1, 1, 2, 1, 1, 8]
    shown = subprocess.run([COMMAND, "models"], cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False)
    assert (shown.returncode, shown.stdout.count("OpenGVLab/")) == (0, 9)
