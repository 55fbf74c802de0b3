"""Masking of what leaves the loop: turns, observations, errors and records hold placeholders, whatever held a value."""

import typing
from enum import Enum
from pathlib import Path

import numpy as np
import pytest

from foveate.actions.errors import BrowserCrashed, NavigationFailed, ParseError
from foveate.actions.geometry import Frame, Point
from foveate.actions.guard import Limits, Secret, Target
from foveate.actions.schema import CLASSES, Click, Dialog, Navigate, Respond, Terminate, TypeText, Upload
from foveate.agent.masked import (
    TEXT_FIELDS,
    mask_error,
    masked_action,
    masked_data,
    masked_fault,
    masked_observation,
    masked_step,
    masked_turn,
)
from foveate.agent.recorder import Recorder
from foveate.agent.rollout import rollout
from foveate.agent.trajectory import EpisodeHead, Result, Trajectory
from foveate.envs.base import CameraObservation, Event, Observation, PendingDialog, ScreenObservation, Step
from foveate.envs.fake import Effect, FakeEnv
from foveate.policies.base import Completion, Decision, Look, Outcome, Turn
from foveate.policies.scripted import ScriptedPolicy

VALUE = "hunter 2"
LIMITS = Limits(secrets={"pw": Secret(VALUE, ("a.org",))})
WRITTEN = ("hunter 2", "HUNTER+2", "hunter%202", "hunter&#32;2", "hunter%25202")


def look(**more: object) -> ScreenObservation:
    image = np.zeros((4, 4, 3), np.uint8)
    return ScreenObservation(image=image, frame=Frame(4, 4), captured_at_s=0.0, **more)  # type: ignore[arg-type]


def free_text_fields() -> set[str]:
    found = set()
    for cls in CLASSES.values():
        for name, field in cls.model_fields.items():
            kinds = {field.annotation, *typing.get_args(field.annotation)}
            if str in kinds and not any(isinstance(kind, type) and issubclass(kind, Enum) for kind in kinds):
                found.add(name)
    return found


def test_every_free_text_of_every_action_is_masked() -> None:
    assert free_text_fields() == TEXT_FIELDS
    for action, masked in (
        (TypeText(text="a hunter 2"), TypeText(text="a {{pw}}")),
        (Navigate(url="http://a.org/?q=hunter%202"), Navigate(url="http://a.org/?q={{pw}}")),
        (Upload(paths=("hunter 2.txt", "b")), Upload(paths=("{{pw}}.txt", "b"))),
        (Dialog(accept=True, text="hunter 2"), Dialog(accept=True, text="{{pw}}")),
        (Terminate(status="failure", reason="hunter+2"), Terminate(status="failure", reason="{{pw}}")),
        (Respond(answer="hunter 2"), Respond(answer="{{pw}}")),
    ):
        assert masked_action(LIMITS, action) == masked


def test_what_holds_no_value_is_given_itself() -> None:
    action, seen = TypeText(text="{{pw}}"), look(url="http://a.org/", title="t", dialog=PendingDialog("alert", "m"))
    assert masked_action(LIMITS, action) is action
    assert masked_observation(LIMITS, seen) is seen
    turn, step = Turn(seen, Decision(raw=VALUE)), Step(seen, error=VALUE)
    assert masked_turn(Limits(), turn) is turn and masked_step(Limits(), step) is step
    assert masked_observation(Limits(), seen) is seen


@pytest.mark.parametrize("written", WRITTEN)
def test_a_turn_is_masked_in_all_its_texts(written: str) -> None:
    text = f"x {written} y"
    action = TypeText(text=text)
    decision = Decision(
        (action, Click(at=Point(0.5, 0.5))), text, text, text, attempts=(text,), completion=Completion((1,), (2,))
    )
    target = Target(text, text, None, text, text, text, text)
    outcomes = (Outcome("allow", reason=text, applied=action, error=text, target=target), Outcome("skipped"))
    seen = look(url=text, title=text, window=text, tabs=(text, "b"), dialog=PendingDialog("prompt", text, text),
                events=(Event("message", text),))  # fmt: skip
    turn = masked_turn(LIMITS, Turn(seen, decision, outcomes, 0.5, (text,)))
    assert "unter" not in repr(turn) and "UNTER" not in repr(turn)
    masked = "x {{pw}} y"
    assert turn.observation.events == (Event("message", masked),)
    assert turn.decision.actions == (TypeText(text=masked), Click(at=Point(0.5, 0.5)))
    assert (turn.decision.raw, turn.decision.attempts, turn.notes) == (masked, (masked,), (masked,))
    assert turn.decision.completion is None
    assert turn.outcomes[0].target == Target(masked, masked, None, masked, masked, masked, masked)
    assert (turn.outcomes[0].error, turn.outcomes[1].error, turn.changed) == (masked, None, 0.5)


