"""Decide when a world has settled after an action: by its frames, and by what it still has due.

Pure logic over an injected clock, source of changes and source of what is due. Nothing here sleeps for a fixed time:
it waits for the first change up to the onset limit, then until the frame is quiet; while something that began with
the action is due (a request, a navigation, a finite animation, a timer that ends within the onset limit) it goes on.
"""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SettleConfig:
    """How long to wait for what.

    Attributes:
        onset_s: How long a first change may take, in seconds from the end of the input.
        quiet_s: How long a frame must stay as it is, in seconds, before it counts as settled.
        painted_s: How long after the page has painted a change its frame may take to arrive, in seconds.
        budget_s: The most that one action may take to settle, in seconds.
        answer_s: After how long without an answer the page is asked again, in seconds.
    """

    onset_s: float = 0.25
    quiet_s: float = 0.02
    painted_s: float = 0.034
    budget_s: float = 5.0
    answer_s: float = 0.012


@dataclass(frozen=True, slots=True)
class Due:
    """What began with the action and has not ended.

    Attributes:
        pending: Something without a known end: a request, a navigation, a page that does not answer.
        until_s: When the last thing with a known end will be over (a timer, a finite animation); 0 where none is.
        asked_s: When the last question that was answered had been put to the world; ``-inf`` where none was.
        painted_s: When the world last said that everything before that question is painted; ``-inf`` where never.
        shown_s: When the first picture after that arrived that was drawn for it or later; ``inf`` where none has.
        late_s: How much longer than usual pictures take to arrive just now, in seconds.
        asking: A question is under way.
    """

    pending: bool = False
    until_s: float = 0.0
    asked_s: float = -np.inf
    painted_s: float = -np.inf
    shown_s: float = np.inf
    late_s: float = 0.0
    asking: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """How a world came to rest.

    Attributes:
        first_s: When the first change arrived, in seconds after the input; None where nothing changed.
        settled: False where the budget ran out before.
    """

    first_s: float | None
    settled: bool


class Watched(Protocol):
    """A world that can be waited for."""

    def now(self) -> float:
        """Give the time in monotonic seconds."""

    def due(self) -> Due:
        """Give what is known to be due, without waiting."""

    def ask(self, *, paint: bool) -> None:
        """Put the question what is due, if none is under way; with ``paint`` answered after the next paint."""

    async def change(self, timeout_s: float) -> float | None:
        """Wait for a real change and give when it arrived; None earlier where what is due may have changed."""

    def halted(self) -> bool:
        """Tell whether nothing more can change: a dialog holds the page."""


async def settle(world: Watched, config: SettleConfig, sent_s: float) -> Settled:
    """Wait until the world has settled.

    Args:
        world: What to wait for.
        config: How long to wait for what.
        sent_s: When the input had been sent.
    """
    watch = _Watch(world, config, sent_s)
    world.ask(paint=True)
    while True:
        now_s = world.now()
        if world.halted():
            return watch.outcome(True)
        if now_s >= sent_s + config.budget_s:
            return watch.outcome(False)
        timeout_s = watch.look(now_s)
        if timeout_s is None:
            return watch.outcome(True)
        arrived_s = await world.change(max(0.0, min(timeout_s, sent_s + config.budget_s - now_s)))
        if arrived_s is not None:
            watch.changed(arrived_s)


_FRESH = 2  # quiet times before the end that the last answer must not be older than


