"""The loop and what people touch: Agent, recorder, report, benchmarks, command line."""

from foveate.agent.agent import Agent
from foveate.agent.trajectory import Listener, Result, Trajectory

__all__ = ["Agent", "Listener", "Result", "Trajectory"]
