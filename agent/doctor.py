"""Checks that this machine has what a run needs, each with what to do where it has not."""

import asyncio
import importlib.util
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from foveate.actions.errors import FoveateError
from foveate.actions.geometry import Point
from foveate.actions.schema import Click
from foveate.agent.interrupts import ended_by
from foveate.agent.live import shown
from foveate.envs.base import Image, Observation

_CHECK_S = 180.0
_NEEDED_FREE_BYTES = 2 * 1024**3
_EXTRAS = {
    "browser": ("playwright",),
    "torch": ("torch", "transformers", "tokenizers", "safetensors"),
}
_COLOUR = (18, 164, 90)
_CLICKED = (200, 40, 120)
_PAGE = """<!doctype html><meta charset="utf-8"><title>foveate doctor</title>
<style>html,body{{margin:0;height:100%;background:rgb{colour}}}</style>
<script>addEventListener("click", (e) => {{ if (e.isTrusted) document.body.style.background = "rgb{clicked}"; }})
</script><body>"""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked.

    Attributes:
        name: What.
        passed: Whether it is as it should be.
        found: What was found.
        remedy: What to do; empty where it passed.
    """

    name: str
    passed: bool
    found: str
    remedy: str = ""

    def as_data(self) -> dict[str, Any]:
        """Give it as JSON data."""
        return asdict(self)


async def examine(
    *,
    model: str = "tiny",
    browser: str | None = None,
    engine: str = "auto",
    device: str = "auto",
    flash: bool | None = None,
    trust_remote_code: bool = False,
) -> tuple[Check, ...]:
    """Check everything; a check that fails never keeps the next from being done.

    Args:
        model: The model that is loaded and asked.
        browser: The Chromium to check; None looks for one.
        engine: What serves the model.
        device: Where it runs.
        flash: Whether its router is to be on; None is as the checkpoint says.
        trust_remote_code: Whether code that comes with a checkpoint may be run, where an engine cannot do without.

    Raises:
        CancelledError: If SIGTERM came meanwhile: what was begun is closed first.
    """
    checks = [_python(), *_extras(), _disk(Path.cwd()), _fonts()]
    with ended_by(signal.SIGTERM):
        checks += await _bounded("browser", lambda: _browser(browser))
        checks += await _bounded("remote code", lambda: _code(model, engine, trust_remote_code))
        checks += await _bounded("model", lambda: _model(model, engine, device, flash, trust_remote_code))
    return tuple(checks)


def show(checks: Iterable[Check], console: Console) -> None:
    """Show the checks as a table, and under it what to do."""
    listed = tuple(checks)
    table = Table(box=None, pad_edge=False)
    for title in ("", "check", "found"):
        table.add_column(title, overflow="fold")
    for check in listed:
        table.add_row(
            "[green]ok[/]" if check.passed else "[red]no[/]", check.name, shown(check.found).replace("[", "\\[")
        )
    console.print(table)
    for check in listed:
        if not check.passed:
            console.print(f"{check.name}: {check.remedy}", markup=False, soft_wrap=True)


async def _bounded(name: str, work: Callable[[], Awaitable[tuple[Check, ...]]]) -> tuple[Check, ...]:
    try:
        async with asyncio.timeout(_CHECK_S):
            return await work()
    except FoveateError as exc:
        return (Check(name, False, type(exc).__name__, str(exc)),)
    except TimeoutError:
        remedy = "close what else keeps this machine busy and try again"
        return (Check(name, False, f"no answer within {_CHECK_S:g} s", remedy),)


def _python() -> Check:
    found = f"{platform.python_version()} at {sys.executable}"
    passed = sys.version_info >= (3, 11)
    return Check("Python", passed, found, "" if passed else "install Python 3.11 or newer")


def _extras() -> list[Check]:
    checks = []
    for extra, modules in _EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        found = f"{', '.join(missing)} missing" if missing else ", ".join(modules)
        remedy = f"pip install 'foveate[{extra}]'" if missing else ""
        checks.append(Check(f"extra {extra}", not missing, found, remedy))
    return checks


def _disk(folder: Path) -> Check:
    name = "disk space"
    try:
        free = shutil.disk_usage(folder).free
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".foveate-"):
            pass
    except OSError as exc:
        return Check(name, False, f"{folder}: {exc.strerror}", "go to a folder that can be written")
    passed = free >= _NEEDED_FREE_BYTES
    found = f"{free / 1024**3:.1f} GiB free in {folder}"
    return Check(name, passed, found, "" if passed else "free some space: records and models need 2 GiB")


def _fonts() -> Check:
    """Look for fonts where a page would miss them: without any, Chromium draws text as nothing."""
    homes = [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".fonts"]
    homes += [Path.home() / ".local/share/fonts", Path("/Library/Fonts"), Path("/System/Library/Fonts")]
    kinds = ("*.ttf", "*.otf", "*.ttc", "*.pfb")
    count = sum(1 for home in homes if home.is_dir() for kind in kinds for _ in home.rglob(kind))
    if count:
        return Check("fonts", True, f"{count} files")
    return Check("fonts", False, "none", "install some: apt install fonts-dejavu-core fonts-liberation")


async def _browser(path: str | None) -> tuple[Check, ...]:
    """Start a Chromium, see the colour that a page asks for, click, and see that the click arrived."""
    from foveate.envs.browser import BrowserEnv

    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="foveate-doctor-") as folder:
        page = Path(folder) / "page.html"
        page.write_text(_PAGE.format(colour=_COLOUR, clicked=_CLICKED), encoding="utf-8")
        async with BrowserEnv(str(page), browser=path) as env:
            before = await env.reset()
            if not _is(before.image, _COLOUR):
                return (_wrong("shows another colour than its page asks for", before),)
            after = (await env.step(Click(at=Point(0.5, 0.5)))).observation
            if not _is(after.image, _CLICKED):
                return (_wrong("did not receive a click", after),)
    found = (
        f"{before.frame.width}x{before.frame.height}, started, seen and clicked in {time.monotonic() - begun_s:.1f} s"
    )
    return (Check("browser", True, found),)


def _is(image: Image, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(image[::16, ::16].astype(int) - np.array(colour)).max() <= 3)


def _wrong(what: str, observation: Observation) -> Check:
    found = f"Chromium {what} (centre {observation.image[observation.frame.height // 2, observation.frame.width // 2]})"
    return Check("browser", False, found, "try another Chromium: --browser PATH, or apt install chromium")


async def _code(model: str, engine: str, trusted: bool) -> tuple[Check, ...]:
    """See whether an engine would have to run Python code that a checkpoint brings; the others never do."""
    if engine != "lmdeploy":
        return ()
    from foveate.policies.engines.servable import refuse_untrusted, servable

    subject = await asyncio.to_thread(servable, model)
    refuse_untrusted(subject, "LMDeploy", trusted=trusted, how="--trust-remote-code")
    found = "LMDeploy runs the checkpoint's own" if subject.code else f"{model} brings none that would be run"
    return (Check("remote code", True, found),)


async def _model(name: str, engine: str, device: str, flash: bool | None, trusted: bool) -> tuple[Check, ...]:
    """Load or reach a model and ask it about screens whose target is known."""
    from foveate.agent.doctor_model import ask_model
    from foveate.policies.internvl import InternVLPolicy

    begun_s = time.monotonic()
    async with InternVLPolicy(name, engine=engine, device=device, flash=flash, trust_remote_code=trusted) as policy:
        return await ask_model(policy, time.monotonic() - begun_s)
