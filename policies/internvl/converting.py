"""Checkpoints from one layout to the other: tensors renamed, packed or parted, a shard at a time, numbers unchanged."""

import json
import math
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from foveate.actions.errors import CheckpointError, MissingDependency, RecordError, UsageError
from foveate.policies.internvl.checkpoint import check, image_token, read_json
from foveate.policies.internvl.layouts import (
    Layout,
    Piece,
    github_config,
    github_piece,
    on_disk,
    refuse_tensors,
    transformers_config,
    transformers_pieces,
)
from foveate.policies.internvl.reference_model import internvl_config, without_memory
from foveate.policies.internvl.tiling import IMAGENET_MEAN, IMAGENET_STD

SHARD_BYTES: Final = 4_000_000_000
"""Greatest length of a file of weights, where no single tensor is longer."""

_WIDTHS: Final = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "BF16": 2, "F16": 2, "I16": 2, "F8_E4M3": 1, "U8": 1, "I8": 1}
"""Bytes of a number, by safetensors' names."""

_INDEX: Final = "model.safetensors.index.json"
_EXPERT: Final = re.compile(r"\.mlp\.(experts|gate|router)\b")
_COPIED: Final = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "merges.txt", "chat_template.jinja", "generation_config.json", "LICENSE",
)  # fmt: skip

_CONFIG_CODE: Final = '''"""InternVL's configuration classes, for readers of its GitHub layout."""

from transformers import AutoConfig, PretrainedConfig


class InternVisionConfig(PretrainedConfig):
    model_type = "intern_vit_6b"


class InternVLChatConfig(PretrainedConfig):
    model_type = "internvl_chat"
    is_composition = True

    def __init__(self, vision_config=None, llm_config=None, **kwargs):
        super().__init__(**kwargs)
        vision, language = dict(vision_config or {}), dict(llm_config or {})
        self.vision_config = InternVisionConfig(**vision)
        self.llm_config = AutoConfig.for_model(language.pop("model_type", "qwen3"), **language)
'''


