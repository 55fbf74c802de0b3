"""``foveate models``: InternVL3.5's sizes, what each takes, what can serve it, what this machine would do with it."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from foveate.policies.internvl.catalogue import SIZES, STAGES, Number, Size, name_of, size_of
from foveate.policies.internvl.described import described

NUMBERS: tuple[Number, ...] = ("bf16", "fp8", "int4")
_ROOM = 1.15
"""An engine needs so much more than weights and cache: activations, buffers."""

_CPU_BYTES = 2.0
"""Float32 on a CPU takes so many times the bytes of bf16."""

_CPU_FLOPS = 2e11
"""What two cores of a CPU were measured to do in a second, with large matrices."""

_USABLE = 0.75
"""So much of a machine's memory is there for a model."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a model can run on here.

    Attributes:
        gpu: The largest GPU's name; empty without one.
        gpu_bytes: Its memory that is free.
        ram_bytes: Memory of the machine.
    """

    gpu: str = ""
    gpu_bytes: int = 0
    ram_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A size, as the command shows it.

    Attributes:
        model: Its id.
        parameters: How many weights.
        active: Weights of the language model that a token goes through, embeddings left out.
        memory: Bytes of weights and one request's cache, by number format.
        gpus: Graphics cards of 80 GB that its makers serve it on.
        flash: The id of its checkpoint with a router; empty without one.
        router: Whether it is that one.
        engines: What can serve it, the best first.
        here: The engine and device that would be taken on this machine; empty if it cannot run here.
        why: Why that one, or what is missing.
    """

    model: str
    parameters: int
    active: int
    memory: dict[Number, int]
    gpus: int
    flash: str
    router: bool
    engines: tuple[str, ...]
    here: str
    why: str

    def as_data(self) -> dict[str, Any]:
        """Give it as JSON data."""
        return asdict(self)


def this_machine() -> Machine:
    """Look at the memory and the GPUs of this machine; torch says which there are, where it is installed."""
    ram = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        import torch
    except ImportError:
        return Machine(ram_bytes=ram)
    found = [(torch.cuda.mem_get_info(number)[0], number) for number in range(torch.cuda.device_count())]
    if not found:
        return Machine(ram_bytes=ram)
    free, best = max(found)
    return Machine(torch.cuda.get_device_name(best), free, ram)


def engines_of(size: Size) -> tuple[str, ...]:
    """Name what can serve a size; ``openai`` are servers of LMDeploy, vLLM, SGLang or llama.cpp, or those named.

    llama.cpp takes files in GGUF, and has the smaller vision tower alone.
    """
    if size.language.biased:  # GPT-OSS: its makers serve it with vLLM; LMDeploy has no InternVL of it
        return ("openai (vLLM)",)
    llamacpp = () if size.tower.normed else ("llamacpp (GGUF)",)
    return ("torch", "lmdeploy", *llamacpp, "openai")


def pick(size: Size, machine: Machine, *, tiles: int) -> tuple[str, str]:
    """Choose for a machine: the engine with its device (empty if none can), and why."""
    if size.language.biased:
        return "", (
            "its tokenizer has Harmony's tokens, and the torch engine writes ChatML: serve it with vLLM and name it "
            "with --engine openai:URL"
        )
    needed = _ROOM * size.memory("bf16", tiles=tiles)
    if machine.gpu_bytes >= needed:
        return "torch on cuda", f"{machine.gpu} has {in_units(machine.gpu_bytes)} free, it takes {in_units(needed)}"
    slow = _CPU_BYTES * needed
    gpu = f"{machine.gpu} has {in_units(machine.gpu_bytes)} free" if machine.gpu else "there is no GPU"
    if _USABLE * machine.ram_bytes >= slow and not machine.gpu:
        tower, active = size.tower, size.language.active
        tile_s = 2 * tower.tokens * (4 * tower.parameters + active) / _CPU_FLOPS
        about = f", about {tile_s:.0f} s a tile on two cores" if tile_s >= 1 else ""
        return "torch on cpu", f"{gpu}; {in_units(slow)} of float32 fit into memory{about}"
    return "", f"{gpu}, it takes {in_units(needed)} in bf16: serve it elsewhere and name it with --engine openai:URL"


def in_units(size: float) -> str:
    """Write bytes for people."""
    return f"{size / 1e9:.0f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def rows(models: Sequence[str], machine: Machine, *, tiles: int) -> list[Row]:
    """Describe sizes.

    Args:
        models: Ids, or folders; none is every size. What is no id of InternVL3.5's is read from its configuration.
        machine: What they would run on.
        tiles: Greatest number of tiles a picture.

    Raises:
        ModelUnavailable: If one is no id, no folder, and on no hub that can be reached.
        CheckpointError: If its configuration is none of InternVL's.
    """
    if not models:
        return [_row(size, size.id, machine, tiles) for size in SIZES.values()]
    found = []
    for model in models:
        size = size_of(model) if not Path(model).exists() else None
        found.append(_row(size or described(model), model, machine, tiles))
    return found


def _row(size: Size, model: str, machine: Machine, tiles: int) -> Row:
    flash = size.flash and (name_of(model).endswith("-Flash") or model == size.own)
    memory = {number: size.memory(number, tiles=tiles, flash=flash) for number in NUMBERS}
    parameters = size.parameters + (size.router if flash else 0)
    engines = ("torch", "lmdeploy", "openai (LMDeploy)") if flash else engines_of(size)
    here, why = pick(size, machine, tiles=tiles)
    flash_id = size.own if flash else f"{size.id}-Flash" if size.flash else ""
    return Row(model, parameters, size.language.active, memory, size.gpus, flash_id, flash, engines, here, why)


def show(listed: Iterable[Row], console: Console) -> None:
    """Show sizes as a table, and under it why each would run where it would, where they are few."""
    listed = list(listed)
    table = Table(box=None, pad_edge=False)
    for title in ("model", "weights", *NUMBERS, "GPUs", "Flash checkpoint", "engines", "here"):
        numeric = title in (*NUMBERS, "weights", "GPUs")
        table.add_column(title, justify="right" if numeric else "left", no_wrap=numeric or title == "model")
    for row in listed:
        table.add_row(
            row.model, _short(row.parameters, "B", "M"), *(_short(row.memory[one], "GB", "MB") for one in NUMBERS),
            str(row.gpus), "this is one" if row.router else row.flash.partition("-")[2] or "none",
            ", ".join(row.engines), row.here or "no",
        )  # fmt: skip
    console.print(table)
    whole = len(listed) == len(SIZES)
    for row in () if whole else listed:
        console.print(f"{row.model}: {row.why}", markup=False, soft_wrap=True)
    if whole:
        stages = ", ".join(filter(None, STAGES))
        for line in (
            "foveate models ID says why. bf16, fp8 and int4 are of the weights and the cache of one request.",
            f"A row stands for {stages} of its size, too (GPT-OSS has none), each with -HF behind it or not, and for "
            "modelscope:ID.",
        ):
            console.print(line, markup=False, soft_wrap=True)


def _short(count: float, billions: str, millions: str) -> str:
    return f"{count / 1e9:.1f} {billions}" if count >= 1e9 else f"{count / 1e6:.0f} {millions}"
