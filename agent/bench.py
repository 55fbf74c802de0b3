"""``foveate bench loop``: what the runtime itself costs, measured on a real browser beside raw Playwright.

Every figure is wall time on this machine. A *lag* is the moment at which a step returned minus the moment at which the
page says that its effect was complete, both on this machine's clock; an effect is *missed* where the returned picture
does not show it.
"""

import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from foveate.actions.errors import UsageError
from foveate.actions.schema import Action, Click, TypeText
from foveate.agent.bench_site import BenchSite
from foveate.envs.base import Image, Step, Viewport
from foveate.envs.browser import BrowserEnv

_SIZE = Viewport(1280, 720)
_PRESS, _FIELD, _SHOWN = (117.0, 61.0), (117.0, 117.0), (337, 77)
_COLOURS = ((0, 0, 0), (220, 30, 30), (30, 160, 60), (40, 80, 220), (200, 140, 0))
_IMPORT = """
import time, numpy, pydantic
started = time.perf_counter()
from foveate.agent import Agent
print((time.perf_counter() - started) * 1e3)
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of press.

    Attributes:
        name: What the table calls it.
        waits: True where settle promises to wait for the effect; the others are listed and not counted.
        query: The page's settings.
        budget_ms: The design's budget for the median, None where it has none.
        typed: Type into the field instead of pressing.
        effect: False where nothing is to happen.
    """

    name: str
    waits: bool
    query: dict[str, object]
    budget_ms: float | None = None
    typed: bool = False
    effect: bool = True


@dataclass(slots=True)
class Row:
    """What was measured of a case; times in milliseconds."""

    name: str
    count: int
    step_ms: float
    step_p95_ms: float
    lag_ms: float | None
    missed: int
    waits: bool
    budget_ms: float | None
    parts_ms: dict[str, float] = field(default_factory=dict)


def instant_cases() -> list[Case]:
    """Give the presses whose effect is there at once, on three sizes of page and on two other surfaces."""
    sizes = [Case(f"instant, {nodes:,} nodes", True, {"nodes": nodes}, budget_ms=80.0) for nodes in (90, 1_200, 12_000)]
    native = Case("instant, native button with looks", True, {"surface": "looks"})
    return [*sizes, native, Case("instant, echo in a field", True, {"surface": "field", "delay": 0}, typed=True)]


def late_cases() -> list[Case]:
    """Give the presses whose effect comes late, or never, or beside things that move for ever."""
    cases = []
    for surface, label in (("plain", ""), ("looks", ", native button with looks")):
        for kind in ("timer", "fetch", "navigation"):
            for delay in (30, 120, 300, 1_000):
                waits = kind != "timer" or delay < 250
                query: dict[str, object] = {"effect": kind, "delay": delay, "surface": surface}
                cases.append(Case(f"{kind} {delay:,} ms{label}", waits, query, budget_ms=60.0 if waits else None))
        query = {"effect": "transition", "surface": surface}
        cases.append(Case(f"transition 200 ms{label}", True, query, budget_ms=60.0))
    field_query: dict[str, object] = {"surface": "field", "delay": 200}
    cases.append(Case("echo at once, list after a 200 ms debounce", True, field_query, budget_ms=60.0, typed=True))
    cases.append(Case("instant beside a blinking caret", True, {"caret": 1}))
    cases.append(Case("instant beside a spinner", True, {"spinner": 1}))
    cases.append(Case("timer 120 ms beside a spinner", True, {"spinner": 1, "effect": "timer", "delay": 120}, 60.0))
    cases.append(Case("no effect at all", False, {"effect": "none"}, budget_ms=280.0, effect=False))
    return cases


