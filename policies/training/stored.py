"""Screens of shards by number: each is read when it is wanted, and an epoch shows every one of them once."""

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foveate.actions.errors import UsageError
from foveate.policies.training.screens import Screen
from foveate.policies.training.shards import Entry, entries_of, read_entry
from foveate.policies.training.stream import Wanted


class StoredScreens:
    """The screens of some shards, in an order of its own every epoch; a Source.

    Args:
        shards: The files; their lists of contents are read at once.
        seed: Of the order.
        prepare: Makes of a stored screen what is shown, given what decides and what is to be asked. By default the
            screen with some of its own questions, drawn by lot.
        side: Pixels along a side that every picture must have; None takes any.

    Raises:
        UsageError: If a shard is broken, or if there is no screen at all.
    """

    def __init__(
        self,
        shards: Sequence[Path],
        *,
        seed: int = 0,
        prepare: Callable[[random.Random, Screen, Wanted], Screen] | None = None,
        side: int | None = None,
    ) -> None:
        self._shards = tuple(shards)
        self._seed = seed
        self._prepare = prepare or some_questions
        self._side = side
        found = [_contents(number, path) for number, path in enumerate(self._shards)]
        self._rows: NDArray[np.int64] = np.concatenate([np.zeros((0, 6), np.int64), *found])
        if not len(self._rows):
            raise UsageError(
                f"{', '.join(map(str, shards)) or 'no shards'}: not one screen: make some with foveate data make"
            )

    def __len__(self) -> int:
        """Give the number of screens."""
        return len(self._rows)

    def parted(self, share: float) -> "tuple[StoredScreens, StoredScreens]":
        """Part the last screens from the others: those to train on, and those held out (at least one of each).

        Args:
            share: Share of the screens that is held out, 0 to 1.

        Raises:
            UsageError: If there is but one screen.
        """
        count = min(max(1, round(share * len(self))), len(self) - 1)
        if not count:
            raise UsageError(
                f"{self._shards[0]} holds one screen: make more, to train on some and to measure on others"
            )
        return self._some(self._rows[:-count]), self._some(self._rows[-count:])

    def screen(self, number: int, rng: random.Random, wanted: Wanted) -> Screen:
        """Give the screen of a number, prepared.

        Raises:
            UsageError: If its shard is broken.
        """
        epoch, at = divmod(number, len(self))
        return self._prepare(rng, self.read(int(_order(self._seed, epoch, len(self))[at])), wanted)

    def read(self, index: int) -> Screen:
        """Read a screen as it is stored.

        Args:
            index: 0 to the number of screens.

        Raises:
            UsageError: If its shard is broken, or its picture has another size.
        """
        shard, *entry = (int(value) for value in self._rows[index])
        path = self._shards[shard]
        screen = read_entry(path, Entry(*entry))
        if self._side is not None and screen.image.shape[:2] != (self._side, self._side):
            high, wide = screen.image.shape[:2]
            raise UsageError(
                f"{path}: a screen is {wide}x{high} pixels and the model's tile is {self._side}: set shape.tile, or "
                "make the shards again"
            )
        return screen

    def fingerprint(self) -> str:
        """Give what two runs on the same screens have in common: names of shards, numbers and texts of screens.

        Pictures are left out: two drawings of one page may differ by a shade.
        """
        data = [[path.name for path in self._shards], self._rows[:, [0, 4]].tolist()]
        return hashlib.sha256(json.dumps(data).encode()).hexdigest()[:16]

    def _some(self, rows: NDArray[np.int64]) -> "StoredScreens":
        part = StoredScreens.__new__(StoredScreens)
        part._shards, part._seed, part._prepare, part._rows = self._shards, self._seed, self._prepare, rows
        part._side = self._side
        return part


def some_questions(rng: random.Random, screen: Screen, wanted: Wanted) -> Screen:
    """Give a screen with some of its own questions, drawn by lot."""
    chosen = rng.sample(screen.questions, min(wanted.questions, len(screen.questions)))
    return replace(screen, questions=tuple(chosen))


def _contents(number: int, path: Path) -> NDArray[np.int64]:
    """List a shard's screens: its number, then their entries."""
    return np.array([(number, *entry) for entry in entries_of(path)], np.int64).reshape(-1, 6)


@lru_cache(maxsize=8)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Give the order of an epoch."""
    return np.random.default_rng([seed, epoch]).permutation(count)
