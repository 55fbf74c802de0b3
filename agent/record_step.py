"""What a record says: one line of ``steps.jsonl``, and ``episode.json``."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict

from foveate.actions.geometry import Box, Frame, points_of
from foveate.actions.schema import Action, Drag, Zoom
from foveate.agent.trajectory import StepLine
from foveate.policies.base import Outcome, Usage, Written

PHASES = ("tile", "encode", "prefill", "decode", "parse", "guard", "dispatch", "settle", "capture", "total")
"""The keys of ``timing_ms``, in the order in which a step goes through them."""


class Place(BaseModel):
    """Where an action points, three times: as written, as fractions, in input units.

    Attributes:
        model: The numbers as the model wrote them (two of a point, four of a box); None where no text was parsed.
        frame: Fractions of the picture given to ``act``: x, y, or left, top, right, bottom.
        input: Input units: what was really sent where the action was applied, else what it would have been.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    model: tuple[float, ...] | None = None
    frame: tuple[float, ...] = ()
    input: tuple[float, ...] = ()


Places: TypeAlias = Place | tuple[Place, ...] | None
"""Of one action: None without a place, several for a path."""


class RecordedEvent(BaseModel):
    """An event as it is written."""

    model_config = ConfigDict(frozen=True)

    kind: str
    text: str = ""


class RecordedStep(BaseModel):
    """One line of ``steps.jsonl``; the lists from ``after`` and ``actions`` to ``error`` are of equal length.

    Attributes:
        index: From 0.
        frame: Path of the picture given to ``act``, relative to the record.
        after: One an action: path of the picture after it; None where it was not done on the world.
        thought: The model's reasoning.
        operation: A sentence for the history.
        raw: The model's whole text.
        attempts: Raw texts that were not taken: asked again, for they could not be used, or outvoted.
        actions: The actions as data, ``kind`` first.
        points: One an action, see Places.
        verdict: allow, confirmed, declined, refused or skipped.
        rule: The guard's rule.
        target: What lay under the action; None where unknown.
        applied: The action really applied; None where it was not.
        error: ``ClassName: message`` of an action that could not be done.
        changed: Fraction of pixels that the step changed, 0 to 1.
        events: What happened.
        notes: What the runtime said to the policy.
        reward: Sum over the actions.
        terminated: As of the whole step.
        truncated: As of the whole step.
        tokens: prompt, visual, saved, cached, output, forced, as Usage has them.
        timing_ms: Milliseconds of each of PHASES, summed over the actions.
    """

    model_config = ConfigDict(frozen=True)

    index: int
    frame: str
    after: tuple[str | None, ...] = ()
    thought: str = ""
    operation: str = ""
    raw: str = ""
    attempts: tuple[str, ...] = ()
    actions: tuple[dict[str, Any], ...] = ()
    points: tuple[Places, ...] = ()
    verdict: tuple[str, ...] = ()
    rule: tuple[str, ...] = ()
    target: tuple[dict[str, Any] | None, ...] = ()
    applied: tuple[dict[str, Any] | None, ...] = ()
    error: tuple[str | None, ...] = ()
    changed: float | None = None
    events: tuple[RecordedEvent, ...] = ()
    notes: tuple[str, ...] = ()
    reward: float | None = 0.0
    terminated: bool = False
    truncated: bool = False
    tokens: dict[str, int] = {}
    timing_ms: dict[str, float | None] = {}

    @classmethod
    def of(cls, line: StepLine) -> "RecordedStep":
        """Write a step of the loop as data; secrets are still to be masked."""
        turn, decision = line.turn, line.turn.decision
        outcomes = turn.outcomes
        count = len(outcomes)
        return cls(
            index=line.index,
            frame=line.frame,
            after=_filled(line.after, count),
            thought=writable(decision.thought),
            operation=writable(decision.operation),
            raw=writable(decision.raw),
            attempts=tuple(map(writable, decision.attempts)),
            actions=tuple(action.model_dump(mode="json") for action in decision.actions[:count]),
            points=tuple(
                _places(action, outcome, turn.observation.frame, dispatched, written)
                for action, outcome, dispatched, written in zip(
                    decision.actions,
                    outcomes,
                    _filled(line.frames, count),
                    _filled(decision.written, count),
                    strict=False,
                )
            ),
            verdict=tuple(outcome.verdict for outcome in outcomes),
            rule=tuple(outcome.rule for outcome in outcomes),
            target=tuple(_target(outcome) for outcome in outcomes),
            applied=tuple(outcome.applied and outcome.applied.model_dump(mode="json") for outcome in outcomes),
            error=tuple(outcome.error and writable(outcome.error) for outcome in outcomes),
            changed=turn.changed,
            events=tuple(RecordedEvent(kind=event.kind, text=writable(event.text)) for event in line.events),
            notes=tuple(map(writable, turn.notes)),
            reward=line.reward,
            terminated=line.terminated,
            truncated=line.truncated,
            tokens={name: getattr(decision.usage, name) for name in Usage.COUNTS},
            timing_ms={name: round(line.timing_ms.get(name, 0.0), 3) for name in PHASES},
        )


