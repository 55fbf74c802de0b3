"""What is on disk after a step, after a kill, and when the disk is full."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from foveate.actions.errors import RecordError, UsageError
from foveate.actions.geometry import Box, Frame, Point
from foveate.actions.guard import Limits, Secret, Target
from foveate.actions.schema import Click, Drag, TypeText, Wait, Zoom
from foveate.agent.record import read_record
from foveate.agent.record_folder import make_folder
from foveate.agent.recorder import Recorder
from foveate.agent.trajectory import EpisodeHead, Result, StepLine, Trajectory
from foveate.envs.base import EncodedImage, Event, Observation
from foveate.policies.base import Decision, Outcome, Turn, Usage

HEAD = EpisodeHead(task="Add milk", env="FakeEnv", policy="RetryPolicy(P)", model="tiny", seed=7)
KEYS = [
    "index", "frame", "after", "thought", "operation", "raw", "attempts", "actions", "points", "verdict", "rule",
    "target", "applied", "error", "changed", "events", "notes", "reward", "terminated", "truncated", "tokens",
    "timing_ms",
]  # fmt: skip
PHASES = ["tile", "encode", "prefill", "decode", "parse", "guard", "dispatch", "settle", "capture", "total"]


def look(width: int = 64, height: int = 48, *, shade: int = 90, encoded: EncodedImage | None = None) -> Observation:
    image = np.full((height, width, 3), shade, np.uint8)
    return Observation(image=image, frame=Frame(width, height), captured_at_s=0.0, encoded=encoded)


def line(index: int, frame: str, observation: Observation, *, raw: str = "click", **more: object) -> StepLine:
    click = Click(at=Point(0.5, 0.25))
    decision = Decision((click,), "think", "Click it", raw, Usage(10, 6, 4, 2), written=((0.5, 0.25),))
    applied = Click(at=Point(0.5, 0.25))
    turn = Turn(observation, decision, (Outcome("allow", applied=applied, target=Target(role="button")),), 0.5, ("n",))
    values: dict[str, object] = {"after": (frame,), "frames": (observation.frame,), "timing_ms": {"decode": 12.34567}}
    return StepLine(index=index, turn=turn, frame=frame, **(values | more))  # type: ignore[arg-type]


def ended(status: str = "success", steps: int = 1) -> Result:
    return Result(status, True, "done", "42", Trajectory("Add milk", seconds=1.5), None)  # type: ignore[arg-type]


async def test_a_line_is_on_disk_with_its_pictures_when_turn_returns(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run")
    await recorder.open(HEAD)
    before = look()
    frame = await recorder.picture(before)
    await recorder.turn(line(0, frame, before, events=(Event("navigation", "to /"),), terminated=True, reward=1.0))
    (written,) = (tmp_path / "run/steps.jsonl").read_text().splitlines()
    step = json.loads(written)
    assert list(step) == KEYS
    assert list(step["timing_ms"]) == PHASES
    assert step["timing_ms"]["decode"] == 12.346
    assert step["timing_ms"]["encode"] == 0.0
    assert step["points"] == [{"model": [0.5, 0.25], "frame": [0.5, 0.25], "input": [32.0, 12.0]}]
    assert step["tokens"] == {"prompt": 10, "visual": 6, "saved": 0, "cached": 4, "output": 2, "forced": 0}
    assert step["target"] == [{"role": "button"}]
    assert step["events"] == [{"kind": "navigation", "text": "to /"}]
    assert step["verdict"] == ["allow"]
    assert (tmp_path / "run" / step["frame"]).is_file()
    await recorder.close(ended())


async def test_a_frame_is_stored_once_and_pixels_come_back_exactly(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run")
    await recorder.open(HEAD)
    first, second = look(shade=10), look(shade=200)
    paths = [await recorder.picture(seen) for seen in (first, first, second, first)]
    assert paths == ["frames/0000.png", "frames/0000.png", "frames/0001.png", "frames/0000.png"]
    await recorder.turn(line(0, paths[0], first))
    with PillowImage.open(tmp_path / "run" / paths[2]) as stored:
        assert np.array_equal(np.asarray(stored), second.image)
    await recorder.close(ended())


async def test_captured_bytes_are_stored_as_they_came(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run")
    await recorder.open(HEAD)
    data = b"\xff\xd8 as captured"
    path = await recorder.picture(look(encoded=EncodedImage(data, "image/jpeg")))
    assert path == "frames/0000.jpg"
    await recorder.close(ended())
    assert (tmp_path / "run" / path).read_bytes() == data


async def test_the_lists_of_a_line_are_equally_long_and_places_fit_their_actions(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run")
    await recorder.open(HEAD)
    crop = Observation(image=np.zeros((24, 32, 3), np.uint8), frame=Frame(32, 24, 32, 24), captured_at_s=0.0)
    path = (Point(0.0, 0.0), Point(0.5, 0.5))
    actions = (Drag(path=path), Zoom(region=Box(0, 0, 0.5, 1)), Wait(), Click(), Click(at=Point(0.5, 0.5)))
    outcomes = (
        Outcome("allow", applied=Drag(path=(Point(0.5, 0.5), Point(0.75, 0.75)))),
        Outcome("allow"),
        Outcome("refused", "address"),
        Outcome("allow", error="UnsupportedAction: no"),
        Outcome("skipped"),
    )
    turn = Turn(crop, Decision(actions, written=(((0.0, 0.0), (0.5, 0.5)), (0.0, 0.0, 0.5, 1.0), None, None)), outcomes)
    world = Frame(64, 48)
    await recorder.turn(StepLine(0, turn, "frames/0000.png", after=("a",), frames=(world,)))
    step = json.loads((tmp_path / "run/steps.jsonl").read_text())
    for name in ("after", "actions", "points", "verdict", "rule", "target", "applied", "error"):
        assert len(step[name]) == 5, name
    assert step["points"] == [
        [
            {"model": [0.0, 0.0], "frame": [0.0, 0.0], "input": [32.0, 24.0]},
            {"model": [0.5, 0.5], "frame": [0.5, 0.5], "input": [48.0, 36.0]},
        ],
        {"model": [0.0, 0.0, 0.5, 1.0], "frame": [0.0, 0.0, 0.5, 1.0], "input": [32.0, 24.0, 48.0, 48.0]},
        None,
        None,
        {"model": None, "frame": [0.5, 0.5], "input": [48.0, 36.0]},
    ]
    await recorder.close(ended())


async def test_secrets_are_placeholders_in_every_text_of_the_record(tmp_path: Path) -> None:
    limits = Limits(secrets={"password": Secret('hunter"2', ("example.org",))})
    recorder = Recorder(tmp_path / "run", limits=limits)
    await recorder.open(EpisodeHead(task='type hunter"2', env="E", policy="P"))
    seen = look()
    typed = TypeText(text='hunter"2')
    turn = Turn(seen, Decision((typed,), 'hunter"2', 'x hunter"2', 'hunter"2', attempts=('hunter"2',)),
                (Outcome("allow", applied=typed, error='E: hunter"2'),), notes=('hunter"2',))  # fmt: skip
    await recorder.turn(StepLine(0, turn, "frames/0000.png", events=(Event("message", 'hunter"2'),)))
    await recorder.close(Result("success", None, "done", 'hunter"2', Trajectory("t"), None))
    for file in ("steps.jsonl", "episode.json", "report.html"):
        text = (tmp_path / "run" / file).read_text()
        assert "hunter" not in text, file
        assert "{{password}}" in text, file


async def test_episode_json_has_no_result_until_the_end(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run")
    await recorder.open(HEAD)
    open_head = json.loads((tmp_path / "run/episode.json").read_text())
    assert open_head["result"] is None
    assert (open_head["task"], open_head["model"], open_head["seed"]) == ("Add milk", "tiny", 7)
    assert {"foveate", "python", "platform"} <= set(open_head["versions"])
    await recorder.close(ended())
    head = json.loads((tmp_path / "run/episode.json").read_text())
    assert head["result"] | {"steps": 0} == {
        "status": "success", "verified": True, "reason": "done", "answer": "42", "error": None, "steps": 0,
        "seconds": 1.5,
    }  # fmt: skip
    assert head["writing_ms"] > 0
    assert (tmp_path / "run/report.html").is_file()
    assert not (tmp_path / "run/downloads").exists()
    assert not list((tmp_path / "run").glob(".*"))


async def test_a_folder_in_use_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(UsageError, match=f"{tmp_path} is not empty"):
        await Recorder(tmp_path).open(HEAD)
    with pytest.raises(UsageError, match=r"mine\.txt is a file"):
        await Recorder(tmp_path / "mine.txt").open(HEAD)
    assert (tmp_path / "mine.txt").read_text() == "keep me"


async def test_a_folder_that_cannot_be_made_is_a_record_error() -> None:
    with pytest.raises(RecordError, match=r"/proc/foveate.*cannot be written.*--record DIR"):
        await Recorder(Path("/proc/foveate")).open(HEAD)


async def test_runs_of_one_second_get_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recorders = [Recorder(task="Buy 2 apples, please!") for _ in range(3)]
    for recorder in recorders:
        await recorder.open(HEAD)
        await recorder.close(ended())
    names = {recorder.folder.name for recorder in recorders}
    assert len(names) == 3
    assert all("-buy-2-apples-please" in name for name in names)


async def test_a_full_queue_waits_and_drops_nothing(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run")
    await recorder.open(HEAD)
    frames = [look(200, 200, shade=shade) for shade in range(60)]
    paths = [await recorder.picture(frame) for frame in frames]
    await recorder.turn(line(0, paths[0], frames[0]))
    assert len(set(paths)) == 60
    assert all((tmp_path / "run" / path).is_file() for path in paths)
    await recorder.close(ended())


async def test_texts_that_utf8_cannot_hold_are_recorded_and_read_back(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run")
    await recorder.open(EpisodeHead(task="\udc80", env="E", policy="P"))
    await recorder.turn(line(0, "frames/0000.png", look(), raw="a \ud800 \x00 \u202e"))
    await recorder.close(ended())
    record = read_record(tmp_path / "run")
    assert record.notes == ()
    assert record.steps[0].raw == "a \\ud800 \x00 \u202e"


FULL_DISK = """
import asyncio, resource, signal, sys
from pathlib import Path
import numpy as np
from foveate.actions.errors import RecordError
from foveate.actions.geometry import Frame
from foveate.agent.recorder import Recorder
from foveate.agent.trajectory import EpisodeHead, Result, StepLine, Trajectory
from foveate.envs.base import Observation
from foveate.policies.base import Decision, Turn

