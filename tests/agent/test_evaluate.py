"""``foveate eval`` with a real Chromium: an oracle is right everywhere, nothing is done twice, no process is left."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foveate.actions.errors import FoveateError, UsageError
from foveate.agent.evaluate import Plan, evaluate
from foveate.agent.evaluation_crew import run_apart
from foveate.agent.evaluation_episodes import Game, Stage
from foveate.agent.evaluation_items import SUITES, items_of
from foveate.agent.evaluation_pages import Pages, live, with_verdict
from foveate.agent.evaluation_worker import Deciding
from foveate.policies.scripted import ScriptedPolicy

ROOT = Path(__file__).parents[2]
COMMAND = str(Path(sys.executable).with_name("foveate"))

pytestmark = pytest.mark.browser


@pytest.fixture
def oracle(chromium: str) -> Deciding:
    return Deciding("oracle", browser=chromium)


def right(figures: dict[str, Any], suite: str, column: str) -> tuple[int, int]:
    found = figures["suites"][suite][column]["all"]
    return found["right"], found["of"]


def test_an_oracle_hits_every_click_and_the_blind_baselines_do_not(oracle: Deciding, tmp_path: Path) -> None:
    out = tmp_path / "new" / "clicks.json"
    said: list[str] = []
    figures = evaluate(Plan("clicks", oracle, episodes=8, out=out), said.append)
    assert right(figures, "clicks", "right") == (8, 8)
    made = figures["suites"]["clicks"]
    assert {made["right"][half]["of"] for half in ("seen", "unseen")} == {4}
    assert sum(tally["of"] for tally in made["roles"].values()) == 8
    for baseline in made["baselines"].values():
        assert baseline["all"]["of"] == 8
        assert baseline["all"]["right"] < 8
    assert json.loads(out.read_text()) == figures
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert "clicks: 8 of 8, 8 right" in said
    assert sorted(path.name for path in out.parent.iterdir()) == ["clicks.json", "clicks.png"]


def test_what_was_done_is_not_done_again_and_two_processes_find_what_one_does(oracle: Deciding, tmp_path: Path) -> None:
    def told(figures: dict[str, Any]) -> list[dict[str, Any]]:
        return [{name: value for name, value in item.items() if name != "ms"} for item in figures["items"]]

    out = tmp_path / "answers.json"
    two = evaluate(Plan("answers", oracle, episodes=4, workers=2, out=out))
    assert right(two, "answers", "right") == (4, 4)
    assert told(two)[:2] == told(evaluate(Plan("answers", oracle, episodes=2)))
    said: list[str] = []
    again = evaluate(Plan("answers", oracle, episodes=4, resume=True, out=out), said.append)
    assert said == ["4 of 4 items were done before"]
    assert again["items"] == two["items"]
    for other in (
        Plan("typing", oracle, episodes=2, resume=True, out=out),
        Plan("answers", oracle, 2, resume=True, out=out),
    ):
        with pytest.raises(UsageError, match=r"--resume: \S+ holds \d items \(answers\) that are not this run's"):
            evaluate(other)
    assert json.loads(out.read_text()) == again
    assert [path.name for path in tmp_path.iterdir()] == ["answers.json"]


def test_an_oracle_types_into_every_field_and_does_every_program(oracle: Deciding) -> None:
    typed = evaluate(Plan("typing", oracle, episodes=3))
    done = evaluate(Plan("programs", oracle, episodes=3))
    for figures, suite in ((typed, "typing"), (done, "programs")):
        assert right(figures, suite, "verified") == right(figures, suite, "own_word") == (3, 3)
        assert set(figures["suites"][suite]["median_ms"]) >= {"dispatch", "settle", "capture", "total"}
    assert len(done["suites"]["programs"]["programs"]["verified"]) == 2


def test_applications_are_verified_by_their_page_and_two_columns_are_kept(chromium: str, tmp_path: Path) -> None:
    answers = json.loads((ROOT / "examples/answers/todo.json").read_text())
    answers["answers"][-1] = "<action>terminate(status='failure')</action>"
    script = tmp_path / "todo.json"
    script.write_text(json.dumps(answers))
    figures = evaluate(Plan("apps", Deciding(f"scripted:{script}", browser=chromium), episodes=1))
    made = figures["suites"]["apps"]["applications"]
    assert {name: tally["right"] for name, tally in made["verified"].items()} == {
        "calendar": 0, "settings": 0, "shop": 0, "signin": 0, "todo": 1,
    }  # fmt: skip
    assert sum(tally["right"] for tally in made["own_word"].values()) == 0


async def test_a_text_is_typed_only_where_it_is_exact(chromium: str, tmp_path: Path) -> None:
    async with Pages(chromium) as pages, Stage(tmp_path, chromium) as stage:
        asked = await pages.asked(items_of(SUITES["typing"], 1)[0])
        click, _, end = asked.answers
        for text, verified in (("{}", True), ("{} ", False), ("x{}", False), ("", False)):
            write = f"<action>write(message={json.dumps(text.format(asked.text))})</action>" if text else end
            script = ScriptedPolicy((click, write, end))
            found = await stage.play(with_verdict(asked), Game(lambda env, script=script: script, 8, 0))  # type: ignore[misc]
            assert (found["verified"], found["task"]) == (verified, asked.question.task), text
            assert found["ms"]["settle"]


async def test_a_page_is_shown_as_it_was_measured(chromium: str, tmp_path: Path) -> None:
    async with Pages(chromium) as pages, Stage(tmp_path, chromium) as stage:
        for item in items_of(SUITES["clicks"], 4):
            asked = await pages.asked(item)
            shown = (await stage.look(live(asked.page))).image.astype(int)
            far = np.abs(shown - asked.screen.image.astype(int)).max(2) > 12  # a measured picture has fewer shades
            assert far.mean() < 0.002, item.key


def processes_of(mark: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark.encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text()[:60])
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes by /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_keeps_what_is_done_and_leaves_no_process(
    chromium: str, tmp_path: Path, number: signal.Signals
) -> None:
    line = [COMMAND, "eval", "answers", "--policy", "oracle", "--browser", chromium, "--out", "a.json"]
    mark = f"FOVEATE_TEST={tmp_path}"
    process = subprocess.Popen(
        line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | dict([mark.split("=", 1)]),
    )  # fmt: skip
    journal = tmp_path / "a.json.journal"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (journal.exists() and journal.read_text().count("\n") > 1):
        time.sleep(0.05)
    os.killpg(process.pid, number)
    output, told = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "")
    assert "of 200 items are kept in a.json.journal: --resume goes on" in told
    assert "Traceback" not in told
    deadline = time.monotonic() + 20
    while processes_of(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_of(mark) == []
    kept = [json.loads(text) for text in journal.read_text().splitlines()[1:]]
    assert kept
    assert all(item["right"] for item in kept)


async def dies(tell: Any) -> None:
    os._exit(7)


async def fails(tell: Any) -> None:
    raise FoveateError("as expected")


@pytest.mark.parametrize(("job", "told"), [(dies, "exit code 7"), (fails, "FoveateError: as expected")])
def test_a_process_that_fails_is_an_error_that_says_why(job: Any, told: str) -> None:
    with pytest.raises(FoveateError, match=told):
        run_apart(job, [(), ()], print)


def test_wrong_usage_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    for args, told in (
        (["klicks"], "no suite 'klicks'"),
        (["apps", "--policy", "oracle"], "--policy oracle: there is none of the sample applications"),
        (["clicks", "--resume"], "--resume needs the file"),
    ):
        done = subprocess.run([COMMAND, "eval", *args], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (2, "")
        assert told in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.torch
def test_the_bundled_model_is_evaluated_through_its_own_policy(chromium: str) -> None:
    figures = evaluate(Plan("answers", Deciding(browser=chromium, device="cpu"), episodes=1))
    (item,) = figures["items"]
    assert set(item["ms"]) >= {"tile", "encode", "prefill", "decode", "total"}
    assert figures["head"]["model"] == "tiny"
    assert len(figures["head"]["weights"]) == 16
