"""An error is one line for a person, and its whole traceback is kept where that line says."""

import io
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from rich.console import Console

from foveate.actions.errors import BrowserCrashed, UsageError
from foveate.actions.geometry import Point
from foveate.actions.guard import Limits, Secret
from foveate.actions.schema import Click, Terminate
from foveate.agent import Agent
from foveate.agent.ending import FAILED, Ending, describe
from foveate.agent.live import LiveView
from foveate.agent.running import run_agent
from foveate.envs.base import Observation
from foveate.envs.fake import Effect, FakeEnv
from foveate.policies.base import Decision, Look, Turn
from foveate.policies.scripted import ScriptedPolicy

HIT = Click(at=Point(0.25, 0.25))


class Broken(ScriptedPolicy):
    """A policy with a bug."""

    async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
        raise ZeroDivisionError("a policy's bug")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.delenv("FOVEATE_DEBUG", raising=False)
    return folder


def raised(error: Exception) -> Exception:
    """Give an error with a traceback."""
    try:
        raise error
    except type(error) as exc:
        return exc


def told(error: Exception, log: Path | None = None) -> str:
    """Describe an error and give what a person reads."""
    screen = io.StringIO()
    describe(raised(error), Console(file=screen, width=400), log)
    return screen.getvalue()


def test_an_error_that_nobody_foresaw_is_one_line_that_names_the_file_with_its_traceback(temporary: Path) -> None:
    line = told(ZeroDivisionError("division by zero"))
    (file,) = temporary.iterdir()
    assert line == f"error: ZeroDivisionError: division by zero (traceback: {file})\n"
    text = file.read_text()
    assert "Traceback (most recent call last)" in text
    assert "in raised" in text and "ZeroDivisionError: division by zero" in text


def test_a_long_message_is_cut_and_the_file_is_still_named(temporary: Path) -> None:
    line = told(ZeroDivisionError("long " * 10_000))
    (file,) = temporary.iterdir()
    assert line.endswith(f"… (traceback: {file})\n") and len(line) < 2_500


def test_an_expected_error_is_its_line_alone(temporary: Path) -> None:
    assert told(UsageError("--tiles 0: give 1 or more")) == "error: --tiles 0: give 1 or more\n"
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("error", [ZeroDivisionError("division by zero"), UsageError("wrong")])
def test_with_foveate_debug_the_traceback_is_on_standard_error(
    error: Exception, temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FOVEATE_DEBUG", "1")
    line = told(error)
    assert line.startswith("error: ") and "traceback:" not in line
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    assert list(temporary.iterdir()) == []


def test_where_no_file_can_be_written_the_remedy_is_named(temporary: Path) -> None:
    temporary.rmdir()
    line = told(ZeroDivisionError("division by zero"))
    assert line == "error: ZeroDivisionError: division by zero (FOVEATE_DEBUG=1 shows the traceback)\n"


def test_where_a_record_has_no_error_log_yet_it_gets_one(tmp_path: Path, temporary: Path) -> None:
    log = tmp_path / "error.log"
    assert told(ZeroDivisionError("closing"), log).endswith(f"(traceback: {log})\n")
    assert "in raised" in log.read_text()
    before = log.read_text()
    assert told(ZeroDivisionError("closing"), log).endswith(f"(traceback: {log})\n")
    assert log.read_text() == before, "the record wrote it already"
    assert list(temporary.iterdir()) == []


def ran(folder: Path | None) -> tuple[Ending, str]:
    """Run the broken policy as the command line does; give the ending and what a person reads."""
    screen = io.StringIO()
    people = Console(file=screen, width=400)
    view = LiveView(people, max_steps=5)
    agent = Agent(FakeEnv(), Broken([]), record=folder, listeners=(view,))
    return run_agent(agent, view, people, task="t", seed=None, folder=folder), screen.getvalue()


def test_a_run_that_fails_names_its_records_error_log(tmp_path: Path, temporary: Path) -> None:
    folder = tmp_path / "run"
    ending, text = ran(folder)
    assert (ending.code, ending.data and ending.data["reason"]) == (FAILED, "ZeroDivisionError")
    (line,) = (line for line in text.splitlines() if line.startswith("error: "))
    assert line == f"error: ZeroDivisionError: a policy's bug (traceback: {folder / 'error.log'})"
    log = (folder / "error.log").read_text()
    assert "in act" in log and log.rstrip().endswith("ZeroDivisionError: a policy's bug")
    assert "Traceback" not in text
    assert list(temporary.iterdir()) == []


def test_a_run_without_a_record_that_fails_names_a_temporary_file(temporary: Path) -> None:
    ending, text = ran(None)
    assert ending.code == FAILED
    (file,) = temporary.iterdir()
    assert f"(traceback: {file})" in text
    assert "in act" in file.read_text()


@pytest.mark.parametrize("as_json", [True, False])
def test_at_the_outermost_edge_too(tmp_path: Path, as_json: bool) -> None:
    code = """
import sys
from rich.console import Console
from foveate.agent.ending import end

def command():
    raise ZeroDivisionError("a command's bug")

end(command, sys.argv[1:], Console(stderr=True))
"""
    args = ["doctor", "--json"] if as_json else ["doctor"]
    clean = {name: value for name, value in os.environ.items() if name != "FOVEATE_DEBUG"}
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=60, check=False,
        env=clean | {"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == FAILED
    (line,) = done.stderr.splitlines()
    found = re.fullmatch(r"error: ZeroDivisionError: a command's bug \(traceback: (.+)\)", line)
    assert found is not None, line
    log = Path(found[1])
    assert log.parent == tmp_path
    assert "in command" in log.read_text()
    assert done.stdout == ('{"status":"error","reason":"ZeroDivisionError"}\n' if as_json else "")


async def test_the_record_of_a_run_that_an_error_ended_holds_its_traceback(tmp_path: Path) -> None:
    env = FakeEnv(effects=[Effect(raises=BrowserCrashed("the page is gone"))])
    with pytest.raises(BrowserCrashed):
        await Agent(env, ScriptedPolicy([HIT]), record=tmp_path / "crashed").run()
    log = (tmp_path / "crashed/error.log").read_text()
    assert log.startswith("Traceback (most recent call last)")
    assert "in step" in log and log.rstrip().endswith("BrowserCrashed: the page is gone")
    await Agent(FakeEnv(), ScriptedPolicy([Terminate()]), record=tmp_path / "done").run()
    assert not (tmp_path / "done/error.log").exists()


async def test_a_secret_is_a_placeholder_in_it(tmp_path: Path) -> None:
    limits = Limits(allow=("fake.example",), secrets={"pw": Secret("hunter2", ("fake.example",))})
    env = FakeEnv(limits=limits, effects=[Effect(raises=BrowserCrashed("typing hunter2 failed"))])
    with pytest.raises(BrowserCrashed):
        await Agent(env, ScriptedPolicy([HIT]), record=tmp_path / "run").run()
    log = (tmp_path / "run/error.log").read_text()
    assert "typing {{pw}} failed" in log
    assert "hunter2" not in log
    assert json.loads((tmp_path / "run/episode.json").read_text())["result"]["error"].endswith("{{pw}} failed")
