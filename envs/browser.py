"""A real Chromium as an environment: pixels by DevTools, input by coordinates, settled by frames."""

import asyncio
import secrets
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from foveate.actions.errors import BrowserCrashed, NavigationFailed, ResetNeeded, UsageError
from foveate.actions.guard import Limits, Target
from foveate.actions.schema import BROWSER_KINDS, KEYBOARD_KINDS, LOOP_KINDS, POINTER_KINDS, Action
from foveate.envs.address import check_start, start_address
from foveate.envs.base import Env, Observation, Resource, Step, Viewport
from foveate.envs.chromium import Chromium, LaunchOptions
from foveate.envs.episode import Episode, EpisodeConfig
from foveate.envs.files import NamedFiles
from foveate.envs.network import network_flags
from foveate.envs.settle import SettleConfig

if TYPE_CHECKING:
    from playwright.async_api import Page

    from foveate.envs.option_list import OptionList

DEFAULT_VIEWPORT = Viewport(1280, 720)
"""What a page is shown in where neither the user nor the policy says anything."""


class BrowserEnv(Resource, Env):
    """Pages in a real Chromium.

    A page whose script never ends takes no input and is not painted: a step on it returns when the settle budget is
    over, with the last picture (an empty one, if there is none of that page) and an ``unsettled`` event that says so.
    ``navigate``, ``reload``, ``back``, ``forward``, ``new_tab``, ``switch_tab`` and ``close_tab`` lead out of it: its
    script is ended first. A page that cannot be freed so is closed, and a new tab takes its place; what was in the
    tab's history is lost then, which a ``page_closed`` event says.

    Args:
        url: Where an episode begins: an address, or a file's path, which may carry a query (``page.html?seed=3``).
            None is an empty page.
        viewport: Size of a page in CSS pixels (and its device scale, if not 1); None is what the policy prefers, else
            1280x720.
        device_scale_factor: Device pixels a CSS pixel.
        headless: Without a window.
        limits: What may be reached; without a list, the start address's host or folder.
        browser: Path of the Chromium to use; None looks for one.
        downloads: Folder for downloads; None is a temporary one.
        settle: How long to wait for what.
        verify: ``page`` asks the page's own ``window.foveateTask.done()`` at the end.

    Raises:
        UsageError: If the size, the scale or ``verify`` is not one that it takes.
    """

    action_kinds = POINTER_KINDS | KEYBOARD_KINDS | BROWSER_KINDS | LOOP_KINDS | {"wait"}

    def __init__(
        self,
        url: str | Path | None = None,
        *,
        viewport: Viewport | tuple[int, int] | None = None,
        device_scale_factor: float = 1.0,
        headless: bool = True,
        limits: Limits | None = None,
        browser: str | None = None,
        downloads: Path | None = None,
        settle: SettleConfig = SettleConfig(),  # noqa: B008 - frozen
        verify: str | None = None,
    ) -> None:
        if verify not in (None, "page"):
            raise UsageError(f"verify is 'page' or nothing, not {verify!r}")
        self.instruction: str | None = None
        self.downloads = downloads
        self._given = None if url is None else str(url)
        self._url = None if self._given is None else start_address(self._given)
        self.limits = (limits if limits is not None else Limits()).for_start(self._url)
        self._viewport = viewport if viewport is None or isinstance(viewport, Viewport) else Viewport(*viewport)
        self._scale = replace(DEFAULT_VIEWPORT, scale=device_scale_factor).scale
        self._options = LaunchOptions(path=browser, headless=headless, flags=network_flags(self.limits))
        self._settle = settle
        self._asked_to_verify = verify == "page"
        self._brings_task = False
        self._blocked: Counter[str] = Counter()
        self._files = NamedFiles()
        self._temporary = Path()
        self._chromium: Chromium | None = None
        self._episode: Episode | None = None

    # Lifetime -------------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        if self._given is not None and self._url is not None:
            await asyncio.to_thread(check_start, self._given, self._url)
            refusal = self.limits.refusal(self._url)
            if refusal is not None:
                raise NavigationFailed(f"{self._given}: {refusal}")
        self._files = await asyncio.to_thread(NamedFiles.check, self.limits.files)
        folder = Path(await asyncio.to_thread(tempfile.gettempdir))
        self._temporary = folder / f"foveate-{secrets.token_hex(8)}"  # made by the first download
        self._chromium = await self._launch(self._chosen(None).scale)

    async def _close(self) -> None:
        try:
            await self._end_episode()
        finally:
            if self._chromium is not None:
                chromium, self._chromium = self._chromium, None
                await chromium.close()
            await asyncio.to_thread(shutil.rmtree, self._temporary, ignore_errors=True)

    async def _launch(self, scale: float) -> Chromium:
        """Start a browser for a device scale, unless one of that scale runs already."""
        running, self._chromium = self._chromium, None
        if running is not None and running.connected and running.options.scale == scale:
            return running
        if running is not None:
            await running.close()
        return await Chromium.launch(replace(self._options, scale=scale))

    async def _end_episode(self) -> None:
        if self._episode is not None:
            episode, self._episode = self._episode, None
            await episode.end()

    def _chosen(self, preferred: Viewport | None) -> Viewport:
        size = self._viewport or preferred or DEFAULT_VIEWPORT
        return replace(size, scale=self._scale) if self._scale != 1.0 else size

    # Episodes -------------------------------------------------------------------------------------------------------

    @property
    def start(self) -> str | None:
        """The start address, for the record."""
        return self._url

    @property
    def versions(self) -> "Mapping[str, str]":
        """The running browser's version."""
        return {} if self._chromium is None else {"chromium": self._chromium.browser.version}

    @property
    def page(self) -> "Page":
        """Playwright's current page, for verifiers and tests.

        Raises:
            ResetNeeded: Before the first reset.
        """
        return self._now().tabs.current.page

    @property
    def option_list(self) -> "OptionList | None":
        """The drop-down list that is drawn onto the current page, for oracles and tests; None where none is open.

        Raises:
            ResetNeeded: Before the first reset.
        """
        return self._now().tabs.current.selects.open

    def _now(self) -> Episode:
        self.require_open()
        if self._episode is None:
            raise ResetNeeded("BrowserEnv has no page: reset it first")
        return self._episode

    def blocked(self) -> Mapping[str, int]:
        """Give how many requests were not sent since it was made, by host."""
        return MappingProxyType(dict(self._blocked))

    async def reset(
        self,
        *,
        seed: int | None = None,
        task: str | None = None,
        episode: str | None = None,
        viewport: Viewport | None = None,
    ) -> Observation:
        """Begin an episode in a fresh profile at the start address.

        Args:
            seed: Unused: a page takes its seed in its address.
            task: Unused.
            episode: Unused.
            viewport: What the policy prefers; ignored where the user chose a size.

        Raises:
            NavigationFailed: If the start address does not load, or leads outside the allowed hosts.
            BrowserCrashed: If the browser does not start or dies.
            CaptureFailed: If the page gives no picture.
        """
        from playwright.async_api import Error

        self.require_open()
        await self._end_episode()
        chosen = self._chosen(viewport)
        self._chromium = await self._launch(chosen.scale)
        begun: Episode | None = None
        try:
            begun = await Episode.begin(
                self._chromium.browser,
                EpisodeConfig(
                    limits=self.limits,
                    settle=self._settle,
                    viewport=chosen,
                    files=self._files,
                    downloads=self.downloads or self._temporary,
                    blocked=self._blocked,
                ),
            )
            observation = await begun.load(self._given, self._url)
            instruction = await begun.instruction()
        except BaseException as exc:
            if begun is not None:
                await begun.end()
            if isinstance(exc, Error):
                raise BrowserCrashed(f"the browser failed: {str(exc).splitlines()[0]}") from exc
            raise
        self._episode = begun
        self.instruction = self.limits.mask_secrets(instruction or "") or None
        self._brings_task = instruction is not None
        return observation

    async def step(self, action: Action) -> Step:
        """Do one action, wait until the page has settled, look. Unguarded: the loop asks the guard first.

        Args:
            action: Its points are of the Frame of the last observation.

        Raises:
            ResetNeeded: Before the first reset, and after a crash.
            BrowserCrashed: If the page's renderer or the browser dies.
            CaptureFailed: If the page gives no picture.
        """
        from playwright.async_api import Error

        episode = self._now()
        try:
            return await episode.step(action)
        except Error as exc:
            crashed = episode.mapped(exc)  # before it ends, which is a fault of its own
            await self._end_episode()
            raise crashed from exc
        except BrowserCrashed:
            await self._end_episode()
            raise

    async def inspect(self, action: Action) -> Target | None:
        """Tell what lies under the action's point or has the focus, by one hit test; None where unknown."""
        return None if self._episode is None else await self._episode.inspect(action)

    async def verify(self) -> bool | None:
        """Ask the pages, the first one first, whether the task is done; None where none ever knew of one."""
        if self._episode is None or not self._asked_to_verify:
            return None
        done = await self._episode.done()
        return False if done is None and self._brings_task else done
