"""One training run of the command line: settings, folder, model and screens put together, signals, what is written."""

import contextlib
import json
import os
import shlex
import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from rich.console import Console

from foveate.actions.errors import FoveateError, MissingDependency, TrainingError, UsageError
from foveate.agent.bench import machine
from foveate.agent.training.card import CARD, RUN, check_card, write_card
from foveate.agent.training.curves import draw_curves
from foveate.agent.training.progress import TrainingView
from foveate.agent.training.work_folder import alone
from foveate.agent.whole import write_whole
from foveate.policies.training.settings import Settings
from foveate.policies.training.settings_file import read_settings

if TYPE_CHECKING:
    from foveate.policies.training.sft import Begun, Outcome, Training

CURVES = "curves.png"
"""Name of the picture, in the work folder and beside the weights."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the command line asks for.

    Attributes:
        config: A TOML file, or the name of one that comes with the package.
        work: Where state, log and curves lie.
        out: Where the checkpoint goes when training is complete.
        init: The checkpoint to begin with; None is random weights.
        resume: Go on from the state in the work folder.
        device: ``cpu`` or ``cuda``; None is a GPU where there is one.
    """

    config: str
    work: Path
    out: Path
    init: str | None = None
    resume: bool = False
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended.

    Attributes:
        outcome: ``completed``, or ``gate missed``.
        model: The folder of the checkpoint.
        stages: What each stage came to.
    """

    outcome: "Outcome"
    model: Path
    stages: tuple[Mapping[str, Any], ...]


def begin(order: Order, console: Console) -> Ended:
    """Train, or go on.

    Args:
        order: What is asked for.
        console: Where everything for people goes.

    Raises:
        KeyboardInterrupt: If it was interrupted; its state is saved.
        FoveateError: If the order is wrong, or training cannot go on; the last good state and model are kept.
    """
    path = config_path(order.config)
    settings = read_settings(path)
    if order.resume and order.init is not None:
        raise UsageError("--resume and --init exclude each other: the state holds the weights: leave one out")
    _check_out(order.out)
    with alone(order.work), _Stopping(console) as stopping:
        _need_torch()
        view = _Curved(console, order.work)
        training, begun = _prepared(order, settings, view, stopping)
        _keep_config(path, order.work)
        was_complete = training.complete
        try:
            with view.running():
                outcome = training.run()
            if outcome == "completed":
                training.write(order.out)
        except FoveateError:
            console.print(_how_to_go_on(order), markup=False, soft_wrap=True)
            raise
        finally:
            view.draw()
        if outcome == "interrupted":
            console.print(_how_to_go_on(order), markup=False, soft_wrap=True)
            raise KeyboardInterrupt
        stages = tuple(asdict(result) for result in training.results)
        if outcome == "gate missed":
            return Ended(outcome, order.work / "last", stages)
        if not (was_complete and (order.out / CARD).exists()):  # else nothing changed, and figures may stand there
            _describe(order, settings, training, begun)
    return Ended(outcome, order.out, stages)


def _check_out(out: Path) -> None:
    """See before hours are spent whether a model can be written there."""
    place = out.absolute()
    nearest = next(folder for folder in (place, *place.parents) if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise UsageError(f"--out {out}: {nearest} is no folder that can be written to: give another")
    check_card(out / CARD)


def _keep_config(path: Path, work: Path) -> None:
    try:
        write_whole(work / "config.toml", path.read_bytes())
    except OSError as exc:
        raise UsageError(f"--work {work} cannot be written to: {exc.strerror or exc}: make room there") from exc


def config_path(name: str) -> Path:
    """Find a configuration: a file, or one that comes with the package.

    Raises:
        UsageError: If there is neither.
    """
    bundled = Path(str(files("foveate.agent.training") / "configs"))
    if Path(name).is_file():
        return Path(name)
    known = {path.stem: path for path in sorted(bundled.glob("*.toml"))}
    if name in known:
        return known[name]
    raise UsageError(f"--config {name}: there is no such file: give a TOML file, or one of {', '.join(known)}")


def _need_torch() -> None:
    # threads that spin while they wait make every step many times slower where others use the processors, too, if it
    # is only the processes that make batches; read when torch is first imported
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as exc:
        raise MissingDependency("training", "pip install 'foveate[torch]'") from exc


def _prepared(
    order: Order, settings: Settings, view: TrainingView, stopping: "_Stopping"
) -> tuple["Training", "Begun"]:
    """Make the run, with its state loaded where it goes on."""
    import torch

    from foveate.agent.training.supply import supply_of
    from foveate.policies.engines.torch_loading import device_named
    from foveate.policies.training.architecture import Shape, new_model
    from foveate.policies.training.learning import Learner
    from foveate.policies.training.sft import STATE, STATE_KEYS, Begun, Training
    from foveate.policies.training.starting import fresh, given
    from foveate.policies.training.states import read_state

    device = device_named(order.device or "auto").type
    torch.set_num_threads(settings.run.threads or len(os.sched_getaffinity(0)))
    state: dict[str, Any] | None = None
    if order.resume:
        if not (order.work / STATE).exists():
            raise UsageError(f"--resume: {order.work} holds no state to go on from: leave --resume out to begin there")
        state = read_state(order.work / STATE, holding=STATE_KEYS)
        begun = Begun(**state["begun"])
        model = new_model(Shape(**begun.shape), seed=settings.seed)
    else:
        if (order.work / STATE).exists():
            raise UsageError(f"{order.work} holds a state: go on with --resume, or begin in another --work folder")
        shape, seed = settings.shape, settings.seed
        start = fresh(shape, seed=seed) if order.init is None else given(order.init, shape, seed=seed)
        if order.init is not None and settings.stages[0].sees_only:
            raise UsageError(
                f"--init {order.init}: stage {settings.stages[0].name} trains the vision tower alone, away from what "
                "the given language half has learned to read: begin with another stage, as --config tiny-more does"
            )
        if start.new_tokens:
            view.says(f"--init {order.init} does not know {start.new_tokens} of the tokens: they are learned anew")
        begun, model = Begun(asdict(start.shape), order.init), start.model
    _check_patches(settings, Shape(**begun.shape).patches ** 2)
    supply = supply_of(settings, order.work, tile=begun.shape["tile"], say=view.says)
    if settings.run.compile and device == "cpu":
        view.says("run.compile is left out: it is for --device cuda")
    learner = Learner(model, settings.optimiser, device=device, seed=settings.seed, compiled=settings.run.compile)
    training = Training(settings, learner, supply, begun, order.work, listener=view, stop=stopping.asked)
    if state is not None:
        training.resume(state)
    else:
        with contextlib.suppress(FileNotFoundError):
            (order.work / "log.jsonl").unlink()
    return training, begun


def _check_patches(settings: Settings, patches: int) -> None:
    for stage in settings.stages:
        if stage.patches > patches:
            raise UsageError(f"stage {stage.name}: patches = {stage.patches}, and a screen has {patches}: 0 is all")


def _describe(order: Order, settings: Settings, training: "Training", begun: "Begun") -> None:
    """Write card, curves and the run's own figures beside the weights."""
    run = {
        "config": order.config,
        "begun": f"random weights (seed {settings.seed})" if begun.given is None else f"the weights of {begun.given}",
        "given": begun.given,
        "shape": dict(begun.shape),
        "parameters": training.parameters,
        "machine": "{cores} cores of {cpu}".format_map(machine()) + (f", {training.gpu}" if training.gpu else ""),
        "stages": [asdict(result) for result in training.results],
        "settings": settings.model_dump(mode="json", exclude_none=True),
    }
    try:
        write_whole(order.out / RUN, (json.dumps(run, indent=1) + "\n").encode())
        write_whole(order.out / CURVES, (order.work / CURVES).read_bytes())
        write_card(order.out)
    except OSError as exc:
        raise TrainingError(
            f"the card in {order.out} cannot be written: {exc.strerror or exc}: make room there"
        ) from exc


