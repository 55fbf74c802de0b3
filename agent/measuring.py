"""The commands that measure: ``foveate eval``, ``bench loop``, ``bench model`` and ``doctor``."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from foveate.agent.ending import FAILED, SUCCESS, Ending
from foveate.agent.options import (
    FLASH,
    BrowserOption,
    DeviceOption,
    DevicesOption,
    FlashName,
    JsonOption,
    TrustOption,
    people,
    place_of,
    say,
)
from foveate.agent.record import to_json
from foveate.policies.engines.names import check_engine

bench = typer.Typer(help="Measure foveate beside its peers, in one run.", no_args_is_help=True)


def evaluate_(
    suite: Annotated[str, typer.Argument(help="clicks, typing, answers, programs or apps; tiny is all of them.")],
    policy: Annotated[str, typer.Option(metavar="internvl|scripted:FILE|oracle", help="What decides.")] = "internvl",
    model: Annotated[
        str, typer.Option(metavar="tiny|DIR|HUB_ID", help="The model: the bundled one, a folder, a hub id.")
    ] = "tiny",
    episodes: Annotated[
        int | None, typer.Option(min=1, help="Items a suite (of apps: an application); by default each suite's own.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another draw of seeds; the published figures are of 0.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes, each with a model and a browser.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what lies beside --out.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="Where to write the figures, and FILE.png with hits and misses."),
    ] = None,
    device: DevicesOption = None,
    browser: BrowserOption = None,
    engine: Annotated[
        str, typer.Option(metavar="auto|torch|lmdeploy|llamacpp|openai:URL", help="What serves the model.")
    ] = "auto",
    trust_remote_code: TrustOption = False,
) -> Ending:
    """Measure how often a policy is right, on pages never trained on."""
    from foveate.agent.evaluate import Plan, evaluate
    from foveate.agent.evaluation_summary import to_text
    from foveate.agent.evaluation_worker import Deciding

    deciding = Deciding(policy, model, place_of(device), browser, engine, trust_remote_code)
    plan = Plan(suite, deciding, episodes, seed, workers, resume, out)
    figures = evaluate(plan, say)
    return Ending(SUCCESS, text=to_text(figures).rstrip() if out is None else str(out))


@bench.command()
def loop(
    out: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Where to write the figures.")] = None,
    full: Annotated[bool, typer.Option("--full/--quick", help="The full counts, or about a tenth.")] = True,
    browser: BrowserOption = None,
) -> Ending:
    """Measure the loop without a model: steps, settle, memory, beside raw Playwright."""
    from foveate.agent.bench import run_loop_bench

    figures = run_loop_bench(full=full, out=out, browser=browser, say=say)
    return Ending(SUCCESS, text=to_json(figures).decode() if out is None else str(out))


@bench.command("model")
def model_(
    model: Annotated[
        list[str] | None, typer.Option(metavar="tiny|DIR|HUB_ID", help="A model; tiny by default. Repeatable.")
    ] = None,
    size: Annotated[
        list[str] | None, typer.Option(metavar="1B|8B|...", help="A size, made up with random weights. Repeatable.")
    ] = None,
    flash: Annotated[bool, typer.Option("--flash", help="Measure the made-up sizes with a router, too.")] = False,
    tiles: Annotated[list[int] | None, typer.Option(min=1, max=40, help="Most tiles a picture. Repeatable.")] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Layers of a made-up size; all by default.")] = None,
    output: Annotated[int, typer.Option(min=1, max=1024, help="Tokens of an answer.")] = 32,
    rounds: Annotated[int, typer.Option(min=1, help="Requests a row.")] = 5,
    device: DeviceOption = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Where to write the figures.")] = None,
) -> Ending:
    """Measure what a step of a model costs, beside what this machine could not do it faster than."""
    from foveate.agent.bench import write_figures
    from foveate.agent.bench_model import Order, bench_model, to_text

    models = tuple(model or (() if size else ("tiny",)))
    where = place_of(device)
    order = Order(
        models, tuple(size or ()), flash=flash, tiles=tuple(tiles or (1,)), layers=layers, output=output,
        rounds=rounds, device=where,
    )  # fmt: skip
    figures = bench_model(order, say)
    if out is not None:
        write_figures(out, figures)
    return Ending(SUCCESS, text=to_text(figures))


def doctor(
    model: Annotated[
        str | None, typer.Option(metavar="tiny|DIR|HUB_ID", help="A model to load and to ask; tiny by default.")
    ] = None,
    engine: Annotated[
        str, typer.Option(metavar="auto|torch|lmdeploy|llamacpp|openai:URL", help="What serves the model.")
    ] = "auto",
    device: DevicesOption = None,
    flash: Annotated[
        FlashName, typer.Option(help="Whether the model's router is to be on; auto is as the checkpoint says.")
    ] = FlashName.AUTO,
    trust_remote_code: TrustOption = False,
    browser: Annotated[str | None, typer.Option(metavar="PATH", help="The Chromium to check.")] = None,
    json_: JsonOption = False,
) -> Ending:
    """Check that this machine has what a run needs, and say what to do where it has not."""
    from foveate.agent.doctor import examine, show

    check_engine(engine)
    checks = asyncio.run(
        examine(
            model=model or "tiny", browser=browser, engine=engine, device=place_of(device),
            flash=FLASH[flash], trust_remote_code=trust_remote_code,
        )
    )  # fmt: skip
    show(checks, people)
    passed = all(check.passed for check in checks)
    data = {"status": "success" if passed else "failure", "checks": [check.as_data() for check in checks]}
    return Ending(SUCCESS if passed else FAILED, data=data if json_ else None)
