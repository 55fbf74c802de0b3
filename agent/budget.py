"""What ends an episode that does not end by itself, and who can be asked meanwhile."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from foveate.actions.errors import UsageError
from foveate.actions.guard import Verdict
from foveate.actions.schema import Action
from foveate.envs.base import Observation

Confirm: TypeAlias = Callable[[Action, Verdict, Observation], Awaitable[bool]]
"""Asks a person about a confirm-level action; true is consent."""

Ask: TypeAlias = Callable[[str, Observation], Awaitable[str | None]]
"""Puts a model's question to a person; None is no answer."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What ends an episode that does not end by itself.

    Attributes:
        max_steps: Steps (calls of ``Policy.act``).
        timeout_s: Seconds since the reset; None is no limit.
        max_tokens: Prompt and output tokens of all steps; None is no limit.
        max_failures: Steps in a row in which nothing could be applied.
        max_repeats: How often the same actions may be decided on the same picture.
        confirm_timeout_s: Seconds that a person has to answer.
    """

    max_steps: int = 50
    timeout_s: float | None = None
    max_tokens: int | None = None
    max_failures: int = 10
    max_repeats: int = 5
    confirm_timeout_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("max_steps", "timeout_s", "max_tokens", "max_failures", "max_repeats", "confirm_timeout_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} = {value!r}: give a number above 0")
            if value is not None and not name.endswith("_s") and value != int(value):
                raise UsageError(f"{name} = {value!r}: give a whole number")


@dataclass(frozen=True, slots=True)
class People:
    """Who can be asked.

    Attributes:
        confirm: Asked about confirm-level actions; without it they are refused.
        ask: Asked what ``call_user`` asks; without it the model is told that nobody is there.
    """

    confirm: Confirm | None = None
    ask: Ask | None = None

    def __post_init__(self) -> None:
        for name, callback in (("confirm", self.confirm), ("ask", self.ask)):
            if callback is not None and not callable(callback):
                raise UsageError(
                    f"{name} = {callback!r:.80}: give an async function, or None where nobody can be asked"
                )
