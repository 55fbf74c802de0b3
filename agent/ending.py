"""The command line's outer edge: every way to end becomes an exit code, a line for people and one for programs."""

import asyncio
import contextlib
import logging
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TextIO, cast

import typer
from rich.console import Console

from foveate.actions.errors import FoveateError, UsageError
from foveate.agent.live import shown
from foveate.agent.record import to_json
from foveate.agent.record_step import PHASES
from foveate.agent.trajectory import Status, Trajectory

_log = logging.getLogger(__name__)

SUCCESS, ENDED_OTHERWISE, WRONG_USAGE, FAILED, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes."""

CODES: Mapping[Status, int] = {
    "success": SUCCESS,
    "failure": ENDED_OTHERWISE,
    "truncated": ENDED_OTHERWISE,
    "error": FAILED,
    "interrupted": INTERRUPTED,
}
"""The exit code of each status."""

_WRONG_FLAGS: type[Any] = typer.BadParameter.__mro__[2]
"""typer's base of every usage error, which it exports under no name that all its versions share."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ended.

    Attributes:
        code: The exit code.
        data: The JSON object for standard output.
        text: What standard output carries instead where no JSON was asked for; empty is nothing.
    """

    code: int
    data: Mapping[str, Any] | None = None
    text: str = ""


class _Heedless:
    """Standard error that may be full or gone: what a command does, and what it gives, does not depend on it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write what can be written."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with contextlib.suppress(OSError):
            self._stream.flush()


@dataclass(slots=True)
class _Output:
    """Where the result of the command goes that runs.

    Attributes:
        descriptor: Standard output, while other things are kept from it.
        json: Whether JSON was asked for.
        given: Whether the result has been written already.
    """

    descriptor: int = 1
    json: bool = False
    given: bool = False

    def give(self, ending: Ending) -> None:
        """Write a command's result; the first one alone.

        Raises:
            OSError: If standard output is full or closed.
        """
        wanted = self.json and ending.data is not None
        written = to_json(ending.data).decode() if wanted and ending.data is not None else ending.text
        if written and not self.given:
            os.write(self.descriptor, f"{written}\n".encode())
        self.given = True


_output = _Output()


def announce(ending: Ending) -> None:
    """Write a command's result before it ends, for one that goes on until it is stopped; what it ends with is not.

    Raises:
        OSError: If standard output is full or closed.
    """
    _output.give(ending)


def end(command: Callable[[], object], args: Sequence[str], people: Console) -> NoReturn:
    """Run a command, write what it gives to standard output, and exit.

    Args:
        command: Gives an Ending, an exit code, or None.
        args: The command line; with ``--json`` standard output carries exactly one JSON object.
        people: Where lines for people go.
    """
    if sys.stderr is not None:  # None where it was closed
        sys.stderr = cast(TextIO, _Heedless(sys.stderr))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("foveate.policies.internvl.hub").setLevel(logging.INFO)  # how much is being fetched, and where to
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _output.json, _output.given = "--json" in args, False
    with _kept(_output.json) as _output.descriptor:
        ending = _ended(command, args, people)
    code = ending.code
    if code == INTERRUPTED:  # `timeout` sends two: an end is not to be interrupted, but by Ctrl-C
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        _output.give(ending)
    except OSError as exc:
        people.print(f"error: standard output cannot be written: {exc.strerror}", markup=False)
        code = code or FAILED
    sys.exit(code)


