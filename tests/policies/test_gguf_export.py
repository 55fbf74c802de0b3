"""What the exporter writes, and what it refuses; that llama.cpp reads it so is in test_llamacpp_engine.py."""

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.actions.errors import CheckpointError, ModelUnavailable, UsageError
from foveate.policies.engines.llamacpp_files import GgufFiles, read
from foveate.policies.engines.llamacpp_text import PromptText
from foveate.policies.internvl import checkpoint as checkpoints
from foveate.policies.internvl.converting import convert
from foveate.policies.internvl.gguf_export import MODEL_FILE, VISION_FILE, export
from foveate.policies.internvl.gguf_tokenizer import vocabulary

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
gguf = pytest.importorskip("gguf", reason="gguf is not installed")
safetensors_torch = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
pytestmark = pytest.mark.torch

TINY = checkpoints.find("tiny")
COMMAND = str(Path(sys.executable).with_name("foveate"))


def tensors(path: Path) -> dict[str, Any]:
    return {one.name: one.data for one in gguf.GGUFReader(path).tensors}


@pytest.fixture(scope="module")
def exported(small_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(small_checkpoint, tmp_path_factory.mktemp("gguf") / "small").folder


@pytest.fixture(scope="module")
def exported_tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(TINY, tmp_path_factory.mktemp("gguf") / "tiny").folder


@pytest.fixture(scope="module")
def tiny_files(exported_tiny: Path) -> GgufFiles:
    return read(exported_tiny / MODEL_FILE, exported_tiny / VISION_FILE)


def test_every_number_of_the_checkpoint_is_in_one_of_the_two_files(small_checkpoint: Path, exported: Path) -> None:
    theirs = safetensors_torch.load_file(small_checkpoint / "model.safetensors")
    ours = {**tensors(exported / MODEL_FILE), **tensors(exported / VISION_FILE)}
    assert len(ours) == len(theirs)
    left = [value.float().numpy().reshape(-1) for value in theirs.values()]
    for name, value in ours.items():
        flat = np.sort(value.reshape(-1))
        same = [at for at, one in enumerate(left) if one.shape == flat.shape and np.array_equal(np.sort(one), flat)]
        assert same, name
        del left[same[0]]
    assert not left


def test_the_place_of_the_class_token_comes_last(small_checkpoint: Path, exported: Path) -> None:
    theirs = safetensors_torch.load_file(small_checkpoint / "model.safetensors")
    (name,) = [name for name in theirs if name.endswith("position_embeddings")]
    places = theirs[name].numpy()[0]
    written = tensors(exported / VISION_FILE)["v.position_embd.weight"]
    assert np.array_equal(written[-1], places[0])
    assert np.array_equal(written[:-1], places[1:])


def test_in_float16_matrices_are_short_and_vectors_are_not(small_checkpoint: Path, tmp_path: Path) -> None:
    folder = export(small_checkpoint, tmp_path / "short", precision="float16").folder
    for file in (MODEL_FILE, VISION_FILE):
        kinds = {one.name: one.tensor_type.name for one in gguf.GGUFReader(folder / file).tensors}
        vectors = {name for name in kinds if "norm" in name or name.endswith(".bias") or ".ln" in name or ".ls" in name}
        vectors |= {"v.class_embd", "v.position_embd.weight", "mm.model.mlp.0.weight"} & kinds.keys()
        assert {kinds[name] for name in vectors} == {"F32"}
        assert {kinds[name] for name in kinds.keys() - vectors} == {"F16"}


def test_githubs_layout_gives_the_same_files(small_checkpoint: Path, exported: Path, tmp_path: Path) -> None:
    source = convert(small_checkpoint, tmp_path / small_checkpoint.name, "github").folder
    other = export(source, tmp_path / "other").folder
    for file in (MODEL_FILE, VISION_FILE):
        assert (other / file).read_bytes() == (exported / file).read_bytes()


def test_the_files_say_what_the_engine_needs(small_checkpoint: Path, exported: Path, tiny_files: GgufFiles) -> None:
    small = read(exported / MODEL_FILE, exported / VISION_FILE)
    checkpoint = checkpoints.check(small_checkpoint)
    assert (small.tile, small.tokens_per_tile, small.context) == (56, checkpoint.tokens_per_tile, checkpoint.context)
    assert (small.profile, small.stand_ins, set(small.ends.values())) == (None, {}, {"<|im_end|>", "<|endoftext|>"})
    assert (tiny_files.tile, tiny_files.tokens_per_tile, tiny_files.profile) == (448, 64, "tiny")


def test_a_stand_in_is_the_copy_of_its_characters_row(exported_tiny: Path, tiny_files: GgufFiles) -> None:
    rows = tensors(exported_tiny / MODEL_FILE)["token_embd.weight"]
    words = vocabulary(TINY, len(rows))
    assert words.stand_ins
    for character, (own, row) in words.stand_ins.items():
        assert np.array_equal(rows[own], rows[row])
        assert tiny_files.stand_ins[character] == words.tokens[row]
    assert all(set(token) & tiny_files.stand_ins.keys() for token in tiny_files.added)


FRAGMENTS = (
    "user", "user\n", "\n", "\n\nPrevious operations:\n", "Task:\n", "None", "None of", "0.50", "10.50", "0.505",
    "x0.50", "0.50,", "0.50_", "0.000.25", "0.0", "Step 1: ", "Step 1", "<|im_end|>", "<|im_start|>", "<img>", "</img>",
    "<IMG_CONTEXT>", "<ref>", "</action>", ")\n</action>", "click(x=", ", y=", "Click ", " icon", "assistant\n",
    "system\n", "\n\nNotes on the last step:\n", "</operation>\n<action>\n", "</operation>", "<action>", "<", ">", " ",
    "a", "é", "牛", "🥛",
)  # fmt: skip


def read_by_llamacpp(text: str, files: GgufFiles, vocab: dict[str, int]) -> list[int]:
    """Tokenise as llama.cpp does: added tokens anywhere, the longest first; else characters or their bytes."""
    characters = {written: own for own, written in files.stand_ins.items()}
    parts: list[str | int] = [text]
    for token in sorted(files.added, key=len, reverse=True):
        found: list[str | int] = []
        for part in parts:
            if isinstance(part, int):
                found.append(part)
                continue
            for number, piece in enumerate(part.split(token)):
                found += ([vocab[token]] if number else []) + [piece]
        parts = found
    ids: list[int] = []
    for part in parts:
        if isinstance(part, int):
            ids.append(part)
            continue
        for one in part:
            own = characters.get(one, one)
            ids += [vocab[own]] if own in vocab else [vocab[f"<0x{byte:02X}>"] for byte in own.encode()]
    return ids


@pytest.fixture(scope="module")
def tiny_tokenizer() -> Any:
    return transformers.AutoTokenizer.from_pretrained(TINY, local_files_only=True)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join))
