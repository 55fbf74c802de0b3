"""The task that a page brings, ``window.foveateTask``: read by DevTools alone, for a page may change its built-ins.

It lives in the page's own world, where ``JSON``, ``Promise`` and every prototype are what the page makes of them; so
nothing of ours runs there, and what comes back is looked at from outside.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from foveate.actions.errors import UnsupportedAction
from foveate.envs.overlays import Overlays
from foveate.envs.tab import Tab

if TYPE_CHECKING:
    from playwright.async_api import CDPSession

T = TypeVar("T")

_LIMIT_S = 5.0
_FREE_LIMIT_S = 2.0
_KNOWN = "!!window.foveateTask"
_INSTRUCTION = "window.foveateTask ? `${window.foveateTask.instruction ?? ''}` : null"
_DONE = "window.foveateTask.done()"


async def ask_first(
    tabs: Sequence[Tab],
    overlays: Overlays,
    read: "Callable[[CDPSession], Awaitable[T | None]]",
    *,
    insist: bool = False,
) -> T | None:
    """Give what the first page answers with more than None; None where none does.

    Args:
        tabs: The pages.
        overlays: Their dialogs.
        read: Asks one page.
        insist: Get dialogs, and scripts that never end, out of the way; a page that one holds up is left out else.
    """
    from playwright.async_api import Error

    for tab in tuple(tabs):
        with contextlib.suppress(Error, TimeoutError, UnsupportedAction):
            if insist:
                await overlays.dismiss(tab.page)
                if not await tab.probes.answers(_FREE_LIMIT_S):
                    await tab.probes.interrupt(_FREE_LIMIT_S)
            elif overlays.held(tab.page) is not None or tab.silent:
                continue
            answer = await read(tab.session)
            if answer is not None:
                return answer
    return None


async def read_instruction(session: "CDPSession") -> str | None:
    """Give what the page asks for, empty where it says nothing; None where it brings no task.

    Raises:
        Error: Playwright's, if the page is gone.
        TimeoutError: If the page does not answer.
    """
    found = await _evaluate(session, _INSTRUCTION)
    return str(found["value"]) if found is not None and "value" in found and found["value"] is not None else None


async def read_done(session: "CDPSession") -> bool | None:
    """Ask the page whether its task is done; None where it brings none, or its answer fails.

    Raises:
        Error: Playwright's, if the page is gone.
        TimeoutError: If the page does not answer.
    """
    known = await _evaluate(session, _KNOWN)
    if known is None or not known.get("value"):
        return None
    found = await _evaluate(session, _DONE)
    if found is not None and found.get("subtype") == "promise":
        found = await _settled(session, found["objectId"])
    return None if found is None else _is_true(found)


async def _evaluate(session: "CDPSession", expression: str) -> Any:
    async with asyncio.timeout(_LIMIT_S):
        answer = await session.send("Runtime.evaluate", {"expression": expression})
    return None if "exceptionDetails" in answer else answer["result"]


async def _settled(session: "CDPSession", promise: str) -> Any:
    """Wait for a promise and give its value; None where it is rejected.

    A page may have broken the ``then`` that DevTools waits with; its state can be read all the same.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LIMIT_S / 2):
            answer = await session.send("Runtime.awaitPromise", {"promiseObjectId": promise})
        if "exceptionDetails" not in answer and answer["result"].get("subtype") != "promise":
            return answer["result"]
    async with asyncio.timeout(_LIMIT_S / 2):
        found = await session.send("Runtime.getProperties", {"objectId": promise, "ownProperties": True})
    inner = {each["name"]: each.get("value", {}) for each in found.get("internalProperties", ())}
    return inner.get("[[PromiseResult]]") if inner.get("[[PromiseState]]", {}).get("value") == "fulfilled" else None


def _is_true(found: Any) -> bool:
    """Tell whether a value is one that JavaScript takes for true."""
    if "unserializableValue" in found:
        return str(found["unserializableValue"]) not in ("NaN", "-0", "0n")
    if found["type"] in ("object", "function", "symbol"):
        return str(found.get("subtype")) != "null"
    return bool(found.get("value"))
