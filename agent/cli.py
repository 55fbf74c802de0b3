"""The command line: ``foveate run``, ``view``, ``eval``, ``bench loop``, ``data``, ``train sft`` and ``doctor``."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from foveate.actions.errors import UsageError
from foveate.actions.guard import Guard, Limits
from foveate.agent.agent import Agent
from foveate.agent.data import data
from foveate.agent.ending import FAILED, SUCCESS, Ending, end
from foveate.agent.flags import limits_of, parse_viewport, record_folder
from foveate.agent.live import LiveView
from foveate.agent.record import to_json
from foveate.agent.running import Person, run_agent
from foveate.agent.train import train
from foveate.envs.base import Env, Viewport
from foveate.policies.base import Look, Policy
from foveate.policies.engines.names import check_engine

app = typer.Typer(
    name="foveate",
    help="One perception-action loop for screens and robots: look, point, act, look again.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
bench = typer.Typer(help="Measure foveate beside its peers, in one run.", no_args_is_help=True)
app.add_typer(bench, name="bench")
app.add_typer(data, name="data")
app.add_typer(train, name="train")

people = Console(stderr=True, highlight=False)
"""Everything for people goes here; standard output is for results."""


class EnvName(StrEnum):
    """What ``--env`` takes."""

    BROWSER = "browser"


class DeviceName(StrEnum):
    """What ``--device`` takes."""

    CPU = "cpu"
    CUDA = "cuda"


class FlashName(StrEnum):
    """What ``--flash`` takes."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


_FLASH = {FlashName.AUTO: None, FlashName.ON: True, FlashName.OFF: False}


class LayoutName(StrEnum):
    """What ``--to`` takes."""

    GITHUB = "github"
    TRANSFORMERS = "transformers"
    GGUF = "gguf"


class PrecisionName(StrEnum):
    """What ``--precision`` takes."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"


class VerifyName(StrEnum):
    """What ``--verify`` takes."""

    PAGE = "page"


class ThinkName(StrEnum):
    """What ``--think`` takes."""

    NEVER = "never"
    ON_DEMAND = "on-demand"
    ALWAYS = "always"


class ConfirmName(StrEnum):
    """What ``--confirm`` takes."""

    NEVER = "never"
    RISKY = "risky"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The flags of ``foveate run`` that environments and policies are made from."""

    url: str | None
    viewport: Viewport | None
    verify: VerifyName | None
    policy: str
    model: str
    engine: str
    device: DeviceName | None
    think: ThinkName
    tiles: int | None
    flash: FlashName
    grammar: bool
    headed: bool
    browser: str | None
    limits: Limits


def _browser(options: RunOptions) -> Env:
    from foveate.envs.browser import BrowserEnv

    if options.url is None:
        raise UsageError("--env browser needs a start address: --url https://example.org, or --url FILE")
    return BrowserEnv(
        options.url,
        viewport=options.viewport,
        headless=not options.headed,
        limits=options.limits,
        browser=options.browser,
        verify=None if options.verify is None else options.verify.value,
    )


def _internvl(options: RunOptions, _: str) -> Policy:
    from foveate.policies.internvl import InternVLPolicy

    return InternVLPolicy(
        options.model,
        engine=options.engine,
        look=Look(max_tiles=options.tiles, thinking=options.think is ThinkName.ALWAYS),
        device="auto" if options.device is None else options.device.value,
        flash=_FLASH[options.flash],
        grammar=options.grammar,
    )


def _scripted(options: RunOptions, file: str) -> Policy:
    from foveate.policies.scripted import ScriptedPolicy

    if not file:
        raise UsageError("--policy scripted needs a file of answers: --policy scripted:FILE")
    return ScriptedPolicy.from_file(file)


def _human(options: RunOptions, _: str) -> Policy:
    from foveate.policies.human import HumanPolicy

    return HumanPolicy()


