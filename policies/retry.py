"""RetryPolicy: an answer that cannot be used is asked for once more."""

from dataclasses import replace

import numpy as np

from foveate.actions.errors import OutOfFrame, ParseError
from foveate.envs.base import CameraObservation, Observation
from foveate.policies.base import Decision, Look, Policy, Turn, Usage
from foveate.policies.wrapping import PolicyWrapper


class RetryPolicy(PolicyWrapper):
    """Asks its policy again where the answer was no action, and tells it why.

    The question is put again with one more Turn in the history that it passes on: the unusable Decision, with what
    was wrong as its note. The loop's own history is untouched. Usage is summed, and the texts of earlier answers are
    kept in ``Decision.attempts``.

    Args:
        policy: Who is asked; opened and closed with this one unless it is open already.
        attempts: How often it is asked again, 0 or more.
    """

    def __init__(self, policy: Policy, attempts: int = 1) -> None:
        if attempts < 0:
            raise ValueError(f"attempts is 0 or more, not {attempts}")
        super().__init__(policy)
        self.attempts = attempts

    async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
        """Decide, asking again where needed.

        Raises:
            ParseError: If the last answer too is no action that is offered; ``.decision`` holds its text, the summed
                usage and the earlier texts.
            OutOfFrame: If the last answer points outside the frame; ``.decision`` likewise.
            PolicyError: If the model fails.
        """
        self.require_open()
        usage, earlier, left = Usage(), tuple[str, ...](), self.attempts
        while True:
            try:
                decision = await self.policy.act(observation, history, look)
            except (ParseError, OutOfFrame) as error:
                failed = error.decision if isinstance(error.decision, Decision) else Decision()
                usage += failed.usage
                earlier += failed.attempts
                if left < 1:
                    error.decision = replace(failed, usage=usage, attempts=earlier)
                    raise
                left -= 1
                earlier += (failed.raw,)
                history = (*history, self._turn(observation, failed, error))
            else:
                return replace(decision, usage=usage + decision.usage, attempts=earlier + decision.attempts)

    def _turn(self, observation: Observation, failed: Decision, error: ParseError | OutOfFrame) -> Turn:
        seen = observation if self.policy.images_kept > 0 else _without_pixels(observation)
        return Turn(seen, failed, notes=(f"Your answer could not be used: {error}",))


def _without_pixels(observation: Observation) -> Observation:
    """Drop the arrays, as the loop does in Turns."""
    bare = replace(observation, image=np.empty((0, 0, 3), np.uint8), encoded=None)
    return replace(bare, depth_m=None) if isinstance(bare, CameraObservation) else bare