def run_loop_bench(
    *, full: bool = True, out: Path | None = None, browser: str | None = None, say: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Measure and give the figures as JSON-ready data.

    Args:
        full: The full counts (minutes); otherwise about a tenth.
        out: Where to write the JSON.
        browser: Path of the Chromium to use.
        say: Told a line as each row is done.

    Raises:
        MissingDependency: If Chromium or Playwright is missing.
        EnvError: If the browser fails.
    """
    figures = asyncio.run(_measure(full, browser, say or (lambda line: None)))
    if out is not None:
        write_figures(out, figures)
    return figures


def write_figures(out: Path, figures: Mapping[str, Any]) -> None:
    """Write figures as JSON.

    Raises:
        UsageError: If they cannot be written there.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    except OSError as exc:
        raise UsageError(f"--out {out} cannot be written: {exc.strerror or exc}: give another file") from exc


async def _measure(full: bool, browser: str | None, say: Callable[[str], None]) -> dict[str, Any]:
    count = 50 if full else 5
    figures: dict[str, Any] = {"machine": machine(), "count": count}
    with BenchSite() as site:
        bench = _Bench(site, browser, say)
        figures["instant"] = [asdict(await bench.case(case, count)) for case in instant_cases()]
        figures["peer"] = [asdict(await bench.peer(case, count)) for case in instant_cases()[:3]]
        late = count // 2 if full else 3
        figures["late"] = [asdict(await bench.case(case, late)) for case in late_cases()]
        figures["episode"] = await bench.episode(500 if full else 50)
        figures["tiny"] = await bench.tiny(20 if full else 3)
    figures["import_ms"] = _import_ms(7 if full else 3)
    say(f"from foveate.agent import Agent, after numpy and pydantic: {figures['import_ms']:.0f} ms")
    return figures


class _Bench:
    """The measurements, over one site."""

    def __init__(self, site: BenchSite, browser: str | None, say: Callable[[str], None]) -> None:
        self._site = site
        self._browser = browser
        self._say = say

    def _env(self, **query: object) -> BrowserEnv:
        return BrowserEnv(self._site.url(**query), viewport=_SIZE, browser=self._browser)

    async def case(self, case: Case, count: int) -> Row:
        """Press ``count`` times, after two presses that do not count."""
        steps: list[float] = []
        lags: list[float] = []
        parts: list[Step] = []
        missed = 0
        async with self._env(**case.query) as env:
            first = await env.reset()
            if case.typed:
                await env.step(Click(at=first.frame.from_input(*_FIELD)))
            for index in range(count + 2):
                before = await _count(env)
                action: Action = TypeText(text="a") if case.typed else Click(at=first.frame.from_input(*_PRESS))
                started = time.perf_counter()
                step = await env.step(action)
                took, returned = (time.perf_counter() - started) * 1e3, time.time() * 1e3
                seen = case.effect and _shows(step.observation.image, before + 1)
                done_at = await _done_at(env, before + 1) if case.effect else None
                if index < 2:
                    continue
                steps.append(took)
                parts.append(step)
                missed += case.effect and not seen
                if seen and done_at is not None:
                    lags.append(returned - done_at)
        row = _row(case, steps, lags, missed, parts)
        self._say(_line(row))
        return row

    async def peer(self, case: Case, count: int) -> Row:
        """Do the same with raw Playwright: click, screenshot, without waiting for anything."""
        steps: list[float] = []
        missed = 0
        async with self._env(**case.query) as env:
            await env.reset()
            browser = env.page.context.browser
            assert browser is not None  # noqa: S101 - the browser was launched, not attached to
            context = await browser.new_context(viewport={"width": _SIZE.width, "height": _SIZE.height})
            page = await context.new_page()
            await page.goto(self._site.url(**case.query))
            for index in range(count + 2):
                started = time.perf_counter()
                await page.mouse.click(*_PRESS)
                data = await page.screenshot(type="png")
                took = (time.perf_counter() - started) * 1e3
                if index >= 2:
                    steps.append(took)
                    missed += not _shows(_decode(data), index + 1)
            await context.close()
        row = _row(Case("raw Playwright: " + case.name, True, case.query), steps, [], missed, [])
        self._say(_line(row))
        return row

    async def episode(self, steps: int) -> dict[str, Any]:
        """Run one long recorded episode; tell whether time a step or memory grow."""
        import tempfile

        from foveate.agent import Agent
        from foveate.policies.scripted import ScriptedPolicy

        async with self._env() as env:
            at = (await env.reset()).frame.from_input(*_PRESS)
            memory: list[float] = []
            answers = [[Click(at=at, hold_s=index * 1e-9)] for index in range(steps)]
            with tempfile.TemporaryDirectory() as folder:
                agent = Agent(
                    env, ScriptedPolicy(answers), max_steps=steps, record=Path(folder) / "run",
                    listeners=[_MemoryListener(memory)],
                )  # fmt: skip
                result = await agent.run("press")
        totals = [timing["total"] for timing in result.trajectory.timing_ms]
        tenth = max(len(totals) // 10, 1)
        figures = {
            "steps": len(totals),
            "first_ms": statistics.median(totals[tenth : 2 * tenth]),
            "last_ms": statistics.median(totals[-tenth:]),
            "memory_first_mb": memory[min(2 * tenth, len(memory) - 1)] if memory else None,
            "memory_last_mb": memory[-1] if memory else None,
        }
        self._say(
            f"{len(totals)} steps: {figures['first_ms']:.0f} ms a step in the second tenth, "
            f"{figures['last_ms']:.0f} ms in the last; memory {figures['memory_first_mb']} to "
            f"{figures['memory_last_mb']} MB"
        )
        return figures

    async def tiny(self, steps: int) -> dict[str, Any] | None:
        """Measure whole steps with the bundled checkpoint in its own viewport; None where torch is missing."""
        from foveate.actions.errors import MissingDependency, OutOfFrame, ParseError
        from foveate.policies.internvl import InternVLPolicy

        times: list[dict[str, float]] = []
        try:
            async with InternVLPolicy("tiny") as policy:
                env = BrowserEnv(self._site.url(), viewport=policy.preferred_viewport, browser=self._browser)
                async with env:
                    observation = await env.reset()
                    await policy.reset("Press the button", action_kinds=env.action_kinds)
                    for _ in range(steps + 1):
                        started = time.perf_counter()
                        try:
                            usage = (await policy.act(observation, ())).usage
                        except (ParseError, OutOfFrame) as exc:
                            usage = exc.decision.usage
                        action = Click(at=observation.frame.from_input(*_PRESS))
                        observation = (await env.step(action)).observation
                        total = (time.perf_counter() - started) * 1e3
                        times.append({**usage.timing_ms, **observation.timing_ms, "total": total})
        except MissingDependency as exc:
            self._say(f"whole step with tiny: not measured ({exc})")
            return None
        names = sorted({name for timing in times for name in timing})
        medians = {name: statistics.median(timing.get(name, 0.0) for timing in times[1:]) for name in names}
        self._say(f"whole step with tiny: {medians['total']:.0f} ms")
        return medians


class _MemoryListener:
    """Keeps this process's resident memory after every step, in MB."""

    def __init__(self, memory: list[float]) -> None:
        self._memory = memory

    def started(self, task: str) -> None:
        """Do nothing."""

    def observed(self, observation: object) -> None:
        """Do nothing."""

    def turned(self, turn: object) -> None:
        """Look at the memory."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self._memory.append(round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1))

    def ended(self, result: object) -> None:
        """Do nothing."""


def machine() -> dict[str, str | int | None]:
    """Name what the figures were measured on."""
    cpu = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        cpu = next(
            (line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line), cpu
        )
    return {"cpu": cpu, "cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}


async def _count(env: BrowserEnv) -> int:
    return int(await env.page.evaluate("window.bench.count"))


async def _done_at(env: BrowserEnv, count: int) -> float | None:
    """Wait until the page says that its effect is complete; give when, in ms since the epoch."""
    await env.page.wait_for_function("n => window.bench && window.bench.count >= n", arg=count, timeout=8_000)
    done = await env.page.evaluate("window.bench.doneAt")
    return None if done is None else float(done)


def _shows(image: Image, count: int) -> bool:
    x, y = _SHOWN
    pixel = image[y, x].astype(int)
    return bool(np.abs(pixel - np.array(_COLOURS[count % len(_COLOURS)])).max() <= 3)


def _decode(data: bytes) -> Image:
    import io

    from PIL import Image as Picture

    return np.asarray(Picture.open(io.BytesIO(data)).convert("RGB"))


def _row(case: Case, steps: Sequence[float], lags: Sequence[float], missed: int, parts: Sequence[Step]) -> Row:
    names = ("dispatch", "settle", "capture")
    return Row(
        name=case.name,
        count=len(steps),
        step_ms=statistics.median(steps),
        step_p95_ms=sorted(steps)[min(len(steps) - 1, round(0.95 * len(steps)))],
        lag_ms=statistics.median(lags) if lags else None,
        missed=missed,
        waits=case.waits,
        budget_ms=case.budget_ms,
        parts_ms={n: statistics.median(s.observation.timing_ms[n] for s in parts) for n in names} if parts else {},
    )


def _line(row: Row) -> str:
    lag = "" if row.lag_ms is None else f", lag {row.lag_ms:.0f} ms"
    budget = "" if row.budget_ms is None else f" (budget {row.budget_ms:.0f})"
    return f"{row.name}: step {row.step_ms:.0f} ms{lag}{budget}, missed {row.missed} of {row.count}"


def _import_ms(runs: int) -> float:
    times = []
    for _ in range(runs):
        out = subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True, text=True, check=True)
        times.append(float(out.stdout))
    return statistics.median(times)
