"""What an evaluation asks: its suites, the items of each, and the seeds that make them; all fixed here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from foveate.actions.errors import UsageError

TEST_SEEDS: Final = 10_000_000_000
"""Seeds from here on are for evaluation; nothing is ever trained on one."""

STRIDE: Final = 100_000_000
"""Seeds that one suite may use; suites begin so far apart."""

DRAW: Final = 10_000
"""``--seed N`` moves a suite's seeds by N times this; 0 gives the published ones."""

DRAWS: Final = 100
"""So many draws there are."""

NEXT_TRY: Final = DRAW * DRAWS
"""A page that has nothing of what is asked for is replaced by that of the seed so much further on."""

TRIES: Final = 50
"""So many pages are tried for an item."""

APPLICATIONS: Final = ("todo", "signin", "settings", "shop", "calendar")
"""The five sample applications; held out as a whole, so that their own seeds begin at 0."""

FIXING: Final = "fixing"
"""Pages that nobody is asked about: the best fixed point is chosen on their targets."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A set of items.

    Attributes:
        name: What ``foveate eval`` calls it.
        episodes: Items by default; of ``apps`` items an application.
        first_seed: The first item's seed; the others follow.
        what: A sentence for people.
        loops: True where items are whole episodes in a browser, False where one picture is asked about.
    """

    name: str
    episodes: int
    first_seed: int
    what: str
    loops: bool = False

    def seeds(self, episodes: int, draw: int) -> range:
        """Give the seeds of so many items.

        Raises:
            UsageError: If there are not so many.
        """
        if not 0 < episodes <= DRAW or not 0 <= draw < DRAWS:
            raise UsageError(
                f"--episodes {episodes} --seed {draw}: give 1 to {DRAW} episodes and a seed of 0 to {DRAWS - 1}"
            )
        begin = self.first_seed + draw * DRAW
        return range(begin, begin + episodes)


SUITES: Final[Mapping[str, Suite]] = MappingProxyType(
    {
        suite.name: suite
        for suite in (
            Suite("clicks", 500, TEST_SEEDS, "one instruction, one click, on generated pages never trained on"),
            Suite("typing", 100, TEST_SEEDS + STRIDE, "a text into the named field, in a real browser", loops=True),
            Suite("answers", 200, TEST_SEEDS + 2 * STRIDE, "saying the word that stands at a place"),
            Suite("programs", 100, TEST_SEEDS + 3 * STRIDE, "generated tasks of several steps", loops=True),
            Suite("apps", 20, 0, "the five sample applications, verified by the page", loops=True),
        )
    }
)
"""By name; ``tiny`` is all of them."""

FIXING_SUITE: Final = Suite(FIXING, 200, TEST_SEEDS + 9 * STRIDE, "pages on which the best fixed point is chosen")

ALL: Final = "tiny"
"""The name for all suites."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is asked.

    Attributes:
        suite: The suite's name.
        seed: Makes the page.
        split: ``seen`` or ``unseen`` fonts, themes and words; ``held-out`` of an application.
        application: The sample application's name; empty elsewhere.
    """

    suite: str
    seed: int
    split: str
    application: str = ""

    @property
    def key(self) -> str:
        """A name that no other item has."""
        return "/".join(part for part in (self.suite, self.application, self.split, str(self.seed)) if part)


@dataclass(frozen=True, slots=True)
class Done:
    """What came of an item.

    Attributes:
        item: What was asked.
        found: JSON data: ``right`` or ``verified``, what was said, and ``ms`` (by phase, one a step).
    """

    item: Item
    found: Mapping[str, Any] = field(repr=False)


def suites_named(name: str) -> tuple[Suite, ...]:
    """Give the suites that a name stands for.

    Raises:
        UsageError: If there is none of that name.
    """
    if name == ALL:
        return tuple(SUITES.values())
    if name not in SUITES:
        raise UsageError(f"no suite {name!r}: choose one of {', '.join(SUITES)}, or {ALL} for all of them")
    return (SUITES[name],)


def items_of(suite: Suite, episodes: int | None = None, draw: int = 0) -> tuple[Item, ...]:
    """List a suite's items: of generated pages each seed gives one of both splits, of applications one of each.

    Args:
        suite: Of which.
        episodes: How many; None is the suite's own number.
        draw: Which draw of seeds; the published figures are of 0.

    Raises:
        UsageError: If there are not so many seeds.
    """
    seeds = suite.seeds(episodes if episodes is not None else suite.episodes, draw)
    if suite.name == "apps":
        return tuple(Item("apps", seed, "held-out", name) for name in APPLICATIONS for seed in seeds)
    both = [Item(suite.name, seed, split) for seed in seeds for split in ("seen", "unseen")]
    return tuple(both[: len(seeds)])
