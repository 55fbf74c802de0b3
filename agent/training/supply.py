"""Where training's screens come from: shards, varied and asked about, and pages drawn without a browser."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from foveate.actions.errors import UsageError
from foveate.agent.training.asking import Mode, ask
from foveate.agent.training.drawing import draw_screen
from foveate.agent.training.layouts import TEST_SEEDS
from foveate.policies.training.screens import Question, Screen
from foveate.policies.training.settings import BROWSERLESS, FolderSettings, Settings
from foveate.policies.training.sft import Supply
from foveate.policies.training.shards import shards_in
from foveate.policies.training.stored import StoredScreens, some_questions
from foveate.policies.training.stream import Source, Wanted
from foveate.policies.training.varying import varied


@dataclass(frozen=True, slots=True)
class Drawn:
    """Pages drawn without a browser; a Source.

    Attributes:
        side: Pixels along a side.
    """

    side: int

    def screen(self, number: int, rng: random.Random, wanted: Wanted) -> Screen:
        """Draw a page, crowded where nothing is asked, and ask about it."""
        crowded = not wanted.questions or rng.random() < 0.2
        return _asked(rng, draw_screen(rng, crowded=crowded, side=self.side), wanted)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Makes of a stored screen what is shown.

    A screen with questions of its own is asked those first, then what can be said by looking at it alone.

    Attributes:
        varied: Share of the screens that are recoloured.
        moved: Share of those that are moved, too.
    """

    varied: float
    moved: float

    def __call__(self, rng: random.Random, screen: Screen, wanted: Wanted) -> Screen:
        """Vary a screen and ask about it: its own questions where it has some, else new ones.

        Raises:
            UsageError: If it is one of those that are kept for evaluation.
        """
        refuse_kept(screen)
        shown = self._shown(rng, screen)  # places that a question names are those of the screen as it is shown
        return _own_first(rng, shown, wanted) if screen.questions else _asked(rng, shown, wanted)

    def _shown(self, rng: random.Random, screen: Screen) -> Screen:
        if rng.random() >= self.varied:
            return screen
        if rng.random() < self.moved:
            moved = varied(rng, screen)
            if moved.questions or not screen.questions:
                return moved
        return varied(rng, screen, move=False)


def refuse_kept(screen: Screen) -> None:
    """Refuse a screen that nothing may be trained on.

    Raises:
        UsageError: If its words, fonts and themes, or its seed, are kept for evaluation.
    """
    seed = screen.facts.get("seed", "")
    if screen.facts.get("split") != "seen" or not (seed.isascii() and seed.isdigit()) or int(seed) >= TEST_SEEDS:
        raise UsageError(
            f"a screen of seed {seed or 'unknown'}, split {screen.facts.get('split', 'unknown')}, is or may be kept "
            "for evaluation and is never trained on: "
            "make shards for training with foveate data make --split seen and seeds below ten billion"
        )


def supply_of(settings: Settings, work: Path, *, tile: int, say: Callable[[str], None]) -> Supply:
    """Open the sources that the stages of a run name.

    Args:
        settings: The run's.
        work: Folder that relative folders of shards lie under.
        tile: Pixels along a side of the model's picture.
        say: Takes a sentence for people: which folder is left out.

    Raises:
        UsageError: If a folder or a shard is missing, broken, of another size or kept for evaluation; or if a stage
            is left without screens.
    """
    named = {name for stage in settings.stages for name in settings.shares(stage)}
    shown: dict[str, Source] = {}
    held_out: dict[str, Source] = {}
    prints: list[str] = []
    for name, folder in settings.data.shards.items():
        if name not in named:
            continue
        stored = _stored(folder, work, settings.seed, tile, say)
        if stored is None:
            continue
        for index in (0, len(stored) - 1):  # before hours are spent
            refuse_kept(stored.read(index))
        shown[name], held_out[name] = stored.parted(settings.data.held_out)
        prints.append(f"{name} {stored.fingerprint()}")
    if BROWSERLESS in named:
        shown[BROWSERLESS] = held_out[BROWSERLESS] = Drawn(tile)
    for stage in settings.stages:
        if not any(name in shown for name in settings.shares(stage)):
            raise UsageError(
                f"stage {stage.name} has no screens left: make shards with foveate data make, or give "
                f"{BROWSERLESS} a share of it"
            )
    return Supply(shown, held_out, hashlib.sha256("\n".join(prints).encode()).hexdigest()[:16])


def _stored(
    folder: FolderSettings, work: Path, seed: int, tile: int, say: Callable[[str], None]
) -> StoredScreens | None:
    place = work / folder.folder
    if folder.missing == "leave out" and not any(place.glob("*.tar")):
        say(f"{place} holds no shards: training goes without them")
        return None
    return StoredScreens(shards_in(place), seed=seed, prepare=Prepared(folder.varied, folder.moved), side=tile)


def _own_first(rng: random.Random, screen: Screen, wanted: Wanted) -> Screen:
    own = some_questions(rng, screen, wanted).questions
    tasks = {question.task for question in own}
    more = _questions(rng, screen, wanted.questions - len(own), "look") if own else ()
    return replace(screen, questions=(*own, *(question for question in more if question.task not in tasks)))


def _asked(rng: random.Random, screen: Screen, wanted: Wanted) -> Screen:
    if not wanted.questions:
        return replace(screen, questions=())
    return replace(screen, questions=_questions(rng, screen, wanted.questions, cast(Mode, wanted.mode)))


def _questions(rng: random.Random, screen: Screen, count: int, mode: Mode) -> tuple[Question, ...]:
    try:
        return ask(rng, screen, count, mode=mode)
    except KeyError as exc:
        seed = screen.facts.get("seed", "?")
        raise UsageError(
            f"the screen of seed {seed} has an element, or a fact of one, that nothing can be asked about: {exc}: make "
            "its shard again with foveate data make"
        ) from exc
