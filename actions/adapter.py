"""The seam between a typed action and the device that carries it out."""

from typing import Protocol

from foveate.actions.geometry import Frame
from foveate.actions.schema import Action


class Adapter(Protocol):
    """Carries out actions in one world; unguarded, so only an Env calls it."""

    async def apply(self, action: Action, frame: Frame) -> Action:
        """Do one action.

        Args:
            action: Its points are of ``frame``.
            frame: The Env's own last Frame.

        Returns:
            The action really applied: rounded to input units, limited to what the device allows.

        Raises:
            UnsupportedAction: If this world cannot do that kind of action, or not here and now.
        """
