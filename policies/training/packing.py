"""Screens to tensors: questions packed behind one picture, and what every objective wants to hear."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from foveate.policies.internvl.short_prompts import PREFILL, SYSTEM, short_user_prompt
from foveate.policies.training.architecture import Shape
from foveate.policies.training.screens import Box, Element, Glyph, Place, Question, Screen, Text, middle_of
from foveate.policies.training.tokenizer import COORDINATES, build_tokenizer, characters

SLOTS: Final = 4
"""Characters that a patch can be said to hold."""

_CLASSES: Final = {char: number for number, char in enumerate((c for c in characters() if not c.isspace()), 1)}

CHARS: Final = len(_CLASSES) + 1
"""Classes of a character: none, then the tokenizer's characters."""

NO_CHAR: Final = 0
IGNORED: Final = -100


@dataclass(slots=True)
class Batch:
    """Tensors of some screens; B screens, S tokens a screen, the rest as named.

    Attributes:
        pixels: uint8 (B, 3, tile, tile).
        chars: int64 (B, patches, slots), which characters stand in a patch, ``NO_CHAR`` for none.
        centres: float32 (B, patches, 2), where to press what a patch shows a part of; NaN where nothing is.
        places: float32 (B, cells, 2), the same for each visual token; its own centre where there is nothing.
        ids: int64 (B, S), tokens; questions stand behind one another.
        positions: int64 (B, S), each question's go on from the picture.
        groups: int64 (B, S), 0 for the common beginning, then the question's number, -1 beyond the end.
        answers: int64 (B, S), the next token where it is an answer's, else ``IGNORED``.
        points: float32 (B, S), the coordinate that is to be said next, 0 to 1; NaN elsewhere.
        aligned: int64 (B, S), for a character of a named text the cell where it stands, else ``IGNORED``.
        pointed: int64 (n, 2), screen and token at which something on the screen is to be looked for.
        cells: bool (n, cells), where that stands.
    """

    pixels: Tensor
    chars: Tensor
    centres: Tensor
    places: Tensor
    ids: Tensor
    positions: Tensor
    groups: Tensor
    answers: Tensor
    points: Tensor
    aligned: Tensor
    pointed: Tensor
    cells: Tensor

    def __len__(self) -> int:
        """Give the number of screens."""
        return int(self.pixels.shape[0])

    def answered(self) -> int:
        """Give the number of questions, of all its screens."""
        return int(self.groups.clamp(min=0).amax(1).sum())

    def to(self, device: torch.device | str) -> "Batch":
        """Copy to a device, from pinned memory where that is faster."""
        target = torch.device(device)
        if target.type == "cpu":
            return self
        named = {one.name: getattr(self, one.name) for one in fields(self)}
        return Batch(**{name: value.pin_memory().to(target, non_blocking=True) for name, value in named.items()})

    def mask(self) -> Tensor:
        """Give float32 (B, 1, S, S): 0 where a token may look, else very low; no question sees another."""
        own = self.groups[:, :, None] == self.groups[:, None, :]
        common = (self.groups == 0)[:, None, :]
        length = self.groups.shape[1]
        seen = (own | common) & torch.ones(length, length, dtype=torch.bool, device=self.groups.device).tril()
        return torch.zeros(seen.shape, device=seen.device).masked_fill(~seen, -1e9)[:, None]


@lru_cache(maxsize=1)
def _tokenizer() -> Tokenizer:
    backend: Tokenizer = build_tokenizer().backend_tokenizer
    return backend


@lru_cache(maxsize=16)
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


def written_operations(operations: Sequence[str]) -> str:
    """Write previous operations as the policy does."""
    return "\n".join(f"Step {number}: {text}" for number, text in enumerate(operations, 1)) or "None"


@dataclass(slots=True)
class Suffix:
    """A question behind the picture: its ids, and per token what is wanted (as in Batch).

    Attributes:
        pointers: For a token, the cells of what is to be looked for there.
    """

    ids: list[int]
    answers: list[int]
    points: list[float]
    aligned: dict[int, int] = field(default_factory=dict)
    pointers: dict[int, frozenset[int]] = field(default_factory=dict)


