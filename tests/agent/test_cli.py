"""The command line as a user meets it: exit codes, one JSON object in every case, one clear line for every failure."""

import contextlib
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from foveate.actions.errors import UsageError
from foveate.agent.flags import limits_of
from foveate.agent.record import read_record
from foveate.agent.running import blocked_lines
from foveate.envs.base import Event

KEYS = ["status", "verified", "reason", "answer", "steps", "seconds", "record", "timing_ms", "tokens"]
PHASES = ["tile", "encode", "prefill", "decode", "parse", "guard", "dispatch", "settle", "capture", "total"]
COMMAND = [str(Path(sys.executable).with_name("foveate"))]
PAGE = """<!doctype html><title>t</title><style>body{{margin:0;background:#eee}}</style><body>
<script>window.foveateTask={{instruction:"click the page",done:()=>document.title==="clicked"}};
addEventListener("click",()=>{{document.title="clicked";document.body.style.background="#0a0"}});{more}</script>"""
CLICK = "<operation>Click the middle</operation><action>click(x=0.5, y=0.5)</action>"
END = "<action>terminate(status='success')</action>"


def foveate(*args: str | Path, cwd: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, args)], cwd=cwd, capture_output=True, text=True, timeout=90, check=False,
        stdin=subprocess.DEVNULL, **more,
    )  # fmt: skip


