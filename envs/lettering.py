"""Text drawn onto pictures: Pillow's own font, other scripts from a system font where there is one."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from PIL import ImageDraw, ImageFont

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont
Colour: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text that was drawn onto a picture.

    Attributes:
        text: What was drawn.
        left: x at which it begins, in pixels.
        middle: y of its middle, in pixels.
        size: The font's size, in pixels.
    """

    text: str
    left: float
    middle: float
    size: int


_SYSTEM_FONTS = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
    "/usr/share/fonts/truetype/unifont/unifont.ttf",
    "/usr/share/fonts/truetype/freefont/FreeSans.ttf",
    "/System/Library/Fonts/Supplemental/Arial Unicode.ttf",
    "C:/Windows/Fonts/msyh.ttc",
    "C:/Windows/Fonts/arial.ttf",
)
_NO_CHARACTER = "\U000effff"  # a code point that no font has: what it is drawn as means "missing"


@lru_cache(maxsize=16)
def fonts(size: int) -> tuple[Font, ...]:
    """Give the fonts at a size in pixels, in the order in which a character is looked for."""
    found: list[Font] = [ImageFont.load_default(size)]
    for path in _SYSTEM_FONTS:
        if Path(path).is_file():
            try:
                found.append(ImageFont.truetype(path, size))
            except OSError:  # a broken font file
                continue
    return tuple(found)


@lru_cache(maxsize=8192)
def _font_for(char: str, size: int) -> Font:
    every = fonts(size)
    if char.isspace():
        return every[0]
    for font in every:
        if bytes(font.getmask(char)) != bytes(font.getmask(_NO_CHARACTER)):
            return font
    return every[0]


def _runs(text: str, size: int) -> list[tuple[str, Font]]:
    """Split a line where the font changes."""
    runs: list[tuple[str, Font]] = []
    for char in text:
        font = _font_for(char, size)
        if runs and runs[-1][1] is font:
            runs[-1] = (runs[-1][0] + char, font)
        else:
            runs.append((char, font))
    return runs


def width_of(text: str, size: int) -> float:
    """Give the width of a line in pixels."""
    return sum(font.getlength(part) for part, font in _runs(text, size))


def write(draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, colour: Colour) -> None:
    """Draw one line with its middle left at a place, in pixels."""
    x, y = at
    for part, font in _runs(text, size):
        draw.text((x, y), part, font=font, fill=colour, anchor="lm")
        x += font.getlength(part)


def cut(text: str, width: float, size: int) -> str:
    """Shorten a line until it fits a width in pixels; what was cut is an ellipsis."""
    if width_of(text, size) <= width:
        return text
    low, high = 0, min(len(text), 2000)
    while low < high:
        middle = (low + high + 1) // 2
        if width_of(text[:middle] + "…", size) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low] + "…"


def wrap(text: str, width: float, size: int, most: int) -> list[str]:
    """Break text into at most ``most`` lines of a width in pixels; where text is left over the last ends with "…"."""
    lines: list[str] = []
    for paragraph in text[:4000].replace("\t", "    ").split("\n"):
        rest = "".join(char for char in paragraph if char.isprintable())
        while True:
            line, rest = _first_line(rest, width, size)
            lines.append(line)
            if len(lines) > most:
                return [*lines[: most - 1], cut(lines[most - 1] + " …", width, size)]
            if not rest:
                break
    return lines


def _first_line(text: str, width: float, size: int) -> tuple[str, str]:
    if width_of(text[:400], size) <= width and len(text) <= 400:
        return text, ""
    low, high = 1, min(len(text), 400)
    while low < high:
        middle = (low + high + 1) // 2
        if width_of(text[:middle], size) <= width:
            low = middle
        else:
            high = middle - 1
    blank = text.rfind(" ", 1, low + 1)
    if blank > 0:
        return text[:blank], text[blank + 1 :]
    return text[:low], text[low:]
