"""The oracle of the generated programs: it reads the page's code and state, and gives the next right step."""

import asyncio
import base64
import random
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from foveate.actions.geometry import Convention
from foveate.actions.schema import Press, Respond, TypeText
from foveate.agent.oracles.mistakes import slip
from foveate.agent.oracles.moves import FINISHED, Move, answer, give_up
from foveate.agent.oracles.sight import SCROLLER, look_at
from foveate.agent.oracles.state import OracleLost, Sight
from foveate.agent.training.programs.making import program_task
from foveate.agent.training.programs.task import ProgramTask
from foveate.agent.training.words import Split
from foveate.envs.base import Image, Observation, Resource, ScreenObservation, Viewport
from foveate.envs.browser import BrowserEnv
from foveate.envs.capture import decode, screenshot
from foveate.policies.answers import decide
from foveate.policies.base import Decision, Look, Policy, Turn
from foveate.policies.internvl.prompts import last_notes
from foveate.policies.training.screens import Question, Screen

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page

_ASKED = "() => window.program ? [window.program.seed, window.program.split] : null"
_MOST_MISTAKES = 2
_SLIP_SHARE = 0.4
_CAPTURE_LIMIT_S = 10.0


class Slip(NamedTuple):
    """A wrong answer that was given on purpose.

    Attributes:
        step: When, from 0.
        answer: The whole text.
    """

    step: int
    answer: str


