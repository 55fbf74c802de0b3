"""What an evaluation counts: items and seeds, intervals, baselines, the journal, the file of figures."""

import importlib.util
import itertools
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from foveate.actions.errors import RecordError, UsageError
from foveate.agent.evaluate import Plan
from foveate.agent.evaluation_figures import baselines, best_point, medians, tally, wilson
from foveate.agent.evaluation_items import (
    DRAW,
    DRAWS,
    FIXING,
    FIXING_SUITE,
    NEXT_TRY,
    STRIDE,
    SUITES,
    TRIES,
    Done,
    Item,
    items_of,
    suites_named,
)
from foveate.agent.evaluation_journal import Journal, as_data, of_data
from foveate.agent.evaluation_summary import Circumstances, figures_of, line_of, to_text
from foveate.agent.evaluation_worker import Deciding

ROOT = Path(__file__).parents[2]
HEAD = {"policy": "internvl", "model": "tiny", "weights": "ab", "pages": "cd"}


def click(seed: int, target: list[float], point: list[float], split: str = "seen", role: str = "button") -> Done:
    right = target[0] <= point[0] < target[2] and target[1] <= point[1] < target[3]
    found = {
        "task": "Click it", "role": role, "target": target, "point": point, "right": right, "random_point": False,
        "random_element_oracle": True, "ms": {"encode": [10.0 + seed], "total": [20.0 + seed]},
    }  # fmt: skip
    return Done(Item("clicks", seed, split), found)


def episode(application: str, seed: int, verified: bool, own_word: bool) -> Done:
    found = {"task": "t", "verified": verified, "own_word": own_word, "reason": "done", "steps": 2, "ms": {}}
    return Done(Item("apps", seed, "held-out", application), found)


# Intervals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(0, 0, 0.0, 1.0), (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
     (1, 29, 0.0061, 0.1718), (20, 20, 0.8389, 1.0)],
)  # fmt: skip
def test_the_interval_is_wilsons(right: int, count: int, low: float, high: float) -> None:
    """The examples of R. G. Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I."""
    assert wilson(right, count) == pytest.approx((low, high), abs=6e-5)


def test_a_tally_has_the_count_the_share_and_the_interval() -> None:
    assert tally([True, True, False, True]) == {"right": 3, "of": 4, "share": 0.75, "wilson95": [0.3006, 0.9544]}
    assert tally([])["share"] is None


def test_times_are_medians_over_the_steps_in_which_the_world_was_looked_at() -> None:
    items = [
        Done(Item("apps", 0, "held-out", "todo"), {"ms": {"capture": [1.0, 2.0, 0.0], "total": [5.0, 7.0, 90.0]}}),
        Done(Item("apps", 1, "held-out", "todo"), {"ms": {"capture": [9.0, 0.0], "total": [6.0, 80.0]}}),
        Done(Item("apps", 2, "held-out", "todo"), {"ms": {}}),
    ]
    assert medians(items) == {"capture": 2.0, "total": 6.0}


def test_times_of_single_questions_are_medians_over_all() -> None:
    items = [Done(Item("apps", 0, "held-out", "todo"), {"ms": {"settle": [1.0, 2.0, 90.0]}}),
             Done(Item("apps", 1, "held-out", "todo"), {"ms": {"settle": [3.0, 4.0]}})]  # fmt: skip
    assert medians(items) == {"settle": 3.0}


# Items --------------------------------------------------------------------------------------------------------------


def test_half_of_the_generated_pages_are_made_of_what_was_kept_out() -> None:
    for name in ("clicks", "typing", "answers", "programs"):
        items = items_of(SUITES[name])
        assert len(items) == SUITES[name].episodes
        assert sum(item.split == "unseen" for item in items) * 2 == len(items)
        assert len({item.key for item in items}) == len(items)
    assert SUITES["clicks"].episodes == 500


