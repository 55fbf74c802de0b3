"""What the outcome of an evaluation's items depends on: policy, model, and the pages."""

import hashlib
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

from foveate.agent.evaluation_items import TEST_SEEDS
from foveate.agent.evaluation_worker import ORACLE, Deciding
from foveate.agent.fingerprints import fingerprint, weights_in
from foveate.agent.training.layouts import write_page
from foveate.agent.training.programs.making import program_task
from foveate.agent.training.words import Split
from foveate.policies.engines.names import LLAMACPP, SERVER

_SAMPLED = 12
"""So many generated pages and programs tell the generator's state."""


def head_of(deciding: Deciding) -> dict[str, Any]:
    """Say what the outcome of an item depends on: policy, model, and the pages.

    Raises:
        FoveateError: If there is no such model.
    """
    head: dict[str, Any] = {"policy": deciding.policy.partition(":")[0], "pages": _generator()}
    if deciding.policy == "internvl":
        engine = {} if deciding.engine in ("auto", "torch") else {"engine": deciding.engine}
        return head | engine | {"model": deciding.model, "weights": _weights(deciding)}
    if deciding.policy != ORACLE:
        script = Path(deciding.policy.partition(":")[2])
        return head | {"script": hashlib.sha256(script.read_bytes()).hexdigest()[:16]}
    return head


def _weights(deciding: Deciding) -> str | None:
    """Tell a model's weights from others; None where a server has them, which does not show them."""
    if deciding.engine == LLAMACPP:
        from foveate.policies.engines.llamacpp_files import find

        return fingerprint(find(deciding.model))
    if deciding.engine.startswith(SERVER):
        return None
    from foveate.policies.internvl import checkpoint

    folder = checkpoint.find(deciding.model)
    checkpoint.check(folder)
    return weights_in(folder)


def _generator() -> str:
    """Tell the pages and questions that are asked from those of another state of the generator."""
    found = hashlib.sha256()
    splits: tuple[Split, ...] = ("seen", "unseen")
    for seed, split in product(range(TEST_SEEDS, TEST_SEEDS + _SAMPLED), splits):
        found.update(f"{write_page(seed, split)} {program_task(seed, split).html}".encode())
    for name in ("asking.py", "naming.py", "phrases.py", "reading.js", "rendering.py"):
        found.update(files("foveate.agent.training").joinpath(name).read_bytes())
    return found.hexdigest()[:16]
