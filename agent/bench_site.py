"""The pages that ``foveate bench loop`` presses: one page on this machine, its effects as slow as the address says."""

import http.server
import importlib.resources
import threading
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

MAX_DELAY_S = 5.0


class BenchSite:
    """Serves ``bench_page.html`` on 127.0.0.1 while it is open.

    ``/`` is the page; ``/slowpage?ms=N`` the same, N milliseconds later; ``/slow?ms=N`` a word, N milliseconds later.
    """

    def __enter__(self) -> Self:
        self._closing = threading.Event()
        page = importlib.resources.files("foveate.agent").joinpath("bench_page.html").read_bytes()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(page, self._closing))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="foveate-bench-site", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def url(self, **query: object) -> str:
        """Give the page's address with these settings."""
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return f"http://127.0.0.1:{self._server.server_address[1]}/?{text}"


def _handler(page: bytes, closing: threading.Event) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer, as late as the address asks."""
            parts = urlsplit(self.path)
            delay_s = float(parse_qs(parts.query).get("ms", ["0"])[0]) / 1e3
            if delay_s:
                closing.wait(min(delay_s, MAX_DELAY_S))
            body, kind = (b"done", "text/plain") if parts.path == "/slow" else (page, "text/html; charset=utf-8")
            self.send_response(200 if parts.path in ("/", "/slow", "/slowpage") else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    return Handler
