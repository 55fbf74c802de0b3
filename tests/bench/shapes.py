"""Compares patch sizes and viewports by what reading reaches in the same time, and by what a step costs.

Run ``python tests/bench/shapes.py --out tests/bench/results/shapes.json``. Each shape trains the first stage of the
bundled checkpoint's recipe, the vision tower alone, for the same minutes on pages of its own viewport; then it answers
requests through the engine. Absolute figures depend on the machine; every shape has the same time on it.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from foveate.agent.bench import machine
from foveate.agent.training.making import Way, make, orders
from foveate.agent.training.running import Order, begin
from foveate.policies.engines.base import ImagePart, Message, Request, TextPart
from foveate.policies.engines.torch import TorchEngine

TILE = 448
ROUNDS = 20
ANSWER = 24
QUESTION = "\nTask:\nClick Save and close\n\nPrevious operations:\nNone"

RECIPE = """
seed = 1
[shape]
patch = {patch}
[data.shards.pages]
folder = "{pages}"
[evaluation]
every = 100000
[run]
workers = 1
[[stages]]
name = "read"
objectives = {{ chars = 1.0, centre = 0.2 }}
minutes = {minutes}
batch_pages = 32
patches = {looked_at}
rate = 3e-3
floor = 0.2
"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A shape that might be taken.

    Attributes:
        patch: Side of a patch, pixels of the tile.
        side: Side of the viewport, CSS pixels; the device scale makes it one tile.
    """

    patch: int
    side: int


CANDIDATES = tuple(Candidate(patch, side) for patch, side in ((28, 320), (16, 320), (32, 320), (28, 448), (16, 448)))


def draw(side: int, count: int, folder: Path) -> None:
    """Draw pages for a viewport, once."""
    way = Way(side=side, scale=TILE / side)
    folder.mkdir()
    make(orders(folder, range(count), "seen", 2, way), workers=2, say=lambda _: None)


def trained(candidate: Candidate, minutes: float, pages: Path, work: Path) -> tuple[Path, dict[str, Any]]:
    """Train to read; give the checkpoint and what the stage came to."""
    work.mkdir()
    config = work / "shape.toml"
    looked_at = round(0.375 * (TILE // candidate.patch) ** 2)
    config.write_text(RECIPE.format(patch=candidate.patch, pages=pages, minutes=minutes, looked_at=looked_at))
    ended = begin(Order(str(config), work, work / "model"), Console(stderr=True, quiet=True))
    return ended.model, dict(ended.stages[0])


async def timed(model: Path) -> dict[str, float]:
    """Ask the checkpoint about noise, one fixed question again and again; medians in milliseconds."""
    found: list[dict[str, float]] = []
    rng = np.random.default_rng(0)
    async with TorchEngine(model, device="cpu") as engine:
        for _ in range(ROUNDS):
            image = rng.integers(0, 256, (TILE, TILE, 3), np.uint8)
            system = Message("system", (TextPart("You are a GUI agent."),))
            user = Message("user", (ImagePart(image, max_tiles=1), TextPart(QUESTION)))
            told = engine.generate(Request((system, user), max_new_tokens=ANSWER))
            used = [delta.usage async for delta in told if delta.usage is not None]
            found += [{**usage.timing_ms, "tokens": usage.output} for usage in used]
    each = {name: statistics.median(one[name] for one in found) for name in ("encode", "prefill")}
    each["decode_per_token"] = statistics.median(one["decode"] / max(one["tokens"], 1) for one in found)
    return {name: round(value, 2) for name, value in each.items()}


def measured(candidate: Candidate, minutes: float, count: int, folder: Path) -> dict[str, Any]:
    """Train and time one shape."""
    pages = folder / f"pages-{candidate.side}"
    if not pages.exists():
        draw(candidate.side, count, pages)
    model, stage = trained(candidate, minutes, pages, folder / f"{candidate.patch}-{candidate.side}")
    visual = (TILE // candidate.patch // 2) ** 2
    return {
        **asdict(candidate), "scale": round(TILE / candidate.side, 3), "visual_tokens": visual,
        "screens": stage["pages"], "characters_right": round(stage["measured"]["chars"], 4),
        "ms": asyncio.run(timed(model)),
    }  # fmt: skip


def main() -> int:
    """Compare, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=4.0, help="training of each shape")
    parser.add_argument("--pages", type=int, default=2000, help="pages drawn for each viewport")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for candidate in CANDIDATES:
            rows.append(measured(candidate, options.minutes, options.pages, Path(folder)))
            print(json.dumps(rows[-1]), flush=True)
    figures = {
        "what": "the vision tower alone, trained to read for the same time; milliseconds are medians of one request",
        "minutes": options.minutes, "pages": options.pages, "machine": machine(),
        "versions": {name: version(name) for name in ("foveate", "torch", "transformers")}, "shapes": rows,
    }  # fmt: skip
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
