"""Does the items of an evaluation, one after another, with one policy and one Chromium."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from foveate.actions.errors import UsageError
from foveate.agent.evaluation_episodes import Game, Judge, Player, Stage, Verdict, by_the_page, play_application
from foveate.agent.evaluation_items import FIXING, Done, Item
from foveate.agent.evaluation_pages import Pages, live, with_verdict
from foveate.agent.evaluation_screens import ask_for_answer, ask_for_click, target_of
from foveate.agent.oracles.program_oracle import ProgramOracle
from foveate.agent.oracles.state import OracleLost
from foveate.agent.training.programs.making import program_task
from foveate.agent.training.words import Split
from foveate.agent.trajectory import Result
from foveate.envs.browser import BrowserEnv
from foveate.policies.base import Policy
from foveate.policies.engines.names import check_engine
from foveate.policies.scripted import ScriptedPolicy

STEPS: Final[Mapping[str, int]] = {"typing": 8, "apps": 30}
"""Steps that an episode may take: more than twice what its longest task needs."""

ORACLE: Final = "oracle"


@dataclass(frozen=True, slots=True)
class Deciding:
    """Which policy is evaluated.

    Attributes:
        policy: ``internvl``, ``scripted:FILE`` or ``oracle``.
        model: The model's name or folder.
        device: Where it runs.
        browser: Path of the Chromium; None looks for one.
        engine: What serves the model.
        trust_remote_code: Whether it may run code that comes with a checkpoint.
    """

    policy: str = "internvl"
    model: str = "tiny"
    device: str = "auto"
    browser: str | None = None
    engine: str = "auto"
    trust_remote_code: bool = False


def policy_of(deciding: Deciding) -> Policy | None:
    """Make the policy that answers every item; None for the oracle, which is made anew for each.

    Raises:
        UsageError: If there is none of that name, or no such engine, or its file is wrong.
    """
    check_engine(deciding.engine)
    kind, _, file = deciding.policy.partition(":")
    if deciding.policy == ORACLE:
        return None
    if deciding.policy == "internvl":
        from foveate.policies.internvl import InternVLPolicy
        from foveate.policies.retry import RetryPolicy

        return RetryPolicy(
            InternVLPolicy(
                deciding.model, engine=deciding.engine, device=deciding.device,
                trust_remote_code=deciding.trust_remote_code,
            )
        )  # fmt: skip
    if kind == "scripted" and file:
        return ScriptedPolicy.from_file(file)
    raise UsageError(f"--policy {deciding.policy}: choose internvl, scripted:FILE or {ORACLE}")


async def work(tell: Callable[[Done], None], items: Sequence[Item], deciding: Deciding) -> None:
    """Do items in their order.

    Args:
        tell: Hears of each item that is done.
        items: What to do.
        deciding: Which policy.

    Raises:
        UsageError: If the policy is none, or cannot be asked such items.
        FoveateError: If the model or the browser fails.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="foveate-eval-")))
        pages = await stack.enter_async_context(Pages(deciding.browser))
        policy = policy_of(deciding)
        if policy is not None and any(item.suite != FIXING for item in items):
            await policy.open()
            stack.push_async_callback(policy.close)
        stage = await stack.enter_async_context(Stage(folder, deciding.browser))
        worker = _Worker(policy, pages, stage, deciding.browser)
        for item in items:
            tell(Done(item, await worker.do(item)))


class _Worker:
    """Does one item at a time."""

    def __init__(self, policy: Policy | None, pages: Pages, stage: Stage, browser: str | None) -> None:
        self._policy = policy
        self._pages = pages
        self._stage = stage
        self._browser = browser

    async def do(self, item: Item) -> dict[str, Any]:
        if item.suite == "apps":
            return await play_application(item.application, self._game(item, _none), self._browser)
        if item.suite == "programs":
            return await self._program(item)
        asked = await self._pages.asked(item)
        if item.suite == FIXING:
            return {"target": target_of(asked)}
        script = ScriptedPolicy(asked.answers)
        if item.suite == "typing":
            return await self._stage.play(with_verdict(asked), self._game(item, lambda env: script))
        policy = self._policy if self._policy is not None else script
        await policy.open()
        observation = await self._stage.look(live(asked.page))
        if item.suite == "answers":
            return await ask_for_answer(policy, asked, observation)
        return await ask_for_click(policy, asked, observation, item.key)

    async def _program(self, item: Item) -> dict[str, Any]:
        split: Split = "unseen" if item.split == "unseen" else "seen"
        task = program_task(item.seed, split)

        def judge(result: Result) -> Verdict:
            return Verdict(task.solved(result), task.ended(result))

        game = replace(self._game(item, ProgramOracle, judge), max_steps=task.max_steps)
        try:
            found = await self._stage.play(task.html, game)
        except OracleLost as lost:  # a program that its own oracle cannot do is a miss of the oracle's, not of the run
            verdict = {"verified": False, "own_word": False, "reason": "OracleLost", "steps": 0, "ms": {}}
            found = {"task": task.instruction, **verdict, "said": str(lost)[:160]}
        return {"program": task.family, "template": task.template, **found}

    def _game(self, item: Item, oracle: Player, judge: Judge = by_the_page) -> Game:
        """Lay out an episode for the policy that is evaluated, or for the oracle."""
        policy = self._policy
        player: Player = oracle if policy is None else lambda env: policy
        return Game(player, STEPS.get(item.suite, 50), item.seed, judge)


def _none(env: BrowserEnv) -> Policy:
    raise UsageError(f"there is no oracle of {env.start}: choose another suite or policy")
