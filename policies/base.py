"""What every policy shares: Policy, Decision, Turn, Look."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, TypeAlias

from foveate.actions.guard import Target
from foveate.actions.schema import Action
from foveate.envs.base import Observation, Viewport

VerdictName: TypeAlias = Literal["allow", "confirmed", "declined", "refused", "skipped"]
"""What became of an action: done, done after consent, consent denied, refused by the guard, never reached."""

Written: TypeAlias = tuple[float, ...] | tuple[tuple[float, ...], ...] | None
"""A place's numbers as the model wrote them: of a point or box, of a path, or None."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn.

    Attributes:
        temperature: 0 is greedy.
        top_p: Least probability mass that is kept, 0 to 1.
        seed: Makes drawing repeatable.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What may vary from step to step; None keeps the policy's own default.

    Attributes:
        max_tiles: Greatest number of tiles, the thumbnail not counted.
        visual_tokens: Budget of visual tokens a request, for engines that can compress.
        thinking: Think before answering.
        sampling: How tokens are drawn.
    """

    max_tiles: int | None = None
    visual_tokens: int | None = None
    thinking: bool | None = None
    sampling: Sampling | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a decision cost.

    Attributes:
        prompt: Prompt tokens, the visual ones included.
        visual: Visual tokens.
        cached: Prompt tokens that were not computed again.
        output: Generated tokens.
        timing_ms: Milliseconds of ``tile``, ``encode``, ``prefill``, ``decode``, ``parse``.
        forced: Generated tokens that a grammar left no choice about, and that were not decoded one by one.
        saved: Visual tokens that a router left out of the prompt.
    """

    COUNTS: ClassVar[tuple[str, ...]] = ("prompt", "visual", "saved", "cached", "output", "forced")

    prompt: int = 0
    visual: int = 0
    cached: int = 0
    output: int = 0
    timing_ms: Mapping[str, float] = field(default_factory=dict)
    forced: int = 0
    saved: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        names = (*self.timing_ms, *(name for name in other.timing_ms if name not in self.timing_ms))
        return Usage(
            self.prompt + other.prompt,
            self.visual + other.visual,
            self.cached + other.cached,
            self.output + other.output,
            {name: self.timing_ms.get(name, 0.0) + other.timing_ms.get(name, 0.0) for name in names},
            self.forced + other.forced,
            self.saved + other.saved,
        )


@dataclass(frozen=True, slots=True)
class Completion:
    """Token ids of a prompt and its answer, for training.

    Attributes:
        prompt_ids: Ids of the prompt, visual placeholders expanded.
        output_ids: Ids of the answer.
        logprobs: Natural log-probability of each answer token, or None.
    """

    prompt_ids: tuple[int, ...]
    output_ids: tuple[int, ...]
    logprobs: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy decided on one observation.

    Attributes:
        actions: Done in order; points are of the Frame of the observation given to ``act``.
        thought: The model's reasoning, for people.
        operation: A sentence for the history.
        raw: The model's whole text.
        usage: What it cost.
        attempts: Raw texts of answers that were not taken: asked again, for they could not be used, or outvoted.
        written: One a action: the numbers of its place as the model wrote them; empty where no text was parsed.
        completion: Token ids, where the engine gives them.
    """

    actions: tuple[Action, ...] = ()
    thought: str = ""
    operation: str = ""
    raw: str = ""
    usage: Usage = field(default_factory=Usage)
    attempts: tuple[str, ...] = ()
    written: tuple[Written, ...] = ()
    completion: Completion | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one action of a Decision.

    Attributes:
        verdict: Done or why not.
        rule: The guard's rule.
        reason: The guard's reason, or why it was skipped.
        applied: The action really applied, or None.
        error: ``ClassName: message`` where it could not be done.
        target: What lay under it; for the record, never for a policy's prompt.
    """

    verdict: VerdictName
    rule: str = "default"
    reason: str = ""
    applied: Action | None = None
    error: str | None = None
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One step of the loop as a policy may see it later.

    Attributes:
        observation: What was acted on; without pixels in all but the last ``images_kept`` turns.
        decision: What was decided.
        outcomes: One an action of the decision.
        changed: Fraction of pixels that the step changed, 0 to 1; None where nothing was done.
        notes: What the runtime says to the policy.
    """

    observation: Observation
    decision: Decision
    outcomes: tuple[Outcome, ...] = ()
    changed: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def applied(self) -> bool:
        """True where at least one action was applied."""
        return any(outcome.applied is not None for outcome in self.outcomes)


class Policy(Protocol):
    """Decides what to do. Subclass it with ``envs.base.Resource`` for its lifetime.

    Attributes:
        images_kept: In how many of the last Turns the loop leaves the pixels.
        preferred_viewport: The screen size that it sees best; None has no preference.
        can_think: Whether a Look can ask it to think; known once it is open.
    """

    images_kept: int = 0
    preferred_viewport: Viewport | None = None
    can_think: bool = False

    @property
    def opened(self) -> bool:
        """True while it is open."""
        raise NotImplementedError

    async def open(self) -> None:
        """Open it and what it owns."""

    async def close(self) -> None:
        """Close it and what it owns; an engine that was handed to it stays open."""

    async def reset(self, task: str, *, seed: int | None = None, action_kinds: frozenset[str] | None = None) -> None:
        """Begin an episode.

        Args:
            task: The instruction.
            seed: Makes sampling repeatable.
            action_kinds: What the environment can do; None is every kind.
        """

    async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
        """Decide.

        Args:
            observation: What the world looks like now.
            history: The Turns so far, oldest first; the loop keeps it, a policy does not.
            look: What to vary for this decision.

        Raises:
            ParseError: If the model's text is no action that is offered here; ``.decision`` holds the text.
            OutOfFrame: If it points outside the frame; ``.decision`` likewise.
            PolicyError: If the model fails.
        """
        raise NotImplementedError
