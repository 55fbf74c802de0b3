"""``foveate serve``: what it started is watched, and stopped whole."""

import asyncio
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from foveate.actions.errors import UsageError
from foveate.agent import serving as serving_command
from foveate.agent.serving_process import Interruptions, ServerProcess, free_port, healthy, near
from tests.commands import COMMAND, running, served
from tests.policies.asking import collected, request, text_of

HUB = "OpenGVLab/InternVL3_5"

FAKE = """#!{python}
import http.server, json, os, pathlib, signal, subprocess, sys, threading, time

how, notes = os.environ["FAKE_SERVER"], pathlib.Path(os.environ["FAKE_NOTES"])
port = int(sys.argv[next(n for n, word in enumerate(sys.argv) if word in ("--server-port", "--port")) + 1])
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
notes.write_text(json.dumps({{"argv": sys.argv, "pid": os.getpid(), "child": child.pid}}))
print("loading the model", flush=True)
if how == "dies":
    print("Traceback (most recent call last):", file=sys.stderr)
    print("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20 GiB", file=sys.stderr, flush=True)
    sys.exit(1)
if how == "hangs":
    time.sleep(600)
if how == "deaf":
    signal.signal(signal.SIGTERM, lambda *_: print("no", flush=True))
begun = time.monotonic()


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        well = time.monotonic() - begun > 0.4
        self.send_response(200 if well else 503)
        self.end_headers()
        if well and how == "falls":
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGKILL)).start()

    def log_message(self, *args):
        pass


http.server.HTTPServer(("127.0.0.1", port), Answers).serve_forever()
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Make an environment in which some programs and GPUs are found, and nothing else."""

    def made(how: str = "serves", *, programs: tuple[str, ...] = ("vllm",), gpus: int = 1) -> dict[str, str]:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        listed = "".join(f"GPU {number}: a card\\n" for number in range(gpus))
        scripts = {name: FAKE.format(python=sys.executable) for name in programs}
        scripts["nvidia-smi"] = f'#!/bin/sh\nprintf "{listed}"\n'
        for name, text in scripts.items():
            (folder / name).write_text(text)
            (folder / name).chmod((folder / name).stat().st_mode | stat.S_IXUSR)
        notes = {"FAKE_SERVER": how, "FAKE_NOTES": str(tmp_path / "notes.json")}
        return {**os.environ, **notes, "PATH": str(folder)}

    return made


def done(environment: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [COMMAND, "serve", *words], env=environment, text=True, capture_output=True, timeout=60, check=False
    )


def notes(tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tmp_path / "notes.json").read_text())
    return found


# What is only printed ------------------------------------------------------------------------------------------------


def test_what_is_refused_ends_a_dry_run_too(machine: Callable[..., dict[str, str]]) -> None:
    words = (f"{HUB}-8B", "--trust-remote-code", "--dry-run", "--max-tiles", "40")
    ended = done(machine(), *words, "--context", "2000")
    assert (ended.returncode, ended.stdout) == (2, "") and "--max-tiles 4" in ended.stderr
    ended = done(machine(programs=("lmdeploy",)), *words)
    assert ended.returncode == 0 and "takes a tile budget with each picture" in ended.stderr


def test_a_dry_run_prints_the_command_and_ends(machine: Callable[..., dict[str, str]]) -> None:
    ended = done(machine(gpus=0), f"{HUB}-8B-HF", "--engine", "vllm", "--dry-run", "--json")
    said = json.loads(ended.stdout)
    assert (ended.returncode, said["status"], said["engine"]) == (0, "success", "vllm")
    assert said["command"][1:3] == ["serve", f"{HUB}-8B-HF"]


def test_a_dry_run_names_llamacpps_own_binary_where_there_is_none(
    small_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_command, "program", lambda name: None)
    assert serving_command.serve(str(small_gguf), dry_run=True).text.startswith("llama-server --model ")


