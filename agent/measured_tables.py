"""What ``foveate eval`` measured, as tables for people: the README's and the model card's."""

from collections.abc import Mapping
from typing import Any, Final

_HALVES: Final = ("all", "seen", "unseen")
_PHASES: Final = ("tile", "encode", "prefill", "decode", "parse", "dispatch", "settle", "capture")
_ROWS: Final = (
    ("one click", "clicks", ("right",)),
    ("*a random point*", "clicks", ("baselines", "random_point")),
    ("*the best fixed point, chosen on other pages*", "clicks", ("baselines", "best_fixed_point")),
    ("*a random element, told where they are*", "clicks", ("baselines", "random_element_oracle")),
    ("a text into the named field", "typing", ("verified",)),
    ("... and ended by its own word", "typing", ("own_word",)),
    ("the word at a place", "answers", ("right",)),
    ("a task of several steps", "programs", ("verified",)),
    ("... and ended by its own word", "programs", ("own_word",)),
)


def tables(figures: Mapping[str, Any]) -> str:
    """Write figures as Markdown.

    Args:
        figures: As ``foveate eval`` writes them; suites that were not measured are left out.
    """
    suites, machine = figures["suites"], figures["machine"]
    parts = [
        f"`foveate eval`, {machine['cores']} cores of {machine['cpu']}: right answers with Wilson 95 % intervals. Half "
        "of the generated pages are made of fonts, themes and words that were kept out of training; no sample "
        "application, and no sentence of one, is in what it was trained on."
    ]
    rows = [(name, _at(suites[suite], path)) for name, suite, path in _ROWS if suite in suites]
    if rows:
        lines = ["| generated pages | all | trained on the like | kept out |", "|---|---|---|---|"]
        lines += [f"| {name} | {' | '.join(share(found.get(half)) for half in _HALVES)} |" for name, found in rows]
        parts.append("\n".join(lines))
    if "clicks" in suites:
        named = sorted(suites["clicks"].get("roles", {}).items(), key=lambda item: -item[1]["of"])
        if named:
            told = ", ".join(f"{role} {found['right']} of {found['of']}" for role, found in named)
            parts.append(f"Clicks by what was to be clicked: {told}.")
    if "apps" in suites:
        parts += _applications(suites["apps"])
    elif spent := next((suite["median_ms"] for suite in suites.values() if suite.get("median_ms")), None):
        parts.append(f"A step: {_spent(spent)}.")
    return "\n\n".join(parts)


def _applications(apps: Mapping[str, Any]) -> list[str]:
    columns = [apps["applications"][column] for column in ("verified", "own_word")]
    lines = ["| sample application | verified by the page | and ended by its own word |", "|---|---|---|"]
    lines += [f"| {name} | {' | '.join(share(column[name]) for column in columns)} |" for name in columns[0]]
    lines.append(f"| all | {share(apps['verified']['all'])} | {share(apps['own_word']['all'])} |")
    spent = apps.get("median_ms")
    step = [f"A whole step in the applications: {_spent(spent)}; the budget is 500 ms."] if spent else []
    return ["\n".join(lines), *step]


def share(tally: Mapping[str, Any] | None) -> str:
    """Write a count, its share and its interval; a dash of nothing."""
    if tally is None or not tally["of"]:
        return "-"
    low, high = tally["wilson95"]
    return f"{tally['right']} of {tally['of']}: {tally['share']:.0%} ({low:.0%} to {high:.0%})"


def _spent(milliseconds: Mapping[str, float]) -> str:
    parts = ", ".join(f"{name} {milliseconds[name]:.0f}" for name in _PHASES if name in milliseconds)
    return f"{milliseconds['total']:.0f} ms median ({parts})" if parts else f"{milliseconds['total']:.0f} ms median"


def _at(value: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any]:
    for name in path:
        value = value.get(name, {})
    return value
