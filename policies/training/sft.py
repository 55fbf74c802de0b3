"""Supervised training from first to last: stages with gates, a log, held-out measures, and a state to go on from.

Given budgets in steps or pages, a run that was killed and goes on takes the very steps that an unbroken one takes:
every batch, and whatever a step draws by lot, is a function of the seed and of the number of its first screen. The
schedule of a budget in minutes follows the clock; such a run goes on, but no two of them are the same.
"""

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import ValidationError

from foveate.actions.errors import FoveateError, TrainingError, UsageError, first_line
from foveate.policies.training.architecture import Shape
from foveate.policies.training.learning import Learner
from foveate.policies.training.listening import Listener
from foveate.policies.training.optimisation import Diverged
from foveate.policies.training.position import Position, Sums
from foveate.policies.training.results import StageResult, spent_share, write_model
from foveate.policies.training.settings import Settings, StageSettings
from foveate.policies.training.settings_file import differences
from foveate.policies.training.states import Log, write_state
from foveate.policies.training.stream import Portion, Source, Stream, Wanted, batches

STATE, LOG, LAST = "state.pt", "log.jsonl", "last"
"""Names in the work folder: the state, the log, the model as it was when a run stopped before its end."""

STATE_KEYS = frozenset({"settings", "begun", "supply", "position", "sums", "results", "log_bytes", "learner"})
"""What a state holds."""

Outcome: TypeAlias = Literal["completed", "gate missed", "interrupted"]

_MEASURED_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Supply:
    """Where screens come from.

    Attributes:
        shown: Sources by name; a stage does without one that it names and that is not here.
        held_out: The same, of screens that are never trained on.
        fingerprint: Tells whether another run has the same screens.
    """

    shown: Mapping[str, Source]
    held_out: Mapping[str, Source]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Begun:
    """What a run's model began as.

    Attributes:
        shape: The arguments of its Shape.
        given: The checkpoint that its weights were taken from; None for random ones.
    """

    shape: Mapping[str, int]
    given: str | None = None