# What is started -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_address_alone_is_printed_when_it_is_well_and_a_signal_stops_the_whole_group(
    machine: Callable[..., dict[str, str]], tmp_path: Path, number: signal.Signals
) -> None:
    environment = machine("serves", programs=("lmdeploy",))
    words = ["--json"] if number is signal.SIGTERM else []
    with running("serve", f"{HUB}-8B-Flash", "--trust-remote-code", *words, environment=environment) as command:
        line = command.line()
        url = json.loads(line)["url"] if words else line
        port = int(url.rpartition(":")[2])
        assert url == f"http://127.0.0.1:{port}" and healthy("127.0.0.1", port, 2)
        seen = notes(tmp_path)
        assert seen["argv"][1:3] == ["serve", "api_server"] and str(port) in seen["argv"]
        assert os.getpgid(seen["pid"]) == os.getpgid(seen["child"]) != os.getpgid(command.process.pid)
        rest, log = command.end(number)
    assert (command.process.returncode, rest) == (130, "")
    assert "loading the model" in log and "Interrupted." in log
    assert not alive(seen["pid"]) and not alive(seen["child"])


def test_a_killed_command_leaves_no_server_behind(machine: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    with running(
        "serve", f"{HUB}-8B-Flash", "--trust-remote-code", environment=machine("serves", programs=("lmdeploy",))
    ) as command:
        assert command.line().startswith("http://")
        seen = notes(tmp_path)
        command.process.kill()
        command.process.wait()
        over = time.monotonic() + 10
        while (alive(seen["pid"]) or alive(seen["child"])) and time.monotonic() < over:
            time.sleep(0.05)
    assert not alive(seen["pid"]) and not alive(seen["child"])


def test_one_that_dies_while_it_loads_is_noticed_at_once_with_its_last_words_and_a_remedy(
    machine: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    begun = time.monotonic()
    log = tmp_path / "server.log"
    ended = done(machine("dies"), f"{HUB}-8B-HF", "--engine", "vllm", "--json", "--log", str(log))
    assert time.monotonic() - begun < 20
    assert (ended.returncode, json.loads(ended.stdout)["reason"]) == (3, "ModelUnavailable")
    assert "vLLM ended before it was ready (exit 1)" in ended.stderr
    assert "CUDA out of memory. Tried to allocate 20 GiB; spread it over more GPUs (--tp N)" in ended.stderr
    assert "loading the model" in log.read_text()
    assert not alive(notes(tmp_path)["child"])


def test_one_that_hangs_is_stopped_after_its_time(machine: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    ended = done(machine("hangs"), f"{HUB}-8B-HF", "--engine", "vllm", "--timeout-s", "1.5")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "vLLM was not ready within 1.5 s: loading the model; give it longer (--timeout-s)" in ended.stderr
    seen = notes(tmp_path)
    assert not alive(seen["pid"]) and not alive(seen["child"])


def test_one_that_dies_later_is_told_of(machine: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    with running("serve", f"{HUB}-8B-HF", "--engine", "vllm", environment=machine("falls")) as command:
        rest, log = command.end()
    assert command.process.returncode == 3 and rest.startswith("http://127.0.0.1:")
    assert "vLLM ended while it served (signal SIGKILL)" in log
    assert not alive(notes(tmp_path)["child"])


def test_a_second_signal_does_not_wait_for_one_that_is_deaf(
    machine: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    with running("serve", f"{HUB}-8B-HF", "--engine", "vllm", environment=machine("deaf")) as command:
        command.line()
        command.process.send_signal(signal.SIGTERM)
        time.sleep(1.0)
        assert command.process.poll() is None and alive(notes(tmp_path)["pid"])
        begun = time.monotonic()
        command.end(signal.SIGTERM)
        assert time.monotonic() - begun < 5
    assert command.process.returncode == 130
    assert not alive(notes(tmp_path)["pid"]) and not alive(notes(tmp_path)["child"])


def test_what_lacks_on_this_machine_is_said_before_anything_is_started(
    machine: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    for size, gpus, says in (
        ("38B", 0, "vLLM needs an NVIDIA GPU, and nvidia-smi lists none here"),
        ("38B", 1, "is served on 2 GPUs, and there are 1: say --tp 1"),
        ("241B-A28B", 3, "is served on 8 GPUs, and there are 3: say --tp 2"),
    ):
        ended = done(machine(gpus=gpus), f"{HUB}-{size}-HF", "--engine", "vllm")
        assert (ended.returncode, ended.stdout) == (3, "") and says in ended.stderr
    ended = done(machine(programs=()), f"{HUB}-38B-HF", "--engine", "sglang")
    assert ended.returncode == 3 and "SGLang needs: pip install sglang" in ended.stderr
    assert not (tmp_path / "notes.json").exists()


def test_a_server_that_ignores_it_is_killed_after_its_grace(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    server = ServerProcess("a server", [sys.executable, "-c", deaf], tmp_path / "log")
    server.start()
    while "up" not in (tmp_path / "log").read_text():
        time.sleep(0.02)
    begun, pid = time.monotonic(), server.pid
    server.stop(0.5, Interruptions())
    assert 0.4 < time.monotonic() - begun < 5
    assert server.ended and not alive(pid)


@pytest.mark.parametrize(
    ("last", "says"),
    [
        ("ValueError: The repository x contains custom code which must be executed", "; say --trust-remote-code, if"),
        (
            "Config: tp=1, trust_remote_code=True, seed=0\nRuntimeError: engine core",
            "engine core; the lines above say more",
        ),
        ("vllm serve: error: unrecognized arguments: --x", "another version than foveate was written for"),
        ("[Errno 98] Address already in use", "; another --port"),
    ],
)
def test_the_remedy_is_for_what_the_server_died_of(last: str, says: str) -> None:
    server = ServerProcess("a server", [sys.executable, "-c", f"print({last!r}); raise SystemExit(1)"])
    server.start()
    while not server.ended:
        time.sleep(0.02)
    assert says in str(server.failure("before it was ready"))


def test_one_that_is_over_at_once_leaves_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        server = ServerProcess("a server", ["/bin/false"])
        server.start()
        while not server.ended:
            time.sleep(0.01)
        assert "a server ended before it was ready (exit 1)" in str(server.failure("before it was ready"))
    assert "Traceback" not in capfd.readouterr().err


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        interruptions = Interruptions()
        with interruptions.caught():
            os.kill(os.getpid(), signal.SIGHUP)
            assert interruptions.count == 0
            os.kill(os.getpid(), signal.SIGTERM)
            assert interruptions.count == 1
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_port_that_is_taken_and_a_host_of_another_machine_are_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"nothing can listen at 127\.0\.0\.1:{port}: .*give another --port"):
            free_port("127.0.0.1", port)
    assert free_port("127.0.0.1", port) == port
    for host in ("192.0.2.1", "a..b"):
        with pytest.raises(UsageError, match=f"nothing can listen at {re.escape(host)}:0"):
            free_port(host, 0)
    assert [near(host) for host in ("0.0.0.0", "::", "localhost")] == ["127.0.0.1", "::1", "localhost"]


def test_a_server_listens_beyond_this_machine_only_where_the_user_says_so(
    machine: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    with running(
        "serve", f"{HUB}-8B-HF", "--engine", "vllm", "--host", "0.0.0.0", environment=machine("serves")
    ) as command:
        assert command.line().startswith("http://127.0.0.1:")
        _, log = command.end(signal.SIGTERM)
    assert "0.0.0.0 is reached from other machines" in log
    argv = notes(tmp_path)["argv"]
    assert argv[argv.index("--host") + 1] == "0.0.0.0"


# A real server -------------------------------------------------------------------------------------------------------


@pytest.mark.torch
async def test_gguf_is_really_served_and_answers_as_the_engine_in_process(full_gguf: Path) -> None:
    for module in ("xllamacpp", "openai"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    from foveate.policies.engines.llamacpp import LlamaCppEngine
    from foveate.policies.engines.openai import OpenAIEngine

    asked = request("Add milk", most=12, grammar="[a-z ]{12,20}", prefill="I ")
    async with LlamaCppEngine(full_gguf) as engine:
        wanted = await collected(engine, asked)
    with served("serve", full_gguf / "model.gguf") as url:
        async with OpenAIEngine(url) as client:
            assert (client.dialect, client.served) == ("llamacpp", "model")
            deltas = await collected(client, asked)
            usage, known = deltas[-1].usage, wanted[-1].usage
            assert usage is not None and known is not None
            assert (text_of(deltas), usage.prompt, usage.output) == (text_of(wanted), known.prompt, known.output)
        port = int(url.rpartition(":")[2])
    assert not await asyncio.to_thread(healthy, "127.0.0.1", port, 1.0)


async def test_what_is_no_model_ends_the_command_with_the_servers_words(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")
    for name in ("model.gguf", "mmproj.gguf"):
        (tmp_path / name).write_bytes(b"nonsense")
    ended = await asyncio.to_thread(done, dict(os.environ), str(tmp_path))
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "llama.cpp ended before it was ready (exit 3)" in ended.stderr
    assert "is truncated or no GGUF file" in ended.stderr
