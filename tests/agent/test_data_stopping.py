"""However the making of data is ended, its processes and browsers end with it, and one line is said."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [str(Path(sys.executable).with_name("foveate")), "data", "make", "--out", "made", "--count", "900"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes by /proc"),
]

PAGES, PROGRAMS = (), ("--programs",)


def processes_of(mark: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def wait_for(what: str, mark: str, number: int, limit_s: float = 30.0) -> None:
    """Wait until so many processes are called so."""
    deadline = time.monotonic() + limit_s
    while (found := sum(what in line for line in processes_of(mark))) < number:
        assert time.monotonic() < deadline, f"{found} of {number} {what}"
        time.sleep(0.1)


def nothing_is_left(mark: str, limit_s: float = 20.0) -> bool:
    deadline = time.monotonic() + limit_s
    while left := processes_of(mark):
        if time.monotonic() > deadline:
            print("\n".join(line[:120] for line in left))
            return False
        time.sleep(0.1)
    return True


def begun(folder: Path, flags: tuple[str, ...], workers: int) -> "subprocess.Popen[str]":
    """Begin the making, and wait until each worker has a browser that has had time to show a page."""
    mark = f"FOVEATE_TEST={folder}"
    process = subprocess.Popen(
        [*COMMAND, *flags, "--workers", str(workers)], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True, env=os.environ | dict([mark.split("=", 1)]),
    )  # fmt: skip
    wait_for("--remote-debugging-pipe", mark, workers)
    time.sleep(2)
    return process


@pytest.mark.parametrize(
    ("flags", "workers", "number", "whole"),
    [
        (PAGES, 1, signal.SIGINT, True),
        (PAGES, 2, signal.SIGTERM, False),
        (PROGRAMS, 1, signal.SIGINT, True),
        (PROGRAMS, 2, signal.SIGINT, False),
        (PROGRAMS, 2, signal.SIGTERM, False),
    ],
)
def test_a_signal_ends_the_making_with_one_line(
    chromium: str, tmp_path: Path, flags: tuple[str, ...], workers: int, number: signal.Signals, whole: bool
) -> None:
    """A terminal's Ctrl-C goes to the whole group, a service manager's SIGTERM to the process alone."""
    process = begun(tmp_path, flags, workers)
    (os.killpg if whole else os.kill)(process.pid, number)
    try:
        out, err = process.communicate(timeout=25)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (130, "", "Interrupted.\n")
    assert nothing_is_left(f"FOVEATE_TEST={tmp_path}")
    assert list((tmp_path / "made").glob(".*")) == []


@pytest.mark.parametrize("flags", [PAGES, PROGRAMS], ids=["pages", "programs"])
def test_who_is_killed_takes_workers_and_browsers_along(chromium: str, tmp_path: Path, flags: tuple[str, ...]) -> None:
    process = begun(tmp_path, flags, 2)
    process.kill()
    process.communicate(timeout=40)
    assert nothing_is_left(f"FOVEATE_TEST={tmp_path}")


def test_ctrl_c_while_workers_start_is_one_line_too(chromium: str, tmp_path: Path) -> None:
    mark = f"FOVEATE_TEST={tmp_path}"
    process = subprocess.Popen(
        [*COMMAND, "--workers", "2"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env=os.environ | dict([mark.split("=", 1)]),
    )  # fmt: skip
    wait_for("spawn_main", mark, 2)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=40)
    assert (process.returncode, out, err) == (130, "", "Interrupted.\n")
    assert nothing_is_left(mark)
