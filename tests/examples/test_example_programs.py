"""The example programs, run as a user runs them, and the scripted answers through the real loop."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("playwright.async_api")

from foveate.agent import Agent
from foveate.envs.browser import BrowserEnv
from foveate.policies.scripted import ScriptedPolicy

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("todo", "signin", "settings", "shop", "calendar")

pytestmark = pytest.mark.browser


def ran(cwd: Path, name: str, *args: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, args)]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=110, check=False)


@pytest.mark.parametrize("name", NAMES)
async def test_scripted_answers_do_the_task_through_the_real_loop(name: str, chromium: str) -> None:
    env = BrowserEnv(str(EXAMPLES / "pages" / f"{name}.html"), verify="page")
    policy = ScriptedPolicy.from_file(EXAMPLES / "answers" / f"{name}.json")
    result = await Agent(env, policy, max_steps=12, timeout_s=60).run("Do what the page asks for.")
    assert [outcome.error for turn in result.trajectory.turns for outcome in turn.outcomes if outcome.error] == []
    assert (result.status, result.verified, result.reason) == ("success", True, "done")
    assert result.steps == len(policy.answers)


async def test_a_script_that_stops_half_way_is_not_a_success(chromium: str) -> None:
    loaded = json.loads((EXAMPLES / "answers" / "todo.json").read_text(encoding="utf-8"))
    env = BrowserEnv(str(EXAMPLES / "pages" / "todo.html"), verify="page")
    whole = ScriptedPolicy.from_file(EXAMPLES / "answers" / "todo.json")
    policy = ScriptedPolicy(
        [*loaded["answers"][:2], loaded["answers"][-1]], convention=whole.convention, viewport=whole.preferred_viewport
    )
    result = await Agent(env, policy, timeout_s=60).run("Add milk to the list")
    assert (result.status, result.verified, result.reason) == ("failure", False, "done")


def test_web_task_does_a_task_with_scripted_answers(tmp_path: Path, chromium: str) -> None:
    done = ran(
        tmp_path, "web_task", "Add milk to the list", "--url", EXAMPLES / "pages" / "todo.html",
        "--policy", f"scripted:{EXAMPLES / 'answers' / 'todo.json'}", "--record", tmp_path / "record",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "success after 4 steps (done), verified: True" in done.stdout
    assert (tmp_path / "record" / "report.html").exists()


@pytest.mark.torch
def test_web_task_runs_with_the_bundled_model(tmp_path: Path, chromium: str) -> None:
    done = ran(
        tmp_path, "web_task", "Add milk to the list", "--url", EXAMPLES / "pages" / "todo.html", "--max-steps", 2
    )
    assert done.returncode in (0, 1), done.stderr
    assert "verified: " in done.stdout


def test_web_task_names_what_is_wrong_with_its_flags(tmp_path: Path) -> None:
    for policy, said in (("oracle", "--policy oracle"), ("scripted:missing.json", "missing.json")):
        done = ran(tmp_path, "web_task", "x", "--url", EXAMPLES / "pages" / "todo.html", "--policy", policy)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_scripted_agent_adds_items_by_sight(tmp_path: Path, chromium: str) -> None:
    done = ran(tmp_path, "scripted_agent")
    assert done.returncode == 0, done.stderr
    assert "success, verified by the page: True" in done.stdout
    more = ran(tmp_path, "scripted_agent", "milk", "oat flakes")
    assert more.returncode == 1, more.stderr
    assert "failure, verified by the page: False" in more.stdout, "an item that nobody asked for"


def test_the_demo_does_all_five_with_scripted_answers(tmp_path: Path, chromium: str) -> None:
    done = ran(tmp_path, "demo", "--policy", "scripted", "--out", tmp_path / "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "scripted answers: 5 of 5 done, verified by the page" in done.stdout
    index = (tmp_path / "demo" / "index.html").read_text(encoding="utf-8")
    for name in NAMES:
        assert (tmp_path / "demo" / f"scripted-{name}" / "report.html").exists()
        assert f"scripted-{name}" in index


def test_the_demo_fails_where_a_run_cannot_be_done(tmp_path: Path) -> None:
    done = ran(
        tmp_path, "demo", "--policy", "scripted", "--application", "todo", "--out", tmp_path / "demo",
        "--browser", "/no/such/browser",
    )  # fmt: skip
    assert done.returncode == 3, done.stdout + done.stderr
    assert "/no/such/browser" in done.stderr


def test_an_interrupted_demo_closes_its_run_and_says_so(tmp_path: Path, chromium: str) -> None:
    line = [sys.executable, str(EXAMPLES / "demo.py"), "--policy", "scripted", "--out", str(tmp_path / "demo")]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for said in process.stderr:
            if "click(" in said:
                break
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert rest.strip().endswith("interrupted")
    episode = json.loads((tmp_path / "demo" / "scripted-todo" / "episode.json").read_text(encoding="utf-8"))
    assert episode["result"]["status"] in ("interrupted", "success"), "its last step may have been over already"
    assert not (tmp_path / "demo" / "scripted-calendar").exists()
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path).encode() in read(path)]
    assert left == []


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process ended meanwhile
        return b""
