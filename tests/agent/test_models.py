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

from foveate.actions.errors import CheckpointError, ModelUnavailable, UsageError
from foveate.agent.models import rows, show
from foveate.agent.picking import Gpu, Machine, Pick, pick, this_machine
from foveate.policies.engines.servable import Servable
from foveate.policies.engines.serving import Order, check_order
from foveate.policies.internvl.catalogue import ROOM, SIZES, Size

COMMAND = str(Path(sys.executable).with_name("foveate"))
GB = 1_000_000_000


def machine(*free_gb: int, ram_gb: int = 128, name: str = "H100") -> Machine:
    return Machine(tuple(Gpu(name, free * GB) for free in free_gb), ram_gb * GB)


GPU, LAPTOP = machine(79), machine(ram_gb=24)
EIGHT = machine(*[79] * 8, ram_gb=2000)


def chosen(name: str, where: Machine, *, router: bool = False) -> Pick:
    return pick(SIZES[name], where, tiles=12, router=router)


def test_a_model_goes_where_it_fits() -> None:
    assert chosen("8B", GPU).here == "torch on cuda"
    assert chosen("38B", machine(79, ram_gb=64)).here == ""
    assert chosen("1B", LAPTOP).here == "torch on cpu"
    (row,) = rows(["OpenGVLab/InternVL3_5-8B"], LAPTOP, tiles=12)
    assert row.pick.here == ""
    assert row.why.startswith("no GPU that torch sees; 24 GB of memory; it takes 21 GB in bf16: ")
    assert "--engine openai:URL" in row.why


def test_a_model_too_large_for_one_gpu_is_spread_over_several() -> None:
    assert chosen("30B-A3B", EIGHT).here == "torch on cuda"
    for name, cards in (("38B", 2), ("241B-A28B", 8)):
        found = chosen(name, EIGHT)
        assert found.here == "torch on cuda:all"
        assert f"foveate serve MODEL --tp {cards}" in found.because
    assert chosen("38B", machine(79, 20)).here == "torch on cuda:all"
    assert "--tp" not in chosen("38B", machine(79, 20)).because  # two halves do not fit: one GPU is too small
    few = machine(*[79] * 4, ram_gb=512)
    assert chosen("241B-A28B", few).here == ""
    assert "quantised to fp8, by LMDeploy or vLLM, it fits into 4 GPUs" in chosen("241B-A28B", few).because


def test_what_layers_leave_empty_on_each_gpu_is_left_to_a_server() -> None:
    assert chosen("38B", machine(*[32] * 3)).here == "torch on cuda:all"
    assert chosen("38B", machine(*[23] * 4)).here == "foveate serve, --tp 4"


def test_a_mixture_of_experts_that_cannot_be_loaded_here_is_left_to_a_server() -> None:
    assert chosen("241B-A28B", machine(*[79] * 8, ram_gb=256)).here == "foveate serve, --tp 8"


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_server_is_told_a_number_of_gpus_that_it_takes(size: Size) -> None:
    for count in range(1, 17):
        found = machine(*[79] * count).among(size.language, ROOM * size.memory("bf16"))
        assert found == (size.gpus if count >= size.gpus else 0)
        if found:
            check_order("vllm", Order(Servable("MODEL", size, "github"), tp=found))


@pytest.mark.parametrize(
    ("name", "where", "here"),
    [
        ("14B", machine(24), "torch on cuda, --bits 8"), ("14B", machine(16), "torch on cuda, --bits 4"),
        ("38B", machine(79), "torch on cuda, --bits 8"), ("38B", machine(23, 23), "torch on cuda:all, --bits 4"),
        ("4B", LAPTOP, "torch on cpu, --bits 8"), ("2B", machine(4), "torch on cpu"),
    ],
)  # fmt: skip
def test_fewer_bits_are_taken_where_the_whole_has_no_room(name: str, where: Machine, here: str) -> None:
    found = chosen(name, where)
    assert found.here == here
    assert ("--bits" in here) == ("too large in" in found.because)
    assert ("--device cpu" in found.because) == (here == "torch on cpu")  # a GPU is there, and would be taken


