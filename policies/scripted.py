"""ScriptedPolicy: answers that were written down before, through the real parser."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from foveate.actions.errors import OutOfFrame, ParseError, UsageError
from foveate.actions.geometry import Convention
from foveate.actions.schema import Action, ActionModel
from foveate.envs.base import Observation, Resource, Viewport
from foveate.policies.answers import decide
from foveate.policies.base import Decision, Look, Policy, Turn

Answer: TypeAlias = str | Action | Sequence[Action]
"""One step's answer: a model's text, an action, or several actions."""

_CONVENTIONS = {"unit": Convention.UNIT, "per_mille": Convention.PER_MILLE, "pixel": Convention.PIXEL}


class _Script(BaseModel):
    """What a script's file holds."""

    model_config = ConfigDict(extra="forbid")

    convention: Literal["unit", "per_mille", "pixel"] = "unit"
    viewport: tuple[int, int] | tuple[int, int, float] | None = None
    answers: list[str | Action | list[Action]] = Field(min_length=1)


class ScriptedPolicy(Resource, Policy):
    """Gives the answers of a script, one a step, from the first at each reset.

    A text goes through the parser as a model's would: one that is no action raises, and the next ``act`` gives the
    next answer (so ``RetryPolicy`` goes on in the script). Actions are given as they are, whatever the environment
    offers. After the last answer ``act`` raises ParseError.

    Args:
        answers: Model texts, Actions, or for several actions in one step a list of Actions.
        convention: How the texts write places.
        viewport: The screen size that they were written for.
    """

    model: ClassVar[str] = "script"

    def __init__(
        self, answers: Sequence[Answer], *, convention: Convention = Convention.UNIT, viewport: Viewport | None = None
    ) -> None:
        if isinstance(answers, str):
            raise UsageError(f"answers are a list, one a step, not the text {answers[:40]!r}: put it in a list")
        self.answers: tuple[Answer, ...] = tuple(answers)
        self.convention = convention
        self.preferred_viewport = viewport
        self._next = 0
        self._kinds: frozenset[str] | None = None

    @classmethod
    def from_file(cls, path: str | Path, *, convention: Convention | None = None) -> "ScriptedPolicy":
        """Read a script.

        Args:
            path: A JSON list of answers; or an object of ``answers``, ``convention`` (unit, per_mille, pixel) and
                ``viewport`` ([width, height], with a scale if one is wanted); or a run's ``steps.jsonl``, whose
                texts (actions where a step has no text) are given again.
            convention: How the texts write places; None is what the file says, else 0..1.

        Raises:
            UsageError: If the file cannot be read or holds something else.
        """
        file = Path(path)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise UsageError(f"cannot read the script {file}: {_reason(exc)}") from exc
        script = _recorded(text, file) if file.suffix == ".jsonl" else _listed(text, file)
        viewport = None if script.viewport is None else Viewport(*script.viewport)
        return cls(script.answers, convention=convention or _CONVENTIONS[script.convention], viewport=viewport)

    async def reset(self, task: str, *, seed: int | None = None, action_kinds: frozenset[str] | None = None) -> None:
        """Go back to the first answer; see ``Policy.reset``."""
        self._next = 0
        self._kinds = action_kinds

    async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
        """Give the next answer.

        Raises:
            ParseError: If its text is no action that is offered, or no answer is left; ``.decision`` holds the text.
            OutOfFrame: If it points outside the frame; ``.decision`` likewise.
        """
        self.require_open()
        if self._next >= len(self.answers):
            error = ParseError(f"the script has no answer left: all {len(self.answers)} were given")
            error.decision = Decision()
            raise error
        answer = self.answers[self._next]
        self._next += 1
        if isinstance(answer, str):
            return decide(Decision(raw=answer), frame=observation.frame, convention=self.convention, kinds=self._kinds)
        return Decision(actions=(answer,) if isinstance(answer, ActionModel) else tuple(answer))


def _listed(text: str, file: Path) -> _Script:
    try:
        loaded = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"the script {file} is no JSON: {exc}") from exc
    return _checked({"answers": loaded} if isinstance(loaded, list) else loaded, file)


def _recorded(text: str, file: Path) -> _Script:
    """Read a record's lines; the last one may have been cut off by a kill."""
    lines = [line for line in text.split("\n") if line.strip()]
    answers: list[Any] = []
    for number, line in enumerate(lines, 1):
        try:
            step = json.loads(line)
        except (ValueError, RecursionError) as exc:
            if number == len(lines) and number > 1 and not text.endswith("\n"):
                break
            raise UsageError(f"line {number} of the record {file} is no JSON: {exc}") from exc
        if not isinstance(step, dict) or not isinstance(step.get("raw"), str):
            raise UsageError(f"line {number} of the record {file} has no text 'raw': is it a run's steps.jsonl?")
        answers.append(step["raw"] or step.get("actions") or "")
    return _checked({"answers": answers}, file)


def _checked(loaded: object, file: Path) -> _Script:
    try:
        return TypeAdapter(_Script).validate_python(loaded)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"][:2])
        raise UsageError(
            f"the script {file} is no list of answers (model texts or actions): {where or 'it'}: {first['msg']}"
        ) from exc
    except OutOfFrame as exc:
        raise UsageError(f"the script {file} holds an action outside the frame: {exc}") from exc


def _reason(exc: OSError | UnicodeDecodeError) -> str:
    return exc.strerror or str(exc) if isinstance(exc, OSError) else f"it is no UTF-8 text ({exc.reason})"
