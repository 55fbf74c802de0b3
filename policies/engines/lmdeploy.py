"""LMDeployEngine: InternVL3.5 and Flash through LMDeploy 0.18 in this process, on CUDA.

Written against LMDeploy's source and tested against its own request handling with a made-up model behind it. It was
never run on a GPU.
"""

import asyncio
import importlib.util
import logging
import sys
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any, Final

from foveate.actions.errors import CheckpointError, FoveateError, MissingDependency, ModelUnavailable, first_line
from foveate.envs.base import Resource
from foveate.policies.base import Usage
from foveate.policies.engines.base import (
    Capability,
    Delta,
    Encoded,
    Engine,
    FinishReason,
    ImagePart,
    Request,
    check_request,
)
from foveate.policies.engines.lmdeploy_request import content, generation, refuse, visual_tokens
from foveate.policies.engines.lmdeploy_settings import Backend, Settings, check_lmdeploy, settings
from foveate.policies.engines.own_loop import OwnLoop
from foveate.policies.engines.servable import Servable, most_cards, refuse_untrusted, servable
from foveate.policies.engines.streaming import Give, StopText

_FINISHES: Final[dict[str, FinishReason]] = {"stop": "stop", "length": "length", "abort": "aborted"}
_REMEDY: Final = (
    "pip install 'foveate[lmdeploy]', in an environment of its own, for it pins an older torch (make lmdeploy-env); or "
    "foveate serve MODEL there, and --engine openai:URL here"
)


