"""ModelProfile: what must be known of a model family to ask it and to read its answer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from foveate.actions.geometry import Convention
from foveate.envs.base import CameraObservation, Observation, Viewport
from foveate.policies.base import Sampling

Platform: TypeAlias = Literal["web", "desktop", "embodied"]
"""What kind of world a prompt speaks of."""

AnswerForm: TypeAlias = Literal["action", "operation", "thought"]
"""How much a model says: the action alone (grounding), an operation before it, or a thought before both."""

SystemPrompt: TypeAlias = Callable[[Platform, frozenset[str], AnswerForm], str]
"""Builds the system message from the platform, the kinds that are offered and the form of the answer."""

UserPrompt: TypeAlias = Callable[[str, str, tuple[str, ...]], str]
"""Builds the user message from the task, the previous operations (``None`` or lines) and the last turn's notes."""


@dataclass(frozen=True, slots=True)
class TileBudget:
    """Greatest number of tiles of one picture, the thumbnail not counted, per kind of environment.

    Attributes:
        screen: For a browser or a desktop; 12 is what InternVL3.5 was evaluated with.
        camera: For a camera on a body; at 4 a picture of 640x480 is one tile instead of 13.
    """

    screen: int = 12
    camera: int = 4

    def of(self, observation: Observation) -> int:
        """Give the budget for an observation."""
        return self.camera if isinstance(observation, CameraObservation) else self.screen


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelProfile:
    """How to talk to one family of models.

    Attributes:
        name: What ``profiles.PROFILES`` calls it.
        convention: How it writes places.
        system: Builds the system message.
        user: Builds the user message, which follows the picture.
        answer: The form of its answers where it does not think.
        can_think: Whether it can be asked to think before it answers.
        think_prefill: How an answer with a thought begins, given to the model as its own words.
        plain_prefill: How an answer without a thought begins; empty leaves it to the model.
        stop: Texts at which an answer is complete.
        tiles: Tiles a picture.
        history_steps: Greatest number of previous operations in the user message.
        operation_chars: Greatest length of each, in characters.
        sampling: How tokens are drawn without thinking; greedy by default.
        thinking_sampling: How tokens are drawn with thinking.
        max_new_tokens: Greatest length of an answer without a thought.
        thinking_max_new_tokens: Greatest length of an answer with a thought.
        viewport: The screen size that it sees best; None has no preference.
    """

    name: str
    convention: Convention
    system: SystemPrompt = field(repr=False)
    user: UserPrompt = field(repr=False)
    answer: AnswerForm = "operation"
    can_think: bool = True
    think_prefill: str = "<think>\n"
    plain_prefill: str = ""
    stop: tuple[str, ...] = ("</action>",)
    tiles: TileBudget = field(default_factory=TileBudget)
    history_steps: int = 20
    operation_chars: int = 200
    sampling: Sampling = field(default_factory=Sampling)
    thinking_sampling: Sampling = field(default_factory=lambda: Sampling(temperature=0.6, top_p=0.95))
    max_new_tokens: int = 512
    thinking_max_new_tokens: int = 4096
    viewport: Viewport | None = None
