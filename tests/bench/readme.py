"""Write the README's figures from tests/bench/results/*.json; ``--check`` only says whether they match."""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from foveate.agent.measured_tables import tables

ROOT = Path(__file__).parent.parent.parent
RESULTS = Path(__file__).parent / "results"
PHASES = ("tile", "encode", "prefill", "decode", "parse", "dispatch", "settle", "capture")
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"


def render() -> str:
    """Give the section between the markers."""
    parts = []
    loop = RESULTS / "loop.json"
    if loop.exists():
        parts.append(loop_tables(json.loads(loop.read_text())))
    fuzz = RESULTS / "fuzz_parse.json"
    if fuzz.exists():
        parts.append(fuzz_line(json.loads(fuzz.read_text())))
    tiny = RESULTS / "tiny.json"
    if tiny.exists():
        parts.append(tiny_section(json.loads(tiny.read_text()), tiny))
    overlap = RESULTS / "overlap.json"
    if overlap.exists():
        parts.append(overlap_section(json.loads(overlap.read_text()), overlap))
    return "\n\n".join(parts)


def overlap_section(figures: dict[str, Any], source: Path) -> str:
    """Give what two processes of one model come to, and the picture."""
    shown, memory = figures["shown"], figures["peak_mb"]
    others = figures["cores_used_by_others"][figures["shown_round"] - 1]
    return (
        f"One model in two processes (`foveate vision`) of one thread each, on {figures['machine']['cores']} cores of "
        f"which others used {others:.2f}; a made-up checkpoint far smaller than InternVL's: "
        f"{figures['requests']} requests take {shown['sequential']['seconds']:.2f} s one after the other, "
        f"{shown['overlapped']['seconds']:.2f} s at once. Of "
        f"another checkpoint, {memory['weights_bfloat16']:,} MB on the disk, an engine with all of it takes "
        f"{memory['whole_engine']:,} MB and its vision process {memory['vision_process']:,} MB, libraries included.\n\n"
        "![Vision, transfer and language, one after the other and overlapped]"
        f"({source.with_suffix('.png').relative_to(ROOT)})"
    )


def tiny_section(figures: dict[str, Any], source: Path) -> str:
    """Give what ``foveate eval tiny`` found of the bundled checkpoint: tables, and the picture."""
    shown = f"The bundled checkpoint, {tables(figures)}"
    picture = source.with_suffix(".png")
    if picture.exists():
        shown += f"\n\n![Hits and misses on the first pages of the clicks]({picture.relative_to(ROOT)})"
    return shown


def loop_tables(figures: dict[str, Any]) -> str:
    """Give the tables of ``foveate bench loop``."""
    machine = figures["machine"]
    head = (
        f"Runtime without the model (`foveate bench loop`), {machine['cores']} cores of {machine['cpu']}, "
        f"{figures['count']} presses a row, 1280x720. *Lag* is from the moment the effect was complete "
        "to the step's return."
    )
    episode, tiny = figures["episode"], figures["tiny"]
    lines = [
        f"A recorded episode of {episode['steps']} steps: {episode['first_ms']:.0f} ms a step in its second tenth, "
        f"{episode['last_ms']:.0f} ms in its last; memory {episode['memory_first_mb']:.0f} MB and "
        f"{episode['memory_last_mb']:.0f} MB. `from foveate.agent import Agent` takes {figures['import_ms']:.0f} ms "
        "more than `import numpy, pydantic` (budget 100), `import foveate.agent` alone next to nothing."
    ]
    if tiny:
        names = [name for name in PHASES if name in tiny]
        shown = ", ".join(f"{name} {tiny[name]:.0f}" for name in names)
        lines.append(f"A whole step with the bundled checkpoint: {tiny['total']:.0f} ms ({shown}).")
    return "\n\n".join(
        [
            head,
            table("effect at once", [*figures["instant"], *figures["peer"]]),
            table("effect late, or none", figures["late"]),
            summary([*figures["instant"], *figures["late"]]),
            *lines,
        ]
    )


def summary(rows: list[dict[str, Any]]) -> str:
    """Say how the rows that are waited for stand against the budgets for lag and for missed effects."""
    waited = [row for row in rows if row["waits"] and row["lag_ms"] is not None]
    late = [row for row in waited if not row["name"].startswith("instant")]
    looks = [row for row in late if "looks" in row["name"]]
    plain = [row for row in late if row not in looks]
    missed, count = sum(row["missed"] for row in waited), sum(row["count"] for row in waited)
    return (
        f"Median lag over the {len(plain)} kinds of late effect that settling waits for: {median_lag(plain):.0f} ms "
        f"(budget 60), {median_lag(looks):.0f} ms on a native button with looks; the slowest kind takes "
        f"{max(row['lag_ms'] for row in late):.0f} ms. Missed, of all presses whose effect is waited for: {missed} of "
        f"{count} (budget 1 %). Timers beyond the onset limit of 250 ms are listed and not waited for, by design."
    )


def median_lag(rows: list[dict[str, Any]]) -> float:
    """Give the median of the rows' lags, in ms."""
    return statistics.median(row["lag_ms"] for row in rows)


def table(title: str, rows: list[dict[str, Any]]) -> str:
    """Give one table of rows."""
    lines = [f"| {title} | step | lag | budget | missed |", "|---|---|---|---|---|"]
    for row in rows:
        lag = "" if row["lag_ms"] is None else f"{row['lag_ms']:.0f}"
        budget = "" if row["budget_ms"] is None else f"{row['budget_ms']:.0f}"
        missed = f"{row['missed']} of {row['count']}" + ("" if row["waits"] else " (not waited for)")
        lines.append(f"| {row['name']} | {row['step_ms']:.0f} | {lag} | {budget} | {missed} |")
    return "\n".join(lines)


def fuzz_line(figures: dict[str, Any]) -> str:
    """Give the sentence on the fuzzed parser."""
    outcomes = ", ".join(f"{name} {count:,}" for name, count in sorted(figures["outcomes"].items()))
    return f"The parser, {figures['count']:,} mutated model texts: {outcomes}; no other error."


def replaced(readme: str) -> str:
    """Give the README with the section filled in."""
    before, rest = readme.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{render()}\n{END}{after}"


def main() -> int:
    """Write, or check with ``--check``."""
    path = ROOT / "README.md"
    text = path.read_text()
    wanted = replaced(text)
    if "--check" in sys.argv:
        return 0 if text == wanted else 1
    path.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
