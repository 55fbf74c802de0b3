"""The command line: ``foveate run`` and ``view`` here, the other commands each in a module of their kind."""

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
from foveate.agent.checkpoints import convert, models
from foveate.agent.data import data
from foveate.agent.ending import SUCCESS, Ending, end
from foveate.agent.flags import limits_of, parse_viewport, record_folder
from foveate.agent.live import LiveView
from foveate.agent.measuring import bench, doctor, evaluate_
from foveate.agent.options import (
    FLASH,
    BrowserOption,
    DevicesName,
    DevicesOption,
    FlashName,
    JsonOption,
    TrustOption,
    people,
    place_of,
)
from foveate.agent.running import Person, run_agent
from foveate.agent.serving import serve
from foveate.agent.train import train
from foveate.agent.vision_command import vision_
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


class EnvName(StrEnum):
    """What ``--env`` takes."""

    BROWSER = "browser"


class VerifyName(StrEnum):
    """What ``--verify`` takes."""

    PAGE = "page"


class ThinkName(StrEnum):
    """What ``--think`` takes."""

    NEVER = "never"
    ON_DEMAND = "on-demand"
    ALWAYS = "always"


class BitsName(StrEnum):
    """What ``--bits`` takes."""

    SIXTEEN = "16"
    EIGHT = "8"
    FOUR = "4"


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
    device: DevicesName | None
    think: ThinkName
    tiles: int | None
    flash: FlashName
    grammar: bool
    headed: bool
    browser: str | None
    limits: Limits
    vision: str | None = None
    local_vision: bool = False
    trust_remote_code: bool = False
    bits: int = 16


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
        device=place_of(options.device),
        flash=FLASH[options.flash],
        grammar=options.grammar,
        vision=options.vision,
        local_vision=options.local_vision,
        trust_remote_code=options.trust_remote_code,
        bits=options.bits,
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
            metavar="auto|torch|lmdeploy|llamacpp|openai:URL",
            help="What serves the model; a key for URL: FOVEATE_API_KEY.",
        ),
    ] = "auto",
    device: DevicesOption = None,
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
    vision: Annotated[
        str | None, typer.Option(metavar="tcp://HOST:PORT", help="A process that encodes pictures: foveate vision.")
    ] = None,
    local_vision: Annotated[
        bool, typer.Option("--local-vision", help="Encode pictures here where that process cannot be had.")
    ] = False,
    bits: Annotated[
        BitsName, typer.Option(help="Of a number of the language model's matrices, for torch.")
    ] = BitsName.SIXTEEN,
    trust_remote_code: TrustOption = False,
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
    browser: BrowserOption = None,
    confirm: Annotated[ConfirmName, typer.Option(help="Which actions a person is asked about.")] = ConfirmName.RISKY,
    allow: Annotated[
        list[str] | None, typer.Option(metavar="HOST", help="A further host that may be asked; * is all. Repeatable.")
    ] = None,
    file: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="A file that may be uploaded. Repeatable.")
    ] = None,
    json_: JsonOption = False,
) -> Ending:
    """Do one task."""
    if record is not None and no_record:
        raise UsageError("--record and --no-record exclude each other: leave one out")
    if local_vision and vision is None:
        raise UsageError(
            "--local-vision stands in for a vision process, and none is named: add --vision or leave it out"
        )
    check_engine(engine)
    options = RunOptions(
        url, parse_viewport(viewport), verify, policy, model, engine, device, think, tiles, flash, grammar, headed,
        browser, limits_of(url, allow or [], file or []), vision, local_vision, trust_remote_code, int(bits),
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


app.command("eval")(evaluate_)
for _command in (doctor, models, convert, serve):
    app.command()(_command)
app.command("vision")(vision_)
app.add_typer(bench, name="bench")
app.add_typer(data, name="data")
app.add_typer(train, name="train")


def policy_named(name: str, options: RunOptions) -> Policy:
    """Make the policy that ``--policy`` names; a model's answers that cannot be used are asked for again.

    Raises:
        UsageError: If there is no such policy, its file is wrong, or it is known that it cannot do what is asked.
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
            (f"--vision {options.vision}", options.vision is not None),
            (f"--bits {options.bits}", options.bits != 16),
        ):
            if asked:
                raise UsageError(f"{flag}: --policy {kind} asks no model that could heed it: leave one of them out")
        return policy
    if options.think is not ThinkName.ON_DEMAND:
        return RetryPolicy(policy)
    if not policy.can_think:
        raise UsageError(f"--think {options.think}: {options.model!r} cannot think: leave it out")
    return RetryPolicy(ThinkWhenStuck(policy))


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    args = list(sys.argv[1:] if argv is None else argv)
    end(lambda: app(args, prog_name="foveate", standalone_mode=False), args, people)
