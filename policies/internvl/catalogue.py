"""InternVL3.5 by size: what each checkpoint is called, made of and takes, worked out from its dimensions.

Dimensions are those of Table 1 of the paper (arXiv 2508.18265) and of the language models' own configurations; the
totals that follow from them are the paper's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from foveate.policies.internvl.hub import HubId

Number: TypeAlias = Literal["bf16", "fp8", "int4"]
"""How the language model's matrices are kept; vision tower, projector and embeddings stay in bf16."""

STAGES: Final = ("", "-Pretrained", "-Instruct", "-MPO")
"""Ends of the ids of one size: after reinforcement learning, and after each stage before it."""

_BYTES: Final[Mapping[Number, float]] = MappingProxyType({"bf16": 2.0, "fp8": 1.0, "int4": 0.5625})
"""Bytes a weight; int4 with a 16-bit scale and zero point for every 64."""

ROOM: Final = 1.15
"""An engine needs so many times the bytes of weights and cache: activations, buffers."""


@dataclass(frozen=True, slots=True)
class Tower:
    """A vision tower.

    Attributes:
        name: What it is called.
        width: Of its hidden states.
        layers: How many.
        inner: Width within a feed-forward part.
        biased: Whether query, key and value have a bias.
        normed: Whether queries and keys are normalised.
        centred: Whether its norms subtract the mean, and so have a bias.
        tile: Side of a tile, pixels.
        patch: Side of a patch, pixels.
    """

    name: str
    width: int
    layers: int
    inner: int
    biased: bool
    normed: bool
    centred: bool
    tile: int = 448
    patch: int = 14

    @property
    def tokens(self) -> int:
        """Give the visual tokens of a tile."""
        return (self.tile // self.patch // 2) ** 2

    @property
    def parameters(self) -> int:
        """Count its weights."""
        width, inner = self.width, self.inner
        norm = width * (2 if self.centred else 1)
        attention = 4 * width * width + width + (3 * width if self.biased else 0) + (2 * width if self.normed else 0)
        layer = attention + 2 * width * inner + inner + width + 2 * norm + 2 * width
        patches = (self.tile // self.patch) ** 2
        return self.layers * layer + (3 * self.patch**2 + 1) * width + (patches + 2) * width


@dataclass(frozen=True, slots=True)
class Language:
    """A language model.

    Attributes:
        name: What it is called.
        width: Of its hidden states.
        layers: How many.
        heads: Of queries.
        shared: Heads of keys and values.
        head: Width of a head.
        inner: Width within a feed-forward part, or within an expert's.
        experts: How many a layer; 0 is a plain feed-forward part.
        chosen: Experts that a token goes through.
        vocabulary: Tokens.
        biased: Whether its matrices have biases (GPT-OSS).
    """

    name: str
    width: int
    layers: int
    heads: int
    shared: int
    inner: int
    head: int = 128
    experts: int = 0
    chosen: int = 0
    vocabulary: int = 151_936
    biased: bool = False

    def layer(self, experts: int) -> int:
        """Count the weights of a layer with so many experts."""
        width = self.width
        bias = 1 if self.biased else 0
        outer = (self.heads + 2 * self.shared) * self.head
        attention = width * outer + bias * outer + self.heads * self.head * width + bias * width
        norms = 2 * width + (self.heads if self.biased else 2 * self.head)  # GPT-OSS has sinks in place of norms
        part = 3 * width * self.inner + bias * (2 * self.inner + width)
        return attention + norms + max(experts, 1) * part + (width + bias) * self.experts

    @property
    def matrices(self) -> int:
        """Count the weights of its layers."""
        return self.layers * self.layer(self.experts)

    @property
    def parameters(self) -> int:
        """Count its weights; the embeddings of input and output are two."""
        return self.matrices + 2 * self.vocabulary * self.width + self.width

    @property
    def active(self) -> int:
        """Count the weights that a token goes through, embeddings left out."""
        return self.layers * self.layer(self.chosen)

    def parts_among(self, gpus: int) -> bool:
        """Tell whether tensor parallelism can part attention so; a head of keys and values may lie on several GPUs."""
        shared = self.shared % gpus == 0 or gpus % self.shared == 0
        return self.heads % gpus == 0 and shared

    @property
    def cache_bytes(self) -> int:
        """Give the bytes of keys and values that a token of context takes, in 16 bits."""
        return 2 * 2 * self.layers * self.shared * self.head


SMALL_TOWER: Final = Tower("InternViT-300M", 1024, 24, 4096, biased=True, normed=False, centred=True)
LARGE_TOWER: Final = Tower("InternViT-6B", 3200, 45, 12800, biased=False, normed=True, centred=False)


@dataclass(frozen=True, slots=True)
class Size:
    """One size of InternVL3.5.

    Attributes:
        name: As in its ids.
        tower: What it sees with.
        language: What it reads and writes with.
        gpus: Graphics cards of 80 GB that its makers serve it on.
        flash: Whether its makers list a checkpoint with a router.
        hearsay: Whether others alone speak of one: its id is known, and nothing offers it.
        suffix: What its ids have after the name.
        own: The id or folder of a checkpoint that is none of InternVL3.5's; empty otherwise.
    """

    name: str
    tower: Tower
    language: Language
    gpus: int = 1
    flash: bool = True
    hearsay: bool = False
    suffix: str = ""
    own: str = ""

    @property
    def id(self) -> str:
        """Its id on Hugging Face and ModelScope alike, in GitHub's layout."""
        return self.own or f"OpenGVLab/InternVL3_5-{self.name}{self.suffix}"

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id of this size: its stages in both layouts, and Flash."""
        if self.suffix:
            return (self.id, f"{self.id}-HF")
        stages = [f"{self.id}{stage}{layout}" for stage in STAGES for layout in ("", "-HF")]
        return (*stages, f"{self.id}-Flash") if self.flash or self.hearsay else tuple(stages)

    @property
    def projector(self) -> int:
        """Count the weights between tower and language model."""
        channels, width = 4 * self.tower.width, self.language.width
        return 2 * channels + (channels + 1) * width + (width + 1) * width

    @property
    def router(self) -> int:
        """Count the weights that its Flash checkpoint has beside: pooling, gate and the second projector."""
        seen, width = self.tower.width, self.language.width
        pooling = seen + 4 * (4 * seen * seen + 4 * seen + 2 * seen)
        gate = 4 * (8 * seen * seen + 5 * seen + 2 * seen) + 2 * seen + 2 * seen + 2
        channels = 16 * seen
        second = 2 * channels + (channels + 1) * 2 * width + (2 * width + 1) * 2 * width + (2 * width + 1) * width
        return pooling + gate + second

    @property
    def parameters(self) -> int:
        """Count its weights, without a router."""
        return self.tower.parameters + self.projector + self.language.parameters

    def memory(self, number: Number, *, tiles: int = 12, text: int = 4096, flash: bool = False) -> int:
        """Give the bytes that weights and one request's keys and values take; what an engine takes itself comes on top.

        Args:
            number: How the language model's matrices are kept.
            tiles: Greatest number of tiles of its picture; a thumbnail is added where there are several.
            text: Tokens of prompt and answer beside the picture.
            flash: Count the router, too.
        """
        kept = self.parameters - self.language.matrices + (self.router if flash else 0)
        weights = 2 * kept + round(_BYTES[number] * self.language.matrices)
        tokens = (tiles + (1 if tiles > 1 else 0)) * self.tower.tokens + text
        return weights + tokens * self.language.cache_bytes


SIZES: Final[Mapping[str, Size]] = MappingProxyType(
    {
        size.name: size
        for size in (
            Size("1B", SMALL_TOWER, Language("Qwen3-0.6B", 1024, 28, 16, 8, 3072)),
            Size("2B", SMALL_TOWER, Language("Qwen3-1.7B", 2048, 28, 16, 8, 6144)),
            Size("4B", SMALL_TOWER, Language("Qwen3-4B", 2560, 36, 32, 8, 9728)),
            Size("8B", SMALL_TOWER, Language("Qwen3-8B", 4096, 36, 32, 8, 12288)),
            Size("14B", SMALL_TOWER, Language("Qwen3-14B", 5120, 40, 40, 8, 17408)),
            Size("38B", LARGE_TOWER, Language("Qwen3-32B", 5120, 64, 64, 8, 25600), gpus=2),
            Size(
                "GPT-OSS-20B-A4B",
                SMALL_TOWER,
                Language(
                    "GPT-OSS-20B", 2880, 24, 64, 8, 2880, head=64, experts=32, chosen=4, vocabulary=201_088, biased=True
                ),
                flash=False,
                suffix="-Preview",
            ),
            Size("30B-A3B", SMALL_TOWER, Language("Qwen3-30B-A3B", 2048, 48, 32, 4, 768, experts=128, chosen=8)),
            Size(
                "241B-A28B",
                LARGE_TOWER,
                Language("Qwen3-235B-A22B", 4096, 94, 64, 4, 1536, experts=128, chosen=8),
                gpus=8,
                flash=False,
                hearsay=True,
            ),
        )
    }
)
"""By name, as in the ids."""


def name_of(model: str) -> str:
    """Give the last part of an id without its revision, or of a folder's path."""
    hub_id = HubId.read(model)
    return (model if hub_id is None else hub_id.name).rstrip("/").rpartition("/")[2].partition("@")[0]


def size_of(model: str) -> Size | None:
    """Give the size that an id, or the name of a downloaded folder, is of; None where it is no InternVL3.5."""
    name = name_of(model)
    for size in SIZES.values():
        if any(name == known.rpartition("/")[2] for known in size.ids):
            return size
    return None
