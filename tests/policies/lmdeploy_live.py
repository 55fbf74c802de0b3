"""Run by LMDeploy's own interpreter: LMDeployEngine on LMDeploy's real request handling, a made-up model behind it.

Everything is LMDeploy's but what needs CUDA: where it would build its engine, one is put that says given tokens.
Prompts, pictures, sessions, aborts, detokenising and the checks of configurations and of command lines are its own.
torchvision, which does not go beside a CPU's torch, is stood in for by what LMDeploy takes of it.

Usage: lmdeploy_live.py FILE.json; the file has the checkpoint, the text to say and the command lines to read. What was
found is printed as JSON.
"""

import asyncio
import json
import sys
import types
from contextlib import aclosing, redirect_stdout
from pathlib import Path
from typing import Any

import lmdeploy
import numpy as np
import torch

from foveate.actions.errors import FoveateError
from foveate.policies.engines.base import ImagePart, Message, Request, TextPart
from foveate.policies.engines.lmdeploy import LMDeployEngine
from foveate.policies.engines.lmdeploy_settings import settings
from foveate.policies.engines.servable import servable


def transforms() -> None:
    """Stand in for the four transforms that LMDeploy puts a tile through."""

    class Compose(list[Any]):
        def __call__(self, image: Any) -> Any:
            for step in self:
                image = step(image)
            return image

    def resize(size: tuple[int, int], interpolation: Any) -> Any:
        return lambda image: image.resize(size, 3)

    def to_tensor() -> Any:
        return lambda image: torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 255

    def normalise(mean: Any, std: Any) -> Any:
        return lambda x: (x - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]

    whole, part, functional = (
        types.ModuleType(f"torchvision{name}") for name in ("", ".transforms", ".transforms.functional")
    )
    part.Compose, part.Lambda, part.Resize, part.ToTensor = Compose, lambda step: step, resize, to_tensor
    part.Normalize, functional.InterpolationMode = normalise, types.SimpleNamespace(BICUBIC=3)
    whole.transforms, part.functional = part, functional
    sys.modules |= {
        "torchvision": whole,
        "torchvision.transforms": part,
        "torchvision.transforms.functional": functional,
    }


class Handle:
    """What LMDeploy's engine hands a request to; it says the engine's tokens, one at a time."""

    def __init__(self, engine: "Model") -> None:
        self.engine = engine
        self.cancelled = asyncio.Event()

    async def async_stream_infer(self, session_id: int, **asked: Any) -> Any:
        from lmdeploy.messages import EngineOutput, ResponseType

        self.cancelled.clear()
        self.engine.asked.append(asked)
        limit = asked["gen_config"].max_new_tokens
        for token in self.engine.tokens[:limit]:
            if self.engine.slow_s:
                await asyncio.wait({asyncio.ensure_future(self.cancelled.wait())}, timeout=self.engine.slow_s)
            if self.cancelled.is_set():
                return
            await asyncio.sleep(0)
            yield EngineOutput(ResponseType.SUCCESS, [token])
        yield EngineOutput(ResponseType.FINISH, [])

    async def async_cancel(self, session_id: int) -> None:
        self.engine.cancelled += 1
        self.cancelled.set()


class Model:
    """In the place of LMDeploy's PyTorch engine."""

    def __init__(self, engine_config: Any, tokens: list[int]) -> None:
        self.engine_config, self.tokens, self.slow_s = engine_config, tokens, 0.0
        self.asked: list[dict[str, Any]] = []
        self.cancelled, self.started, self.closed = 0, False, False

    def create_instance(self) -> Handle:
        return Handle(self)

    def start_loop(self) -> bool:
        self.started = asyncio.get_running_loop().is_running()
        return True

    def close(self) -> None:
        self.closed = True


def requested(tiles: int = 6, **more: Any) -> Request:
    image = np.random.default_rng(3).integers(0, 256, (90, 150, 3), dtype=np.uint8)
    user = Message("user", (ImagePart(image, tiles), TextPart("Click <|im_end|> or <IMG_CONTEXT> <IMAGE_TOKEN>")))
    return Request((Message("system", (TextPart("You act."),)), user), **more)


def plain() -> Request:
    image = np.random.default_rng(3).integers(0, 256, (90, 150, 3), dtype=np.uint8)
    user = Message("user", (ImagePart(image, 6), TextPart("Click <box>")))
    return Request((Message("system", (TextPart("You are an agent."),)), user))


async def asked_of(engine: LMDeployEngine, request: Request) -> dict[str, Any]:
    deltas = [delta async for delta in engine.generate(request)]
    last = deltas[-1]
    usage = last.usage
    return {
        "text": "".join(delta.text for delta in deltas),
        "ids": [token for delta in deltas for token in delta.token_ids],
        "finish": last.finish,
        "usage": [usage.prompt, usage.visual, usage.cached, usage.output] if usage else None,
    }


