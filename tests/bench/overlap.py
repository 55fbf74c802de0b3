"""Shows that seeing, sending and answering overlap where a model's two halves are two processes on one CPU.

Run ``python tests/bench/overlap.py --out tests/bench/results/overlap.json``; a picture of the same name is drawn beside
it. The checkpoint is made up, far smaller than a true one, and each process has one thread: what is shown is the order
of things, not a speed of InternVL. The same requests are asked one after the other and all at once, in turns; all
rounds are listed, each with the processors that others used meanwhile, and the picture and the ratio are of the round
that was disturbed least. Both processes read one machine's monotonic clock. Memory is measured with another checkpoint,
of a true vocabulary, whose language half is by far the larger one.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, aclosing, contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from foveate.agent.bench import machine, write_figures
from foveate.policies.engines.base import ImagePart, Message, Request, TextPart
from foveate.policies.engines.dvd_wire import RemoteVision, Times
from foveate.policies.engines.torch import TorchEngine
from foveate.policies.internvl.catalogue import SIZES
from foveate.policies.internvl.made_up import Reduced, made_up

REDUCED = Reduced(layers=4, narrower=4)
LARGE_LANGUAGE = Reduced(layers=2)
WHOLE = """
import asyncio, sys
from foveate.policies.engines.torch import TorchEngine
async def hold():
    async with TorchEngine(sys.argv[1], device="cpu", dtype="float32"):
        print("loaded", flush=True)
        await asyncio.sleep(600)
asyncio.run(hold())
"""
LANES = ("vision", "transfer", "language")
WHOSE: ContextVar[int] = ContextVar("WHOSE")
"""The number of the request that a task is about."""

COLOURS = ((31, 119, 180), (255, 127, 14), (44, 160, 44))


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that took a time: seconds since the round began."""

    request: int
    lane: str
    began_s: float
    ended_s: float


Round: TypeAlias = tuple[float, list[Bar]]


def asked(count: int, tiles: int, tokens: int) -> list[Request]:
    """Lay out requests, each with a picture of its own."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(count):
        image = rng.integers(0, 256, (448, 448 * tiles, 3), np.uint8)
        user = Message("user", (ImagePart(image, tiles), TextPart(f"Click button {number}")))
        found.append(Request((Message("system", (TextPart("You are a GUI agent."),)), user), max_new_tokens=tokens))
    return found


async def answered(engine: TorchEngine, request: Request, number: int = 0) -> tuple[float, float]:
    """Ask, to the end; give when the language half began and ended."""
    WHOSE.set(number)
    async with aclosing(engine.generate(request)) as stream:
        usages = [delta.usage async for delta in stream if delta.usage is not None]
    ended = time.monotonic()
    timing = usages[-1].timing_ms
    return ended - (timing["prefill"] + timing["decode"]) / 1000, ended


async def timed(
    engine: TorchEngine, requests: Sequence[Request], heard: dict[int, Times], *, overlapped: bool
) -> Round:
    """Ask all requests; give how long it took, and what was when."""
    heard.clear()
    numbered = [(request, number) for number, request in enumerate(requests)]
    start = time.monotonic()
    if overlapped:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(answered(engine, *each)) for each in numbered]
        spoken = [task.result() for task in tasks]
    else:
        spoken = [await answered(engine, *each) for each in numbered]
    total = time.monotonic() - start
    bars = []
    for number, times in heard.items():
        bars += [
            Bar(number, "transfer", times.sent_s - start, times.received_s - start),
            Bar(number, "vision", times.began_s - start, times.ended_s - start),
            Bar(number, "transfer", times.ended_s - start, times.got_s - start),
        ]
    bars += [Bar(number, "language", began - start, ended - start) for number, (began, ended) in enumerate(spoken)]
    return total, bars


@contextmanager
def started(*command: str) -> Iterator[tuple[int, str]]:
    """Run a process of one thread; give its number and its first line, which comes when it has loaded."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            yield process.pid, process.stdout.readline().strip()
        finally:
            process.terminate()


def vision_process(model: Path, *flags: str) -> AbstractContextManager[tuple[int, str]]:
    """Run ``foveate vision``; its first line is its address."""
    command = str(Path(sys.executable).with_name("foveate"))
    return started(command, "vision", str(model), "--device", "cpu", "--bind", "tcp://127.0.0.1:0", *flags)


def memory() -> dict[str, Any]:
    """Give the peak memory of a vision process and of an engine with the whole checkpoint, both float32, in MB."""
    with tempfile.TemporaryDirectory() as folder:
        model = made_up(SIZES["1B"], Path(folder) / "model", reduced=LARGE_LANGUAGE)
        weights_mb = round(sum(file.stat().st_size for file in model.glob("*.safetensors")) / 2**20)
        with vision_process(model, "--dtype", "float32") as (vision, _):
            vision_mb = peak_mb(vision)
        with started(sys.executable, "-c", WHOLE, str(model)) as (whole, _):
            whole_mb = peak_mb(whole)
    return {"weights_bfloat16": weights_mb, "vision_process": vision_mb, "whole_engine": whole_mb}


def busy_s(*processes: int) -> float:
    """Give the processor seconds that this machine has worked so far, those of some processes left out."""
    tick = os.sysconf("SC_CLK_TCK")
    user, nice, system, *_ = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:])
    own = 0
    for process in processes:
        after = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        own += int(after[11]) + int(after[12])
    return (user + nice + system - own) / tick


