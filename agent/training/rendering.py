"""Draw pages with the real Chromium, several at once, and say exactly what stands where on their pictures."""

import base64
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from PIL import Image as Pillow

from foveate.actions.errors import BrowserCrashed, MissingDependency, UsageError
from foveate.agent.training.markup import Page
from foveate.envs.base import Image
from foveate.envs.chromium import QUIET_FLAGS, find_chromium, sandbox_flags
from foveate.policies.training.screens import Box, Element, Glyph, Screen, Text

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Playwright

SIDE: Final = 320
"""Width and height of a page's viewport in CSS pixels."""

SCALE: Final = 1.4
"""Device pixels a CSS pixel: with SIDE one tile of 448."""

_SHADES = 32
"""Shades a channel that pictures keep: no eye tells the difference, and they are a third of the size."""

_FRAMES = (
    "<!doctype html><style>*{{margin:0}}body{{overflow:hidden}}iframe{{position:absolute;border:0;width:{side}px;"
    "height:{side}px}}</style>{frames}"
)


_SPECIMEN = "<body style=\"font:16px '{}'\">Specimen</body>"

_FONT_PACKAGES = "apt install fonts-dejavu fonts-liberation fonts-liberation-sans-narrow, or what has it elsewhere"


class Renderer:
    """A Chromium that draws pages; use it in a ``with`` block.

    Args:
        side: Width and height of a page's viewport in CSS pixels.
        scale: Device pixels a CSS pixel; ``side`` times ``scale`` must be whole.
        across: Pages drawn at once, as the side of a square of frames; a picture of four costs as much as one of one.
        browser: The Chromium to use; by default what is found.

    Raises:
        UsageError: If a page would not be a whole number of device pixels wide.
    """

    def __init__(self, *, side: int = SIDE, scale: float = SCALE, across: int = 2, browser: str | None = None) -> None:
        if side < 1 or abs(side * scale - round(side * scale)) > 1e-6:
            raise UsageError(
                f"a viewport of {side} at {scale:g} is {side * scale:g} device pixels wide: choose a scale "
                f"that gives a whole number, such as {448 / max(side, 1):g}"
            )
        self.side = side
        self.scale = scale
        self.across = across
        self._program = browser
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._session: CDPSession | None = None
        self._known: set[str] = set()

    def __enter__(self) -> Self:
        """Start the browser.

        Raises:
            MissingDependency: If Playwright or a Chromium is missing.
            UsageError: If the program named is none.
            BrowserCrashed: If it does not start.
        """
        try:
            from playwright.sync_api import sync_playwright
        except ImportError as exc:
            raise MissingDependency("drawing pages with Chromium", "pip install 'foveate[browser]'") from exc
        self._playwright = sync_playwright().start()
        try:
            self._start(self._playwright)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the browser."""
        self.close()

    def close(self) -> None:
        """End the browser."""
        if self._browser is not None:
            self._browser.close()
        if self._playwright is not None:
            self._playwright.stop()
        self._playwright = self._browser = self._session = None

    def _start(self, playwright: "Playwright") -> None:
        from playwright.sync_api import Error

        program = find_chromium(self._program, playwright.chromium.executable_path)
        scale = f"--force-device-scale-factor={self.scale:g}"
        try:
            self._browser = playwright.chromium.launch(
                executable_path=program, args=[*QUIET_FLAGS, *sandbox_flags(), scale]
            )
        except Error as exc:
            raise BrowserCrashed(f"{program} did not start: {str(exc).splitlines()[0]}") from exc
        whole = self.side * self.across
        page = self._browser.new_page(viewport={"width": whole, "height": whole}, device_scale_factor=self.scale)
        frames = "".join(
            f'<iframe srcdoc="<!doctype html>" style="left:{self.side * column}px;top:{self.side * row}px"></iframe>'
            for row in range(self.across)
            for column in range(self.across)
        )
        page.set_content(_FRAMES.format(side=self.side, frames=frames))
        page.evaluate(Path(__file__).with_name("reading.js").read_text(encoding="utf-8"))
        self._session = page.context.new_cdp_session(page)
        self._send("DOM.enable", {})
        self._send("CSS.enable", {})

    def draw(self, pages: Iterable[Page]) -> Iterator[Screen]:
        """Draw pages, in their order.

        Args:
            pages: What to draw.

        Yields:
            A screen a page, its picture uint8 RGB (side, side, 3) in device pixels, without questions.

        Raises:
            MissingDependency: If a page's font is not installed.
            BrowserCrashed: If the browser dies.
        """
        waiting = iter(pages)
        while some := tuple(islice(waiting, self.across**2)):
            self._check_fonts(some)
            found = self._read(some)
            pictures = self._capture(len(some))
            for page, said, picture in zip(some, found, pictures, strict=True):
                yield _screen(page, said, picture, self.side)

    def fonts(self, page: Page) -> set[str]:
        """Give the families of all fonts that a page is really drawn in."""
        self._read((page,))
        root = self._send("DOM.getDocument", {"depth": -1, "pierce": True})["root"]
        frame = next(node for node in _below(root) if node["nodeName"] == "IFRAME")
        holders = {node["parentId"] for node in _below(frame["contentDocument"]) if node["nodeName"] == "#text"}
        answers = [self._send("CSS.getPlatformFontsForNode", {"nodeId": holder}) for holder in sorted(holders)]
        return {font["familyName"] for answer in answers for font in answer["fonts"]}

    def _check_fonts(self, pages: Sequence[Page]) -> None:
        """See to it that each page's font is there: another in its place would not be what the page says.

        Raises:
            MissingDependency: If it is not.
        """
        for font in {page.facts.get("font", "") for page in pages} - self._known:
            if font and self.fonts(Page(_SPECIMEN.format(font), (), 0.0, {})) != {font}:
                raise MissingDependency(f"the font {font}", _FONT_PACKAGES)
            self._known.add(font)

    def _send(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if self._session is None:
            raise RuntimeError("the renderer is closed: use it in a with block")
        from playwright.sync_api import Error

        try:
            answer: dict[str, Any] = self._session.send(method, params)
        except Error as exc:
            raise BrowserCrashed(f"the browser that draws pages is gone: {str(exc).splitlines()[0]}") from exc
        return answer

    def _read(self, pages: Sequence[Page]) -> list[dict[str, Any]]:
        given = json.dumps([{"html": page.html, "scroll": page.scroll} for page in pages])
        answer = self._send(
            "Runtime.evaluate", {"expression": f"JSON.stringify(foveateRead({given}))", "returnByValue": True}
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"a page could not be read: {answer['exceptionDetails']}")
        found: list[dict[str, Any]] = json.loads(answer["result"]["value"])
        return found

    def _capture(self, count: int) -> list[Image]:
        answer = self._send("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True})
        whole = np.asarray(Pillow.open(io.BytesIO(base64.b64decode(answer["data"]))).convert("RGB"))
        side = round(self.side * self.scale)
        whole = fewer_shades(whole)
        return [
            np.ascontiguousarray(whole[row * side : (row + 1) * side, column * side : (column + 1) * side])
            for row, column in (divmod(number, self.across) for number in range(count))
        ]


_TABLE = (np.round(np.arange(256) / 255 * (_SHADES - 1)) * 255 / (_SHADES - 1)).round().astype(np.uint8)


def fewer_shades(picture: Image) -> Image:
    """Give a picture with the nearest shades of those that are kept: no eye tells the difference."""
    return _TABLE[picture]


def _below(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Walk a tree of nodes, those that fields are made of too."""
    yield node
    for child in (*node.get("children", ()), *node.get("shadowRoots", ())):
        yield from _below(child)


