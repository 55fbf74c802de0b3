"""Engines by name; each is imported when it is asked for."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from foveate.actions.errors import UsageError
from foveate.policies.engines.base import Engine


def _torch(model: str, device: str) -> Engine:
    from foveate.policies.engines.torch import TorchEngine

    return TorchEngine(model, device=device)


ENGINES: Mapping[str, Callable[[str, str], Engine]] = MappingProxyType({"auto": _torch, "torch": _torch})
"""What makes an engine from a model's name and a device; ``auto`` is the best one for the model."""


def engine_named(name: str, model: str, *, device: str = "auto") -> Engine:
    """Make an engine, still closed.

    Args:
        name: One of ENGINES.
        model: A bundled model's name, a checkpoint's folder or a hub id.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        UsageError: If there is no engine of that name; the message names those there are.
    """
    if name not in ENGINES:
        raise UsageError(f"no engine {name!r}: choose one of {', '.join(ENGINES)}")
    return ENGINES[name](model, device)
