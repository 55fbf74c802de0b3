"""HumanPolicy: a person at the terminal decides."""

import asyncio
import os
import select
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from io import UnsupportedOperation
from pathlib import Path
from typing import ClassVar, TextIO

from PIL import Image as Pillow

from foveate.actions.errors import OutOfFrame, ParseError, ResetNeeded
from foveate.actions.geometry import Convention
from foveate.actions.schema import KINDS, Terminate
from foveate.envs.base import Image, Observation, Resource
from foveate.policies.answers import decide
from foveate.policies.base import Decision, Look, Policy, Turn

_SHOWN_STEPS = 5


class HumanPolicy(Resource, Policy):
    """Shows where the picture lies and what was done, and reads one line a decision.

    Anything that the parser reads is an answer (``click(412, 88)``, ``write("milk")``, ``terminate()``); what it cannot
    read is explained and asked for again. Where the input ends, the episode ends with failure. Waiting never blocks
    the loop and can be cancelled.

    Args:
        convention: How places are written; by default as pixels of the picture.
        source: Where lines are read; standard input by default.
        screen: Where questions are written; standard error by default, standard output being for results.
    """

    model: ClassVar[str] = "human"

    def __init__(
        self,
        *,
        convention: Convention = Convention.PIXEL,
        source: TextIO | None = None,
        screen: TextIO | None = None,
    ) -> None:
        self.convention = convention
        self._source = source
        self._screen = screen
        self._lines: _Lines | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._task: str | None = None
        self._kinds: frozenset[str] | None = None

    async def _open(self) -> None:
        self._folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="foveate-look-")
        self._lines = _Lines(self._source if self._source is not None else sys.stdin)

    async def _close(self) -> None:
        lines, folder = self._lines, self._folder
        self._lines, self._folder, self._task = None, None, None
        if lines is not None:
            await asyncio.to_thread(lines.close)
        if folder is not None:
            await asyncio.to_thread(folder.cleanup)

    async def reset(self, task: str, *, seed: int | None = None, action_kinds: frozenset[str] | None = None) -> None:
        """Say what the task is; see ``Policy.reset``."""
        self.require_open()
        self._task, self._kinds = task, action_kinds
        offered = sorted(action_kinds if action_kinds is not None else KINDS)
        self._say(f"Task: {task}\nActions here: {', '.join(offered)}\nPlaces are written as {self._places()}.")

    async def act(self, observation: Observation, history: tuple[Turn, ...], look: Look | None = None) -> Decision:
        """Ask until the answer can be used.

        Raises:
            ResetNeeded: If no episode was begun.
        """
        self.require_open()
        if self._task is None or self._lines is None:
            raise ResetNeeded("HumanPolicy.act before its first reset")
        path = await asyncio.to_thread(self._save, observation.image, len(history))
        self._show(observation, history, path)
        earlier: tuple[str, ...] = ()
        while True:
            self._say("> ", end="")
            line = await self._lines.next()
            if line is None:
                reason = "the person's input ended"
                return Decision(actions=(Terminate(status="failure", reason=reason),), operation=reason)
            if not line.strip():
                continue
            try:
                answered = Decision(raw=line.strip(), attempts=earlier)
                return decide(answered, frame=observation.frame, convention=self.convention, kinds=self._kinds)
            except (ParseError, OutOfFrame) as error:
                earlier = (*earlier, line.strip())
                self._say(f"That is no action here: {error}")

    def _show(self, observation: Observation, history: tuple[Turn, ...], path: Path) -> None:
        steps = [
            turn.decision.operation or turn.decision.raw or ", ".join(a.kind for a in turn.decision.actions)
            for turn in history
        ]
        if len(steps) > _SHOWN_STEPS:
            self._say(f"({len(steps) - _SHOWN_STEPS} earlier steps)")
        for number, step in list(enumerate(steps, 1))[-_SHOWN_STEPS:]:
            self._say(f"Step {number}: {' '.join(step.split())[:200]}")
        for note in history[-1].notes if history else ():
            self._say(f"Note: {note}")
        where = f" of {observation.url}" if observation.url else ""
        self._say(f"Picture{where}: {path} ({observation.frame.width}x{observation.frame.height} pixels)")

    def _save(self, image: Image, index: int) -> Path:
        folder = self._folder
        if folder is None:
            raise ResetNeeded("HumanPolicy was closed while it asked")
        path = Path(folder.name) / f"look-{index:04d}.png"
        Pillow.fromarray(image).save(path, compress_level=1)
        return path

    def _places(self) -> str:
        names = {
            "unit": "0..1 of the picture, x then y",
            "per_mille": "0..1000 of the picture, x then y",
            "pixel": "pixels of the picture, x then y from its top left corner",
            "resized": f"pixels of the picture at {self.convention.size}, x then y",
        }
        return names[self.convention.name]

    def _say(self, text: str, end: str = "\n") -> None:
        screen = self._screen if self._screen is not None else sys.stderr
        print(text, end=end, file=screen, flush=True)


class _Lines:
    """Lines of a stream, read in a thread; a wait that is cancelled leaves no thread behind and loses nothing."""

    def __init__(self, source: TextIO) -> None:
        self._source = source
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="foveate-human")
        self._pending = b""
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        try:
            self._descriptor: int | None = source.fileno()
        except UnsupportedOperation:
            self._descriptor = None

    async def next(self) -> str | None:
        """Give the next line without its end; None where the input has ended."""
        future = asyncio.get_running_loop().run_in_executor(self._reader, self._read)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            os.write(self._wake_write, b"x")
            await asyncio.wait({future})
            self._give_back(future.result())
            raise

    def _give_back(self, line: str | None) -> None:
        """Keep a line that came in the moment that nobody waited any more."""
        if line is not None:
            self._pending = line.encode() + b"\n" + self._pending
        while select.select([self._wake_read], [], [], 0)[0]:
            os.read(self._wake_read, 64)

    def close(self) -> None:
        """End the thread."""
        self._reader.shutdown(wait=True)
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _read(self) -> str | None:
        if self._descriptor is None and b"\n" not in self._pending:
            line = self._source.readline()
            return line.rstrip("\r\n") if line else None
        while self._descriptor is not None and b"\n" not in self._pending:
            ready, _, _ = select.select([self._descriptor, self._wake_read], [], [])
            if self._wake_read in ready:
                return None
            piece = os.read(self._descriptor, 65536)
            if not piece:
                rest, self._pending = self._pending, b""
                return rest.decode("utf-8", "replace") or None
            self._pending += piece
        first, _, self._pending = self._pending.partition(b"\n")
        return first.decode("utf-8", "replace").rstrip("\r")
