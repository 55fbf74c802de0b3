"""Constructors do no I/O: whatever is wrong with a world or a model is told when it is opened."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from blockbuster import BlockingError, blockbuster_ctx

from foveate.actions.guard import Guard, Limits
from foveate.agent import Agent
from foveate.agent.recorder import Recorder
from foveate.envs.browser import BrowserEnv
from foveate.envs.fake import FakeEnv
from foveate.policies.engines.names import Wanted, engine_named
from foveate.policies.engines.scripted import ScriptedEngine
from foveate.policies.human import HumanPolicy
from foveate.policies.internvl import InternVLPolicy
from foveate.policies.retry import RetryPolicy
from foveate.policies.scripted import ScriptedPolicy

NOWHERE = Path("/no/such/folder")

MAKERS: dict[str, Callable[[], object]] = {
    "BrowserEnv of an address": lambda: BrowserEnv("https://example.org", browser="/no/such/program"),
    "BrowserEnv of a file": lambda: BrowserEnv("/no/such/page.html?seed=1", limits=Limits(files=("/no/such",))),
    "FakeEnv": FakeEnv,
    "InternVLPolicy of a folder": lambda: InternVLPolicy(NOWHERE),
    "InternVLPolicy of a hub id": lambda: InternVLPolicy("nobody/nothing", device="cuda:7"),
    "tiny": InternVLPolicy,
    "RetryPolicy": lambda: RetryPolicy(InternVLPolicy(NOWHERE)),
    "ScriptedPolicy": lambda: ScriptedPolicy(["no action"]),
    "HumanPolicy": HumanPolicy,
    "ScriptedEngine": lambda: ScriptedEngine(["text"]),
    "TorchEngine": lambda: engine_named("torch", Wanted(str(NOWHERE), device="cpu")),
    "Recorder": lambda: Recorder(NOWHERE),
    "Agent": lambda: Agent(FakeEnv(), ScriptedPolicy([]), guard=Guard(), record=NOWHERE),
}


@pytest.mark.parametrize("name", MAKERS)
async def test_making_it_reads_nothing_writes_nothing_and_starts_nothing(name: str) -> None:
    MAKERS[name]()  # once before, so that what is imported then is not taken for its own reading
    threads, tasks = set(threading.enumerate()), asyncio.all_tasks()
    with blockbuster_ctx():
        made = MAKERS[name]()
    assert set(threading.enumerate()) <= threads
    assert asyncio.all_tasks() == tasks
    assert not getattr(made, "opened", False)


@pytest.mark.parametrize("read", [Path.stat, Path.read_text], ids=["stat", "read"])
async def test_reading_is_noticed_here(read: Callable[[Path], object]) -> None:
    with blockbuster_ctx(), pytest.raises(BlockingError):
        read(Path("/etc/hostname"))
