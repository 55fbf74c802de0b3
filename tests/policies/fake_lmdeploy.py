"""An ``lmdeploy`` for machines without a GPU: what LMDeployEngine calls, real signatures, scripted answers."""

import asyncio
import dataclasses
import importlib.machinery
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class GenerationConfig:
    n: int = 1
    max_new_tokens: int = 512
    do_sample: bool = False
    top_p: float = 1.0
    top_k: int = 50
    temperature: float = 0.8
    random_seed: int | None = None
    stop_words: list[str] | None = None
    skip_special_tokens: bool = True
    response_format: dict[str, Any] | None = None


@dataclass
class PytorchEngineConfig:
    tp: int = 1
    session_len: int | None = None
    max_batch_size: int | None = None
    max_prefill_token_num: int = 8192
    enable_prefix_caching: bool = False
    device_type: str = "cuda"
    enable_metrics: bool = True
    hf_overrides: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        assert self.device_type in ("cuda", "ascend", "maca", "camb"), f"invalid device_type: {self.device_type}"


@dataclass
class TurbomindEngineConfig:
    tp: int = 1
    session_len: int | None = None
    max_batch_size: int | None = None
    enable_prefix_caching: bool = False
    enable_metrics: bool = True


@dataclass
class GenOut:
    response: str
    input_token_len: int
    generate_token_len: int
    finish_reason: str | None = None
    token_ids: list[int] | None = None
    cached_tokens: int = 0


class RequestError(RuntimeError):
    def __init__(self, code: Any, message: str | None = None) -> None:
        self.code = types.SimpleNamespace(value=code)
        super().__init__(message)


@dataclass
class Script:
    """What the fake does, and what it saw.

    Attributes:
        says: Pieces of every answer.
        backend: What ``autoget_backend`` finds.
        loading: Called where the engine is built; may raise.
        preparing: Called with the messages where a request is prepared; may raise.
        ends: The finish reason of an answer that is not aborted; None breaks off without one.
        stuck: Whether answers wait for ever after their first piece.
        made: Engines, oldest first.
        asked: Keyword arguments of each request.
        events: What happened, in order.
        threads: Names of the threads that each thing happened in.
    """

    says: tuple[str, ...] = ("<act", "ion>click()", "</action>", " and more")
    backend: str = "turbomind"
    loading: Callable[[], object] = lambda: None
    preparing: Callable[[Any], object] = lambda messages: None
    ends: str | None = "stop"
    stuck: bool = False
    made: list["VLAsyncEngine"] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)

    def saw(self, event: str) -> None:
        import threading

        self.events.append(event)
        self.threads.add(threading.current_thread().name)


SCRIPT = Script()


class Session:
    pass


class SessionManager:
    def __init__(self) -> None:
        self.sessions: set[Session] = set()

    def get(self, session_id: int | None = None, create_if_not_exists: bool = True, **kwargs: Any) -> Session:
        session = Session()
        self.sessions.add(session)
        return session

    def remove(self, session: Session | None) -> None:
        self.sessions.discard(session)  # type: ignore[arg-type]


class VLAsyncEngine:
    def __init__(
        self, model_path: str, backend: str = "turbomind", backend_config: Any = None, vision_config: Any = None,
        trust_remote_code: bool = False, allowed_media_domains: list[str] | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        SCRIPT.saw("load")
        SCRIPT.loading()
        self.model_path, self.backend, self.backend_config = model_path, backend, backend_config
        self.trust_remote_code, self.session_mgr = trust_remote_code, SessionManager()
        SCRIPT.made.append(self)

    def start_loop(self, loop: asyncio.AbstractEventLoop, use_async_api: bool = False) -> bool:
        assert use_async_api and loop is asyncio.get_running_loop()
        SCRIPT.saw("start")
        return True

    async def preprocess(
        self, messages: Any, session_id: Any, gen_config: Any = None, tools: Any = None, reasoning_effort: Any = None,
        do_preprocess: bool = True, adapter_name: Any = None, input_ids: Any = None, enable_thinking: Any = None,
        chat_template_kwargs: Any = None, media_io_kwargs: Any = None, mm_processor_kwargs: Any = None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        assert isinstance(session_id, Session)
        SCRIPT.preparing(messages)
        SCRIPT.asked.append({"messages": messages, "gen_config": gen_config, "do_preprocess": do_preprocess})
        return gen_config

    async def generate(self, request: GenerationConfig, stream_response: bool = True) -> Any:
        SCRIPT.saw("generate")
        ended = False
        try:
            for count, piece in enumerate(SCRIPT.says[: request.max_new_tokens], 1):
                yield GenOut(piece, 300, count, None, [count])
                if SCRIPT.stuck:
                    await asyncio.Event().wait()
                await asyncio.sleep(0)
            ended = True
            if SCRIPT.ends is not None:
                limited = len(SCRIPT.says) > request.max_new_tokens
                yield GenOut("", 300, count, "length" if limited else SCRIPT.ends, [], 40)
        except asyncio.CancelledError:
            pass  # as LMDeploy does: it aborts the request and ends the stream
        finally:
            if not ended:
                await asyncio.sleep(0.01)
                SCRIPT.saw("abort")

    def close(self) -> None:
        SCRIPT.saw("close")


def autoget_backend(model_path: str, trust_remote_code: bool = False) -> str:
    return SCRIPT.backend


def get_model(
    pretrained_model_name_or_path: str, download_dir: str | None = None, revision: str | None = None,
    token: str | None = None,
) -> str:  # fmt: skip
    SCRIPT.saw(f"download {pretrained_model_name_or_path} {revision}")
    return f"/cache/{pretrained_model_name_or_path}"


PARTS: dict[str, tuple[Any, ...]] = {
    "lmdeploy": (),
    "lmdeploy.archs": (autoget_backend,),
    "lmdeploy.messages": (GenerationConfig, PytorchEngineConfig, TurbomindEngineConfig),
    "lmdeploy.serve": (),
    "lmdeploy.serve.core": (VLAsyncEngine,),
    "lmdeploy.utils": (get_model,),
}
"""Its modules and what is in each."""


def signatures() -> dict[str, list[str]]:
    """Give what the fake's things take: the real ones must take as much."""
    import inspect

    found = {}
    for module, things in PARTS.items():
        for thing in things:
            fields = dataclasses.is_dataclass(thing)
            names = (
                [one.name for one in dataclasses.fields(thing)] if fields else list(inspect.signature(thing).parameters)
            )
            found[f"{module}:{thing.__name__}"] = names
    for method in (VLAsyncEngine.preprocess, VLAsyncEngine.generate, VLAsyncEngine.start_loop, VLAsyncEngine.close):
        found[f"lmdeploy.serve.core:VLAsyncEngine.{method.__name__}"] = list(inspect.signature(method).parameters)
    for name in ("get", "remove"):
        manager = inspect.signature(getattr(SessionManager, name))
        found[f"lmdeploy.serve.managers:SessionManager.{name}"] = list(manager.parameters)
    found["lmdeploy.serve.core.async_engine:GenOut"] = [one.name for one in dataclasses.fields(GenOut)]
    return found


def install(monkeypatch: pytest.MonkeyPatch, *, gpus: int = 1) -> Script:
    """Put the fake where ``import lmdeploy`` finds it, and so many GPUs where torch looks for them."""
    import torch

    monkeypatch.setattr(sys.modules[__name__], "SCRIPT", Script())
    for name, things in PARTS.items():
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
        module.__path__ = []
        for thing in things:
            setattr(module, thing.__name__, thing)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    return SCRIPT
