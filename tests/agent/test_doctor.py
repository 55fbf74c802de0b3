"""The doctor: a real browser is seen and clicked, and every failed check says what to do."""

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from foveate.agent.doctor import Check, examine, show

COMMAND = str(Path(sys.executable).with_name("foveate"))


@pytest.mark.browser
@pytest.mark.usefixtures("chromium")
async def test_a_working_browser_shows_its_colour_and_receives_a_click(tmp_path: Path) -> None:
    checks = {check.name: check for check in await examine(model=str(tmp_path / "none"))}
    assert checks["browser"].passed, checks["browser"]
    assert "clicked" in checks["browser"].found
    assert not checks["model"].passed
    assert str(tmp_path / "none") in checks["model"].remedy
    for name in ("Python", "extra browser", "disk space", "fonts"):
        assert checks[name].passed, checks[name]


@pytest.mark.torch
async def test_a_model_whose_code_an_engine_would_have_to_run_is_told_of(
    small_checkpoint: Path, tmp_path: Path
) -> None:
    from foveate.policies.internvl.converting import convert

    async def found(model: Path, **more: bool) -> Check:
        listed = await examine(model=str(model), engine="lmdeploy", browser="/nonexistent", **more)
        return next(check for check in listed if check.name == "remote code")

    github = convert(small_checkpoint, tmp_path / "github", "github").folder
    untrusted = await found(github)
    assert not untrusted.passed and "say --trust-remote-code if you trust it" in untrusted.remedy
    assert (await found(github, trust_remote_code=True)).found == "LMDeploy runs the checkpoint's own"
    assert (await found(small_checkpoint)).found.endswith("brings none that would be run")
    listed = await examine(model=str(tmp_path / "none"), browser="/nonexistent")
    assert "remote code" not in {check.name for check in listed}


def test_what_is_missing_is_exit_code_3_and_one_object(tmp_path: Path) -> None:
    args = ["doctor", "--browser", "/nonexistent", "--model", str(tmp_path), "--json"]
    done = subprocess.run([COMMAND, *args], capture_output=True, text=True, timeout=90, check=False, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stdout.count("\n") == 1
    said = json.loads(done.stdout)
    assert said["status"] == "failure"
    failed = {check["name"]: check for check in said["checks"] if not check["passed"]}
    assert {"browser", "model"} <= set(failed)
    assert all(check["remedy"] for check in failed.values())
    assert "/nonexistent" in failed["browser"]["remedy"]
    for check in failed.values():
        assert check["remedy"] in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.torch
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="no /proc tells when torch is being loaded")
def test_a_signal_that_comes_again_while_a_model_is_loaded_ends_it_cleanly(tmp_path: Path) -> None:
    """As ``timeout`` ends a command: by SIGTERM to it, and to its group."""
    args = [COMMAND, "doctor", "--browser", "/nonexistent"]
    with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as doctor:
        while doctor.poll() is None and "tokenizers" not in Path(f"/proc/{doctor.pid}/maps").read_text():
            time.sleep(0.02)
        for _ in range(3):
            doctor.send_signal(signal.SIGTERM)
            time.sleep(0.1)
        said, complaints = doctor.communicate(timeout=60)
    assert (doctor.returncode, said, complaints.strip()) == (130, "", "Interrupted.")


def test_a_table_shows_found_things_as_plain_text() -> None:
    out = io.StringIO()
    show(
        [Check("fonts", True, "[red]3[/] files"), Check("disk", False, "full", "free [some]")],
        Console(file=out, width=80),
    )
    assert "[red]3[/] files" in out.getvalue()
    assert "disk: free [some]" in out.getvalue()