def peak_mb(process: int) -> int:
    """Give the greatest memory that a process has held, in MB."""
    line = next(line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return round(int(line.split()[1]) / 1024)


async def alone(wait_s: float, *processes: int) -> None:
    """Wait until others leave the processors alone for two seconds; at most so long."""
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        before = busy_s(*processes)
        await asyncio.sleep(2.0)
        if busy_s(*processes) - before < 0.3:
            return


async def measured(model: Path, address: str, vision: int, options: argparse.Namespace) -> dict[str, Any]:
    """Ask in turns; give the figures."""
    heard: dict[int, Times] = {}
    requests = asked(options.requests, options.tiles, options.tokens)
    rounds: dict[str, list[Round]] = {"sequential": [], "overlapped": []}
    remote = RemoteVision(address, ahead=2, wait_s=300.0, heard=lambda times: heard.update({WHOSE.get(): times}))
    async with TorchEngine(model, device="cpu", dtype="float32", vision=remote) as engine:
        await answered(engine, requests[0])
        others: list[float] = []
        for _ in range(options.rounds):
            await alone(options.wait_s, *(own := (os.getpid(), vision)))
            before, start = busy_s(*own), time.monotonic()
            for way, found in rounds.items():
                found.append(await timed(engine, requests, heard, overlapped=way == "overlapped"))
            others.append(round((busy_s(*own) - before) / (time.monotonic() - start), 2))
    quietest = others.index(min(others))
    shown = {way: found[quietest] for way, found in rounds.items()}
    seconds = {way: [round(total, 3) for total, _ in found] for way, found in rounds.items()}
    return {
        "requests": options.requests, "tiles": options.tiles, "tokens": options.tokens,
        "seconds": seconds, "cores_used_by_others": others, "shown_round": quietest + 1,
        "sequential_over_overlapped": round(shown["sequential"][0] / shown["overlapped"][0], 2),
        "bytes_a_picture": heard[0].size,
        "shown": {way: {"seconds": round(total, 3), "bars": [_rounded(bar) for bar in bars]}
                  for way, (total, bars) in shown.items()},
    }  # fmt: skip


def _rounded(bar: Bar) -> dict[str, Any]:
    return asdict(replace(bar, began_s=round(bar.began_s, 4), ended_s=round(bar.ended_s, 4)))


def draw(figures: dict[str, Any], path: Path) -> None:
    """Draw both ways below one another, on one axis of time."""
    left, right, lane, gap, width = 100, 30, 44, 76, 1200
    panel = lane * len(LANES)
    height = 2 * (panel + gap) + 30
    most = max(way["seconds"] for way in figures["shown"].values())
    picture = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(picture)
    font, small = ImageFont.load_default(16), ImageFont.load_default(13)
    scale = (width - left - right) / most
    for index, (name, way) in enumerate(figures["shown"].items()):
        top = 40 + index * (panel + gap)
        title = f"{name}: {figures['requests']} requests in {way['seconds']:.2f} s"
        pen.text((left, top - 26), title, fill=(40, 40, 40), font=font)
        for row, label in enumerate(LANES):
            y = top + row * lane
            pen.line((left, y + lane, width - right, y + lane), fill=(228, 228, 228))
            pen.text((left - 10, y + lane / 2), label, fill=(40, 40, 40), font=small, anchor="rm")
        step = next(step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if most / step <= 12)
        for tick in range(int(most / step) + 1):
            x = left + tick * step * scale
            pen.line((x, top + panel, x, top + panel + 5), fill=(150, 150, 150))
            pen.text((x, top + panel + 8), f"{tick * step:g} s", fill=(40, 40, 40), font=small, anchor="ma")
        for bar in way["bars"]:
            row = LANES.index(bar["lane"])
            y, shade = top + row * lane, 0.0 if bar["request"] % 2 == 0 else 0.4
            colour = tuple(round(part + (255 - part) * shade) for part in COLOURS[row])
            x0, x1 = left + bar["began_s"] * scale, left + bar["ended_s"] * scale
            pen.rectangle((x0, y + 7, max(x1, x0 + 1), y + lane - 7), fill=colour)
            if x1 - x0 > 14:
                middle = ((x0 + x1) / 2, y + lane / 2)
                pen.text(middle, str(bar["request"] + 1), fill="white" if not shade else (40, 40, 40), font=small,
                         anchor="mm")  # fmt: skip
        pen.line((left, top, left, top + panel), fill=(150, 150, 150))
    picture.quantize(64).save(path, "PNG", optimize=True)


def main() -> int:
    """Measure, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=8)
    parser.add_argument("--tiles", type=int, default=2, help="tiles of a picture, the thumbnail not counted")
    parser.add_argument("--tokens", type=int, default=24, help="tokens of an answer")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each way")
    parser.add_argument("--wait-s", type=float, default=60, help="longest wait, before a round, for an idle machine")
    parser.add_argument("--out", type=Path, required=True, help="FILE.json; FILE.png is drawn beside it")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        model = made_up(SIZES["1B"], Path(folder) / "model", reduced=REDUCED, precision="float32")
        with vision_process(model) as (vision, address):
            figures = asyncio.run(measured(model, address, vision, options))
    figures = {
        "what": "two processes of one thread each on one CPU, a made-up checkpoint; shown is the round disturbed least",
        "machine": machine(),
        "versions": {name: version(name) for name in ("foveate", "torch", "transformers", "pyzmq")},
        "peak_mb": memory(), **figures,
    }  # fmt: skip
    write_figures(options.out, figures)
    draw(figures, options.out.with_suffix(".png"))
    print(
        json.dumps(
            {
                name: figures[name]
                for name in ("cores_used_by_others", "seconds", "sequential_over_overlapped", "peak_mb")
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
