"""Local sites for the browser: one that may be asked, one that must never be."""

import base64
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from foveate.envs.browser import BrowserEnv


@dataclass
class Answer:
    """What a path answers."""

    body: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/html; charset=utf-8"})
    delay_s: float = 0.0
    credentials: str | None = None


class Site:
    """A small web site on this machine that remembers what it was asked."""

    def __init__(self, host: str) -> None:
        self.asked: list[str] = []
        self.pages: dict[str, Answer] = {}
        self.stopped = threading.Event()
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                self.rfile.read(length)
                answer = site.pages.get(self.path.split("?")[0], Answer("nothing here", 404))
                if answer.delay_s:
                    site.stopped.wait(answer.delay_s)
                data = answer.body.encode()
                if answer.credentials is not None:
                    wanted = base64.b64encode(answer.credentials.encode()).decode()
                    if self.headers.get("Authorization") != f"Basic {wanted}":
                        answer = Answer("", 401, {"WWW-Authenticate": 'Basic realm="door"'})
                        data = b""
                try:
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    pass  # the browser went away

            do_POST = do_GET  # noqa: N815 - the name that http.server calls

            def log_message(self, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer((host, 0), Handler)
        self._server.daemon_threads = True
        self.host = host
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def url(self, path: str = "/") -> str:
        return f"http://{self.host}:{self.port}{path}"

    def page(self, path: str, body: str, **more: object) -> str:
        """Serve a page and give its address."""
        self.pages[path] = Answer(f"<!doctype html><meta charset=utf-8>{body}", **more)  # type: ignore[arg-type]
        return self.url(path)

    def redirect(self, path: str, target: str) -> str:
        """Serve a redirect and give its address."""
        self.pages[path] = Answer("", 302, {"Location": target})
        return self.url(path)

    def close(self) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    """The site that an episode is about."""
    served = Site("127.0.0.1")
    yield served
    served.close()


@pytest.fixture
def foreign() -> Iterator[Site]:
    """A site on another address of this machine, which no allow-list here covers."""
    served = Site("127.0.0.2")
    yield served
    served.close()


@pytest.fixture
def browser_env(chromium: str, tmp_path: Path) -> Callable[..., BrowserEnv]:
    """Make a BrowserEnv of this machine's Chromium; the test opens it."""

    def make(url: str | None = None, **more: object) -> BrowserEnv:
        return BrowserEnv(url, browser=chromium, **more)  # type: ignore[arg-type]

    return make