def test_what_would_fit_and_cannot_be_done_here_is_named_with_its_remedy() -> None:
    short = chosen("14B", machine(24, ram_gb=32))
    assert (short.here, short.because.partition(", or ")[0]) == (
        "", "--bits 8 once the machine has the memory to load it so (35 GB)",
    )  # fmt: skip
    experts = chosen("30B-A3B", machine(24))
    assert experts.here == ""
    assert "quantised to int4, by LMDeploy or vLLM, it fits into one GPU" in experts.because
    assert "--bits" not in experts.because
    assert "GGUF" in experts.because and "--engine llamacpp" in experts.because
    assert "GGUF" not in chosen("38B", machine(24)).because  # llama.cpp has the smaller tower alone
    assert "GGUF" not in chosen("30B-A3B", machine(24), router=True).because


def test_a_router_is_counted_where_room_is_tight() -> None:
    without, with_it = (ROOM * SIZES["8B"].memory("bf16", flash=flash) for flash in (False, True))
    tight = Machine((Gpu("A10", round(without + with_it) // 2),), 128 * GB)
    assert chosen("8B", tight).here == "torch on cuda"
    assert chosen("8B", tight, router=True).here == "torch on cuda, --bits 8"
    assert rows(["OpenGVLab/InternVL3_5-8B-Flash"], tight, tiles=12)[0].pick.here == "torch on cuda, --bits 8"


def test_the_gpu_that_is_taken_where_none_is_named_has_to_be_the_one_with_room() -> None:
    assert "CUDA_VISIBLE_DEVICES" not in chosen("8B", machine(79, 79)).because
    assert "CUDA_VISIBLE_DEVICES chooses it, the one that torch calls 1" in chosen("8B", machine(2, 79)).because


def test_every_gpu_of_this_machine_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    free = [20 * GB, 79 * GB]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"GPU {number}")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda number: (free[number], 80 * GB))
    found = this_machine()
    assert found.gpus == (Gpu("GPU 0", 20 * GB), Gpu("GPU 1", 79 * GB))
    assert found.ram_bytes > GB and found.torch


def test_a_machine_says_what_it_has() -> None:
    mixed = Machine((Gpu("T4", 15 * GB), Gpu("A10", 23 * GB), Gpu("T4", 15 * GB)), 64 * GB)
    assert str(mixed) == "2 x T4 and A10, 53 GB free together; 64 GB of memory"
    assert str(GPU) == "H100, 79 GB free; 128 GB of memory"
    assert "pip install 'foveate[torch]'" in str(Machine(ram_bytes=GB, torch=False))


def test_a_flash_checkpoint_is_larger_and_fewer_can_serve_it() -> None:
    plain, flash = rows(["OpenGVLab/InternVL3_5-8B", "models/InternVL3_5-8B-Flash"], GPU, tiles=6)
    assert flash.parameters > plain.parameters
    assert flash.memory["bf16"] > plain.memory["bf16"] > plain.memory["int4"]
    assert flash.engines == ("torch", "lmdeploy", "openai (LMDeploy)")
    assert (plain.router, flash.router, plain.flash) == (False, True, "OpenGVLab/InternVL3_5-8B-Flash")
    assert rows(["OpenGVLab/InternVL3_5-8B-Flash@v1"], GPU, tiles=6)[0].router


def test_gpt_oss_is_left_to_vllm_with_the_reason() -> None:
    for where, here in ((GPU, "foveate serve, --tp 1"), (LAPTOP, "")):
        (row,) = rows(["OpenGVLab/InternVL3_5-GPT-OSS-20B-A4B-Preview"], where, tiles=6)
        assert (row.engines, row.pick.here) == (("openai (vLLM)",), here)
        assert "Harmony's tokens" in row.why and "vLLM" in row.why and "--engine openai:URL" in row.why


def test_small_models_are_told_in_megabytes_and_a_tile_costs_what_its_size_says() -> None:
    (tiny,) = rows(["tiny"], LAPTOP, tiles=1)
    assert re.search(r"it takes \d+ MB of float32: it fits into memory$", tiny.why)
    assert chosen("1B", LAPTOP).takes == "7 GB of float32, about 4 s a tile on two cores"


def shown(*models: str, where: Machine = LAPTOP, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    show(rows(models, where, tiles=12), where, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_under_the_table_stands_what_there_is_of_flash_and_what_a_row_stands_for() -> None:
    lines = shown("tiny", "OpenGVLab/InternVL3_5-8B", "OpenGVLab/InternVL3_5-8B-Flash").splitlines()
    assert " MB" in lines[1] and "0.0" not in lines[1]
    flash = [re.split(r"  +", line.strip()) for line in lines[lines.index("Flash, a checkpoint with a router") :][1:4]]
    assert flash == [
        ["tiny", "none that its makers list"],
        ["8B", "the id with -Flash behind it"],
        ["8B-Flash", "this is one"],
    ]
    last = " ".join(shown().splitlines()[-2:])
    for form in ("-Pretrained, -Instruct, -MPO", "-HF", "modelscope:"):
        assert form in last


@pytest.mark.parametrize("where", [LAPTOP, GPU, EIGHT, machine(24)], ids=str)
def test_the_whole_list_says_why_of_every_size_in_a_narrow_terminal(where: Machine) -> None:
    said = shown(where=where, width=80)
    assert max(map(len, said.splitlines())) <= 80
    under = "".join(said[said.index(f"Here: {where}") :].split())
    for row in rows([], where, tiles=12):
        name = row.model.removeprefix("OpenGVLab/InternVL3_5-")
        assert "".join(f"{name} ({row.pick.takes})".split()) in under
        assert "".join(row.pick.because.split()) in under


def test_gguf_is_left_to_llama_cpp_by_name(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").touch()
    with pytest.raises(ModelUnavailable, match="no GGUF file of a vision tower"):
        rows([str(tmp_path)], LAPTOP, tiles=6)
    (tmp_path / "mmproj.gguf").touch()
    for model in (tmp_path, tmp_path / "model.gguf"):
        with pytest.raises(
            UsageError, match=f"{model} is GGUF, .* --engine llamacpp --model {model}, or foveate serve"
        ):
            rows([str(model)], LAPTOP, tiles=6)


def test_the_engines_named_are_those_that_take_the_model() -> None:
    def of(model: str) -> tuple[str, ...]:
        return rows([model], GPU, tiles=6)[0].engines

    assert of("tiny") == ("torch", "llamacpp (GGUF)", "openai (llama.cpp)")
    assert of("OpenGVLab/InternVL3_5-38B") == ("torch", "lmdeploy", "openai (LMDeploy, vLLM, SGLang)")
    assert of("OpenGVLab/InternVL3_5-8B")[2:] == ("llamacpp (GGUF)", "openai (LMDeploy, vLLM, SGLang, llama.cpp)")


def test_a_folder_and_an_unknown_id_are_read_from_their_configuration(tmp_path: Path) -> None:
    (tiny,) = rows(["tiny"], LAPTOP, tiles=1)
    safetensors = pytest.importorskip("safetensors", reason="safetensors is not installed")
    with safetensors.safe_open(str(files("foveate.policies.internvl") / "tiny" / "model.safetensors"), "np") as weights:
        counted = sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    assert tiny.parameters == pytest.approx(counted, rel=0.002)
    assert (tiny.pick.here, tiny.flash, tiny.gpus) == ("torch on cpu", "", 1)
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
    assert (read.gpus, read.engines) == (known.gpus, known.engines)


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
    assert said["machine"]["ram_bytes"] > GB and isinstance(said["machine"]["gpus"], list)
    for one in said["models"]:
        assert one["engines"] and one["memory"].keys() == {"bf16", "fp8", "int4"}
        assert one["here"] == "" or one["here"].startswith(("torch on ", "foveate serve"))
        assert one["why"].count("it takes ") == 1
    shown = subprocess.run([COMMAND, "models"], cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False)
    assert (shown.returncode, shown.stdout.count("OpenGVLab/")) == (0, 9)