def lay_out(question: Question, screen: Screen, side: int) -> Suffix:
    """Lay out one question and its answer; ``answers[i]`` is what follows token i.

    Args:
        question: One of the screen's, or one made of its elements.
        screen: What it is asked about.
        side: Cells along a side of the screen.
    """
    text = "\n" + short_user_prompt(question.task, written_operations(question.operations), question.notes)
    asked, newline = _tokenizer().encode(text), _tokenizer().encode("\n").ids
    opening = _tokenizer().encode("assistant\n" + PREFILL).ids
    head = [*asked.ids, _id("<|im_end|>"), *newline, _id("<|im_start|>"), *opening]
    answer = _tokenizer().encode(question.answer(screen.elements))
    said = [*answer.ids, _id("<|im_end|>")]
    ids = head + said
    suffix = Suffix(ids, [IGNORED] * len(ids), [float("nan")] * len(ids))
    suffix.answers[len(head) - 1 : len(ids) - 1] = said
    spoken = [(len(head) + at, left) for at, (left, right) in enumerate(answer.offsets) if right == left + 1]
    if question.element is None:
        if question.reads:
            _look_there(question, asked.ids, suffix, side)
        _copy(question, screen, suffix, spoken, side)
        return suffix
    element = screen.elements[question.element]
    for index in element.texts:
        for offset, glyph in _named(text, screen.texts[index]).items():
            for at, (left, right) in enumerate(asked.offsets):
                if left == offset and right == left + 1:
                    suffix.aligned[at] = cell_of(glyph.x, glyph.y, side)
        for offset, glyph in _named(question.operation, screen.texts[index]).items():
            for at, left in spoken:
                if left == offset:
                    suffix.aligned[at] = cell_of(glyph.x, glyph.y, side)
    first = _id(COORDINATES[0])
    numbers = [at for at in range(len(head), len(ids)) if first <= ids[at] < first + len(COORDINATES)]
    cells = _cells_of(element, screen.texts, side)
    for number, value in zip(numbers, element.aim, strict=False):
        suffix.points[number - 1] = value
        suffix.pointers[number - 1] = cells
    suffix.pointers[len(head) - 1] = cells
    return suffix


def _look_there(question: Question, asked: Sequence[int], suffix: Suffix, side: int) -> None:
    """Where a task says a place, its last number looks there."""
    first = _id(COORDINATES[0])
    numbers = [at for at, token in enumerate(asked) if first <= token < first + len(COORDINATES)]
    if numbers:
        suffix.aligned[numbers[-1]] = cell_of(*middle_of(question.reads), side)


def _copy(question: Question, screen: Screen, suffix: Suffix, spoken: list[tuple[int, int]], side: int) -> None:
    """Where the answer reads something out that stands in one place, each character is looked for before it."""
    value = question.operation.removeprefix("Answer ")
    if value == question.operation or not value:
        return
    begin = question.operation.index(value)
    if question.reads:
        offsets = [offset for offset, char in enumerate(value, begin) if not char.isspace()]
        glyphs = dict(zip(offsets, question.reads, strict=False))
    else:
        found = [text for text in screen.texts if value in text.text]
        if len(found) != 1:
            return
        glyphs = _named(question.operation, found[0], value)
    for at, left in spoken:
        if left >= begin and left in glyphs:
            suffix.pointers[at - 1] = frozenset((cell_of(glyphs[left].x, glyphs[left].y, side),))


def _named(words: str, text: Text, value: str | None = None) -> dict[int, Glyph]:
    """Find a text (or a part of it) in words, capitals or not: offset of each of its characters, with its glyph."""
    wanted = text.text if value is None else value
    begin = words.casefold().find(wanted.casefold())
    if begin < 0 or not wanted or len(words.casefold()) != len(words):
        return {}
    skipped = sum(not char.isspace() for char in text.text[: text.text.find(wanted)])
    at = [offset for offset, char in enumerate(wanted, begin) if not char.isspace()]
    return dict(zip(at, text.glyphs[skipped : skipped + len(at)], strict=False))


def _inside(place: Place, box: Box) -> bool:
    return box[0] <= place[0] < box[2] and box[1] <= place[1] < box[3]


def _area(element: Element) -> float:
    left, top, right, bottom = element.box
    return (right - left) * (bottom - top)


def _middle(text: Text) -> Place:
    left, top, right, bottom = text.extent
    return (left + right) / 2, (top + bottom) / 2


def _cells_of(element: Element, texts: Sequence[Text], side: int) -> frozenset[int]:
    """Give the cells in which an element is recognised: of its aim, and of its words where they are to be pressed."""
    inside = [text for index in element.texts if _inside(_middle(text := texts[index]), element.box)]
    glyphs = {cell_of(glyph.x, glyph.y, side) for text in inside for glyph in text.glyphs}
    return frozenset({cell_of(*element.aim, side), *glyphs})


def _pressed(screen: Screen) -> dict[int, Place]:
    """Say of each text where to press it: the aim of the smallest element it lies in, else of its only element."""
    found: dict[int, Place] = {}
    owners: dict[int, list[Element]] = {}
    for element in screen.elements:
        for index in element.texts:
            owners.setdefault(index, []).append(element)
    for index, text in enumerate(screen.texts):
        around = [element for element in owners.get(index, ()) if _inside(_middle(text), element.box)]
        around = around or (owners[index] if len(owners.get(index, ())) == 1 else [])
        found[index] = min(around, key=_area).aim if around else _middle(text)
    return found


@dataclass(frozen=True, slots=True)
class _Seen:
    """Targets of what can be seen: characters and centres of patches, places of cells (as in Batch)."""

    chars: NDArray[np.int64]
    centres: NDArray[np.float32]
    places: NDArray[np.float32]