ENVS: Mapping[EnvName, Callable[[RunOptions], Env]] = {EnvName.BROWSER: _browser}
POLICIES: Mapping[str, Callable[[RunOptions, str], Policy]] = {
    "internvl": _internvl,
    "scripted": _scripted,
    "human": _human,
}


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> Ending | None:
    if not version:
        return None
    print(metadata.version("foveate"))  # noqa: T201 - the command's result
    raise typer.Exit(SUCCESS)


@app.command()
def run(
    task: Annotated[
        str | None, typer.Argument(metavar="[TASK]", help="What to do; may be left out where the page says it.")
    ] = None,
    env: Annotated[EnvName, typer.Option(help="The world.")] = EnvName.BROWSER,
    url: Annotated[str | None, typer.Option(metavar="URL|FILE", help="Where a browser starts.")] = None,
    viewport: Annotated[
        str | None, typer.Option(metavar="WxH", help="Its size in CSS pixels; by default what the policy sees best.")
    ] = None,
    verify: Annotated[
        VerifyName | None, typer.Option(help="Who says at the end whether the task is done: the page's own state.")
    ] = None,
    policy: Annotated[str, typer.Option(metavar="internvl|scripted:FILE|human", help="What decides.")] = "internvl",
    model: Annotated[
        str,
        typer.Option(
            metavar="tiny|DIR|HUB_ID", help="The model: the bundled one, a folder, a hub id; for llamacpp GGUF."
        ),
    ] = "tiny",
    engine: Annotated[
        str,
        typer.Option(
            metavar="auto|torch|llamacpp|openai:URL", help="What serves the model; a key for URL: FOVEATE_API_KEY."
        ),
    ] = "auto",
    device: Annotated[
        DeviceName | None, typer.Option(help="Where the model runs; a GPU where there is one by default.")
    ] = None,
    think: Annotated[
        ThinkName, typer.Option(help="When the model thinks before it answers; on demand is where it is stuck.")
    ] = ThinkName.NEVER,
    tiles: Annotated[
        int | None, typer.Option(min=1, max=40, help="Most tiles a picture; by default the model's.")
    ] = None,
    flash: Annotated[
        FlashName, typer.Option(help="Let the model's router compress tiles; auto is as the checkpoint says.")
    ] = FlashName.AUTO,
    grammar: Annotated[
        bool, typer.Option("--grammar", help="Let the model say nothing but an action that is offered here.")
    ] = False,
    max_steps: Annotated[int, typer.Option(min=1, help="Steps after which the episode ends.")] = 50,
    timeout_s: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds after which the episode ends; no limit by default.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Makes what is random repeatable.")] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to record: a new or empty folder; else runs/...")
    ] = None,
    no_record: Annotated[bool, typer.Option("--no-record", help="Keep no record.")] = False,
    headed: Annotated[bool, typer.Option("--headed", help="Show the browser's window.")] = False,
    browser: Annotated[str | None, typer.Option(metavar="PATH", help="The Chromium to use.")] = None,
    confirm: Annotated[ConfirmName, typer.Option(help="Which actions a person is asked about.")] = ConfirmName.RISKY,
    allow: Annotated[
        list[str] | None, typer.Option(metavar="HOST", help="A further host that may be asked; * is all. Repeatable.")
    ] = None,
    file: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="A file that may be uploaded. Repeatable.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> Ending:
    """Do one task."""
    if record is not None and no_record:
        raise UsageError("--record and --no-record exclude each other: leave one out")
    check_engine(engine)
    options = RunOptions(
        url, parse_viewport(viewport), verify, policy, model, engine, device, think, tiles, flash, grammar, headed,
        browser,
        limits_of(url, allow or [], file or []),
    )  # fmt: skip
    decider, world = policy_named(policy, options), ENVS[env](options)
    folder = None if no_record else record_folder(record, task or (url and Path(url.partition("?")[0]).stem) or "")
    screen = Console(stderr=True, highlight=False, force_terminal=False) if policy == "human" else people
    view = LiveView(screen, max_steps=max_steps, timeout_s=timeout_s)
    person = Person(people, view) if policy != "human" and sys.stdin is not None and sys.stdin.isatty() else None
    agent = Agent(
        world, decider, guard=Guard(world.limits, ask=confirm.value), max_steps=max_steps, timeout_s=timeout_s,
        record=folder, listeners=(view,),
        confirm=None if person is None else person.confirm, ask=None if person is None else person.answer,
    )  # fmt: skip
    return run_agent(agent, view, people, task=task, seed=seed, folder=folder)


