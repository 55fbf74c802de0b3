"""Checkpoints: finding a model's folder and checking it before anything heavy is loaded."""

import json
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from foveate.actions.errors import CheckpointError, ModelUnavailable
from foveate.actions.paths import at_home
from foveate.policies.internvl.hub import HubId, fetch, fetch_config
from foveate.policies.internvl.layouts import (
    MODEL_TYPES,
    Layout,
    Thresholds,
    check_settings,
    is_flash,
    layout_of,
    transformers_config,
)
from foveate.policies.internvl.tiling import IMAGENET_MEAN, IMAGENET_STD

BUNDLED = ("tiny",)
"""Names of the checkpoints that come with the package."""

_NUMBERS = ("F64", "F32", "F16", "BF16")
_PICKLED = (".bin", ".pt", ".pth", ".ckpt")
_TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checked InternVL checkpoint.

    Attributes:
        folder: Where it lies.
        tile: Side of a tile in pixels.
        tokens_per_tile: Visual tokens a tile.
        mean: Of each channel, of values in 0..1.
        std: Of each channel, of values in 0..1.
        context: Greatest number of tokens of a prompt and its answer together.
        profile: The name of the model profile that its configuration asks for (``foveate_profile``), or None.
        layout: Whose configuration and names its files bear.
        thresholds: When its router (ViR) compresses a tile; None where it has no router.
        flash: Whether the router is on where a request says nothing.
        config: Its configuration, as transformers' layout has it.
    """

    folder: Path
    tile: int
    tokens_per_tile: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    context: int
    profile: str | None = None
    layout: Layout = "transformers"
    thresholds: Thresholds | None = None
    flash: bool = False
    config: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def find(
    model: str | Path, *, wanted: Callable[[Mapping[str, Any]], object] | None = None, endpoint: str | None = None
) -> Path:
    """Give the folder of a model; blocks, and may download.

    Args:
        model: A bundled model's name, a folder, or a hub id: ``owner/name``, of ModelScope ``modelscope:owner/name``,
            with ``@revision`` behind it to pin a branch, tag or commit.
        wanted: Is given ``config.json`` before anything great is fetched, and raises where the model is not wanted.
        endpoint: The hub's address; None is the hub client's own.

    Raises:
        ModelUnavailable: If there is no such folder, no hub that has it can be reached, or the disk has no room for it.
        CheckpointError: If the hub has it in a layout that cannot be loaded.
        MissingDependency: If a hub id is given and the hub's client is not installed.
    """

    def check_config(folder: Path) -> None:
        said = _config(folder)
        if wanted is not None:
            wanted(said)

    name = str(model)
    folder = Path(str(files("foveate.policies.internvl") / name)) if name in BUNDLED else at_home(name)
    if folder.is_dir():
        if wanted is not None:
            check_config(folder)
        return folder
    if folder.exists():
        raise ModelUnavailable(f"{name} is a file: give the folder that holds config.json")
    hub_id = hub_id_of(model)
    if hub_id is None:
        raise ModelUnavailable(f"no model {name!r}: give 'tiny', a folder with config.json, or a hub id owner/name")
    return fetch(hub_id, check_config, endpoint=endpoint)  # before gigabytes are fetched


def hub_id_of(model: str | Path) -> HubId | None:
    """Give the id by which a model is looked up on a hub; None where it is bundled, there, or a Path."""
    name = str(model)
    return None if isinstance(model, Path) or name in BUNDLED or at_home(name).exists() else HubId.read(name)


def find_config(model: str | Path, *, endpoint: str | None = None) -> dict[str, Any]:
    """Give a model's configuration as it was written; of a hub's model nothing else is downloaded.

    Raises:
        ModelUnavailable: As ``find``.
        CheckpointError: If it is foreign or broken.
        MissingDependency: As ``find``.
    """
    hub_id = hub_id_of(model)
    return _config(find(model) if hub_id is None else fetch_config(hub_id, endpoint=endpoint))


def check(folder: Path) -> Checkpoint:
    """Read a checkpoint's configuration and the headers of its weights; loads no tensor.

    Raises:
        ModelUnavailable: If the folder is missing or holds no checkpoint.
        CheckpointError: If it is foreign, pickled, truncated or does not fit its own configuration.
    """
    if not folder.is_dir():
        raise ModelUnavailable(f"no checkpoint at {folder}: there is no such folder")
    said = _config(folder)
    _check_weights(folder)
    if not any(all((folder / name).is_file() for name in names) for names in _TOKENIZERS):
        raise CheckpointError(f"{folder} has no tokenizer.json: copy the tokenizer's files there")
    layout = MODEL_TYPES[said["model_type"]]
    if layout == "github":
        check_settings(said)
    config = said if layout == "transformers" else transformers_config(said, image_token=image_token(folder))
    vision, text = _section(config, "vision_config", folder), _section(config, "text_config", folder)
    tile, patch = _side(vision.get("image_size", 448), folder), _side(vision.get("patch_size", 14), folder)
    ratio = config.get("downsample_ratio", 0.5)
    if not isinstance(ratio, int | float) or not 0 < ratio <= 1 or tile % patch:
        raise CheckpointError(
            f"{folder}: tiles of {tile} pixels in patches of {patch}, and a downsample_ratio of {ratio!r}, do not fit"
        )
    tokens = round(tile // patch * ratio) ** 2
    if config.get("image_seq_length", 256) != tokens:
        raise CheckpointError(
            f"{folder}: image_seq_length is {config.get('image_seq_length', 256)}, but tiles of {tile} pixels in "
            f"patches of {patch} give {tokens} tokens"
        )
    mean, std = _normalisation(folder)
    context, profile = text.get("max_position_embeddings", 32768), config.get("foveate_profile")
    if not isinstance(context, int) or context < 1:
        raise CheckpointError(f"{folder}: max_position_embeddings is {context!r}: it is a number of tokens")
    layers, seen = vision.get("num_hidden_layers", 24), config.get("vision_feature_layer", -1)
    if not isinstance(layers, int) or not isinstance(seen, int) or not -layers - 1 <= seen <= layers:
        raise CheckpointError(
            f"{folder}: the vision tower has {layers!r} layers, and layer {seen!r} is to be looked at"
        )
    named = profile if isinstance(profile, str) else None
    thresholds = Thresholds.of(said) if is_flash(said) else None
    flash = thresholds is not None and bool(said.get("flash_mode", False))
    return Checkpoint(folder, tile, tokens, mean, std, context, named, layout, thresholds, flash, config)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: If it cannot be read or is something else.
    """
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise CheckpointError(f"{path} cannot be read: {exc}") from exc
    if not isinstance(loaded, dict):
        raise CheckpointError(f"{path} holds no JSON object")
    return loaded


