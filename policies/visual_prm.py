"""VisualPRM: a critic that reads an answer step by step and says after each whether all is right so far.

It was trained on reasoning, not on actions: choosing actions by it is an extrapolation. The released VisualPRM-8B is
an InternVL2.5, as its model card says, whose language model InternLM2 no engine here that can score reads: its
checkpoint is refused by name. A critic trained like it on InternVL3 or InternVL3.5 is read.

Source: OpenGVLab/InternVL, VisualPRM-8B-v1_1: its system message, one turn a step, the probability of ``+`` against
``-`` where the turn's answer stands, the mean over steps; arXiv 2508.18265, parallel thinking.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Final

from foveate.actions.errors import ModelUnavailable, UsageError
from foveate.envs.base import Observation
from foveate.policies.best_of_n import Critic
from foveate.policies.engines.base import Engine, ImagePart, Message, Request, TextPart

SYSTEM: Final = """\
You are an advanced AI assistant, designed to serve as a process supervision model. In this task, I will provide a \
problem statement followed by the first step of the solution process. For each subsequent turn, I will give you a new \
step in the solution. Your role is to assess whether the solution process is correct up to the current step.

- In the **first round**, I will input the problem and the first step of the solution process.
- In **each subsequent round**, I will provide the next step in the solution.

For each step, you should:

- Respond with **"+"** if you believe the solution process is correct up to this step.
- Respond with **"-"** if you detect any issues or errors in the process up to this step.

Please note:
- Only respond with **"+"** or **"-"**. Do not provide any additional explanations, comments, or justifications.

Your task is to verify the accuracy and correctness of each step in the given solution process."""
"""What the critic was trained to hear; any other words give other scores."""

_RIGHT, _WRONG = "+", "-"


class VisualPRM(Critic):
    """Scores answers by InternVL's process reward model.

    Args:
        engine: Serves its checkpoint, is open, can ``score``, and stays open.
        max_steps: Most steps of an answer: of more, neighbours are put together.
        max_tiles: Tiles of the picture.

    Raises:
        UsageError: If ``max_steps`` is less than 1.
        ModelUnavailable: If the engine cannot score.
    """

    def __init__(self, engine: Engine, *, max_steps: int = 12, max_tiles: int = 12) -> None:
        if max_steps < 1:
            raise UsageError(f"max_steps is 1 or more, not {max_steps}")
        if "score" not in engine.capabilities:
            raise ModelUnavailable(f"{type(engine).__name__} cannot score answers: serve the critic by TorchEngine")
        self._engine = engine
        self._max_steps, self._max_tiles = max_steps, max_tiles

    async def score(self, task: str, observation: Observation, answers: Sequence[str]) -> tuple[float, ...]:
        """Give the mean probability, 0 to 1, that an answer is right up to each of its steps; see ``Critic.score``.

        Raises:
            ModelUnavailable: If an answer is too long for the critic's context.
        """
        picture = ImagePart(observation.image, self._max_tiles)
        if "encode" in self._engine.capabilities:
            (encoded,) = await self._engine.encode((picture,))
            picture = ImagePart(encoded, self._max_tiles)
        return tuple([await self._answer(task, picture, answer) for answer in answers])

    async def _answer(self, task: str, picture: ImagePart, answer: str) -> float:
        messages = [Message("system", (TextPart(SYSTEM),))]
        shares = []
        for number, step in enumerate(steps_of(answer, self._max_steps)):
            if number == 0:
                text = f"### Question:\n{task}\n\n### Solution Process:\n{step}"
                messages.append(Message("user", (picture, TextPart(text))))
            else:
                messages.append(Message("user", (TextPart(step),)))
            right, wrong = await self._engine.score(Request(tuple(messages)), (_RIGHT, _WRONG))
            shares.append(1 / (1 + math.exp(min(wrong - right, 700.0))))
            messages.append(Message("assistant", (TextPart(_RIGHT),)))
        return sum(shares) / len(shares)


def steps_of(answer: str, most: int) -> tuple[str, ...]:
    """Part an answer at its blank lines into at most so many steps, put together as evenly as can be; at least one."""
    steps = [step for step in answer.split("\n\n") if step.strip()] or [answer]
    count = min(most, len(steps))
    bounds = [round(number * len(steps) / count) for number in range(count + 1)]
    return tuple("\n\n".join(steps[left:right]) for left, right in itertools.pairwise(bounds))
