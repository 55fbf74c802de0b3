"""The guard: a pure, synchronous ruling on every action before it is done. The loop alone calls it."""

from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal, Protocol, TypeAlias

from foveate.actions.geometry import Frame
from foveate.actions.limits import Limits, Secret
from foveate.actions.schema import LOOP_KINDS, Action, Navigate, Upload

__all__ = ["Ask", "Guard", "Limits", "Ruling", "Scene", "Secret", "Target", "Verdict"]

Ruling: TypeAlias = Literal["allow", "confirm", "refuse"]
Ask: TypeAlias = Literal["never", "risky", "always"]


class Scene(Protocol):
    """What the guard knows of the observation that an action was decided on."""

    @property
    def frame(self) -> Frame:
        """The frame that the action's points refer to."""

    @property
    def url(self) -> str | None:
        """The page's address, where there is one."""

    @property
    def title(self) -> str | None:
        """The page's or window's title, where there is one."""

    @property
    def window(self) -> str | None:
        """The title of the window that has the focus, where there is one."""

    @property
    def pose(self) -> tuple[float, ...] | None:
        """The body's position and orientation, where there is one."""


@dataclass(frozen=True, slots=True)
class Target:
    """What lies under an action's point or has the focus, from one hit test; never shown to a policy.

    Attributes:
        role: Its role (``button``, ``textbox``, ...), or the element's name where it has no role.
        name: Its accessible name or text, cut to 200 characters.
        input_type: The type of an input field (``password``, ``file``, ...).
        form_address: Where its form sends to.
        origin: Origin of the frame that it belongs to, ``https://example.org``.
        application: The application that owns it.
        window: The title of the window that it is in.
    """

    role: str | None = None
    name: str | None = None
    input_type: str | None = None
    form_address: str | None = None
    origin: str | None = None
    application: str | None = None
    window: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A ruling with the rule that made it.

    Attributes:
        ruling: ``allow``, ``confirm`` (a person decides) or ``refuse``.
        rule: Short name of the rule, ``address``, ``kind:upload``, ...; ``default`` where none applied.
        reason: A sentence for a person, or empty.
    """

    ruling: Ruling
    rule: str = "default"
    reason: str = ""


_ALLOWED = Verdict("allow")
_CONFIRM_KINDS = frozenset({"upload", "open_app"})
_UNASKED_KINDS = LOOP_KINDS | {"wait", "stop"}


class Guard:
    """Rules on actions by their kind and address.

    Args:
        limits: What may be reached; with ``allow=None`` the Agent fills in the environment's list.
        ask: ``risky`` asks a person about confirm-level actions, ``always`` about every action on the world,
            ``never`` does confirm-level actions with a warning. Refused actions stay refused.
    """

    def __init__(self, limits: Limits | None = None, ask: Ask = "risky") -> None:
        if ask not in ("never", "risky", "always"):
            raise ValueError(f"ask is never, risky or always, not {ask!r}")
        self.limits = limits if limits is not None else Limits()
        self.ask: Ask = ask
        self._off = False

    @classmethod
    def off(cls) -> "Guard":
        """Make a guard that allows everything."""
        guard = cls(Limits(allow=("*",)))
        guard._off = True
        return guard

    def with_limits(self, limits: Limits) -> "Guard":
        """Make the same guard with other limits; a guard that is off stays off."""
        guard = Guard(limits, self.ask)
        guard._off = self._off
        return guard

    def check(self, action: Action, scene: Scene, task: str, target: Target | None) -> Verdict:
        """Rule on one action; pure, without waiting or I/O.

        Args:
            action: Its points are of ``scene.frame``.
            scene: The observation that it was decided on.
            task: The episode's instruction.
            target: What ``Env.inspect`` found for it.
        """
        if self._off:
            return _ALLOWED
        verdict = self._rule(action)
        if verdict.ruling == "confirm" and self.ask == "never":
            return Verdict("allow", verdict.rule, f"{verdict.reason} (done without asking)")
        if verdict.ruling == "allow" and self.ask == "always" and action.kind not in _UNASKED_KINDS:
            return Verdict("confirm", "always", f"{action.kind}: every action is asked about")
        return verdict

    def _rule(self, action: Action) -> Verdict:
        if isinstance(action, Navigate):
            refusal = self.limits.refusal(action.url)
            if refusal is not None:
                return Verdict("refuse", "address", refusal)
        if isinstance(action, Upload):
            named = {PurePath(path).name for path in self.limits.files}
            for path in action.paths:
                if path not in named:
                    return Verdict("refuse", "file", f"{path!r} is no file that the user named: --file PATH")
        if action.kind in _CONFIRM_KINDS:
            return Verdict("confirm", f"kind:{action.kind}", f"{action.kind} needs a person's consent")
        return _ALLOWED
