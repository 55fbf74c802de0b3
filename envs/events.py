"""What has happened in an episode since the last observation, secrets replaced."""

from collections import Counter

from foveate.actions.guard import Limits
from foveate.actions.limits import entry_for
from foveate.envs.base import Event, EventKind

_MOST_HOST = 253


class EventLog:
    """The events of one episode, until an observation takes them.

    Args:
        limits: Hold the secrets whose values are replaced.
        blocked: Counts requests that were not sent, by host; shared by the episodes of one environment.
    """

    def __init__(self, limits: Limits, blocked: Counter[str]) -> None:
        self._limits = limits
        self._blocked = blocked
        self._blocked_now: Counter[str] = Counter()
        self._events: list[Event] = []
        self._expected = False

    def emit(self, kind: EventKind, text: str) -> None:
        """Take note of an event."""
        if kind == "navigation" and self._expected:
            self._expected = False
            return
        self._events.append(Event(kind, self._limits.mask_secrets(text)))

    def expect_navigation(self) -> None:
        """Leave the next navigation out: it leads to the start."""
        self._expected = True

    def note_blocked(self, host: str) -> None:
        """Count a request that was not sent."""
        host = self._limits.mask_secrets(host)[:_MOST_HOST]
        self._blocked[host] += 1
        self._blocked_now[host] += 1

    @property
    def first_blocked(self) -> str | None:
        """The first host, since the last observation, to which a request was not sent."""
        return next(iter(self._blocked_now), None)

    def take(self) -> tuple[Event, ...]:
        """Give what has happened, oldest first, and forget it."""
        for host, count in self._blocked_now.items():
            plural = "" if count == 1 else "s"
            self.emit("blocked", f"{count} request{plural} to {host}: not sent (--allow {entry_for(host)})")
        self._blocked_now.clear()
        events, self._events = tuple(self._events), []
        return events
