"""Engines by name; each is imported when it is asked for."""

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from foveate.actions.errors import UsageError
from foveate.policies.engines.base import Engine


def _torch(model: str, device: str) -> Engine:
    from foveate.policies.engines.torch import TorchEngine

    return TorchEngine(model, device=device)


def _llamacpp(model: str, device: str) -> Engine:
    from foveate.policies.engines.llamacpp import LlamaCppEngine

    return LlamaCppEngine(model, device=device)


LLAMACPP: Final = "llamacpp"
"""The engine whose models are GGUF files, not checkpoints."""

ENGINES: Mapping[str, Callable[[str, str], Engine]] = MappingProxyType(
    {"auto": _torch, "torch": _torch, LLAMACPP: _llamacpp}
)
"""What makes an engine from a model's name and a device; ``auto`` is the best one for the model."""

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


def engine_named(name: str, model: str, *, device: str = "auto") -> Engine:
    """Make an engine, still closed.

    Args:
        name: One of ENGINES, or ``openai:`` with a server's address.
        model: A bundled model's name, a checkpoint's folder or a hub id; of llama.cpp a GGUF file or its folder; of a
            server the model it serves, where a bundled one's name stands for its only one.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        UsageError: If there is no engine of that name; the message names those there are.
    """
    check_engine(name)
    if name.startswith(SERVER):
        return _server(name.removeprefix(SERVER), model)
    return ENGINES[name](model, device)
