"""Samples to tensors: questions packed behind one picture, and what every objective wants to hear."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from foveate.policies.internvl.short_prompts import PREFILL, SYSTEM, short_user_prompt
from foveate.policies.training.architecture import Shape
from foveate.policies.training.samples import Label, Question, Sample
from foveate.policies.training.tokenizer import COORDINATES, build_tokenizer

SLOTS: Final = 3
"""Characters that a patch can be said to hold."""

CHARS: Final = 96
"""Classes of a character: none, then ASCII from ``!``."""

NO_CHAR: Final = 0
IGNORED: Final = -100


@dataclass(slots=True)
class Batch:
    """Tensors of some samples; B pages, S tokens a page, the rest as named.

    Attributes:
        pixels: uint8 (B, 3, tile, tile).
        chars: int64 (B, patches, slots), which characters stand in a patch, ``NO_CHAR`` for none.
        centres: float32 (B, patches, 2), centre of the label that a patch shows a part of; NaN where none.
        places: float32 (B, cells, 2), the same for each visual token, its own centre where there is no label.
        ids: int64 (B, S), tokens; questions stand behind one another.
        positions: int64 (B, S), each question's go on from the picture.
        mask: float32 (B, 1, S, S), 0 where a token may look, else very low: no question sees another.
        answers: int64 (B, S), the next token where it is an answer's, else ``IGNORED``.
        points: float32 (B, S), the coordinate that is to be said next, 0 to 1; NaN elsewhere.
        aligned: int64 (B, S), for a character of a named label the cell where it stands, else ``IGNORED``.
        pointed: int64 (n, 2), page and token at which the named label is to be looked for.
        cells: bool (n, cells), where that label stands.
    """

    pixels: Tensor
    chars: Tensor
    centres: Tensor
    places: Tensor
    ids: Tensor
    positions: Tensor
    mask: Tensor
    answers: Tensor
    points: Tensor
    aligned: Tensor
    pointed: Tensor
    cells: Tensor


@lru_cache(maxsize=1)
def _tokenizer() -> Tokenizer:
    backend: Tokenizer = build_tokenizer().backend_tokenizer
    return backend


def _id(token: str) -> int:
    number = _tokenizer().token_to_id(token)
    if number is None:
        raise ValueError(f"the tokenizer has no token {token!r}")
    return number


@lru_cache(maxsize=8)
def prefix_ids(tokens: int) -> tuple[int, ...]:
    """Give the ids up to the end of a picture of so many visual tokens, as the engine lays them out."""
    start, end, newline = _id("<|im_start|>"), _id("<|im_end|>"), _tokenizer().encode("\n").ids
    system, user = _tokenizer().encode(f"system\n{SYSTEM}").ids, _tokenizer().encode("user\n").ids
    picture = [_id("<img>"), *[_id("<IMG_CONTEXT>")] * tokens, _id("</img>")]
    return (start, *system, end, *newline, start, *user, *picture)


@lru_cache(maxsize=8)
def first_visual(tokens: int) -> int:
    """Give the index of the first visual token."""
    return prefix_ids(tokens).index(_id("<IMG_CONTEXT>"))


def cell_of(x: float, y: float, side: int) -> int:
    """Give the number of the cell that a place lies in, row by row; places outside count as the nearest."""
    return max(min(int(y * side), side - 1), 0) * side + max(min(int(x * side), side - 1), 0)


@dataclass(slots=True)
class Suffix:
    """A question behind the picture: its ids, and per token what is wanted (as in Batch)."""

    ids: list[int]
    answers: list[int]
    points: list[float]
    aligned: dict[int, int] = field(default_factory=dict)
    pointers: list[int] = field(default_factory=list)


def lay_out(question: Question, labels: Sequence[Label], side: int) -> Suffix:
    """Lay out one question and its answer; ``answers[i]`` is what follows token i.

    Args:
        question: Its answer goes on from the prefill.
        labels: The page's.
        side: Cells along a side of the page.
    """
    text = "\n" + short_user_prompt(question.task, question.operations, question.notes)
    asked, newline = _tokenizer().encode(text), _tokenizer().encode("\n").ids
    opening = _tokenizer().encode("assistant\n" + PREFILL).ids
    head = [*asked.ids, _id("<|im_end|>"), *newline, _id("<|im_start|>"), *opening]
    said = [*_tokenizer().encode(question.answer).ids, _id("<|im_end|>")]
    ids = head + said
    suffix = Suffix(ids, [IGNORED] * len(ids), [float("nan")] * len(ids))
    suffix.answers[len(head) - 1 : len(ids) - 1] = said
    if question.label is None:
        return suffix
    label = labels[question.label]
    places = _glyphs_in(text, label)
    for index, (left, right) in enumerate(asked.offsets):
        if right == left + 1 and left in places:
            suffix.aligned[index] = cell_of(*places[left], side)
    first = _id(COORDINATES[0])
    numbers = [at for at in range(len(head), len(ids)) if first <= ids[at] < first + len(COORDINATES)]
    for number, value in zip(numbers, label.centre, strict=True):
        suffix.points[number - 1] = value
    suffix.pointers = [len(head) - 1, *(number - 1 for number in numbers)]
    return suffix


def _glyphs_in(text: str, label: Label) -> dict[int, tuple[float, float]]:
    """Find a label in the task of a prompt: offset of each of its characters, with the place where it stands."""
    begin = text.find(label.text)
    if begin < 0:
        return {}
    at = [offset for offset, char in enumerate(label.text, begin) if char != " "]
    return {offset: (glyph.x, glyph.y) for offset, glyph in zip(at, label.glyphs, strict=True)}


def _read(labels: Sequence[Label], shape: Shape) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Give the targets of characters and centres (patches) and of places (cells)."""
    chars = np.full((shape.patches**2, SLOTS), NO_CHAR, np.int64)
    centres = np.full((shape.patches**2, 2), np.nan, np.float32)
    grid = (np.arange(shape.cells, dtype=np.float32) + 0.5) / shape.cells
    places = np.stack([np.tile(grid, shape.cells), np.repeat(grid, shape.cells)], -1)
    for label in labels:
        for glyph in label.glyphs:
            patch = cell_of(glyph.x, glyph.y, shape.patches)
            free = int(np.argmax(chars[patch] == NO_CHAR))
            if chars[patch, free] == NO_CHAR and 0x20 < ord(glyph.char) < 0x7F:
                chars[patch, free] = ord(glyph.char) - 0x20
            centres[patch] = label.centre
            if label.whole:
                places[cell_of(glyph.x, glyph.y, shape.cells)] = label.centre
    return chars, centres, places


