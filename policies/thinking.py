"""ThinkWhenStuck: a model that answers at once until something goes wrong, and thinks then.

Test-time thinking pays for reasoning, not for perception (arXiv 2508.18265), and costs seconds a step: most steps on a
screen are perception.
"""

from dataclasses import replace

from foveate.actions.errors import UsageError
from foveate.actions.schema import LOOP_KINDS
from foveate.envs.base import Observation
from foveate.policies.base import Decision, Look, Policy, Turn
from foveate.policies.wrapping import PolicyWrapper

_WAITED = LOOP_KINDS | {"wait"}


class ThinkWhenStuck(PolicyWrapper):
    """Lets its policy think where the last steps say that it is stuck, as ``why_stuck`` tells.

    A Look that says itself whether to think is passed on as it is.

    Args:
        policy: Who is asked; opened and closed with this one unless it is open already.

    Raises:
        UsageError: When it is opened, if its policy cannot think.
    """

    async def _open(self) -> None:
        await super()._open()
        if not self.can_think:
            await self._close()
            raise UsageError(f"{_name(self.policy)} cannot think: leave thinking on demand off (--think never)")

    async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
        """Decide, with a thought first where the last steps call for one.

        Raises:
            ParseError: As its policy's.
            OutOfFrame: As its policy's.
            PolicyError: If the model fails.
        """
        self.require_open()
        if why_stuck(history) is not None and (look is None or look.thinking is None):
            look = replace(look or Look(), thinking=True)
        return await self.policy.act(observation, history, look)


def why_stuck(history: tuple[Turn, ...]) -> str | None:
    """Say why a policy seems to be stuck; None where it does not.

    Args:
        history: The Turns so far, oldest first.

    Returns:
        ``failure`` where nothing of the last step could be done, ``no change`` where it changed nothing in the picture,
        ``loop`` where the same was decided three times running, or two things by turns twice.
    """
    if not history:
        return None
    last = history[-1]
    if not last.applied or any(outcome.error is not None for outcome in last.outcomes):
        return "failure"
    done = [outcome.applied.kind for outcome in last.outcomes if outcome.applied is not None]
    if last.changed == 0.0 and not set(done) <= _WAITED:
        return "no change"
    decided = [turn.decision.actions for turn in history[-4:]]
    thrice = len(decided) >= 3 and decided[-1] == decided[-2] == decided[-3]
    by_turns = len(decided) == 4 and decided[0] == decided[2] and decided[1] == decided[3]
    return "loop" if (thrice or by_turns) and not set(done) <= _WAITED else None


def _name(policy: Policy) -> str:
    while isinstance(policy, PolicyWrapper):
        policy = policy.policy
    return str(getattr(policy, "model", type(policy).__name__))
