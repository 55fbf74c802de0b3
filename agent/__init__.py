"""The loop and what people touch: Agent, recorder, report, benchmarks, command line."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from foveate.agent.agent import Agent
    from foveate.agent.trajectory import Listener, Result, Trajectory

__all__ = ["Agent", "Listener", "Result", "Trajectory"]

_HOMES = {
    "Agent": "foveate.agent.agent",
    "Listener": "foveate.agent.trajectory",
    "Result": "foveate.agent.trajectory",
    "Trajectory": "foveate.agent.trajectory",
}


def __getattr__(name: str) -> object:
    """Import what is asked for, so that the command line can answer an interruption while the rest is imported."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
