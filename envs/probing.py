"""Ask the documents of one page what they have due, and find out whether the page answers at all.

The script that runs in each of them (``probe.js``) is fetched once a document and called through DevTools. A page whose
own script never ends answers nothing: ``silent_s`` tells for how long, ``interrupt`` ends that script.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from foveate.envs.background import Background

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Frame

_PAINT_LIMIT_S = 0.15
_FRAME_LIMIT_S = 0.15
_MOST_FRAMES = 8
_INTERRUPT_S = 0.2
_FOLLOW_LIMIT_S = 5.0

_Context: TypeAlias = "tuple[CDPSession, int]"


@dataclass(frozen=True, slots=True)
class Answers:
    """What the documents of a page have answered.

    Attributes:
        found: One object a document that answered, the page's own first, as ``probe.js`` writes it.
        asked_s: The moment that the answers are surely younger than, monotonic seconds.
        painted_s: When the page said that everything before the question is painted; ``-inf`` where it did not.
        drawn_s: What the frame with that paint is drawn for, monotonic seconds; ``-inf`` where it is not known.
    """

    found: list[Any]
    asked_s: float
    painted_s: float = -math.inf
    drawn_s: float = -math.inf


class Probes:
    """The documents of one page, as they come and go.

    Args:
        session: The page's.
        secret: Name under which the probe answers.
        background: Where work that nobody awaits is kept.
        on_answers: Called with each set of answers.
    """

    def __init__(
        self,
        session: "CDPSession",
        *,
        secret: str,
        background: Background,
        on_answers: Callable[[Answers], None],
    ) -> None:
        self.main_frame = ""
        self._session = session
        self._expression = f'getEventListeners(globalThis)["{secret}"]?.[0]?.listener'
        self._background = background
        self._on_answers = on_answers
        self._contexts: dict[_Context, str] = {}
        self._probes: dict[_Context, str] = {}
        self._question: asyncio.Task[None] | None = None
        self._question_paints = False
        self._put_s = 0.0
        self._paint_wanted_s = -math.inf
        self._closed = False
        self._followed: set[Frame] = set()

    def watch(self, session: "CDPSession") -> None:
        """Follow the documents that live behind a session: the page's, or that of a frame in another process."""
        session.on("Runtime.executionContextCreated", lambda event: self._created(session, event["context"]))
        session.on("Runtime.executionContextDestroyed", lambda event: self._gone(session, event["executionContextId"]))
        session.on("Runtime.executionContextsCleared", lambda _event: self.forget(session))

    async def follow(self, frame: "Frame") -> None:
        """Follow the documents of a frame, where it lives in a process of its own; never fails."""
        from playwright.async_api import Error

        if frame.parent_frame is None or frame in self._followed or len(self._followed) >= _MOST_FRAMES:
            return
        self._followed.add(frame)
        try:
            session = await frame.page.context.new_cdp_session(frame)
            session.on("close", lambda _session: self._unfollow(frame, session))
            self.watch(session)
            async with asyncio.timeout(_FOLLOW_LIMIT_S):
                await session.send("Runtime.enable")
        except (Error, TimeoutError):  # it lives in its parent's process, is gone again, or does not answer
            self._followed.discard(frame)

    def _unfollow(self, frame: "Frame", session: "CDPSession") -> None:
        self._followed.discard(frame)
        self.forget(session)

    def forget(self, session: "CDPSession") -> None:
        """Leave out every document behind a session: it is gone, or does not answer."""
        for context in [each for each in self._contexts if each[0] is session]:
            del self._contexts[context]
            self._probes.pop(context, None)

    def close(self) -> None:
        """Ask nothing any more: the page is gone."""
        self._closed = True

    # Questions ------------------------------------------------------------------------------------------------------

    @property
    def asking(self) -> bool:
        """True while a question is under way."""
        return self._question is not None

    @property
    def silent_s(self) -> float:
        """For how long the question that is under way has not been answered, in seconds."""
        return 0.0 if self._question is None else time.monotonic() - self._put_s

    def ask(self, *, paint: bool) -> None:
        """Put the question what is due, unless one is under way.

        Args:
            paint: Have it answered after the next paint. A question under way that is to be painted serves where its
                frame comes later than now; else one more follows.
        """
        if self._closed:
            return
        if paint:
            self._paint_wanted_s = time.monotonic()
        if self._question is None:
            self._question_paints = paint
            self._put_s = time.monotonic()
            self._question = self._background.spawn(self._ask(paint))

    async def _ask(self, paint: bool) -> None:
        answers = Answers([], self._put_s)
        try:
            answers = await self._answers(paint)
        finally:
            self._question = None
            self._on_answers(answers)
            wanted_s, self._paint_wanted_s = self._paint_wanted_s, -math.inf
            if wanted_s > answers.asked_s:
                self.ask(paint=True)

    async def _answers(self, paint: bool) -> Answers:
        main = [each for each, frame in self._contexts.items() if frame == self.main_frame]
        others = [each for each, frame in self._contexts.items() if frame != self.main_frame][:_MOST_FRAMES]
        painted_s = drawn_s = -math.inf
        found: list[Any] = []
        if paint and main:
            with contextlib.suppress(TimeoutError):  # it does not paint, or is busy: the plain question waits for it
                async with asyncio.timeout(_PAINT_LIMIT_S):
                    answer = await self._call(main[-1], paint=True)
                if answer is not None:
                    found, painted_s, main = [answer], time.monotonic(), []
                    drawn_s = _on_our_clock(answer["drawn"], self._put_s, painted_s)
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(self._call(each, paint=False)) for each in main]
            calls += [group.create_task(self._call_frame(each)) for each in others]
            if not main and not found:  # its document has not told of itself, perhaps because it is busy
                group.create_task(self._reach())
        found += [answer for call in calls if (answer := call.result()) is not None]
        return Answers(found, max(self._put_s, drawn_s), painted_s, drawn_s)

    async def _reach(self) -> None:
        from playwright.async_api import Error

        with contextlib.suppress(Error):
            await self._session.send("Runtime.evaluate", {"expression": "0"})

    async def _call_frame(self, context: _Context) -> Any:
        """Call the probe of a frame; one in another process that is busy is left out until it has a new document."""
        if context[0] is self._session:
            return await self._call(context, paint=False)
        try:
            async with asyncio.timeout(_FRAME_LIMIT_S):
                return await self._call(context, paint=False)
        except TimeoutError:
            self.forget(context[0])
            return None

    async def _call(self, context: _Context, *, paint: bool) -> Any:
        """Call the probe in one document; None where it has none or went away."""
        from playwright.async_api import Error

        session, number = context
        try:
            probe = self._probes.get(context)
            if probe is None:
                found = await session.send(
                    "Runtime.evaluate",
                    {"expression": self._expression, "includeCommandLineAPI": True, "contextId": number},
                )
                probe = found["result"].get("objectId", "")
                if context in self._contexts:
                    self._probes[context] = probe
            if not probe:
                return None
            answer = await session.send(
                "Runtime.callFunctionOn",
                {
                    "objectId": probe,
                    "functionDeclaration": "function (paint) { return this(paint); }",
                    "arguments": [{"value": paint}],
                    "awaitPromise": paint,
                    "returnByValue": True,
                },
            )
        except Error:
            return None
        return None if "exceptionDetails" in answer else answer["result"].get("value")

    # Whether it answers ---------------------------------------------------------------------------------------------

    async def answers(self, limit_s: float) -> bool:
        """Tell whether the page's own script lets it answer within a limit; False, too, where a dialog holds it."""
        from playwright.async_api import Error

        work = self._question or self._background.spawn(self._session.send("Runtime.evaluate", {"expression": "0"}))
        await asyncio.wait({work}, timeout=limit_s)
        return work.done() and not work.cancelled() and not isinstance(work.exception(), Error)

    async def interrupt(self, limit_s: float) -> bool:
        """End the script that keeps the page from answering, and those that follow it; the page stays.

        Returns:
            True where the page answers again. What blocks without running a script cannot be ended.
        """
        end_s = time.monotonic() + limit_s
        while not await self.answers(_INTERRUPT_S):
            if time.monotonic() >= end_s:
                return False
            self._background.spawn(self._session.send("Runtime.terminateExecution"))
        return True

    # Documents ------------------------------------------------------------------------------------------------------

    def _created(self, session: "CDPSession", context: Any) -> None:
        data = context.get("auxData", {})
        if data.get("isDefault"):
            self._contexts[session, context["id"]] = data["frameId"]

    def _gone(self, session: "CDPSession", number: int) -> None:
        self._contexts.pop((session, number), None)
        self._probes.pop((session, number), None)


def _on_our_clock(epoch_ms: float, asked_s: float, answered_s: float) -> float:
    """Give a page's time in monotonic seconds; ``-inf`` where that cannot be, for a page's clock may be another."""
    at_s = epoch_ms / 1000 - time.time() + time.monotonic()
    return at_s if asked_s - 0.1 <= at_s <= answered_s + 0.05 else -math.inf
