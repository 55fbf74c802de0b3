"""Batches without end, each a function of its number alone: so a run that goes on sees what an unbroken one would.

Processes make them ahead, in order, whatever their number; an error in one of them arrives as itself. They hand their
batches over through pipes, and not in shared memory, which may be small, and whose end a process would not survive to
tell of.
"""

import itertools
import random
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from types import FrameType
from typing import Any, NamedTuple, Protocol

import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, get_worker_info

from foveate.actions.errors import FoveateError, TrainingError, UsageError
from foveate.policies.training.architecture import Shape
from foveate.policies.training.packing import Batch, pack
from foveate.policies.training.screens import Screen
from foveate.policies.training.settings import RunSettings

_WAIT_S = 600.0


class Wanted(NamedTuple):
    """What screens are to be asked.

    Attributes:
        questions: How many a screen, as far as it has so many; 0 is none.
        mode: What a screen without questions of its own is asked; sources know what it means.
    """

    questions: int
    mode: str = "act"


class Source(Protocol):
    """Gives screens; is copied into each process that makes batches."""

    def screen(self, number: int, rng: random.Random, wanted: Wanted) -> Screen:
        """Give the screen of a number: the same for the same number and the same ``rng``.

        Args:
            number: Counts all screens of the run, those of other sources too.
            rng: Decides everything that is drawn by lot.
            wanted: What it is to be asked.

        Raises:
            UsageError: If what it reads is broken.
        """
        ...


@dataclass(slots=True)
class Portion:
    """A batch, and how much it is.

    Attributes:
        batch: The tensors.
        pages: Screens.
        answers: Questions that are answered, of all its screens.
    """

    batch: Batch
    pages: int
    answers: int


@dataclass(frozen=True, slots=True)
class _Sent:
    """A portion on its way from the process that made it."""

    arrays: dict[str, NDArray[Any]]
    pages: int
    answers: int

    @classmethod
    def of(cls, portion: Portion) -> "_Sent":
        batch = portion.batch
        return cls(
            {one.name: getattr(batch, one.name).numpy() for one in fields(batch)}, portion.pages, portion.answers
        )

    def portion(self) -> Portion:
        tensors = {name: torch.from_numpy(array) for name, array in self.arrays.items()}
        return Portion(Batch(**tensors), self.pages, self.answers)

    def pin_memory(self) -> Portion:
        """Put it where a GPU fetches it by itself; torch's loader calls this."""
        tensors = {name: torch.from_numpy(array).pin_memory() for name, array in self.arrays.items()}
        return Portion(Batch(**tensors), self.pages, self.answers)


@dataclass(frozen=True, slots=True)
class _Failed:
    message: str


class Stream(Dataset["Portion | _Sent | _Failed"]):
    """The batches of a stage, by step.

    Args:
        sources: By name.
        shares: How often each is drawn from, by name; those that are missing never.
        seed: Whatever makes two streams differ.
        first: Number of the first screen.
        pages: Screens a batch.
        wanted: What screens are to be asked.
        shape: The model's sizes.
        room: Tokens of a screen's questions, as ``pack`` has it.
    """

    def __init__(
        self, sources: Mapping[str, Source], shares: Mapping[str, float], *, seed: str, first: int, pages: int,
        wanted: Wanted, shape: Shape, room: int = 0,
    ) -> None:  # fmt: skip
        self._sources = [sources[name] for name in shares]
        self._shares = list(itertools.accumulate(shares.values()))
        self._seed, self._first, self._pages, self._wanted, self._shape = seed, first, pages, wanted, shape
        self._room = room

    def portion(self, step: int) -> Portion:
        """Make the batch of a step.

        Raises:
            UsageError: If what is read for it is broken.
        """
        screens = [self._screen(self._first + step * self._pages + at) for at in range(self._pages)]
        batch = pack(screens, self._shape, room=self._room)
        return Portion(batch, len(screens), batch.answered())

    def __getitem__(self, step: int) -> "Portion | _Sent | _Failed":
        """Make the batch of a step; an error is handed over as data, for another process could not raise it."""
        try:
            portion = self.portion(step)
        except FoveateError as exc:
            return _Failed(str(exc))
        return portion if get_worker_info() is None else _Sent.of(portion)

    def _screen(self, number: int) -> Screen:
        rng = random.Random(f"{self._seed}/{number}")  # noqa: S311 - drawing, not secrets
        (source,) = rng.choices(self._sources, cum_weights=self._shares)
        return source.screen(number, rng, self._wanted)


def batches(
    stream: Stream, steps: Sequence[int] | Iterator[int], run: RunSettings, *, pinned: bool = False
) -> Iterator[Portion]:
    """Give the batches of some steps, made ahead by other processes.

    Args:
        stream: Makes them.
        steps: Which, in order; may be without end.
        run: How many processes, and how far ahead.
        pinned: Put them where a GPU fetches them by itself.

    Raises:
        UsageError: If what is read for one is broken.
        TrainingError: If a process that makes them dies or is stuck.
    """
    loader = DataLoader(
        stream, batch_size=None, sampler=steps, num_workers=run.workers, collate_fn=_as_it_is, pin_memory=pinned,
        prefetch_factor=run.prefetch if run.workers else None, worker_init_fn=_begin_quietly,
        timeout=_WAIT_S if run.workers else 0,
    )  # fmt: skip
    try:
        for given in _watched(iter(loader)):
            if isinstance(given, _Failed):
                raise UsageError(given.message)
            yield given.portion() if isinstance(given, _Sent) else given
    except OSError as exc:
        raise TrainingError(
            f"no process that makes batches can be begun: {exc.strerror or exc}: free what is full, or run.workers = 0"
        ) from exc
    except RuntimeError as exc:
        if "DataLoader" not in str(exc):
            raise
        raise TrainingError(
            f"a process that makes batches failed: {str(exc).splitlines()[0]}: there may be too little memory for "
            f"run.workers = {run.workers} with run.prefetch = {run.prefetch}: lower them"
        ) from exc


def _watched(loader: Iterator[Any]) -> Iterator[Any]:
    """Give what a loader gives, and let the death of one of its processes be heard here alone.

    Torch hears of it by a signal, and would raise its error wherever this process is: in the middle of a step, too.
    """
    if threading.current_thread() is not threading.main_thread():
        yield from loader  # torch hears nothing either, and only notices when it waits for too long
        return
    heard = signal.getsignal(signal.SIGCHLD)
    waiting, late = False, False

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal late
        late = not waiting
        if waiting and callable(heard):
            heard(number, frame)

    signal.signal(signal.SIGCHLD, hear)
    try:
        while True:
            waiting = True
            if late and callable(heard):
                late = False
                heard(signal.SIGCHLD, None)
            try:
                given = next(loader)
            except StopIteration:
                return
            finally:
                waiting = False
            yield given
    finally:
        signal.signal(signal.SIGCHLD, heard)


def _as_it_is(portion: Any) -> Any:
    return portion


def _begin_quietly(number: int) -> None:
    """Leave Ctrl-C to the process that trains, and the processors to one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