@dataclass(frozen=True, slots=True)
class Source:
    """Where a tensor of the result comes from.

    Attributes:
        parts: Names of tensors of the given checkpoint; several are put behind one another along the first axis.
        part: Which third of the rows of the only one; None for all of them.
    """

    parts: tuple[str, ...]
    part: int | None = None


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written.

    Attributes:
        folder: Where.
        layout: In which layout.
        tensors: How many.
        size: Bytes of weights.
    """

    folder: Path
    layout: Layout
    tensors: int
    size: int


class Weights:
    """The tensors of a checkpoint's safetensors files, read when they are wanted.

    Args:
        folder: The checkpoint's, checked.

    Attributes:
        shapes: Of each tensor by its name.
    """

    def __init__(self, folder: Path) -> None:
        from safetensors import safe_open

        self._stack = ExitStack()
        self._files: dict[str, Any] = {}
        self._widths: dict[str, int] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        index = folder / _INDEX
        named = set(read_json(index)["weight_map"].values()) if index.is_file() else None
        for path in sorted(folder.glob("*.safetensors")):
            if named is not None and path.name not in named:
                continue  # the same weights once more, in one file
            file = self._stack.enter_context(safe_open(path, framework="pt"))
            for name in file.keys():  # noqa: SIM118 - no mapping
                self._files[name] = file
                view = file.get_slice(name)
                self.shapes[name] = tuple(view.get_shape())
                self._widths[name] = _WIDTHS.get(view.get_dtype(), 4)

    def __enter__(self) -> "Weights":
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def size_of(self, source: Source) -> int:
        """Give the bytes of a tensor of the result."""
        size = sum(math.prod(self.shapes[name]) * self._widths[name] for name in source.parts)
        return size if source.part is None else size // 3

    def read(self, source: Source) -> Any:
        """Read a tensor of the result.

        Raises:
            CheckpointError: If rows that are to be parted are no multiple of three.
        """
        import torch

        if len(source.parts) > 1:
            return torch.cat([self._files[name].get_tensor(name) for name in source.parts])
        (name,) = source.parts
        if source.part is None:
            return self._files[name].get_tensor(name)
        third = _third(name, self.shapes[name])
        return self._files[name].get_slice(name)[source.part * third : (source.part + 1) * third].contiguous()

    def rows(self, source: Source, count: int) -> list[Any]:
        """Read a few rows of a tensor that comes from one alone, evenly spread."""
        (name,) = source.parts
        length = self.shapes[name][0] // (1 if source.part is None else 3)
        start, view = (source.part or 0) * length, self._files[name].get_slice(name)
        picked = {start + index * length // count for index in range(count)} if length else set()
        return [view[row : row + 1] for row in sorted(picked)]


def _third(name: str, shape: tuple[int, ...]) -> int:
    if shape[0] % 3:
        raise CheckpointError(f"{name} has {shape[0]} rows: query, key and value are a third each")
    return shape[0] // 3


def plan(names: Mapping[str, tuple[int, ...]], to: Layout) -> dict[str, Source]:
    """Say of each tensor of the result where it comes from.

    Args:
        names: The given tensors with their shapes.
        to: The layout of the result.

    Raises:
        CheckpointError: If a tensor is not the given layout's, or a part of a packed one is missing; names it.
    """
    found: dict[str, Source] = {}
    if to == "transformers":
        for name in names:
            for piece in transformers_pieces(name):
                found[piece.name] = Source((name,), piece.part)
        return found
    packed: dict[str, dict[int, str]] = {}
    for name in names:
        piece = github_piece(name)
        if piece.part is None:
            found[piece.name] = Source((name,))
        else:
            packed.setdefault(piece.name, {})[piece.part] = name
    for name, thirds in packed.items():
        if len(thirds) < 3:
            missing = ", ".join("qkv"[part] for part in range(3) if part not in thirds)
            raise CheckpointError(f"{name} cannot be packed: the checkpoint lacks its {missing}")
        found[name] = Source(tuple(thirds[part] for part in range(3)))
    return found


def convert(source: Path, out: Path, to: Layout, *, say: Callable[[str], None] = lambda _: None) -> Converted:
    """Write a checkpoint in the other layout; its numbers stay what they are, to the bit.

    Args:
        source: A checkpoint's folder, in either layout, weights in safetensors.
        out: Where the result goes: a folder that is new or empty.
        to: The layout of the result.
        say: Takes a line for people.

    Raises:
        UsageError: If the checkpoint is in that layout already, or ``out`` is in use.
        CheckpointError: If it is broken, lacks tensors or has them in another shape than its configuration says, or
            holds what the other layout has no place for; names it.
        RecordError: If the disk has no room for it.
        MissingDependency: If torch or safetensors is not installed.
    """
    try:
        import torch  # noqa: F401 - the tensors are read with it

        from foveate.policies.internvl.new_folder import new_folder
    except ImportError as exc:
        raise MissingDependency("convert", "pip install 'foveate[torch]'") from exc
    given = check(source)
    if given.layout == to:
        raise UsageError(f"{source} is in the {to} layout already")
    if given.thresholds is not None:
        raise CheckpointError(
            f"{source} is a Flash checkpoint: transformers' layout has no place for its router. The torch and LMDeploy "
            "engines read it as it is"
        )
    config = read_json(source / "config.json")
    with new_folder(out) as part:
        with Weights(source) as weights:
            sources = plan(weights.shapes, to)
            _check_tensors(source, given.config, weights.shapes, given.layout)
            needed, free = sum(path.stat().st_size for path in source.glob("*.safetensors")), _free(part)
            if free < needed:
                raise RecordError(f"{out} needs {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free there")
            size = _write_weights(part, weights, sources, say)
        written = transformers_files(source, config) if to == "transformers" else github_files(config)
        for name in _COPIED:
            if (source / name).is_file() and name not in written:
                shutil.copyfile(source / name, part / name)
        for name, text in written.items():
            (part / name).write_text(text, encoding="utf-8")
    return Converted(out, to, len(sources), size)


def _check_tensors(
    source: Path, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], layout: Layout
) -> None:
    """Compare tensors with those of the model that a configuration describes; experts' matrices are left to loading."""
    model = without_memory(source, internvl_config(source, config))
    wanted = {
        on_disk(name): tuple(value.shape) for name, value in model.state_dict().items() if not _EXPERT.search(name)
    }
    given: dict[str, tuple[int, ...]] = {}
    for name, shape in shapes.items():
        pieces = transformers_pieces(name) if layout == "github" else (Piece(on_disk(name)),)
        for piece in pieces:
            given[piece.name] = shape if piece.part is None else (_third(name, shape), *shape[1:])
    if config["text_config"].get("tie_word_embeddings") or config.get("tie_word_embeddings"):
        wanted.pop("language_model.lm_head.weight", None)
    both = wanted.keys() & given.keys()
    wrong = {
        "lacks tensors": wanted.keys() - given.keys(),
        "has tensors of another shape than its configuration says": (n for n in both if wanted[n] != given[n]),
    }
    refuse_tensors(source, wrong)


