"""Supervised training of a small InternVL: stages of weighted objectives, resumable, bounded by time."""

import json
import logging
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from foveate.policies.training.batching import Batch
from foveate.policies.training.losses import Heads, Scores, answer, busy_patches, project, read, see

_log = logging.getLogger(__name__)
_SIGHT = frozenset({"chars", "centre"})


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of training.

    Attributes:
        name: What its state and log lines are called.
        minutes: How long it lasts; the rate falls with the time, so that a busy machine does not cut it off.
        weights: Weight of each objective; without one beyond ``chars`` and ``centre`` the decoder is not run.
        rate: Greatest learning rate.
        vision_rate: Learning rate of the vision tower, as a share of ``rate``.
        warm_up: Steps over which the rate rises.
        floor: Share of the rate that is left at the end.
        patches: How many patches a page are looked at, busy ones first; 0 is all, which an answer needs.
    """

    name: str
    minutes: float
    weights: Mapping[str, float] = field(default_factory=dict)
    rate: float = 2e-3
    vision_rate: float = 1.0
    warm_up: int = 60
    floor: float = 0.0
    patches: int = 0

    @property
    def sees_only(self) -> bool:
        """True where only the vision tower is trained."""
        return set(self.weights) <= _SIGHT

    def scale(self, step: int, share: float) -> float:
        """Give the share of the rate at a step, when this share of the time (0 to 1) has passed."""
        return min((step + 1) / self.warm_up, self.floor + (1 - self.floor) * min(1.0, (1 - share) / 0.7))


class Trainer:
    """Trains one model; its state lies in a folder and can be taken up again.

    Hidden matrices are trained by Muon (orthogonalised momentum), everything else by AdamW.

    Args:
        model: An InternVLForConditionalGeneration, trained in place.
        folder: Where state and log lie.
        seed: Of the heads.

    Attributes:
        pages: Pages seen so far.
        seconds: Time spent so far, stages that are done.
    """

    def __init__(self, model: Any, folder: Path, *, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.model = model
        self.heads = Heads(model.config.vision_config.hidden_size, model.config.text_config.hidden_size)
        self.folder = folder
        self.pages = 0
        self.seconds = 0.0
        folder.mkdir(parents=True, exist_ok=True)
        model.set_attn_implementation("eager")  # faster than the fused one at these sizes on a CPU

    def optimisers(self, stage: Stage) -> list[torch.optim.Optimizer]:
        """Make the optimisers of a stage; each group keeps its greatest rate as ``peak``."""
        matrices: dict[float, list[nn.Parameter]] = {}
        others: dict[float, list[nn.Parameter]] = {}
        for name, parameter in self.model.named_parameters():
            vision = "vision_tower." in name
            if stage.sees_only and not vision:
                continue
            rate = stage.rate * (stage.vision_rate if vision else 1.0)
            inner = parameter.ndim == 2 and ("layer" in name or "projector" in name)
            (matrices if inner else others).setdefault(rate, []).append(parameter)
        others.setdefault(stage.rate, []).extend(self.heads.parameters())
        groups, rest = (
            [{"params": parameters, "lr": rate, "peak": rate} for rate, parameters in kind.items()]
            for kind in (matrices, others)
        )
        return [
            torch.optim.Muon(groups, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(rest, betas=(0.9, 0.98), weight_decay=0.0),
        ]

    def scores(self, batch: Batch, stage: Stage) -> Scores:
        """Score a batch by the objectives of a stage."""
        scores = Scores()
        kept = busy_patches(batch.chars, stage.patches) if stage.patches else None
        with torch.autocast("cpu", dtype=torch.bfloat16):
            features = see(self.model, batch.pixels, kept)
            read(self.heads, features, batch, scores, kept)
            if not stage.sees_only:
                answer(self.model, self.heads, project(self.model, features), batch, scores)
        return scores

    def step(self, batch: Batch, stage: Stage, optimisers: list[torch.optim.Optimizer]) -> Scores:
        """Take one step.

        Raises:
            FloatingPointError: If the gradient is not finite; nothing was changed.
        """
        scores = self.scores(batch, stage)
        scores.total(stage.weights).backward()  # type: ignore[no-untyped-call]
        parameters = [p for o in optimisers for group in o.param_groups for p in group["params"]]
        norm = float(nn.utils.clip_grad_norm_(parameters, 1.0))
        if not math.isfinite(norm):
            raise FloatingPointError(f"the gradient is {norm} after {self.pages} pages: lower the stage's rate")
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.model.zero_grad(set_to_none=True)
        self.pages += batch.pixels.shape[0]
        return scores

    def run(self, stage: Stage, batches: Iterable[Batch], *, save_every_s: float = 120.0) -> None:
        """Train for a stage; goes on with an interrupted one where its state was saved."""
        optimisers = self.optimisers(stage)
        step, elapsed = self._resume(stage, optimisers)
        if elapsed >= stage.minutes * 60:
            return
        started = time.monotonic() - elapsed
        saved = time.monotonic()
        for batch in batches:
            elapsed = time.monotonic() - started
            if elapsed >= stage.minutes * 60:
                break
            for group in (group for optimiser in optimisers for group in optimiser.param_groups):
                group["lr"] = group["peak"] * stage.scale(step, elapsed / (stage.minutes * 60))
            scores = self.step(batch, stage, optimisers)
            step += 1
            if step % 25 == 0:
                self._tell(stage, step, elapsed, scores)
            if time.monotonic() - saved > save_every_s:
                self.save(stage, optimisers, step, elapsed)
                saved = time.monotonic()
        self.seconds += elapsed
        self.save(stage, optimisers, step, max(elapsed, stage.minutes * 60))

    def _tell(self, stage: Stage, step: int, elapsed: float, scores: Scores) -> None:
        line = {"stage": stage.name, "step": step, "pages": self.pages, "elapsed_s": round(elapsed, 1)}
        values = {f"loss_{name}": round(float(value.detach()), 4) for name, value in scores.losses.items()}
        shares = {name: round(value, 3) for name, value in scores.right.items()}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({**line, **values, **shares}) + "\n")
        _log.info("%s step %d, %d pages, %.0f s: %s", stage.name, step, self.pages, elapsed, shares)

    def save(self, stage: Stage, optimisers: list[torch.optim.Optimizer], step: int, elapsed: float) -> None:
        """Save everything that training goes on from; a crash while saving leaves what was saved before."""
        state = {
            "stage": stage.name,
            "step": step,
            "elapsed_s": elapsed,
            "pages": self.pages,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "heads": self.heads.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in optimisers],
        }
        part = self.folder / "state.part"
        torch.save(state, part)
        part.replace(self.folder / "state.pt")

    def _state(self) -> dict[str, Any] | None:
        path = self.folder / "state.pt"
        if not path.exists():
            return None
        state: dict[str, Any] = torch.load(path, weights_only=True)
        return state

    def load(self) -> str | None:
        """Load what was saved last; gives the name of its stage, None where nothing was."""
        state = self._state()
        if state is None:
            return None
        self.model.load_state_dict(state["model"])
        self.heads.load_state_dict(state["heads"])
        self.pages, self.seconds = state["pages"], state["seconds"]
        return str(state["stage"])

    def _resume(self, stage: Stage, optimisers: list[torch.optim.Optimizer]) -> tuple[int, float]:
        state = self._state()
        if state is None or state["stage"] != stage.name:
            return 0, 0.0
        self.load()
        for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        return int(state["step"]), float(state["elapsed_s"])