def _screen(page: Page, found: Mapping[str, Any], picture: Image, side: int) -> Screen:
    """Make a screen of what was read, in fractions."""
    texts = tuple(
        Text(text, tuple(Glyph(char, x / side, y / side) for char, x, y in glyphs), _fractions(box, side))
        for text, box, glyphs, *_ in found["texts"]
    )
    elements = []
    for one in found["elements"]:
        index = one["index"]
        mark = page.marks[index]
        by, cut = _found_by(index, found["texts"])
        more = ({} if one["whole"] else {"partly": "yes"}) | ({"cut": "yes"} if cut else {})
        x, y = one["aim"]
        elements.append(
            Element(
                mark.role, mark.name, _fractions(one["box"], side), (x / side, y / side), by, {**mark.facts, **more}
            )
        )
    return Screen(picture, texts, tuple(elements), (), {**page.facts, **_off_screen(page, found)})


def _found_by(index: int, texts: Sequence[Any]) -> tuple[tuple[int, ...], bool]:
    """Give the texts that name an element, and whether some of what they say cannot be seen."""
    labels = [number for number, text in enumerate(texts) if index in text[4]]
    own = [number for number, text in enumerate(texts) if text[3] == index and text[5] != "value"]
    named = [number for number in own if texts[number][6]]
    by = labels or named or own
    return tuple(by), any(texts[number][7] for number in by)


def _off_screen(page: Page, found: Mapping[str, Any]) -> dict[str, str]:
    """Say which elements scrolling would bring, and whether there is more that way."""
    facts: dict[str, str] = {}
    for way, more in zip(("above", "below"), found["more"], strict=True):
        if more:
            facts[f"more {way}"] = "yes"
            names = [page.marks[index].name for index in found[way] if not page.marks[index].facts.get("row")]
            facts[way] = "\n".join(dict.fromkeys(names))
    return facts


def _fractions(box: Sequence[float], side: int) -> Box:
    left, top, right, bottom = (min(max(value / side, 0.0), 1.0) for value in box)
    return left, top, right, bottom
