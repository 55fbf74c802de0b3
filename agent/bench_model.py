"""``foveate bench model``: what a step of a model costs, beside what this machine could not do it faster than.

A ratio of 1 to the floor (``bench_floor``) would be a perfect engine.
"""

import asyncio
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foveate.actions.errors import MissingDependency, UsageError
from foveate.actions.geometry import Convention, Frame
from foveate.actions.grammar import answer_pattern
from foveate.agent.bench import machine
from foveate.agent.bench_floor import Speed, floor_ms, speed_of
from foveate.envs.base import ScreenObservation
from foveate.policies.base import Look
from foveate.policies.engines.base import Request
from foveate.policies.engines.scripted import ScriptedEngine
from foveate.policies.internvl import InternVLPolicy
from foveate.policies.internvl.catalogue import SIZES
from foveate.policies.internvl.checkpoint import check, find
from foveate.policies.internvl.described import parts_of
from foveate.policies.internvl.tiling import visual_tokens

if TYPE_CHECKING:
    from foveate.policies.engines.torch_model import TorchModel

CLICK = "<operation>\nClick the Save button\n</operation>\n<action>\nclick(x={}, y={})\n</action>"
"""The answer that is put into a model's mouth where decoding with and without jump forward are compared."""

_TILE = 448
_TASK = "Save the document under the name report"


@dataclass(frozen=True, slots=True)
class Order:
    """What is measured.

    Attributes:
        models: Names or folders.
        sizes: InternVL3.5's sizes, made up on the spot.
        flash: Measure the made-up sizes with a router, too, every tile compressed; a single one never is.
        tiles: Greatest numbers of tiles, one a row.
        layers: Layers of a made-up size at most; None is all.
        narrower: What its widths are divided by.
        output: Tokens of an answer.
        rounds: Requests a row, after one that is not counted.
        device: As for an engine.
    """

    models: tuple[str, ...] = ("tiny",)
    sizes: tuple[str, ...] = ()
    flash: bool = False
    tiles: tuple[int, ...] = (1,)
    layers: int | None = None
    narrower: int = 1
    output: int = 32
    rounds: int = 5
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class Row:
    """What one kind of request costs; medians, in milliseconds."""

    engine: str
    model: str
    tiles: int
    visual: int
    prompt: int
    output: int
    encode_ms: float
    prefill_ms: float
    per_token_ms: float
    total_ms: float
    floor_ms: float

    @property
    def ratio(self) -> float:
        """How many times its floor it takes."""
        return self.total_ms / self.floor_ms


@dataclass(frozen=True, slots=True)
class Jump:
    """Decoding one answer under its grammar, with and without jump forward; medians of decoding, in milliseconds."""

    model: str
    form: str
    forced: int
    free: int
    with_ms: float
    without_ms: float


