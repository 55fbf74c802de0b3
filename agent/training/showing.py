"""Show screens that are trained on: boxes, aims, characters, and the questions with their answers beside them."""

import contextlib
import random
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from foveate.actions.errors import UsageError
from foveate.agent.training.asking import ask
from foveate.policies.training.screens import Question, Screen
from foveate.policies.training.shards import read_shard, shards_in

_BESIDE: Final = 660
"""Pixels beside the picture for questions."""

_LINE: Final = 15
_PNG: Final = ".png"
_ENLARGED: Final = 2
_BOX, _AIM, _CHARACTER, _INK = (220, 30, 30), (0, 150, 0), (210, 0, 210), (20, 20, 20)


def screens_of(source: Path) -> Iterator[Screen]:
    """Read a shard, or all shards of a folder.

    Raises:
        UsageError: If there is none, or it is broken.
    """
    if not source.exists():
        raise UsageError(f"{source}: there is no such file or folder: name what foveate data make --out wrote")
    for path in shards_in(source) if source.is_dir() else (source,):
        yield from read_shard(path)


def show(source: Path, out: Path, count: int) -> list[Path]:
    """Draw the first screens of a shard or folder.

    Args:
        source: A shard, or a folder of shards.
        out: A picture, into which all are drawn below each other, or a folder that gets a picture each.
        count: How many screens.

    Returns:
        The pictures written.

    Raises:
        UsageError: If there are no screens, or the pictures cannot be written.
    """
    suffix = out.suffix.lower()
    if suffix != _PNG and suffix in Pillow.registered_extensions() and not out.is_dir():
        raise UsageError(f"--out {out}: pictures are PNG, not {suffix}: give {out.with_suffix(_PNG)}, or a folder")
    sheets = [draw(screen, _asked(screen, number)) for number, screen in enumerate(islice(screens_of(source), count))]
    if not sheets:
        raise UsageError(f"{source} holds no screens: make some with foveate data make")
    if suffix == _PNG:
        whole = Pillow.new("RGB", (max(sheet.width for sheet in sheets), sum(sheet.height for sheet in sheets)))
        top = 0
        for sheet in sheets:
            whole.paste(sheet, (0, top))
            top += sheet.height
        _save(whole, out)
        return [out]
    paths = [out / f"{number:04d}{_PNG}" for number in range(len(sheets))]
    for path, sheet in zip(paths, sheets, strict=True):
        _save(sheet, path)
    return paths


def _save(picture: Pillow.Image, path: Path) -> None:
    """Write a picture whole, or not at all.

    Raises:
        UsageError: If it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(part, "PNG")
        part.replace(path)
    except OSError as exc:
        reason = exc.strerror or exc
        raise UsageError(f"{path} cannot be written: {reason}: free some space or give another --out") from exc
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _asked(screen: Screen, number: int) -> tuple[Question, ...]:
    return screen.questions or ask(random.Random(number), screen, 8)  # noqa: S311 - asking, not secrets


def draw(screen: Screen, questions: Sequence[Question]) -> Pillow.Image:
    """Draw one screen, twice its size: elements red, their aims green, characters purple; beside it what is asked."""
    lines = list(_lines(screen, questions))
    side = screen.image.shape[0] * _ENLARGED
    whole = Pillow.new("RGB", (side + _BESIDE, max(side, _LINE * len(lines) + 8)), (255, 255, 255))
    whole.paste(Pillow.fromarray(screen.image).resize((side, side), Pillow.Resampling.NEAREST))
    pen, font = ImageDraw.Draw(whole), _font()
    for number, element in enumerate(screen.elements):
        left, top, right, bottom = (value * side for value in element.box)
        pen.rectangle((left, top, right, bottom), outline=_BOX)
        pen.text((left + 2, top), str(number), fill=_BOX, font=font)
        x, y = (value * side for value in element.aim)
        pen.ellipse((x - 4, y - 4, x + 4, y + 4), outline=_AIM, width=2)
    for text in screen.texts:
        for glyph in text.glyphs:
            pen.point((glyph.x * side, glyph.y * side), fill=_CHARACTER)
            pen.rectangle((glyph.x * side - 1, glyph.y * side - 1, glyph.x * side, glyph.y * side), fill=_CHARACTER)
    for number, line in enumerate(lines):
        pen.text((side + 8, 4 + _LINE * number), line, fill=_INK, font=font)
    return whole


def _lines(screen: Screen, questions: Sequence[Question]) -> Iterator[str]:
    yield ", ".join(f"{key} {value}" for key, value in screen.facts.items() if key not in ("icons", "above", "below"))
    for number, element in enumerate(screen.elements):
        facts = ", ".join(f"{key} {value}" for key, value in element.facts.items())
        found = " + ".join(screen.texts[index].text for index in element.texts)
        yield f"{number} {element.role} {element.name!r} <{found}> {facts}"[:110]
    yield ""
    for question in questions:
        yield f"{question.task}"[:110]
        for earlier in question.operations:
            yield f"      done: {earlier}"
        for note in question.notes:
            yield f"      note: {note}"
        yield "   → " + question.answer(screen.elements).replace("\n</operation>\n<action>\n", " · ").split("\n")[0]


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    try:
        return ImageFont.truetype("DejaVuSans.ttf", 11)
    except OSError:
        return ImageFont.load_default()
