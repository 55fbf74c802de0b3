"""Examine a checkpoint on pages that it was never trained on: through InternVLPolicy, as the loop asks it.

``python -m foveate.agent.training.examination --model tiny --out FILE.json``
"""

import argparse
import asyncio
import json
import math
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from foveate.actions.errors import OutOfFrame, ParseError
from foveate.actions.geometry import Convention, Frame
from foveate.actions.parse import parse_answer
from foveate.actions.schema import Action, Click
from foveate.agent.training.make_tiny import TEST_SEEDS
from foveate.agent.training.pages import draw_page
from foveate.agent.training.tasks import WITHOUT_PLACE, point_at
from foveate.agent.training.web_pages import Page, draw_web_pages, load_pages, save_pages
from foveate.envs.base import Image, ScreenObservation
from foveate.policies.base import Decision, Outcome, Turn
from foveate.policies.internvl import InternVLPolicy
from foveate.policies.internvl.short_prompts import PREFILL
from foveate.policies.training.samples import Question

_DONE = {
    "click": "click(x=0.5, y=0.5)",
    "type_text": 'write(message="a")',
    "press": 'press(keys="enter")',
    "scroll": "scroll(clicks=-5)",
    "wait": "wait(seconds=1)",
    "respond": 'response(answer="a")',
}


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Give the Wilson 95 % interval of a share, both ends 0 to 1."""
    if count == 0:
        return 0.0, 1.0
    z, share = 1.96, hits / count
    middle, width = share + z * z / (2 * count), z * math.sqrt(share * (1 - share) / count + z * z / (4 * count**2))
    return max((middle - width) / (1 + z * z / count), 0.0), min((middle + width) / (1 + z * z / count), 1.0)


@dataclass(slots=True)
class Tally:
    """How often something was right."""

    hits: int = 0
    count: int = 0

    def add(self, right: bool) -> None:
        """Count one."""
        self.hits += right
        self.count += 1

    def report(self) -> dict[str, object]:
        """Give the share with its interval."""
        low, high = wilson(self.hits, self.count)
        share = round(self.hits / self.count, 4) if self.count else None
        return {"hits": self.hits, "of": self.count, "share": share, "wilson95": [round(low, 4), round(high, 4)]}


@dataclass(slots=True)
class Examination:
    """What was found out.

    Attributes:
        parsed: Answers that the parser takes.
        right: By kind of question, answers that do what was asked.
        milliseconds: By phase, of every answer.
        targets: What the clicks should have hit, as fractions of the page.
    """

    parsed: Tally = field(default_factory=Tally)
    right: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    milliseconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    targets: list[tuple[float, float, float, float]] = field(default_factory=list)

    def report(self) -> dict[str, object]:
        """Give everything as JSON."""
        medians = {phase: round(statistics.median(values), 2) for phase, values in sorted(self.milliseconds.items())}
        found = {kind: tally.report() for kind, tally in sorted(self.right.items())}
        return {"parsed": self.parsed.report(), "right": found, "blind": blind(self.targets), "median_ms": medians}


def _inside(x: float, y: float, target: tuple[float, float, float, float]) -> bool:
    return target[0] <= x < target[2] and target[1] <= y < target[3]


def blind(targets: list[tuple[float, float, float, float]]) -> dict[str, object]:
    """Say how often a click would hit that does not look: anywhere, and at the best of 2,500 fixed places."""
    if not targets:
        return {}
    anywhere = statistics.mean((right - left) * (bottom - top) for left, top, right, bottom in targets)
    grid = [((x + 0.5) / 50, (y + 0.5) / 50) for x in range(50) for y in range(50)]
    hits, place = max((sum(_inside(*place, target) for target in targets), place) for place in grid)
    return {"random_point": round(anywhere, 4), "best_fixed_point": round(hits / len(targets), 4), "at": place}


def seen(image: Image) -> ScreenObservation:
    """Make the observation that shows a picture."""
    frame = Frame(width=image.shape[1], height=image.shape[0])
    return ScreenObservation(image=image, frame=frame, captured_at_s=time.monotonic())


def past(question: Question, observation: ScreenObservation) -> tuple[Turn, ...]:
    """Make the turns that the loop would have given: one applied action a previous operation."""
    turns = []
    for line in question.operations.splitlines():
        kind = line.rpartition(": ")[2]
        if kind in _DONE:
            answer = parse_answer(_DONE[kind], frame=observation.frame, convention=Convention.UNIT)
            turns.append(Turn(observation, Decision(), (Outcome("allow", applied=answer.actions[0]),)))
    return tuple(turns)


def _wanted(question: Question, frame: Frame) -> Action:
    return parse_answer(PREFILL + question.answer, frame=frame, convention=Convention.UNIT).actions[0]


async def examine(policy: InternVLPolicy, pages: Iterable[Page], *, seed: int = 0) -> Examination:
    """Ask for a click on each page, whether it is done once it was made, and for one thing without a place."""
    found = Examination()
    rng = random.Random(seed)  # noqa: S311 - choosing, not secrets
    for image, labels in pages:
        label = rng.choice([label for label in labels if label.whole])
        task = rng.choice(("Click {}", "Click the {} button", "Click on {}")).format(label.text)
        observation = seen(image)
        click = await _ask(policy, observation, Question(task, "None", point_at(label)), found)
        at = click.at if isinstance(click, Click) else None
        found.right["click"].add(at is not None and _inside(at.x, at.y, label.target))
        found.targets.append(label.target)
        others = [
            Question(task, "Step 1: click", 'terminate(status="success")\n</action>'),
            rng.choice(WITHOUT_PLACE)(rng),
        ]
        for question in others:
            wanted = _wanted(question, observation.frame)
            answered = await _ask(policy, observation, question, found)
            found.right[wanted.kind].add(answered == wanted)
    return found


async def _ask(
    policy: InternVLPolicy, observation: ScreenObservation, question: Question, found: Examination
) -> Action | None:
    """Ask one question; None where the answer cannot be read."""
    await policy.reset(question.task)
    begun = time.perf_counter()
    decision = None
    try:
        decision = await policy.act(observation, past(question, observation))
    except (ParseError, OutOfFrame):
        found.parsed.add(False)
        return None
    found.parsed.add(True)
    found.milliseconds["whole"].append((time.perf_counter() - begun) * 1000)
    for phase, value in decision.usage.timing_ms.items():
        found.milliseconds[phase].append(value)
    return decision.actions[0]


def web_pages(count: int, kept: Path | None = None) -> list[Page]:
    """Draw held-out pages with Chromium; ``kept`` is a folder that they are taken from, or left in for next time."""
    if kept is not None and kept.is_dir():
        return load_pages(kept)[:count]
    pages = list(draw_web_pages(range(TEST_SEEDS, TEST_SEEDS + count)))
    if kept is not None:
        save_pages(kept, iter(pages))
    return pages


async def run(model: str, pages: int, web: list[Page]) -> dict[str, object]:
    """Examine a model on drawn pages and on pages that Chromium drew."""
    drawn = (draw_page(random.Random(TEST_SEEDS + seed)) for seed in range(pages))  # noqa: S311
    async with InternVLPolicy(model, engine="torch", device="cpu") as policy:
        first = await examine(policy, drawn)
        second = await examine(policy, web)
    return {"drawn_pages": first.report(), "chromium_pages": second.report()}


def main() -> None:
    """Examine a checkpoint and write what was found."""
    parser = argparse.ArgumentParser(description="Examine a checkpoint on pages that it was never trained on.")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--pages", type=int, default=400)
    parser.add_argument("--browser-pages", type=int, default=130)
    parser.add_argument("--keep", type=Path, default=None, help="folder of Chromium's pages, filled the first time")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    found = asyncio.run(run(chosen.model, chosen.pages, web_pages(chosen.browser_pages, chosen.keep)))
    chosen.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