@app.command()
def view(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder, an unfinished one too.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="The file to write; by default DIR/report.html.")
    ] = None,
) -> Ending:
    """Write a run's report, and print where it lies."""
    from foveate.agent.report import write_report

    return Ending(SUCCESS, text=str(write_report(folder, out)))


@app.command("eval")
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
    device: Annotated[
        DeviceName | None, typer.Option(help="Where the model runs; a GPU where there is one by default.")
    ] = None,
    browser: Annotated[str | None, typer.Option(metavar="PATH", help="The Chromium to use.")] = None,
) -> Ending:
    """Measure how often a policy is right, on pages never trained on."""
    from foveate.agent.evaluate import Plan, evaluate
    from foveate.agent.evaluation_summary import to_text
    from foveate.agent.evaluation_worker import Deciding

    deciding = Deciding(policy, model, "auto" if device is None else device.value, browser)
    plan = Plan(suite, deciding, episodes, seed, workers, resume, out)
    figures = evaluate(plan, lambda line: people.print(line, markup=False, soft_wrap=True))
    return Ending(SUCCESS, text=to_text(figures).rstrip() if out is None else str(out))


@bench.command()
def loop(
    out: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Where to write the figures.")] = None,
    full: Annotated[bool, typer.Option("--full/--quick", help="The full counts, or about a tenth.")] = True,
    browser: Annotated[str | None, typer.Option(metavar="PATH", help="The Chromium to use.")] = None,
) -> Ending:
    """Measure the loop without a model: steps, settle, memory, beside raw Playwright."""
    from foveate.agent.bench import run_loop_bench

    def say(line: str) -> None:
        people.print(line, markup=False, soft_wrap=True)

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
    device: Annotated[
        DeviceName | None, typer.Option(help="Where the model runs; a GPU where there is one by default.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Where to write the figures.")] = None,
) -> Ending:
    """Measure what a step of a model costs, beside what this machine could not do it faster than."""
    from foveate.agent.bench import write_figures
    from foveate.agent.bench_model import Order, bench_model, to_text

    models = tuple(model or (() if size else ("tiny",)))
    where = "auto" if device is None else device.value
    order = Order(
        models, tuple(size or ()), flash=flash, tiles=tuple(tiles or (1,)), layers=layers, output=output,
        rounds=rounds, device=where,
    )  # fmt: skip
    figures = bench_model(order, lambda line: people.print(line, markup=False, soft_wrap=True))
    if out is not None:
        write_figures(out, figures)
    return Ending(SUCCESS, text=to_text(figures))