async def main():
    recorder = Recorder(Path(sys.argv[1]))
    await recorder.open(EpisodeHead("t", "e", "p"))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    noise = np.random.default_rng(0)
    try:
        for index in range(100):
            size = 16 if sys.argv[2] == "line" else 16 + 40 * index
            image = noise.integers(0, 255, (size, size, 3), np.uint8)
            seen = Observation(image=image, frame=Frame(size, size), captured_at_s=0.0)
            frame = await recorder.picture(seen)
            await recorder.turn(StepLine(index, Turn(seen, Decision(raw="x" * 3000)), frame))
        print("never failed")
    except RecordError as exc:
        print(exc)
    await recorder.close(Result("error", None, "RecordError", None, Trajectory("t"), None))
asyncio.run(main())
"""


@pytest.mark.parametrize("part", ["line", "frame"])
def test_a_full_disk_is_told_once_and_loses_nothing_that_was_recorded(tmp_path: Path, part: str) -> None:
    folder = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(folder), part], capture_output=True, text=True, timeout=60, check=True
    )
    record = read_record(folder)
    assert 0 < len(record.steps) < 100
    assert f"{folder} cannot be written" in done.stdout
    saved = "1 step is saved" if len(record.steps) == 1 else f"{len(record.steps)} steps are saved"
    assert saved in done.stdout
    assert "--record DIR" in done.stdout
    assert "Traceback" not in done.stderr
    assert not any("damaged" in note or "half" in note for note in record.notes)
    for step in record.steps:
        file = record.picture(step.frame)
        assert file is not None
        with PillowImage.open(file) as image:
            image.load()
    assert record.episode.result is not None, "the small episode.json still fits"


KILLED = """
import asyncio, sys
from pathlib import Path
import numpy as np
from foveate.actions.geometry import Frame
from foveate.agent.recorder import Recorder
from foveate.agent.trajectory import EpisodeHead, StepLine
from foveate.envs.base import Observation
from foveate.policies.base import Decision, Turn

