"""ScriptedEngine: answers that were written down before, for tests and for trying a policy without a model."""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from foveate.actions.errors import ModelUnavailable
from foveate.envs.base import Resource
from foveate.policies.base import Usage
from foveate.policies.engines.base import (
    Capability,
    Delta,
    Encoded,
    Engine,
    ImagePart,
    Request,
    TextPart,
    check_request,
)
from foveate.policies.internvl.tiling import visual_tokens

_PIECE = re.compile(r"\s*\S{1,6}|\s+")


class ScriptedEngine(Resource, Engine):
    """Gives its texts in order, one a request, in small pieces; a piece counts as one token.

    Args:
        answers: The texts, without the request's prefill.
        scores: What ``score`` says of a choice; a choice that is not named is given -100.

    Attributes:
        requests: Every request that it was given, oldest first.
        aborted: How many streams were closed before their end.
    """

    capabilities: frozenset[Capability] = frozenset({"encode", "score", "prefill"})

    def __init__(self, answers: Sequence[str], *, scores: Mapping[str, float] | None = None) -> None:
        self.answers = tuple(answers)
        self.requests: list[Request] = []
        self.aborted = 0
        self._scores = dict(scores or {})
        self._next = 0

    async def generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        """Give the next text; see ``Engine.generate``.

        Raises:
            ModelUnavailable: If no text is left, or the request asks for what it cannot do.
        """
        self.require_open()
        check_request(request)
        _refuse(request)
        self.requests.append(request)
        if self._next >= len(self.answers):
            raise ModelUnavailable(f"the scripted engine has no answer left: all {len(self.answers)} were given")
        text = _until_stop(self.answers[self._next], request.stop)
        self._next += 1
        pieces = _PIECE.findall(text)
        finished = False
        try:
            for piece in pieces[: request.max_new_tokens]:
                yield Delta(text=piece)
            cut = len(pieces) > request.max_new_tokens
            usage = _usage(request, min(len(pieces), request.max_new_tokens))
            finished = True
            yield Delta(finish="length" if cut else "stop", usage=usage)
        finally:
            if not finished:
                self.aborted += 1

    async def encode(self, images: Sequence[ImagePart]) -> tuple[Encoded, ...]:
        """Keep the pictures for a later request."""
        self.require_open()
        return tuple(Encoded(features=part.image, visual_tokens=_visual(part)) for part in images)

    async def score(self, request: Request, choices: Sequence[str]) -> tuple[float, ...]:
        """Say what ``scores`` holds for each choice."""
        self.require_open()
        self.requests.append(request)
        return tuple(self._scores.get(choice, -100.0) for choice in choices)


def _refuse(request: Request) -> None:
    asked: dict[str, Any] = {"grammar": request.grammar, "visual_tokens": request.visual_tokens, "flash": request.flash}
    for name, value in asked.items():
        if value:
            raise ModelUnavailable(f"ScriptedEngine has no {name}: leave it out of the request")


def _until_stop(text: str, stop: tuple[str, ...]) -> str:
    """Cut a text behind the first stop text in it."""
    ends = [text.index(word) + len(word) for word in stop if word in text]
    return text[: min(ends)] if ends else text


def _visual(part: ImagePart) -> int:
    if isinstance(part.image, Encoded):
        return part.image.visual_tokens
    height, width = part.image.shape[:2]
    return visual_tokens(width, height, max_tiles=part.max_tiles)


def _usage(request: Request, output: int) -> Usage:
    parts = [part for message in request.messages for part in message.parts]
    visual = sum(_visual(part) for part in parts if isinstance(part, ImagePart))
    words = sum(len(part.text.split()) for part in parts if isinstance(part, TextPart))
    return Usage(prompt=words + visual, visual=visual, output=output)