async def refusal(engine: LMDeployEngine, request: Request) -> str:
    try:
        await asked_of(engine, request)
    except FoveateError as error:
        return f"{type(error).__name__}: {error}"
    return "not refused"


async def live(order: dict[str, Any]) -> dict[str, Any]:
    from lmdeploy.serve.core.async_engine import AsyncEngine
    from lmdeploy.tokenizer import Tokenizer

    said = Tokenizer(order["model"], trust_remote_code=True).encode(order["says"], add_bos=False)
    made: list[Model] = []

    def build(self: Any, model_path: str, backend_config: Any, **more: Any) -> Model:
        made.append(Model(backend_config, said))
        return made[-1]

    AsyncEngine._build_pytorch = build
    torch.cuda.is_available, torch.cuda.device_count = (lambda: True), (lambda: 1)
    found: dict[str, Any] = {"version": lmdeploy.__version__}
    engine = LMDeployEngine(order["model"], trust_remote_code=True, backend="pytorch", context=2048)
    async with engine:
        model = made[0]
        found["started"] = model.started
        found["whole"] = await asked_of(engine, requested(prefill="<think>\n"))
        found["prompt"] = [int(token) for token in model.asked[-1]["input_ids"]]
        found["context_token"] = engine._engine.vl_encoder.model.image_token_id
        await asked_of(engine, plain())
        found["plain_prompt"] = [int(token) for token in model.asked[-1]["input_ids"]]
        found["pixels"] = [list(one["pixel_values"].shape) for one in model.asked[-1]["multimodal"]]
        found["cut"] = await asked_of(engine, requested(max_new_tokens=3))
        found["before"] = model.cancelled
        found["stopped"] = await asked_of(engine, requested(stop=("never", order["stop"])))
        found["after"] = model.cancelled
        found["words"] = await asked_of(engine, Request((Message("user", (TextPart("Hello"),)),)))
        found["words_prompt"] = [int(token) for token in model.asked[-1]["input_ids"]]
        model.slow_s = 60.0
        async with asyncio.timeout(30):
            stream, before = engine.generate(requested()), len(model.asked)
            waiting = asyncio.ensure_future(anext(stream))
            while len(model.asked) == before:  # noqa: ASYNC110 - it is appended to in another loop
                await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.wait({waiting})
            await stream.aclose()
        found["closed_early"] = model.cancelled
        model.slow_s = 1.0
        async with aclosing(engine.generate(requested())) as stream:
            await anext(stream)
        found["closed"], model.slow_s = model.cancelled, 0.0
        found["again"] = await asked_of(engine, requested())
        found["sessions"] = len(engine._engine.session_mgr.sessions)
        found["too_long"] = await refusal(engine, requested(tiles=12, prefill="word " * 4000))
        found["generation"] = vars(model.asked[-1]["gen_config"]) | {"response_format": None}
    found["shut"] = model.closed
    found["generation"] = {key: value for key, value in found["generation"].items() if _plain(value)}
    return found


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str | list)


def built(order: dict[str, Any]) -> dict[str, Any]:
    """Build the real configurations as the engine does, and read command lines by LMDeploy's own parser."""
    from lmdeploy.cli.cli import CLI
    from lmdeploy.cli.serve import SubCliServe
    from lmdeploy.cli.utils import ArgumentHelper
    from lmdeploy.messages import PytorchEngineConfig, TurbomindEngineConfig

    subject = servable(order["model"])
    configs = {}
    for backend, flash, kind in (("pytorch", True, PytorchEngineConfig), ("turbomind", None, TurbomindEngineConfig)):
        made = settings(subject, backend, flash=flash, tp=2, context=16384, batch=8)
        config = kind(**made.config)
        configs[backend] = {name: getattr(config, name) for name in made.config}
    for parsers in ("tool_call_parser", "reasoning_parser"):  # what these need is in no environment without a GPU
        setattr(ArgumentHelper, parsers, lambda parser: None)
    SubCliServe.add_parsers()
    read = []
    for command in order["commands"]:
        args = vars(CLI.parser.parse_args(command))
        read.append({key: value for key, value in args.items() if _plain(value) or isinstance(value, dict)})
    return {"configs": configs, "commands": read}


def signatures(order: dict[str, Any]) -> dict[str, Any]:
    """Give what each thing that the engine calls takes."""
    import dataclasses
    import inspect
    from importlib import import_module

    found = {}
    for name in order["signatures"]:
        module, _, path = name.partition(":")
        value: Any = import_module(module)
        for part in path.split("."):
            value = getattr(value, part)
        if dataclasses.is_dataclass(value):
            found[name] = [one.name for one in dataclasses.fields(value)]
        else:
            found[name] = [one.name for one in inspect.signature(value).parameters.values()]
    return {"signatures": found}


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text())
    with redirect_stdout(sys.stderr):
        transforms()
        result = signatures(asked) | built(asked) | asyncio.run(live(asked))
    print(json.dumps(result, default=str))
