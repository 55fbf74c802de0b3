"""What a training run is told: one frozen table a part; ``settings_file`` reads them from TOML."""

from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

Objective: TypeAlias = Literal["chars", "centre", "align", "point", "where", "say", "place"]
"""What can be taught; ``foveate.policies.training.objectives`` says what each is."""

SIGHT: Final[frozenset[str]] = frozenset({"chars", "centre"})
"""Objectives that the vision tower learns without the decoder."""

BROWSERLESS: Final = "browserless"
"""The share of screens that are drawn without a browser, beside the named folders of shards."""

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Weight: TypeAlias = Annotated[float, Field(gt=0)]
Count: TypeAlias = Annotated[int, Field(ge=1)]
Width: TypeAlias = Annotated[int, Field(ge=1, le=16_384)]

_WORDS: Final = 128


class _Table(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class ShapeSettings(_Table):
    """``[shape]``: the sizes of the model; left out, those of the bundled checkpoint, or of ``--init``."""

    tile: Annotated[int, Field(ge=1, le=4096)] = 448
    """Side of a tile, pixels."""
    patch: Count = 28
    """Side of a patch, pixels; four patches become one token."""
    vision_width: Width = 192
    """Width of the vision tower."""
    vision_layers: Annotated[int, Field(ge=1, le=256)] = 5
    """Layers of the vision tower."""
    text_width: Width = 192
    """Width of the decoder."""
    text_layers: Annotated[int, Field(ge=4, le=256)] = 5
    """Layers of the decoder; the dense objectives listen to its second and third."""
    head: Count = 64
    """Width of an attention head, in both."""
    context: Annotated[int, Field(ge=1, le=1_000_000)] = 2048
    """Greatest number of tokens of a prompt and its answer."""

    @model_validator(mode="after")
    def _fits(self) -> "ShapeSettings":
        if self.tile % (2 * self.patch):
            raise ValueError(f"tile = {self.tile} is no multiple of twice patch = {self.patch}")
        for name, width in (("vision_width", self.vision_width), ("text_width", self.text_width)):
            if width % self.head:
                raise ValueError(f"{name} = {width} is no multiple of head = {self.head}")
        seen = (self.tile // self.patch // 2) ** 2
        if self.context < seen + _WORDS:
            raise ValueError(
                f"context = {self.context} holds no prompt: a picture takes {seen} tokens and its words up to {_WORDS}"
            )
        return self


class FolderSettings(_Table):
    """``[data.shards.NAME]``: a folder of shards."""

    folder: Path
    """Where they lie; a relative one under the work folder."""
    share: Share = 1.0
    """Share of the screens that come from it, beside the other shares; a stage may say otherwise."""
    varied: Share = 1.0
    """Share of its screens that are shown in other colours."""
    moved: Share = 0.5
    """Share of those that are moved, too, by any distance; what leaves the picture comes in on the other side."""
    missing: Literal["refuse", "leave out"] = "refuse"
    """What to do where it holds no shards: refuse to train, or train without it and say so."""


class DataSettings(_Table):
    """``[data]``: where screens come from."""

    shards: dict[str, FolderSettings] = {}
    """Folders of shards by name."""
    browserless: Share = 0.0
    """Share of the screens that are drawn without a browser; a stage may say otherwise."""
    questions: Annotated[int, Field(ge=0)] = 5
    """Questions a screen; a stage may say otherwise."""
    held_out: Annotated[float, Field(ge=0, le=0.5)] = 0.02
    """Share of every folder, its last screens, that is never trained on and that gates are measured on."""

    @model_validator(mode="after")
    def _some(self) -> "DataSettings":
        if BROWSERLESS in self.shards:
            raise ValueError(
                f"shards.{BROWSERLESS}: the name is taken by what is drawn without a browser: choose another"
            )
        return self


class GateSettings(_Table):
    """``stages.gate``: what must be measured on held-out screens before the next stage begins."""

    metric: Objective | Literal["answer"]
    """The objective whose share of right ones is measured; or ``answer``, answers that are right from end to end."""
    at_least: Share
    """What it must reach, 0 to 1."""
    if_missed: Literal["continue", "stop"] = "continue"
    """What to do where the budget ends first; both say so."""
    leave_early: bool = True
    """True ends the stage as soon as the gate is reached; false spends the whole budget."""


class StageSettings(_Table):
    """``[[stages]]``: a stretch of training, after those before it."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,30}$")]
    """What log, curves and folders call it."""
    objectives: Annotated[dict[Objective, Weight], Field(min_length=1)]
    """Weight of each objective; with none beyond ``chars`` and ``centre`` the decoder is neither run nor trained."""
    steps: Count | None = None
    """Budget in steps. Exactly one of steps, pages and minutes must be given."""
    pages: Count | None = None
    """Budget in screens."""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """Budget in minutes of this machine, evaluations included: the schedule follows the clock, so that a run is not
    repeated exactly."""
    rate: Annotated[float, Field(gt=0)] = 2e-3
    """Greatest learning rate."""
    vision_rate: Share = 1.0
    """The vision tower's learning rate, as a share of the rate."""
    warm_up: Annotated[int, Field(ge=0)] = 60
    """Steps over which the rate rises from nothing."""
    decay: Share = 0.7
    """Share of the budget, its last, over which the rate falls."""
    floor: Share = 0.0
    """Share of the rate that is left at the end."""
    heads_alone: Annotated[int, Field(ge=0)] = 0
    """Steps at the beginning in which only the objectives' own heads learn; the warm-up comes after them."""
    batch_pages: Count = 16
    """Screens a step."""
    questions: Annotated[int, Field(ge=0)] | None = None
    """Questions a screen; left out, as ``data`` says. A stage that only sees asks none."""
    room: Annotated[int, Field(ge=0)] = 0
    """Tokens of a screen's questions with their answers: those that do not fit are left out, so that no step waits for
    its longest screen. 0 keeps them all."""
    ask: Literal["click", "type", "read", "look", "act"] = "act"
    """What screens without questions of their own are asked: a click, a text to type, a word to read, a click or a word
    (which the others are asked after their own), or everything."""
    patches: Annotated[int, Field(ge=0)] = 0
    """Patches a screen that are looked at, busy ones first; 0 is all, which an answer needs."""
    shares: dict[str, Share] | None = None
    """Share of each folder's screens, and of ``browserless``; left out, as ``data`` says."""
    gate: GateSettings | None = None
    """What must be reached; left out, the stage ends with its budget."""

    @property
    def sees_only(self) -> bool:
        """True where only the vision tower is trained."""
        return set(self.objectives) <= SIGHT

    @model_validator(mode="after")
    def _fits(self) -> "StageSettings":
        given = [name for name in ("steps", "pages", "minutes") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a budget is one of steps, pages and minutes, not {' and '.join(given) or 'none'}")
        if self.patches and not self.sees_only:
            raise ValueError("patches: an answer needs to see the whole screen: leave it out")
        measured = set(self.objectives) if self.sees_only else {*self.objectives, "answer"}
        if self.gate is not None and self.gate.metric not in measured:
            raise ValueError(f"gate.metric = {self.gate.metric!r} is not measured: take one of {', '.join(measured)}")
        return self


class OptimiserSettings(_Table):
    """``[optimiser]``: Muon for hidden matrices, AdamW for everything else."""

    momentum: Share = 0.95
    """Of Muon."""
    betas: tuple[Share, Share] = (0.9, 0.98)
    """Of AdamW."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Of the hidden matrices."""
    clip: Weight = 1.0
    """Greatest norm of the gradient; a longer one is shortened to it."""
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay a step of the moving average of the weights, which is measured and written then; 0 is without."""
    precision: Literal["bf16", "float32"] = "bf16"
    """Of the products; weights and optimisers are float32."""


class InitSettings(_Table):
    """``[init]``: the beginning of the first stage where ``--init`` gives it weights; its heads are new."""

    heads_alone: Annotated[int, Field(ge=0)] = 100
    """Steps in which only the heads learn."""
    warm_up: Annotated[int, Field(ge=0)] = 200
    """Steps over which the rate rises then."""


class EvaluationSettings(_Table):
    """``[evaluation]``: what is measured on held-out screens while training."""

    every: Count = 250
    """Steps between two evaluations; there is another at every stage's end."""
    pages: Count = 64
    """Screens, the same ones every time."""


class RunSettings(_Table):
    """``[run]``: how this machine does it; may change between two runs, for it changes no result."""

    workers: Annotated[int, Field(ge=0, le=256)] = 1
    """Processes that make batches; 0 makes them between the steps."""
    prefetch: Count = 4
    """Batches that each worker makes ahead."""
    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    """Threads that compute on a CPU; 0 is one a core."""
    save_every_s: Annotated[float, Field(ge=0)] = 120.0
    """Seconds between two saved states."""
    log_every: Count = 25
    """Steps between two lines of the log."""
    compile: bool = False
    """Compile the towers; only on CUDA."""


class Settings(_Table):
    """A whole file."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of weights, screens and their order."""
    shape: ShapeSettings | None = None
    """The model's sizes."""
    data: DataSettings = DataSettings()
    """Where screens come from."""
    stages: Annotated[tuple[StageSettings, ...], Field(min_length=1)]
    """What is done, in order."""
    optimiser: OptimiserSettings = OptimiserSettings()
    """How weights are changed."""
    init: InitSettings = InitSettings()
    """How given weights are gone on from."""
    evaluation: EvaluationSettings = EvaluationSettings()
    """What is measured meanwhile."""
    run: RunSettings = RunSettings()
    """How this machine does it."""

    def shares(self, stage: StageSettings) -> dict[str, float]:
        """Give the share of each source of a stage's screens; without those of none."""
        given = stage.shares
        if given is None:
            given = {name: folder.share for name, folder in self.data.shards.items()}
            given[BROWSERLESS] = self.data.browserless
        return {name: share for name, share in given.items() if share > 0}

    def questions(self, stage: StageSettings) -> int:
        """Give how many questions a screen of a stage is asked."""
        if stage.sees_only:
            return 0
        return self.data.questions if stage.questions is None else stage.questions

    @model_validator(mode="after")
    def _fits(self) -> "Settings":
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise ValueError(f"stages: two have the same name among {', '.join(names)}")
        for stage in self.stages:
            shares = self.shares(stage)
            if not shares:
                raise ValueError(f"stage {stage.name}: no screens: give data.browserless or a data.shards.NAME a share")
            for name in shares:
                if name != BROWSERLESS and name not in self.data.shards:
                    known = ", ".join((*self.data.shards, BROWSERLESS))
                    raise ValueError(f"stage {stage.name}: shares.{name} is no source; there are {known}")
            if not stage.sees_only and not self.questions(stage):
                raise ValueError(f"stage {stage.name}: nothing is asked: give it questions of 1 or more")
        return self