class LMDeployEngine(Resource, Engine):
    """Serves one InternVL checkpoint by LMDeploy's own engine, in one thread with an event loop that it owns.

    A Flash checkpoint runs in LMDeploy's PyTorch engine, the only one that has its router; others run in TurboMind
    where that is installed, which keeps the cache of a prompt's beginning, pictures included. The router is on or off
    for as long as the engine is open.

    LMDeploy starts a process of Python to look at the machine: a script that makes this engine needs
    ``if __name__ == "__main__":``.

    Args:
        model: A checkpoint's folder or a hub id, in either layout. In transformers' layout every picture has the tiles
            that its processor says, or one.
        device: ``auto`` or ``cuda``; which card is for CUDA_VISIBLE_DEVICES to say.
        flash: Let the router compress tiles; None is what the checkpoint says.
        trust_remote_code: Let LMDeploy run the Python code that comes with a checkpoint in GitHub's layout, which it
            cannot do without.
        backend: Which of LMDeploy's engines; None is the best for the model.
        tp: Graphics cards; None is what the model's makers serve it on, as far as there are so many.
        context: Greatest number of tokens of a prompt, every tile whole, and its answer.
        batch: Requests that are served at once; one where a router is on.
        stall_s: Longest wait for a piece of an answer; the first request compiles kernels.

    Attributes:
        subject: What is served; None while it is closed.
        settings: How LMDeploy was set up; None while it is closed.
    """

    capabilities: frozenset[Capability] = frozenset({"grammar", "prefill"})

    def __init__(
        self,
        model: str | Path,
        *,
        device: str = "auto",
        flash: bool | None = None,
        trust_remote_code: bool = False,
        backend: Backend | None = None,
        tp: int | None = None,
        context: int = 16_384,
        batch: int = 8,
        stall_s: float = 300.0,
    ) -> None:
        self.name = str(model)
        self.subject: Servable | None = None
        self.settings: Settings | None = None
        self._model, self._device, self._flash, self._trusted = model, device, flash, trust_remote_code
        self._backend, self._tp, self._context, self._batch, self._stall_s = backend, tp, context, batch, stall_s
        self._own: OwnLoop | None = None
        self._engine: Any = None

    async def _open(self) -> None:
        if self._device not in ("auto", "cuda"):
            other = "leave the device out, or take the torch engine or llamacpp" if self._device == "cpu" else (
                "choose the card by CUDA_VISIBLE_DEVICES"
            )  # fmt: skip
            raise ModelUnavailable(f"LMDeploy runs on CUDA, not on {self._device!r}: {other}")
        if importlib.util.find_spec("lmdeploy") is None:
            raise MissingDependency("LMDeployEngine", _REMEDY)
        self._own = OwnLoop("foveate-lmdeploy")
        self._own.start()
        try:
            self._engine, self.subject, made = await self._own.do(self._load())
        except BaseException:
            await self._close()
            raise
        self.settings = made
        if made.flash:
            self.capabilities |= {"flash"}

    async def _close(self) -> None:
        loop, self._own = self._own, None
        engine, self._engine, self.subject, self.settings = self._engine, None, None, None
        self.capabilities -= {"flash"}
        if loop is not None:
            try:
                if engine is not None:
                    await loop.do(_unload(engine))
            finally:
                await asyncio.to_thread(loop.stop)

    async def _load(self) -> tuple[Any, Servable, Settings]:
        """Begin LMDeploy's engine; runs in the engine's own loop, which waits meanwhile."""
        engine, subject, made = self._built(asyncio.get_running_loop())
        try:
            await asyncio.sleep(0)  # whoever gave up while it was being loaded is heard here
        except asyncio.CancelledError:
            await _unload(engine)
            raise
        return engine, subject, made

    def _built(self, loop: asyncio.AbstractEventLoop) -> tuple[Any, Servable, Settings]:
        cards = _cards()
        subject = servable(self._model)
        refuse_untrusted(subject, "LMDeploy", trusted=self._trusted, how="trust_remote_code=True (--trust-remote-code)")
        flash = check_lmdeploy(subject, flash=self._flash, backend=self._backend)
        tp = self._tp if self._tp is not None else min(subject.gpus, most_cards(cards))
        if tp > cards:
            raise ModelUnavailable(f"{self.name} is to be spread over {tp} GPUs, and there are {cards}: lower tp")
        with _loading(self.name):
            from lmdeploy.archs import autoget_backend
            from lmdeploy.messages import PytorchEngineConfig, TurbomindEngineConfig
            from lmdeploy.serve.core import VLAsyncEngine
            from lmdeploy.utils import get_model

            _quieten()
            path = subject.place
            if subject.hub is not None:
                path = get_model(path, revision=subject.hub.revision)
            backend: Backend = "pytorch"
            if not subject.router:  # TurboMind takes a Flash checkpoint for one without
                backend = self._backend or autoget_backend(path, trust_remote_code=self._trusted)
            made = settings(subject, backend, flash=flash, tp=tp, context=self._context, batch=self._batch)
            kind = PytorchEngineConfig if backend == "pytorch" else TurbomindEngineConfig
            engine = VLAsyncEngine(
                path, backend=backend, backend_config=kind(**made.config), trust_remote_code=self._trusted
            )
            engine.start_loop(loop, use_async_api=True)
        return engine, subject, made

    async def generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        """Answer a request piece by piece; closing the stream aborts it in LMDeploy before it returns.

        Under Flash ``usage`` counts every tile whole: LMDeploy does not tell which it compressed.

        Raises:
            UsageError: If the request holds a value that no model can take.
            ModelUnavailable: If the prompt exceeds the context, or the request asks for what LMDeploy cannot do.
            ModelTimeout: If LMDeploy says nothing for too long.
        """
        self.require_open()
        loop, subject, made = self._own, self.subject, self.settings
        if loop is None or subject is None or made is None:
            raise ModelUnavailable("LMDeployEngine is still being opened")
        check_request(request)
        refuse(request, made.flash)
        stream = loop.stream(lambda give: self._answer(request, subject, give), self._stall_s)
        async with aclosing(stream):
            async for delta in stream:
                yield delta

    async def encode(self, images: Sequence[ImagePart]) -> tuple[Encoded, ...]:
        """Refuse: LMDeploy keeps what it encoded to itself."""
        raise ModelUnavailable("LMDeployEngine cannot encode pictures ahead: leave that to the torch engine")

    async def score(self, request: Request, choices: Sequence[str]) -> tuple[float, ...]:
        """Refuse: it is not built on LMDeploy."""
        raise ModelUnavailable("LMDeployEngine cannot score answers: leave that to the torch engine")

    async def _answer(self, request: Request, subject: Servable, give: Give) -> None:
        """Ask LMDeploy; runs in the engine's own loop."""
        from lmdeploy.messages import GenerationConfig

        engine, stop, began = self._engine, StopText(request.stop), time.perf_counter()
        first: float | None = None
        last: Any = None
        asked = content(request, subject)
        session = engine.session_mgr.get()
        try:
            with _asking(request, subject):
                config = GenerationConfig(**generation(request))
                ready = await engine.preprocess(asked, session, gen_config=config, do_preprocess=False)
                async with aclosing(engine.generate(ready)) as said:  # closed early, it cancels the request
                    async for last in said:
                        text = stop.push(last.response)
                        if text or last.token_ids:
                            first = time.perf_counter() if first is None else first
                            give(Delta(text, tuple(last.token_ids or ())))
                        if stop.stopped:
                            break
        finally:
            engine.session_mgr.remove(session)
        finish = "stop" if stop.stopped else _FINISHES.get(getattr(last, "finish_reason", None) or "")
        if finish is None:
            return  # it was cancelled, or LMDeploy's stream broke off: whoever listens is told so
        ended = time.perf_counter()
        first = ended if first is None else first
        timing = {"prefill": (first - began) * 1000, "decode": (ended - first) * 1000}
        visual = visual_tokens(request, subject)
        usage = Usage(last.input_token_len, visual, last.cached_tokens, last.generate_token_len, timing)
        give(Delta(finish=finish, usage=usage))


