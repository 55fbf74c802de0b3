"""What is to be known of a model before LMDeploy or a server is given it, from its id or its configuration alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from foveate.actions.errors import CheckpointError, UsageError
from foveate.actions.paths import at_home
from foveate.policies.internvl.catalogue import Size, size_of
from foveate.policies.internvl.checkpoint import find_config, hub_id_of, read_json
from foveate.policies.internvl.described import described
from foveate.policies.internvl.hub import HubId
from foveate.policies.internvl.layouts import Layout, is_flash, layout_of

_CONTEXT: Final = 32_768
_TILES: Final = 12


@dataclass(frozen=True, slots=True)
class Servable:
    """A model that something else than the torch engine is to serve.

    Attributes:
        model: As it was named: a folder, a file or a hub id.
        size: What it is made of; None for GGUF files.
        layout: Whose configuration and names its files bear; None for GGUF files.
        router: Whether it is a Flash checkpoint.
        flash: Whether its router is on where nobody says otherwise.
        context: Greatest number of tokens of a prompt and its answer together.
        tiles: Tiles a picture by its own configuration, the thumbnail not counted.
        hub: Where it is downloaded from; None where it lies on this machine.
    """

    model: str
    size: Size | None = None
    layout: Layout | None = None
    router: bool = False
    flash: bool = False
    context: int = _CONTEXT
    tiles: int = _TILES
    hub: HubId | None = None

    @property
    def place(self) -> str:
        """What others find it by: its path, or its id without a revision.

        Raises:
            UsageError: If it is ModelScope's, which they find by settings of their own alone.
        """
        if self.hub is None:
            return str(at_home(self.model))
        if self.hub.modelscope:
            pinned = f" --revision {self.hub.revision}" if self.hub.revision else ""
            raise UsageError(
                f"{self.model} is at ModelScope: pip install modelscope, then modelscope download --model "
                f"{self.hub.name}{pinned} --local_dir DIR, and name DIR"
            )
        return self.hub.name

    @property
    def gguf(self) -> bool:
        """Whether it is files for llama.cpp."""
        return self.layout is None

    @property
    def gpt_oss(self) -> bool:
        """Whether its language model is GPT-OSS."""
        return self.size is not None and self.size.language.biased

    @property
    def code(self) -> bool:
        """Whether its configuration is Python code of its repository, which LMDeploy, vLLM and SGLang run."""
        return self.layout == "github"

    @property
    def gpus(self) -> int:
        """Graphics cards of 80 GB that it is served on: a power of two, as tensor parallelism wants it."""
        needed = 1 if self.size is None else self.size.gpus
        return 1 << max(needed - 1, 0).bit_length()


def most_cards(count: int) -> int:
    """Give the greatest number of so many graphics cards (1 or more) that a model can be spread over."""
    return 1 << count.bit_length() - 1


def servable(model: str | Path) -> Servable:
    """Look at a model; loads nothing, and of a hub's model that the catalogue lacks downloads the configuration alone.

    Raises:
        ModelUnavailable: If there is no such model.
        CheckpointError: If its configuration is none of InternVL's.
    """
    name = str(model)
    path = at_home(name)
    if path.suffix == ".gguf" or (path.is_dir() and any(path.glob("*.gguf")) and not (path / "config.json").exists()):
        return Servable(name)
    hub = hub_id_of(model)
    known = size_of(hub.name) if hub is not None else None
    if hub is not None and known is not None:
        router = hub.name.endswith("-Flash")
        layout: Layout | None = "transformers" if hub.name.endswith("-HF") else "github"
        return Servable(name, known, layout, router, flash=router, hub=hub)
    said = find_config(model)
    layout, router = layout_of(said), is_flash(said)
    tiles = _number(said, "max_dynamic_patch", _TILES) if layout == "github" else _processor_tiles(path)
    text = said.get("llm_config" if layout == "github" else "text_config")
    context = _number(text, "max_position_embeddings", _CONTEXT) if isinstance(text, Mapping) else _CONTEXT
    return Servable(
        name, described(model), layout, router, flash=router and bool(said.get("flash_mode", False)),
        context=context, tiles=tiles, hub=hub,
    )  # fmt: skip


def refuse_untrusted(subject: Servable, who: str, *, trusted: bool, how: str) -> None:
    """Refuse a model whose code would have to be run and is not trusted.

    Args:
        subject: The model.
        who: Who would run it.
        trusted: Whether the user trusts it.
        how: What to say to have it run.

    Raises:
        UsageError: If so.
    """
    if not subject.code or trusted:
        return
    known = None if subject.router or subject.size is None or subject.size.own else subject.size
    other = f", or take a checkpoint in transformers' layout ({subject.model}-HF)" if known is not None else ""
    raise UsageError(
        f"{subject.model} is in GitHub's layout: its configuration is Python code of its repository, which {who} "
        f"runs; say {how} if you trust it{other}"
    )


def _processor_tiles(folder: Path) -> int:
    """Read how many tiles a checkpoint in transformers' layout cuts a picture into."""
    for name in ("preprocessor_config.json", "processor_config.json"):
        if not (folder / name).is_file():
            continue
        try:
            said = read_json(folder / name)
        except CheckpointError:
            continue
        own = said.get("image_processor")
        return _number(own if isinstance(own, Mapping) else said, "max_patches", _TILES)
    return _TILES


def _number(said: Mapping[str, Any], name: str, default: int) -> int:
    value = said.get(name)
    return value if isinstance(value, int) and value > 0 else default