@app.command()
def doctor(
    model: Annotated[
        str | None, typer.Option(metavar="tiny|DIR|HUB_ID", help="A model to load and to ask; tiny by default.")
    ] = None,
    engine: Annotated[
        str, typer.Option(metavar="auto|torch|llamacpp|openai:URL", help="What serves the model.")
    ] = "auto",
    device: Annotated[
        DeviceName | None, typer.Option(help="Where the model runs; a GPU where there is one by default.")
    ] = None,
    flash: Annotated[
        FlashName, typer.Option(help="Whether the model's router is to be on; auto is as the checkpoint says.")
    ] = FlashName.AUTO,
    browser: Annotated[str | None, typer.Option(metavar="PATH", help="The Chromium to check.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> Ending:
    """Check that this machine has what a run needs, and say what to do where it has not."""
    from foveate.agent.doctor import examine, show

    check_engine(engine)
    checks = asyncio.run(
        examine(
            model=model or "tiny", browser=browser, engine=engine, device="auto" if device is None else device.value,
            flash=_FLASH[flash],
        )
    )  # fmt: skip
    show(checks, people)
    passed = all(check.passed for check in checks)
    data = {"status": "success" if passed else "failure", "checks": [check.as_data() for check in checks]}
    return Ending(SUCCESS if passed else FAILED, data=data if json_ else None)


@app.command()
def models(
    model: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Which; all by default.")] = None,
    tiles: Annotated[int, typer.Option(min=1, max=40, help="Most tiles a picture.")] = 12,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> Ending:
    """List InternVL3.5's sizes: memory, GPUs, engines, and what this machine would do with each."""
    from foveate.agent.models import rows, show, this_machine

    listed = rows(model or [], this_machine(), tiles=tiles)
    if not json_:
        show(listed, Console(highlight=False, width=None if sys.stdout.isatty() else 140))
    said = {"status": "success", "tiles": tiles, "models": [row.as_data() for row in listed]}
    return Ending(SUCCESS, data=said if json_ else None)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="A checkpoint's folder, weights in safetensors.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write: a new or empty folder.")],
    to: Annotated[LayoutName, typer.Option(help="What to write: GitHub's layout, transformers' (-HF), GGUF.")],
    precision: Annotated[
        PrecisionName | None, typer.Option(help="Of the matrices in GGUF; float32 by default.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> Ending:
    """Write an InternVL checkpoint in the other layout, its numbers unchanged, or a small one as GGUF for llama.cpp."""
    from foveate.policies.internvl.checkpoint import find
    from foveate.policies.internvl.converting import Converted
    from foveate.policies.internvl.converting import convert as write
    from foveate.policies.internvl.gguf_export import Exported, export

    def say(line: str) -> None:
        people.print(line, markup=False, soft_wrap=True)

    if to is not LayoutName.GGUF and precision is not None:
        raise UsageError(f"--precision {precision}: --to {to} leaves numbers as they are: leave it out")
    done: Converted | Exported
    if to is LayoutName.GGUF:
        done = export(find(source), out, precision=(precision or PrecisionName.FLOAT32).value, say=say)
    else:
        done = write(source, out, "github" if to is LayoutName.GITHUB else "transformers", say=say)
    said = {"status": "success", "model": str(done.folder), "layout": to.value, "tensors": done.tensors}
    return Ending(SUCCESS, data={**said, "bytes": done.size} if json_ else None, text=str(done.folder))


def policy_named(name: str, options: RunOptions) -> Policy:
    """Make the policy that ``--policy`` names; a model's answers that cannot be used are asked for again.

    Raises:
        UsageError: If there is no such policy, or its file is wrong.
    """
    from foveate.policies.retry import RetryPolicy
    from foveate.policies.thinking import ThinkWhenStuck

    kind, _, file = name.partition(":")
    if kind not in POLICIES or (file and kind != "scripted"):
        raise UsageError(f"--policy {name}: choose internvl, scripted:FILE or human")
    policy = POLICIES[kind](options, file)
    if kind != "internvl":
        for flag, asked in (
            (f"--think {options.think}", options.think is not ThinkName.NEVER),
            ("--grammar", options.grammar),
        ):
            if asked:
                raise UsageError(f"{flag}: --policy {kind} asks no model that could heed it: leave one of them out")
        return policy
    return RetryPolicy(ThinkWhenStuck(policy) if options.think is ThinkName.ON_DEMAND else policy)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    args = list(sys.argv[1:] if argv is None else argv)
    end(lambda: app(args, prog_name="foveate", standalone_mode=False), args, people)