def result_object(
    *, status: str, reason: str, seconds: float, record: Path | None, trajectory: Trajectory | None = None,
    verified: bool | None = None, answer: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Make the object that ``foveate run --json`` prints."""
    steps = trajectory.timing_ms if trajectory is not None else ()
    usage = trajectory.usage if trajectory is not None else None
    return {
        "status": status,
        "verified": verified,
        "reason": reason,
        "answer": answer,
        "steps": len(trajectory.turns) if trajectory is not None else 0,
        "seconds": round(seconds, 3),
        "record": None if record is None else str(record),
        "timing_ms": medians(steps),
        "tokens": {
            name: 0 if usage is None else getattr(usage, name) for name in ("prompt", "visual", "cached", "output")
        },
    }


def medians(steps: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Give the median of each phase over the steps, in ms; empty without a step."""
    listed = list(steps)
    if not listed:
        return {}
    return {name: round(statistics.median(step.get(name, 0.0) for step in listed), 3) for name in PHASES}


def describe(error: BaseException, people: Console, log: Path | None = None) -> None:
    """Write an error as one line, which names the file with its traceback where nobody foresaw it.

    With FOVEATE_DEBUG set the traceback goes to standard error instead.

    Args:
        error: What was raised.
        people: Where the line goes.
        log: The record's ``error.log``, which may hold the traceback already; None is a temporary file.
    """
    text = str(error).strip() or type(error).__name__
    expected, where = isinstance(error, FoveateError), ""
    if os.environ.get("FOVEATE_DEBUG"):
        _log_to(logging.StreamHandler(sys.stderr), error)
    elif not expected:
        text, where = f"{type(error).__name__}: {text}", f" ({_logged(error, log)})"
    people.print(f"error: {shown(text, 2_000)}{where}", markup=False, soft_wrap=True)


def _logged(error: BaseException, log: Path | None) -> str:
    """Write a traceback to a file, unless it is there already, and say where it is."""
    try:
        if log is None:
            descriptor, name = tempfile.mkstemp(prefix="foveate-error-", suffix=".log")
            os.close(descriptor)
            log = Path(name)
        elif log.is_file():
            return f"traceback: {log}"
        _log_to(logging.FileHandler(log, encoding="utf-8"), error)
    except OSError:
        return "FOVEATE_DEBUG=1 shows the traceback"
    return f"traceback: {log}"


def _log_to(handler: logging.Handler, error: BaseException) -> None:
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    _log.propagate = False  # the root logger writes to standard error, where a person wants one line
    _log.addHandler(handler)
    try:
        _log.error("the command failed", exc_info=error)
    finally:
        _log.removeHandler(handler)
        handler.close()


def _ended(command: Callable[[], object], args: Sequence[str], people: Console) -> Ending:
    try:
        given = command()
    except (KeyboardInterrupt, typer.Abort, asyncio.CancelledError):
        people.print("Interrupted.")
        return _without_result(args, "interrupted", "person", INTERRUPTED)
    except _WRONG_FLAGS as exc:
        people.print(_wrong_flags(exc, args), markup=False, soft_wrap=True)
        return _without_result(args, "error", "UsageError", WRONG_USAGE)
    except UsageError as exc:
        describe(exc, people)
        return _without_result(args, "error", "UsageError", WRONG_USAGE)
    except Exception as exc:  # noqa: BLE001 - the outermost edge: whatever failed becomes one line and exit code 3
        describe(exc, people)
        return _without_result(args, "error", type(exc).__name__, FAILED)
    if isinstance(given, Ending):
        return given
    if given == INTERRUPTED:  # what typer makes of Ctrl-C
        people.print("Interrupted.")
        return _without_result(args, "interrupted", "person", INTERRUPTED)
    code = given if isinstance(given, int) else SUCCESS  # --help and --version
    return _without_result(args, "success" if code == SUCCESS else "error", "done", code)


def _wrong_flags(error: Any, args: Sequence[str]) -> str:
    message = str(error.format_message())
    if not args or message.startswith("Usage:"):
        return message
    command = error.ctx.command_path if error.ctx is not None else "foveate"
    return f"error: {shown(message, 2_000)} ({command} --help lists what there is)"


def _without_result(args: Sequence[str], status: Status, reason: str, code: int) -> Ending:
    """Make the ending of a command that has no result of its own."""
    if "run" in args[:1]:
        return Ending(code, result_object(status=status, reason=reason, seconds=0.0, record=None))
    return Ending(code, {"status": status, "reason": reason})


@contextlib.contextmanager
def _kept(keep: bool) -> Iterator[int]:
    """Keep standard output for the result: whatever else is printed meanwhile goes to standard error."""
    if not keep:
        yield 1
        return
    try:
        output = os.dup(1)
    except OSError:  # standard output is closed; what is written there will say so
        yield 1
        return
    os.dup2(2, 1)
    try:
        yield output
    finally:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
        os.dup2(output, 1)