async def main():
    recorder = Recorder(Path(sys.argv[1]))
    await recorder.open(EpisodeHead("t", "e", "p"))
    for index in range(100_000):
        image = np.full((40, 40, 3), index % 256, np.uint8)
        seen = Observation(image=image, frame=Frame(40, 40), captured_at_s=0.0)
        frame = await recorder.picture(seen)
        await recorder.turn(StepLine(index, Turn(seen, Decision(raw="x")), frame))
        print(index, flush=True)
asyncio.run(main())
"""


def test_a_killed_process_loses_at_most_the_step_in_flight(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [int(next(process.stdout)) for _ in range(20)]
        os.kill(process.pid, signal.SIGKILL)
        told += [int(rest) for rest in process.stdout if rest.endswith("\n")]
    record = read_record(folder)
    assert len(record.steps) - 1 in (told[-1], told[-1] + 1)
    assert all(record.picture(step.frame) is not None for step in record.steps)
    assert "the run is unfinished: it still goes on, or it was killed" in record.notes


def test_a_half_written_line_is_left_out_with_a_note_and_a_damaged_one_named(tmp_path: Path) -> None:
    (tmp_path / "steps.jsonl").write_text('{"index":0,"frame":"a"}\n{"index":"no"}\n{"index":2,"frame":"b"}\n{"inde')
    record = read_record(tmp_path)
    assert [step.index for step in record.steps] == [0, 2]
    assert any("line 2 of steps.jsonl is damaged" in note for note in record.notes)
    assert any("half written" in note for note in record.notes)
    assert any("episode.json is missing" in note for note in record.notes)


def test_a_folder_without_a_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no record"):
        read_record(tmp_path)


def test_a_picture_outside_the_record_is_never_read(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"x")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/steps.jsonl").write_text("")
    record = read_record(tmp_path / "run")
    assert record.picture("../secret.png") is None
    assert record.picture(str(tmp_path / "secret.png")) is None


async def test_a_step_cancelled_while_it_is_written_leaves_a_usable_record(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run")
    await recorder.open(HEAD)
    seen = look(400, 400)
    frame = await recorder.picture(seen)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await recorder.turn(line(0, frame, seen))
    await recorder.turn(line(1, frame, seen))
    await recorder.close(ended())
    assert [step.index for step in read_record(tmp_path / "run").steps][-1] == 1


async def test_the_writing_thread_ends_with_the_record(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run")
    await recorder.open(HEAD)
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "foveate-recorder")
    await recorder.close(ended())
    await recorder.close(ended())
    await asyncio.to_thread(thread.join, 10)
    assert not thread.is_alive()
    with pytest.raises(RecordError, match="not open"):
        await recorder.picture(look())


async def test_before_it_is_opened_it_keeps_nothing_and_has_no_folder_of_its_own_yet(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no folder yet: open it first"):
        _ = Recorder().folder
    recorder = Recorder(tmp_path / "run")
    with pytest.raises(RecordError, match="the record is not open"):
        await recorder.picture(look())
    with pytest.raises(RecordError, match="the record is not open"):
        await recorder.turn(line(0, "frames/0000.png", look()))
    assert not (tmp_path / "run").exists()


def test_runs_of_the_same_second_get_a_folder_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = [make_folder(None, "Add milk!") for _ in range(5)]
    assert len(set(made)) == 5
    assert all(folder.is_dir() and folder.parent == Path("runs") for folder in made)
    assert all(re.fullmatch(r"\d{8}-\d{6}-add-milk(-[2-5])?", folder.name) for folder in made)


def test_a_record_whose_files_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "steps.jsonl").write_text("")
    (tmp_path / "episode.json").mkdir()
    with pytest.raises(RecordError, match=f"the record {tmp_path} cannot be read: Is a directory"):
        read_record(tmp_path)
