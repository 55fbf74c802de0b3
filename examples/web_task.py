"""Do a task on a web page with InternVL.

    python examples/web_task.py "Add milk to the list" --url examples/pages/todo.html
    python examples/web_task.py "Add milk to the list" --url examples/pages/todo.html \
        --policy scripted:examples/answers/todo.json

The policy sees pixels and answers in words; every answer goes through the parser and the guard before it is done.
``--model`` takes the bundled ``tiny``, a folder, or a hub id such as ``OpenGVLab/InternVL3_5-8B-HF``.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from foveate.actions.errors import FoveateError, UsageError
from foveate.agent import Agent
from foveate.agent.trajectory import Listener, Result
from foveate.envs.base import Observation
from foveate.envs.browser import BrowserEnv
from foveate.policies.base import Policy, Turn
from foveate.policies.internvl import InternVLPolicy
from foveate.policies.retry import RetryPolicy
from foveate.policies.scripted import ScriptedPolicy


class Printer(Listener):
    """Prints every step as it ends."""

    def started(self, task: str) -> None:
        """Say what is to be done."""
        print(f"task: {task}")

    def observed(self, observation: Observation) -> None:
        """Nothing to say of a picture."""

    def turned(self, turn: Turn) -> None:
        """Say what was decided and what came of it."""
        for action, outcome in zip(turn.decision.actions, turn.outcomes, strict=True):
            fate = outcome.error or outcome.reason if outcome.applied is None else ""
            print(f"  {action.kind:13} {outcome.verdict:9} {turn.decision.operation or turn.decision.raw!r} {fate}")
        for note in turn.notes:
            print(f"  note: {note}")

    def ended(self, result: Result) -> None:
        """Nothing to say: the caller has the result."""


def policy_of(name: str, model: str) -> Policy:
    """Make the policy that the flags name; a model is asked again once where its answer cannot be used."""
    kind, _, file = name.partition(":")
    if kind == "scripted" and file:
        return ScriptedPolicy.from_file(file)
    if kind == "internvl":
        return RetryPolicy(InternVLPolicy(model))
    raise UsageError(f"--policy {name}: choose internvl or scripted:FILE")


async def run(args: argparse.Namespace) -> Result:
    """Do the task."""
    async with BrowserEnv(args.url, verify="page", headless=not args.headed) as env:
        policy = policy_of(args.policy, args.model)
        agent = Agent(env, policy, max_steps=args.max_steps, record=args.record, listeners=(Printer(),))
        return await agent.run(args.task)


def main() -> int:
    """Read the command line, do the task, and give the exit code."""
    parser = argparse.ArgumentParser(description="Do a task on a web page.")
    parser.add_argument("task", help="what to do")
    parser.add_argument("--url", required=True, help="an address or a file")
    parser.add_argument("--policy", default="internvl", help="internvl or scripted:FILE")
    parser.add_argument("--model", default="tiny", help="tiny, a folder, or a hub id")
    parser.add_argument("--max-steps", type=int, default=20, help="steps after which the episode ends")
    parser.add_argument("--record", type=Path, help="where to record: a new or empty folder")
    parser.add_argument("--headed", action="store_true", help="show the browser's window")
    try:
        result = asyncio.run(run(parser.parse_args()))
    except FoveateError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2 if isinstance(exc, UsageError) else 3
    print(f"{result.status} after {result.steps} steps ({result.reason}), verified: {result.verified}")
    return 0 if result.status == "success" else 1


if __name__ == "__main__":
    raise SystemExit(main())
