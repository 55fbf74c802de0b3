"""A server as a child: started in a process group of its own, watched until it is well, stopped whole."""

import http.client
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from foveate.actions.errors import ModelTimeout, ModelUnavailable, UsageError

_ASK_S: Final = 0.25
_ORPHAN_S: Final = 10.0
_ANSWER_S: Final = 2.0
_KEPT: Final = 40
_MANY: Final = 4096
_REMEDIES: Final[tuple[tuple[str, str], ...]] = (
    ("out of memory", "spread it over more GPUs (--tp N), or make less room (--context N)"),
    ("contains custom code|requires you to execute", "say --trust-remote-code, if you trust the model's code"),
    ("address already in use|could not bind|couldn't bind", "another --port; 0 takes a free one"),
    ("no space left", "free some space on the disk"),
    ("cuda is not available|not compiled with cuda|no cuda gpus|found no nvidia", "it needs an NVIDIA GPU and driver"),
    ("no module named|modulenotfounderror|importerror", "its environment lacks something: install it anew"),
    ("unrecognized arguments|no such option|invalid choice", "it is another version than foveate was written for"),
)
"""What a server's last words ask for."""


class Interruptions:
    """Counts the signals that ask a command to stop; within ``caught`` they do nothing else.

    Attributes:
        count: How many have come.
    """

    def __init__(self) -> None:
        self.count = 0
        self._pipe: tuple[int, int] | None = None

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Take SIGINT, SIGTERM and SIGHUP for as long as the block lasts, but not those that are ignored (nohup)."""
        asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        numbers = [number for number in asked if signal.getsignal(number) is not signal.SIG_IGN]
        self._pipe = pipe = os.pipe()
        before: dict[signal.Signals, Any] = {}
        try:
            for number in numbers:
                before[number] = signal.signal(number, self._one_more)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._pipe = None
            for end in pipe:
                os.close(end)

    def _one_more(self, *_: object) -> None:
        self.count += 1
        if self._pipe is not None:
            os.write(self._pipe[1], b".")  # a lock might be held by whom the signal interrupted

    def wait(self, other: int, limit_s: float | None = None) -> None:
        """Wait for a signal, until a file descriptor can be read, or for a time."""
        own = [] if self._pipe is None else [self._pipe[0]]
        ready, _, _ = select.select([other, *own], [], [], limit_s)
        if own and own[0] in ready:
            os.read(own[0], _MANY)


_GUARD: Final = """
import os, select, signal, sys
group = int(sys.argv[1])
try:
    leader = os.pidfd_open(group)
except OSError:
    sys.exit()
if not sys.stdin.buffer.read(1):
    try:
        os.killpg(group, signal.SIGTERM)
        select.select([leader], [], [], float(sys.argv[2]))
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""
"""Ends a group of processes where whoever started them is gone without a word: killed, that is."""


