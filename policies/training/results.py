"""What a stage came to, how far its budget is spent, and the model that it leaves behind."""

import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from foveate.actions.errors import TrainingError, first_line
from foveate.policies.engines.torch_loading import quiet
from foveate.policies.training.architecture import write_checkpoint
from foveate.policies.training.settings import StageSettings


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage came to.

    Attributes:
        name: The stage's.
        steps: Steps taken.
        pages: Screens trained on.
        answers: Answers trained on.
        seconds: Time spent, evaluations included.
        measured: Shares that were right on held-out screens at its end, 0 to 1.
        gate: Whether its gate was reached; None where it has none.
    """

    name: str
    steps: int
    pages: int
    answers: int
    seconds: float
    measured: Mapping[str, float] = field(default_factory=dict)
    gate: Literal["reached", "missed"] | None = None


def spent_share(stage: StageSettings, step: int, elapsed_s: float) -> float:
    """Give the share of a stage's budget that has passed, 0 to 1, after so many steps and seconds."""
    if stage.minutes is not None:
        return min(elapsed_s / (60.0 * stage.minutes), 1.0)
    if stage.pages is not None:
        return min(step * stage.batch_pages / stage.pages, 1.0)
    return min(step / (stage.steps or 1), 1.0)


def write_model(folder: Path, model: Any) -> None:
    """Write a checkpoint so that what lay there before is replaced only by a whole one.

    Args:
        folder: Is made where it is missing; its other files are left alone.
        model: An InternVLForConditionalGeneration; left unchanged, without the objectives' heads.

    Raises:
        TrainingError: If it cannot be written.
    """
    folder = folder.absolute()
    part = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        with quiet():
            write_checkpoint(part, model)
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(part.iterdir()):
            file.replace(folder / file.name)
        part.rmdir()
    except Exception as exc:  # the tokenizers library raises bare Exceptions, safetensors its own
        with contextlib.suppress(OSError):
            shutil.rmtree(part)
        why = first_line(exc)
        raise TrainingError(f"the model {folder} cannot be written: {why}: make room there") from exc
