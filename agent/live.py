"""What a person sees of a run on standard error: a live view on a terminal, plain lines elsewhere."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from foveate.actions.geometry import points_of
from foveate.actions.schema import Action
from foveate.agent.trajectory import Listener, Result
from foveate.envs.base import Observation
from foveate.policies.base import Turn

_MOST_TEXT = 160
_BAR_CELLS = 30
_COLOURS = {
    "tile": "bright_blue",
    "encode": "blue",
    "prefill": "magenta",
    "decode": "bright_magenta",
    "parse": "white",
    "dispatch": "yellow",
    "settle": "cyan",
    "capture": "green",
}


class LiveView(Listener):
    """Tells a run as it goes; everything that a model or a page wrote is shown as plain text.

    Args:
        console: Where to; on a terminal the current step is redrawn in place.
        max_steps: The budget in steps.
        timeout_s: The budget in seconds; None is no limit.

    Attributes:
        under_way: True from the first picture on.
        result: How the episode ended; None before.
    """

    def __init__(self, console: Console, *, max_steps: int, timeout_s: float | None = None) -> None:
        self._console = console
        self._max_steps = max_steps
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._begun_s = self._turned_s = time.monotonic()
        self._steps = 0
        self._tokens = 0
        self._phases: Counter[str] = Counter()
        self._last: dict[str, float] = {}
        self._closing = False
        self._live: Live | None = None
        self.under_way = False
        self.result: Result | None = None

    def started(self, task: str) -> None:
        """Say what the task is."""
        self.under_way = True
        self._begun_s = self._turned_s = time.monotonic()
        self._console.print(Text.assemble(("Task: ", "bold"), shown(task)), soft_wrap=True)

    def observed(self, observation: Observation) -> None:
        """Add up the phases of the step that is under way."""
        with self._lock:
            self._phases.update(dict(observation.timing_ms))

    def turned(self, turn: Turn) -> None:
        """Say what was done."""
        now = time.monotonic()
        with self._lock:
            self._phases.update(dict(turn.decision.usage.timing_ms))
            self._last, self._phases = dict(self._phases), Counter()
            self._steps += 1
            self._tokens += turn.decision.usage.prompt + turn.decision.usage.output
            spent_ms, self._turned_s = (now - self._turned_s) * 1e3, now
        self._console.print(step_line(self._steps, turn, spent_ms), soft_wrap=True)
        for note in turn.notes:
            self._console.print(Text(f"     {shown(note)}", "yellow"), soft_wrap=True)

    def ended(self, result: Result) -> None:
        """Keep the result; what is left is closing and writing."""
        self.result = result
        self._closing = True

    @contextmanager
    def running(self) -> Iterator[None]:
        """Redraw the current step in place for as long as the block lasts, where there is a terminal."""
        if not self._console.is_terminal:
            yield
            return
        self._live = Live(get_renderable=self._current, console=self._console, refresh_per_second=5, transient=True)
        try:
            with self._live:
                yield
        finally:
            self._live = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to a question for as long as the block lasts."""
        live = self._live
        if live is None:
            yield
            return
        live.stop()
        try:
            yield
        finally:
            live.start()

    def _current(self) -> RenderableType:
        with self._lock:
            seconds, step_s = time.monotonic() - self._begun_s, time.monotonic() - self._turned_s
            steps, tokens, last = self._steps, self._tokens, dict(self._last)
        limit = "" if self._timeout_s is None else f" of {self._timeout_s:g}"
        doing = f"step {steps + 1} of at most {self._max_steps}, {step_s:.1f} s" if self.under_way else "starting"
        told = f"  {'closing' if self._closing else doing} · {seconds:.1f}{limit} s in all · {tokens:,} tokens"
        return Group(Text(told, "bold"), phase_bar(last)) if sum(last.values()) >= 1 else Text(told, "bold")


def step_line(number: int, turn: Turn, spent_ms: float) -> Text:
    """Write a step as one line."""
    decision = turn.decision
    line = Text.assemble((f"{number:>4} ", "bold"))
    line.append(f"{spent_ms:>6.0f} ms  ", "dim")
    told = shown(decision.operation) or ("" if decision.actions else "no action")
    line.append(f"{told}  " if told else "")
    for number, (action, outcome) in enumerate(zip(decision.actions, turn.outcomes, strict=False)):
        done = outcome.verdict in ("allow", "confirmed") and outcome.error is None
        line.append("  " if number else "")
        line.append(brief(action), "green" if done else "red")
        if not done:
            line.append(f" {outcome.verdict if outcome.error is None else 'failed'}", "red")
    return line


def phase_bar(timing_ms: Mapping[str, float]) -> Text:
    """Draw where the last step's time went."""
    parts = [(name, timing_ms.get(name, 0.0)) for name in _COLOURS]
    total = sum(value for _, value in parts)
    bar = Text.assemble(("  last step ", "dim"))
    for name, value in parts:
        if value >= 0.5:
            cells = round(_BAR_CELLS * value / total)
            bar.append("█" * cells, _COLOURS[name])
            bar.append(f" {name} {value:.0f} ", _COLOURS[name])
    return bar


def brief(action: Action) -> str:
    """Write an action in a few words: its kind, where, and its text."""
    points = points_of(action)
    where = f"({points[0].x:.3f}, {points[0].y:.3f})" if points else ""
    named = action.model_dump(mode="json", exclude_defaults=True, exclude={"kind", "at", "path", "region"})
    told = ", ".join(" ".join(map(str, value)) if isinstance(value, list) else str(value) for value in named.values())
    return f"{action.kind}{where}{f' {shown(told, 60)}' if told else ''}"


def shown(text: str, most: int = _MOST_TEXT) -> str:
    """Give text of a model or a page as one line that cannot steer a terminal."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * most]).split())
    return clean if len(clean) <= most else f"{clean[:most]}…"
