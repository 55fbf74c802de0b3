"""The command ``foveate vision``: a model's vision half as a process of its own."""

import asyncio
import signal
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from foveate.actions.errors import MissingDependency
from foveate.agent.ending import SUCCESS, Ending, announce
from foveate.agent.interrupts import ended_by
from foveate.agent.options import DeviceOption, place_of, say
from foveate.policies.engines.dvd_wire import check_address, is_loopback
from foveate.policies.internvl.checkpoint import find


class DtypeName(StrEnum):
    """What ``--dtype`` takes."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


def vision_(
    model: Annotated[
        str, typer.Argument(metavar="tiny|DIR|HUB_ID", help="The model: the bundled one, a folder, a hub id.")
    ],
    bind: Annotated[
        str, typer.Option(metavar="tcp://HOST:PORT", help="Where to listen; beyond this machine only if told so.")
    ] = "tcp://127.0.0.1:5733",
    device: DeviceOption = None,
    dtype: Annotated[
        DtypeName, typer.Option(help="Numbers to compute with; auto is float32 on a CPU, bfloat16 on a GPU.")
    ] = DtypeName.AUTO,
    queue: Annotated[int, typer.Option(min=1, max=1024, help="Pictures that may wait; more are refused.")] = 8,
) -> NoReturn:
    """Encode pictures for other processes, without the language model; prints its address and runs until a signal."""
    check_address(bind)  # before torch takes its seconds
    place = find(model)  # outside the loop, so that Ctrl-C ends a download
    with suppress(asyncio.CancelledError):
        asyncio.run(_serving(place, bind, place_of(device), dtype.value, queue))
    raise KeyboardInterrupt  # as all that is stopped by a signal


async def _serving(model: Path, bind: str, device: str, dtype: str, queue: int) -> None:
    try:
        from foveate.policies.engines.dvd_server import VisionServer
    except ImportError as exc:
        raise MissingDependency("foveate vision", f"pip install 'foveate[torch,dvd]' ({exc})") from exc

    with ended_by(signal.SIGINT, signal.SIGTERM):
        async with VisionServer(model, bind=bind, device=device, dtype=dtype, queue=queue) as server:
            if not is_loopback(server.address):
                say(
                    f"warning: whoever reaches {server.address} is served, and nothing is encrypted: let only a tunnel "
                    "(ssh -L, WireGuard) reach it"
                )
            announce(Ending(SUCCESS, text=server.address))
            await server.serve()