class Training:
    """A run of all stages, or the rest of one.

    Args:
        settings: What is done.
        learner: What learns.
        supply: Where screens come from.
        begun: What the model began as.
        work: Folder of state, log and the models after each stage (``after-NAME``); must exist.
        listener: Hears how it goes.
        stop: Asked between steps; true ends the run with its state saved.

    Attributes:
        results: What the stages that have ended came to.
    """

    def __init__(
        self, settings: Settings, learner: Learner, supply: Supply, begun: Begun, work: Path, *, listener: Listener,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self._settings, self._learner, self._supply, self._from = settings, learner, supply, begun
        self._work, self._listener, self._stop = work, listener, stop
        self._stages = settings.stages if begun.given is None else (_gently(settings), *settings.stages[1:])
        self._log = Log(work / LOG)
        self._at, self._sums = Position(), Sums()
        self._begun = False
        self._held_out: list[Portion] = []
        self.results: list[StageResult] = []

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state.

        Args:
            state: As ``read_state`` gives it.

        Raises:
            UsageError: If settings or screens are no longer the same; names what differs.
        """
        try:
            before = Settings.model_validate_json(state["settings"])
        except ValidationError as exc:
            raise UsageError(
                f"{self._work / STATE} was saved by another version of foveate: begin in another --work folder, with "
                f"--init from a model of this one ({first_line(exc)})"
            ) from exc
        changed = differences(before, self._settings)
        if state["supply"] != self._supply.fingerprint:
            changed.append("the shards are other files, or were packed or made in another number (DATA, PROVISION)")
        if changed:
            raise UsageError(
                f"{self._work / STATE} was saved by another configuration: {'; '.join(changed)}: put that back to go "
                "on, or begin in another --work folder, with --init from a model of this one"
            )
        self._at, self._sums = Position(**state["position"]), Sums(**state["sums"])
        self.results = [StageResult(**one) for one in state["results"]]
        self._begun = state["learner"]["optimisers"] is not None
        self._learner.load_state(state["learner"], self._stages[min(self._at.stage, len(self._stages) - 1)])
        self._log.cut(int(state["log_bytes"]))

    def run(self) -> Outcome:
        """Train, and say how it ended.

        Raises:
            FoveateError: If it cannot go on; the state of before is saved as far as it can be. Diverged leaves what was
                saved last: the steps since may have ruined the weights before anything showed.
        """
        while self._at.stage < len(self._stages):
            stage = self._stages[self._at.stage]
            self._listener.begins(stage, self._at.stage + 1, len(self._stages))
            if not self._begun:
                self._learner.begin(stage)
                self._begun = True
            try:
                through = self._through(stage)
            except Diverged:
                raise
            except FoveateError as exc:
                self._keep_after(exc)
                if not self._stop():  # a signal to the whole group ends the processes that make batches, too
                    raise
                through = False
            else:
                if not through:
                    self._keep()
            if not through:
                return "interrupted"
            if not self._ended(stage):
                return "gate missed"
        return "completed"

    @property
    def complete(self) -> bool:
        """True when every stage has ended."""
        return self._at.stage >= len(self._stages)

    @property
    def parameters(self) -> int:
        """The model's weights, the heads left out."""
        return sum(parameter.numel() for parameter in self._learner.model.parameters())

    @property
    def gpu(self) -> str | None:
        """The GPU's name; None on a CPU."""
        return self._learner.gpu

    def write(self, folder: Path) -> None:
        """Write the model, averaged where weights are averaged, without its heads.

        Raises:
            TrainingError: If it cannot be written; what lay there before still does.
        """
        with self._learner.averaged():
            write_model(folder, self._learner.model)

    def _through(self, stage: StageSettings) -> bool:
        """Take the steps of a stage; false where it was interrupted."""
        run, every = self._settings.run, self._settings.evaluation.every
        stream = self._stream(stage, self._supply.shown)
        total = stage.steps if stage.pages is None else -(-stage.pages // stage.batch_pages)
        steps = itertools.count(self._at.step) if total is None else range(self._at.step, total)
        began = saved = time.monotonic()
        began -= self._at.elapsed_s
        ready = time.monotonic()
        for portion in batches(stream, steps, run, pinned=self._learner.on_gpu):
            if self._stop():
                return False
            spent = spent_share(stage, self._at.step, time.monotonic() - began)
            if spent >= 1.0:
                break
            self._step(stage, portion, spent, ready)
            self._at.elapsed_s = time.monotonic() - began
            self._listener.moves(spent)
            if self._at.step % run.log_every == 0:
                self._tell(stage)
            if self._at.step % every == 0:
                self._measure(stage)
                if stage.gate is not None and stage.gate.leave_early and self._gate(stage) == "reached":
                    break
            if time.monotonic() - saved >= run.save_every_s:
                self._at.elapsed_s = time.monotonic() - began
                self._save()
                saved = time.monotonic()
            ready = time.monotonic()
        self._at.elapsed_s = time.monotonic() - began
        return True

    def _step(self, stage: StageSettings, portion: Portion, spent: float, ready: float) -> None:
        first = self._at.first + self._at.step * stage.batch_pages
        told = self._learner.step(portion, stage, step=self._at.step, first=first, spent=spent)
        self._at.step += 1
        self._at.answers += portion.answers
        self._sums.add(told, portion, time.monotonic() - ready)

    def _ended(self, stage: StageSettings) -> bool:
        """Close a stage; false where its gate was missed and the run ends with it."""
        if self._at.measured_at != self._at.step:
            self._measure(stage)
        gate, at = self._gate(stage), self._at
        stops = gate == "missed" and stage.gate is not None and stage.gate.if_missed == "stop"
        if stage.gate is not None:
            now = f"{at.measured.get(stage.gate.metric, 0.0):.1%}"
            then = "stops here" if stops else "goes on"
            self._listener.says(
                f"stage {stage.name}: {stage.gate.metric} is {now} on held-out screens, "
                f"{'at least' if gate == 'reached' else 'short of'} the {stage.gate.at_least:.1%} asked for: "
                f"training {then}"
            )
        self.write(self._work / f"after-{stage.name}")
        if stops:
            self._keep()
            return False
        pages = at.step * stage.batch_pages
        result = StageResult(stage.name, at.step, pages, at.answers, round(at.elapsed_s, 1), dict(at.measured), gate)
        self.results.append(result)
        self._at, self._sums, self._begun = Position(at.stage + 1, first=at.first + pages), Sums(), False
        self._held_out = []
        self._save()
        return True

    def _gate(self, stage: StageSettings) -> Literal["reached", "missed"] | None:
        if stage.gate is None:
            return None
        return "reached" if self._at.measured.get(stage.gate.metric, 0.0) >= stage.gate.at_least else "missed"

    def _stream(self, stage: StageSettings, sources: Mapping[str, Source], *, held_out: bool = False) -> Stream:
        shares = {name: share for name, share in self._settings.shares(stage).items() if name in sources}
        settings, first = self._settings, 0 if held_out else self._at.first
        pages = min(_MEASURED_AT_ONCE, settings.evaluation.pages) if held_out else stage.batch_pages
        return Stream(
            sources, shares, seed=f"{settings.seed}{'/held out' if held_out else ''}", first=first, pages=pages,
            wanted=Wanted(settings.questions(stage), stage.ask), shape=Shape(**self._from.shape),
            room=0 if held_out else stage.room,
        )  # fmt: skip

    def _measure(self, stage: StageSettings) -> None:
        """Measure a stage on held-out screens, the same ones every time."""
        if not self._held_out:
            stream = self._stream(stage, self._supply.held_out, held_out=True)
            count = -(-self._settings.evaluation.pages // _MEASURED_AT_ONCE)
            self._held_out = [stream.portion(number) for number in range(count)]
        told = self._learner.measure(self._held_out, stage)
        self._at.measured_at, self._at.measured = self._at.step, dict(told.right)
        losses = {f"loss_{name}": round(value, 6) for name, value in told.losses.items()}
        right = {name: round(value, 4) for name, value in told.right.items()}
        line = {**self._where(stage), "held_out": {**losses, **right}}
        self._log.add(line)
        self._listener.measures(line)

    def _tell(self, stage: StageSettings) -> None:
        line = {**self._where(stage), **self._sums.means()}
        self._sums = Sums()
        self._log.add(line)
        spent = spent_share(stage, self._at.step, self._at.elapsed_s)
        self._listener.steps(line, spent, self._at.elapsed_s * (1 - spent) / max(spent, 1e-9))

    def _where(self, stage: StageSettings) -> dict[str, Any]:
        pages = self._at.first + self._at.step * stage.batch_pages
        return {
            "stage": stage.name, "step": self._at.step, "pages": pages, "elapsed_s": round(self._at.elapsed_s, 1),
        }  # fmt: skip

    def _keep(self) -> None:
        """Save what a run that stops here goes on from, and the model as it is."""
        self._save()
        self.write(self._work / LAST)

    def _keep_after(self, error: FoveateError) -> None:
        """Keep what there is after an error, which is told even where that fails, too."""
        try:
            self._keep()
        except FoveateError as exc:
            raise TrainingError(f"{error}; and what was learned since could not be saved: {exc}") from error

    def _save(self) -> None:
        if not self._learner.sound():
            stage = self._stages[min(self._at.stage, len(self._stages) - 1)].name
            raise Diverged(
                f"stage {stage}: after step {self._at.step} there are weights that float16 cannot hold: lower the "
                "stage's rate or lengthen its warm_up"
            )
        state = {
            "settings": self._settings.model_dump_json(),
            "begun": asdict(self._from),
            "supply": self._supply.fingerprint,
            "position": asdict(self._at),
            "sums": asdict(self._sums),
            "results": [asdict(result) for result in self.results],
            "log_bytes": self._log.size(),
            "learner": self._learner.state(ended=not self._begun),
        }
        write_state(self._work / STATE, state)


def _gently(settings: Settings) -> StageSettings:
    """Begin the first stage so that new heads do not spoil the weights that were given."""
    first, init = settings.stages[0], settings.init
    changed = {"heads_alone": max(first.heads_alone, init.heads_alone), "warm_up": max(first.warm_up, init.warm_up)}
    return first.model_copy(update=changed)
