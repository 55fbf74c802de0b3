"""Engines by name; each is imported when it is asked for."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from foveate.actions.errors import UsageError
from foveate.policies.engines.base import Engine


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an engine is made for.

    Attributes:
        model: A bundled model's name, a checkpoint's folder or a hub id; of llama.cpp a GGUF file or its folder; of a
            server the model it serves, where a bundled one's name stands for its only one.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``cuda:all``.
        flash: Whether a router is to be on, for engines that decide it when they load; None is as the checkpoint says.
        trust_remote_code: Whether code that comes with a checkpoint may be run, by engines that cannot do without.
        vision: Where a vision process is, ``tcp://HOST:PORT``; for the torch engine.
        local_vision: Encode pictures here where it cannot be had.
        bits: Of a number of the language model's matrices, 16, 8 or 4; for the torch engine.
    """

    model: str
    device: str = "auto"
    flash: bool | None = None
    trust_remote_code: bool = False
    vision: str | None = None
    local_vision: bool = False
    bits: int = 16


def _torch(wanted: Wanted) -> Engine:
    from foveate.policies.engines.torch import TorchEngine

    return TorchEngine(
        wanted.model, device=wanted.device, vision=wanted.vision, local_vision=wanted.local_vision, bits=wanted.bits
    )


def _lmdeploy(wanted: Wanted) -> Engine:
    from foveate.policies.engines.lmdeploy import LMDeployEngine

    return LMDeployEngine(
        wanted.model, device=wanted.device, flash=wanted.flash, trust_remote_code=wanted.trust_remote_code
    )


def _llamacpp(wanted: Wanted) -> Engine:
    from foveate.policies.engines.llamacpp import LlamaCppEngine

    return LlamaCppEngine(wanted.model, device=wanted.device)


LMDEPLOY: Final = "lmdeploy"
"""The engine that finds, and downloads, a checkpoint's weights by itself."""

LLAMACPP: Final = "llamacpp"
"""The engine whose models are GGUF files, not checkpoints."""

ENGINES: Mapping[str, Callable[[Wanted], Engine]] = MappingProxyType(
    {"auto": _torch, "torch": _torch, LMDEPLOY: _lmdeploy, LLAMACPP: _llamacpp}
)
"""What makes an engine; ``auto`` is the torch engine."""

SERVER: Final = "openai:"
"""How the name of an engine begins that is a server; its address follows."""

KEY: Final = "FOVEATE_API_KEY"
"""The environment variable that holds a server's key."""


def check_engine(name: str) -> None:
    """Check that there is an engine of a name.

    Raises:
        UsageError: If there is none; the message names those there are.
    """
    if name in ENGINES or name.startswith((f"{SERVER}http://", f"{SERVER}https://")):
        return
    if name.startswith(SERVER.rstrip(":")):
        raise UsageError(f"the engine {name!r} needs its server's address: openai:http://HOST:PORT")
    raise UsageError(f"no engine {name!r}: choose one of {', '.join(ENGINES)}, openai:http://HOST:PORT")


def _server(url: str, model: str) -> Engine:
    from foveate.policies.engines.openai import OpenAIEngine
    from foveate.policies.internvl.checkpoint import BUNDLED

    return OpenAIEngine(url, model=None if model in BUNDLED else model, key=os.environ.get(KEY))


def engine_named(name: str, wanted: Wanted) -> Engine:
    """Make an engine, still closed.

    Args:
        name: One of ENGINES, or ``openai:`` with a server's address.
        wanted: What it is made for.

    Raises:
        UsageError: If there is no engine of that name; the message names those there are. If another engine than torch
            is to have a vision process, or fewer bits, or llama.cpp a GPU.
    """
    check_engine(name)
    if name == LLAMACPP and wanted.device not in ("auto", "cpu"):
        raise UsageError(
            f"--device {wanted.device}: the engine {name} runs on the CPU: leave it out, or take --engine torch"
        )
    if name.startswith(SERVER) and wanted.vision is not None:
        raise UsageError(
            f"--vision {wanted.vision}: the engine {name} is sent pixels: take --engine torch. Python programs alone "
            "can hand a server what a vision process encoded (VisionClient.encode, then OpenAIEngine): vLLM, started "
            "with --enable-mm-embeds; every tile goes whole, Flash's compressed ones are not sent that way"
        )
    for flag, asked, instead in (
        (f"--vision {wanted.vision}", wanted.vision is not None, "sees for itself"),
        (f"--bits {wanted.bits}", wanted.bits != 16, "takes numbers as its files have them"),
    ):
        if asked and name not in ("auto", "torch"):
            raise UsageError(f"{flag}: the engine {name} {instead}: take --engine torch")
    if name.startswith(SERVER):
        return _server(name.removeprefix(SERVER), wanted.model)
    return ENGINES[name](wanted)