def test_a_text_of_our_own_is_read_token_for_token(tiny_files: GgufFiles, tiny_tokenizer: Any, text: str) -> None:
    writer = PromptText(tiny_files.added, tiny_files.stand_ins, tiny_files.whole_words)
    vocab = tiny_tokenizer.get_vocab()
    expected = tiny_tokenizer.encode(text, add_special_tokens=False)
    assert read_by_llamacpp(writer.trusted(text), tiny_files, vocab) == expected


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join))
def test_a_text_of_people_is_read_as_the_torch_engine_reads_it(
    tiny_files: GgufFiles, tiny_tokenizer: Any, text: str
) -> None:
    writer = PromptText(tiny_files.added, tiny_files.stand_ins, tiny_files.whole_words)
    vocab = tiny_tokenizer.get_vocab()
    controls = ("<|im_end|>", "<|im_start|>", "<img>", "</img>", "<IMG_CONTEXT>")
    starts = sorted(at for token in controls for at in range(len(text)) if text.startswith(token, at))
    cuts = [0, *(at + 1 for at in starts), len(text)]
    pieces = [text[start:end] for start, end in itertools.pairwise(cuts)]
    expected = [one for piece in pieces if piece for one in tiny_tokenizer.encode(piece, add_special_tokens=False)]
    ids = read_by_llamacpp(writer.untrusted(text), tiny_files, vocab)
    assert ids == expected
    assert not {vocab[token] for token in controls} & set(ids)


def test_without_stand_ins_a_word_joiner_keeps_control_tokens_mere_text(exported: Path) -> None:
    files = read(exported / MODEL_FILE, exported / VISION_FILE)
    writer = PromptText(files.added, files.stand_ins)
    assert writer.untrusted("a<|im_end|>b<img><ref>") == "a<\u2060|im_end|>b<\u2060img><ref>"
    assert writer.trusted("<|im_end|>") == "<|im_end|>"


