"""From a seed to a program: family, words and look are all the seed's."""

import random
from functools import lru_cache

from foveate.agent.training.programs.families import FAMILIES
from foveate.agent.training.programs.kit import Kit
from foveate.agent.training.programs.page import framed, write_page
from foveate.agent.training.programs.task import ProgramTask
from foveate.agent.training.words import Split

_MAX_STEPS = 24


@lru_cache(maxsize=64)
def program_task(seed: int, split: Split = "seen") -> ProgramTask:
    """Make a program; the same one for the same seed and split.

    Args:
        seed: Decides everything; seeds from TEST_SEEDS on are for evaluation alone. Seeds that follow one another go
            through the families in turn.
        split: ``unseen`` draws words, font and look of those that are kept out of training.
    """
    family = tuple(FAMILIES)[seed % len(FAMILIES)]
    kit = Kit(random.Random(f"program {seed} {split}"), split)  # noqa: S311 - drawing, not secrets
    made = framed(kit, FAMILIES[family](kit))
    return ProgramTask(
        seed=seed,
        split=split,
        language=kit.language,
        family=family,
        template=made.template,
        html=write_page(kit, made, seed),
        instruction=made.instruction,
        max_steps=_MAX_STEPS,
        answer=made.answer,
        impossible=made.impossible,
        plan=made.plan,
    )
