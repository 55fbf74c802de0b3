"""Generated programs as an environment: each episode is one program in the real Chromium."""

import asyncio
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from foveate.actions.errors import ResetNeeded, UsageError
from foveate.actions.guard import Limits, Target
from foveate.actions.schema import Action, Navigate
from foveate.agent.training.programs.making import program_task
from foveate.agent.training.programs.task import ProgramTask
from foveate.agent.training.words import Split
from foveate.envs.base import Env, Observation, Resource, Step, Viewport
from foveate.envs.browser import BrowserEnv
from foveate.envs.settle import SettleConfig

VIEWPORT: Final = Viewport(320, 320, 1.4)
"""What the bundled checkpoint sees best, and what programs are made for."""

_NAME = re.compile(r"(seen|unseen):(\d+)")


class ProgramEnv(Resource, Env):
    """Generated programs; ``reset(episode="unseen:12")`` begins the one of a split and a seed.

    Args:
        viewport: Size of the page.
        browser: The Chromium to use; None looks for one.
        fresh: Begin each episode in a fresh profile; without, only the page is loaded anew, which is much faster.
        settle: How long to wait for what.
    """

    action_kinds = BrowserEnv.action_kinds

    def __init__(
        self,
        *,
        viewport: Viewport = VIEWPORT,
        browser: str | None = None,
        fresh: bool = True,
        settle: SettleConfig = SettleConfig(),  # noqa: B008 - frozen
    ) -> None:
        self.instruction: str | None = None
        self.limits = Limits()
        self._viewport, self._program_path, self._settle = viewport, browser, settle
        self._fresh = fresh
        self._folder: Path | None = None
        self._env: BrowserEnv | None = None
        self._program: ProgramTask | None = None
        self._begun = False

    async def _open(self) -> None:
        self._folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="foveate-programs-"))
        page = self._folder / "program.html"
        await asyncio.to_thread(page.write_text, "<!doctype html>")
        env = BrowserEnv(page, viewport=self._viewport, browser=self._program_path, settle=self._settle, verify="page")
        self.limits = env.limits
        try:
            await env.open()
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
            raise
        self._env, self._begun = env, False

    async def _close(self) -> None:
        env, folder, self._env, self._folder = self._env, self._folder, None, None
        try:
            if env is not None:
                await env.close()
        finally:
            if folder is not None:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    @property
    def browser(self) -> BrowserEnv:
        """The browser that the programs run in, for oracles and tests.

        Raises:
            EnvClosed: If it is not open.
        """
        self.require_open()
        assert self._env is not None  # noqa: S101 - it is open
        return self._env

    @property
    def program(self) -> ProgramTask:
        """The program of this episode.

        Raises:
            ResetNeeded: Before the first reset.
        """
        if self._program is None:
            raise ResetNeeded("ProgramEnv has no program: reset it first")
        return self._program

    @property
    def start(self) -> str | None:
        """Which program the episode is about, for the record."""
        return None if self._program is None else f"{self._program.split}:{self._program.seed}"

    @property
    def versions(self) -> Mapping[str, str]:
        """The running browser's version."""
        return {} if self._env is None else self._env.versions

    async def reset(
        self,
        *,
        seed: int | None = None,
        task: str | None = None,
        episode: str | None = None,
        viewport: Viewport | None = None,
    ) -> Observation:
        """Begin a program.

        Args:
            seed: Which program, of the split that is trained on, where no episode is named.
            task: Unused: the program brings its own.
            episode: ``seen:SEED`` or ``unseen:SEED``.
            viewport: Unused: programs are made for one size.

        Raises:
            UsageError: If there is no such episode.
            EnvError: If the browser fails.
        """
        browser = self.browser
        assert self._folder is not None  # noqa: S101 - it is open
        self._program = _named(episode or f"seen:{seed or 0}")
        page = self._folder / "program.html"
        await asyncio.to_thread(page.write_text, self._program.html, encoding="utf-8")
        if self._fresh or not self._begun:
            observation = await browser.reset()
        else:
            await browser.page.mouse.move(0, 0)  # else what lies under the pointer would look as if it were meant
            observation = (await browser.step(Navigate(url=page.as_uri()))).observation
        self._begun = True
        self.instruction = self._program.instruction
        return observation

    async def step(self, action: Action) -> Step:
        """Do one action; see ``BrowserEnv.step``."""
        return await self.browser.step(action)

    async def inspect(self, action: Action) -> Target | None:
        """Tell what lies under the action's point or has the focus; see ``BrowserEnv.inspect``."""
        return await self.browser.inspect(action)

    async def verify(self) -> bool | None:
        """Ask the page whether the task is done."""
        return await self.browser.verify()


def _named(episode: str) -> ProgramTask:
    found = _NAME.fullmatch(episode)
    if found is None:
        raise UsageError(f"no program {episode!r}: name a split and a seed, seen:SEED or unseen:SEED")
    split: Split = "unseen" if found[1] == "unseen" else "seen"
    return program_task(int(found[2]), split)
