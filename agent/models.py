"""``foveate models``: InternVL3.5's sizes, what each takes, what can serve it, what this machine would do with it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from foveate.actions.errors import UsageError
from foveate.agent.picking import Machine, Pick, pick
from foveate.policies.engines.llamacpp_files import find as find_gguf
from foveate.policies.engines.servable import Servable, servable
from foveate.policies.engines.serving import SERVERS, Order, refusal
from foveate.policies.internvl.catalogue import SIZES, STAGES, Number, Size

K = TypeVar("K")

NUMBERS: tuple[Number, ...] = ("bf16", "fp8", "int4")

_LEGEND: Final = (
    "bf16, fp8 and int4 are of the weights and the cache of one request; GPUs are of 80 GB. A row stands for "
    f"{', '.join(filter(None, STAGES))} of its size, too (GPT-OSS has none), each with -HF behind it or not, and for "
    "modelscope:ID."
)


@dataclass(frozen=True, slots=True)
class Row:
    """A size, as the command shows it.

    Attributes:
        model: Its id.
        parameters: How many weights.
        active: Weights of the language model that a token goes through, embeddings left out.
        memory: Bytes of weights and one request's cache, by number format.
        gpus: Graphics cards of 80 GB that its makers serve it on.
        flash: The id of its checkpoint with a router; empty where its makers list none.
        router: Whether it is that one.
        engines: What can serve it, the best first.
        machine: What it would run on.
        pick: What would be done with it there.
    """

    model: str
    parameters: int
    active: int
    memory: dict[Number, int]
    gpus: int
    flash: str
    router: bool
    engines: tuple[str, ...]
    machine: Machine
    pick: Pick

    @property
    def why(self) -> str:
        """Say why that is picked, or what is missing."""
        return f"{self.machine}; it takes {self.pick.takes}: {self.pick.because}"

    def as_data(self) -> dict[str, Any]:
        """Give it as JSON data."""
        data = {name: value for name, value in asdict(self).items() if name not in ("machine", "pick")}
        return {**data, "here": self.pick.here, "why": self.why}


def engines_of(subject: Servable, size: Size) -> tuple[str, ...]:
    """Name what can serve a model, the best first; behind ``openai`` the servers that can.

    llama.cpp takes files in GGUF, and has the smaller vision tower alone and no router.
    """
    able = [name for name in SERVERS if not refusal(name, Order(subject))]
    gguf = not (size.tower.normed or subject.gpt_oss or subject.router)
    servers = [*(SERVERS[name].title for name in able), *(["llama.cpp"] if gguf else [])]
    own = [*([] if subject.gpt_oss else ["torch"]), *(["lmdeploy"] if "lmdeploy" in able else [])]
    return (*own, *(["llamacpp (GGUF)"] if gguf else []), f"openai ({', '.join(servers)})")


def rows(models: Sequence[str], machine: Machine, *, tiles: int) -> list[Row]:
    """Describe sizes.

    Args:
        models: Ids, or folders; none is every size. What is no id of InternVL3.5's is read from its configuration.
        machine: What they would run on.
        tiles: Greatest number of tiles a picture.

    Raises:
        UsageError: If one is GGUF, which has the numbers that it has.
        ModelUnavailable: If one is no id, no folder, and on no hub that can be reached.
        CheckpointError: If its configuration is none of InternVL's.
    """
    subjects = map(servable, models) if models else (Servable(size.id, size, "github") for size in SIZES.values())
    return [_row(subject, machine, tiles) for subject in subjects]


def _row(subject: Servable, machine: Machine, tiles: int) -> Row:
    size, router = subject.size, subject.router
    if size is None:
        find_gguf(subject.model)  # says what lacks
        raise UsageError(
            f"{subject.model} is GGUF, with numbers of its own and for llama.cpp alone: foveate run --engine llamacpp "
            f"--model {subject.model}, or foveate serve {subject.model}"
        )
    flash = subject.model if router else f"{size.id}-Flash" if size.flash else ""
    return Row(
        subject.model, size.parameters + (size.router if router else 0), size.language.active,
        {number: size.memory(number, tiles=tiles, flash=router) for number in NUMBERS},
        size.gpus, flash, router, engines_of(subject, size), machine, pick(size, machine, tiles=tiles, router=router),
    )  # fmt: skip


def show(listed: Sequence[Row], machine: Machine, console: Console) -> None:
    """Show sizes as a table, and under it what can serve them, where they would run here, and why."""
    table = Table(box=None, pad_edge=False)
    for title in ("model", "weights", *NUMBERS, "GPUs"):
        numeric = title != "model"
        table.add_column(title, justify="right" if numeric else "left", no_wrap=numeric, overflow="fold")
    for row in listed:
        memory = (_short(row.memory[one], "GB", "MB") for one in NUMBERS)
        table.add_row(row.model, _short(row.parameters, "B", "M"), *memory, str(row.gpus))
    console.print(table)
    engines = _grouped(listed, lambda row: ", ".join(row.engines), _name)
    _show_groups("Engines", ((names, said) for said, names in engines.items()), console)
    flash = _grouped(listed, _flash, _name)
    _show_groups("Flash, a checkpoint with a router", ((names, said) for said, names in flash.items()), console)
    picks = _grouped(
        listed, lambda row: (row.pick.here, row.pick.because), lambda row: f"{_name(row)} ({row.pick.takes})"
    )
    here = ((where or "not here", f"{names}: {because}") for (where, because), names in picks.items())
    _show_groups(f"Here: {machine}", here, console)
    if len(listed) == len(SIZES):
        console.print(f"\n{_LEGEND}", markup=False)


def _grouped(listed: Iterable[Row], key: Callable[[Row], K], text: Callable[[Row], str]) -> dict[K, str]:
    """Give texts of rows, those of one key together."""
    found: dict[K, list[str]] = {}
    for row in listed:
        found.setdefault(key(row), []).append(text(row))
    return {one: ", ".join(texts) for one, texts in found.items()}


def _show_groups(title: str, groups: Iterable[tuple[str, str]], console: Console) -> None:
    table = Table(box=None, show_header=False, padding=(0, 0, 0, 2))
    table.add_column(overflow="fold", max_width=40)
    table.add_column(overflow="fold")
    for what, said in groups:
        table.add_row(Text(what), Text(said))
    console.print(f"\n{title}", markup=False)
    console.print(table)


def _name(row: Row) -> str:
    return row.model.removeprefix("OpenGVLab/InternVL3_5-")


def _flash(row: Row) -> str:
    return "this is one" if row.router else "the id with -Flash behind it" if row.flash else "none that its makers list"


def _short(count: float, billions: str, millions: str) -> str:
    return f"{count / 1e9:.1f} {billions}" if count >= 1e9 else f"{count / 1e6:.0f} {millions}"
