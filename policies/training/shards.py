"""Screens packed into tar files: ``N.webp`` (lossless) and ``N.json`` a screen, readable by any tar program.

Fractions are written as whole numbers of ten-thousandths. A shard is written beside its name and moved there when it
is complete, so that an interrupted run leaves no half shard.
"""

import contextlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from foveate.actions.errors import UsageError
from foveate.policies.training.screens import Element, Glyph, Question, Screen, Text

_UNIT = 10_000


def write_shard(path: Path, screens: Iterable[Screen]) -> int:
    """Write screens into one file.

    Args:
        path: The file; its folder is made where it is missing.
        screens: What to write.

    Returns:
        How many there were.

    Raises:
        UsageError: If it cannot be written: no room, or not allowed there.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        count = _write(part, screens)
        part.replace(path)
    except OSError as exc:
        raise UsageError(f"{path} cannot be written: {exc.strerror or exc}: free space or choose a folder") from exc
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return count


def _write(part: Path, screens: Iterable[Screen]) -> int:
    count = 0
    with tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as tar:
        for screen in screens:
            picture = io.BytesIO()
            Pillow.fromarray(screen.image).save(picture, "WEBP", lossless=True, quality=50, method=1)
            _add(tar, f"{count:06d}.webp", picture.getvalue())
            _add(tar, f"{count:06d}.json", json.dumps(_as_data(screen), separators=(",", ":")).encode())
            count += 1
    return count


def read_shard(path: Path) -> Iterator[Screen]:
    """Read the screens of one file, in their order.

    Raises:
        UsageError: If it is no shard, or is broken.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            picture = b""
            for member in tar:
                content = tar.extractfile(member)
                if content is None:
                    continue
                if member.name.endswith(".webp"):
                    picture = content.read()
                else:
                    yield screen_of(picture, content.read())
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError) as exc:
        raise UsageError(f"{path} is no shard of screens: {exc}: make it again with foveate data make") from exc


def screen_of(picture: bytes, text: bytes) -> Screen:
    """Make a screen of its two files.

    Raises:
        OSError, ValueError, KeyError, TypeError: If they are broken.
    """
    return _of_data(json.loads(text), picture)


def shards_in(folder: Path) -> tuple[Path, ...]:
    """List a folder's shards, by name.

    Raises:
        UsageError: If there is none.
    """
    found = tuple(sorted(folder.glob("*.tar")))
    if not found:
        raise UsageError(f"{folder} holds no shards (*.tar): make some with foveate data make --out {folder}")
    return found


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _whole(values: Iterable[float]) -> list[int]:
    return [round(value * _UNIT) for value in values]


def _as_data(screen: Screen) -> dict[str, Any]:
    return {
        "texts": [
            [text.text, _whole(text.extent), "".join(glyph.char for glyph in text.glyphs), _places(text)]
            for text in screen.texts
        ],
        "elements": [
            [one.role, one.name, _whole(one.box), _whole(one.aim), one.texts, dict(one.facts)]
            for one in screen.elements
        ],
        "questions": [
            [one.task, one.operation, one.call, one.element, one.operations, one.notes] for one in screen.questions
        ],
        "facts": dict(screen.facts),
    }  # fmt: skip


def _of_data(data: dict[str, Any], picture: bytes) -> Screen:
    return Screen(
        np.asarray(Pillow.open(io.BytesIO(picture)).convert("RGB")),
        tuple(_text(*given) for given in data["texts"]),
        tuple(
            Element(role, name, _box(box), (aim[0] / _UNIT, aim[1] / _UNIT), tuple(texts), facts)
            for role, name, box, aim, texts, facts in data["elements"]
        ),
        tuple(
            Question(task, operation, call, element, tuple(operations), tuple(notes))
            for task, operation, call, element, operations, notes in data["questions"]
        ),
        data["facts"],
    )


def _places(text: Text) -> list[int]:
    """Give the characters' places: x and y of each, or every x and then y once where they stand in one line."""
    across, down = _whole(glyph.x for glyph in text.glyphs), _whole(glyph.y for glyph in text.glyphs)
    if len(set(down)) == 1:
        return [*across, down[0]]
    return [value for place in zip(across, down, strict=True) for value in place]


def _text(text: str, extent: list[int], chars: str, places: list[int]) -> Text:
    values = [value / _UNIT for value in places]
    across, down = values[::2], values[1::2]
    if len(values) == len(chars) + 1:
        across, down = values[:-1], values[-1:] * len(chars)
    glyphs = tuple(Glyph(char, x, y) for char, x, y in zip(chars, across, down, strict=True))
    return Text(text, glyphs, _box(extent))


def _box(values: list[int]) -> tuple[float, float, float, float]:
    left, top, right, bottom = values
    return left / _UNIT, top / _UNIT, right / _UNIT, bottom / _UNIT
