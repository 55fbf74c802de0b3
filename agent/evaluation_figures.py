"""Counts of right answers with their intervals, medians of times, and what a click that does not look would reach."""

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from foveate.agent.evaluation_items import Done

_Z = 1.959964
"""Standard score of a two-sided 95 % interval."""

GRID = 50
"""The best fixed point is one of so many places an axis."""

Box = Sequence[float]


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Give the Wilson 95 % interval of a share, both ends 0 to 1; of nothing it is everything.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if count == 0:
        return 0.0, 1.0
    share, square = hits / count, _Z * _Z
    middle = share + square / (2 * count)
    width = _Z * math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    return max((middle - width) / (1 + square / count), 0.0), min((middle + width) / (1 + square / count), 1.0)


def tally(outcomes: Iterable[bool]) -> dict[str, Any]:
    """Count what is true: ``right``, ``of``, ``share`` (None of nothing) and ``wilson95``, both ends."""
    listed = list(outcomes)
    right, count = sum(listed), len(listed)
    low, high = wilson(right, count)
    share = round(right / count, 4) if count else None
    return {"right": right, "of": count, "share": share, "wilson95": [round(low, 4), round(high, 4)]}


def tallies(items: Iterable[Done], column: str, by: Callable[[Done], str]) -> dict[str, dict[str, Any]]:
    """Count a column's true values in each group of items, by the group's name."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for item in items:
        groups[by(item)].append(bool(item.found[column]))
    return {name: tally(outcomes) for name, outcomes in sorted(groups.items())}


def medians(items: Iterable[Done]) -> dict[str, float]:
    """Give the median milliseconds of each phase over the steps of the items.

    Of episodes only steps count in which something was done on the world and looked at: one that merely ends the
    episode is no whole step.
    """
    spent: dict[str, list[float]] = defaultdict(list)
    for item in items:
        phases = item.found.get("ms", {})
        looked = phases.get("capture")
        for phase, values in phases.items():
            spent[phase] += values if looked is None else [ms for ms, seen in zip(values, looked, strict=True) if seen]
    return {phase: round(statistics.median(values), 1) for phase, values in spent.items() if values}


def inside(x: float, y: float, box: Box) -> bool:
    """Tell whether a place lies in a box; its right and bottom edges do not belong to it."""
    return box[0] <= x < box[2] and box[1] <= y < box[3]


def best_point(boxes: Sequence[Box]) -> tuple[float, float]:
    """Give the place, one of ``GRID`` an axis, that lies in most of the boxes; the first one of equals."""
    places = [((x + 0.5) / GRID, (y + 0.5) / GRID) for y in range(GRID) for x in range(GRID)]
    return max(places, key=lambda place: sum(inside(place[0], place[1], box) for box in boxes))


def baselines(items: Sequence[Done], others: Sequence[Box]) -> dict[str, Any]:
    """Give what three ways of clicking reach that do not look at the picture.

    Args:
        items: The clicks; ``target`` is a box, and two of the ways have their outcome in the item.
        others: The targets on other pages, which the fixed point is chosen by.
    """
    at = best_point(others)
    fixed = [Done(one.item, {"best_fixed_point": inside(*at, one.found["target"])}) for one in items]
    named: Mapping[str, tuple[Sequence[Done], str]] = {
        "random_point": (items, "a point drawn evenly over the picture, one a page"),
        "best_fixed_point": (
            fixed,
            f"of {GRID} x {GRID} places the one that lies in most targets of {len(others)} other pages",
        ),
        "random_element_oracle": (items, "the place of an element drawn evenly; it is told where all elements are"),
    }
    found: dict[str, Any] = {name: {"what": what, **halves(listed, name)} for name, (listed, what) in named.items()}
    found["best_fixed_point"]["at"] = [round(value, 4) for value in at]
    return found


def halves(items: Sequence[Done], column: str) -> dict[str, Any]:
    """Count a column's true values over all items (``all``) and by split."""
    whole = tally(bool(one.found[column]) for one in items)
    return {"all": whole, **tallies(items, column, lambda one: one.item.split)}