def bench_model(order: Order, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure.

    Args:
        order: What.
        say: Takes a line for people.

    Raises:
        UsageError: If there is no such size, or none with a router where one is asked for.
        ModelUnavailable: If a model cannot be had.
        MissingDependency: If torch or xgrammar is missing.
    """
    unknown = [name for name in order.sizes if name not in SIZES]
    if unknown:
        raise UsageError(f"--size {unknown[0]}: choose one of {', '.join(SIZES)}")
    if order.flash and not order.sizes:
        raise UsageError("--flash is for sizes that are made up: add --size, or name a Flash checkpoint with --model")
    without = [name for name in order.sizes if not SIZES[name].flash]
    if order.flash and without:
        raise UsageError(f"--flash: there is no {without[0]} with a router: leave --flash out, or that size")
    try:
        import torch  # noqa: F401
    except ImportError as exc:
        raise MissingDependency("a model", "pip install 'foveate[torch]'") from exc
    rows: list[Row] = []
    jumps: list[Jump] = []
    speeds: dict[str, Speed] = {}
    for name, model in _loaded(order, say):
        kind = f"{model.device.type} {str(model.dtype).removeprefix('torch.')}"
        if kind not in speeds:
            speeds[kind] = speed_of(model.device, model.dtype)
        for tiles in order.tiles:
            rows.append(_row(name, model, tiles, order, speeds[kind]))
            say(to_line(rows[-1]))
        jumps += [_jump(name, model, order.rounds, form) for form in _forms(model)]
    return {
        "what": "one request at a time; medians in milliseconds; the floor is arithmetic and memory of this machine",
        "machine": machine(), "versions": {name: version(name) for name in ("foveate", "torch", "transformers")},
        "speed": {kind: {"gflops": round(one.flops / 1e9, 1), "gbytes_s": round(one.bytes_s / 1e9, 1)}
                  for kind, one in speeds.items()},
        "rows": [asdict(row) | {"ratio": round(row.ratio, 2)} for row in rows],
        "jump_forward": [asdict(jump) for jump in jumps],
    }  # fmt: skip


def to_line(row: Row) -> str:
    """Write a row for people."""
    return (
        f"{row.engine} {row.model}, {row.tiles} tiles: {row.prompt} tokens ({row.visual} visual) and {row.output} in "
        f"{row.total_ms:.0f} ms"
    )


def to_text(figures: Mapping[str, Any]) -> str:
    """Write all figures as a table, milliseconds."""
    heads = (
        "engine",
        "model",
        "tiles",
        "visual",
        "prompt",
        "output",
        "encode",
        "prefill",
        "a token",
        "in all",
        "floor",
    )
    keys = ("engine", "model", "tiles", "visual", "prompt", "output", "encode_ms", "prefill_ms", "per_token_ms",
            "total_ms", "floor_ms")  # fmt: skip
    lines: list[tuple[str, ...]] = [(*heads, "ratio")]
    for row in figures["rows"]:
        values = (row[key] for key in keys)
        lines.append((*(f"{value:.1f}" if isinstance(value, float) else str(value) for value in values),
                      f"{row['ratio']:.1f}"))  # fmt: skip
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = ["  ".join(_cell(cell, widths[at], at) for at, cell in enumerate(line)) for line in lines]
    jumps = [
        f"{jump['model']}, {jump['form']}: {jump['forced']} forced and {jump['free']} free tokens are decoded in "
        f"{jump['with_ms']:.1f} ms, without jump forward in {jump['without_ms']:.1f}"
        for jump in figures["jump_forward"]
    ]
    return "\n".join((*text, *jumps))


def _cell(text: str, width: int, column: int) -> str:
    return text.ljust(width) if column < 2 else text.rjust(width)


def _loaded(order: Order, say: Callable[[str], None]) -> "Iterator[tuple[str, TorchModel]]":
    """Load one model after the other, made-up ones in a folder of their own."""
    from foveate.policies.engines.torch_model import TorchModel
    from foveate.policies.internvl.made_up import Reduced, made_up

    for name in order.models:
        yield name, TorchModel(check(find(name)), device=order.device)
    less = Reduced(order.layers, order.narrower)
    cut = ("" if order.layers is None else f", {order.layers} layers") + (f", 1/{less.narrower}" * (less.narrower > 1))
    for name in order.sizes:
        for flash in (False, True) if order.flash else (False,):
            with tempfile.TemporaryDirectory() as folder:
                say(f"making {name}{'-Flash' if flash else ''} up, with random weights")
                made = made_up(SIZES[name], Path(folder) / "model", reduced=less, flash=flash)
                yield f"{name}{'-Flash' if flash else ''}{cut}, made up", TorchModel(check(made), device=order.device)


def _request(model: "TorchModel", tiles: int) -> Request:
    """Lay out the request that the policy would make on a screen of so many tiles."""
    side = model.checkpoint.tile
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (side, side * tiles, 3), np.uint8)
    seen = ScreenObservation(image=image, frame=Frame(side * tiles, side), captured_at_s=0.0)
    return asyncio.run(_asked(model.checkpoint.profile or "internvl3_5", seen, tiles))


async def _asked(profile: str, seen: ScreenObservation, tiles: int) -> Request:
    async with ScriptedEngine([]) as engine, InternVLPolicy("bench", engine=engine, profile=profile) as policy:
        await policy.reset(_TASK)
        return policy.request(seen, (), Look(max_tiles=tiles))


def _row(name: str, model: "TorchModel", tiles: int, order: Order, speed: Speed) -> Row:
    flash = model.checkpoint.thresholds is not None
    compressed = (tiles + 1) * model.checkpoint.tokens_per_tile // 4 if flash and tiles > 1 else None
    asked = replace(_request(model, tiles), stop=(), max_new_tokens=order.output, visual_tokens=compressed)
    told = []
    with _endless(model):
        for _ in range(order.rounds + 1):
            (usage,) = [delta.usage for delta in model.generate(asked) if delta.usage is not None]
            told.append(usage)
    told = told[1:]
    parts = {
        part: statistics.median(one.timing_ms[part] for one in told) for part in ("tile", "encode", "prefill", "decode")
    }
    one, width = told[0], model.dtype.itemsize
    count = visual_tokens(_TILE * tiles, _TILE, max_tiles=tiles) // 256
    floor = floor_ms(
        *parts_of(model.model.config.to_dict()), speed, tiles=count, prompt=one.prompt, output=one.output, width=width,
        flash=flash,
    )  # fmt: skip
    values = (parts["encode"], parts["prefill"], parts["decode"] / one.output, sum(parts.values()), floor)
    return Row("torch", name, tiles, one.visual, one.prompt, one.output, *(round(value, 2) for value in values))


@contextmanager
def _endless(model: "TorchModel") -> Iterator[None]:
    """Let no token end an answer: every one is as long as was asked for."""
    ends, model.ends = model.ends, frozenset()
    try:
        yield
    finally:
        model.ends = ends


_ALONE, _WHOLE = "a click alone", "an operation and any of seven kinds"


def _forms(model: "TorchModel") -> tuple[str, ...]:
    """Name the forms of answers that are compared; a model whose answers begin with an operation has but one."""
    return (_WHOLE,) if _request(model, 1).prefill else (_ALONE, _WHOLE)


def _jump(name: str, model: "TorchModel", rounds: int, form: str) -> Jump:
    asked = _request(model, 1)
    digits = 2 if model.checkpoint.profile == "tiny" else 4
    answer = CLICK.format(*(f"{value:.{digits}f}" for value in (0.5123, 0.2507)))
    kinds = frozenset({"click", "type_text", "press", "scroll", "wait", "respond", "terminate"})
    if form == _ALONE:
        answer, kinds = answer[answer.index("<action>") :], frozenset({"click"})
    pattern = answer_pattern(kinds, Convention.UNIT, Frame(_TILE, _TILE), operation=form == _WHOLE, begun=asked.prefill)
    asked = replace(asked, grammar=pattern, max_new_tokens=128)
    answer = answer.removeprefix(asked.prefill)
    times: dict[bool, list[float]] = {True: [], False: []}
    counts: dict[bool, tuple[int, int]] = {}
    before = model.jump_forward
    try:
        for number in range(2 * (rounds + 1)):
            model.jump_forward = number % 2 == 0
            usage = _said(model, asked, answer)
            counts[model.jump_forward] = (usage.forced, usage.output - usage.forced)
            if number > 1:
                times[model.jump_forward].append(usage.timing_ms["decode"])
    finally:
        model.jump_forward = before
    forced, free = counts[True]
    return Jump(name, form, forced, free, *(round(statistics.median(times[jump]), 2) for jump in (True, False)))


def _said(model: "TorchModel", asked: Request, answer: str) -> Any:
    """Let the model say an answer, drawing what is not forced from it; give what that cost."""
    said: list[str] = []

    def draw(logits: Any, allowed: Any) -> tuple[int, float]:
        left = answer[len("".join(said)) :]
        token = _first_token(model.tokenizer, left, allowed)
        return token, float(logits.float()[token] - logits.float().logsumexp(-1))

    usage = None
    for delta in model.generate(asked, draw):
        said.append(delta.text)
        usage = delta.usage
    if "".join(said) != answer:
        raise AssertionError(f"the model said {''.join(said)!r} where {answer!r} was put into its mouth")
    return usage


def _first_token(tokenizer: Any, text: str, allowed: Sequence[bool]) -> int:
    """Give the token that a text begins with: the tokenizer's own, or the longest that may come."""
    for end in (len(text), *range(min(len(text), 24), 0, -1)):
        ids = tokenizer.encode(text[:end], add_special_tokens=False)
        if allowed[ids[0]] and (end == len(text) or len(ids) == 1):
            return int(ids[0])
    raise AssertionError(f"no token that may come begins {text[:24]!r}")
