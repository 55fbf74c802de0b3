"""Weights of fewer bits, and weights on several devices, against the same model whole."""

import builtins
import json
from pathlib import Path
from typing import Any

import pytest

from foveate.actions.errors import MissingDependency, ModelUnavailable

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

from foveate.policies.engines import torch_model, torch_room  # noqa: E402
from foveate.policies.engines.torch import TorchEngine  # noqa: E402
from foveate.policies.engines.torch_loading import load_model  # noqa: E402
from foveate.policies.engines.torch_placing import check_bits, quantise, spread  # noqa: E402
from foveate.policies.internvl.catalogue import SIZES, Size  # noqa: E402
from foveate.policies.internvl.checkpoint import check  # noqa: E402
from foveate.policies.internvl.converting import convert  # noqa: E402
from foveate.policies.internvl.described import parts_of  # noqa: E402
from foveate.policies.internvl.made_up import Reduced, made_up  # noqa: E402
from tests.policies.asking import collected, ids_of, request  # noqa: E402

pytestmark = pytest.mark.torch

IDS = torch.arange(20, 60)[None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 1B's shape, four times narrower, two layers."""
    return made_up(SIZES["1B"], tmp_path_factory.mktemp("1B") / "hf", reduced=Reduced(2, 4), precision="float32")


def logits(model: Any) -> Any:
    with torch.inference_mode():
        return model.eval()(input_ids=IDS).logits[0].float()


def bytes_of(module: Any) -> int:
    return sum(one.numel() * one.element_size() for one in module.parameters())


@pytest.mark.parametrize(("bits", "share", "alike"), [(8, 0.51, 0.999), (4, 0.26, 0.95)])
def test_fewer_bits_take_less_memory_and_say_nearly_the_same(
    folder: Path, bits: int, share: float, alike: float
) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    checkpoint = check(folder)
    whole = load_model(checkpoint, torch.bfloat16)
    fewer = load_model(checkpoint, torch.bfloat16)
    quantise(fewer, bits)
    fewer.to("cpu")
    assert bytes_of(fewer.model.language_model.layers) < share * bytes_of(whole.model.language_model.layers)
    for name in ("vision_tower", "multi_modal_projector"):
        assert bytes_of(getattr(fewer.model, name)) == bytes_of(getattr(whole.model, name))
    both = torch.stack([logits(whole).flatten(), logits(fewer).flatten()])
    assert alike < torch.corrcoef(both)[0, 1] < 1


@pytest.mark.parametrize("layout", ["transformers", "github"])
@pytest.mark.parametrize("bits", [8, 4])
async def test_an_engine_answers_with_fewer_bits_from_either_layout(
    folder: Path, tmp_path: Path, bits: int, layout: str
) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    if layout == "github":
        folder = convert(folder, tmp_path / "github", "github").folder
    async with TorchEngine(folder, device="cpu", bits=bits) as engine:
        deltas = await collected(engine, request(most=6))
    assert len(ids_of(deltas)) == 6
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.visual == 256


async def test_a_number_of_bits_that_none_has_is_refused_before_anything_is_loaded(folder: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no weights of 5 bits: choose 16, 8 or 4"):
        await TorchEngine(folder, device="cpu", bits=5).open()


def test_without_bitsandbytes_the_line_that_brings_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    true = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name == "bitsandbytes":
            raise ImportError(name)
        return true(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    check_bits(16, {})
    with pytest.raises(MissingDependency, match=r"pip install 'foveate\[quantised\]'"):
        check_bits(8, {})


def test_a_mixture_of_experts_is_refused_by_its_configuration_alone(tmp_path: Path) -> None:
    folder = made_up(SIZES["30B-A3B"], tmp_path / "moe", reduced=Reduced(1, 16), precision="float32")
    with pytest.raises(ModelUnavailable, match="mixture of experts"):
        check_bits(4, check(folder).config["text_config"])


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"), "CUDA out of memory"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate"),
            "DefaultCPUAllocator",
        ),
    ],
)
@pytest.mark.parametrize("where", ["load_model", "prefill"])
async def test_memory_that_runs_out_is_named_with_what_takes_less(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: RuntimeError, says: str, where: str
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise error

    if where == "load_model":
        monkeypatch.setattr(torch_model, "load_model", full)
        with pytest.raises(ModelUnavailable, match=rf"cpu has not enough memory: .*{says}.*--tiles.*--bits 8 or 4"):
            await TorchEngine(folder, device="cpu").open()
        return
    async with TorchEngine(folder, device="cpu") as engine:
        monkeypatch.setattr(torch_model.TorchModel, "_prefill", full)
        with pytest.raises(ModelUnavailable, match=rf"cpu has not enough memory: .*{says}.*--tiles.*--bits 8 or 4"):
            await collected(engine, request())


def test_what_a_model_takes_is_counted_as_it_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = json.loads((folder / "config.json").read_text())
    tower, language = parts_of(check(folder).config)
    whole = Size("", tower, language)
    for how, needed in (
        ({}, 4 * whole.parameters),
        ({"dtype": "bfloat16"}, 2 * whole.parameters),
        ({"blind": True}, 4 * (whole.parameters - tower.parameters)),
    ):
        monkeypatch.setattr(torch_room, "free_bytes", lambda device, place, needed=needed: needed)
        torch_room.check_wanted(said, device="cpu", **how)
        monkeypatch.setattr(torch_room, "free_bytes", lambda device, place, needed=needed: needed - 1)
        with pytest.raises(ModelUnavailable, match="its weights take"):
            torch_room.check_wanted(said, device="cpu", **how)
    free = torch_room.free_bytes("cpu", torch.device("cpu"))
    assert free is None or 10**7 < free < 10**14


def test_widths_that_no_block_divides_are_refused(small_checkpoint: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    with pytest.raises(ModelUnavailable, match="32 columns"):
        quantise(load_model(check(small_checkpoint), torch.float32), 4)


def test_a_model_that_is_spread_says_the_same_and_no_layer_is_split(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one processor: of several GPUs there is none here."""
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    import accelerate

    checkpoint, asked = check(folder), []
    true = accelerate.infer_auto_device_map

    def watched(model: Any, **how: Any) -> Any:
        asked.append(how)
        return true(model, **how)

    monkeypatch.setattr(accelerate, "infer_auto_device_map", watched)
    several = spread(load_model(checkpoint, torch.float32))
    assert set(several.hf_device_map.values()) == {"cpu"}
    assert {"InternVLVisionLayer", "Qwen3DecoderLayer"} <= set(asked[0]["no_split_module_classes"])
    assert torch.equal(logits(several), logits(load_model(checkpoint, torch.float32)))


def test_gpus_without_room_for_all_of_a_model_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    import accelerate

    model = load_model(check(folder), torch.float32)
    monkeypatch.setattr("accelerate.utils.get_balanced_memory", lambda *_, **__: {0: 1000, 1: 1000})
    monkeypatch.setattr(accelerate, "infer_auto_device_map", lambda *_, **__: {"model": 0, "lm_head": "cpu"})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ModelUnavailable, match="the 2 GPUs have no room for all of it: take 8 or 4 bits"):
        spread(model)


@pytest.mark.parametrize("bits", [8, 4])
def test_weights_of_fewer_bits_are_counted_as_such_where_gpus_are_to_have_room(
    folder: Path, monkeypatch: pytest.MonkeyPatch, bits: int
) -> None:
    for name in ("accelerate", "bitsandbytes"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    import accelerate

    checkpoint, counted = check(folder), []
    true = accelerate.infer_auto_device_map
    monkeypatch.setattr(
        accelerate, "infer_auto_device_map", lambda model, **how: counted.append(how) or true(model, **how)
    )
    monkeypatch.setattr(accelerate, "dispatch_model", lambda model, where: model)
    for asked in (16, bits):
        model = load_model(checkpoint, torch.bfloat16)
        quantise(model, asked)
        spread(model, asked)
    sizes = [
        accelerate.utils.compute_module_sizes(model, torch.bfloat16, how["special_dtypes"])[
            "model.language_model.layers"
        ]
        for how in counted
    ]
    assert sizes[1] / sizes[0] == pytest.approx(bits / 16, rel=0.02)


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there are no two CUDA GPUs here")
async def test_two_gpus_answer_as_one_does(folder: Path) -> None:
    answers = []
    for device in ("cuda:0", "cuda:all"):
        async with TorchEngine(folder, device=device, dtype="float32") as engine:
            answers.append(ids_of(await collected(engine, request(most=12))))
    assert answers[0] == answers[1]


async def test_all_gpus_are_refused_where_there_is_none(folder: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA GPU here")
    with pytest.raises(ModelUnavailable, match="there is no cuda:all here"):
        await TorchEngine(folder, device="cuda:all").open()
