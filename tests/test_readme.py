"""The README says what is true: its figures come from the results, its script and its commands run."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_figures_are_those_of_the_results() -> None:
    command = [sys.executable, str(ROOT / "tests/bench/readme.py"), "--check"]
    assert subprocess.run(command).returncode == 0, "run: python tests/bench/readme.py"


@pytest.mark.browser
@pytest.mark.torch
def test_the_python_script_runs_as_it_is_printed(chromium: str) -> None:
    (script,) = blocks("python")
    assert len(script.strip().splitlines()) <= 20
    out = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert out.returncode == 0, out.stderr
    assert re.fullmatch(r"(success|failure|truncated) \w+ (True|False) \d+", out.stdout.strip())


@pytest.mark.browser
@pytest.mark.torch
@pytest.mark.timeout(300)
def test_the_commands_run_as_they_are_printed(chromium: str, tmp_path: Path) -> None:
    commands = [line.split("#")[0].strip() for line in "\n".join(blocks("bash")).splitlines()]
    for command in (line for line in commands if line.startswith(".venv/bin/foveate")):
        words = shlex.split(command.replace(" runs/", f" {tmp_path}/"))
        words[0] = str(Path(sys.executable).with_name("foveate"))
        out = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=110)
        assert out.returncode in (0, 1), f"{command}: {out.returncode}\n{out.stderr}"
        if "--json" in words:
            assert set(json.loads(out.stdout)) >= {"status", "verified", "reason", "steps", "timing_ms", "tokens"}
        if "scripted:" in command:
            assert out.returncode == 0, out.stderr


def test_the_make_targets_that_are_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"make ([a-z-]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
