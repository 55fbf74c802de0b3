"""The commands ``foveate data make``, ``show``, ``pack`` and ``unpack``: what the bundled checkpoint is trained on."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from foveate.agent.ending import SUCCESS, Ending
from foveate.agent.options import BrowserOption, JsonOption, say

data = typer.Typer(help="Make and look at what models are trained on.", no_args_is_help=True)


class SplitName(StrEnum):
    """What ``--split`` takes."""

    SEEN = "seen"
    UNSEEN = "unseen"


@data.command()
def make(
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write shards into.")],
    count: Annotated[int, typer.Option(min=1, help="How many pages, or programs.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="The first page's seed; the next page has the next one.")] = 0,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes, each with a browser.")] = 2,
    split: Annotated[
        SplitName, typer.Option(help="Words, fonts and themes that are trained on, or those kept out.")
    ] = SplitName.SEEN,
    programs: Annotated[
        bool, typer.Option("--programs", help="Small programs that an oracle does step by step, in place of pages.")
    ] = False,
    side: Annotated[int, typer.Option(min=64, max=2048, help="The viewport's width and height in CSS pixels.")] = 320,
    scale: Annotated[float, typer.Option(min=0.25, max=8, help="Device pixels a CSS pixel.")] = 1.4,
    browser: BrowserOption = None,
    json_: JsonOption = False,
) -> Ending:
    """Draw made-up pages with Chromium and pack them, with the places of all that stands on them.

    With --programs an oracle, which knows their state, does tasks of several steps, and each step is packed.
    """
    from foveate.agent.training import making
    from foveate.agent.training.layouts import TEST_SEEDS
    from foveate.agent.training.programs import demonstrations
    from foveate.envs.chromium import find_chromium

    seeds = range(seed, seed + count)
    if seeds[-1] >= TEST_SEEDS or split is SplitName.UNSEEN:
        say("These are for evaluation and for looking at: foveate train refuses to learn from them.")
    if browser is not None:
        find_chromium(browser, "")  # before any process is started
    made: making.Made | demonstrations.Made
    if programs:
        done = demonstrations.orders(out, seeds, split.value, workers, making.Way(side, scale, browser))
        making.refuse_loss(done)
        paths, made = [order.path for order in done], demonstrations.make(done, workers=workers, say=say)
    else:
        todo = making.orders(out, seeds, split.value, workers, making.Way(side, scale, browser))
        making.refuse_loss(todo)
        paths, made = [order.path for order in todo], making.make(todo, workers=workers, say=say)
    said = {
        "status": "success", "shards": [str(path) for path in paths], "screens": made.screens,
        "bytes": made.size, "seconds": round(made.seconds, 3),
    }  # fmt: skip
    return Ending(SUCCESS, data=said if json_ else None, text=f"{made} in {out}")


@data.command()
def show(
    source: Annotated[Path, typer.Argument(metavar="SHARD|DIR", help="A shard, or a folder of shards.")],
    out: Annotated[Path, typer.Option(metavar="FILE.png|FOLDER", help="One picture of all, or a picture each.")],
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many screens.")] = 4,
) -> Ending:
    """Draw screens with the boxes, places and characters that are known of them, and questions with their answers."""
    from foveate.agent.training.showing import show as draw

    paths = draw(source, out, count)
    return Ending(SUCCESS, text="\n".join(map(str, paths)))


@data.command()
def pack(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of shards.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The pack to write.")],
    most: Annotated[
        float, typer.Option("--at-most", metavar="MB", min=0.1, max=1e6, help="Megabytes it may have.")
    ] = 35.0,
    json_: JsonOption = False,
) -> Ending:
    """Pack some of the shards into one small file, to train where there is no browser to make them with."""
    from foveate.policies.training.packs import write_pack

    packed = write_pack(out, folders, int(most * 1e6))
    said = {"status": "success", "pack": str(out), "bytes": packed.size, "screens": packed.screens}
    counts = ", ".join(f"{count:,} screens of {name}" for name, count in packed.screens.items())
    return Ending(SUCCESS, data=said if json_ else None, text=f"{out}: {counts}, {packed.size / 1e6:.1f} MB")


@data.command(name="unpack")
def unpack_(
    pack: Annotated[Path, typer.Argument(metavar="FILE", help="A pack.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder that folders of shards are written into.")],
    json_: JsonOption = False,
) -> Ending:
    """Make shards of a pack; those that are there are kept."""
    from foveate.policies.training.packs import unpack

    written = unpack(pack, out, say)
    counts = ", ".join(f"{count:,} screens of {name}" for name, count in written.items())
    said = {"status": "success", "folder": str(out), "screens": written}
    return Ending(SUCCESS, data=said if json_ else None, text=f"{out}: {counts}")
