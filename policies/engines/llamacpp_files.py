"""GGUF files: finding the two that make a model, and what they say of themselves."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foveate.actions.errors import CheckpointError, MissingDependency, ModelUnavailable, first_line
from foveate.actions.paths import at_home
from foveate.policies.internvl.checkpoint import BUNDLED
from foveate.policies.internvl.gguf_tokenizer import CONTROL, STAND_INS, USER_DEFINED, WHOLE_WORDS

_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$")
_MARKS = ("<|im_start|>", "<|im_end|>", "<img>", "</img>")
_CONVERT = "foveate convert DIR --to gguf --out DIR writes them from a small checkpoint"


@dataclass(frozen=True, slots=True)
class GgufFiles:
    """A checked pair of files.

    Attributes:
        model: The language model.
        vision: Vision tower and projector.
        tile: Side of a tile in pixels.
        tokens_per_tile: Visual tokens a tile.
        max_tiles: Greatest number of tiles of a picture that llama.cpp cuts, the thumbnail not counted.
        context: Greatest number of tokens of a prompt and its answer together.
        profile: The name of the model profile that the file asks for, or None.
        ends: Texts of the tokens that end an answer, by id.
        added: Added tokens: what is looked for in a text before anything else.
        stand_ins: What is written for a character that is to stay one.
        whole_words: Added tokens that are no part of a word.
        composed: Whether texts are brought to Unicode's form NFC first.
    """

    model: Path
    vision: Path
    tile: int
    tokens_per_tile: int
    max_tiles: int
    context: int
    profile: str | None = None
    ends: Mapping[int, str] = field(default_factory=dict)
    added: tuple[str, ...] = field(default=(), repr=False)
    stand_ins: Mapping[str, str] = field(default_factory=dict, repr=False)
    whole_words: frozenset[str] = field(default=frozenset(), repr=False)
    composed: bool = False


def find(model: str | Path) -> tuple[Path, Path]:
    """Give the files of the language model and of the vision tower.

    Args:
        model: The language model's file, beside which the other lies, or the folder that holds both. The vision tower's
            has ``mmproj`` in its name.

    Raises:
        ModelUnavailable: If they are not there, or it is not clear which are meant.
    """
    name = str(model)
    path = at_home(name)
    if name in BUNDLED:
        raise ModelUnavailable(
            f"the bundled model {name!r} lies in safetensors, and llama.cpp reads GGUF: "
            f"foveate convert {name} --to gguf --out DIR, then --model DIR"
        )
    if not path.exists():
        raise ModelUnavailable(f"no model {name!r}: give a GGUF file, or the folder that holds it and its mmproj file")
    folder = path if path.is_dir() else path.parent
    files = sorted(one for one in folder.glob("*.gguf") if not _LATER_PART.search(one.name))
    towers = [one for one in files if "mmproj" in one.name.lower()]
    models = [one for one in files if one not in towers] if path.is_dir() else [path]
    if path in towers or (path.is_file() and path.suffix != ".gguf"):
        raise ModelUnavailable(f"{name} is no language model in GGUF: give its file, or the folder of both files")
    for found, what in ((models, "language model"), (towers, "vision tower (its name has 'mmproj')")):
        if not found:
            raise ModelUnavailable(
                f"{folder} holds no GGUF file of a {what}: {_CONVERT}; llama.cpp's converter from a big one"
            )
        if len(found) > 1:
            names = ", ".join(one.name for one in found)
            raise ModelUnavailable(f"{folder} holds several GGUF files of a {what}: {names}: keep one of them there")
    return models[0], towers[0]


def read(model: Path, vision: Path) -> GgufFiles:
    """Read what a pair of files says, and check that they fit each other; blocks.

    Raises:
        CheckpointError: If one is broken or foreign, or they do not fit; names the value.
        MissingDependency: If gguf is not installed.
    """
    text, clip = _keys(model), _keys(vision)
    arch = str(text.get("general.architecture"))
    if text.get("tokenizer.ggml.tokens") is None or f"{arch}.context_length" not in text:
        raise CheckpointError(f"{model} is no language model: its architecture is {arch!r}")
    if clip.get("general.architecture") != "clip" or clip.get("clip.projector_type") != "internvl":
        kind = clip.get("clip.projector_type") or clip.get("general.architecture")
        raise CheckpointError(
            f"{vision} holds {kind!r}, not InternVL's vision tower: take the file that belongs to {model.name}"
        )
    width, given = text.get(f"{arch}.embedding_length"), clip.get("clip.vision.projection_dim")
    if given is not None and width != given:
        raise CheckpointError(
            f"{vision.name} gives tokens of {given} numbers, and {model.name} takes {width}: take files that belong "
            "together"
        )
    kinds, tokens = text.get("tokenizer.ggml.token_type") or (), text["tokenizer.ggml.tokens"]
    added = tuple(token for token, kind in zip(tokens, kinds, strict=False) if kind in (CONTROL, USER_DEFINED))
    for mark in _MARKS:
        if mark not in added:
            raise CheckpointError(f"the tokenizer of {model} has no token {mark}: is it InternVL's?")
    tile, patch, merge = (
        _number(vision, clip, f"clip.vision.{one}") for one in ("image_size", "patch_size", "projector.scale_factor")
    )
    profile = text.get("foveate.profile")
    return GgufFiles(
        model,
        vision,
        tile,
        (tile // patch // merge) ** 2,
        int(clip.get("clip.vision.preproc_max_tiles", 12)),
        int(text[f"{arch}.context_length"]),
        str(profile) if profile is not None else None,
        _ends(text, tokens),
        added,
        {pair[0]: pair[1:] for pair in text.get(STAND_INS) or ()},
        frozenset(text.get(WHOLE_WORDS) or ()),
        text.get("tokenizer.ggml.pre") == "qwen2",
    )


def _number(path: Path, keys: Mapping[str, Any], name: str) -> int:
    """Give a number of 1 or more."""
    value = keys.get(name)
    if not isinstance(value, int) or value < 1:
        raise CheckpointError(f"{path}: {name} is {value!r}, and must be a whole number of 1 or more: convert it again")
    return value


def _ends(keys: Mapping[str, Any], tokens: list[str]) -> dict[int, str]:
    """Give the tokens that end an answer: those that the file names, and those that llama.cpp knows by their text."""
    named = {keys.get(f"tokenizer.ggml.{one}_token_id") for one in ("eos", "eot", "eom")}
    known = {number for number, text in enumerate(tokens) if text in ("<|im_end|>", "<|endoftext|>")}
    return {number: tokens[number] for number in named | known if isinstance(number, int) and 0 <= number < len(tokens)}


def _keys(path: Path) -> dict[str, Any]:
    """Read a file's keys and the places of its tensors."""
    try:
        from gguf import GGUFReader
    except ImportError as exc:
        raise MissingDependency("LlamaCppEngine", "pip install 'foveate[llamacpp]'") from exc
    try:
        reader = GGUFReader(path)
        return {name: one.contents() for name, one in reader.fields.items()}
    except (OSError, ValueError, KeyError, IndexError, TypeError, OverflowError, MemoryError) as exc:
        said = first_line(exc)
        raise CheckpointError(f"{path} is truncated or no GGUF file ({said}): convert or download it again") from exc


def on_cpu(xllamacpp: Any, files: GgufFiles, *, context: int, threads: int) -> Any:
    """Lay out what llama.cpp runs a model with on the CPU, one request at a time.

    Args:
        xllamacpp: The module, which takes seconds to import.
        files: The model's.
        context: Most tokens of a prompt and its answer, where the model has as many.
        threads: Of its computations.

    Returns:
        Its ``CommonParams``.
    """
    params = xllamacpp.CommonParams()
    params.model.path, params.mmproj.path = str(files.model), str(files.vision)
    params.n_ctx, params.n_parallel, params.fit_params = min(files.context, context), 1, False
    params.n_gpu_layers, params.mmproj_use_gpu, params.warmup = 0, False, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = 0  # of earlier prompts the last one's cache is kept, and no more
    params.use_jinja, params.force_pure_content_parser, params.ui = True, True, False
    return params
