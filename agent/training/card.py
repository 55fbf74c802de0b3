"""The model card: a template filled with what the run wrote down, and with the figures that were measured afterwards.

``python -m foveate.agent.training.card --model DIR --figures FILE.json`` fills it again, with the file that
``foveate eval --out`` wrote; the run itself lies beside the weights, in ``training.json``.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from foveate.actions.errors import UsageError
from foveate.agent.fingerprints import weights_in
from foveate.agent.measured_tables import tables
from foveate.agent.training.progress import clock
from foveate.agent.whole import write_whole

RUN: Final = "training.json"
"""What the run wrote down, in the checkpoint's folder."""

CARD: Final = "README.md"
_SECTION: Final = re.compile(r"<!-- (\w+) -->\n.*?<!-- /\1 -->", re.DOTALL)
"""What is written by the run and by measuring; what a person writes outside of it stays when a card is filled again."""

_NOT_YET: Final = "Not measured yet: `foveate eval tiny --model DIR --out FILE.json`."


def write_card(folder: Path, figures: Path | None = None) -> Path:
    """Write the card of a checkpoint that training wrote, or fill the sections of the one that is there again.

    Args:
        folder: The checkpoint's, with ``training.json``.
        figures: What ``foveate eval`` measured; None says that nothing was measured yet.

    Returns:
        The card's path.

    Raises:
        UsageError: If the run's file or the figures cannot be read, are of other weights, or the card that is there has
            no section.
        OSError: If it cannot be written; the one that is there stays.
    """
    run = _read(folder / RUN)
    measured = _NOT_YET if figures is None else _measured(folder, figures)
    try:
        facts = {**_facts(folder, run), "figures": f"{measured}\n\n{_trained(run)}"}
    except (KeyError, TypeError, ValueError) as exc:
        raise UsageError(f"{folder / RUN} is not as foveate train writes it ({exc!r}): the card needs it") from exc
    template = (files("foveate.agent.training") / "card.md").read_text(encoding="utf-8")
    write_whole(folder / CARD, _filled(folder / CARD, template.format(**facts)).encode())
    return folder / CARD


def check_card(card: Path) -> str:
    """See whether a card that is there can be filled again; gives its text, nothing where there is none.

    Raises:
        UsageError: If it cannot.
    """
    try:
        text = card.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as exc:
        why = (exc.strerror if isinstance(exc, OSError) else None) or exc
        raise UsageError(f"{card} cannot be read: {why}: move it away") from exc
    if not _SECTION.search(text):
        raise UsageError(f"{card} has no section to fill, as <!-- figures --> to <!-- /figures -->: move it away")
    return text


def _filled(card: Path, text: str) -> str:
    """Give a card's text: the one given, or its sections in what a person made of an earlier one."""
    fresh = {found[1]: found[0] for found in _SECTION.finditer(text)}
    return _SECTION.sub(lambda found: fresh.get(found[1], found[0]), check_card(card)) or text


def _measured(folder: Path, figures: Path) -> str:
    """Write what was measured of just these weights."""
    data = _read(figures)
    try:
        policy, weights = data["head"]["policy"], data["head"].get("weights")
        shown = tables(data)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise UsageError(f"{figures} is not as foveate eval writes it ({exc!r}): measure again") from exc
    if policy != "internvl" or weights != weights_in(folder):
        raise UsageError(f"{figures} was measured of other weights, or of another policy ({policy}): measure these")
    return shown


def _trained(run: Mapping[str, Any]) -> str:
    """Write the table of the stages."""
    lines = [
        "| stage | screens | answers | time | a second | right on held-out screens at its end |",
        "|---|---|---|---|---|---|",
    ]
    for stage in run["stages"]:
        seconds = max(float(stage["seconds"]), 1e-9)
        held = ", ".join(f"{name} {value:.0%}" for name, value in stage["measured"].items())
        pace = f"{stage['pages'] / seconds:.1f} screens, {stage['answers'] / seconds:.1f} answers"
        gate = "" if stage["gate"] is None else f" (gate {stage['gate']})"
        counts = f"{stage['pages']:,} | {stage['answers']:,} | {clock(seconds)}"
        lines.append(f"| {stage['name']} | {counts} | {pace} | {held}{gate} |")
    return "\n".join(lines) + f"\n\nTrained on {run['machine']}. ![Curves](curves.png)"


def _facts(folder: Path, run: Mapping[str, Any]) -> dict[str, str]:
    shape = run["shape"]
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 1e6
    return {
        "parameters": f"{run['parameters'] / 1e6:.1f} million",
        "megabytes": f"{size:.1f}",
        "tile": str(shape["tile"]),
        "patch": str(shape["patch"]),
        "tokens": str((shape["tile"] // shape["patch"] // 2) ** 2),
        "vision": f"width {shape['vision_width']}, {shape['vision_layers']} layers",
        "text": f"width {shape['text_width']}, {shape['text_layers']} layers",
        "head": str(shape["head"]),
        "config": str(run["config"]),
        "begun": str(run["begun"]),
        "init": f" --init {run['given']}" if run.get("given") else "",
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        reason = (exc.strerror if isinstance(exc, OSError) else None) or exc
        raise UsageError(f"{path} cannot be read: {reason}: the card needs it") from exc
    if not isinstance(data, dict):
        raise UsageError(f"{path} holds no JSON object: the card needs one")
    return data


def main(arguments: list[str] | None = None) -> int:
    """Write or fill the card of a checkpoint; gives the exit code."""
    parser = argparse.ArgumentParser(description="Write the card of a checkpoint that foveate train wrote.")
    parser.add_argument("--model", type=Path, required=True, help="the checkpoint's folder, with training.json")
    parser.add_argument("--figures", type=Path, default=None, help="what foveate eval --out wrote")
    chosen = parser.parse_args(arguments)
    try:
        write_card(chosen.model, chosen.figures)
    except UsageError as exc:
        told = str(exc)
    except OSError as exc:
        told = f"{chosen.model / CARD} cannot be written: {exc.strerror or exc}: make room there"
    else:
        return 0
    print(f"error: {told}", file=sys.stderr)  # noqa: T201 - for people
    return 2


if __name__ == "__main__":
    sys.exit(main())