class RecordedResult(BaseModel):
    """How an episode ended, as it is written; see ``trajectory.Result``."""

    model_config = ConfigDict(frozen=True)

    status: str
    verified: bool | None = None
    reason: str = ""
    answer: str | None = None
    error: str | None = None
    steps: int = 0
    seconds: float | None = 0.0


class RecordedEpisode(BaseModel):
    """``episode.json``.

    Attributes:
        task: The instruction.
        env: The environment and where it started.
        policy: The policy's class, wrappers outermost first.
        model: The model's name; None without one.
        versions: Of foveate, Python, the platform and the libraries.
        seed: The episode's seed.
        episode: The environment's own episode.
        started: When, ISO 8601 with the zone.
        result: How it ended; None while it runs, or where it was killed.
        writing_ms: Milliseconds that the writing thread was busy; None while it runs.
    """

    model_config = ConfigDict(frozen=True)

    task: str = ""
    env: str = ""
    policy: str = ""
    model: str | None = None
    versions: dict[str, str] = {}
    seed: int | None = None
    episode: str | None = None
    started: str = ""
    result: RecordedResult | None = None
    writing_ms: float | None = None


def writable(text: str) -> str:
    """Spell out lone surrogates, which UTF-8 cannot hold; every other text stays as it is."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _filled(values: Iterable[Any], count: int) -> tuple[Any, ...]:
    given = tuple(values)[:count]
    return given + (None,) * (count - len(given))


def _target(outcome: Outcome) -> dict[str, Any] | None:
    target = outcome.target
    if target is None:
        return None
    fields = ("role", "name", "input_type", "form_address", "origin", "application", "window")
    values = {name: getattr(target, name) for name in fields}
    return {name: writable(value) for name, value in values.items() if value is not None}


def _places(action: Action, outcome: Outcome, seen: Frame, dispatched: Frame | None, written: Written) -> Places:
    """Write where an action points.

    Args:
        action: Its places are of ``seen``.
        outcome: What became of it.
        seen: The Frame of the picture given to ``act``.
        dispatched: The Frame that ``outcome.applied`` is of.
        written: The model's numbers.
    """
    if isinstance(action, Zoom):
        return _box_place(action.region, seen, written)
    points = points_of(action)
    if not points:
        return None
    sent = [seen.to_input(point) for point in points]
    applied = outcome.applied
    if applied is not None and dispatched is not None and applied.kind == action.kind:
        done = points_of(applied)
        if len(done) == len(points):
            sent = [dispatched.to_input(point) for point in done]
    numbers = _numbers(written, len(points))
    places = tuple(
        Place(model=number, frame=(point.x, point.y), input=place)
        for point, place, number in zip(points, sent, numbers, strict=True)
    )
    return places if isinstance(action, Drag) else places[0]


def _box_place(box: Box, seen: Frame, written: Written) -> Place:
    fractions = (box.left, box.top, box.right, box.bottom)
    units = tuple(
        low + fraction * extent
        for fraction, low, extent in zip(fractions, (seen.left, seen.top) * 2, seen.extent * 2, strict=True)
    )
    return Place(model=_numbers(written, 1)[0], frame=fractions, input=units)


def _numbers(written: Written, count: int) -> tuple[tuple[float, ...] | None, ...]:
    """Give the model's numbers, one tuple a point; None where they are unknown."""
    if not written:
        return (None,) * count
    rows = [row for row in written if isinstance(row, tuple)]
    if len(rows) == len(written):
        return tuple(rows) if len(rows) == count else (None,) * count
    flat = tuple(number for number in written if isinstance(number, int | float))
    return (flat,) if count == 1 else (None,) * count
