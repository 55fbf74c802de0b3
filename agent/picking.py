"""What this machine would do with a model: one GPU, all of them, a server, fewer bits, or the CPU, and why."""

import os
from dataclasses import dataclass, replace
from typing import Final

from foveate.policies.internvl.catalogue import ROOM, Language, Number, Size

_BITS: Final[dict[int, Number]] = {16: "bf16", 8: "fp8", 4: "int4"}
"""What ``--bits`` takes, and the numbers that take as many bytes."""

_BLOCK: Final = 64
"""Columns that the torch engine brings to fewer bits at a time."""

_CPU_BYTES: Final = 2.0
"""Float32 on a CPU takes so many times the bytes of bf16."""

_CPU_FLOPS: Final = 2e11
"""What two cores of a CPU were measured to do in a second, with large matrices."""

_USABLE: Final = 0.75
"""So much of a machine's memory is there for a model."""

_ELSEWHERE: Final = "serve it elsewhere and name it with --engine openai:URL"


@dataclass(frozen=True, slots=True)
class Gpu:
    """A graphics card.

    Attributes:
        name: What it is called.
        free_bytes: Its memory that is free.
    """

    name: str
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Machine:
    """What a model can run on here.

    Attributes:
        gpus: In the order in which torch counts them.
        ram_bytes: Memory of the machine.
        torch: Whether torch, which tells of GPUs, is installed.
    """

    gpus: tuple[Gpu, ...] = ()
    ram_bytes: int = 0
    torch: bool = True

    def __str__(self) -> str:
        """Say what it has, for people."""
        if not self.torch:
            found = "no torch that would see a GPU (pip install 'foveate[torch]')"
        elif not self.gpus:
            found = "no GPU that torch sees"
        else:
            names = [gpu.name for gpu in self.gpus]
            kinds = [
                f"{names.count(name)} x {name}" if names.count(name) > 1 else name for name in dict.fromkeys(names)
            ]
            free = in_units(sum(gpu.free_bytes for gpu in self.gpus))
            found = f"{' and '.join(kinds)}, {free} free{' together' if len(names) > 1 else ''}"
        return f"{found}; {in_units(self.ram_bytes)} of memory"

    @property
    def usable(self) -> float:
        """Give the bytes of its memory that a model may take."""
        return _USABLE * self.ram_bytes

    def among(self, language: Language, needed: float) -> int:
        """Count the GPUs, a power of two, that a server would part a model of so many bytes among; 0 is too few."""
        free = sorted((gpu.free_bytes for gpu in self.gpus), reverse=True)
        counts = (1 << step for step in range(len(free).bit_length()))
        fits = (count for count in counts if language.parts_among(count) and count * free[count - 1] >= needed)
        return next(fits, 0)


@dataclass(frozen=True, slots=True)
class Pick:
    """What would be done with a model.

    Attributes:
        here: What would be taken on this machine: the engine with its device and bits, or a server; empty if nothing.
        takes: How much memory, in which numbers.
        because: Why that, or what is missing, and the remedies.
    """

    here: str
    takes: str
    because: str


def this_machine() -> Machine:
    """Look at the memory and the GPUs of this machine; torch says which there are, where it is installed."""
    ram = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        import torch
    except ImportError:
        return Machine(ram_bytes=ram, torch=False)
    numbers = range(torch.cuda.device_count())
    gpus = (Gpu(torch.cuda.get_device_name(one), torch.cuda.mem_get_info(one)[0]) for one in numbers)
    return Machine(tuple(gpus), ram)


def pick(size: Size, machine: Machine, *, tiles: int, router: bool = False) -> Pick:
    """Choose what to do with a model on a machine: whole on one GPU, on several, by a server, in fewer bits, on a CPU.

    Args:
        size: The model's.
        machine: What it would run on.
        tiles: Greatest number of tiles a picture.
        router: Whether it is a Flash checkpoint.
    """
    needs = {bits: ROOM * size.memory(number, tiles=tiles, flash=router) for bits, number in _BITS.items()}
    cards = machine.among(size.language, needs[16])
    if size.language.biased:
        reason = "its tokenizer has Harmony's tokens, and the torch engine writes ChatML"
        return _served(cards, needs[16], f"{reason}: vLLM serves it") or Pick(
            "", _in(16, needs[16]), f"{reason}: {_ELSEWHERE} (vLLM)"
        )
    for bits, needed in needs.items():
        if (bits == 16 or _shrinks(size.language)) and (found := _on_gpus(size, machine, bits, needed)):
            return found
        reason = "the torch engine cannot place or load it here, a server parts every layer"
        if bits == 16 and (found := _served(cards, needed, reason)):
            return found
    remedies = ", or ".join(_remedies(size, machine, needs, router=router))
    slow = _on_cpu(size, machine, needs)
    if slow is None:
        return Pick("", _in(16, needs[16]), remedies)
    return replace(slow, because=f"{slow.because}: --device cpu, or {remedies}") if machine.gpus else slow


