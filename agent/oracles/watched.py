"""A policy that acts while an oracle notes what would have been right: its own mistakes and their corrections."""

from foveate.agent.oracles.program_oracle import ProgramOracle
from foveate.envs.base import Observation, Resource
from foveate.policies.base import Decision, Look, Policy, Turn


class WatchedByOracle(Resource, Policy):
    """Another policy's decisions; the oracle's ``screens`` hold each step with the right one.

    Args:
        policy: What acts.
        oracle: What watches, without mistakes of its own; it raises OracleLost where it finds no step.
    """

    def __init__(self, policy: Policy, oracle: ProgramOracle) -> None:
        self.policy = policy
        self.oracle = oracle
        self.images_kept = policy.images_kept
        self.preferred_viewport = policy.preferred_viewport
        self._opened: list[Policy] = []

    async def _open(self) -> None:
        for each in (self.policy, self.oracle):
            if not each.opened:
                await each.open()
                self._opened.append(each)

    async def _close(self) -> None:
        while self._opened:
            await self._opened.pop().close()

    async def reset(self, task: str, *, seed: int | None = None, action_kinds: frozenset[str] | None = None) -> None:
        """Begin an episode for both."""
        await self.oracle.reset(task, seed=seed, action_kinds=action_kinds)
        await self.policy.reset(task, seed=seed, action_kinds=action_kinds)

    async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
        """Note what is right, then do what the policy decides.

        Raises:
            OracleLost: If the oracle finds no step.
            ParseError: As the policy's.
            OutOfFrame: As the policy's.
            PolicyError: If the policy's model fails.
        """
        await self.oracle.act(observation, history)
        return await self.policy.act(observation, history, look)
