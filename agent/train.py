"""The command ``foveate train sft``: from a configuration to a checkpoint with its card and its curves."""

from pathlib import Path
from typing import Annotated

import typer

from foveate.agent.ending import ENDED_OTHERWISE, SUCCESS, Ending
from foveate.agent.options import DeviceName, JsonOption, people

train = typer.Typer(help="Train a small InternVL on made-up screens.", no_args_is_help=True)


@train.command()
def sft(
    config: Annotated[
        str, typer.Option(metavar="FILE|tiny", help="What to do: a TOML file, or the name of one that comes with it.")
    ],
    init: Annotated[
        str | None, typer.Option(metavar="tiny|DIR", help="Weights to begin with; random ones by default.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the state in the work folder.")] = False,
    work: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where state, log and curves lie; by default runs/sft-NAME.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the checkpoint goes; by default model in the work folder.")
    ] = None,
    device: Annotated[
        DeviceName | None, typer.Option(help="Where to train; a GPU where there is one by default.")
    ] = None,
    json_: JsonOption = False,
) -> Ending:
    """Train on questions about screens with their answers, stage by stage; goes on after any interruption."""
    from foveate.agent.training.running import Order, begin

    place = Path("runs", f"sft-{Path(config).stem}") if work is None else work
    order = Order(config, place, place / "model" if out is None else out, init, resume, device and device.value)
    ended = begin(order, people)
    data = {
        "status": "success" if ended.outcome == "completed" else "failure",
        "outcome": ended.outcome,
        "model": str(ended.model),
        "work": str(order.work),
        "stages": [dict(stage) for stage in ended.stages],
    }
    code = SUCCESS if ended.outcome == "completed" else ENDED_OTHERWISE
    return Ending(code, data=data if json_ else None, text=str(ended.model))