class _Watch:
    """What one settling knows so far."""

    def __init__(self, world: Watched, config: SettleConfig, sent_s: float) -> None:
        self._world = world
        self._config = config
        self._sent_s = sent_s
        self._first_s: float | None = None
        self._last_s = sent_s
        self._busy_s = sent_s
        self._was_busy = False

    def changed(self, at_s: float) -> None:
        if self._first_s is None:
            self._first_s = at_s
        self._last_s = max(self._last_s, at_s)

    def outcome(self, settled: bool) -> Settled:
        first_s = None if self._first_s is None else max(0.0, self._first_s - self._sent_s)
        return Settled(first_s, settled)

    def look(self, now_s: float) -> float | None:
        """Give how long to wait for the next change, or None where the world has settled."""
        due = self._world.due()
        if due.pending or due.until_s > now_s:
            return self._wait_for(due, now_s)
        if self._was_busy or due.until_s > self._busy_s:  # it may have begun and ended while this process was kept busy
            self._was_busy = False
            self._busy_s = now_s
            self._world.ask(paint=True)  # what ended may have changed the page: its paint is waited for
        return self._come_to_rest(due, now_s)

    def _wait_for(self, due: Due, now_s: float) -> float:
        self._was_busy = True
        self._busy_s = now_s
        if due.until_s > now_s and not due.pending:
            return due.until_s - now_s
        if not due.asking:
            self._world.ask(paint=False)
        return self._config.answer_s

    def _come_to_rest(self, due: Due, now_s: float) -> float | None:
        config = self._config
        quiet_from_s = max(self._last_s, self._busy_s)
        shown_s = min(due.shown_s + config.quiet_s, due.painted_s + config.painted_s)
        end_s = max(quiet_from_s + config.quiet_s, shown_s) + due.late_s
        if self._first_s is None:
            end_s = max(end_s, self._sent_s + config.onset_s)
        asked = due.asked_s >= max(quiet_from_s, end_s - _FRESH * config.quiet_s)
        if now_s >= end_s and asked and not due.asking:
            return None
        ask_s = end_s - config.quiet_s / 2  # asked ahead, so that the answer is there when the quiet time ends
        if not asked and not due.asking and now_s >= ask_s:
            self._world.ask(paint=False)
        if asked or due.asking or now_s >= ask_s:
            return end_s - now_s if end_s > now_s else config.answer_s
        return ask_s - now_s


CARET_WIDTH = 3
CARET_HEIGHT = (6, 160)
_RESTLESS_FRAMES = 6
_RESTLESS_S = 0.5
_GAP_S = 0.3
_FORGOTTEN_S = 3.0
_AT_REST_S = 1.0
_MOST_CARETS = 8


class Motion:
    """Tells real changes from what moves all the time: spinners, video, blinking carets.

    A square of the picture is restless when it has kept changing for half a second; carets are thin upright bars that
    change again in the same place. What is known to be endless beforehand can be said (``endless``).

    Args:
        shape: Rows and columns of squares.
        scale: Pixels an input unit.
    """

    def __init__(self, shape: tuple[int, int], scale: float = 1.0) -> None:
        self.shape = shape
        self._scale = scale
        self._since = np.full(shape, -np.inf)
        self._last = np.full(shape, -np.inf)
        self._known_at = np.full(shape, -np.inf)
        self._count = np.zeros(shape, dtype=np.int32)
        self._known = np.zeros(shape, dtype=np.bool_)
        self._endless = np.zeros(shape, dtype=np.bool_)
        self._carets: deque[tuple[int, int, int, int]] = deque(maxlen=_MOST_CARETS)

    def endless(self, tiles: NDArray[np.bool_]) -> None:
        """Say which squares are animated without end."""
        self._endless = tiles

    def act(self, at_s: float) -> None:
        """Say that an action begins: what changes from here on may be its effect, and is learned anew.

        Args:
            at_s: When; what has been at rest for a while before does not move by itself any more.
        """
        self._known &= at_s - self._known_at <= _AT_REST_S
        self._last.fill(-np.inf)

    def ignored(self) -> NDArray[np.bool_]:
        """Give the squares whose changes do not count: bool, shape (rows, columns)."""
        return self._known | self._endless

    def real(self, at_s: float, box: tuple[int, int, int, int], tiles: NDArray[np.bool_]) -> bool:
        """Take note of a change and tell whether it is a real one.

        Args:
            at_s: When its frame arrived.
            box: Left, top, right and bottom of what changed, in pixels, half-open.
            tiles: The squares that changed.
        """
        self._learn(at_s, tiles)
        if self._is_caret(box):
            known = box in self._carets
            if not known:
                self._carets.append(box)
            return not known
        return bool((tiles & ~self.ignored()).any())

    def _learn(self, at_s: float, tiles: NDArray[np.bool_]) -> None:
        fresh = tiles & (at_s - self._last > _GAP_S)
        self._since[fresh] = at_s
        self._count[fresh] = 0
        self._count[tiles] += 1
        self._last[tiles] = at_s
        restless = tiles & (self._count >= _RESTLESS_FRAMES) & (at_s - self._since >= _RESTLESS_S)
        self._known &= at_s - self._known_at <= _FORGOTTEN_S
        self._known |= restless
        self._known_at[tiles & self._known] = at_s

    def _is_caret(self, box: tuple[int, int, int, int]) -> bool:
        width, height = (box[2] - box[0]) / self._scale, (box[3] - box[1]) / self._scale
        return width <= CARET_WIDTH and CARET_HEIGHT[0] <= height <= CARET_HEIGHT[1]
