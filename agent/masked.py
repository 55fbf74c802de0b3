"""What leaves the runtime besides pictures, with placeholders in the place of secrets' values.

A policy's history, listeners, records and results get these copies; the guard and the environment act on what the
policy really said. Where there is no secret everything is given as it is.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from foveate.actions.guard import Limits, Target
from foveate.actions.schema import Action
from foveate.envs.base import Event, Observation, PendingDialog, ScreenObservation, Step
from foveate.policies.base import Decision, Outcome, Turn

TEXT_FIELDS = frozenset({"text", "url", "value", "paths", "name", "title", "answer", "question", "reason"})
"""The fields of actions that hold free text."""

_KEPT = frozenset({"kind", "frame", "after", "verdict", "rule", "status", "started", "button", "keys", "modifiers"})
"""What a record calls things by: closed sets and its own files, which a short or common value must not take apart."""


def masked_action(limits: Limits, action: Action) -> Action:
    """Mask an action's texts."""
    if not limits.secrets:
        return action
    changed: dict[str, Any] = {}
    for name in TEXT_FIELDS & type(action).model_fields.keys():
        value = getattr(action, name)
        if isinstance(value, str):
            new: Any = limits.mask_secrets(value)
        elif isinstance(value, tuple):
            new = tuple(map(limits.mask_secrets, value))
        else:
            continue
        if new != value:
            changed[name] = new
    return action.model_copy(update=changed) if changed else action


def masked_observation(limits: Limits, observation: Observation) -> Observation:
    """Mask an observation's texts; one that holds no value is given itself."""
    if not limits.secrets:
        return observation
    mask = limits.mask_secrets
    new = {"events": masked_events(limits, observation.events)} | _masked_fields(limits, observation)
    if isinstance(observation, ScreenObservation):
        new["tabs"] = tuple(map(mask, observation.tabs))
        dialog = observation.dialog
        if dialog is not None:
            new["dialog"] = PendingDialog(dialog.kind, mask(dialog.message), mask(dialog.default))
    changed = {name: value for name, value in new.items() if value != getattr(observation, name)}
    return replace(observation, **changed) if changed else observation


def masked_step(limits: Limits, step: Step) -> Step:
    """Mask what one action led to; ``info`` stays, for it goes nowhere."""
    if not limits.secrets:
        return step
    return replace(
        step,
        observation=masked_observation(limits, step.observation),
        applied=None if step.applied is None else masked_action(limits, step.applied),
        error=None if step.error is None else limits.mask_secrets(step.error),
    )


def masked_events(limits: Limits, events: tuple[Event, ...]) -> tuple[Event, ...]:
    """Mask what happened."""
    return tuple(Event(event.kind, limits.mask_secrets(event.text)) for event in events)


def masked_turn(limits: Limits, turn: Turn) -> Turn:
    """Mask a step: all that was said, done and answered."""
    if not limits.secrets:
        return turn
    return Turn(
        masked_observation(limits, turn.observation),
        masked_decision(limits, turn.decision),
        tuple(_masked_outcome(limits, outcome) for outcome in turn.outcomes),
        turn.changed,
        tuple(map(limits.mask_secrets, turn.notes)),
    )


def masked_decision(limits: Limits, decision: Decision) -> Decision:
    """Mask a decision; token ids that would spell a value out are dropped."""
    mask = limits.mask_secrets
    raw = mask(decision.raw)
    return replace(
        decision,
        actions=tuple(masked_action(limits, action) for action in decision.actions),
        thought=mask(decision.thought),
        operation=mask(decision.operation),
        raw=raw,
        attempts=tuple(map(mask, decision.attempts)),
        completion=decision.completion if raw == decision.raw else None,
    )


def masked_fault(limits: Limits, fault: Exception, said: Decision) -> str:
    """Say why an answer cannot be used; where it holds a value nothing is quoted, for a quotation may be cut off."""
    name = type(fault).__name__
    if limits.mask_secrets(said.raw) != said.raw:
        return f"{name} (what it says is left out: the answer holds a secret)"
    return limits.mask_secrets(f"{name}: {fault}")


def mask_error(limits: Limits, error: BaseException) -> None:
    """Mask an error's message, and those of the errors that led to it, in place."""
    if not limits.secrets:
        return
    known: set[int] = set()
    led: BaseException | None = error
    while led is not None and id(led) not in known:
        known.add(id(led))
        led.args = tuple(limits.mask_secrets(each) if isinstance(each, str) else each for each in led.args)
        if isinstance(led, OSError) and isinstance(led.filename, str):
            led.filename = limits.mask_secrets(led.filename)
        led = led.__cause__ or led.__context__


def masked_data(limits: Limits, data: Any) -> Any:
    """Copy data of a record with its texts masked; what it calls things by stays."""
    if isinstance(data, str):
        return limits.mask_secrets(data)
    if isinstance(data, Mapping):
        return {key: value if key in _KEPT else masked_data(limits, value) for key, value in data.items()}
    if isinstance(data, list):
        return [masked_data(limits, value) for value in data]
    return data


def _masked_outcome(limits: Limits, outcome: Outcome) -> Outcome:
    mask, target = limits.mask_secrets, outcome.target
    return replace(
        outcome,
        reason=mask(outcome.reason),
        applied=None if outcome.applied is None else masked_action(limits, outcome.applied),
        error=None if outcome.error is None else mask(outcome.error),
        target=None if target is None else Target(**_masked_fields(limits, target)),
    )


def _masked_fields(limits: Limits, thing: Target | Observation) -> dict[str, Any]:
    """Give a thing's own fields that are texts, masked; of a target the empty ones too."""
    values = {each.name: getattr(thing, each.name) for each in fields(thing)}
    if isinstance(thing, Target):
        return {name: value and limits.mask_secrets(value) for name, value in values.items()}
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    return {name: limits.mask_secrets(value) for name, value in texts.items()}