def test_token_ids_of_an_answer_without_a_value_stay() -> None:
    completion = Completion((1,), (2,))
    assert masked_turn(LIMITS, Turn(look(), Decision(raw="x", completion=completion))).decision.completion is completion


def test_a_camera_s_goal_and_a_step_s_error_are_masked() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    seen = CameraObservation(image=image, frame=Frame(4, 4), captured_at_s=0.0, goal="find hunter 2")
    assert masked_observation(LIMITS, seen).goal == "find {{pw}}"  # type: ignore[attr-defined]
    step = masked_step(LIMITS, Step(seen, applied=TypeText(text=VALUE), error=f"E: {VALUE}"))
    assert (step.applied, step.error) == (TypeText(text="{{pw}}"), "E: {{pw}}")


def test_an_error_that_quotes_half_a_value_quotes_nothing() -> None:
    fault = ParseError("no action in 'type hunt'... (90 characters)")
    told = masked_fault(LIMITS, fault, Decision(raw=f"type {VALUE} " + "x" * 80))
    assert "hunt" not in told and told.startswith("ParseError (what it says is left out")
    assert masked_fault(LIMITS, fault, Decision(raw="type hunt")) == f"ParseError: {fault}"


def test_an_error_is_masked_with_what_led_to_it() -> None:
    try:
        try:
            Path(f"/nowhere/{VALUE}").read_bytes()
        except OSError as exc:
            raise NavigationFailed("http://a.org/?q=hunter%202 did not load") from exc
    except NavigationFailed as error:
        mask_error(LIMITS, error)
        assert str(error) == "http://a.org/?q={{pw}} did not load"
        assert "{{pw}}" in str(error.__cause__) and VALUE not in str(error.__cause__)
    mask_error(Limits(), ValueError(VALUE))


def test_a_common_value_does_not_take_a_record_apart() -> None:
    limits = Limits(secrets={name: Secret(name, ("a.org",)) for name in ("click", "frames", "allow", "left")})
    line = {
        "frame": "frames/0000.png", "after": ["frames/0000.png"], "verdict": ["allow"], "raw": "click 0000",
        "actions": [{"kind": "click", "button": "left"}], "events": [{"kind": "download", "text": "frames"}],
    }  # fmt: skip
    assert masked_data(limits, line) == line | {
        "raw": "{{click}} 0000",
        "events": [{"kind": "download", "text": "{{frames}}"}],
    }


async def test_a_folder_named_after_a_task_holds_no_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recorder = Recorder(task=f"type {VALUE}", limits=LIMITS)
    await recorder.open(EpisodeHead(task="t", env="E", policy="P"))
    assert recorder.folder.name.endswith("-type-pw")
    await recorder.close(Result("success", None, "done", None, Trajectory("t")))


async def test_the_loop_masks_what_a_world_forgot_to_mask() -> None:
    effects = [
        Effect(events=(Event("message", VALUE),)),
        Effect(error=f"UnsupportedAction: {VALUE}"),
        Effect(raises=BrowserCrashed(f"{VALUE} died")),
    ]
    limits = Limits(allow=("*",), secrets=LIMITS.secrets)
    seen: list[str] = []

    class Watching(ScriptedPolicy):
        async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
            seen.append(repr((observation, history)))
            return await super().act(observation, history, look)

    policy = Watching([TypeText(text=VALUE), TypeText(text="b"), TypeText(text="c")])
    async with FakeEnv(effects=effects, limits=limits) as env, policy:
        with pytest.raises(BrowserCrashed, match=r"\{\{pw\}\} died"):
            await rollout(env, policy, f"do {VALUE}")
        assert env.actions[0] == TypeText(text=VALUE)  # what is done is what was decided
    assert len(seen) == 3 and "{{pw}}" in seen[2]
    assert not any(VALUE in each for each in seen)
