"""Run by LMDeploy's own interpreter on a machine with a GPU: LMDeployEngine on real kernels, checked and timed.

Usage: lmdeploy_gpu.py ROUNDS FOLDER...; the folders hold checkpoints in GitHub's layout. What was found is printed as
JSON, one object a folder.
"""

import asyncio
import json
import statistics
import sys
import time
from contextlib import aclosing, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from foveate.policies.engines.base import ImagePart, Message, Request, TextPart
from foveate.policies.engines.lmdeploy import LMDeployEngine

TILES = (1, 4, 12)


def requested(tiles: int, *, most: int = 32, **more: Any) -> Request:
    image = np.random.default_rng(tiles).integers(0, 256, (448, 448 * tiles, 3), dtype=np.uint8)
    user = Message("user", (ImagePart(image, tiles), TextPart("Save the document under the name report")))
    return Request((Message("system", (TextPart("You act."),)), user), max_new_tokens=most, **more)


async def asked(engine: LMDeployEngine, request: Request) -> dict[str, Any]:
    begun = time.perf_counter()
    deltas = [delta async for delta in engine.generate(request)]
    usage = deltas[-1].usage
    assert usage is not None
    return {
        "text": "".join(delta.text for delta in deltas), "finish": deltas[-1].finish, "visual": usage.visual,
        "prompt": usage.prompt, "output": usage.output, "cached": usage.cached,
        "total_ms": (time.perf_counter() - begun) * 1000, **usage.timing_ms,
    }  # fmt: skip


async def measured(folder: str, rounds: int) -> dict[str, Any]:
    async with LMDeployEngine(folder, trust_remote_code=True, context=8192) as engine:
        made = engine.settings
        assert made is not None
        found: dict[str, Any] = {"folder": folder, "backend": made.backend, "flash": made.flash, "rows": []}
        found["word"] = await asked(engine, requested(1, grammar="(yes|no)"))
        found["first"], found["again"] = [await asked(engine, requested(1)) for _ in range(2)]
        begun = time.perf_counter()
        async with aclosing(engine.generate(requested(1, most=4000))) as stream:
            await anext(stream)
        found["abort_s"] = time.perf_counter() - begun
        for tiles in TILES:
            told = [await asked(engine, requested(tiles)) for _ in range(rounds + 1)][1:]
            medians = {name: statistics.median(one[name] for one in told) for name in ("prefill", "decode", "total_ms")}
            found["rows"].append({"tiles": tiles, "visual": told[0]["visual"], "output": told[0]["output"], **medians})
    return found


if __name__ == "__main__":
    with redirect_stdout(sys.stderr):
        each = [asyncio.run(measured(folder, int(sys.argv[1]))) for folder in sys.argv[2:] if Path(folder).is_dir()]
    print(json.dumps(each))
