"""Which parts the command line puts together, and what its guard does."""

import errno
import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from foveate.actions.errors import RecordError, UsageError
from foveate.actions.guard import Limits
from foveate.agent.cli import DevicesName, FlashName, RunOptions, ThinkName, policy_named
from foveate.agent.ending import CODES
from foveate.agent.record import read_record
from foveate.policies.internvl import InternVLPolicy
from foveate.policies.retry import RetryPolicy
from foveate.policies.scripted import ScriptedPolicy
from foveate.policies.thinking import ThinkWhenStuck

COMMAND = str(Path(sys.executable).with_name("foveate"))


def options(policy: str, *, model: str = "tiny", think: ThinkName = ThinkName.NEVER) -> RunOptions:
    return RunOptions(
        url="https://example.org", viewport=None, verify=None, policy=policy, model=model, engine="auto",
        device=DevicesName("cpu"), think=think, tiles=None, flash=FlashName.AUTO, grammar=False, headed=False,
        browser=None, limits=Limits(),
    )  # fmt: skip


def test_a_models_policy_asks_once_more_and_a_script_is_taken_at_its_word(tmp_path: Path) -> None:
    model = policy_named("internvl", options("internvl"))
    assert isinstance(model, RetryPolicy)
    assert isinstance(model.policy, InternVLPolicy)
    assert model.attempts == 1
    (tmp_path / "answers.json").write_text('["<action>stop()</action>"]')
    name = f"scripted:{tmp_path / 'answers.json'}"
    assert isinstance(policy_named(name, options(name)), ScriptedPolicy)


def test_a_model_thinks_always_or_where_it_is_stuck() -> None:
    always = policy_named("internvl", options("internvl", model="some/model", think=ThinkName.ALWAYS))
    assert isinstance(always, RetryPolicy) and isinstance(always.policy, InternVLPolicy)
    assert always.policy.look.thinking is True
    on_demand = policy_named("internvl", options("internvl", model="some/model", think=ThinkName.ON_DEMAND))
    assert isinstance(on_demand, RetryPolicy) and isinstance(on_demand.policy, ThinkWhenStuck)
    assert isinstance(on_demand.policy.policy, InternVLPolicy)
    assert not on_demand.policy.policy.look.thinking


@pytest.mark.torch
def test_flash_with_a_model_that_has_no_router_ends_before_the_first_step(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<title>x</title>")
    done = subprocess.run(
        [COMMAND, "run", "press", "--url", "page.html", "--flash", "on", "--no-record", "--json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    said = json.loads(done.stdout)
    assert (done.returncode, said["reason"], said["steps"]) == (3, "ModelUnavailable", 0)
    assert "tiny cannot run Flash" in done.stderr


@pytest.mark.torch
@pytest.mark.parametrize("named", [True, False], ids=["bundled name", "folder"])
def test_a_checkpoint_is_converted_by_the_command(tmp_path: Path, named: bool) -> None:
    source = "tiny" if named else str(files("foveate.policies.internvl") / "tiny")
    command = [COMMAND, "convert", source, "--to", "github", "--out", "there", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False)
    said = json.loads(done.stdout)
    assert (done.returncode, said["status"], said["layout"], said["model"]) == (0, "success", "github", "there")
    assert (tmp_path / "there/model.safetensors").stat().st_size > said["bytes"] > 10_000_000
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False)
    assert (again.returncode, json.loads(again.stdout)["reason"]) == (2, "UsageError")
    assert "there is in use" in again.stderr


def test_every_layout_says_alike_that_there_is_nothing_to_convert(tmp_path: Path) -> None:
    for layout in ("github", "transformers", "gguf"):
        command = [COMMAND, "convert", "nowhere", "--to", layout, "--out", "there"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode != 0
        assert "no checkpoint at nowhere: there is no such folder" in done.stderr


def test_a_full_disk_is_told_from_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors", reason="safetensors is not installed")
    from foveate.policies.internvl.new_folder import new_folder

    said = safetensors.SafetensorError("I/O error: No space left on device (os error 28)")
    numpys = OSError("36864 requested and 13720 written")
    for error in (said, numpys, OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EDQUOT, "Quota")):
        full = pytest.raises(RecordError, match="the disk is full: give a folder on one with room")
        with full, new_folder(tmp_path / "out"):
            raise error
    refused = pytest.raises(UsageError, match=r"none/out cannot be written: .*: give a folder that you may write to")
    with refused, new_folder(Path("/proc/none/out")):
        pass
    assert not list(tmp_path.iterdir())


def test_every_status_has_its_exit_code() -> None:
    assert CODES == {"success": 0, "failure": 1, "truncated": 1, "error": 3, "interrupted": 130}


@pytest.mark.browser
@pytest.mark.parametrize(
    ("flags", "verdict", "uploaded"),
    [((), "refused", False), (("--confirm", "risky"), "refused", False), (("--confirm", "never"), "allow", True)],
)
def test_an_upload_is_done_without_a_person_only_where_nobody_is_to_be_asked(
    chromium: str, tmp_path: Path, flags: tuple[str, ...], verdict: str, uploaded: bool
) -> None:
    (tmp_path / "note.txt").write_text("hello")
    (tmp_path / "page.html").write_text(
        "<title>none</title><style>body{margin:0}</style><input type=file style='position:fixed;inset:0' "
        "onchange='document.title = this.files[0].name'><script>window.foveateTask = "
        "{instruction: 'send', done: () => document.title === 'note.txt'}</script>"
    )
    answers = ["<action>upload(paths=['note.txt'], x=0.1, y=0.1)</action>", "<action>terminate()</action>"]
    (tmp_path / "answers.json").write_text(json.dumps(answers))
    done = subprocess.run(
        [COMMAND, "run", "--url", "page.html", "--policy", "scripted:answers.json", "--file", "note.txt", "--browser",
         chromium, "--viewport", "320x240", "--verify", "page", "--record", "out", "--json", *flags],
        cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert json.loads(done.stdout)["verified"] is uploaded, done.stderr
    assert done.returncode == (0 if uploaded else 1)
    first = read_record(tmp_path / "out").steps[0]
    assert (first.verdict, first.rule) == ((verdict,), ("kind:upload",))
    assert any("Warning" in note for note in first.notes) is uploaded


@pytest.mark.parametrize("name", ["on", "off"])
def test_flash_for_a_server_ends_before_the_first_step_with_where_it_is_switched(tmp_path: Path, name: str) -> None:
    pytest.importorskip("openai", reason="the openai client is not installed")
    from tests.policies.test_openai_engine import Server

    (tmp_path / "page.html").write_text("<title>x</title>")
    server = Server()
    try:
        done = subprocess.run(
            [COMMAND, "run", "press", "--url", "page.html", "--engine", f"openai:{server.url}", "--flash", name,
             "--no-record", "--json"],
            cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    finally:
        server.close()
    said = json.loads(done.stdout)
    assert (done.returncode, said["reason"]) == (2, "UsageError"), done.stderr
    assert f"foveate serve MODEL --flash {name}" in done.stderr and "tiny" not in done.stderr
    assert server.asked == []
