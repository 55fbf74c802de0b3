"""A command of foveate's that serves, run as a user runs it, for as long as a block lasts."""

import select
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

COMMAND = str(Path(sys.executable).with_name("foveate"))
READY_S = 60.0
GONE_S = 30.0


@dataclass(frozen=True)
class Running:
    """A command under way.

    Attributes:
        process: Its standard output is a pipe.
        errors: What it writes to standard error.
    """

    process: "subprocess.Popen[str]"
    errors: IO[bytes]

    def line(self, ready_s: float = READY_S) -> str:
        """Wait for a line of standard output: the address, once the command serves."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], ready_s)
        line = self.process.stdout.readline().strip() if ready else ""
        assert line, f"foveate {shlex.join(self.process.args[1:])} printed nothing: {self.log()[-3000:]}"
        return line

    def log(self) -> str:
        """Give all of standard error so far."""
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def end(self, number: signal.Signals | None = None) -> tuple[str, str]:
        """Wait for its end, after a signal if one is given; gives the rest of its output and its errors."""
        if number is not None:
            self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=GONE_S)
        return rest, self.log()


@contextmanager
def running(*words: str | Path, environment: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Run ``foveate WORDS``, and kill it at the end of the block if it is still there."""
    with tempfile.TemporaryFile() as errors:
        command = [COMMAND, *map(str, words)]
        process = subprocess.Popen(
            command, env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
        )
        try:
            yield Running(process, errors)
        finally:
            process.kill()
            process.communicate(timeout=GONE_S)


@contextmanager
def served(*words: str | Path, ready_s: float = READY_S) -> Iterator[str]:
    """Give the address at which a command serves, and see at the end that a signal stops it."""
    with running(*words) as command:
        yield command.line(ready_s)
        _, log = command.end(signal.SIGTERM)
        assert command.process.returncode == 130, log[-3000:]
