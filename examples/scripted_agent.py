"""Script an agent through the Python API: a policy of your own in the loop, without a model.

    python examples/scripted_agent.py milk "oat flakes"

A policy is a class with ``act``: it is given what is seen and says what to do. This one writes items into the todo
list. It looks at nothing but pixels: it finds the button by its colour, and the field is what lies to its left.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from foveate.actions.geometry import Convention, Point
from foveate.actions.schema import Click, Terminate, TypeText
from foveate.agent import Agent
from foveate.envs.base import Observation, Resource, Viewport
from foveate.envs.browser import BrowserEnv
from foveate.policies.base import Decision, Look, Policy, Turn

PAGE = Path(__file__).resolve().parent / "pages" / "todo.html"
GREEN = (47, 111, 94)
"""The button's colour, red, green and blue."""


class AddItems(Resource, Policy):
    """Adds items to the list, one in each step.

    Args:
        items: What to add, in order.
    """

    preferred_viewport = Viewport(640, 480)

    def __init__(self, items: Sequence[str]) -> None:
        self.items = tuple(items)

    async def reset(self, task: str, *, seed: int | None = None, action_kinds: frozenset[str] | None = None) -> None:
        """Begin an episode; nothing to keep, for the number of steps so far says what comes next."""

    async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
        """Add the next item, or say that all are there."""
        if len(history) == len(self.items):
            return Decision(actions=(Terminate(status="success"),))
        item = self.items[len(history)]
        button = self._button(observation)
        field = Point(button.x - 0.4, button.y)
        return Decision(actions=(Click(at=field), TypeText(text=item), Click(at=button)), operation=f"Add {item}.")

    @staticmethod
    def _button(observation: Observation) -> Point:
        """Find the middle of the green pixels, at any brightness: the button is lighter under the pointer."""
        brightness = observation.image.sum(axis=2, dtype=np.float32, keepdims=True) + 1.0
        hue = observation.image / brightness - np.array(GREEN) / sum(GREEN)
        rows, columns = np.nonzero((np.abs(hue).max(axis=2) < 0.01) & (brightness[..., 0] > 200.0))
        if not len(rows):
            raise LookupError("nothing on the screen has the button's colour")
        return Convention.PIXEL.point(float(np.median(columns)), float(np.median(rows)), observation.frame)


def main() -> int:
    """Add the items of the command line to the list."""
    parser = argparse.ArgumentParser(description="Add items to the sample todo list.")
    parser.add_argument("items", nargs="*", default=["milk"], help="what to add (milk)")
    items = parser.parse_args().items
    agent = Agent(BrowserEnv(str(PAGE), verify="page"), AddItems(items))
    result = agent.run_sync("Add milk to the list")
    for turn in result.trajectory.turns:
        print(turn.decision.operation or "Finished.", [outcome.verdict for outcome in turn.outcomes])
    print(f"{result.status}, verified by the page: {result.verified}")
    return 0 if result.status == "success" else 1


if __name__ == "__main__":
    raise SystemExit(main())
