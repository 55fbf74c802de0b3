"""Settling, on a made-up clock."""

import heapq
import math
from collections.abc import Callable

import numpy as np
import pytest

from foveate.envs.settle import Due, Motion, SettleConfig, settle

CONFIG = SettleConfig()


class World:
    """A world whose changes and whose due things are written down beforehand, on a clock of its own."""

    def __init__(
        self,
        changes: list[float],
        *,
        pending: Callable[[float], bool] = lambda now: False,
        until: Callable[[float], float] = lambda now: 0.0,
        paint_s: float = 0.01,
        halt_s: float = math.inf,
        shown: Callable[[float], float] = lambda painted: math.inf,
        late_s: float = 0.0,
    ) -> None:
        self.clock = 0.0
        self.queue = [(at, "change") for at in changes]
        heapq.heapify(self.queue)
        self.pending, self.until, self.paint_s, self.halt_s = pending, until, paint_s, halt_s
        self.shown, self.late_s = shown, late_s
        self.asked_s = self.painted_s = -math.inf
        self.question: tuple[float, bool] | None = None
        self.questions = 0

    def now(self) -> float:
        return self.clock

    def due(self) -> Due:
        until = self.until(self.asked_s) if self.asked_s >= 0 else 0.0
        shown = self.shown(self.painted_s)
        return Due(
            pending=self.pending(self.clock),
            until_s=until,
            asked_s=self.asked_s,
            painted_s=self.painted_s,
            shown_s=shown if shown <= self.clock else math.inf,
            late_s=self.late_s,
            asking=self.question is not None,
        )

    def ask(self, *, paint: bool) -> None:
        if self.question is None:
            self.questions += 1
            self.question = (self.clock, paint)
            heapq.heappush(self.queue, (self.clock + (self.paint_s if paint else 0.002), "answer"))

    async def change(self, timeout_s: float) -> float | None:
        end = self.clock + timeout_s
        if not self.queue or self.queue[0][0] > end:
            self.clock = end
            return None
        at, what = heapq.heappop(self.queue)
        self.clock = max(self.clock, at)
        if what == "change":
            return at
        assert self.question is not None
        self.asked_s, paint = self.question
        if paint:
            self.painted_s = self.clock
        self.question = None
        return None

    def halted(self) -> bool:
        return self.clock >= self.halt_s


async def test_an_instant_effect_is_returned_after_one_quiet_time() -> None:
    world = World([0.02])
    outcome = await settle(world, CONFIG, 0.0)
    assert outcome.settled
    assert outcome.first_s == pytest.approx(0.02)
    assert 0.02 + CONFIG.quiet_s <= world.clock <= 0.06


async def test_no_change_is_waited_for_up_to_the_onset_limit_and_not_longer() -> None:
    world = World([])
    outcome = await settle(world, CONFIG, 0.0)
    assert outcome.first_s is None
    assert CONFIG.onset_s <= world.clock <= CONFIG.onset_s + 0.03


async def test_a_change_just_before_the_onset_limit_is_not_missed() -> None:
    world = World([0.249])
    assert (await settle(world, CONFIG, 0.0)).first_s == pytest.approx(0.249)


async def test_a_pressed_look_is_not_the_effect_while_a_request_is_under_way() -> None:
    world = World([0.02, 0.62], pending=lambda now: now < 0.6)
    await settle(world, CONFIG, 0.0)
    assert 0.62 + CONFIG.quiet_s <= world.clock <= 0.68


async def test_a_timer_that_is_due_within_the_onset_limit_is_waited_for_after_an_echo() -> None:
    world = World([0.01, 0.215], until=lambda asked: 0.2 if asked < 0.2 else 0.0)
    await settle(world, CONFIG, 0.0)
    assert 0.215 + CONFIG.quiet_s <= world.clock <= 0.27


async def test_a_request_extends_the_onset_limit_where_nothing_has_changed() -> None:
    world = World([1.02], pending=lambda now: now < 1.0)
    outcome = await settle(world, CONFIG, 0.0)
    assert outcome.first_s == pytest.approx(1.02)


async def test_after_a_request_without_effect_it_returns_soon() -> None:
    world = World([], pending=lambda now: now < 1.0)
    await settle(world, CONFIG, 0.0)
    assert world.clock <= 1.08


async def test_a_world_that_never_rests_ends_with_the_budget() -> None:
    world = World([], pending=lambda now: True)
    outcome = await settle(world, CONFIG, 0.0)
    assert not outcome.settled
    assert world.clock == pytest.approx(CONFIG.budget_s, abs=0.02)


async def test_frames_that_go_on_changing_end_with_the_budget() -> None:
    world = World([i * 0.016 for i in range(1, 1000)])
    outcome = await settle(world, CONFIG, 0.0)
    assert not outcome.settled
    assert world.clock <= CONFIG.budget_s + 0.02


async def test_a_dialog_ends_the_wait_at_once() -> None:
    world = World([0.02], pending=lambda now: True, halt_s=0.02)
    outcome = await settle(world, CONFIG, 0.0)
    assert outcome.settled
    assert world.clock <= 0.03


