"""TorchEngine: InternVL through transformers' own model class, on a CPU or a GPU, in one thread of its own."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from foveate.actions.errors import MissingDependency, ModelUnavailable
from foveate.envs.base import Resource
from foveate.policies.engines.base import Capability, Delta, Encoded, Engine, ImagePart, Request
from foveate.policies.engines.streaming import Aborted, Give, finished, streamed
from foveate.policies.internvl import checkpoint as checkpoints

if TYPE_CHECKING:
    from foveate.policies.engines.torch_model import TorchModel

T = TypeVar("T")


class TorchEngine(Resource, Engine):
    """Serves one InternVL checkpoint in transformers' layout.

    Tiling, prompt and decoding loop are foveate's own (neither torchvision nor a processor is needed). Everything
    that blocks runs in one thread that lives from ``open`` to ``close``; requests are served one after the other. Code
    that comes with a checkpoint is never run, and pickled weights are refused.

    Args:
        model: ``tiny``, a checkpoint's folder, or a hub id.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        dtype: ``auto`` (float32 on a CPU, bfloat16 on a GPU), ``float32``, ``bfloat16`` or ``float16``.
        jump_forward: Do not decode token by token what a grammar leaves no choice about.

    Attributes:
        checkpoint: What was loaded; None while it is closed.
    """

    capabilities: frozenset[Capability] = frozenset({"encode", "score", "grammar", "logprobs"})

    def __init__(
        self, model: str | Path = "tiny", *, device: str = "auto", dtype: str = "auto", jump_forward: bool = True
    ) -> None:
        self.name = str(model)
        self.checkpoint: checkpoints.Checkpoint | None = None
        self._model_path = model
        self._device = device
        self._dtype = dtype
        self._jump_forward = jump_forward
        self._thread: ThreadPoolExecutor | None = None
        self._turn: asyncio.Lock | None = None
        self._loaded: TorchModel | None = None

    async def _open(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="foveate-torch")
        self._turn = asyncio.Lock()
        try:
            self._loaded = await self._in_thread(self._load)
            self.checkpoint = self._loaded.checkpoint
            if self.checkpoint.thresholds is not None:
                self.capabilities |= {"flash", "visual_tokens"}
        except BaseException:
            await self._close()
            raise

    async def _close(self) -> None:
        thread, self._thread = self._thread, None
        if self._loaded is not None:
            self._loaded.cancelled.set()
        self._loaded, self.checkpoint, self._turn = None, None, None
        if thread is not None:
            await asyncio.to_thread(thread.shutdown)

    def _load(self) -> "TorchModel":
        checkpoint = checkpoints.check(checkpoints.find(self._model_path))
        try:
            from foveate.policies.engines.torch_model import TorchModel
        except ImportError as exc:
            raise MissingDependency("TorchEngine", f"pip install 'foveate[torch]' ({exc})") from exc
        return TorchModel(checkpoint, device=self._device, dtype=self._dtype, jump_forward=self._jump_forward)

    async def generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        """Answer a request token by token; closing the stream aborts it before it returns.

        A Delta comes with every token, or with all that a grammar leaves no choice about. ``logprobs`` are those of
        the model itself, whatever temperature and grammar; 0 for what was not drawn. An answer that reaches the end of
        the context ends with ``length``.

        Raises:
            MissingDependency: If there is a grammar and xgrammar is not installed.
            ModelUnavailable: If the prompt exceeds the context, or the request asks for what this engine cannot do.
        """
        model, turn = self._ready()

        def answer(give: Give) -> None:
            with suppress(Aborted):
                for delta in model.generate(request):
                    give(delta)

        async with turn:
            stream = streamed(self._submit, answer, model.cancelled, "TorchEngine was closed while it answered")
            async with aclosing(stream):
                async for delta in stream:
                    yield delta

    async def encode(self, images: Sequence[ImagePart]) -> tuple[Encoded, ...]:
        """Encode pictures ahead of a request to this engine."""
        model, turn = self._ready()
        async with turn:
            model.cancelled.clear()
            return await self._in_thread(lambda: model.encode(images), model)

    async def score(self, request: Request, choices: Sequence[str]) -> tuple[float, ...]:
        """Give the natural log-probability that the answer (after the prefill) begins with each choice.

        Raises:
            ModelUnavailable: If the prompt with a choice exceeds the context, or the request has a grammar.
        """
        model, turn = self._ready()
        if request.grammar is not None:
            raise ModelUnavailable("TorchEngine scores choices without a grammar: leave it out of the request")
        async with turn:
            model.cancelled.clear()
            return await self._in_thread(lambda: model.score(request, choices), model)

    def _ready(self) -> "tuple[TorchModel, asyncio.Lock]":
        self.require_open()
        if self._loaded is None or self._turn is None:
            raise ModelUnavailable("TorchEngine is still being opened")
        return self._loaded, self._turn

    def _submit(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        if self._thread is None:
            raise ModelUnavailable("TorchEngine is closed")
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _in_thread(self, work: Callable[[], T], model: "TorchModel | None" = None) -> T:
        """Run something in the engine's thread; a caller that is cancelled leaves nothing running there."""
        future = self._submit(work)
        try:
            return await asyncio.shield(future)
        except Aborted as exc:
            raise ModelUnavailable("TorchEngine was closed while it answered") from exc
        finally:
            if model is not None:
                model.cancelled.set()
            await finished(future)