def test_each_of_the_five_applications_has_twenty_seeds() -> None:
    items = items_of(SUITES["apps"])
    assert len(items) == 100
    assert {(item.application, item.seed) for item in items} == {
        (name, seed) for name in ("todo", "signin", "settings", "shop", "calendar") for seed in range(20)
    }


def test_no_two_suites_draws_or_tries_share_a_seed() -> None:
    suites = [suite for suite in (*SUITES.values(), FIXING_SUITE) if suite.name != "apps"]
    spans = sorted((suite.first_seed, suite.first_seed + (TRIES - 1) * NEXT_TRY + DRAW * DRAWS) for suite in suites)
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans))
    assert DRAW * DRAWS <= NEXT_TRY
    assert TRIES * NEXT_TRY <= STRIDE
    first, second = items_of(SUITES["clicks"], DRAW, 0), items_of(SUITES["clicks"], DRAW, 1)
    assert not {item.key for item in first} & {item.key for item in second}


def test_more_episodes_go_on_where_fewer_ended() -> None:
    assert items_of(SUITES["clicks"], 8)[:5] == items_of(SUITES["clicks"], 5)


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (Plan("klicks"), "no suite 'klicks': choose one of clicks, typing, answers, programs, apps, or tiny"),
        (Plan("clicks", Deciding("random")), "--policy random: choose internvl, scripted:FILE or oracle"),
        (Plan("clicks", Deciding("scripted:/no/such.json")), "/no/such.json"),
        (Plan("apps", Deciding("oracle")), "there is none of the sample applications"),
        (Plan("tiny", Deciding("oracle")), "there is none of the sample applications"),
        (Plan("clicks", workers=0), "--workers 0"),
        (Plan("clicks", episodes=DRAW + 1), f"--episodes {DRAW + 1}"),
        (Plan("clicks", seed=DRAWS), f"a seed of 0 to {DRAWS - 1}"),
        (Plan("clicks", out=Path("/")), "--out / is a folder"),
        (Plan("clicks", out=Path("a/p.png")), "--out a/p.png is where the picture"),
        (Plan("typing", out=Path("a/p.PNG")), "give --out a/p.json"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused_by_name(plan: Plan, told: str) -> None:
    with pytest.raises(UsageError, match=".*".join(told.split())) as refused:
        plan.items()
    assert told in str(refused.value)


def test_all_suites_together_are_called_tiny() -> None:
    assert [suite.name for suite in suites_named("tiny")] == ["clicks", "typing", "answers", "programs", "apps"]
    assert list(Plan("tiny", episodes=4).items()) == ["clicks", "typing", "answers", "programs", "apps", FIXING]


# Baselines ----------------------------------------------------------------------------------------------------------


def test_the_best_fixed_point_lies_in_most_boxes() -> None:
    boxes = [(0.0, 0.0, 0.2, 0.2), (0.1, 0.1, 0.3, 0.3), (0.15, 0.0, 0.4, 0.2), (0.8, 0.8, 1.0, 1.0)]
    x, y = best_point(boxes)
    assert 0.15 <= x < 0.2
    assert 0.1 <= y < 0.2


def test_the_best_fixed_point_is_chosen_on_other_pages_than_it_is_measured_on() -> None:
    items = [click(0, [0.8, 0.8, 0.9, 0.9], [0.1, 0.1]), click(1, [0.1, 0.1, 0.2, 0.2], [0.1, 0.1], "unseen")]
    found = baselines(items, [(0.1, 0.1, 0.2, 0.2), (0.12, 0.12, 0.3, 0.3)])
    fixed = found["best_fixed_point"]
    assert (fixed["all"]["right"], fixed["seen"]["right"], fixed["unseen"]["right"]) == (1, 0, 1)
    assert 0.12 <= fixed["at"][0] < 0.2
    assert found["random_element_oracle"]["all"]["right"] == 2
    assert found["random_point"]["all"]["right"] == 0


def test_pages_for_the_fixed_point_are_none_that_are_asked_about() -> None:
    assert not {item.seed for item in items_of(FIXING_SUITE)} & {item.seed for item in items_of(SUITES["clicks"])}


# Figures ------------------------------------------------------------------------------------------------------------


def figures() -> dict[str, Any]:
    clicks = [
        click(0, [0.1, 0.1, 0.3, 0.3], [0.2, 0.2]),
        click(1, [0.1, 0.1, 0.3, 0.3], [0.4, 0.2], "unseen", "link"),
    ]
    apps = [episode("todo", 0, True, True), episode("todo", 1, True, False), episode("shop", 0, False, False)]
    fixing = [Done(Item(FIXING, 9, "seen"), {"target": [0.1, 0.1, 0.2, 0.2]})]
    return figures_of({"clicks": clicks, "apps": apps, FIXING: fixing}, Circumstances(HEAD, 0, 1, 2.0))


def test_clicks_are_counted_by_half_and_by_role_beside_three_baselines() -> None:
    made = figures()["suites"]["clicks"]
    assert {half: made["right"][half]["right"] for half in ("all", "seen", "unseen")} == {
        "all": 1,
        "seen": 1,
        "unseen": 0,
    }
    assert {role: tally["right"] for role, tally in made["roles"].items()} == {"button": 1, "link": 0}
    assert set(made["baselines"]) == {"random_point", "best_fixed_point", "random_element_oracle"}
    assert made["median_ms"] == {"encode": 10.5, "total": 20.5}


def test_applications_have_the_two_columns() -> None:
    made = figures()["suites"]["apps"]["applications"]
    assert {name: tally["right"] for name, tally in made["verified"].items()} == {"todo": 2, "shop": 0}
    assert {name: tally["right"] for name, tally in made["own_word"].items()} == {"todo": 1, "shop": 0}


def test_the_file_of_figures_is_json_with_a_line_an_item() -> None:
    text = to_text(figures())
    assert json.loads(text) == figures() | {"seconds": 2.0}
    assert sum(line.startswith('  {"suite": ') for line in text.splitlines()) == 6


def test_the_readme_tells_the_figures_of_all_suites() -> None:
    spec = importlib.util.spec_from_file_location("readme", ROOT / "tests/bench/readme.py")
    assert spec is not None
    assert spec.loader is not None
    readme = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(readme)
    done = {name: [] for name in SUITES} | {FIXING: [Done(Item(FIXING, 9, "seen"), {"target": [0.1, 0.1, 0.2, 0.2]})]}
    done["clicks"] = [click(0, [0.1, 0.1, 0.3, 0.3], [0.2, 0.2]), click(1, [0.1, 0.1, 0.3, 0.3], [0.2, 0.2], "unseen")]
    for name in ("typing", "programs"):
        found = episode("", 0, True, False).found | {"program": "forms"}
        done[name] = [Done(Item(name, 1, split), found) for split in ("seen", "unseen")]
    done["answers"] = [Done(Item("answers", 1, split), {"right": False, "ms": {}}) for split in ("seen", "unseen")]
    ms = {"encode": [40.0], "settle": [60.0], "total": [130.0]}
    done["apps"] = [Done(episode("todo", 0, True, True).item, episode("todo", 0, True, True).found | {"ms": ms})]
    text = readme.tiny_section(figures_of(done, Circumstances(HEAD, 0, 1, 2.0)), ROOT / "tests/bench/results/none.json")
    assert (
        "| one click | 2 of 2: 100% (34% to 100%) | 1 of 1: 100% (21% to 100%) | 1 of 1: 100% (21% to 100%) |" in text
    )
    assert "| the word at a place | 0 of 2: 0% (0% to 66%) |" in text
    assert "| todo | 1 of 1: 100% (21% to 100%) | 1 of 1: 100% (21% to 100%) |" in text
    assert "A whole step in the applications: 130 ms median (encode 40, settle 60); the budget is 500 ms." in text


def test_a_line_says_how_far_a_suite_has_come() -> None:
    assert line_of("clicks", [click(0, [0, 0, 1, 1], [0.5, 0.5])], 3) == "clicks: 1 of 3, 1 right"
    said = line_of("apps", [episode("todo", 0, True, False)], 20)
    assert said == "apps: 1 of 20, 1 verified, 0 ended by own word"


# The journal --------------------------------------------------------------------------------------------------------


def test_an_item_is_the_same_after_it_was_written_and_read() -> None:
    for done in (click(3, [0, 0, 1, 1], [0.5, 0.5]), episode("shop", 7, True, False)):
        assert of_data(json.loads(json.dumps(as_data(done)))) == done


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    out = tmp_path / "tiny.json"
    with Journal(out, HEAD) as journal:
        journal.add(click(0, [0, 0, 1, 1], [0.5, 0.5]))
        journal.add(click(1, [0, 0, 1, 1], [0.5, 0.5]))
    assert journal.path is not None
    journal.path.write_text(journal.path.read_text() + '{"suite":"clicks","se')  # killed while it wrote
    with Journal(out, HEAD, resume=True) as again:
        assert set(again.done) == {"clicks/seen/0", "clicks/seen/1"}
        again.add(click(2, [0, 0, 1, 1], [0.5, 0.5]))
    with Journal(out, HEAD, resume=True) as third:
        assert len(third.done) == 3


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_one_error_and_what_was_written_is_kept(tmp_path: Path) -> None:
    out, kept = tmp_path / "a.json", 0
    with (
        room_for(1_500),
        pytest.raises(RecordError, match=r"a\.json\.journal cannot be written: .*--resume goes on"),
        Journal(out, HEAD) as journal,
    ):
        for kept in range(100):
            journal.add(click(kept, [0, 0, 1, 1], [0.5, 0.5]))
    assert 2 < kept == len(journal.done)
    with Journal(out, HEAD, resume=True) as again:
        assert len(again.done) == kept
        with room_for(1_500), pytest.raises(RecordError, match=r"a\.json cannot be written"):
            again.finish("x" * 2_000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json.journal"]
    with Journal(out, HEAD, resume=True) as third:
        third.add(click(kept, [0, 0, 1, 1], [0.5, 0.5]))
    before = (tmp_path / "a.json.journal").read_bytes()
    with room_for(200), pytest.raises(RecordError, match=r"journal cannot be written"), Journal(out, HEAD, resume=True):
        pass
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


def test_an_unfinished_journal_is_not_overwritten(tmp_path: Path) -> None:
    with Journal(tmp_path / "a.json", HEAD):
        pass
    with pytest.raises(UsageError, match=r"a\.json\.journal is the journal of an unfinished run: go on with --resume"):
        Journal(tmp_path / "a.json", HEAD)


def test_what_another_model_did_is_not_taken_over(tmp_path: Path) -> None:
    with Journal(tmp_path / "a.json", HEAD):
        pass
    with pytest.raises(UsageError, match=r"made with another weights \(ab, now xy\)"):
        Journal(tmp_path / "a.json", HEAD | {"weights": "xy"}, resume=True)


def test_finished_figures_leave_no_journal_and_can_be_gone_on_with(tmp_path: Path) -> None:
    out = tmp_path / "a.json"
    made = figures()
    with Journal(out, HEAD) as journal:
        journal.finish(to_text(made))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json"]
    with Journal(out, HEAD, resume=True) as again:
        assert len(again.done) == 6


@pytest.mark.parametrize("text", ["{}", "[1]", "no json", '{"head": {}, "items": [{"seed": 1}]}'])
def test_a_file_of_something_else_is_refused_when_it_is_to_be_gone_on_with(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UsageError):
        Journal(tmp_path / "a.json", HEAD, resume=True)


def test_going_on_needs_a_file() -> None:
    with pytest.raises(UsageError, match="--out"):
        Journal(None, HEAD, resume=True)
