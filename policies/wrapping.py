"""What every policy that wraps a policy shares: it opens, closes and resets with the one inside."""

from foveate.envs.base import Resource
from foveate.policies.base import Policy


class PolicyWrapper(Resource, Policy):
    """Passes a policy's lifetime, viewport and appetite for pictures on; what remains is to decide.

    Args:
        policy: Who is asked; opened and closed with this one unless it is open already.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._owns = False
        self._mirror()

    def _mirror(self) -> None:
        self.images_kept = self.policy.images_kept
        self.preferred_viewport = self.policy.preferred_viewport
        self.can_think = self.policy.can_think

    async def _open(self) -> None:
        self._owns = not self.policy.opened
        if self._owns:
            await self.policy.open()
        self._mirror()  # a policy may learn from the checkpoint that it opens

    async def _close(self) -> None:
        if self._owns:
            await self.policy.close()

    async def reset(self, task: str, *, seed: int | None = None, action_kinds: frozenset[str] | None = None) -> None:
        """Begin an episode; see ``Policy.reset``."""
        self.require_open()
        await self.policy.reset(task, seed=seed, action_kinds=action_kinds)