def _seen(screen: Screen, shape: Shape) -> _Seen:
    side, cells = shape.patches, shape.cells
    chars = np.full((side**2, SLOTS), NO_CHAR, np.int64)
    centres = np.full((side, side, 2), np.nan, np.float32)
    grid = (np.arange(cells, dtype=np.float32) + 0.5) / cells
    places = np.stack(np.broadcast_arrays(grid[None, :], grid[:, None]), -1).copy()
    for element in sorted(screen.elements, key=_area, reverse=True):
        left, top, right, bottom = element.box
        centres[_whole(top, bottom, side), _whole(left, right, side)] = element.aim
        places[_whole(top, bottom, cells), _whole(left, right, cells)] = element.aim
    pressed = _pressed(screen)
    flat_centres, flat_places = centres.reshape(-1, 2), places.reshape(-1, 2)
    for index, text in enumerate(screen.texts):
        for glyph in text.glyphs:
            patch = cell_of(glyph.x, glyph.y, side)
            number = _CLASSES.get(glyph.char, NO_CHAR)
            free = int(np.argmax(chars[patch] == NO_CHAR))
            if number != NO_CHAR and chars[patch, free] == NO_CHAR:
                chars[patch, free] = number
            flat_centres[patch] = pressed[index]
            flat_places[cell_of(glyph.x, glyph.y, cells)] = pressed[index]
    for element in screen.elements:
        flat_places[cell_of(*element.aim, cells)] = element.aim
    return _Seen(chars, flat_centres, flat_places)


def _whole(low: float, high: float, side: int) -> slice:
    """Give the cells whose centre lies between two fractions."""
    return slice(max(round(low * side), 0), max(round(high * side), 0))


def _that_fit(parts: Sequence[Suffix], room: int) -> list[Suffix]:
    """Take those that find room beside the ones before them; the first always."""
    kept = list(parts[:1])
    left = room - sum(len(part.ids) for part in kept)
    for part in parts[1:]:
        if len(part.ids) <= left:
            kept.append(part)
            left -= len(part.ids)
    return kept


def pack(screens: Sequence[Screen], shape: Shape | None = None, *, room: int = 0) -> Batch:
    """Make one batch of some screens with their questions.

    Args:
        screens: With pictures of the shape's tile.
        shape: The sizes of the model.
        room: Tokens of a screen's questions and answers: what does not fit is left out, save the first, and what is
            left is padded, so that a batch is as long as the next. 0 keeps them all.
    """
    shape = shape or Shape()
    side = shape.cells
    prefix = prefix_ids(side * side)
    seen = [_seen(screen, shape) for screen in screens]
    laid = [[lay_out(question, screen, side) for question in screen.questions] for screen in screens]
    if room:
        laid = [_that_fit(parts, room) for parts in laid]
    length = len(prefix) + max((room, *(sum(len(part.ids) for part in parts) for parts in laid)))
    size = len(screens)
    ids, positions = (torch.zeros(size, length, dtype=torch.int64) for _ in range(2))
    answers, aligned, groups = (torch.full((size, length), value) for value in (IGNORED, IGNORED, -1))
    points = torch.full((size, length), float("nan"))
    pointed: list[tuple[int, int]] = []
    cells: list[frozenset[int]] = []
    for row, parts in enumerate(laid):
        at = len(prefix)
        ids[row, :at], positions[row, :at], groups[row, :at] = torch.tensor(prefix), torch.arange(at), 0
        for number, part in enumerate(parts, 1):
            here = slice(at, at + len(part.ids))
            ids[row, here] = torch.tensor(part.ids)
            positions[row, here] = torch.arange(len(prefix), len(prefix) + len(part.ids))
            groups[row, here] = number
            answers[row, here], points[row, here] = torch.tensor(part.answers), torch.tensor(part.points)
            for index, cell in part.aligned.items():
                aligned[row, at + index] = cell
            for index, wanted in part.pointers.items():
                pointed.append((row, at + index))
                cells.append(wanted)
            at += len(part.ids)
    wanted_cells = torch.zeros(len(cells), side * side, dtype=torch.bool)
    for number, wanted in enumerate(cells):
        wanted_cells[number, list(wanted)] = True
    return Batch(
        pixels=torch.from_numpy(np.stack([screen.image for screen in screens])).permute(0, 3, 1, 2).contiguous(),
        chars=torch.from_numpy(np.stack([one.chars for one in seen])),
        centres=torch.from_numpy(np.stack([one.centres for one in seen])),
        places=torch.from_numpy(np.stack([one.places for one in seen])),
        ids=ids, positions=positions, groups=groups, answers=answers, points=points, aligned=aligned,
        pointed=torch.tensor(pointed, dtype=torch.int64).reshape(-1, 2), cells=wanted_cells,
    )  # fmt: skip