def _cells_of(label: Label, side: int) -> Tensor:
    wanted = torch.zeros(side * side, dtype=torch.bool)
    for glyph in label.glyphs:
        wanted[cell_of(glyph.x, glyph.y, side)] = True
    return wanted


def collate(samples: Sequence[Sample], shape: Shape | None = None) -> Batch:
    """Make one batch of some samples."""
    shape = shape or Shape()
    side = shape.cells
    prefix = prefix_ids(side * side)
    read = [_read(sample.labels, shape) for sample in samples]
    laid = [[lay_out(question, sample.labels, side) for question in sample.questions] for sample in samples]
    size, length = len(samples), len(prefix) + max(sum(len(part.ids) for part in parts) for parts in laid)
    ids, positions = (torch.zeros(size, length, dtype=torch.int64) for _ in range(2))
    answers, aligned, groups = (torch.full((size, length), value) for value in (IGNORED, IGNORED, -1))
    points = torch.full((size, length), float("nan"))
    pointed, cells = [], []
    for row, (sample, parts) in enumerate(zip(samples, laid, strict=True)):
        at = len(prefix)
        ids[row, :at], positions[row, :at], groups[row, :at] = torch.tensor(prefix), torch.arange(at), 0
        for number, (part, question) in enumerate(zip(parts, sample.questions, strict=True), 1):
            here = slice(at, at + len(part.ids))
            ids[row, here] = torch.tensor(part.ids)
            positions[row, here] = torch.arange(len(prefix), len(prefix) + len(part.ids))
            groups[row, here] = number
            answers[row, here], points[row, here] = torch.tensor(part.answers), torch.tensor(part.points)
            for index, cell in part.aligned.items():
                aligned[row, at + index] = cell
            if question.label is not None:
                pointed += [(row, at + pointer) for pointer in part.pointers]
                cells += [_cells_of(sample.labels[question.label], side)] * len(part.pointers)
            at += len(part.ids)
    return Batch(
        pixels=torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2).contiguous(),
        chars=torch.from_numpy(np.stack([item[0] for item in read])),
        centres=torch.from_numpy(np.stack([item[1] for item in read])),
        places=torch.from_numpy(np.stack([item[2] for item in read])),
        ids=ids,
        positions=positions,
        mask=_mask(groups),
        answers=answers,
        points=points,
        aligned=aligned,
        pointed=torch.tensor(pointed, dtype=torch.int64).reshape(-1, 2),
        cells=torch.stack(cells) if cells else torch.zeros(0, side * side, dtype=torch.bool),
    )


def _mask(groups: Tensor) -> Tensor:
    """Let every token see what stands before it in its own question and in the common beginning."""
    length = groups.shape[1]
    own = groups[:, :, None] == groups[:, None, :]
    common = (groups == 0)[:, None, :]
    seen = (own | common) & torch.ones(length, length, dtype=torch.bool).tril()
    return torch.zeros(seen.shape).masked_fill(~seen, -1e9)[:, None]
