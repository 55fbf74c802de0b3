"""The allow-list as Chromium enforces it, and what requests are under way.

Hosts are kept by a launch flag: every other name and address resolves to nothing, for subresources, workers, sockets,
popups and each hop of a redirect alike, before anything is sent. Files outside the permitted folders are refused by
a route. What was asked in vain is counted by host.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from foveate.actions.limits import LOOPBACK, Limits, host_of

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page, Request, Response, Route, WebSocket

UNAWAITED = frozenset({"eventsource", "websocket", "ping", "media", "manifest", "texttrack"})
"""Kinds of request that no effect waits for: streams, beacons, media."""


def network_flags(limits: Limits) -> tuple[str, ...]:
    """Give the launch flags that keep Chromium within the allowed hosts; none where all are allowed."""
    if limits.open_to_all:
        return ()
    rules = ["MAP * ~NOTFOUND"]
    for host in limits.hosts():
        names = LOOPBACK if host in LOOPBACK else (host,)
        for name in names:
            rules.append(f"EXCLUDE {name}")  # an IPv6 address without its brackets
            if not name[-1].isdigit() and ":" not in name:
                rules.append(f"EXCLUDE *.{name}")
    return (
        f"--host-resolver-rules={', '.join(dict.fromkeys(rules))}",
        "--no-proxy-server",  # a proxy would resolve names itself
        "--webrtc-ip-handling-policy=disable_non_proxied_udp",  # ICE talks to bare addresses, past the resolver
        "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    )


class Network:
    """Watches one browser context's requests.

    Args:
        limits: What may be asked, default list filled in.
        on_blocked: Called with the host (or file) of each request that was not sent.
        on_change: Called when a request begins or ends.
    """

    def __init__(self, limits: Limits, *, on_blocked: Callable[[str], None], on_change: Callable[[], None]) -> None:
        self._limits = limits
        self._on_blocked = on_blocked
        self._on_change = on_change
        self._open: dict[Request, float] = {}
        self._folders: tuple[Path, ...] = ()

    def pending_since(self, since_s: float) -> bool:
        """Tell whether a request that began at or after a moment has not ended, streams and the like aside."""
        return any(began_s >= since_s for began_s in self._open.values())

    async def attach(self, context: "BrowserContext") -> None:
        """Watch a context, before it has any page."""
        context.on("request", self._request)
        context.on("response", self._response)
        context.on("requestfinished", self._ended)
        context.on("requestfailed", self._ended)
        context.on("page", self._page)
        entries = [entry for entry in self._limits.allow or () if entry.startswith("file:")]
        if not entries or self._limits.open_to_all:
            return
        paths = [Path(unquote(urlsplit(entry).path)) for entry in entries]
        self._folders = await asyncio.to_thread(lambda: tuple(path.resolve() for path in paths))
        await context.route(lambda url: url.startswith("file:"), self._file)

    def _page(self, page: "Page") -> None:
        page.on("websocket", self._socket)

    def _socket(self, socket: "WebSocket") -> None:
        self._count(socket.url)

    def _request(self, request: "Request") -> None:
        self._count(request.url)
        if request.resource_type not in UNAWAITED and not request.url.startswith(("data:", "blob:")):
            self._open[request] = time.monotonic()
            self._on_change()

    def _response(self, response: "Response") -> None:
        if "text/event-stream" in response.headers.get("content-type", ""):
            self._ended(response.request)

    def _ended(self, request: "Request") -> None:
        if self._open.pop(request, None) is not None:
            self._on_change()

    def _count(self, url: str) -> None:
        if not url.startswith(("http:", "https:", "ws:", "wss:")) or self._limits.permits(url):
            return
        self._on_blocked(host_of(url) or url)

    async def _file(self, route: "Route") -> None:
        url = route.request.url
        path = Path(unquote(urlsplit(url).path))
        resolved = await asyncio.to_thread(path.resolve)  # a link inside the folder may lead out of it
        if self._limits.permits(url) and any(resolved.is_relative_to(folder) for folder in self._folders):
            await route.continue_()
        else:
            self._on_blocked(str(path))
            await route.abort("blockedbyclient")
