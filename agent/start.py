"""Where the ``foveate`` command begins: before anything is imported that takes time, a signal has an answer."""

import json
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

INTERRUPTED = 130
"""Exit code of an interrupted command."""


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        from foveate.agent.cli import main as command_line
    except KeyboardInterrupt:
        leave(sys.argv[1:])
    command_line()


def leave(args: Sequence[str]) -> NoReturn:
    """Exit as an interrupted command does: a word for people, and one JSON object where it was asked for."""
    print("Interrupted.", file=sys.stderr)  # noqa: T201 - rich is not there yet
    if "--json" in args:
        ended: dict[str, object] = {"status": "interrupted", "reason": "person"}
        if args[0] == "run":
            ended |= {"verified": None, "answer": None, "steps": 0, "seconds": 0.0, "record": None, "timing_ms": {}}
            ended["tokens"] = dict.fromkeys(("prompt", "visual", "cached", "output"), 0)
        print(json.dumps(ended))  # noqa: T201 - the command's result
    sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
