"""What LlamaCppEngine makes of GGUF files that are broken, foreign, or none."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from foveate.actions.errors import CheckpointError, ModelUnavailable
from foveate.policies.engines.llamacpp import LlamaCppEngine
from foveate.policies.internvl.gguf_export import MODEL_FILE, VISION_FILE, export
from tests.policies.asking import collected, exact, ids_of, request

pytestmark = pytest.mark.torch


def without(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).unlink()


def another(file: str, name: str) -> Callable[[Path], None]:
    return lambda folder: shutil.copyfile(folder / file, folder / name) and None


def cut(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).write_bytes((folder / file).read_bytes()[:-5000]) and None


def overwritten(file: str, data: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / file).write_bytes(data) and None


def swapped(folder: Path) -> None:
    (folder / MODEL_FILE).write_bytes((folder / VISION_FILE).read_bytes())


def foreign(folder: Path) -> None:
    (folder / VISION_FILE).write_bytes((folder / MODEL_FILE).read_bytes())


@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        (without(VISION_FILE), ModelUnavailable, "no GGUF file of a vision tower"),
        (without(MODEL_FILE), ModelUnavailable, "no GGUF file of a language model.*foveate convert DIR --to gguf"),
        (another(MODEL_FILE, "second.gguf"), ModelUnavailable, "several GGUF files of a language model: .*second"),
        (another(VISION_FILE, "mmproj-2.gguf"), ModelUnavailable, "several GGUF files of a vision tower"),
        (cut(MODEL_FILE), CheckpointError, r"model\.gguf is truncated or no GGUF file"),
        (cut(VISION_FILE), CheckpointError, r"mmproj\.gguf is truncated or no GGUF file"),
        (overwritten(MODEL_FILE, b""), CheckpointError, r"model\.gguf is truncated or no GGUF file"),
        (overwritten(MODEL_FILE, b"GGUF" + bytes(range(256)) * 9), CheckpointError, "truncated or no GGUF file"),
        (overwritten(VISION_FILE, b"<html>not found</html>" * 99), CheckpointError, "truncated or no GGUF file"),
        (swapped, CheckpointError, r"model\.gguf is no language model: its architecture is 'clip'"),
        (foreign, CheckpointError, "holds 'qwen3', not InternVL's vision tower"),
    ],
)  # fmt: skip
async def test_files_that_make_no_model_are_refused_by_name(
    small_gguf: Path, tmp_path: Path, spoil: Callable[[Path], None], error: type[Exception], says: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(small_gguf, folder)
    spoil(folder)
    with pytest.raises(error, match=says) as raised:
        await exact(folder).open()
    assert "\n" not in str(raised.value)
    assert not [one for one in threading.enumerate() if one.name.startswith("foveate-llamacpp")]


async def test_files_that_do_not_belong_together_are_refused(small_gguf: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    shutil.copyfile(small_gguf / MODEL_FILE, tmp_path / MODEL_FILE)
    shutil.copyfile(tiny_gguf / VISION_FILE, tmp_path / VISION_FILE)
    with pytest.raises(CheckpointError, match=r"mmproj\.gguf gives tokens of 192 numbers, and model\.gguf takes 32"):
        await exact(tmp_path).open()


@pytest.mark.parametrize("patch", [None, 0])
async def test_a_tower_that_does_not_say_its_size_is_refused(
    small_gguf: Path, tmp_path: Path, patch: int | None
) -> None:
    gguf = pytest.importorskip("gguf")
    shutil.copyfile(small_gguf / MODEL_FILE, tmp_path / MODEL_FILE)
    writer = gguf.GGUFWriter(tmp_path / VISION_FILE, "clip")
    writer.add_clip_projector_type("internvl")
    writer.add_vision_projection_dim(32)
    writer.add_vision_image_size(56)
    if patch is not None:
        writer.add_vision_patch_size(patch)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(CheckpointError, match=rf"mmproj\.gguf: clip\.vision\.patch_size is {patch}"):
        await exact(tmp_path).open()


async def test_what_llamacpp_itself_cannot_load_is_refused(deep_checkpoint: Path, tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    folder = export(deep_checkpoint, tmp_path / "gguf").folder
    reader, writer = gguf.GGUFReader(folder / MODEL_FILE), gguf.GGUFWriter(tmp_path / "less.gguf", "qwen3")
    for field in reader.fields.values():
        if not field.name.startswith("GGUF.") and field.name != "general.architecture":
            kind, of = field.types[0], field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(field.name, field.contents(), kind, of)
    for tensor in reader.tensors:
        if tensor.name != "blk.0.attn_q.weight":
            writer.add_tensor(tensor.name, tensor.data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (tmp_path / "less.gguf").replace(folder / MODEL_FILE)
    with pytest.raises(CheckpointError, match=r"llama\.cpp cannot load"):
        await exact(folder).open()


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("tiny", r"foveate convert tiny --to gguf --out DIR, then --model DIR"),
        ("not/there", "no model 'not/there': give a GGUF file"),
    ],
)
async def test_a_model_that_is_no_gguf_file_is_refused_with_the_remedy(model: str, says: str) -> None:
    with pytest.raises(ModelUnavailable, match=says):
        await LlamaCppEngine(model).open()


async def test_a_checkpoints_folder_is_refused_with_the_remedy(deep_checkpoint: Path, small_gguf: Path) -> None:
    with pytest.raises(ModelUnavailable, match="foveate convert DIR --to gguf"):
        await LlamaCppEngine(deep_checkpoint).open()
    with pytest.raises(ModelUnavailable, match="is no language model in GGUF"):
        await LlamaCppEngine(small_gguf / VISION_FILE).open()


async def test_the_language_models_file_is_as_good_as_its_folder(small_gguf: Path) -> None:
    async with exact(small_gguf) as engine, exact(small_gguf / MODEL_FILE) as other:
        assert ids_of(await collected(other, request())) == ids_of(await collected(engine, request()))


@pytest.mark.parametrize("missing", ["xllamacpp", "gguf"])
def test_without_its_packages_the_error_says_what_to_install(small_gguf: Path, missing: str) -> None:
    code = (
        f"import asyncio, sys; sys.modules[{missing!r}] = None\n"
        "from foveate.policies.engines.llamacpp import LlamaCppEngine\n"
        "from foveate.actions.errors import MissingDependency\n"
        f"try: asyncio.run(LlamaCppEngine({str(small_gguf)!r}).open())\n"
        "except MissingDependency as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "LlamaCppEngine needs: pip install 'foveate[llamacpp]'" in done.stdout
