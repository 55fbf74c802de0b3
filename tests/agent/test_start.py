"""A signal has an answer even while the command is still importing."""

import json
import signal
import subprocess
import sys

import pytest

from foveate.agent.ending import INTERRUPTED as ENDED_INTERRUPTED
from foveate.agent.ending import result_object
from foveate.agent.start import INTERRUPTED, leave

SLOW_IMPORT = """
import sys, time, types

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "foveate.agent.cli":
            print("importing", file=sys.stderr, flush=True)
            time.sleep(30)

sys.meta_path.insert(0, Slow())
sys.argv = ["foveate", "run", "a task", "--json"]
from foveate.agent.start import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_imports_ends_as_any_interruption_does(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_IMPORT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "importing\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "Interrupted.\n")
    assert json.loads(out)["status"] == "interrupted"


def test_the_early_answer_has_the_keys_of_every_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        leave(["run", "--json"])
    assert ended.value.code == INTERRUPTED == ENDED_INTERRUPTED
    later = result_object(status="interrupted", reason="person", seconds=0.0, record=None)
    assert json.loads(capsys.readouterr().out) == later


def test_a_command_without_a_result_says_only_how_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        leave(["doctor", "--json"])
    assert json.loads(capsys.readouterr().out) == {"status": "interrupted", "reason": "person"}
