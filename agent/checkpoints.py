"""The commands about checkpoints: ``foveate models`` and ``foveate convert``."""

import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from foveate.actions.errors import UsageError
from foveate.agent.ending import SUCCESS, Ending
from foveate.agent.options import JsonOption, say


class LayoutName(StrEnum):
    """What ``--to`` takes."""

    GITHUB = "github"
    TRANSFORMERS = "transformers"
    GGUF = "gguf"


class PrecisionName(StrEnum):
    """What ``--precision`` takes."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"


def models(
    model: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Which; all by default.")] = None,
    tiles: Annotated[int, typer.Option(min=1, max=40, help="Most tiles a picture.")] = 12,
    json_: JsonOption = False,
) -> Ending:
    """List InternVL3.5's sizes: memory, GPUs, engines, and what this machine would do with each."""
    from foveate.agent.models import rows, show
    from foveate.agent.picking import this_machine

    machine = this_machine()
    listed = rows(model or [], machine, tiles=tiles)
    if not json_:
        show(listed, machine, Console(highlight=False, width=None if sys.stdout.isatty() else 140))
    said = {
        "status": "success",
        "tiles": tiles,
        "machine": asdict(machine),
        "models": [one.as_data() for one in listed],
    }
    return Ending(SUCCESS, data=said if json_ else None)


def convert(
    source: Annotated[
        str, typer.Argument(metavar="DIR", help="A checkpoint's folder, weights in safetensors; or tiny.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write: a new or empty folder.")],
    to: Annotated[LayoutName, typer.Option(help="What to write: GitHub's layout, transformers' (-HF), GGUF.")],
    precision: Annotated[
        PrecisionName | None, typer.Option(help="Of the matrices in GGUF; float32 by default.")
    ] = None,
    json_: JsonOption = False,
) -> Ending:
    """Write an InternVL checkpoint in the other layout, its numbers unchanged, or a small one as GGUF for llama.cpp."""
    from foveate.actions.paths import at_home
    from foveate.policies.internvl.checkpoint import BUNDLED, find
    from foveate.policies.internvl.converting import Converted
    from foveate.policies.internvl.converting import convert as write
    from foveate.policies.internvl.gguf_export import Exported, export

    if to is not LayoutName.GGUF and precision is not None:
        raise UsageError(f"--precision {precision}: --to {to} leaves numbers as they are: leave it out")
    folder = find(source) if source in BUNDLED else at_home(source)
    done: Converted | Exported
    if to is LayoutName.GGUF:
        done = export(folder, out, precision=(precision or PrecisionName.FLOAT32).value, say=say)
    else:
        done = write(folder, out, "github" if to is LayoutName.GITHUB else "transformers", say=say)
    said = {"status": "success", "model": str(done.folder), "layout": to.value, "tensors": done.tensors}
    return Ending(SUCCESS, data={**said, "bytes": done.size} if json_ else None, text=str(done.folder))
