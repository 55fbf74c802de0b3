"""Train the bundled checkpoint: pages drawn here, stages run by ``foveate.policies.training.trainer``.

``python -m foveate.agent.training.make_tiny --work FOLDER --out FOLDER`` trains or goes on where it stopped.
"""

import argparse
import logging
import random
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.utils.data import DataLoader, IterableDataset

from foveate.agent.training.pages import draw_page
from foveate.agent.training.shifting import varied
from foveate.agent.training.tasks import ask
from foveate.agent.training.web_pages import Page, load_pages
from foveate.policies.training.architecture import new_model, write_checkpoint
from foveate.policies.training.batching import Batch, collate
from foveate.policies.training.samples import Sample
from foveate.policies.training.trainer import Stage, Trainer

TEST_SEEDS = 10_000_000_000
"""Seeds from here on are for evaluation; training never reaches them."""

_DENSE = (16, 34)
_USUAL = (2, 12)
_KEPT = 64


class Pages(IterableDataset[Batch]):
    """Batches of pages without end; a page drawn is shown a few times, each time varied.

    Args:
        seed: Decides everything.
        size: Pages a batch.
        questions: Questions a page; 0 is for reading: crowded pages, nothing asked.
        uses: How often a page is shown, on the average.
        web: Folder of pages drawn by Chromium, shown as often as the others; None is without.
    """

    def __init__(self, seed: int, size: int, questions: int, uses: int, web: Path | None = None) -> None:
        self.seed = seed
        self.size = size
        self.questions = questions
        self.uses = uses
        self.web = web

    def __iter__(self) -> Iterator[Batch]:
        """Draw the next batches."""
        torch.set_num_threads(1)
        rng = random.Random(self.seed)  # noqa: S311 - drawing, not secrets
        stored = load_pages(self.web) if self.web is not None else []
        drawn: list[Page] = []
        while True:
            samples = []
            for _ in range(self.size):
                page = rng.choice(stored) if stored and rng.random() < 0.5 else self._drawn(rng, drawn)
                image, labels = varied(rng, *page)
                asked = ask(rng, labels, self.questions) if self.questions else ()
                samples.append(Sample(image, labels, asked))
            yield collate(samples)

    def _drawn(self, rng: random.Random, drawn: list[Page]) -> Page:
        """Give a page of those drawn before, or draw one more."""
        if len(drawn) >= self.size and rng.random() >= 1 / self.uses:
            return rng.choice(drawn)
        elements = _DENSE if not self.questions or rng.random() < 0.2 else _USUAL
        drawn.append(draw_page(rng, elements=elements))
        del drawn[:-_KEPT]
        return drawn[-1]


def stages(read: float, answer: float) -> tuple[Stage, Stage]:
    """Give the stages, in minutes: read first, by the vision tower alone; then match, point and answer."""
    everything = {"chars": 0.5, "centre": 0.25, "align": 1.0, "point": 1.0, "where": 0.5, "say": 1.0, "place": 1.0}
    return (
        Stage("read", read, {"chars": 1.0, "centre": 0.2}, rate=3e-3, floor=0.2, patches=96),
        Stage("answer", answer, everything, rate=2.5e-3, vision_rate=0.4, warm_up=100),
    )


def train(work: Path, plan: tuple[Stage, ...], *, web: Path | None = None, size: int = 8) -> Trainer:
    """Train, or go on where an earlier call was interrupted.

    Args:
        work: Folder of the state and the log.
        plan: The stages in order.
        web: Folder of pages drawn by Chromium, for the stages that answer; None is without.
        size: Pages a step; twice as many where nothing is asked.
    """
    trainer = Trainer(new_model(), work)
    begun = trainer.load()
    names = [stage.name for stage in plan]
    for stage in plan[names.index(begun) if begun in names else 0 :]:
        seed = trainer.pages
        pages = Pages(seed, 2 * size, 0, 6) if stage.sees_only else Pages(seed, size, 5, 3, web)
        trainer.run(stage, iter(DataLoader(pages, batch_size=None, num_workers=1, prefetch_factor=4)))
    return trainer


def main(arguments: list[str] | None = None) -> None:
    """Train and write the checkpoint."""
    parser = argparse.ArgumentParser(description="Train the bundled checkpoint on made-up pages.")
    parser.add_argument("--work", type=Path, required=True, help="folder for state and log; goes on where it stopped")
    parser.add_argument("--read-minutes", type=float, default=14.4, help="the vision tower alone")
    parser.add_argument("--answer-minutes", type=float, default=24.0, help="everything; 0 ends after reading")
    parser.add_argument("--web", type=Path, default=None, help="pages that foveate.agent.training.web_pages wrote")
    parser.add_argument("--out", type=Path, default=None, help="folder that the checkpoint is written to")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(2)
    plan = stages(chosen.read_minutes, chosen.answer_minutes)
    trainer = train(chosen.work, plan, web=chosen.web)
    if chosen.out is not None:
        write_checkpoint(chosen.out, trainer.model)


if __name__ == "__main__":
    main()
