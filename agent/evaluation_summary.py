"""The figures of an evaluation: what is counted of each suite, and how it is written."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from foveate.agent.bench import machine
from foveate.agent.evaluation_figures import baselines, halves, medians, tallies
from foveate.agent.evaluation_items import FIXING, SUITES, Done
from foveate.agent.evaluation_journal import as_data

_WHAT = (
    "greedy answers; 'right' and 'verified' with Wilson 95 % intervals; 'verified' is the page's own word, 'own_word' "
    "verified and ended by the model's own word; halves: 'seen' fonts, themes and words, and 'unseen' ones, which were "
    "kept out of training altogether; milliseconds are medians over steps"
)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """How the figures were made.

    Attributes:
        head: What the outcome depends on.
        draw: Which draw of seeds.
        workers: Processes that shared the machine.
        seconds: How long it took; of a resumed run its last part.
    """

    head: Mapping[str, Any]
    draw: int
    workers: int
    seconds: float


def figures_of(done: Mapping[str, Sequence[Done]], made: Circumstances) -> dict[str, Any]:
    """Make the figures of what was done, by suite."""
    packages = ("foveate", "playwright", "torch", "transformers")
    return {
        "what": _WHAT,
        "head": dict(made.head),
        "draw": made.draw,
        "machine": machine(),
        "versions": {name: version for name in packages if (version := _version(name)) is not None},
        "workers": made.workers,
        "seconds": round(made.seconds, 1),
        "suites": {name: _suite(name, items, done) for name, items in done.items() if name != FIXING},
        "items": [as_data(one) for items in done.values() for one in items],
    }


def to_text(figures: Mapping[str, Any]) -> str:
    """Write figures as JSON, indented but for the items, which take a line each."""
    rest = {name: value for name, value in figures.items() if name != "items"}
    lines = ",\n".join("  " + json.dumps(item, allow_nan=False) for item in figures["items"])
    return json.dumps(rest, indent=1, allow_nan=False).removesuffix("\n}") + f',\n "items": [\n{lines}\n ]\n}}\n'


def line_of(suite: str, items: Sequence[Done], wanted: int) -> str:
    """Say how far a suite has come."""
    begun = f"{suite}: {len(items)} of {wanted}"
    columns = {"right": "right", "verified": "verified", "own_word": "ended by own word"}
    counts = [f"{sum(map(bool, values))} {word}" for column, word in columns.items() if (values := [
        one.found[column] for one in items if column in one.found
    ])]  # fmt: skip
    return ", ".join([begun, *counts])


def _suite(name: str, items: Sequence[Done], done: Mapping[str, Sequence[Done]]) -> dict[str, Any]:
    """Make one suite's figures."""
    suite = SUITES[name]
    made: dict[str, Any] = {"what": suite.what, "seeds": _span(items)}
    if not suite.loops:
        made["right"] = halves(items, "right")
    if name == "clicks":
        others = [one.found["target"] for one in done[FIXING]]
        made["roles"] = tallies(items, "right", lambda one: str(one.found["role"]))
        made["baselines"] = baselines(items, others)
        made["baselines"]["best_fixed_point"]["seeds"] = _span(done[FIXING])
    if suite.loops:
        made |= {column: halves(items, column) for column in ("verified", "own_word")}
        made["reasons"] = _counts(str(one.found["reason"]) for one in items)
        made["mean_steps"] = round(sum(one.found["steps"] for one in items) / max(len(items), 1), 2)
    if name == "apps":
        made |= {
            "applications": {
                column: tallies(items, column, lambda one: one.item.application) for column in ("verified", "own_word")
            }
        }
    if name == "programs":
        made["programs"] = {
            column: tallies(items, column, lambda one: str(one.found["program"])) for column in ("verified", "own_word")
        }
    return made | {"median_ms": medians(items)}


def _span(items: Sequence[Done]) -> list[int]:
    seeds = [one.item.seed for one in items]
    return [min(seeds), max(seeds)]


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