def transformers_files(source: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """Give what transformers' layout says in JSON: configuration and processors, by file name."""
    written = transformers_config(config, image_token=image_token(source))
    side = int(written["vision_config"]["image_size"][0])
    picture = {
        "do_resize": True, "size": {"height": side, "width": side}, "resample": 3, "do_rescale": True,
        "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": list(IMAGENET_MEAN),
        "image_std": list(IMAGENET_STD), "do_convert_rgb": True,
    }  # fmt: skip
    tiles = {
        "crop_to_patches": bool(config.get("dynamic_image_size", True)),
        "min_patches": int(config.get("min_dynamic_patch", 1)),
        "max_patches": int(config.get("max_dynamic_patch", 12)),
    }
    image = {"image_processor_type": "GotOcr2ImageProcessor", **tiles, **picture}
    files: dict[str, dict[str, Any]] = {
        "config.json": written,
        "preprocessor_config.json": {**image, "processor_class": "InternVLProcessor"},
        "video_preprocessor_config.json": {"video_processor_type": "InternVLVideoProcessor", **picture},
        "processor_config.json": {
            "processor_class": "InternVLProcessor", "image_seq_length": written["image_seq_length"],
        },
    }  # fmt: skip
    tokenizer = source / "tokenizer_config.json"
    if tokenizer.is_file():
        names = {"start_image": "<img>", "end_image": "</img>", "context_image": "<IMG_CONTEXT>", "video": "<video>"}
        extra = {f"{name}_token": token for name, token in names.items()}
        settings = {key: value for key, value in read_json(tokenizer).items() if key != "auto_map"}
        files["tokenizer_config.json"] = {**settings, "extra_special_tokens": extra}
    return {name: _json(value) for name, value in files.items()}


def github_files(config: Mapping[str, Any]) -> dict[str, str]:
    """Give what GitHub's layout says: configuration, processor, and the classes that its readers ask for."""
    written = github_config(config)
    side = written["force_image_size"]
    picture = {
        "crop_size": side, "do_center_crop": True, "do_normalize": True, "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": list(IMAGENET_MEAN),
        "image_std": list(IMAGENET_STD), "resample": 3, "size": side,
    }  # fmt: skip
    return {
        "config.json": _json(written),
        "preprocessor_config.json": _json(picture),
        "configuration_internvl_chat.py": _CONFIG_CODE,
    }


def _write_weights(folder: Path, weights: Weights, sources: Mapping[str, Source], say: Callable[[str], None]) -> int:
    """Write all tensors, in as many files as it takes, with an index where there are several; gives their bytes."""
    from safetensors.torch import save_file

    groups = list(_groups(weights, sources))
    written: dict[str, str] = {}
    total = 0
    for number, names in enumerate(groups, 1):
        file = "model.safetensors" if len(groups) == 1 else f"model-{number:05d}-of-{len(groups):05d}.safetensors"
        tensors = {name: weights.read(sources[name]).contiguous() for name in names}
        total += sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        save_file(tensors, folder / file, metadata={"format": "pt"})
        written |= dict.fromkeys(names, file)
        say(f"{file}: {number} of {len(groups)}")
    if len(groups) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(written.items()))}
        (folder / _INDEX).write_text(_json(index), encoding="utf-8")
    return total


def _groups(weights: Weights, sources: Mapping[str, Source]) -> Iterator[list[str]]:
    """Part the tensors of the result into files, none longer than ``SHARD_BYTES`` where it can be helped."""
    names: list[str] = []
    filled = 0
    for name in sorted(sources):
        size = weights.size_of(sources[name])
        if names and filled + size > SHARD_BYTES:
            yield names
            names, filled = [], 0
        names.append(name)
        filled += size
    if names:
        yield names


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
