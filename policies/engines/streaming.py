"""What streaming takes: text from token ids as they come, and an end at any moment."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from foveate.actions.errors import ModelTimeout, ModelUnavailable
from foveate.policies.engines.base import Delta

T = TypeVar("T")

Give: TypeAlias = Callable[[Delta], object]
"""Takes a piece of an answer, in whatever thread it comes."""

_INCOMPLETE = "\ufffd"
_LONGEST_CHARACTER = 4
_LONGEST_RUN = 16


class Aborted(BaseException):
    """Ends a request whose stream was closed, out of the middle of the model."""


class StopText:
    """Cuts a text that comes piece by piece behind the first stop text in it.

    Args:
        stop: Texts at which it ends.

    Attributes:
        stopped: True once a stop text has come.
    """

    def __init__(self, stop: tuple[str, ...]) -> None:
        self._stop = tuple(word for word in stop if word)
        self._longest = max((len(word) for word in self._stop), default=1)
        self._tail = ""
        self.stopped = False

    def push(self, piece: str) -> str:
        """Take a piece; give as much of it as comes before the end, the stop text with it."""
        seen = self._tail + piece
        ends = [seen.index(word) + len(word) for word in self._stop if word in seen]
        if ends:
            self.stopped = True
            return piece[: min(ends) - len(self._tail)]
        self._tail = seen[-(self._longest - 1) :] if self._longest > 1 else ""
        return piece


class TextStream:
    """Turns tokens of a byte-level tokenizer into text piece by piece.

    A character that takes several tokens is held back until it is whole; the pieces together are what decoding all
    tokens at once gives, up to the first stop text and with it.

    Args:
        decode: Decodes token ids, special tokens included.
        stop: Texts at which the text ends.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: tuple[str, ...] = ()) -> None:
        self._decode = decode
        self._stop = StopText(stop)
        self._held: list[int] = []
        self._given = 0

    @property
    def stopped(self) -> bool:
        """True once a stop text has come."""
        return self._stop.stopped

    def push(self, token: int) -> str:
        """Take a token; give the text that became whole with it."""
        self._held.append(token)
        text = self._decode(self._held)
        # Bytes that may still become a character decode to one replacement character, at the very end.
        whole = text[:-1] if text.endswith(_INCOMPLETE) else text
        piece = whole[self._given :]
        if whole == text:
            self._held, self._given = [], 0
        else:
            self._given = len(whole)
            self._forget(text)
        return self._stop.push(piece)

    def _forget(self, text: str) -> None:
        """Let go of what a run of broken characters has left behind, so that a token's cost does not grow with it."""
        if len(self._held) <= _LONGEST_RUN:
            return
        for kept in range(1, _LONGEST_CHARACTER + 1):
            before, after = self._decode(self._held[:-kept]), self._decode(self._held[-kept:])
            if before + after == text and len(before) <= self._given:
                self._held, self._given = self._held[-kept:], self._given - len(before)
                return

    def flush(self) -> str:
        """Give what is still held back, a broken character as the replacement character."""
        piece = self._decode(self._held)[self._given :]
        self._held, self._given = [], 0
        return "" if self.stopped else self._stop.push(piece)


class Work(NamedTuple):
    """Something that is done in another thread.

    Attributes:
        future: Its result, in the event loop of whoever asked for it; shield it where it is awaited.
        cancel: Cancels it; its result says when that is done.
    """

    future: "asyncio.Future[Any]"
    cancel: Callable[[], object]


async def streamed(
    begin: Callable[[Give], Work],
    closed: str,
    *,
    piece_s: float | None = None,
    late: str = "",
    grace_s: float | None = None,
) -> AsyncGenerator[Delta, None]:
    """Answer a request in another thread, piece by piece; closing the stream cancels it, and returns when it has ended.

    Args:
        begin: Begins to answer there, and gives each piece as it comes.
        closed: What is said where the answer ends without its last piece.
        piece_s: Longest wait for a piece; None is without end.
        late: What is said where a piece takes longer.
        grace_s: Longest wait for what was cancelled; None is without end.

    Raises:
        ModelUnavailable: If it ends so.
        ModelTimeout: If a piece does not come in time.
    """
    loop = asyncio.get_running_loop()
    ready: asyncio.Queue[Delta | None] = asyncio.Queue()
    work = begin(lambda delta: loop.call_soon_threadsafe(ready.put_nowait, delta))
    work.future.add_done_callback(lambda _: ready.put_nowait(None))
    try:
        finish = None
        while (delta := await _in_time(ready.get(), piece_s, late)) is not None:
            finish = delta.finish
            yield delta
        await work.future
        if finish is None:
            raise ModelUnavailable(closed)
    finally:
        work.cancel()
        await finished(work.future, grace_s)


async def _in_time(what: Coroutine[Any, Any, T], limit_s: float | None, late: str) -> T:
    try:
        async with asyncio.timeout(limit_s):
            return await what
    except TimeoutError as exc:
        raise ModelTimeout(late) from exc


async def finished(work: "asyncio.Future[T]", limit_s: float | None = None) -> None:
    """Wait until a thread's work has ended, however often the waiter is cancelled meanwhile, or a time is over."""
    cancelled: asyncio.CancelledError | None = None
    over = None if limit_s is None else time.monotonic() + limit_s
    while not work.done() and (over is None or time.monotonic() < over):
        try:
            await asyncio.wait({work}, timeout=None if over is None else max(0.0, over - time.monotonic()))
        except asyncio.CancelledError as exc:
            cancelled = exc
    if work.done() and not work.cancelled():
        work.exception()  # it has been told where it was awaited; not twice
    if cancelled is not None:
        raise cancelled