def _how_to_go_on(order: Order) -> str:
    device = ["--device", order.device] if order.device is not None else []
    where = ["--config", order.config, "--work", str(order.work), "--out", str(order.out)]
    command = shlex.join(["foveate", "train", "sft", *where, *device, "--resume"])
    if not (order.work / "state.pt").exists():
        return f"Nothing was saved in {order.work} yet: begin again without --resume."
    written = [folder for folder in (order.work / "last", *order.work.glob("after-*")) if folder.is_dir()]
    newest = max(written, key=lambda folder: folder.stat().st_mtime, default=None)
    beside = "" if newest is None else f"; with another configuration, from weights: --init {newest}"
    return f"The state that was saved last is kept. Go on with: {command}{beside}"


class _Curved(TrainingView):
    """The view, which draws the curves after every measure."""

    def __init__(self, console: Console, work: Path) -> None:
        super().__init__(console)
        self._work = work

    def measures(self, line: Mapping[str, Any]) -> None:
        """Say what is right, and draw."""
        super().measures(line)
        self.draw()

    def draw(self) -> None:
        """Draw what the log holds; where there is no room for the picture, training goes on without it."""
        from foveate.policies.training.states import read_log

        lines = read_log(self._work / "log.jsonl")
        if lines:
            with contextlib.suppress(OSError):
                draw_curves(lines, self._work / CURVES)


class _Stopping:
    """Turns the first Ctrl-C, or SIGTERM, into what training asks between steps; a second one ends it at once."""

    def __init__(self, console: Console) -> None:
        self._console, self._asked = console, False
        self._before: dict[int, Any] = {}

    def asked(self) -> bool:
        """Tell whether training is to stop."""
        return self._asked

    def __enter__(self) -> "_Stopping":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        self._console.print("Stopping after the step in flight; once more stops at once.")
