"""Do the five sample applications in headless Chromium: with scripted answers, then with the bundled model.

    python examples/demo.py [--policy scripted|tiny]... [--application NAME]... [--max-steps N] [--timeout-s S]
                            [--out DIR] [--browser PATH]

Every run is the installed command, ``foveate run ... --json``; its live progress appears on standard error. Each leaves
a record with a report; an index of all reports and a table come at the end. The scripted answers must do all five
tasks, verified by the page, else the exit code is 1. What the model does is shown as it is. Exit codes besides: 2 wrong
usage, 3 a run could not be done at all, 130 interrupted.
"""

import argparse
import json
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from foveate.actions.errors import FoveateError
from foveate.agent.report import write_index

HERE = Path(__file__).resolve().parent
TASKS = {
    "todo": "Add milk to the list",
    "signin": "Sign in as mira.holt@example.com with the password bluebird-42 and stay signed in",
    "settings": 'Set the language to Deutsch, turn on "Weekly summary" and save the settings',
    "shop": "Put one Green lamp in the basket and apply the code SPRING15",
    "calendar": 'Add "Dentist" on 14 May at 10:00',
}
"""Of each application what its page asks for at seed 0."""

POLICIES = ("scripted", "tiny")
MODEL_PHASES = ("tile", "encode", "prefill", "decode", "parse")
GRACE_S = 60.0
"""Seconds that a run may take beyond its own time limit, for starting and closing."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the command.

    Attributes:
        application: The page's name.
        policy: ``scripted`` or ``tiny``.
        code: Its exit code.
        said: The JSON object that it printed.
        folder: Its record.
        step_ms: Median milliseconds of a step that did something, without the model; None where there is none.
    """

    application: str
    policy: str
    code: int
    said: Mapping[str, Any]
    folder: Path
    step_ms: float | None

    @property
    def succeeded(self) -> bool:
        """True where the policy said that it was done and the page agrees."""
        return self.code == 0 and self.said.get("status") == "success" and self.said.get("verified") is True


def command() -> str:
    """Find the installed ``foveate`` command: beside this Python, else on the path."""
    beside = Path(sys.executable).with_name("foveate")
    found = str(beside) if beside.exists() else shutil.which("foveate")
    if found is None:
        print("error: there is no foveate command here: pip install -e '.[browser,torch]'", file=sys.stderr)
        raise SystemExit(3)
    return found


def run(application: str, policy: str, folder: Path, args: argparse.Namespace) -> Run:
    """Run the command on one application."""
    chosen = ["--policy", f"scripted:{HERE / 'answers' / f'{application}.json'}"]
    if policy == "tiny":
        chosen = ["--model", "tiny", "--max-steps", str(args.max_steps)]
    line = [
        command(), "run", TASKS[application], "--env", "browser", "--url", str(HERE / "pages" / f"{application}.html"),
        "--verify", "page", *chosen, "--timeout-s", str(args.timeout_s), "--record", str(folder), "--json",
    ]  # fmt: skip
    if args.browser:
        line += ["--browser", args.browser]
    # A session of its own, so that Ctrl-C reaches the command once, through this program.
    with subprocess.Popen(
        line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            output, _ = process.communicate(timeout=args.timeout_s + GRACE_S)
        except subprocess.TimeoutExpired:
            output = stop(process)
            print(f"error: {application}: the run did not end by itself and was stopped", file=sys.stderr)
        except KeyboardInterrupt:
            stop(process)
            raise
    try:
        said = json.loads(output)
    except ValueError:
        said = {"status": "error", "reason": f"exit code {process.returncode}, no JSON"}
    return Run(application, policy, process.returncode, said, folder, step_ms(folder / "steps.jsonl"))


def stop(process: "subprocess.Popen[str]") -> str:
    """Interrupt the command, so that it closes its browser and its record; give what it printed."""
    process.send_signal(signal.SIGINT)
    try:
        output, _ = process.communicate(timeout=GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
    return output


def step_ms(lines: Path) -> float | None:
    """Give the median milliseconds of the steps in which something was applied, less the model's phases."""
    if not lines.exists():
        return None
    steps = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    spent = [
        step["timing_ms"]["total"] - sum(step["timing_ms"].get(phase, 0.0) for phase in MODEL_PHASES)
        for step in steps
        if any(step["applied"])
    ]
    return statistics.median(spent) if spent else None


def table(runs: Sequence[Run]) -> Table:
    """Lay out what came of the runs."""
    words = {True: "yes", False: "no", None: "-"}
    made = Table(title="The five sample applications")
    for name in ("application", "policy", "verified", "ended by own word", "steps", "seconds", "ms a step, no model"):
        made.add_column(name, justify="right" if name in ("steps", "seconds", "ms a step, no model") else "left")
    for one in runs:
        reason = str(one.said.get("reason"))
        own_word = reason if reason in ("done", "failure") else f"no ({reason})"
        made.add_row(
            one.application, one.policy, words.get(one.said.get("verified"), "-"), own_word,
            str(one.said.get("steps", "-")), f"{one.said.get('seconds') or 0:.1f}",
            "-" if one.step_ms is None else f"{one.step_ms:.0f}",
        )  # fmt: skip
    return made


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Do the five sample applications, scripted and with the bundled model."
    )
    parser.add_argument("--policy", action="append", choices=POLICIES, help="only this one; repeatable")
    parser.add_argument("--application", action="append", choices=tuple(TASKS), help="only this one; repeatable")
    parser.add_argument("--max-steps", type=int, default=8, help="steps that the model may take (8)")
    parser.add_argument("--timeout-s", type=float, default=120.0, help="seconds that a run may take (120)")
    parser.add_argument("--out", type=Path, help="where the records go: a new folder (runs/demo/<time>)")
    parser.add_argument("--browser", metavar="PATH", help="the Chromium to use")
    return parser.parse_args()


def main() -> int:
    """Run everything and give the exit code."""
    args = options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    out: Path = args.out or HERE.parent / "runs" / "demo" / datetime.now().strftime("%Y%m%d-%H%M%S")
    out = out.resolve()
    runs = []
    for policy in args.policy or POLICIES:
        for application in args.application or TASKS:
            print(f"\n{policy}: {application}: {TASKS[application]}", file=sys.stderr, flush=True)
            runs.append(run(application, policy, out / f"{policy}-{application}", args))
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(table(runs))
    scripted = [one for one in runs if one.policy == "scripted"]
    learned = [one for one in runs if one.policy == "tiny"]
    if scripted:
        print(
            f"scripted answers: {sum(one.succeeded for one in scripted)} of {len(scripted)} done, verified by the page"
        )
    if learned:
        verified = sum(one.said.get("verified") is True for one in learned)
        ended = sum(one.succeeded for one in learned)
        print(f"tiny: {verified} of {len(learned)} verified, {ended} verified and ended by its own word")
    recorded = [one.folder for one in runs if (one.folder / "episode.json").exists()]
    try:
        print(f"index of all reports: {write_index(recorded, out / 'index.html')}")
    except FoveateError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 3
    print(f"took {time.monotonic() - began:.0f} s")
    if any(one.code not in (0, 1) for one in runs):
        return 3
    return 0 if all(one.succeeded for one in scripted) else 1


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
