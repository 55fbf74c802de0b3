"""A checkpoint's tokenizer as llama.cpp has it, or why it cannot be had.

llama.cpp knows byte-level BPE (its ``gpt2``), where the pre-tokenizer is one of those it has by name, and characters
with byte fallback (its ``llama``). It looks for added tokens longest first, inside words too, where the tokenizers
library goes from left to right and can ask for whole words. In a vocabulary of characters *stand-ins* make up for it: a
spare row of the embedding becomes the copy of a character's row, and whoever writes a prompt writes that one where the
character is to stay a mere character. Every added token holds a character that has a stand-in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from foveate.actions.errors import CheckpointError
from foveate.policies.internvl.checkpoint import read_json

NORMAL, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 3, 4, 5, 6
"""llama.cpp's kinds of tokens."""

STAND_INS: Final = "foveate.tokenizer.stand_ins"
"""Key of a GGUF file: pairs of a character and the one that is written for it."""

WHOLE_WORDS: Final = "foveate.tokenizer.whole_words"
"""Key of a GGUF file: added tokens that are no part of a word."""

_FIRST_STAND_IN: Final = 0x10F000  # private use: no page and no keyboard writes them
_SPACE: Final = "\u2581"
_QWEN2: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen2 and Qwen3 part a text. Source: their ``tokenizer.json``."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What goes into a GGUF file.

    Attributes:
        model: ``gpt2`` (bytes) or ``llama`` (characters).
        pre: llama.cpp's name of the pre-tokenizer.
        tokens: Text by id, one for every row of the embedding.
        types: Kind by id.
        merges: Pairs in order; of bytes only.
        stand_ins: Of each character that has one, the character's own id and its stand-in's.
        whole_words: Added tokens that are no part of a word.
    """

    model: str
    pre: str
    tokens: tuple[str, ...]
    types: tuple[int, ...]
    merges: tuple[str, ...] = ()
    stand_ins: Mapping[str, tuple[int, int]] | None = None
    whole_words: tuple[str, ...] = ()

    def id_of(self, token: str) -> int:
        """Give a token's id; -1 where there is none."""
        return self.tokens.index(token) if token in self.tokens else -1


def vocabulary(folder: Path, rows: int) -> Vocabulary:
    """Read a checkpoint's tokenizer.

    Args:
        folder: The checkpoint's.
        rows: Rows of its embedding.

    Raises:
        CheckpointError: If llama.cpp cannot express it; names what, and the remedy.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise CheckpointError(
            f"{folder} has no tokenizer.json, which alone is exported: save its tokenizer as a fast one"
        )
    said = read_json(path)
    model = said.get("model")
    if not isinstance(model, Mapping) or model.get("type") != "BPE":
        kind = model.get("type") if isinstance(model, Mapping) else model
        raise _inexpressible(path, "model.type", kind, "'BPE'")
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise _inexpressible(path, f"model.{key}", model[key], "none")
    added = [dict(one) for one in said.get("added_tokens") or ()]
    for one in added:
        for key in ("lstrip", "rstrip"):
            if one.get(key):
                raise _inexpressible(path, f"{key} of the added token {one.get('content')!r}", True, "false")
    tokens, types = _listed(path, model["vocab"], added, rows)
    if said.get("pre_tokenizer") is None and model.get("byte_fallback"):
        return _characters(path, said, tokens, types, added)
    return _bytes(path, said, tokens, types, added)


def _listed(
    path: Path, vocab: Mapping[str, int], added: Sequence[Mapping[str, Any]], rows: int
) -> tuple[list[str], list[int]]:
    """Give texts and kinds by id; rows that no token has are marked unused."""
    most = max([*vocab.values(), *(int(one["id"]) for one in added)], default=-1)
    if most >= rows:
        raise CheckpointError(f"{path} has the token id {most}, but the model has {rows} rows")
    tokens = [f"[UNUSED{number}]" for number in range(rows)]
    types = [UNUSED] * rows
    for text, number in vocab.items():
        tokens[number], types[number] = text, NORMAL
    for one in added:
        tokens[int(one["id"])] = str(one["content"])
        types[int(one["id"])] = CONTROL if one.get("special") else USER_DEFINED
    return tokens, types


def _bytes(
    path: Path, said: Mapping[str, Any], tokens: list[str], types: list[int], added: Sequence[Mapping[str, Any]]
) -> Vocabulary:
    """Express byte-level BPE."""
    normalizer = said.get("normalizer")
    if normalizer is not None and normalizer != {"type": "NFC"}:
        raise _inexpressible(path, "normalizer", normalizer, "none, or NFC")
    words = [str(one["content"]) for one in added if one.get("single_word")]
    if words:
        raise _inexpressible(path, f"single_word of the added token {words[0]!r}", True, "false")
    merges = tuple(one if isinstance(one, str) else " ".join(one) for one in said["model"].get("merges") or ())
    if not merges:
        raise CheckpointError(
            f"{path} has no merges: llama.cpp loads no byte-level BPE without one: train it with some"
        )
    return Vocabulary("gpt2", _pre(path, said.get("pre_tokenizer")), tuple(tokens), tuple(types), merges)


def _pre(path: Path, pre: object) -> str:
    """Give llama.cpp's name of a pre-tokenizer."""
    parts = pre.get("pretokenizers", [pre]) if isinstance(pre, Mapping) else []
    split = [part for part in parts if part.get("type") == "Split"]
    level = [part for part in parts if part.get("type") == "ByteLevel" and not part.get("add_prefix_space")]
    if len(level) == 1 and len(parts) == 1 and level[0].get("use_regex", True):
        return "gpt-2"
    if len(level) == 1 and len(split) == 1 and len(parts) == 2 and not level[0].get("use_regex", True):
        how = (split[0].get("pattern"), split[0].get("behavior"), bool(split[0].get("invert")))
        if how == ({"Regex": _QWEN2}, "Isolated", False):
            return "qwen2"
    raise _inexpressible(path, "pre_tokenizer", pre, "GPT-2's ByteLevel or Qwen2's")