class ProgramOracle(Resource, Policy):
    """An oracle: knows what the page's code knows, and is no measure of what can be seen.

    It answers as a model would, by text with two decimals a coordinate through the real parser, and keeps of each step
    the Screen with the right answer in ``screens``, also where it gave a wrong one on purpose.

    Args:
        env: Where the program is.
        mistakes: Share of episodes, 0 to 1, in which it makes one or two mistakes on purpose and puts them right.
        recapture: Keep in ``screens`` a picture of each page that is taken after its code was read, so that the two
            are of the same moment even where the page settled late.
    """

    model: ClassVar[str] = "oracle"

    def __init__(self, env: BrowserEnv, *, mistakes: float = 0.0, recapture: bool = False) -> None:
        self.preferred_viewport = Viewport(320, 320, 1.4)
        self.screens: list[Screen] = []
        self.slips: list[Slip] = []
        self._env = env
        self._share = mistakes
        self._recapture = recapture
        self._session: tuple[Page, CDPSession] | None = None
        self._task = ""
        self._program: ProgramTask | None = None
        self._before: Sight | None = None
        self._rng = random.Random(0)  # noqa: S311 - drawing, not secrets
        self._slips_left = 0

    async def reset(self, task: str, *, seed: int | None = None, action_kinds: frozenset[str] | None = None) -> None:
        """Begin an episode; the page says which program it is.

        Raises:
            OracleLost: If the page is none of the generated programs.
        """
        self.require_open()
        asked = await self._env.page.evaluate(_ASKED)
        if asked is None:
            raise OracleLost("the oracle knows generated programs only: this page is none")
        split: Split = "unseen" if asked[1] == "unseen" else "seen"
        self._program = program_task(int(asked[0]), split)
        self._task, self._before = task, None
        self.screens, self.slips = [], []
        self._rng = random.Random(f"mistakes of {asked[0]}")  # noqa: S311 - drawing, not secrets
        self._slips_left = self._rng.randint(1, _MOST_MISTAKES) if self._rng.random() < self._share else 0

    async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
        """Give the next step.

        Raises:
            OracleLost: If it finds none.
        """
        self.require_open()
        if self._program is None or not isinstance(observation, ScreenObservation):
            raise OracleLost("the oracle was not reset on a page")
        sight = self._before = await look_at(self._env, observation, self._before, _held(history))
        move = next_move(self._program, sight, history)
        question = self._question(move, sight, history)
        await self._keep(observation, sight, question)
        text = self._slipped(move, sight) or question.answer(sight.elements)
        return decide(Decision(raw=f"<operation>\n{text}"), frame=observation.frame, convention=Convention.UNIT)

    def _question(self, move: Move, sight: Sight, history: tuple[Turn, ...]) -> Question:
        element = None if move.key is None else sight.thing(move.key).element
        if move.key is not None and element is None:
            raise OracleLost(f"{move.key!r} is to be pressed and cannot be seen")
        operations = tuple(turn.decision.operation for turn in history if turn.applied)
        return Question(self._task, move.operation, move.call, element, operations, last_notes(history))

    async def _keep(self, observation: ScreenObservation, sight: Sight, question: Question) -> None:
        assert self._program is not None  # noqa: S101 - act has checked it
        image = observation.image
        if self._recapture and sight.dialog is None:
            image = await self._captured(observation)
        kept = [
            index
            for index, element in enumerate(sight.elements)
            if element.role != SCROLLER or index == question.element
        ]
        elements = tuple(sight.elements[index] for index in kept)
        if question.element is not None:
            question = replace(question, element=kept.index(question.element))
        self.screens.append(Screen(image, sight.texts, elements, (question,), self._facts(sight)))

    def _facts(self, sight: Sight) -> dict[str, str]:
        assert self._program is not None  # noqa: S101 - act has checked it
        program = self._program
        facts = {
            "split": program.split,
            "seed": str(program.seed),
            "language": program.language,
            "program": program.family,
            "template": program.template,
            "step": str(len(self.screens)),
        }
        hidden = [thing for thing in sight.things.values() if thing.element is None and thing.away and thing.name]
        for way, more, sign in (("above", sight.above, -1), ("below", sight.below, 1)):
            names = [thing.name for thing in hidden if (thing.away or 0) * sign > 0 and not thing.scroller]
            if more > 1 and sight.dialog is None:
                facts |= {f"more {way}": "yes", way: "\n".join(dict.fromkeys(names))}
        return facts

    async def _captured(self, observation: ScreenObservation) -> Image:
        """Capture the page once more, after it was read: nothing on the picture is older than what was read."""
        page = self._env.page
        if self._session is None or self._session[0] is not page:
            self._session = page, await page.context.new_cdp_session(page)
        encoded = await screenshot(self._session[1], _CAPTURE_LIMIT_S)
        image = await asyncio.to_thread(decode, base64.b64decode(encoded))
        drawn = self._env.option_list
        return image if drawn is None else drawn.draw(image, observation.frame)

    def _slipped(self, move: Move, sight: Sight) -> str | None:
        """Make a mistake, if it is time for one."""
        if not self._slips_left or self._rng.random() > _SLIP_SHARE:
            return None
        wrong = slip(self._rng, move, sight)
        if wrong is not None:
            self._slips_left -= 1
            self.slips.append(Slip(len(self.screens) - 1, wrong))
        return wrong


def next_move(program: ProgramTask, sight: Sight, history: tuple[Turn, ...]) -> Move:
    """Give the right step in a program, whatever was done before.

    Args:
        program: What is to be done.
        sight: The page's true state.
        history: The Turns so far.

    Raises:
        OracleLost: If there is none.
    """
    move = program.plan.step(sight)
    if move is not None:
        return move
    if program.answer is not None and program.answer != _answered(history):
        return answer(program.answer)
    return FINISHED if program.impossible is None else give_up(program.impossible)


def _answered(history: tuple[Turn, ...]) -> str | None:
    """Give what was answered last."""
    said = [
        outcome.applied.answer for turn in history for outcome in turn.outcomes if isinstance(outcome.applied, Respond)
    ]
    return said[-1] if said else None


def _held(history: tuple[Turn, ...]) -> str | None:
    """Give what was typed into the dialog that waits; None where nothing was."""
    held: str | None = None
    for turn in history:
        waiting = isinstance(turn.observation, ScreenObservation) and turn.observation.dialog is not None
        for outcome in turn.outcomes:
            if not waiting:
                held = None
            elif isinstance(outcome.applied, TypeText):
                held = (held or "") + outcome.applied.text
            elif isinstance(outcome.applied, Press):
                held = None  # everything is selected: what is typed next replaces it
    return held
