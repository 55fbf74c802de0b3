"""Listeners hear of an episode on a thread of their own, behind a bounded queue that drops the oldest."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence

from foveate.agent.trajectory import Listener, Result
from foveate.envs.base import Observation
from foveate.policies.base import Turn

_log = logging.getLogger(__name__)

_ROOM = 256
_DRAIN_S = 2.0


class Listening:
    """Feeds listeners; never slows or fails the loop.

    A full queue drops its oldest message; a listener that raises is logged with its traceback and goes on hearing.
    """

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = tuple(listeners)
        self._queue: deque[Callable[[Listener], None]] = deque(maxlen=_ROOM)
        self._wake = threading.Condition()
        self._ending = False
        self._thread: threading.Thread | None = None
        if self._listeners:
            self._thread = threading.Thread(target=self._pump, name="foveate-listeners", daemon=True)
            self._thread.start()

    def started(self, task: str) -> None:
        """Tell that the episode began."""
        self._say(lambda listener: listener.started(task))

    def observed(self, observation: Observation) -> None:
        """Tell what was seen."""
        self._say(lambda listener: listener.observed(observation))

    def turned(self, turn: Turn) -> None:
        """Tell that a step ended."""
        self._say(lambda listener: listener.turned(turn))

    def ended(self, result: Result) -> None:
        """Tell how the episode ended."""
        self._say(lambda listener: listener.ended(result))

    def close(self) -> None:
        """Let the listeners hear what is queued, for two seconds at most."""
        if self._thread is None:
            return
        with self._wake:
            self._ending = True
            self._wake.notify()
        self._thread.join(_DRAIN_S)
        if self._thread.is_alive():
            _log.warning("a listener is still busy after %g s; it is left behind", _DRAIN_S)

    def _say(self, message: Callable[[Listener], None]) -> None:
        if self._thread is None:
            return
        with self._wake:
            self._queue.append(message)
            self._wake.notify()

    def _pump(self) -> None:
        while True:
            with self._wake:
                while not self._queue and not self._ending:
                    self._wake.wait()
                if not self._queue:
                    return
                message = self._queue.popleft()
            for listener in self._listeners:
                try:
                    message(listener)
                except Exception:  # noqa: BLE001 - a listener is somebody else's code and must not reach the loop
                    _log.exception("the listener %s failed; the episode goes on", type(listener).__name__)
