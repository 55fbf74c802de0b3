"""The command ``foveate vision``: a model's vision half as a process of its own."""

import asyncio
import signal
import sys
from enum import StrEnum
from typing import Annotated, NoReturn

import typer

from foveate.actions.errors import MissingDependency
from foveate.agent.options import DeviceOption, place_of, say
from foveate.policies.engines.dvd_wire import check_address, is_loopback

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
    asyncio.run(_serving(model, bind, place_of(device), dtype.value, queue))
    raise KeyboardInterrupt  # as all that is stopped by a signal


async def _serving(model: str, bind: str, device: str, dtype: str, queue: int) -> None:
    check_address(bind)  # before torch takes its seconds
    try:
        from foveate.policies.engines.dvd_server import VisionServer
    except ImportError as exc:
        raise MissingDependency("foveate vision", f"pip install 'foveate[torch,dvd]' ({exc})") from exc

    loop, current = asyncio.get_running_loop(), asyncio.current_task()
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        if current is not None:
            current.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        async with VisionServer(model, bind=bind, device=device, dtype=dtype, queue=queue) as server:
            if not is_loopback(server.address):
                say(
                    f"warning: whoever reaches {server.address} is served, and nothing is encrypted: let only a tunnel "
                    "(ssh -L, WireGuard) reach it"
                )
            sys.stdout.write(f"{server.address}\n")
            sys.stdout.flush()
            await server.serve()
    except asyncio.CancelledError:
        if not stopped:
            raise
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
