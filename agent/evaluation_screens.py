"""One question about one picture: a click that hits or misses, a word that is right or wrong."""

import random
import time
from typing import Any

from foveate.actions.errors import OutOfFrame, ParseError
from foveate.actions.schema import Action, Click, Respond
from foveate.agent.evaluation_asking import Asked
from foveate.agent.evaluation_figures import inside
from foveate.envs.base import Observation
from foveate.envs.browser import BrowserEnv
from foveate.policies.base import Decision, Policy

_SAID_CHARS = 160
"""Of a wrong answer so much of its end is kept."""


def target_of(asked: Asked) -> list[float]:
    """Give the visible box of what the question is about: left, top, right, bottom, fractions of the picture."""
    if asked.question.element is None:
        raise ValueError(f"{asked.question.task!r} is about no element")
    return [round(value, 4) for value in asked.screen.elements[asked.question.element].box]


async def ask_for_click(policy: Policy, asked: Asked, observation: Observation, key: str) -> dict[str, Any]:
    """Ask for a click; give as JSON data what was meant, what was hit, and what the blind baselines hit.

    Args:
        policy: Who is asked; open.
        asked: The page and its question.
        observation: The page as the environment shows it.
        key: Draws the random point and the random element.

    Raises:
        PolicyError: If the model fails.
    """
    action, spent, said = await _ask(policy, asked.question.task, observation)
    at = action.at if isinstance(action, Click) else None
    target = target_of(asked)
    right = at is not None and inside(at.x, at.y, target)
    rng = random.Random(f"baselines of {key}")  # noqa: S311 - drawing, not secrets
    elements = asked.screen.elements
    found: dict[str, Any] = {
        "task": asked.question.task,
        "role": elements[asked.question.element or 0].role,
        "target": target,
        "point": None if at is None else [round(at.x, 4), round(at.y, 4)],
        "right": right,
        "random_point": inside(rng.random(), rng.random(), target),
        "random_element_oracle": inside(*rng.choice(elements).aim, target),
    }
    return found | ({} if right else {"said": said}) | {"ms": spent}


async def ask_for_answer(policy: Policy, asked: Asked, observation: Observation) -> dict[str, Any]:
    """Ask for an answer; it is right where it is exactly the word that stands there.

    Raises:
        PolicyError: If the model fails.
    """
    action, spent, said = await _ask(policy, asked.question.task, observation)
    given = action.answer if isinstance(action, Respond) else None
    right = given == asked.text
    found: dict[str, Any] = {"task": asked.question.task, "wanted": asked.text, "given": given, "right": right}
    return found | ({} if right else {"said": said}) | {"ms": spent}


async def _ask(
    policy: Policy, task: str, observation: Observation
) -> tuple[Action | None, dict[str, list[float]], str]:
    """Ask; give the first action (None of an answer that cannot be used), milliseconds of each phase, and the text."""
    await policy.reset(task, action_kinds=BrowserEnv.action_kinds)
    begun_s = time.perf_counter()
    try:
        decision = await policy.act(observation, ())
    except (ParseError, OutOfFrame) as exc:
        decision = exc.decision if isinstance(exc.decision, Decision) else Decision()
    timing = dict(decision.usage.timing_ms) | {"total": (time.perf_counter() - begun_s) * 1e3}
    spent = {phase: [round(value, 1)] for phase, value in timing.items()}
    return decision.actions[0] if decision.actions else None, spent, decision.raw[-_SAID_CHARS:]
