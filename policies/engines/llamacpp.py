"""LlamaCppEngine: InternVL from GGUF files, through xllamacpp's llama.cpp in this process, on the CPU."""

import asyncio
import json
import os
import secrets
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar

from foveate.actions.errors import CheckpointError, MissingDependency, ModelUnavailable
from foveate.envs.base import Resource
from foveate.policies.engines.base import Capability, Delta, Encoded, Engine, ImagePart, Request
from foveate.policies.engines.llamacpp_files import GgufFiles, find, on_cpu, read
from foveate.policies.engines.llamacpp_request import AS_WRITTEN, Answer, TileForm, body, content, refuse
from foveate.policies.engines.llamacpp_text import PromptText
from foveate.policies.engines.streaming import Give, Work, finished, streamed

T = TypeVar("T")
CacheType: TypeAlias = Literal["float16", "float32"]
"""Numbers of a key and value cache."""

_SLICE: Final = 256
"""Tokens of a prompt that are computed at once: between two slices it can be ended."""


class LlamaCppEngine(Resource, Engine):
    """Serves one InternVL model in GGUF.

    The prompt is InternVL's own, written here. A picture of one tile is sent as that tile, and llama.cpp takes it as it
    is. One of several is sent as the reference's grid (``grid``), resized here: llama.cpp cuts that into the same tiles
    between one pair of marks, as the reference has it, and only the thumbnail differs, which it makes of the grid and
    not of the picture. The other way (``separate``), each tile a picture with marks of its own, is further off.

    Answers are not the torch engine's to the bit: llama.cpp takes GELU from a table of 16-bit numbers. Sampled answers
    follow other random numbers, and ``<|endoftext|>`` ends an answer too. A character of several tokens comes in one
    piece, with the last one's id alone. A request that is aborted ends with the token, slice of the prompt or picture
    that llama.cpp is at.

    llama.cpp listens on a port of this machine's loopback while it is open; nothing is answered there without a key
    that nobody is told.

    Args:
        model: The language model's file, with the vision tower's (``mmproj``) beside it, or the folder of both.
        device: ``auto`` or ``cpu``.
        context: Greatest number of tokens of a prompt and its answer, where the model does not say fewer.
        cache: Numbers of the key and value cache; ``float32`` also keeps llama.cpp from its 16-bit attention.
        tile_form: How the tiles of a picture of several are sent.
        threads: How many compute; None is half of the processors, of which two are a core. More than are free wait for
            each other, busily.

    Attributes:
        files: What was loaded; None while it is closed.
        profile: The model profile that the file asks for, or None.
    """

    capabilities: frozenset[Capability] = frozenset({"grammar", "prefill", "logprobs"})

    def __init__(
        self,
        model: str | Path,
        *,
        device: str = "auto",
        context: int = 16_384,
        cache: CacheType = "float16",
        tile_form: TileForm = "grid",
        threads: int | None = None,
    ) -> None:
        self.files: GgufFiles | None = None
        self.profile: str | None = None
        self._model_path, self._device, self._context = model, device, context
        self._cache, self._tile_form, self._threads = cache, tile_form, threads
        self._thread: ThreadPoolExecutor | None = None
        self._turn: asyncio.Lock | None = None
        self._server: Any = None
        self._text: PromptText | None = None
        self._cancelled = threading.Event()

    async def _open(self) -> None:
        if self._device not in ("auto", "cpu"):
            raise ModelUnavailable(
                f"LlamaCppEngine runs on the CPU, not on {self._device}: leave the device out, or take torch"
            )
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="foveate-llamacpp")
        self._turn = asyncio.Lock()
        try:
            await self._in_thread(self._load)
        except BaseException:
            await self._close()
            raise

    async def _close(self) -> None:
        thread, self._thread = self._thread, None
        self._cancelled.set()
        if thread is not None:
            thread.submit(self._unload)
            await asyncio.to_thread(thread.shutdown)
        self.files, self.profile, self._turn, self._text = None, None, None, None

    def _load(self) -> None:
        files = read(*find(self._model_path))
        try:
            import xllamacpp
        except ImportError as exc:
            raise MissingDependency("LlamaCppEngine", f"pip install 'foveate[llamacpp]' ({exc})") from exc
        try:
            self._server = xllamacpp.Server(self._params(xllamacpp, files))
        except RuntimeError as exc:
            raise CheckpointError(
                f"llama.cpp cannot load {files.model} with {files.vision.name} ({exc}): convert them again"
            ) from exc
        self._server.handle_metrics()  # its loop answers, so it runs: closed before, it would never end (a race of its)
        self._text = PromptText(files.added, files.stand_ins, files.whole_words, composed=files.composed)
        self.files, self.profile = files, files.profile

    def _unload(self) -> None:
        self._server = None  # the last reference: its threads are joined

    def _params(self, xllamacpp: Any, files: GgufFiles) -> Any:
        params = on_cpu(xllamacpp, files, context=self._context, threads=self._threads or cores())
        params.n_batch = _SLICE
        kind = xllamacpp.ggml_type
        params.cache_type_k = params.cache_type_v = (
            kind.GGML_TYPE_F32 if self._cache == "float32" else kind.GGML_TYPE_F16
        )
        if self._cache == "float32":
            params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.chat_template, params.special, params.verbosity = AS_WRITTEN, True, -1
        params.endpoint_metrics = True
        params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [secrets.token_hex(16)]
        return params

    async def generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        """Answer a request token by token; closing the stream aborts it before it returns.

        ``logprobs`` are those of the model itself, whatever the temperature. An answer that reaches the end of the
        context ends with ``length``. A grammar is a regular expression of literals, classes, groups, alternatives and
        repetition.

        Raises:
            UsageError: If the request holds a value that no model can take.
            ModelUnavailable: If the prompt exceeds the context, or the request asks for what this engine cannot do.
        """
        self.require_open()
        files, turn = self.files, self._turn
        if files is None or turn is None:
            raise ModelUnavailable("LlamaCppEngine is still being opened")
        refuse(request)
        async with turn:
            self._cancelled.clear()
            stream = streamed(
                lambda give: Work(self._submit(lambda: self._answer(request, files, give)), self._cancelled.set),
                "LlamaCppEngine was closed while it answered",
            )
            async with aclosing(stream):
                async for delta in stream:
                    yield delta

    async def encode(self, images: Sequence[ImagePart]) -> tuple[Encoded, ...]:
        """Refuse: llama.cpp keeps what it encoded to itself."""
        raise ModelUnavailable("LlamaCppEngine cannot encode pictures ahead: leave that to the torch engine")

    async def score(self, request: Request, choices: Sequence[str]) -> tuple[float, ...]:
        """Refuse: llama.cpp's server gives log-probabilities of what it chose alone."""
        raise ModelUnavailable("LlamaCppEngine cannot score answers: leave that to the torch engine")

    def _submit(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        if self._thread is None:
            raise ModelUnavailable("LlamaCppEngine is closed")
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        future = self._submit(work)
        try:
            return await asyncio.shield(future)
        finally:
            await finished(future)

    def _answer(self, request: Request, files: GgufFiles, give: Give) -> None:
        """Ask llama.cpp; runs in the engine's thread."""
        start = time.perf_counter()
        if self._text is None:
            raise ModelUnavailable("LlamaCppEngine is closed")
        parts, visual = content(request, self._text, files, self._tile_form)
        answer = Answer(request, files, visual, (time.perf_counter() - start) * 1000)
        wrong: list[Exception] = []

        def take(event: str) -> bool:
            """Take one event; true ends the answer there."""
            try:
                if not self._cancelled.is_set():
                    for delta in answer.take(json.loads(event)):
                        give(delta)
            except (ModelUnavailable, ValueError, LookupError, TypeError, AttributeError, RuntimeError) as exc:
                wrong.append(exc)  # none may go through llama.cpp: it is raised behind it
            return bool(wrong) or answer.stopped or self._cancelled.is_set()

        if not self._cancelled.is_set():
            self._server.handle_chat_completions(json.dumps(body(request, parts)), take)
        for error in wrong:
            if isinstance(error, ModelUnavailable):
                raise error
            raise ModelUnavailable(f"llama.cpp's answer cannot be read: {error!r}") from error
        if not self._cancelled.is_set():
            give(answer.last())


def cores() -> int:
    """Count the processors that compute: half of them, of which two are a core."""
    return max(1, (os.cpu_count() or 2) // 2)