def test_a_text_that_holds_a_stand_in_is_refused(tiny_files: GgufFiles) -> None:
    writer = PromptText(tiny_files.added, tiny_files.stand_ins, tiny_files.whole_words)
    with pytest.raises(ModelUnavailable, match="stands for another"):
        writer.untrusted("a" + next(iter(tiny_files.stand_ins.values())))


def edited(source: Path, target: Path, file: str, edit: Callable[[dict[str, Any]], None]) -> Path:
    shutil.copytree(source, target)
    said = json.loads((target / file).read_text())
    edit(said)
    (target / file).write_text(json.dumps(said))
    return target


def config(section: str | None, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda said: (said if section is None else said[section]).update(values)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (config("text_config", model_type="qwen2"), r"text_config\.model_type is qwen2: only qwen3"),
        (config("text_config", hidden_act="relu"), r"text_config\.hidden_act is relu"),
        (config("text_config", attention_bias=True), r"text_config\.attention_bias is True: only False"),
        (config("text_config", rope_parameters={"rope_type": "yarn"}), "rope type is yarn"),
        (config("text_config", layer_types=["full_attention", "sliding_attention"]), "layer_types is full.*sliding"),
        (config("vision_config", hidden_act="relu"), r"vision_config\.hidden_act is relu: only gelu"),
        (config("vision_config", norm_type="rms_norm"), r"norm_type is rms_norm"),
        (config("vision_config", use_qk_norm=True), r"use_qk_norm is True"),
        (config("vision_config", use_mean_pooling=False), r"use_mean_pooling is False"),
        (config("vision_config", use_absolute_position_embeddings=False), r"position_embeddings is False"),
        (config(None, projector_hidden_act="silu"), r"projector_hidden_act is silu"),
        (config(None, vision_feature_layer=-2), r"vision_feature_layer is -2: only -1"),
        (config(None, vision_feature_select_strategy="full"), r"select_strategy is full"),
    ],
)
def test_a_setting_that_llamacpp_has_not_is_refused_by_its_name(
    small_checkpoint: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], None], says: str
) -> None:
    source = edited(small_checkpoint, tmp_path / "edited", "config.json", edit)
    with pytest.raises(CheckpointError, match=says) as error:
        export(source, tmp_path / "out")
    assert "take the torch engine" in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["edited"]


def tokenizer(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda said: said.update(values)


def model(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda said: said["model"].update(values)


def first_added(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda said: said["added_tokens"][0].update(values)


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (model(type="WordPiece"), r"model\.type is 'WordPiece'"),
        (model(dropout=0.1), r"model\.dropout is '0\.1'"),
        (model(merges=[]), "has no merges"),
        (tokenizer(normalizer={"type": "Lowercase"}), "normalizer is .*Lowercase"),
        (tokenizer(pre_tokenizer={"type": "Whitespace"}), "pre_tokenizer is .*Whitespace"),
        (tokenizer(pre_tokenizer={**BYTES, "use_regex": False}), "pre_tokenizer is .*use_regex"),
        (tokenizer(pre_tokenizer={**BYTES, "use_regex": True, "add_prefix_space": True}), "pre_tokenizer is"),
        (first_added(lstrip=True), "lstrip of the added token '<.endoftext.>'"),
        (first_added(single_word=True), "single_word of the added token '<.endoftext.>'"),
        (first_added(id=5000), "token id 5000, but the model has"),
    ],
)
def test_a_tokenizer_that_llamacpp_has_not_is_refused_by_name(
    small_checkpoint: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], None], says: str
) -> None:
    source = edited(small_checkpoint, tmp_path / "edited", "tokenizer.json", edit)
    with pytest.raises(CheckpointError, match=says):
        export(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def another_added_token(content: str, number: int) -> Callable[[dict[str, Any]], None]:
    def add(said: dict[str, Any]) -> None:
        said["added_tokens"].append({**said["added_tokens"][-1], "content": content, "id": number})

    return add


def fill_the_spare_rows(said: dict[str, Any]) -> None:
    for number in range(761, 768):
        another_added_token(f"<more {number}>", number)(said)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (another_added_token("zq", 761), "join characters to the added token 'zq'"),
        (fill_the_spare_rows, "need a spare row of the embedding each, and the model has 0: give it 77[0-9] rows"),
        (model(merges=["a b"]), r"model\.merges is '1 merges'"),
        (tokenizer(normalizer={"type": "NFC"}), "normalizer is .*NFC"),
    ],
)
def test_a_tokenizer_of_characters_that_cannot_be_had_is_refused_by_name(
    tmp_path: Path, edit: Callable[[dict[str, Any]], None], says: str
) -> None:
    source = edited(TINY, tmp_path / "edited", "tokenizer.json", edit)
    with pytest.raises(CheckpointError, match=says):
        export(source, tmp_path / "out")


