"""``foveate serve``: the right server for a model, as a child that is watched and stopped with this process."""

import shlex
import shutil
import subprocess
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, cast

import typer

from foveate.actions.errors import MissingDependency, ModelUnavailable
from foveate.agent.ending import SUCCESS, Ending, announce
from foveate.agent.options import FLASH, FlashName, JsonOption, TrustOption, say
from foveate.agent.serving_process import Interruptions, ServerProcess, free_port, near
from foveate.policies.engines.hosts import on_this_machine
from foveate.policies.engines.servable import most_cards, refuse_untrusted, servable
from foveate.policies.engines.serving import (
    SERVERS,
    Order,
    ServerName,
    check_order,
    choose,
    command_of,
    program,
    unheeded,
)

_GRACE_S: Final = 15.0
_GPUS_S: Final = 20.0


class ServingName(StrEnum):
    """What ``--engine`` takes here."""

    AUTO = "auto"
    LMDEPLOY = "lmdeploy"
    VLLM = "vllm"
    SGLANG = "sglang"
    LLAMACPP = "llamacpp"


def serve(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A hub id, a checkpoint's folder, or GGUF.")],
    engine: Annotated[
        ServingName, typer.Option(help="The server; auto is the best for the model that is installed.")
    ] = ServingName.AUTO,
    host: Annotated[
        str, typer.Option(help="Where it listens; beyond this machine (0.0.0.0) only where you say so.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Its port; 0 is a free one.")] = 0,
    tp: Annotated[
        int | None, typer.Option(min=1, help="GPUs to spread the model over; by default what its makers take.")
    ] = None,
    max_tiles: Annotated[int, typer.Option(min=1, max=40, help="Most tiles a picture.")] = 12,
    context: Annotated[
        int | None, typer.Option(min=256, help="Most tokens of a prompt and its answer; by default what tiles take.")
    ] = None,
    flash: Annotated[
        FlashName, typer.Option(help="Whether the model's router is on; auto is as the checkpoint says.")
    ] = FlashName.AUTO,
    trust_remote_code: TrustOption = False,
    timeout_s: Annotated[float, typer.Option(min=0.1, help="Seconds in which it must be ready.")] = 1800.0,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where its log goes; standard error by default.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the command that would be run, and end.")] = False,
    json_: JsonOption = False,
) -> Ending:
    """Start a server for a model, print its address when it is ready, and stop it with Ctrl-C."""
    subject = servable(model)
    order = Order(subject, host, port, tp, max_tiles, context, FLASH[flash])
    name = choose(order, None if engine is ServingName.AUTO else cast(ServerName, engine.value))
    refuse_untrusted(subject, SERVERS[name].title, trusted=trust_remote_code, how="--trust-remote-code")
    check_order(name, order)
    if line := unheeded(name, order):
        say(line)
    found = program(name)
    if dry_run:
        command = command_of(name, order, program=found or [SERVERS[name].program])
        return Ending(SUCCESS, {"status": "success", "engine": name, "command": command}, shlex.join(command))
    if found is None:
        raise MissingDependency(f"foveate serve with {SERVERS[name].title}", SERVERS[name].remedy)
    if name != "llamacpp":
        _check_gpus(SERVERS[name].title, order)
    order = replace(order, port=free_port(host, port))
    if not on_this_machine(host):
        say(f"{host} is reached from other machines, and whoever reaches it may use the model: it asks for no key")
    return _served(name, order, command_of(name, order, program=found), timeout_s, log)


def _served(name: ServerName, order: Order, command: list[str], timeout_s: float, log: Path | None) -> Ending:
    """Start a server and stay with it."""
    server, interruptions = ServerProcess(SERVERS[name].title, command, log), Interruptions()
    with interruptions.caught():
        try:
            server.start()
            say(f"Starting {server.title} for {order.subject.model}; Ctrl-C stops it.")
            if server.wait_until_well(order.host, order.port, timeout_s, interruptions):
                url = _url(order)
                said: dict[str, Any] = {"status": "success", "url": url, "engine": name, "pid": server.pid}
                announce(Ending(SUCCESS, said, url))
                server.wait(interruptions)
        finally:
            server.stop(_GRACE_S, interruptions)
    raise KeyboardInterrupt


def _url(order: Order) -> str:
    host = near(order.host)
    return f"http://[{host}]:{order.port}" if ":" in host else f"http://{host}:{order.port}"


def _check_gpus(title: str, order: Order) -> None:
    """Check that this machine has the GPUs that a server needs.

    Raises:
        ModelUnavailable: If it has fewer.
    """
    count = _gpus()
    if not count:
        raise ModelUnavailable(
            f"{title} needs an NVIDIA GPU, and nvidia-smi lists none here: serve the model on a machine with one, or a "
            "small checkpoint as GGUF (foveate convert MODEL --to gguf --out DIR)"
        )
    if count < order.cards:
        raise ModelUnavailable(
            f"{order.subject.model} is served on {order.cards} GPUs, and there are {count}: say --tp "
            f"{most_cards(count)} if each is large enough for its part, or take a smaller model"
        )


def _gpus() -> int:
    """Count NVIDIA's GPUs."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0
    try:
        listed = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=_GPUS_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