async def test_a_busy_page_that_does_not_answer_is_waited_for() -> None:
    world = World([0.02], paint_s=0.5)  # the first question is answered when the page is free again
    await settle(world, CONFIG, 0.0)
    assert world.clock >= 0.5


async def test_what_is_due_is_asked_again_after_the_last_change() -> None:
    world = World([0.02])
    await settle(world, CONFIG, 0.0)
    assert world.asked_s >= 0.02


async def test_a_picture_of_the_paint_is_waited_for_no_longer_than_until_it_has_come() -> None:
    unknown, known = World([0.012]), World([0.012], shown=lambda painted: painted + 0.002)
    await settle(unknown, CONFIG, 0.0)
    await settle(known, CONFIG, 0.0)
    assert known.clock == pytest.approx(0.012 + CONFIG.quiet_s, abs=0.003)
    assert unknown.clock == pytest.approx(0.01 + CONFIG.painted_s, abs=0.003)


async def test_where_pictures_arrive_late_more_is_waited() -> None:
    world = World([0.02, 0.09], late_s=0.06)
    await settle(world, CONFIG, 0.0)
    assert world.clock >= 0.09 + CONFIG.quiet_s


async def test_a_timer_that_ran_out_while_this_process_was_kept_busy_is_painted_before_the_end() -> None:
    world = World([0.28], until=lambda asked: 0.12 if asked < 0.12 else 0.0, paint_s=0.02)
    real = world.change

    async def change(timeout_s: float) -> float | None:
        if world.clock == 0.0:
            await real(0.03)
            world.clock = 0.26  # nothing was looked at for a quarter of a second
            return None
        return await real(timeout_s)

    world.change = change  # type: ignore[method-assign]
    await settle(world, CONFIG, 0.0)
    assert world.clock >= 0.28 + CONFIG.quiet_s


async def test_the_last_answer_is_a_young_one() -> None:
    world = World([])
    await settle(world, CONFIG, 0.0)
    assert world.asked_s >= CONFIG.onset_s - 2 * CONFIG.quiet_s


def tiles(*places: tuple[int, int]) -> np.ndarray:
    marked = np.zeros((45, 80), dtype=np.bool_)
    for place in places:
        marked[place] = True
    return marked


SPINNER = (300, 300, 320, 320)


def test_a_spinner_stops_counting_after_half_a_second() -> None:
    motion = Motion((45, 80))
    seen = [motion.real(i * 0.016, SPINNER, tiles((18, 18))) for i in range(60)]
    assert seen[0]
    assert not seen[-1]
    assert seen.index(False) * 0.016 == pytest.approx(0.5, abs=0.05)


def test_a_change_beside_a_spinner_counts() -> None:
    motion = Motion((45, 80))
    for i in range(60):
        motion.real(i * 0.016, SPINNER, tiles((18, 18)))
    assert motion.real(1.0, (100, 100, 320, 320), tiles((18, 18), (6, 6)))


def test_a_spinner_known_before_an_action_stays_known() -> None:
    motion = Motion((45, 80))
    for i in range(60):
        motion.real(i * 0.016, SPINNER, tiles((18, 18)))
    motion.act(0.97)
    assert not motion.real(1.0, SPINNER, tiles((18, 18)))


def test_a_spinner_that_stopped_is_forgotten() -> None:
    motion = Motion((45, 80))
    for i in range(60):
        motion.real(i * 0.016, SPINNER, tiles((18, 18)))
    assert motion.real(9.0, SPINNER, tiles((18, 18)))


def test_what_has_come_to_rest_before_an_action_counts_again() -> None:
    motion = Motion((45, 80))
    for i in range(60):
        motion.real(i * 0.016, SPINNER, tiles((18, 18)))
    motion.act(2.5)
    assert not motion.ignored().any()
    assert motion.real(2.6, SPINNER, tiles((18, 18)))


def test_quick_actions_on_one_button_do_not_make_it_restless() -> None:
    motion = Motion((45, 80))
    for i in range(40):
        motion.act(i * 0.06)
        assert motion.real(i * 0.06, (100, 100, 180, 130), tiles((6, 6), (6, 7)))


def test_a_caret_counts_when_it_appears_and_not_when_it_blinks() -> None:
    motion = Motion((45, 80))
    caret = (100, 100, 101, 118)
    assert motion.real(0.0, caret, tiles((6, 6)))
    assert not motion.real(0.5, caret, tiles((6, 6)))
    assert not motion.real(1.0, caret, tiles((6, 6)))


def test_a_typed_letter_is_no_caret() -> None:
    motion = Motion((45, 80))
    for x in range(100, 160, 9):
        assert motion.real(x / 100, (x, 100, x + 10, 118), tiles((6, x // 16)))


def test_endless_animations_that_are_known_do_not_count_at_all() -> None:
    motion = Motion((45, 80))
    motion.endless(tiles((18, 18)))
    assert not motion.real(0.0, SPINNER, tiles((18, 18)))
    assert motion.ignored()[18, 18]