def one_object(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Read standard output as exactly one JSON object in one line."""
    assert done.stdout.count("\n") == 1, done.stdout
    read = json.loads(done.stdout)
    assert isinstance(read, dict)
    return read


def page(folder: Path, more: str = "") -> Path:
    file = folder / "page.html"
    file.write_text(PAGE.format(more=more))
    return file


def script(folder: Path, *answers: str) -> str:
    file = folder / "answers.json"
    file.write_text(json.dumps(list(answers)))
    return f"scripted:{file}"


def browsers_of(folder: Path) -> list[int]:
    """Give the processes whose environment says that they were started by a test in this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and f"FOVEATE_TEST={folder}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


@pytest.fixture
def marked(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment by which every process of a test is found again; none may be left at its end."""
    yield os.environ | {"FOVEATE_TEST": str(tmp_path)}
    deadline = time.monotonic() + 15
    while browsers_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert browsers_of(tmp_path) == []


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--nope"], "--nope"),
        (["--viewport", "12"], "--viewport 12: give WIDTHxHEIGHT"),
        (["--viewport", "1x99999"], "64 to 8192"),
        (["--max-steps", "0"], "--max-steps"),
        (["--env", "desktop"], "desktop"),
        (["--policy", "oracle"], "--policy oracle: choose internvl, scripted:FILE or human"),
        (["--policy", "scripted:/no/such"], "/no/such"),
        (["--url", "no-such-page.html"], "no-such-page.html: there is no such file"),
        (["--url", "javascript:alert(1)"], "the scheme javascript: is not permitted"),
        (["--allow", "http://x"], "'http://x' is no host name"),
        (["--file", "/no/such.txt"], "--file /no/such.txt: there is no such file"),
        (["--record", "used"], "used is not empty"),
        (["--record", "new", "--no-record"], "exclude each other"),
        (["--local-vision"], "add --vision or leave it out"),
        (["--engine", "vllm"], "vllm"),
        (["--think", "always"], "--think always: --policy scripted asks no model"),
        (["--grammar"], "--grammar: --policy scripted asks no model"),
        (["--think", "sometimes"], "sometimes"),
        (["--policy", "internvl", "--think", "always"], "'tiny' cannot think"),
        (["--policy", "internvl", "--think", "on-demand"], "--think on-demand: 'tiny' cannot think"),
    ],
)
def test_wrong_usage_is_one_line_one_object_and_exit_code_2(tmp_path: Path, args: list[str], told: str) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used/file").write_text("")
    more = [] if "--url" in args else ["--url", str(page(tmp_path))]
    policy = [] if "--policy" in args else ["--policy", script(tmp_path, END)]
    done = foveate("run", "task", *args, *more, *policy, "--json", cwd=tmp_path)
    said = one_object(done)
    assert done.returncode == 2, done.stderr
    assert list(said) == KEYS
    assert (said["status"], said["reason"], said["steps"]) == ("error", "UsageError", 0)
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "new").exists()


def test_without_a_start_address_the_remedy_is_named(tmp_path: Path) -> None:
    done = foveate("run", "task", "--policy", script(tmp_path, END), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--url https://example.org" in done.stderr


def test_help_and_version_are_short_and_list_only_what_is_built(tmp_path: Path) -> None:
    help_text = foveate("--help", cwd=tmp_path)
    assert help_text.returncode == 0
    for name in ("run", "view", "eval", "bench", "data", "train", "convert", "models", "doctor", "serve"):
        assert f"\n  {name} " in help_text.stdout
    for name in ("compare", "mcp", "robot"):
        assert f"\n  {name} " not in help_text.stdout
    run_help = foveate("run", "--help", cwd=tmp_path).stdout
    for unbuilt in ("desktop", "indoor", "oracle"):
        assert unbuilt not in run_help
    for_programs = foveate("run", "--help", "--json", cwd=tmp_path)
    assert (for_programs.returncode, json.loads(for_programs.stdout)["status"]) == (0, "success")
    assert "--url" in for_programs.stderr
    version = foveate("--version", cwd=tmp_path)
    assert version.returncode == 0
    assert version.stdout.strip()[0].isdigit()


def test_a_missing_extra_is_exit_code_3_with_the_line_that_brings_it(tmp_path: Path) -> None:
    code = "import sys; sys.modules['playwright'] = sys.modules['playwright.async_api'] = None\n"
    code += "from foveate.agent.cli import main; main(sys.argv[1:])"
    args = ["run", "task", "--url", str(page(tmp_path)), "--policy", script(tmp_path, END), "--json", "--no-record"]
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )
    assert done.returncode == 3
    assert one_object(done)["reason"] == "MissingDependency"
    assert "pip install 'foveate[browser]'" in done.stderr


def test_a_broken_checkpoint_is_exit_code_3_and_recorded(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text('{"model_type": "bert"}')
    done = foveate(
        "run", "task", "--url", page(tmp_path), "--model", tmp_path / "model", "--json", "--record", "out", cwd=tmp_path
    )
    said = one_object(done)
    assert done.returncode == 3, done.stderr
    assert said["reason"] in ("CheckpointError", "ModelUnavailable")
    assert str(tmp_path / "model") in done.stderr
    assert "Traceback" not in done.stderr
    ended = read_record(tmp_path / "out").episode.result
    assert ended is not None
    assert ended.status == "error"


def test_a_record_that_cannot_be_written_is_exit_code_3(tmp_path: Path) -> None:
    done = foveate(
        "run", "task", "--url", page(tmp_path), "--policy", script(tmp_path, END), "--record", "/proc/no", "--json",
        cwd=tmp_path,
    )  # fmt: skip
    said = one_object(done)
    assert (done.returncode, said["reason"], said["record"]) == (3, "RecordError", None)
    assert "/proc/no cannot be written" in done.stderr
    assert "--record DIR" in done.stderr


def test_a_traceback_is_shown_only_where_it_is_asked_for(tmp_path: Path) -> None:
    done = foveate("view", tmp_path, cwd=tmp_path, env=os.environ | {"FOVEATE_DEBUG": "1"})
    assert done.returncode == 2
    assert "is no record" in done.stderr
    assert "Traceback" in done.stderr
    assert "Traceback" not in foveate("view", tmp_path, cwd=tmp_path).stderr


def test_a_result_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "steps.jsonl").write_text("")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "view", str(tmp_path)], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 3
    assert "standard output cannot be written: No space left" in done.stderr
    closed = f"exec {COMMAND[0]} run t --nope --json >&-"
    done = subprocess.run(["sh", "-c", closed], stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_standard_error_that_is_full_costs_no_result(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "view", str(tmp_path), "--json"], stdout=subprocess.PIPE, stderr=full, text=True, timeout=60,
            check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert json.loads(done.stdout)["reason"] == "UsageError"


def test_a_report_never_replaces_a_part_of_its_record(tmp_path: Path) -> None:
    steps = tmp_path / "steps.jsonl"
    steps.write_text("")
    done = foveate("view", tmp_path, "--out", steps, cwd=tmp_path)
    assert (done.returncode, steps.read_text()) == (2, "")
    assert "steps.jsonl is a part of the record" in done.stderr
    assert foveate("view", tmp_path, "--out", tmp_path / "mine.html", cwd=tmp_path).returncode == 0


def test_a_folder_is_no_file_to_upload(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        limits_of("https://example.org/", [], [tmp_path])


def test_allow_adds_to_the_hosts_of_the_start_address(tmp_path: Path) -> None:
    assert limits_of("https://www.example.org/x", [], []).allow is None
    assert limits_of("https://www.example.org/x", ["cdn.test"], []).allow == ("example.org", "cdn.test")
    assert limits_of("https://www.example.org/x", ["*"], []).open_to_all
    file = page(tmp_path)
    limits = limits_of(str(file), ["cdn.test"], [file])
    assert limits.permits(file.as_uri())
    assert limits.permits("http://cdn.test/")
    assert not limits.permits("http://other.test/")
    assert limits.files == (str(file.resolve()),)


def test_blocked_requests_are_one_line_a_host() -> None:
    events = (
        Event("blocked", "14 requests to cdn.example: not sent (--allow cdn.example)"),
        Event("blocked", "1 request to cdn.example: not sent (--allow cdn.example)"),
        Event("message", "2 requests to nowhere"),
        Event("blocked", "1 request to x.test: not sent (--allow x.test)"),
        Event("blocked", "1 request to /etc/a.js: not sent (--allow /etc/a.js)"),
    )
    assert blocked_lines(events) == [
        "blocked 15 requests to cdn.example: --allow cdn.example",
        "blocked 1 request to x.test: --allow x.test",
        "blocked 1 request to /etc/a.js: --allow file:///etc/",
    ]


@pytest.mark.browser
@pytest.mark.usefixtures("chromium")
class TestInABrowser:
    """Whole runs; each leaves no browser behind."""

    def test_a_task_that_is_done_is_exit_code_0_with_every_key(self, tmp_path: Path, marked: dict[str, str]) -> None:
        respond = "<action>response(answer='42')</action>"
        done = foveate(
            "run", "--url", page(tmp_path), "--verify", "page", "--policy", script(tmp_path, CLICK, respond, END),
            "--record", "out", "--seed", "3", "--viewport", "400x300", "--json", cwd=tmp_path, env=marked,
        )  # fmt: skip
        said = one_object(done)
        assert done.returncode == 0, done.stderr
        assert list(said) == KEYS
        assert (said["status"], said["verified"], said["reason"], said["answer"]) == ("success", True, "done", "42")
        assert (said["steps"], said["record"]) == (3, "out")
        assert list(said["timing_ms"]) == PHASES
        assert list(said["tokens"]) == ["prompt", "visual", "cached", "output"]
        record = read_record(tmp_path / "out")
        assert record.notes == ()
        assert (record.episode.task, record.episode.seed, len(record.steps)) == ("click the page", 3, 3)
        assert record.steps[0].changed == pytest.approx(1.0, abs=0.01)
        assert (tmp_path / "out/report.html").is_file()
        viewed = foveate("view", "out", "--out", "other.html", cwd=tmp_path)
        assert (viewed.returncode, viewed.stdout) == (0, "other.html\n")

    def test_a_record_can_be_done_again(self, tmp_path: Path, marked: dict[str, str]) -> None:
        common = ["run", "--url", page(tmp_path), "--verify", "page", "--json"]
        first = foveate(*common, "--policy", script(tmp_path, CLICK, END), "--record", "one", cwd=tmp_path, env=marked)
        again = foveate(*common, "--policy", "scripted:one/steps.jsonl", "--record", "two", cwd=tmp_path, env=marked)
        assert (first.returncode, again.returncode) == (0, 0), again.stderr
        one, two = (read_record(tmp_path / name) for name in ("one", "two"))
        assert [step.points for step in one.steps] == [step.points for step in two.steps]

    def test_a_person_can_decide_at_the_keyboard(self, tmp_path: Path, marked: dict[str, str]) -> None:
        args = ["run", "--url", str(page(tmp_path)), "--verify", "page", "--policy", "human", "--no-record", "--json"]
        done = subprocess.run(
            [*COMMAND, *args], cwd=tmp_path, env=marked, input="nonsense\nclick(640, 360)\nterminate()\n",
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert one_object(done)["verified"] is True
        assert "That is no action here" in done.stderr

    def test_other_ends_are_exit_code_1(self, tmp_path: Path, marked: dict[str, str]) -> None:
        common = ["--url", page(tmp_path), "--json", "--no-record"]
        false = foveate(
            "run", "t", *common, "--verify", "page", "--policy", script(tmp_path, END), cwd=tmp_path, env=marked
        )
        assert (false.returncode, one_object(false)["status"], one_object(false)["verified"]) == (1, "failure", False)
        assert one_object(false)["record"] is None
        cut = foveate(
            "run",
            "t",
            *common,
            "--policy",
            script(tmp_path, CLICK, CLICK),
            "--max-steps",
            "1",
            cwd=tmp_path,
            env=marked,
        )
        assert (cut.returncode, one_object(cut)["status"], one_object(cut)["reason"]) == (1, "truncated", "max_steps")

    def test_an_address_that_nobody_serves_is_exit_code_3(self, tmp_path: Path, marked: dict[str, str]) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{closed.getsockname()[1]}/"
            done = foveate(
                "run", "t", "--url", address, "--policy", script(tmp_path, END), "--json", cwd=tmp_path, env=marked
            )
        said = one_object(done)
        assert (done.returncode, said["status"], said["reason"]) == (3, "error", "NavigationFailed")
        assert address in done.stderr
        assert Path(said["record"]).parent.name == "runs"
        assert (tmp_path / said["record"] / "report.html").is_file()

    def test_no_chromium_is_told_by_name(self, tmp_path: Path, marked: dict[str, str]) -> None:
        done = foveate(
            "run", "t", "--url", page(tmp_path), "--policy", script(tmp_path, END), "--browser", "/nonexistent",
            "--json", cwd=tmp_path, env=marked,
        )  # fmt: skip
        assert done.returncode == 2
        assert one_object(done)["reason"] == "UsageError"
        assert "/nonexistent" in done.stderr
        assert "apt install chromium" in done.stderr

    @pytest.mark.parametrize(
        ("number", "to_all"), [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGINT, True)]
    )
    def test_one_signal_ends_after_the_action_in_flight(
        self, tmp_path: Path, marked: dict[str, str], number: signal.Signals, to_all: bool
    ) -> None:
        policy = script(tmp_path, CLICK, "<action>wait(seconds=50)</action>", END)
        args = ["run", "t", "--url", str(page(tmp_path)), "--policy", policy, "--record", "out", "--json"]
        with self._started(args, tmp_path, marked) as process:
            self._await_lines(tmp_path / "out/steps.jsonl", 1)
            begun = time.monotonic()
            if to_all:  # what Ctrl-C on a terminal does
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
            out, err = process.communicate(timeout=30)
        assert process.returncode == 130, err
        assert time.monotonic() - begun < 20
        said = json.loads(out)
        assert (said["status"], said["reason"]) == ("interrupted", "person")
        assert said["steps"] >= 1
        record = read_record(tmp_path / "out")
        assert record.notes == ()
        assert record.episode.result is not None
        assert record.episode.result.status == "interrupted"

    def test_a_second_signal_stops_at_once(self, tmp_path: Path, marked: dict[str, str]) -> None:
        restless = """addEventListener("click", () => setInterval(() => {
            document.body.style.background = "#" + Math.random().toString(16).slice(2, 8) }, 20))"""
        policy = script(tmp_path, CLICK, CLICK, CLICK, END)
        args = ["run", "t", "--url", str(page(tmp_path, restless)), "--policy", policy, "--record", "out", "--json"]
        with self._started(args, tmp_path, marked) as process:
            self._await_lines(tmp_path / "out/frames/0000.png", 0)
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            while "Stopping after" not in process.stderr.readline():
                pass
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        assert process.returncode == 130, err
        assert json.loads(out)["status"] == "interrupted"

    def test_a_signal_while_the_browser_starts_leaves_nothing(self, tmp_path: Path, marked: dict[str, str]) -> None:
        args = [
            "run",
            "t",
            "--url",
            str(page(tmp_path)),
            "--policy",
            script(tmp_path, END),
            "--record",
            "out",
            "--json",
        ]
        with self._started(args, tmp_path, marked) as process:
            self._await_lines(tmp_path / "out/episode.json", 0)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        assert process.returncode == 130, err
        assert json.loads(out)["status"] == "interrupted"

    def test_a_killed_run_leaves_a_record_and_no_browser(self, tmp_path: Path, marked: dict[str, str]) -> None:
        policy = script(tmp_path, CLICK, "<action>wait(seconds=50)</action>", END)
        args = ["run", "t", "--url", str(page(tmp_path)), "--policy", policy, "--record", "out", "--json"]
        with self._started(args, tmp_path, marked) as process:
            self._await_lines(tmp_path / "out/steps.jsonl", 1)
            assert len(browsers_of(tmp_path)) > 2, "the driver and the browser are found by their environment"
            process.kill()
            process.communicate(timeout=30)
        viewed = foveate("view", "out", cwd=tmp_path)
        assert viewed.returncode == 0
        assert "unfinished" in (tmp_path / "out/report.html").read_text()

    def test_a_disk_that_fills_up_is_exit_code_3_and_loses_nothing(
        self, tmp_path: Path, marked: dict[str, str]
    ) -> None:
        policy = script(tmp_path, CLICK, "<action>wait(seconds=3)</action>", CLICK, END)
        args = ["run", "t", "--url", str(page(tmp_path)), "--policy", policy, "--record", "out", "--json"]
        with self._started(args, tmp_path, marked) as process:
            self._await_lines(tmp_path / "out/steps.jsonl", 1)
            for number in range(2, 9):
                (tmp_path / f"out/frames/{number:04d}.png").symlink_to("/dev/full")
            out, err = process.communicate(timeout=60)
        assert process.returncode == 3, err
        said = json.loads(out)
        assert (said["status"], said["reason"]) == ("error", "RecordError")
        assert "No space left on device" in err
        assert "saved: free space there" in err
        record = read_record(tmp_path / "out")
        assert 1 <= len(record.steps) <= 2
        assert record.episode.result is not None
        assert record.episode.result.status == "error"

    def test_a_person_at_the_terminal_is_asked(self, tmp_path: Path, marked: dict[str, str]) -> None:
        keyboard, terminal = pty.openpty()
        args = ["run", "t", "--url", str(page(tmp_path)), "--policy", script(tmp_path, CLICK, CLICK, END),
                "--confirm", "always", "--record", "out", "--json"]  # fmt: skip
        with subprocess.Popen([*COMMAND, *args], cwd=tmp_path, env=marked, stdin=terminal, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as process:  # fmt: skip
            os.write(keyboard, b"y\nno\n")
            out, err = process.communicate(timeout=60)
        os.close(keyboard)
        os.close(terminal)
        assert json.loads(out)["status"] == "success", err
        assert "do it? [y/N]" in err
        assert [step.verdict for step in read_record(tmp_path / "out").steps] == [
            ("confirmed",),
            ("declined",),
            ("allow",),
        ]

    @staticmethod
    def _started(args: list[str], cwd: Path, env: dict[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *args], cwd=cwd, env=env, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    @staticmethod
    def _await_lines(file: Path, count: int) -> None:
        """Wait until a file is there with so many lines."""
        deadline = time.monotonic() + 60
        while not file.is_file() or file.read_bytes().count(b"\n") < count:
            assert time.monotonic() < deadline, f"{file} never had {count} lines"
            time.sleep(0.02)
