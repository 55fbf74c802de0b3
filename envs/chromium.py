"""Find a Chromium, start it through Playwright, and see to it that nothing of it is left behind."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from foveate.actions.errors import BrowserCrashed, MissingDependency, UsageError
from foveate.actions.paths import at_home

if TYPE_CHECKING:
    from playwright.async_api import Browser, CDPSession, Playwright

T = TypeVar("T")

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome", "microsoft-edge")
"""What Chromium is called on the path, in the order in which it is looked for."""

REMEDY = (
    "a Chromium: the distribution's package (apt install chromium), "
    "or Playwright's own (playwright install chromium), or --browser PATH"
)

QUIET_FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-pings",
)
"""What keeps Chromium from asking its maker for anything."""

_LAUNCH_LIMIT_S = 60.0
_CLOSE_LIMIT_S = 5.0


@dataclass(frozen=True, slots=True)
class LaunchOptions:
    """How a Chromium is started.

    Attributes:
        path: The program; None looks for one.
        headless: Without a window.
        scale: Device pixels a CSS pixel; fixed for the browser's life, so that every capture has device pixels.
        flags: More command-line flags, the allow-list's among them.
    """

    path: str | None = None
    headless: bool = True
    scale: float = 1.0
    flags: tuple[str, ...] = ()


def find_chromium(path: str | None, bundled: str) -> str:
    """Give the Chromium to start: the one named, else one on the path, else Playwright's own.

    Args:
        path: What the user named; None looks for one.
        bundled: Where Playwright would have its own.

    Raises:
        UsageError: If the one named is no program.
        MissingDependency: If there is none.
    """
    if path is not None:
        found = shutil.which(str(at_home(path)))
        if found is None:
            raise UsageError(f"--browser {path}: there is no program of that name; needed: {REMEDY}")
        return found
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            return found
    if bundled and Path(bundled).is_file():
        return bundled
    raise MissingDependency("BrowserEnv", REMEDY)


def sandbox_flags() -> tuple[str, ...]:
    """Give ``--no-sandbox`` for root, for whom Chromium refuses to start with its sandbox."""
    return ("--no-sandbox",) if os.geteuid() == 0 else ()


class Chromium:
    """One running Chromium with the Playwright driver that started it."""

    def __init__(self, playwright: "Playwright", browser: "Browser", options: LaunchOptions, traces: "_Traces") -> None:
        self.browser = browser
        self.options = options
        self._playwright = playwright
        self._traces = traces

    @classmethod
    async def launch(cls, options: LaunchOptions) -> "Chromium":
        """Start one.

        Raises:
            MissingDependency: If Playwright or a Chromium is missing.
            UsageError: If the program named cannot be started.
            BrowserCrashed: If it does not start.
        """
        try:
            from playwright.async_api import async_playwright
        except ImportError as exc:
            raise MissingDependency("BrowserEnv", "pip install 'foveate[browser]'") from exc
        playwright = await async_playwright().start()
        try:
            return await cls._launch(playwright, options)
        except BaseException:
            await _bounded(playwright.stop(), _CLOSE_LIMIT_S)
            raise

    @classmethod
    async def _launch(cls, playwright: "Playwright", options: LaunchOptions) -> "Chromium":
        from playwright.async_api import Error

        kind = playwright.chromium
        program = await asyncio.to_thread(find_chromium, options.path, kind.executable_path)
        scale = (f"--force-device-scale-factor={options.scale:g}",)
        flags = [*QUIET_FLAGS, *sandbox_flags(), *scale, *options.flags]
        try:
            browser = await kind.launch(
                executable_path=program, headless=options.headless, args=flags, timeout=_LAUNCH_LIMIT_S * 1000
            )
        except Error as exc:
            raise BrowserCrashed(_launch_failure(program, str(exc))) from exc
        try:
            session = await browser.new_browser_cdp_session()
            return cls(playwright, browser, options, await _Traces.read(session))
        except Error as exc:
            await _bounded(browser.close(), _CLOSE_LIMIT_S)
            raise BrowserCrashed(f"{program} died while it started: {_first_line(str(exc))}") from exc

    @property
    def connected(self) -> bool:
        """True while the browser process answers."""
        return bool(self.browser.is_connected())

    @property
    def pid(self) -> int:
        """The browser process."""
        return self._traces.pid

    async def close(self) -> None:
        """End it: politely, then by force; returns in bounded time whatever state it is in."""
        try:
            await _bounded(self.browser.close(), _CLOSE_LIMIT_S)
        finally:
            try:
                await _bounded(self._playwright.stop(), _CLOSE_LIMIT_S)
            finally:
                await asyncio.to_thread(self._traces.remove)


@dataclass(frozen=True, slots=True)
class _Traces:
    """What a browser would leave behind: its process, told apart from a later one of that number, and its folders."""

    pid: int
    started: str
    folders: tuple[Path, ...]

    @classmethod
    async def read(cls, session: "CDPSession") -> "_Traces":
        answer = await session.send("SystemInfo.getProcessInfo")
        for process in answer["processInfo"]:
            if process["type"] == "browser":
                return await asyncio.to_thread(cls._of, int(process["id"]))
        return cls(0, "", ())

    @classmethod
    def _of(cls, pid: int) -> "_Traces":
        folders: list[Path] = []
        with contextlib.suppress(OSError):
            for argument in Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0"):
                if argument.startswith("--user-data-dir="):
                    profile = Path(argument.partition("=")[2])
                    folders.append(profile)
                    folders.append((profile / "SingletonSocket").readlink().parent)
        return cls(pid, _started(pid), tuple(folders))

    def remove(self) -> None:
        """Kill what still runs and remove what still lies there; both are gone already after an orderly end."""
        if self.pid and self.started and _started(self.pid) == self.started:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)  # Playwright starts it as the leader of a group of its own
        for folder in self.folders:
            if folder.is_relative_to(tempfile.gettempdir()):
                shutil.rmtree(folder, ignore_errors=True)


def _started(pid: int) -> str:
    """Give when a process started, in clock ticks since boot; empty where there is none or no /proc."""
    try:
        stat = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return ""
    try:
        fields = os.read(stat, 4096).decode(errors="replace").rpartition(")")[2].split()
    finally:
        os.close(stat)
    return "" if fields[0] == "Z" else fields[19]


async def _bounded(work: Awaitable[object], limit_s: float) -> None:
    """Await a step of closing; neither a failure nor a hang of it may keep the next step from being done."""
    from playwright.async_api import Error

    with contextlib.suppress(Error, TimeoutError, ConnectionError):
        async with asyncio.timeout(limit_s):
            await work


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "no reason given"


def _launch_failure(program: str, text: str) -> str:
    if "XServer" in text or "Missing X server" in text or "$DISPLAY" in text:
        return f"{program} finds no display for its window: leave --headed out, or set DISPLAY"
    logs = [line for line in text.lower().splitlines() if "<launching>" not in line]  # the flags name the sandbox too
    if any("sandbox" in line for line in logs):
        return (
            f"{program} cannot use its sandbox here: allow unprivileged user namespaces "
            "(sysctl kernel.unprivileged_userns_clone=1), or run as root in a container"
        )
    return f"{program} did not start: {_first_line(text)}; is it a Chromium? Needed: {REMEDY}"
