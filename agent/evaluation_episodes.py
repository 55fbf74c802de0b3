"""Whole episodes for an evaluation: a page in a real Chromium, the loop that everybody uses, the page's own verdict."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeAlias

from foveate.actions.errors import EnvError, UsageError
from foveate.agent.agent import Agent
from foveate.agent.trajectory import Result
from foveate.envs.base import Observation, Viewport
from foveate.envs.browser import BrowserEnv
from foveate.policies.base import Policy

TIMEOUT_S = 180.0
"""Seconds that an episode may take: far more than it should, so that nothing hangs."""

SIZE = Viewport(320, 320, 1.4)
"""The size of a page where the policy prefers none: the one that generated pages are written for."""

Player: TypeAlias = Callable[[BrowserEnv], Policy]
"""Gives who plays; an oracle looks into the environment that it is given."""


class Verdict(NamedTuple):
    """What came of an episode.

    Attributes:
        verified: The task is done, says the page.
        own_word: That, and the policy said so itself.
    """

    verified: bool
    own_word: bool


Judge: TypeAlias = Callable[[Result], Verdict]


def by_the_page(result: Result) -> Verdict:
    """Take the page at its word."""
    verified = result.verified is True
    return Verdict(verified, verified and result.status == "success")


@dataclass(frozen=True, slots=True)
class Game:
    """How an episode is played.

    Attributes:
        player: Who.
        max_steps: Steps after which it ends.
        seed: The item's.
        judge: Who says what came of it.
    """

    player: Player
    max_steps: int
    seed: int
    judge: Judge = by_the_page


def applications() -> Path:
    """Give the folder of the sample applications; they are part of the repository, not of the package.

    Raises:
        UsageError: If this is no checkout.
    """
    for root in (Path(__file__).resolve().parent.parent, Path.cwd()):
        folder = root / "examples" / "pages"
        if (folder / "todo.html").is_file():
            return folder
    raise UsageError("the sample applications are in the repository, in examples/pages: run foveate eval apps there")


class Stage:
    """One Chromium for many generated pages: each is written to the same file, and opened in a fresh profile.

    Args:
        folder: An empty folder for the file.
        browser: Path of the Chromium; None looks for one.
    """

    def __init__(self, folder: Path, browser: str | None) -> None:
        self._file = folder / "page.html"
        self._browser = browser
        self._stack = AsyncExitStack()
        self._env: BrowserEnv | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def play(self, html: str, game: Game) -> dict[str, Any]:
        """Play an episode on a page, once more where the browser failed; see ``played``."""
        await asyncio.to_thread(self._file.write_text, html, encoding="utf-8")
        try:
            return await played(await self._opened(), game)
        except EnvError:
            await self._stack.aclose()
            self._env = None
            return await played(await self._opened(), game)

    async def look(self, html: str) -> Observation:
        """Show a page, and nothing more, once more where the browser failed."""
        await asyncio.to_thread(self._file.write_text, html, encoding="utf-8")
        try:
            return await (await self._opened()).reset()
        except EnvError:
            await self._stack.aclose()
            self._env = None
            return await (await self._opened()).reset()

    async def _opened(self) -> BrowserEnv:
        if self._env is None:
            env = BrowserEnv(self._file, verify="page", browser=self._browser, viewport=SIZE)
            self._env = await self._stack.enter_async_context(env)
        return self._env


async def play_application(name: str, game: Game, browser: str | None = None) -> dict[str, Any]:
    """Play an episode on a sample application, at the policy's own viewport, once more where the browser failed."""
    url = f"{applications() / name}.html?seed={game.seed}"
    try:
        return await _in_a_new_browser(url, game, browser)
    except EnvError:
        return await _in_a_new_browser(url, game, browser)


async def _in_a_new_browser(url: str, game: Game, browser: str | None) -> dict[str, Any]:
    async with BrowserEnv(url, verify="page", browser=browser) as env:
        return await played(env, game)


async def played(env: BrowserEnv, game: Game) -> dict[str, Any]:
    """Play one episode and give what came of it as JSON data.

    ``verified`` and ``own_word`` as in Verdict; ``reason`` as in a record; ``ms`` are milliseconds of each phase, one a
    step.

    Raises:
        EnvError: If the world fails.
        PolicyError: If the model fails.
    """
    agent = Agent(env, game.player(env), max_steps=game.max_steps, timeout_s=TIMEOUT_S)
    result = await agent.run(seed=game.seed)
    verdict = game.judge(result)
    return {
        "task": result.trajectory.task,
        "verified": verdict.verified,
        "own_word": verdict.own_word,
        "reason": result.reason,
        "steps": result.steps,
        "ms": by_phase(result.trajectory.timing_ms),
    }


def by_phase(steps: tuple[Mapping[str, float], ...]) -> dict[str, list[float]]:
    """Turn timings of steps into timings of phases, a tenth of a millisecond exact."""
    names = dict.fromkeys(name for step in steps for name in step)
    return {name: [round(step.get(name, 0.0), 1) for step in steps] for name in names}