def image_token(folder: Path) -> int:
    """Give the id of ``<IMG_CONTEXT>`` in a checkpoint's tokenizer; reads its files alone.

    Raises:
        CheckpointError: If it has none.
    """
    for name in ("tokenizer.json", "added_tokens.json", "tokenizer_config.json"):
        if not (folder / name).is_file():
            continue
        data = read_json(folder / name)
        for content, number in _added(data):
            if content == "<IMG_CONTEXT>":
                return number
    raise CheckpointError(f"the tokenizer of {folder} has no token <IMG_CONTEXT>: is it InternVL's?")


def _added(data: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Give added tokens with their ids, from any of the three files that may list them."""
    added = data.get("added_tokens")
    if isinstance(added, list):
        yield from ((str(one.get("content")), int(one.get("id", -1))) for one in added if isinstance(one, Mapping))
    decoder = data.get("added_tokens_decoder")
    if isinstance(decoder, Mapping):
        yield from ((str(one.get("content")), int(number)) for number, one in decoder.items())
    yield from ((content, number) for content, number in data.items() if isinstance(number, int))


def _config(folder: Path) -> dict[str, Any]:
    if not (folder / "config.json").is_file():
        raise ModelUnavailable(f"no checkpoint at {folder}: it has no config.json")
    config = read_json(folder / "config.json")
    if layout_of(config) is None:
        known = " or ".join(map(repr, MODEL_TYPES))
        raise CheckpointError(
            f"{folder} is no InternVL checkpoint: its model_type is {config.get('model_type')!r}, not {known}"
        )
    return config


def _check_weights(folder: Path) -> None:
    """Check that the safetensors are all there and as long as their headers say."""
    weights = sorted(folder.glob("*.safetensors"))
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        mapped = read_json(index).get("weight_map")
        if not isinstance(mapped, dict):
            raise CheckpointError(f"{index} has no weight_map: download it again")
        for name in sorted(set(map(str, mapped.values()))):
            if name != Path(name).name or not name.endswith(".safetensors"):
                raise CheckpointError(f"{index} names {name!r}, which is no safetensors file of its folder")
            if not (folder / name).is_file():
                raise CheckpointError(f"{folder} lacks {name}, which {index.name} names: download it again")
    if not weights:
        pickled = [path.name for path in sorted(folder.iterdir()) if path.suffix in _PICKLED]
        if pickled:
            first = next((name for name in pickled if name.startswith("pytorch_model")), pickled[0])
            every = re.sub(r"-\d+-of-(\d+)", r"-*-of-\1", first)  # of a number of files all
            raise CheckpointError(
                f"{folder} holds pickled weights ({first}), which can run code and are never loaded. Write them anew, "
                'in that folder: python -c "import glob, torch, safetensors.torch as s; w = {}; [w.update(torch.load('
                f"f, 'cpu', weights_only=True)) for f in sorted(glob.glob('{every}'))]; s.save_file({{k: "
                "v.contiguous().clone() for k, v in w.items()}, 'model.safetensors')\""
            )
        raise CheckpointError(f"{folder} holds no weights: model.safetensors is missing")
    for path in weights:
        _check_length(path)


def _check_length(path: Path) -> None:
    """Compare a safetensors file's length with its header: eight bytes of length, JSON, tensors."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            header = file.read(length) if 0 < length <= size - 8 else b""
    except OSError as exc:
        raise CheckpointError(f"{path} cannot be read: {exc.strerror}") from exc
    try:
        tensors = {name: entry for name, entry in json.loads(header).items() if name != "__metadata__"}
        ends = [entry["data_offsets"][1] for entry in tensors.values()]
        kinds = {name: str(entry["dtype"]) for name, entry in tensors.items()}
    except (ValueError, AttributeError, KeyError, TypeError, IndexError) as exc:
        raise CheckpointError(f"{path} is truncated or no safetensors file ({size} bytes): download it again") from exc
    foreign = next((name for name, kind in kinds.items() if kind not in _NUMBERS), None)
    if foreign is not None:
        raise CheckpointError(f"{path}: {foreign} is of {kinds[foreign]} numbers: known are {', '.join(_NUMBERS)}")
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise CheckpointError(f"{path} is truncated: {size} bytes, its header says {expected}; download it again")


def _section(config: Mapping[str, Any], name: str, folder: Path) -> Mapping[str, Any]:
    section = config.get(name)
    if not isinstance(section, dict):
        raise CheckpointError(f"{folder / 'config.json'} has no {name}")
    return section


def _side(value: object, folder: Path) -> int:
    sides = value if isinstance(value, list) else [value]
    if not sides or not isinstance(sides[0], int) or sides[0] < 1 or any(side != sides[0] for side in sides):
        raise CheckpointError(f"{folder / 'config.json'}: tiles and patches are square, not {value!r}")
    return int(sides[0])


def _normalisation(folder: Path) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Read mean and standard deviation where the processor's files say them; else ImageNet's."""
    settings: Mapping[str, Any] = {}
    if (folder / "preprocessor_config.json").is_file():
        settings = read_json(folder / "preprocessor_config.json")
    elif (folder / "processor_config.json").is_file():
        settings = read_json(folder / "processor_config.json").get("image_processor") or {}
    mean = _channels(settings, "image_mean", IMAGENET_MEAN, folder)
    std = _channels(settings, "image_std", IMAGENET_STD, folder)
    if min(std) <= 0:
        raise CheckpointError(f"{folder}: image_std is {list(std)}: it is three numbers above 0")
    return mean, std


def _channels(
    settings: Mapping[str, Any], name: str, default: tuple[float, float, float], folder: Path
) -> tuple[float, float, float]:
    value = settings.get(name)
    if value is None:
        return default
    if not isinstance(value, list) or len(value) != 3 or not all(isinstance(one, int | float) for one in value):
        raise CheckpointError(f"{folder}: {name} is {value!r}: it is three numbers")
    return float(value[0]), float(value[1]), float(value[2])