def _served(cards: int, needed: float, reason: str) -> Pick | None:
    """Choose a server on so many GPUs; None for 0."""
    how = f"{reason}; foveate serve MODEL --tp {cards}, then --engine openai:URL"
    return Pick(f"foveate serve, --tp {cards}", _in(16, needed), how) if cards else None


def _in(bits: int, needed: float) -> str:
    return f"{in_units(needed)} in {'bf16' if bits == 16 else f'{bits} bits'}"


def _shrinks(language: Language) -> bool:
    """Tell whether the torch engine can bring a language model to fewer bits."""
    columns = (language.width, language.inner, language.heads * language.head)
    return not language.experts and not any(one % _BLOCK for one in columns)


def _loading(size: Size, bits: int) -> float:
    """Give the bytes of the machine's memory that the torch engine takes to load a model onto GPUs.

    Files are mapped there, but matrices that are made anew, of experts or of fewer bits, have to lie somewhere.
    """
    return ROOM * 2 * size.parameters if size.language.experts or bits != 16 else 0.0


def _on_gpus(size: Size, machine: Machine, bits: int, needed: float) -> Pick | None:
    """Choose for the torch engine on one GPU or on all; None where there is no room."""
    if machine.usable < _loading(size, bits) or not machine.gpus:
        return None
    flag, first = ("", "") if bits == 16 else (f", --bits {bits}", "too large in bf16; ")
    frees = [gpu.free_bytes for gpu in machine.gpus]
    best = frees.index(max(frees))
    if frees[best] >= needed:
        chosen = "" if frees[0] >= needed else f": CUDA_VISIBLE_DEVICES chooses it, the one that torch calls {best}"
        return Pick(f"torch on cuda{flag}", _in(bits, needed), f"{first}it fits into one GPU{chosen}")
    layer = 2 * size.language.layer(size.language.experts)
    if sum(max(free - layer, 0) for free in frees) < needed:  # none is split: so much may stay empty
        return None
    cards = machine.among(size.language, needed) if bits == 16 else 0
    server = f", or a server parts every layer: foveate serve MODEL --tp {cards}" if cards else ""
    return Pick(
        f"torch on cuda:all{flag}", _in(bits, needed),
        f"{first}no GPU alone has room, and together they have: --device cuda:all{server}",
    )  # fmt: skip


def _on_cpu(size: Size, machine: Machine, needs: dict[int, float]) -> Pick | None:
    """Choose for the torch engine on the CPU; None where there is no room."""
    slow = _CPU_BYTES * needs[16]
    if machine.usable >= slow:
        tile_s = 2 * size.tower.tokens * (4 * size.tower.parameters + size.language.active) / _CPU_FLOPS
        about = f", about {tile_s:.0f} s a tile on two cores" if tile_s >= 1 else ""
        return Pick("torch on cpu", f"{in_units(slow)} of float32{about}", "it fits into memory")
    if machine.usable >= _loading(size, 8) and _shrinks(size.language):
        needed = max(_loading(size, 8), needs[8])
        taken = f"{in_units(needed)} while it is brought to 8 bits"
        return Pick("torch on cpu, --bits 8", taken, "too large in float32; so it fits into memory")
    return None


def _remedies(size: Size, machine: Machine, needs: dict[int, float], *, router: bool) -> list[str]:
    """Say of a model that has no room here what else there is."""
    said = []
    fewer = next((bits for bits in (8, 4) if machine.among(size.language, needs[bits])), None)
    if fewer is not None and _shrinks(size.language):
        loading = in_units(_loading(size, fewer))
        said.append(f"--bits {fewer} once the machine has the memory to load it so ({loading})")
    elif fewer is not None:
        cards = machine.among(size.language, needs[fewer])
        where = "one GPU" if cards == 1 else f"{cards} GPUs"
        said.append(
            f"quantised to {_BITS[fewer]}, by LMDeploy or vLLM, it fits into {where} (the torch engine cannot bring it "
            "to fewer bits)"
        )
    if machine.usable >= needs[4] and not size.tower.normed and not router:
        said.append("as GGUF of about 4 bits, by llama.cpp's own converter, it fits into memory: --engine llamacpp")
    return [*said, _ELSEWHERE]


def in_units(size: float) -> str:
    """Write bytes for people."""
    return f"{size / 1e9:.0f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
