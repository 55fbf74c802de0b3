"""Dialogs that hold a page up: alert, confirm, prompt, beforeunload and HTTP sign-in.

While one waits Chromium neither captures nor takes input. How to use this module:

- ``Dialogs(context, spawn=..., on_change=...)`` before the context has a page; ``watch(page)`` for each that opens.
- ``await watch_sign_ins(session, page_of)`` once, with a DevTools session on the browser itself: it sees the HTTP
  sign-ins of every document and of what scripts fetch, in frames and in a popup's first request too. Those of
  pictures, styles and the like are not seen: such a request stays unanswered. What comes from another origin than the
  page's, in it or in its frames, is never asked for a sign-in by Chromium.
- ``waiting(page)`` gives what waits, as a ``Held``: its PendingDialog, who asks, the text of its field.
- ``dialog_drawing.draw(image, held.pending, held.text, scale, host)`` draws it onto the page's last picture;
  ``layout.action_at(point, frame)`` makes a click on the drawn buttons a ``Dialog``.
- ``held.typed(text)`` and ``held.pressed(keys)`` edit the field; Enter or Escape make them give a ``Dialog``.
- ``await answer(page, action)`` answers; every call that the dialog held up goes on then.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from foveate.actions.errors import UnsupportedAction
from foveate.actions.schema import Dialog, Key
from foveate.envs.base import PendingDialog

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, CDPSession, Page
    from playwright.async_api import Dialog as PageDialog

LIMIT_S = 5.0
"""Longest time that answering takes."""

_SIGNED = ("Document", "XHR", "Fetch")
_MOST_TEXT = 20_000


class Held:
    """One dialog that waits.

    Attributes:
        pending: What an observation says of it.
        origin: Who asks, ``https://example.org``; a secret is filled in only where it belongs to it.
        text: What its field holds.
    """

    def __init__(self, pending: PendingDialog, origin: str) -> None:
        self.pending = pending
        self.origin = origin
        self.text = pending.default
        self._fresh = True  # a prompt's default is selected: typing replaces it

    @property
    def has_field(self) -> bool:
        """True where there is text to enter."""
        return self.pending.kind in ("prompt", "sign_in")

    def typed(self, text: str) -> Dialog | None:
        """Type into its field; gives the answer where a newline ended the text."""
        accepted = False
        if self.has_field:
            line, newline, _ = text.replace("\r\n", "\n").replace("\r", "\n").partition("\n")
            line = line.replace("\t", ":" if self.pending.kind == "sign_in" else "")
            kept = "" if self._fresh else self.text
            self.text = (kept + line)[:_MOST_TEXT] if line else self.text
            self._fresh = self._fresh and not line
            accepted = bool(newline)
        return self._accepted() if accepted or text in ("\n", "\r\n") else None

    def pressed(self, keys: tuple[Key, ...]) -> Dialog | None:
        """Press a chord; gives the answer where it was Enter, Escape or the space bar on a button."""
        if keys == (Key.ESCAPE,):
            return Dialog(accept=False)
        if keys == (Key.ENTER,) or (keys == (Key.SPACE,) and not self.has_field):
            return self._accepted()
        if not self.has_field:
            return None
        if keys == (Key.CONTROL, Key.A):
            self._fresh = True
        elif keys in ((Key.BACKSPACE,), (Key.DELETE,)):
            self.text = "" if self._fresh else self.text[:-1] if keys == (Key.BACKSPACE,) else self.text
            self._fresh = False
        elif keys in ((Key.END,), (Key.HOME,), (Key.LEFT,), (Key.RIGHT,)):
            self._fresh = False
        elif keys == (Key.TAB,) and self.pending.kind == "sign_in":
            self.typed("\t")
        elif keys == (Key.SPACE,):
            self.typed(" ")
        elif len(keys[-1].value) == 1 and set(keys[:-1]) <= {Key.SHIFT}:
            self.typed(keys[-1].value.upper() if len(keys) > 1 else keys[-1].value)
        return None

    def _accepted(self) -> Dialog:
        return Dialog(accept=True, text=self.text if self.has_field else None)

    async def send(self, accept: bool, text: str | None) -> None:
        """Send the answer to the browser."""
        raise NotImplementedError


class _HeldByPage(Held):
    """A JavaScript dialog or beforeunload."""

    def __init__(self, dialog: "PageDialog", origin: str) -> None:
        kinds = {"alert": "alert", "confirm": "confirm", "prompt": "prompt", "beforeunload": "beforeunload"}
        default = dialog.default_value[:_MOST_TEXT]
        kind: Any = kinds.get(dialog.type, "confirm")
        super().__init__(PendingDialog(kind, dialog.message[:_MOST_TEXT], default), origin)
        self._dialog = dialog

    async def send(self, accept: bool, text: str | None) -> None:
        if not accept:
            await self._dialog.dismiss()
        elif self.pending.kind == "prompt":
            await self._dialog.accept(self.text if text is None else text)
        else:
            await self._dialog.accept()


class _HeldByServer(Held):
    """An HTTP sign-in (Basic, Digest) of a server or proxy."""

    def __init__(self, session: "CDPSession", event: dict[str, Any]) -> None:
        challenge = event["authChallenge"]
        asks = f"{challenge['origin']} asks for a name and a password"
        realm = challenge.get("realm", "")
        message = f"{asks}: {realm}" if realm else asks
        super().__init__(PendingDialog("sign_in", message[:_MOST_TEXT]), challenge["origin"])
        self._session = session
        self.request = event["requestId"]
        self.door = (challenge["origin"], challenge.get("realm", ""))

    async def send(self, accept: bool, text: str | None) -> None:
        name, _, password = (self.text if text is None else text).partition(":")
        answer = {"response": "ProvideCredentials", "username": name, "password": password}
        await self._session.send(
            "Fetch.continueWithAuth",
            {
                "requestId": self.request,
                "authChallengeResponse": answer if accept else {"response": "CancelAuth"},
            },
        )


class Dialogs:
    """Every dialog of one browser context; none is ever answered by itself.

    Args:
        context: Whose pages; before it has one, so that a popup's first dialog is seen too.
        spawn: Starts a coroutine that nobody awaits, and keeps hold of it.
        on_change: Called with the page and the dialog that opened, or None where one closed.
    """

    def __init__(
        self,
        context: "BrowserContext",
        *,
        spawn: Callable[[Coroutine[Any, Any, Any]], object],
        on_change: Callable[["Page", PendingDialog | None], None],
    ) -> None:
        self._held: dict[Page, list[Held]] = {}
        self._spawn = spawn
        self._on_change = on_change
        context.on("dialog", self._opened)

    def watch(self, page: "Page") -> None:
        """Follow one page from its opening to its end."""
        page.on("close", self._closed)
        page.on("crash", self._closed)

    async def watch_sign_ins(self, session: "CDPSession", page_of: Callable[[str], "Page | None"]) -> None:
        """Follow the HTTP sign-ins of documents and scripts; each of their requests takes one round trip more.

        Args:
            session: A DevTools session on the browser; detaching it ends this.
            page_of: Gives the page that a frame's sign-in holds up; of a frame that is not known yet, such as that of
                a popup about to open, the one that led to it.
        """

        def paused(event: dict[str, Any]) -> None:
            self._spawn(_go_on(session, event["requestId"]))

        def asked(event: dict[str, Any]) -> None:
            held, page = _HeldByServer(session, event), page_of(event.get("frameId", ""))
            if page is None:
                self._spawn(_send(held, False))
            else:
                self._note(page, held)

        session.on("Fetch.requestPaused", paused)
        session.on("Fetch.authRequired", asked)
        async with asyncio.timeout(LIMIT_S):
            patterns = [{"urlPattern": "http*", "resourceType": kind} for kind in _SIGNED]
            await session.send("Fetch.enable", {"handleAuthRequests": True, "patterns": patterns})

    def waiting(self, page: "Page") -> Held | None:
        """Give the dialog that holds a page; None where none does."""
        held = self._held.get(page)
        return held[-1] if held else None

    async def answer(self, page: "Page", action: Dialog) -> None:
        """Answer the dialog that holds a page, in bounded time.

        Args:
            page: The page.
            action: Its text is what is really sent: fill placeholders in before.

        Raises:
            UnsupportedAction: If none waits, or if it went away meanwhile.
        """
        from playwright.async_api import Error

        held = self.waiting(page)
        if held is None:
            raise UnsupportedAction("no dialog waits for an answer")
        self._held[page].remove(held)
        if isinstance(held, _HeldByServer):  # what else waits at that door is answered alike, as a browser does
            for each in [other for other in self._held[page] if isinstance(other, _HeldByServer)]:
                if each.door == held.door:
                    self._held[page].remove(each)
                    self._spawn(_send(each, action.accept, action.text))
        try:
            async with asyncio.timeout(LIMIT_S):
                await held.send(action.accept, action.text)
        except (Error, TimeoutError) as exc:
            raise UnsupportedAction("the dialog went away before it was answered") from exc
        finally:
            self._on_change(page, None)

    def _opened(self, dialog: "PageDialog") -> None:
        page = dialog.page
        if page is None:  # of a page that is gone already
            self._spawn(dialog.dismiss())
            return
        self._note(page, _HeldByPage(dialog, _origin(page.url)))

    def _note(self, page: "Page", held: Held) -> None:
        self._held.setdefault(page, []).append(held)
        self._on_change(page, held.pending)

    def _closed(self, page: "Page") -> None:
        held = self._held.pop(page, [])
        for each in held:
            if isinstance(each, _HeldByServer):  # it may be another page's, which would wait for ever
                self._spawn(_send(each, False))
        if held:
            self._on_change(page, None)


async def _go_on(session: "CDPSession", request: str) -> None:
    async with asyncio.timeout(LIMIT_S):
        await session.send("Fetch.continueRequest", {"requestId": request})


async def _send(held: Held, accept: bool, text: str | None = None) -> None:
    from playwright.async_api import Error

    with contextlib.suppress(Error, TimeoutError):
        async with asyncio.timeout(LIMIT_S):
            await held.send(accept, text)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
