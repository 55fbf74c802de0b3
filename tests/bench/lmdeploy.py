"""Measure the LMDeploy engine on a CUDA GPU: shapes of 1B and 8B with random weights, base and Flash.

The checkpoints are made here and served in LMDeploy's own environment; where there is none, or no GPU, that is said and
nothing is measured.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from foveate.policies.internvl.catalogue import SIZES
from foveate.policies.internvl.converting import convert
from foveate.policies.internvl.made_up import made_up
from tests.lmdeploy_env import INTERPRETER, MISSING, inside

SCRIPT = Path(__file__).parents[1] / "policies" / "lmdeploy_gpu.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", action="append", choices=list(SIZES), help="1B and 8B by default; repeatable")
    parser.add_argument("--rounds", type=int, default=5, help="requests a row")
    options = parser.parse_args()
    lacks = MISSING if not INTERPRETER.exists() else "" if torch.cuda.is_available() else "there is no CUDA GPU here"
    if lacks:
        print(f"LMDeploy is NOT measured: {lacks}")
        return
    for size in options.size or ["1B", "8B"]:
        for flash in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                made = made_up(SIZES[size], Path(folder) / "made", flash=flash)
                model = made if flash else convert(made, Path(folder) / "github", "github").folder
                (found,) = inside(SCRIPT, str(options.rounds), str(model), timeout_s=1800)
            for row in found["rows"]:
                print(
                    f"lmdeploy {found['backend']} {size}{'-Flash' if flash else ''}, {row['tiles']} tiles: "
                    f"first token after {row['prefill']:.1f} ms, {row['output']} tokens in {row['total_ms']:.1f} ms"
                )


if __name__ == "__main__":
    main()
