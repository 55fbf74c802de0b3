"""The steps that an oracle takes, as a model would write them."""

import json
from dataclasses import dataclass
from typing import Final

from foveate.agent.oracles.state import OracleLost, Sight, Thing
from foveate.policies.training.screens import PLACE

NOTCHES: Final = 2
"""How far the oracle scrolls a page at once: less than a small viewport, so that nothing is passed by."""

_NOTCH = 100  # CSS pixels
_OPERATION = 60  # characters


@dataclass(frozen=True, slots=True)
class Move:
    """One step.

    Attributes:
        operation: The sentence that says it, cut to what a history keeps.
        call: The action in the canonical form, ``{place}`` where its place stands.
        key: What the place is of; None where the call has none.
    """

    operation: str
    call: str
    key: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "operation", self.operation[:_OPERATION].rstrip())


def write(text: str) -> Move:
    """Type a text into what has the focus."""
    return Move(f"Type {text}", f"write(message={json.dumps(text, ensure_ascii=False)})")


def press(key: str) -> Move:
    """Press one key."""
    return Move(f"Press {key}", f'press(keys="{key}")')


SELECT_ALL: Final = Move("Select all", 'hotkey("control", "a")')
FINISHED: Final = Move("Finished", 'terminate(status="success")')


def answer(text: str) -> Move:
    """Give the answer that the task asks for."""
    return Move(f"Answer {text}", f"response(answer={json.dumps(text, ensure_ascii=False)})")


def give_up(reason: str) -> Move:
    """Say that the task cannot be done."""
    return Move("Not possible", f'terminate(status="failure", info={json.dumps(reason, ensure_ascii=False)})')


def scroll(down: bool, part: Thing | None = None) -> Move:
    """Turn the wheel, over a part that scrolls, by less than its height, or where the pointer is."""
    notches = NOTCHES if part is None else max(1, min(NOTCHES, int(0.9 * part.height) // _NOTCH))
    place = "" if part is None else f", {PLACE}"
    call = f"scroll(clicks={-notches if down else notches}{place})"
    return Move(f"Scroll {'down' if down else 'up'}", call, None if part is None else part.key)


def click(sight: Sight, key: str, operation: str) -> Move:
    """Click something, or scroll until it can be clicked."""
    thing = sight.thing(key)
    if thing.element is not None:
        return Move(operation, f"click({PLACE})", key)
    return towards(sight, thing)


def towards(sight: Sight, thing: Thing) -> Move:
    """Scroll towards something that is out of view.

    Raises:
        OracleLost: If scrolling does not bring it into view.
    """
    if not thing.away:
        raise OracleLost(f"{thing.key!r} ({thing.name}) cannot be seen, and scrolling does not help")
    if not thing.scroller:
        return scroll(thing.away > 0)
    part = sight.thing(thing.scroller)
    if part.element is None:
        return towards(sight, part)
    return scroll(thing.away > 0, part)
