"""One model learning: the scores of a batch, a step, and what is measured on held-out screens."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from foveate.policies.training.measuring import Measures, right_answers
from foveate.policies.training.objectives import Heads, Scores, answer, busy_patches, project, read, see
from foveate.policies.training.optimisation import Average, Optimisers
from foveate.policies.training.packing import Batch
from foveate.policies.training.settings import OptimiserSettings, StageSettings
from foveate.policies.training.stream import Portion


@dataclass(frozen=True, slots=True)
class Told:
    """What a step tells, by objective.

    Attributes:
        losses: Before weighting.
        right: Shares that were right, 0 to 1.
    """

    losses: Mapping[str, float]
    right: Mapping[str, float]


class Learner:
    """A model, the heads of its objectives, and the optimisers of the stage it is in.

    Args:
        model: An InternVLForConditionalGeneration, trained in place.
        settings: How its weights are changed.
        device: Where it learns: ``cpu`` or ``cuda``.
        seed: Of the heads, and of what is drawn by lot in a step.
        compiled: Compile the towers; on CUDA alone.

    Attributes:
        model: The model, on the device.
        heads: No part of the checkpoint.
    """

    def __init__(
        self, model: Any, settings: OptimiserSettings, *, device: str = "cpu", seed: int = 0, compiled: bool = False
    ) -> None:
        self._settings, self._seed, self._device = settings, seed, torch.device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            heads = Heads(model.config.vision_config.hidden_size, model.config.text_config.hidden_size)
        self.model, self.heads = model.to(self._device), heads.to(self._device)
        # on a CPU the plain product is faster than the fused one at these sizes
        self.model.set_attn_implementation("sdpa" if self.on_gpu else "eager")
        if compiled and self.on_gpu:
            self.model.model.vision_tower.encoder.compile(dynamic=True)
            self.model.model.language_model.compile(dynamic=True)
        parameters = [*self.model.parameters(), *self.heads.parameters()]
        self.average = Average(parameters, settings.average) if settings.average else None
        self._optimisers: Optimisers | None = None

    @property
    def on_gpu(self) -> bool:
        """True where it learns on CUDA."""
        return self._device.type == "cuda"

    @property
    def gpu(self) -> str | None:
        """The GPU's name; None on a CPU."""
        return torch.cuda.get_device_name(self._device) if self.on_gpu else None

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Let the weights be their moving averages meanwhile, where there are such."""
        with self.average.in_place() if self.average is not None else nullcontext():
            yield

    def begin(self, stage: StageSettings) -> None:
        """Begin a stage, with fresh optimisers."""
        self._optimisers = Optimisers(self.model, self.heads, stage, self._settings)

    def scores(self, batch: Batch, stage: StageSettings) -> Scores:
        """Score a batch, which lies on the device, by the objectives of a stage."""
        scores = Scores()
        kept = busy_patches(batch.chars, stage.patches) if stage.patches else None
        with self._precision():
            features = see(self.model, batch.pixels, kept)
            read(self.heads, features, batch, scores, kept)
            if not stage.sees_only:
                answer(self.model, self.heads, project(self.model, features), batch, scores)
        return scores

    def step(self, portion: Portion, stage: StageSettings, *, step: int, first: int, spent: float) -> Told:
        """Take one step.

        Args:
            portion: What is learned from.
            stage: The stage that has begun.
            step: Steps taken before in this stage.
            first: Number of the portion's first screen: what is drawn by lot depends on it and the seed alone.
            spent: Share of the stage's budget that has passed, 0 to 1.

        Raises:
            Diverged: If the gradient is not finite; nothing was changed.
        """
        if self._optimisers is None:
            raise RuntimeError("begin() comes before the first step")
        torch.manual_seed(_number(f"{self._seed}/{first}"))
        self.model.train()
        scores = self.scores(portion.batch.to(self._device), stage)
        try:
            scores.total({str(name): weight for name, weight in stage.objectives.items()}).backward()  # type: ignore[no-untyped-call]
            self._optimisers.step(step, spent)
        finally:
            self.model.zero_grad(set_to_none=True)
            self.heads.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update()
        return _told(scores, stage)

    def measure(self, portions: Iterable[Portion], stage: StageSettings) -> Told:
        """Measure a stage's objectives on some portions, by the averaged weights where there are such.

        A stage that answers has a further measure, ``answer``: the share of answers of which every token is right
        (places within 0.03) when each is said after the right ones before it.
        """
        measures = Measures()
        self.model.eval()
        with self.averaged():
            self._measure(portions, stage, measures)
        return Told(measures.losses(), measures.right())

    @torch.no_grad()
    def _measure(self, portions: Iterable[Portion], stage: StageSettings, measures: Measures) -> None:
        for portion in portions:
            torch.manual_seed(0)
            batch = portion.batch.to(self._device)
            told = _told(self.scores(batch, stage), stage)
            measures.add(told.losses, told.right, portion.pages)
            if not stage.sees_only:
                with self._precision():
                    measures.add_answers(right_answers(self.model, batch))

    def _precision(self) -> Any:
        low = self._settings.precision == "bf16"
        return torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=low)

    def sound(self) -> bool:
        """Tell whether every weight is a number that a checkpoint's float16 can hold."""
        most = torch.finfo(torch.float16).max
        return all(bool((value.abs() <= most).all()) for value in self.model.parameters())

    def state(self, *, ended: bool = False) -> dict[str, Any]:
        """Give everything that the next step depends on, beside its number and its batch.

        Args:
            ended: The stage is over: the next one has its own optimisers.
        """
        return {
            "model": self.model.state_dict(),
            "heads": self.heads.state_dict(),
            "average": None if self.average is None else self.average.state(),
            "optimisers": None if ended or self._optimisers is None else self._optimisers.state(),
        }

    def load_state(self, state: Mapping[str, Any], stage: StageSettings) -> None:
        """Go on, in a stage, from what ``state`` gave."""
        self.model.load_state_dict(state["model"])
        self.heads.load_state_dict(state["heads"])
        if self.average is not None:
            self.average.load_state(state["average"])
        self.begin(stage)
        if self._optimisers is not None and state["optimisers"] is not None:
            self._optimisers.load_state(state["optimisers"])


def _told(scores: Scores, stage: StageSettings) -> Told:
    names = [str(name) for name in stage.objectives if name in scores.losses]
    losses = torch.stack([scores.losses[name].detach().float() for name in names]).tolist()
    right = {name: float(scores.right[name]) for name in names if name in scores.right}
    return Told(dict(zip(names, losses, strict=True)), right)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7])
