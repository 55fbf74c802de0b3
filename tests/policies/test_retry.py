import numpy as np
import pytest

from foveate.actions.errors import OutOfFrame, ParseError
from foveate.actions.geometry import Frame
from foveate.envs.base import CameraObservation, Observation, Resource, Viewport
from foveate.policies.base import Decision, Look, Policy, Turn, Usage
from foveate.policies.retry import RetryPolicy
from foveate.policies.scripted import ScriptedPolicy

LOOK = Observation(image=np.zeros((10, 20, 3), np.uint8), frame=Frame(20, 10), captured_at_s=0.0)
CLICK = "<action>click(x=0.5, y=0.25)</action>"
BEFORE = (Turn(LOOK, Decision(operation="earlier")),)


class Costly(ScriptedPolicy):
    """Counts ten prompt tokens an answer and keeps what it was given."""

    seen: list[tuple[tuple[Turn, ...], Look | None]]

    async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
        self.seen = [*getattr(self, "seen", []), (history, look)]
        cost = Usage(prompt=10, output=1, timing_ms={"decode": 2.0})
        try:
            decision = await super().act(observation, history, look)
        except (ParseError, OutOfFrame) as error:
            error.decision = Decision(raw=error.decision.raw, usage=cost)
            raise
        return Decision(actions=decision.actions, raw=decision.raw, usage=cost)


async def test_an_unreadable_answer_is_asked_again_with_the_reason_in_the_history() -> None:
    inner = Costly(["what?", CLICK])
    async with RetryPolicy(inner) as policy:
        await policy.reset("task")
        decision = await policy.act(LOOK, BEFORE, Look(max_tiles=3))
    assert decision.raw == CLICK
    assert decision.attempts == ("what?",)
    assert (decision.usage.prompt, decision.usage.output, decision.usage.timing_ms) == (20, 2, {"decode": 4.0})
    (first, look), (second, again) = inner.seen
    assert first == BEFORE
    assert look == again == Look(max_tiles=3)
    assert second[:1] == BEFORE
    assert second[1].decision.raw == "what?"
    assert second[1].decision.actions == ()
    assert len(second[1].notes) == 1
    assert "could not be used" in second[1].notes[0]
    assert not second[1].observation.has_image


async def test_the_last_error_carries_the_summed_usage_and_the_earlier_texts() -> None:
    inner = Costly(["one", "click(x=7.5, y=0)", "three"])
    async with RetryPolicy(inner, attempts=2) as policy:
        await policy.reset("task")
        with pytest.raises(ParseError) as raised:
            await policy.act(LOOK, ())
    assert raised.value.decision.raw == "three"
    assert raised.value.decision.attempts == ("one", "click(x=7.5, y=0)")
    assert raised.value.decision.usage.prompt == 30
    assert [len(history) for history, _ in inner.seen] == [0, 1, 2]


async def test_a_point_outside_the_frame_is_asked_again_too() -> None:
    async with RetryPolicy(ScriptedPolicy(["click(x=1.5, y=0.5)", CLICK])) as policy:
        await policy.reset("task")
        assert (await policy.act(LOOK, ())).attempts == ("click(x=1.5, y=0.5)",)


async def test_no_attempts_passes_the_error_on() -> None:
    async with RetryPolicy(ScriptedPolicy(["what?", CLICK]), attempts=0) as policy:
        await policy.reset("task")
        with pytest.raises(ParseError) as raised:
            await policy.act(LOOK, ())
    assert raised.value.decision.attempts == ()


async def test_usable_answers_cost_nothing_more() -> None:
    inner = Costly([CLICK])
    async with RetryPolicy(inner) as policy:
        await policy.reset("task")
        assert (await policy.act(LOOK, ())).usage.prompt == 10
    assert len(inner.seen) == 1


async def test_wrapped_twice_every_earlier_text_is_kept_in_order() -> None:
    async with RetryPolicy(RetryPolicy(ScriptedPolicy(["a", "b", "c", CLICK]))) as policy:
        await policy.reset("task")
        assert (await policy.act(LOOK, ())).attempts == ("a", "b", "c")


async def test_it_forwards_what_its_policy_prefers() -> None:
    inner = ScriptedPolicy([], viewport=Viewport(320, 320))
    inner.images_kept = 2
    policy = RetryPolicy(inner)
    assert (policy.images_kept, policy.preferred_viewport) == (2, Viewport(320, 320))


async def test_a_preference_that_is_known_only_once_open_is_forwarded_too() -> None:
    class Late(Resource, Policy):
        async def _open(self) -> None:
            self.preferred_viewport = Viewport(448, 448)

    async with RetryPolicy(Late()) as policy:
        assert policy.preferred_viewport == Viewport(448, 448)


async def test_it_closes_only_what_it_opened() -> None:
    inner = ScriptedPolicy([])
    async with RetryPolicy(inner):
        assert inner.opened
    assert not inner.opened
    async with inner:
        async with RetryPolicy(inner):
            pass
        assert inner.opened


async def test_the_added_turn_holds_no_depth_either() -> None:
    camera = CameraObservation(
        image=LOOK.image, frame=LOOK.frame, captured_at_s=0.0, depth_m=np.ones((10, 20), np.float32)
    )
    inner = Costly(["what?", CLICK])
    async with RetryPolicy(inner) as policy:
        await policy.reset("task")
        await policy.act(camera, ())
    seen = inner.seen[1][0][0].observation
    assert isinstance(seen, CameraObservation)
    assert seen.depth_m is None


def test_a_negative_number_of_attempts_is_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        RetryPolicy(ScriptedPolicy([]), attempts=-1)