def _cards() -> int:
    """Count the GPUs, before anything of LMDeploy is imported or started.

    Raises:
        ModelUnavailable: If there is none.
    """
    import torch  # LMDeploy brings it

    if not torch.cuda.is_available():
        raise ModelUnavailable(
            "LMDeploy generates on CUDA alone, and torch finds no GPU here: take the torch engine or llamacpp, or "
            "serve the model on a machine with one and name it with --engine openai:URL"
        )
    return torch.cuda.device_count()


def _quieten() -> None:
    """Have LMDeploy tell of trouble alone, and not on standard output, which is for results."""
    log = logging.getLogger("lmdeploy")
    log.setLevel(logging.WARNING)
    for handler in log.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.setStream(sys.stderr)


async def _unload(engine: Any) -> None:
    """Close LMDeploy's engine; runs in the engine's own loop."""
    try:
        engine.close()
    except Exception as exc:  # its libraries raise of any kind
        raise ModelUnavailable(f"LMDeploy did not close cleanly: {first_line(exc)}") from exc


@contextmanager
def _loading(name: str) -> Iterator[None]:
    """Make one clear line of whatever LMDeploy raises while it loads; it even exits, where its own checks fail."""
    try:
        yield
    except SystemExit as exc:
        raise ModelUnavailable(
            f"LMDeploy gave up on this machine while it loaded {name} (exit {exc.code}): its log says why"
        ) from exc
    except FoveateError:
        raise
    except Exception as exc:  # and what it calls raises of any kind: safetensors' errors have no base but this one
        from safetensors import SafetensorError

        said = first_line(exc)
        if isinstance(exc, LookupError | ValueError | SafetensorError) or "state_dict" in said:
            raise CheckpointError(f"LMDeploy cannot load {name}: {type(exc).__name__}: {said}") from exc
        memory = ": spread it over more GPUs (tp), or lower context" if "out of memory" in said.lower() else ""
        raise ModelUnavailable(f"LMDeploy cannot load {name}: {type(exc).__name__}: {said}{memory}") from exc


@contextmanager
def _asking(request: Request, subject: Servable) -> Iterator[None]:
    """Make one clear line of whatever LMDeploy raises about a request."""
    try:
        yield
    except FoveateError:
        raise
    except Exception as exc:  # its libraries raise of any kind
        code, said = str(getattr(getattr(exc, "code", None), "value", "")), first_line(exc)
        if code == "context_length_exceeded":
            raise ModelUnavailable(
                f"the prompt exceeds LMDeploy's context ({said}; {visual_tokens(request, subject)} tokens of it are "
                "visual): lower the number of tiles, shorten the history or raise context"
            ) from exc
        raise ModelUnavailable(f"LMDeploy refuses the request: {said}") from exc