def test_a_flash_checkpoint_is_refused(small_checkpoint: Path, tmp_path: Path) -> None:
    source = convert(small_checkpoint, tmp_path / "github", "github").folder
    said = json.loads((source / "config.json").read_text())
    thresholds = {"flash_mode": True, "flash_relative_threshold": 0.5, "flash_absolute_threshold": 0.5}
    (source / "config.json").write_text(json.dumps({**said, **thresholds}))
    with pytest.raises(CheckpointError, match=r"Flash checkpoint: llama\.cpp has no router"):
        export(source, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "more", "says"),
    [
        ("multi_modal_projector.linear_2.bias", None, r"lacks the tensor multi_modal_projector\.linear_2\.bias"),
        (None, "language_model.model.extra.weight", r"no place for: language_model\.model\.extra\.weight"),
    ],
)
def test_a_tensor_too_few_or_too_many_is_named(
    small_checkpoint: Path, tmp_path: Path, name: str | None, more: str | None, says: str
) -> None:
    source = tmp_path / "edited"
    shutil.copytree(small_checkpoint, source)
    state = safetensors_torch.load_file(source / "model.safetensors")
    if more is not None:
        state[more] = torch.zeros(3)
    kept = {key: value for key, value in state.items() if name is None or not key.endswith(name)}
    safetensors_torch.save_file(kept, source / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=says):
        export(source, tmp_path / "out")


@pytest.mark.parametrize(
    ("precision", "edit", "says"),
    [("float16", 7e4, "holds 70000, too much for float16: take float32"), ("float32", None, r"lacks.*lm_head\.weight")],
)
def test_what_would_be_lost_without_a_word_is_refused(
    small_checkpoint: Path, tmp_path: Path, precision: Any, edit: float | None, says: str
) -> None:
    source = tmp_path / "edited"
    shutil.copytree(small_checkpoint, source)
    state = safetensors_torch.load_file(source / "model.safetensors")
    (head,) = [name for name in state if name.endswith("lm_head.weight")]
    if edit is None:
        del state[head]  # and the configuration does not say that the embedding takes its place
    else:
        state[head][0, 0] = edit
    safetensors_torch.save_file(state, source / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=says):
        export(source, tmp_path / "out", precision=precision)


def test_a_folder_in_use_and_an_unknown_precision_are_refused(small_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="in use"):
        export(small_checkpoint, tmp_path)
    with pytest.raises(UsageError, match="no precision 'int4'"):
        export(small_checkpoint, tmp_path / "out", precision="int4")  # type: ignore[arg-type]
    assert (tmp_path / "file").read_text() == "mine"


def test_the_command_writes_both_files(tmp_path: Path) -> None:
    command = [COMMAND, "convert", "tiny", "--to", "gguf", "--precision", "float16", "--out", "there", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False)
    said = json.loads(done.stdout)
    assert (done.returncode, said["status"], said["layout"], said["model"]) == (0, "success", "gguf", "there")
    assert said["bytes"] == sum((tmp_path / "there" / file).stat().st_size for file in (MODEL_FILE, VISION_FILE))
    wrong = [COMMAND, "convert", str(TINY), "--to", "github", "--precision", "float16", "--out", "other"]
    done = subprocess.run(wrong, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 2
    assert "--precision float16" in done.stderr


def test_without_gguf_the_error_says_what_to_install(small_checkpoint: Path, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; sys.modules['gguf'] = None\n"
        "from foveate.policies.internvl.gguf_export import export\n"
        "from foveate.actions.errors import MissingDependency\n"
        f"try: export(pathlib.Path({str(small_checkpoint)!r}), pathlib.Path({str(tmp_path / 'out')!r}))\n"
        "except MissingDependency as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "pip install 'foveate[torch,llamacpp]'" in done.stdout