def _characters(
    path: Path, said: Mapping[str, Any], tokens: list[str], types: list[int], added: Sequence[Mapping[str, Any]]
) -> Vocabulary:
    """Express characters with byte fallback; spare rows become stand-ins."""
    if said.get("normalizer") is not None:
        raise _inexpressible(path, "normalizer", said["normalizer"], "none")
    if said["model"].get("merges"):
        raise _inexpressible(path, "model.merges", f"{len(said['model']['merges'])} merges", "none without bytes")
    for number in range(256):
        name = f"<0x{number:02X}>"
        if name not in tokens:
            raise CheckpointError(f"{path} has no token {name}: llama.cpp needs all 256 bytes to fall back to")
        types[tokens.index(name)] = BYTE
    plain = {text: number for number, text in enumerate(tokens) if types[number] == NORMAL}
    longer = [text for text in plain if len(text) != 1]
    if longer or _SPACE in plain:
        raise _inexpressible(path, "token", (longer or [_SPACE])[0], "single characters, added tokens and bytes")
    joined = _joined([text for number, text in enumerate(tokens) if types[number] != UNUSED and len(text) > 1])
    if joined:
        raise CheckpointError(
            f"{path}: llama.cpp would join characters to the added token {joined!r} everywhere: leave it out"
        )
    contents = [str(one["content"]) for one in added]
    stand_ins: dict[str, tuple[int, int]] = {}
    spare = [number for number, kind in enumerate(types) if kind == UNUSED]
    chosen = _cover(contents, plain)
    if len(chosen) > len(spare):
        raise CheckpointError(
            f"{path}: the characters {' '.join(map(repr, chosen))} need a spare row of the embedding each, and the "
            f"model has {len(spare)}: give it {len(tokens) + len(chosen) - len(spare)} rows"
        )
    for number, (character, row) in enumerate(zip(chosen, spare, strict=False)):
        tokens[row], types[row] = chr(_FIRST_STAND_IN + number), NORMAL
        stand_ins[character] = (plain[character], row)
    if " " in plain:
        tokens[plain[" "]] = _SPACE
    words = tuple(str(one["content"]) for one in added if one.get("single_word"))
    return Vocabulary("llama", "default", tuple(tokens), tuple(types), (), stand_ins, words)


def _cover(texts: Sequence[str], characters: Mapping[str, int]) -> list[str]:
    """Choose few characters of which every text holds one."""
    left, chosen = [text for text in texts if text], []
    while left:
        found = sorted({one for text in left for one in text if one in characters})
        if not found:
            raise CheckpointError(f"the added token {left[0]!r} holds no character that the tokenizer has")
        best = max(found, key=lambda one: sum(one in text for text in left))
        chosen.append(best)
        left = [text for text in left if best not in text]
    return chosen


def _joined(texts: Sequence[str]) -> str | None:
    """Give a text that neighbours joined in pairs come to, each pair being a token; None where there is none."""
    reached: set[str] = set()
    for text in sorted(texts, key=len):
        for at in range(1, len(text)):
            if all(len(part) == 1 or part in reached for part in (text[:at], text[at:])):
                reached.add(text)
    return min(reached, default=None)


def _inexpressible(path: Path, name: str, value: object, wanted: str) -> CheckpointError:
    said = str(value)
    return CheckpointError(
        f"{path}: {name} is {said[:120]!r}: llama.cpp can express {wanted}; take the torch engine for this checkpoint"
    )
