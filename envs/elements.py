"""Single elements of a page: the one at a point, the one with the focus, at constant cost whatever the page's size.

Everything runs in an isolated world, whose globals and prototypes a page can neither see nor change; frames of other
processes and closed shadow roots are followed. Nothing here is shown to a policy.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page

Quad: TypeAlias = tuple[float, ...]
"""x and y of four corners in CSS pixels, clockwise from the top left."""

WORLD = "foveate"
"""Name of the isolated world."""

LIMIT_S = 2.0
"""Longest time that one look takes; a page that is busy or held by a dialog answers nothing."""

_MOST_NESTED = 8
_MOST_FRAMES = 32
_OWNERS = frozenset({"IFRAME", "FRAME", "OBJECT", "EMBED", "FENCEDFRAME", "PORTAL"})

# The getters are taken from the prototypes: an element named activeElement would hide the document's own.
_ACTIVE = """(root) => {
  const get = (kind) => Object.getOwnPropertyDescriptor(kind.prototype, "activeElement").get;
  let found = root instanceof ShadowRoot ? get(ShadowRoot).call(root) : get(Document).call(root);
  for (let depth = 0; depth < 32 && found; depth++) {
    const shadow = Object.getOwnPropertyDescriptor(Element.prototype, "shadowRoot").get.call(found);
    const inner = shadow && get(ShadowRoot).call(shadow);
    if (!inner) break;
    found = inner;
  }
  return found;
}"""
_SIZE = "[innerWidth, innerHeight, scrollX, scrollY]"


@dataclass(frozen=True, slots=True)
class _Owner:
    """The element of a parent that shows a frame of another process."""

    session: "CDPSession"
    backend: int
    child: "CDPSession"
    child_frame: str


@dataclass(frozen=True, slots=True)
class Element:
    """A handle on one element, in the isolated world of its frame; release it when it is no longer needed.

    Attributes:
        session: DevTools session of the process that it lives in.
        object_id: The handle.
        backend: The browser's own number of the node.
        frame: Id of its frame.
        owners: The elements that show its frame, outermost first, where those live in other processes.
    """

    session: "CDPSession"
    object_id: str
    backend: int
    frame: str
    owners: tuple[_Owner, ...] = ()

    async def call(self, function: str, *arguments: Any) -> Any:
        """Call a function in the isolated world with the element as ``this`` and give its answer as plain data.

        Raises:
            Error: Playwright's, if the element's document is gone or the function throws.
            TimeoutError: If the page does not answer within ``LIMIT_S``.
        """
        from playwright.async_api import Error

        async with asyncio.timeout(LIMIT_S):
            answer = await self.session.send(
                "Runtime.callFunctionOn",
                {
                    "objectId": self.object_id,
                    "functionDeclaration": function,
                    "arguments": [{"value": value} for value in arguments],
                    "returnByValue": True,
                },
            )
        if "exceptionDetails" in answer:
            raise Error(str(answer["exceptionDetails"].get("exception", {}).get("description", "it threw")))
        return answer["result"].get("value")

    async def quads(self) -> tuple[Quad, ...]:
        """Give where it is painted, in CSS pixels of the viewport; empty where it is not.

        Raises:
            Error: Playwright's, if the element's document is gone.
            TimeoutError: If the page does not answer within ``LIMIT_S``.
        """
        from playwright.async_api import Error

        async with asyncio.timeout(LIMIT_S):
            try:
                answer = await self.session.send("DOM.getContentQuads", {"objectId": self.object_id})
            except Error as exc:
                if "compute content quads" in str(exc) or "layout object" in str(exc):
                    return ()
                raise
            quads = [tuple(map(float, quad)) for quad in answer["quads"]]
            for owner in reversed(self.owners):
                outer = await _content_quad(owner.session, owner.backend)
                width, height, *_ = await _evaluate(owner.child, owner.child_frame, _SIZE)
                quads = [_outwards(quad, outer, float(width), float(height)) for quad in quads]
        return tuple(quads)

    async def release(self) -> None:
        """Let go of it; never fails."""
        from playwright.async_api import Error

        try:
            async with asyncio.timeout(LIMIT_S):
                await self.session.send("Runtime.releaseObject", {"objectId": self.object_id})
        except (Error, TimeoutError):
            pass  # its document is gone, or held by a dialog: the handle dies with it


class Elements:
    """Finds single elements of one page.

    Args:
        page: The page.
        session: A DevTools session on it; the caller's, it is not closed here.
    """

    def __init__(self, page: "Page", session: "CDPSession") -> None:
        self._page = page
        self._session = session
        self._children: dict[str, CDPSession] = {}
        self._root: str | None = None

    @asynccontextmanager
    async def borrow(self, place: tuple[float, float] | None) -> AsyncIterator[Element | None]:
        """Find the element at a place (CSS pixels of the viewport), or with the focus; let go of it after the block."""
        element = await (self.focused() if place is None else self.at(*place))
        try:
            yield element
        finally:
            if element is not None:
                await element.release()

    async def at(self, x: float, y: float) -> Element | None:
        """Find the element that a click at a place in the viewport, in CSS pixels, would reach.

        Returns:
            A handle; None where there is none, or where the page does not answer within ``LIMIT_S``.
        """
        from playwright.async_api import Error

        try:
            async with asyncio.timeout(LIMIT_S):
                return await self._hit(self._session, await self._main_frame(), (x, y), ())
        except (Error, TimeoutError, KeyError):
            return None

    async def focused(self) -> Element | None:
        """Find the element that has the focus (the body where nothing has).

        Returns:
            A handle; None where the page does not answer within ``LIMIT_S``.
        """
        from playwright.async_api import Error

        try:
            async with asyncio.timeout(LIMIT_S):
                return await self._active(self._session, await self._main_frame(), ())
        except (Error, TimeoutError, KeyError):
            return None

    async def key(self, event: dict[str, Any]) -> None:
        """Send one key event to whatever has the page's focus, an open list included.

        Raises:
            Error: Playwright's, if the page is gone.
            TimeoutError: If it is not taken within ``LIMIT_S``.
        """
        async with asyncio.timeout(LIMIT_S):
            await self._session.send("Input.dispatchKeyEvent", event)

    async def _main_frame(self) -> str:
        if self._root is None:  # a page keeps it for life
            self._root = await _root_frame(self._session)
        return self._root

    async def _hit(
        self, session: "CDPSession", root: str, place: tuple[float, float], owners: tuple[_Owner, ...]
    ) -> Element | None:
        if owners:
            scroll_x, scroll_y = (await _evaluate(session, root, _SIZE))[2:]
        else:
            view = (await session.send("Page.getLayoutMetrics"))["cssVisualViewport"]
            scroll_x, scroll_y = view["pageX"], view["pageY"]
        # The browser wants document coordinates here, in whole CSS pixels.
        where = {"x": math.floor(place[0] + scroll_x), "y": math.floor(place[1] + scroll_y)}
        hit = await session.send("DOM.getNodeForLocation", where)
        backend, frame = hit["backendNodeId"], hit["frameId"]
        node = (await session.send("DOM.describeNode", {"backendNodeId": backend}))["node"]
        if node["nodeName"] in _OWNERS and node.get("frameId") and len(owners) < _MOST_NESTED:
            child = await self._child(node["frameId"])
            if child is not None:
                quad = await _content_quad(session, backend)
                width, height, *_ = await _evaluate(child, node["frameId"], _SIZE)
                inner = _inwards(place, quad, float(width), float(height))
                owner = _Owner(session, backend, child, node["frameId"])
                return await self._hit(child, node["frameId"], inner, (*owners, owner))
        world = await _world(session, frame)
        found = await session.send("DOM.resolveNode", {"backendNodeId": backend, "executionContextId": world})
        return Element(session, found["object"]["objectId"], backend, frame, owners)

    async def _active(self, session: "CDPSession", frame: str, owners: tuple[_Owner, ...]) -> Element | None:
        world = await _world(session, frame)
        found = await _object(session, world, f"({_ACTIVE})(document)")
        for _ in range(_MOST_NESTED):
            if found is None:
                return None
            node = (await session.send("DOM.describeNode", {"objectId": found}))["node"]
            if node["nodeName"] in _OWNERS and node.get("frameId"):
                return await self._active_within(session, node, owners)
            closed = [each for each in node.get("shadowRoots", ()) if each["shadowRootType"] == "closed"]
            inner = await _active_in_closed(session, world, closed[0]["backendNodeId"]) if closed else None
            if inner is None:
                return Element(session, found, node["backendNodeId"], frame, owners)
            found = inner
        return None

    async def _active_within(
        self, session: "CDPSession", node: dict[str, Any], owners: tuple[_Owner, ...]
    ) -> Element | None:
        """Follow the focus into a frame."""
        frame = node["frameId"]
        if node.get("contentDocument") is not None:
            return await self._active(session, frame, owners)
        child = await self._child(frame)
        if child is None:
            return None
        return await self._active(child, frame, (*owners, _Owner(session, node["backendNodeId"], child, frame)))

    async def _child(self, frame_id: str) -> "CDPSession | None":
        """Give the session of a frame that lives in a process of its own; looked for once a frame."""
        from playwright.async_api import Error

        known = self._children.get(frame_id)
        if known is not None:
            try:
                await _root_frame(known)
                return known
            except Error:  # the frame moved to another process
                del self._children[frame_id]
        for frame in self._page.frames[1:_MOST_FRAMES]:
            try:
                session = await self._page.context.new_cdp_session(frame)
                found = await _root_frame(session)
            except Error:  # it lives in its parent's process
                continue
            if found in self._children:
                await session.detach()
            else:
                self._children[found] = session
        return self._children.get(frame_id)


async def _root_frame(session: "CDPSession") -> str:
    tree = await session.send("Page.getFrameTree")
    return str(tree["frameTree"]["frame"]["id"])


async def _world(session: "CDPSession", frame: str) -> int:
    """Give the isolated world of a frame; the browser makes one a name, so asking again gives the same."""
    made = await session.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": WORLD})
    return int(made["executionContextId"])


async def _evaluate(session: "CDPSession", frame: str, expression: str) -> Any:
    world = await _world(session, frame)
    answer = await session.send(
        "Runtime.evaluate", {"expression": expression, "contextId": world, "returnByValue": True}
    )
    return answer["result"].get("value")


async def _object(session: "CDPSession", world: int, expression: str) -> str | None:
    answer = await session.send("Runtime.evaluate", {"expression": expression, "contextId": world})
    found: str | None = answer["result"].get("objectId")
    return found


async def _active_in_closed(session: "CDPSession", world: int, backend: int) -> str | None:
    root = await session.send("DOM.resolveNode", {"backendNodeId": backend, "executionContextId": world})
    answer = await session.send(
        "Runtime.callFunctionOn",
        {"objectId": root["object"]["objectId"], "functionDeclaration": f"function () {{ return ({_ACTIVE})(this); }}"},
    )
    found: str | None = answer["result"].get("objectId")
    return found


async def _content_quad(session: "CDPSession", backend: int) -> Quad:
    model = await session.send("DOM.getBoxModel", {"backendNodeId": backend})
    return tuple(map(float, model["model"]["content"]))


def _inwards(place: tuple[float, float], quad: Quad, width: float, height: float) -> tuple[float, float]:
    """Give a place of the parent in the frame's own pixels; the quad may be scaled or turned."""
    ax, ay, bx, by = quad[2] - quad[0], quad[3] - quad[1], quad[6] - quad[0], quad[7] - quad[1]
    dx, dy = place[0] - quad[0], place[1] - quad[1]
    area = ax * by - ay * bx
    if area == 0:
        return 0.0, 0.0
    return (dx * by - dy * bx) / area * width, (ax * dy - ay * dx) / area * height


def _outwards(inner: Quad, quad: Quad, width: float, height: float) -> Quad:
    """Give a quad of the frame in the parent's pixels."""
    found: list[float] = []
    for x, y in zip(inner[::2], inner[1::2], strict=True):
        u, v = x / max(width, 1.0), y / max(height, 1.0)
        found.append(quad[0] + u * (quad[2] - quad[0]) + v * (quad[6] - quad[0]))
        found.append(quad[1] + u * (quad[3] - quad[1]) + v * (quad[7] - quad[1]))
    return tuple(found)
