"""Every field of a line of steps.jsonl, from the step that it tells of."""

import json
from pathlib import Path

import numpy as np

from foveate.actions.geometry import Frame, Point
from foveate.actions.guard import Target
from foveate.actions.schema import Click, Navigate, TypeText
from foveate.agent import Agent
from foveate.agent.recorder import Recorder
from foveate.agent.trajectory import EpisodeHead, Result, StepLine, Trajectory
from foveate.envs.base import Event, Observation
from foveate.envs.fake import Effect, FakeEnv
from foveate.policies.base import Decision, Outcome, Turn, Usage
from foveate.policies.retry import RetryPolicy
from foveate.policies.scripted import ScriptedPolicy


async def test_a_line_tells_every_field_of_its_step(tmp_path: Path) -> None:
    seen = Observation(image=np.zeros((48, 64, 3), np.uint8), frame=Frame(64, 48), captured_at_s=0.0)
    click = Click(at=Point(0.5, 0.25))
    decision = Decision(
        (click, TypeText(text="a")), "I think", "Click it", "the raw text", Usage(10, 6, 4, 2),
        attempts=("first", "second"), written=((500, 250), None),
    )  # fmt: skip
    outcomes = (
        Outcome("confirmed", "kind:upload", applied=click.model_copy(update={"at": Point(0.75, 0.5)}),
                target=Target(role="button", origin="https://a.example")),
        Outcome("allow", error="UnsupportedAction: no field"),
    )  # fmt: skip
    recorder = Recorder(tmp_path / "run")
    await recorder.open(EpisodeHead("t", "e", "p"))
    turn = Turn(seen, decision, outcomes, 0.125, ("a note",))
    events = (Event("navigation", "to /"), Event("dialog", "sure?"))
    await recorder.turn(
        StepLine(3, turn, "frames/0007.png", ("frames/0008.png", None), (seen.frame, seen.frame), 1.5, True, True,
                 {"guard": 1.5, "total": 2.25}, events)
    )  # fmt: skip
    await recorder.close(Result("truncated", None, "max_steps", None, Trajectory("t")))
    line = json.loads((tmp_path / "run/steps.jsonl").read_text())
    plain = {"kind": "click", "button": "left", "clicks": 1, "modifiers": [], "hold_s": 0.0}
    assert line == {
        "index": 3,
        "frame": "frames/0007.png",
        "after": ["frames/0008.png", None],
        "thought": "I think",
        "operation": "Click it",
        "raw": "the raw text",
        "attempts": ["first", "second"],
        "actions": [plain | {"at": {"x": 0.5, "y": 0.25}}, {"kind": "type_text", "text": "a"}],
        "points": [{"model": [500.0, 250.0], "frame": [0.5, 0.25], "input": [48.0, 24.0]}, None],
        "verdict": ["confirmed", "allow"],
        "rule": ["kind:upload", "default"],
        "target": [{"role": "button", "origin": "https://a.example"}, None],
        "applied": [plain | {"at": {"x": 0.75, "y": 0.5}}, None],
        "error": [None, "UnsupportedAction: no field"],
        "changed": 0.125,
        "events": [{"kind": "navigation", "text": "to /"}, {"kind": "dialog", "text": "sure?"}],
        "notes": ["a note"],
        "reward": 1.5,
        "terminated": True,
        "truncated": True,
        "tokens": {"prompt": 10, "visual": 6, "saved": 0, "cached": 4, "output": 2, "forced": 0},
        "timing_ms": dict.fromkeys(
            ("tile", "encode", "prefill", "decode", "parse", "dispatch", "settle", "capture"), 0.0
        )
        | {"guard": 1.5, "total": 2.25},
    }


async def test_the_loop_fills_a_line_with_what_happened(tmp_path: Path) -> None:
    effects = (Effect(shade=20, reward=0.25), Effect(reward=0.5, events=(Event("dialog", "sure?"),)))
    env = FakeEnv(effects=effects, target=Target(role="button"))
    answers = [
        "unreadable",
        "<operation>Do both</operation>"
        "<action>\nclick(x=0.25, y=0.25)\nwrite(message='a')\nclick(x=0.9, y=0.9)\n</action>",
        [Navigate(url="https://elsewhere.example/")],
        "<action>terminate(status='success')</action>",
    ]
    folder = tmp_path / "run"
    await Agent(env, RetryPolicy(ScriptedPolicy(answers)), record=folder).run()
    first, second, third = (json.loads(line) for line in (folder / "steps.jsonl").read_text().splitlines())
    assert [first["index"], second["index"], third["index"]] == [0, 1, 2]
    assert (first["attempts"], first["raw"], first["operation"]) == (["unreadable"], answers[1], "Do both")
    assert first["verdict"] == ["allow", "allow", "skipped"]
    assert first["after"][0] != first["after"][1] and first["after"][2] is None
    assert all((folder / path).is_file() for path in (first["frame"], *first["after"][:2]))
    assert second["frame"] == first["after"][1]
    assert first["reward"] == 0.75
    assert first["changed"] > 0.8
    assert first["points"][0] == {"model": [0.25, 0.25], "frame": [0.25, 0.25], "input": [16.0, 12.0]}
    assert first["target"][:2] == [{"role": "button"}] * 2
    assert (second["verdict"], second["rule"], second["applied"]) == (["refused"], ["address"], [None])
    assert (third["terminated"], third["truncated"], first["terminated"]) == (True, False, False)
    assert first["timing_ms"]["total"] > first["timing_ms"]["guard"] > 0