class ServerProcess:
    """One server; it does not outlive the process that started it, however that ends.

    Args:
        title: What it is called.
        command: What starts it.
        log: A file for what it writes; None is standard error.
    """

    def __init__(self, title: str, command: Sequence[str], log: Path | None = None) -> None:
        self.title = title
        self._command = list(command)
        self._log_path = log
        self._process: subprocess.Popen[bytes] | None = None
        self._end = -1
        self._guard: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._last: deque[str] = deque(maxlen=_KEPT)

    def start(self) -> None:
        """Start it, in a session of its own, so that Ctrl-C does not reach it before this process has decided.

        Raises:
            UsageError: If the log cannot be written.
            ModelUnavailable: If it cannot be started, or the system is none that can watch it (Linux can).
        """
        if not hasattr(os, "pidfd_open"):
            raise ModelUnavailable(
                f"{self.title} cannot be watched on {sys.platform}: start it there by hand (--dry-run)"
            )
        try:
            log: IO[bytes] | None = None if self._log_path is None else self._log_path.open("ab")
        except OSError as exc:
            raise UsageError(f"--log {self._log_path} cannot be written: {exc.strerror}") from exc
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                start_new_session=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip
        except OSError as exc:
            if log is not None:
                log.close()
            raise ModelUnavailable(f"{self.title} cannot be started: {self._command[0]}: {exc.strerror}") from exc
        try:
            self._end = os.pidfd_open(self._process.pid)
        except OSError as exc:
            self._reap()
            for stream in (self._process.stdout, log):
                if stream is not None:
                    stream.close()
            raise ModelUnavailable(f"{self.title} cannot be watched: {exc.strerror}") from exc
        with suppress(OSError):  # a machine without room for one more process serves without it
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-c", _GUARD, str(self._process.pid), str(_ORPHAN_S)], stdin=subprocess.PIPE,
                start_new_session=True,
            )  # fmt: skip
        self._reader = threading.Thread(target=self._forward, args=(self._process.stdout, log), daemon=True)
        self._reader.start()

    def _forward(self, said: IO[bytes], log: IO[bytes] | None) -> None:
        """Pass on what it writes, and keep its last lines."""
        with said:
            for line in said:
                text = line.decode(errors="replace").rstrip()
                if text:
                    self._last.append(text)
                with suppress(OSError, ValueError):  # a full disk, a closed terminal: it goes on serving
                    if log is not None:
                        log.write(line)
                        log.flush()
                    elif sys.stderr is not None:
                        sys.stderr.write(f"{text}\n")
                        sys.stderr.flush()
        if log is not None:
            log.close()

    @property
    def pid(self) -> int:
        """Its process id, which is its group's."""
        return 0 if self._process is None else self._process.pid

    @property
    def ended(self) -> bool:
        """Whether its first process is over; its group's id stays its own until ``stop``."""
        return self._end < 0 or bool(select.select([self._end], [], [], 0)[0])

    def wait_until_well(self, host: str, port: int, timeout_s: float, interruptions: Interruptions) -> bool:
        """Wait until it answers its health check; false where a signal came first.

        Raises:
            ModelUnavailable: If it ends first.
            ModelTimeout: If it takes too long.
        """
        over = time.monotonic() + timeout_s
        while not interruptions.count:
            if self.ended:
                raise self.failure("before it was ready")
            left = over - time.monotonic()
            if left <= 0:
                raise ModelTimeout(
                    f"{self.title} was not ready within {timeout_s:g} s: {self._words()}; give it longer (--timeout-s)"
                )
            if healthy(host, port, min(_ANSWER_S, max(0.1, left))) and not self.ended:
                return True
            interruptions.wait(self._end, min(_ASK_S, left))
        return False

    def wait(self, interruptions: Interruptions) -> None:
        """Wait until a signal comes.

        Raises:
            ModelUnavailable: If it ends first.
        """
        while not interruptions.count:
            if self.ended:
                raise self.failure("while it served")
            interruptions.wait(self._end)

    def failure(self, when: str) -> ModelUnavailable:
        """Say that it ended, with its last words and what to do."""
        code = self._reap()
        how = f"exit {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
        said = "\n".join(self._last).lower()
        remedy = next((then for words, then in _REMEDIES if re.search(words, said)), "")
        if not remedy:
            remedy = "the lines above say more" if self._log_path is None else f"{self._log_path} says more"
        return ModelUnavailable(f"{self.title} ended {when} ({how}): {self._words()}; {remedy}")

    def _words(self) -> str:
        lines = [line.strip()[:200] for line in list(self._last)[-3:]]
        return " | ".join(lines) if lines else "it wrote nothing"

    def stop(self, grace_s: float, interruptions: Interruptions) -> None:
        """Ask its whole group to end, and kill what is left after a time, or at the next signal."""
        if self._process is None:
            return
        seen, over = interruptions.count, time.monotonic() + grace_s
        self._signal(signal.SIGTERM)
        while not self.ended and interruptions.count == seen and (left := over - time.monotonic()) > 0:
            interruptions.wait(self._end, left)
        self._reap()

    def _reap(self) -> int:
        """Kill what is left of its group, then let go of its id; gives its exit code."""
        process = self._process
        if process is None:
            return 0
        if process.returncode is None:
            self._signal(signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):  # one that hangs in a driver: its end is the system's
                process.wait(_ORPHAN_S)
            if self._end >= 0:
                os.close(self._end)
            self._end = -1
        guard, self._guard = self._guard, None
        if guard is not None:
            with suppress(OSError, subprocess.TimeoutExpired):
                guard.communicate(b".", timeout=_ANSWER_S)
        if self._reader is not None:
            self._reader.join(timeout=_ANSWER_S)
        return -signal.SIGKILL if process.returncode is None else process.returncode

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):  # macOS refuses where all of a group are over
                os.killpg(self._process.pid, number)


def healthy(host: str, port: int, timeout_s: float) -> bool:
    """Ask a server on this machine whether it is well."""
    connection = http.client.HTTPConnection(near(host), port, timeout=timeout_s)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def near(host: str) -> str:
    """Give the address by which this machine reaches a server that listens at a host."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - it is asked about


def free_port(host: str, port: int) -> int:
    """Give a port that nothing listens at: the one given, or for 0 any.

    Raises:
        UsageError: If the host is none of this machine's, or the port is taken.
    """
    try:
        (family, kind, _, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            bound: tuple[Any, ...] = probe.getsockname()
    except (OSError, UnicodeError) as exc:  # the latter of a name that no host can have
        why = getattr(exc, "strerror", None) or exc
        raise UsageError(
            f"nothing can listen at {host}:{port}: {why}: give another --port (0 takes a free one) or --host"
        ) from exc
    return int(bound[1])
