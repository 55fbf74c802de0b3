"""Whether the torch engine can run a model here, from its configuration alone: before it is downloaded or loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from foveate.actions.errors import CheckpointError, ModelUnavailable
from foveate.policies.engines.torch_loading import device_named, dtype_named
from foveate.policies.engines.torch_placing import EVERY_GPU, check_bits
from foveate.policies.internvl.catalogue import Size
from foveate.policies.internvl.described import parts_of
from foveate.policies.internvl.layouts import is_flash, layout_of, transformers_config

_KIB = 1024


def check_wanted(
    said: Mapping[str, Any], *, device: str = "auto", dtype: str = "auto", bits: int = 16, blind: bool = False,
    fetched: bool = False,
) -> None:  # fmt: skip
    """Check what is known before a single weight is there.

    Args:
        said: The checkpoint's ``config.json``, in either layout.
        device: Where the model is to run.
        dtype: What it is to compute with.
        bits: Of a number of the language model's matrices, 16, 8 or 4.
        blind: Whether the vision tower stays away.
        fetched: Whether the rest is to be fetched, and so its tokenizer is still unknown.

    Raises:
        ModelUnavailable: If there is no such device or dtype, the memory there is too small for the weights, or the
            model is none that this engine can talk to; names the remedy.
        CheckpointError: If the configuration does not say what the model is made of.
        MissingDependency: If what fewer bits need is missing.
    """
    config = said if layout_of(said) == "transformers" else transformers_config(said, image_token=0)
    check_bits(bits, config["text_config"])
    place = device_named(device)
    number = dtype_named("bfloat16" if dtype == "auto" and bits != 16 else dtype, place)
    try:
        tower, language = parts_of(config)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as exc:
        raise CheckpointError(f"config.json does not say what the model is made of: {exc!r}") from exc
    if language.biased and fetched:
        raise ModelUnavailable(
            "the torch engine writes ChatML, and GPT-OSS reads Harmony's tokens: serve the model with vLLM (foveate "
            "serve MODEL) and name it with --engine openai:URL"
        )
    size = Size("", tower, language)
    kept = size.parameters - language.matrices - (tower.parameters if blind else 0)
    kept += size.router if is_flash(said) and not blind else 0
    needed = number.itemsize * kept + (number.itemsize if bits == 16 else bits / 8) * language.matrices
    free = free_bytes(device, place)
    if free is not None and needed > free:
        raise ModelUnavailable(
            f"its weights take {needed / 1e9:.1f} GB as {str(number).removeprefix('torch.')}"
            f"{f' in {bits} bits' if bits != 16 else ''}, and {device if device != 'auto' else place.type} has "
            f"{free / 1e9:.1f} GB free: {_remedies(place, number, bits, language.experts)}"
        )


def _remedies(place: torch.device, number: torch.dtype, bits: int, experts: int) -> str:
    """Name what would take less, or have more."""
    less = [] if bits == 4 or experts else [f"--bits {' or '.join(str(one) for one in (8, 4) if one < bits)}"]
    wider = ["--device cuda:all"] if place.type == "cuda" and torch.cuda.device_count() > 1 else []
    half = ["dtype bfloat16"] if number == torch.float32 else []
    return ", ".join([*less, *wider, *half, "a smaller model"]) + ", or a server elsewhere (--engine openai:URL)"


def free_bytes(device: str, place: torch.device) -> int | None:
    """Give the memory that is free on a device; None where the system does not tell.

    Args:
        device: As the user named it.
        place: The same for torch.
    """
    if place.type == "cuda":
        count = torch.cuda.device_count()
        numbers = range(count) if device == EVERY_GPU else (place.index or 0,)
        return sum(torch.cuda.mem_get_info(index)[0] for index in numbers)
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        values = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        return (values["MemAvailable"] + values["SwapFree"]) * _KIB
    except (OSError, KeyError, ValueError, IndexError):
        return None
