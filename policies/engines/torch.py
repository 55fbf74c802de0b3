"""TorchEngine: InternVL through transformers' own model class, on a CPU or a GPU, in one thread of its own."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from foveate.actions.errors import MissingDependency, ModelTimeout, ModelUnavailable
from foveate.envs.base import Resource
from foveate.policies.engines.base import (
    Capability,
    Delta,
    Encoded,
    Engine,
    ImagePart,
    Message,
    Request,
    check_picture,
    check_request,
)
from foveate.policies.engines.dvd_wire import ForeignVision, RemoteVision
from foveate.policies.engines.streaming import Aborted, Give, Work, finished, streamed
from foveate.policies.internvl import checkpoint as checkpoints

if TYPE_CHECKING:
    from foveate.policies.engines.dvd_client import VisionClient
    from foveate.policies.engines.torch_model import TorchModel

T = TypeVar("T")

_log = logging.getLogger(__name__)


class TorchEngine(Resource, Engine):
    """Serves one InternVL checkpoint, in either layout.

    Tiling, prompt and decoding loop are foveate's own (neither torchvision nor a processor is needed). Everything
    that blocks runs in one thread that lives from ``open`` to ``close``; requests are served one after the other. Code
    that comes with a checkpoint is never run, and pickled weights are refused.

    With ``vision``, pictures are encoded by another process (``foveate vision``), outside the thread: a request's
    picture is on its way, or seen there, while the request before it is answered here. Ask for several at a time.

    Args:
        model: ``tiny``, a checkpoint's folder, or a hub id.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:N``, or ``cuda:all``: every GPU gets some
            of the layers.
        dtype: ``auto`` (float32 on a CPU, bfloat16 on a GPU and with fewer bits), ``float32``, ``bfloat16`` or
            ``float16``.
        bits: Of a number of the language model's matrices: 16 (all that ``dtype`` has), 8 or 4; those are made while it
            loads, and want room for the whole in the machine's memory.
        jump_forward: Do not decode token by token what a grammar leaves no choice about.
        vision: Where the vision process is, ``tcp://HOST:PORT`` or a RemoteVision; None encodes here. It must serve
            the same checkpoint.
        local_vision: Encode here where that process cannot be had; without it the tower is not even loaded here.

    Attributes:
        checkpoint: What was loaded; None while it is closed.
        fell_back: Pictures that were encoded here because the vision process could not be had.

    Raises:
        UsageError: If the address is none.
    """

    capabilities: frozenset[Capability] = frozenset({"encode", "score", "grammar", "prefill", "logprobs"})

    def __init__(
        self,
        model: str | Path = "tiny",
        *,
        device: str = "auto",
        dtype: str = "auto",
        bits: int = 16,
        jump_forward: bool = True,
        vision: str | RemoteVision | None = None,
        local_vision: bool = False,
    ) -> None:
        self.fell_back = 0
        self._told = False
        self._remote = RemoteVision(vision) if isinstance(vision, str) else vision
        self._local_vision = local_vision or vision is None
        self._client: VisionClient | None = None
        self.checkpoint: checkpoints.Checkpoint | None = None
        self._model_path = model
        self._device = device
        self._dtype = dtype
        self._bits = bits
        self._jump_forward = jump_forward
        self._thread: ThreadPoolExecutor | None = None
        self._turn: asyncio.Lock | None = None
        self._loaded: TorchModel | None = None

    async def _open(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="foveate-torch")
        self._turn = asyncio.Lock()
        try:
            checkpoint = await self._in_thread(self._found)
            if self._remote is not None:
                await self._reach(self._remote, checkpoint)
            self._loaded = await self._in_thread(lambda: self._load(checkpoint))
            self.checkpoint = self._loaded.checkpoint
            if self.checkpoint.thresholds is not None:
                self.capabilities |= {"flash", "visual_tokens"}
        except BaseException:
            await self._close()
            raise

    async def _close(self) -> None:
        thread, self._thread = self._thread, None
        client, self._client = self._client, None
        if self._loaded is not None:
            self._loaded.cancelled.set()
        self._loaded, self.checkpoint, self._turn = None, None, None
        try:
            if client is not None:
                await client.close()
        finally:
            if thread is not None:
                await asyncio.to_thread(thread.shutdown)

    def _found(self) -> checkpoints.Checkpoint:
        """Find the model, and look whether it can be had here before it is fetched."""
        try:
            from foveate.policies.engines.torch_room import check_wanted
        except ImportError as exc:
            raise MissingDependency("TorchEngine", f"pip install 'foveate[torch]' ({exc})") from exc
        how: dict[str, Any] = {"device": self._device, "dtype": self._dtype, "bits": self._bits}
        how |= {"blind": not self._local_vision, "fetched": checkpoints.hub_id_of(self._model_path) is not None}
        return checkpoints.check(checkpoints.find(self._model_path, wanted=lambda said: check_wanted(said, **how)))

    async def _reach(self, remote: RemoteVision, checkpoint: checkpoints.Checkpoint) -> None:
        """Look for the vision process before gigabytes are loaded."""
        try:
            from foveate.policies.engines.dvd_client import VisionClient
        except ImportError as exc:
            raise MissingDependency("a vision process", f"pip install 'foveate[torch,dvd]' ({exc})") from exc
        self._client = VisionClient(remote, checkpoint)
        await self._client.open()
        try:
            await self._client.greet()
        except (ModelUnavailable, ModelTimeout) as exc:
            self._may_fall_back(exc)

    def _may_fall_back(self, error: ModelUnavailable | ModelTimeout) -> None:
        """Raise an error of the vision process where pictures cannot be encoded here; else say so, the first time."""
        if not self._local_vision or isinstance(error, ForeignVision):
            raise error
        if not self._told:
            _log.warning("pictures are encoded here: %s", error)
        self._told = True

    def _load(self, checkpoint: checkpoints.Checkpoint) -> "TorchModel":
        try:
            from foveate.policies.engines.torch_model import TorchModel
        except ImportError as exc:
            raise MissingDependency("TorchEngine", f"pip install 'foveate[torch]' ({exc})") from exc
        return TorchModel(
            checkpoint, device=self._device, dtype=self._dtype, bits=self._bits, jump_forward=self._jump_forward,
            blind=not self._local_vision,
        )  # fmt: skip

    async def generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        """Answer a request token by token; closing the stream aborts it before it returns.

        A Delta comes with every token, or with all that a grammar leaves no choice about. ``logprobs`` are those of
        the model itself, whatever temperature and grammar; 0 for what was not drawn. An answer that reaches the end of
        the context ends with ``length``.

        Raises:
            UsageError: If the request holds a value that no model can take.
            MissingDependency: If there is a grammar and xgrammar is not installed.
            ModelUnavailable: If the prompt exceeds the context, the request asks for what this engine cannot do, or
                the vision process cannot be had.
            ModelTimeout: If the vision process does not answer in time.
        """
        model, turn = self._ready()
        check_request(request)
        began = time.perf_counter()
        request = await self._seen(request, model)
        waited_ms = (time.perf_counter() - began) * 1000

        def answer(give: Give) -> None:
            with suppress(Aborted):
                for delta in model.generate(request):
                    give(delta)

        async with turn:
            model.cancelled.clear()
            stream = streamed(
                lambda give: Work(self._submit(lambda: answer(give)), model.cancelled.set),
                "TorchEngine was closed while it answered",
            )
            async with aclosing(stream):
                async for delta in stream:
                    yield delta if self._client is None else _with_wait(delta, waited_ms)

    async def encode(self, images: Sequence[ImagePart]) -> tuple[Encoded, ...]:
        """Encode pictures ahead of a request to this engine.

        Raises:
            UsageError: If a picture is none.
            ModelUnavailable: If the vision process cannot be had.
            ModelTimeout: If it does not answer in time.
        """
        model, turn = self._ready()
        for part in images:
            check_picture(part)
        images = await self._seen_parts(images, model)
        async with turn:
            model.cancelled.clear()
            return await self._in_thread(lambda: model.encode(images), model)

    async def _seen(self, request: Request, model: "TorchModel") -> Request:
        """Have the pictures of a request encoded by the vision process, where there is one."""
        if self._client is None:
            return request
        model.refuse(request)
        seen = iter(await self._seen_parts(request.pictures, model))
        messages = tuple(
            Message(message.role, tuple(next(seen) if isinstance(part, ImagePart) else part for part in message.parts))
            for message in request.messages
        )
        return replace(request, messages=messages)

    async def _seen_parts(self, images: Sequence[ImagePart], model: "TorchModel") -> Sequence[ImagePart]:
        client = self._client
        if client is None or all(isinstance(part.image, Encoded) for part in images):
            return images
        from foveate.policies.engines.dvd_client import Home

        try:
            found = await client.encode(images, Home(model, model.device, model.dtype))
        except (ModelUnavailable, ModelTimeout) as exc:
            self._may_fall_back(exc)
            self.fell_back += sum(not isinstance(part.image, Encoded) for part in images)
            return images
        self._told = False
        return [replace(part, image=image) for part, image in zip(images, found, strict=True)]

    async def score(self, request: Request, choices: Sequence[str]) -> tuple[float, ...]:
        """Give the natural log-probability that the answer (after the prefill) begins with each choice.

        Raises:
            UsageError: If the request holds a value that no model can take.
            ModelUnavailable: If the prompt with a choice exceeds the context, the request has a grammar, or the vision
                process cannot be had.
            ModelTimeout: If the vision process does not answer in time.
        """
        model, turn = self._ready()
        check_request(request)
        if request.grammar is not None:
            raise ModelUnavailable("TorchEngine scores choices without a grammar: leave it out of the request")
        request = await self._seen(request, model)
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


def _with_wait(delta: Delta, waited_ms: float) -> Delta:
    """Count what a request waited for its pictures as encoding."""
    if delta.usage is None:
        return delta
    timing = {**delta.usage.timing_ms, "encode": delta.usage.timing_ms["encode"] + waited_ms}
    return replace(delta, usage=replace(delta.usage, timing_ms=timing))
