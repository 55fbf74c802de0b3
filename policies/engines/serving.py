"""Which server serves a model, and the command line that starts it."""

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

from foveate.actions.errors import CheckpointError, MissingDependency, ModelUnavailable, UsageError
from foveate.policies.engines.lmdeploy_settings import check_lmdeploy
from foveate.policies.engines.servable import Servable
from foveate.policies.internvl.checkpoint import BUNDLED

ServerName: TypeAlias = Literal["lmdeploy", "vllm", "sglang", "llamacpp"]
"""The servers that there are."""

_TEXT: Final = 8192
_STEP: Final = 1024
_LEAST: Final = 512
"""Tokens that a prompt's text and its answer take at least."""

_LLAMACPP_CONTEXT: Final = 16_384
_TILE_TOKENS: Final = 256


@dataclass(frozen=True, slots=True)
class Order:
    """How a model is to be served.

    Attributes:
        subject: The model.
        host: Where the server listens.
        port: Its port.
        tp: Graphics cards; None is what the model's makers serve it on.
        max_tiles: Greatest number of tiles of a picture, the thumbnail not counted.
        context: Greatest number of tokens of a prompt and its answer; None is room for one such picture and 8192 more.
        flash: Whether a router is on; None is as the checkpoint says.
    """

    subject: Servable
    host: str = "127.0.0.1"
    port: int = 0
    tp: int | None = None
    max_tiles: int = 12
    context: int | None = None
    flash: bool | None = None

    @property
    def cards(self) -> int:
        """Graphics cards that the model is spread over."""
        return self.subject.gpus if self.tp is None else self.tp

    @property
    def length(self) -> int:
        """Tokens of a prompt and its answer that the server makes room for."""
        if self.context is not None:
            return self.context
        each = _TILE_TOKENS if self.subject.size is None else self.subject.size.tower.tokens
        needed = (self.max_tiles + 1) * each + _TEXT
        return min(self.subject.context, -(-needed // _STEP) * _STEP)


@dataclass(frozen=True, slots=True)
class Server:
    """A program that serves models.

    Attributes:
        title: What it is called.
        program: What it is started by.
        command: Writes its arguments.
        remedy: How to get it.
    """

    title: str
    program: str
    command: Callable[[Order], list[str]]
    remedy: str


def _lmdeploy(order: Order) -> list[str]:
    subject = order.subject
    command = ["serve", "api_server", subject.place, "--server-name", order.host, "--server-port", str(order.port)]
    command += ["--model-name", _name(subject), "--tp", str(order.cards), "--session-len", str(order.length)]
    flash = check_lmdeploy(subject, flash=order.flash, backend=None)
    if flash is None:
        command += ["--backend", "turbomind", "--enable-prefix-caching"]
    else:  # the router is in its PyTorch engine alone, and its weights have nowhere to go without the word
        command += ["--backend", "pytorch", "--hf-overrides.flash_mode", "true" if flash else "false"]
        command += ["--max-prefill-token-num", str(max(_TEXT, order.length))]  # a prompt is decided on as a whole
        command += ["--max-batch-size", "1"] if flash else []  # a router judges all tiles of a batch together
    return command + _revision(subject) + (["--trust-remote-code"] if subject.code else [])


def _vllm(order: Order) -> list[str]:
    subject = order.subject
    command = ["serve", subject.place, "--host", order.host, "--port", str(order.port)]
    command += ["--served-model-name", _name(subject), "--tensor-parallel-size", str(order.cards)]
    command += ["--max-model-len", str(order.length)]
    if subject.code:
        command += ["--mm-processor-kwargs", json.dumps({"max_dynamic_patch": order.max_tiles}), "--trust-remote-code"]
    return command + _revision(subject)


def _sglang(order: Order) -> list[str]:
    subject = order.subject
    command = ["serve", "--model-path", subject.place, "--host", order.host, "--port", str(order.port)]
    command += ["--served-model-name", _name(subject), "--tp", str(order.cards), "--context-length", str(order.length)]
    return command + _revision(subject) + (["--trust-remote-code"] if subject.code else [])


def _llamacpp(order: Order) -> list[str]:
    return [
        order.subject.place, "--host", order.host, "--port", str(order.port),
        "--context", str(order.context or _LLAMACPP_CONTEXT),
    ]  # fmt: skip


_OWN: Final = "in an environment of its own whose bin folder is on PATH"

SERVERS: Final[Mapping[ServerName, Server]] = MappingProxyType(
    {
        "lmdeploy": Server("LMDeploy", "lmdeploy", _lmdeploy, f"make lmdeploy-env, or pip install lmdeploy {_OWN}"),
        "vllm": Server("vLLM", "vllm", _vllm, f"pip install vllm {_OWN}"),
        "sglang": Server("SGLang", "sglang", _sglang, f"pip install sglang {_OWN}"),
        "llamacpp": Server(
            "llama.cpp", "llama-server", _llamacpp, "pip install 'foveate[llamacpp]', or llama-server on PATH"
        ),
    }
)
"""By name; of those that can serve a model, the first that is installed is taken."""


def refusal(name: ServerName, order: Order) -> str:
    """Say why a server cannot serve a model; empty where it can."""
    subject, title = order.subject, SERVERS[name].title
    if name == "llamacpp":
        if not subject.gguf:
            return (
                f"llama.cpp serves GGUF, and {subject.model} is none: foveate convert {subject.model} --to gguf "
                "--out DIR writes it from a small checkpoint"
            )
        return "" if not order.flash else "llama.cpp has no router: leave flash out"
    if subject.gguf:
        return f"{title} does not serve the GGUF of {subject.model}: take llamacpp"
    if subject.model in BUNDLED:
        return (
            f"the bundled model {subject.model!r} is served from GGUF: foveate convert {subject.model} --to gguf "
            "--out DIR, then foveate serve DIR"
        )
    if name == "lmdeploy":
        try:
            check_lmdeploy(subject, flash=order.flash, backend=None)
        except ModelUnavailable as error:
            return str(error)
        return ""
    if subject.router:
        return f"{title} has no router, which {subject.model} cannot do without: LMDeploy alone serves Flash"
    if order.flash:
        return f"{subject.model} cannot run Flash: it has no router. Take one whose name ends in -Flash"
    if subject.gpt_oss and name != "vllm":
        return f"{title} was never seen to serve {subject.model}: its makers serve it with vLLM"
    return ""


def choose(order: Order, asked: ServerName | None) -> ServerName:
    """Choose a server for a model.

    Args:
        order: How it is to be served.
        asked: The one that is wanted; None is the best that is installed.

    Raises:
        UsageError: If none can serve it, or not the one that is wanted.
    """
    if asked is not None:
        if reason := refusal(asked, order):
            raise UsageError(reason)
        return asked
    order_of_choice: tuple[ServerName, ...] = ("llamacpp",) if order.subject.gguf else ("lmdeploy", "vllm", "sglang")
    able = [name for name in order_of_choice if not refusal(name, order)]
    if not able:
        raise UsageError(refusal(order_of_choice[0], order))
    return next((name for name in able if program(name) is not None), able[0])


def check_order(name: ServerName, order: Order) -> None:
    """Check that a model can be spread as is wanted, and that a picture of so many tiles fits into the context.

    Raises:
        UsageError: If not; names the numbers and the remedies.
    """
    if name == "llamacpp" and (order.tp or 1) > 1:
        raise UsageError(f"--tp {order.tp}: llama.cpp spreads no model over a number of GPUs: leave it out")
    if order.subject.size is not None and not order.subject.size.language.parts_among(order.cards):
        language = order.subject.size.language
        best = next(count for count in range(order.cards - 1, 0, -1) if language.parts_among(count))
        raise UsageError(
            f"--tp {order.cards}: the {language.heads} heads of {order.subject.model} ({language.shared} of keys and "
            f"values) cannot be parted among so many GPUs: say --tp {best}"
        )
    tiles, room = order.max_tiles + (order.max_tiles > 1), _room_of(order.subject)
    wanted = order.length if name != "llamacpp" else order.context or _LLAMACPP_CONTEXT
    length, needed = min(wanted, room.most), tiles * room.tile
    if needed + _LEAST <= length:
        return
    remedies = []
    if needed + _LEAST <= room.most:
        remedies.append(f"--context {min(-(-(needed + _TEXT) // _STEP) * _STEP, room.most)}")
    if (fewer := (length - _LEAST) // room.tile) > 0:
        remedies.append(f"--max-tiles {max(fewer - 1, 1)}")  # a thumbnail comes to several
    raise UsageError(
        f"a picture of {tiles} tiles is {needed} tokens, and with its prompt it does not fit into a context of "
        f"{length}: " + (f"say {', or '.join(remedies)}" if remedies else "take a model with a longer one")
    )


class _Room(NamedTuple):
    """Tokens of a tile, and the most that a prompt and its answer may have."""

    tile: int
    most: int


def _room_of(subject: Servable) -> _Room:
    """Say what a model's pictures take; files that cannot be read are the server's to refuse."""
    if subject.size is not None:
        return _Room(subject.size.tower.tokens, subject.context)
    with suppress(CheckpointError, ModelUnavailable, MissingDependency):
        from foveate.policies.engines.llamacpp_files import find, read

        files = read(*find(subject.model))
        return _Room(files.tokens_per_tile, files.context)
    return _Room(_TILE_TOKENS, subject.context)


def unheeded(name: ServerName, order: Order) -> str:
    """Say what a server makes of a tile budget that it cannot be told when it starts; empty where it can."""
    subject = order.subject
    if order.max_tiles == subject.tiles or (name == "vllm" and subject.code):
        return ""
    title = SERVERS[name].title
    if name == "llamacpp" or not subject.code:
        return (
            f"{title} is told no tile budget for this model and cuts pictures as its files say: --max-tiles "
            f"{order.max_tiles} only says what the context has to hold."
        )
    return (
        f"{title} takes a tile budget with each picture, not when it starts: --max-tiles {order.max_tiles} only says "
        f"what the context has to hold; foveate run --tiles {order.max_tiles} sends it with each."
    )


def program(name: ServerName) -> list[str] | None:
    """Find a server's program on PATH, beside this interpreter, or in LMDeploy's own environment; None without one."""
    if name == "llamacpp":
        if importlib.util.find_spec("xllamacpp") is not None:
            # -P: whatever Python files lie in the folder where the command was given are not imported
            return [sys.executable, "-P", "-m", "foveate.policies.engines.llamacpp_server"]
        found = shutil.which(SERVERS[name].program)
        return [found] if found else None
    here = Path(sys.executable).parent
    places = [None, str(here), str(here.parent.parent / ".venv-lmdeploy" / "bin")]
    found = next((path for place in places if (path := shutil.which(SERVERS[name].program, path=place))), None)
    return [found] if found else None


def command_of(name: ServerName, order: Order, *, program: str | list[str]) -> list[str]:
    """Write the command line that starts a server.

    Args:
        name: Which.
        order: How the model is to be served.
        program: Its program, with what comes before the arguments.
    """
    begun = [program] if isinstance(program, str) else program
    if name == "llamacpp" and len(begun) == 1:
        return begun + _llama_server(order)
    return begun + SERVERS[name].command(order)


def _llama_server(order: Order) -> list[str]:
    """Write the arguments of llama.cpp's own binary."""
    from foveate.policies.engines.llamacpp_files import find, read
    from foveate.policies.engines.llamacpp_server import TEMPLATE, alias

    files = read(*find(order.subject.model))
    return [
        "--model", str(files.model), "--mmproj", str(files.vision), "--alias", alias(files), "--host", order.host,
        "--port", str(order.port), "--ctx-size", str(order.context or min(files.context, _LLAMACPP_CONTEXT)), "--jinja",
        "--chat-template", TEMPLATE, "--no-prefill-assistant", "--reasoning-format", "none",
    ]  # fmt: skip


def _name(subject: Servable) -> str:
    """Name a model as it was named here, a folder by its last part."""
    return subject.place if subject.hub is not None else Path(subject.place).resolve().name


def _revision(subject: Servable) -> list[str]:
    return ["--revision", subject.hub.revision] if subject.hub is not None and subject.hub.revision else []
