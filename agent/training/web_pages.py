"""Simple pages as the real Chromium draws them: made-up HTML, its picture, and where each character stands.

``python -m foveate.agent.training.web_pages --out FOLDER --count 600`` writes some for training.
"""

import argparse
import html
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image as Pillow

from foveate.actions.errors import MissingDependency
from foveate.agent.training.words import label_text
from foveate.envs.base import Image
from foveate.envs.chromium import find_chromium, sandbox_flags
from foveate.policies.training.samples import NOWHERE, Glyph, Label

SIDE: Final = 320
"""Width and height of the viewport in CSS pixels; at the scale below one tile."""

SCALE: Final = 1.4

_QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")

_FAMILIES = ("system-ui", "sans-serif", "sans-serif", "Arial", "Verdana", "serif", "Georgia", "monospace")

_READ = """
() => [...document.querySelectorAll("[data-name]")].map(element => {
  const box = element.getBoundingClientRect(), glyphs = [];
  const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode())
    for (let i = 0; i < node.data.length; i++) {
      if (!node.data[i].trim()) continue;
      const range = document.createRange();
      range.setStart(node, i); range.setEnd(node, i + 1);
      const r = range.getBoundingClientRect();
      glyphs.push([node.data[i], r.left, r.top, r.right, r.bottom]);
    }
  return {text: element.dataset.name, box: [box.left, box.top, box.right, box.bottom], glyphs};
})
"""

Page = tuple[Image, tuple[Label, ...]]


def _colour(rng: random.Random, low: int, high: int) -> str:
    return f"rgb({rng.randint(low, high)},{rng.randint(low, high)},{rng.randint(low, high)})"


def _element(rng: random.Random, text: str) -> str:
    """Write one element that can be named."""
    name, shown = html.escape(text, quote=True), html.escape(text)
    kind = rng.choice(("button", "button", "button", "a", "label", "tick", "span", "row"))
    if kind == "button":
        return f'<button data-name="{name}">{shown}</button>'
    if kind == "a":
        return f'<a href="#" data-name="{name}">{shown}</a>'
    if kind == "label":
        return f'<label data-name="{name}">{shown} <input size="{rng.randint(3, 9)}"></label>'
    if kind == "tick":
        control = rng.choice(("checkbox", "radio"))
        checked = rng.choice(("", " checked"))
        return f'<label data-name="{name}"><input type="{control}"{checked}> {shown}</label>'
    if kind == "row":
        return f'<div class="row"><span data-name="{name}">{shown}</span></div>'
    return f'<{rng.choice(("span", "b", "h3"))} data-name="{name}">{shown}</span>'


def write_page(rng: random.Random, count: int) -> str:
    """Write the HTML of a page with at most so many elements, no two with the same text."""
    dark = rng.random() < 0.15
    ground, ink = ("#fff", "#222") if rng.random() < 0.5 else (_colour(rng, 225, 255), _colour(rng, 0, 80))
    if dark:
        ground, ink = _colour(rng, 10, 50), _colour(rng, 200, 255)
    accent = _colour(rng, 0, 150)
    filled = rng.random() < 0.5
    look = f"background:{accent};color:#fff;border:1px solid {accent};" if filled else ""
    look = look if rng.random() < 0.75 else f"background:{ground};color:{ink};border:1px solid #999;"
    radius, pad, gap = rng.choice((0, 3, 6, 14)), rng.randint(2, 9), rng.randint(2, 14)
    flow = rng.choice(
        ("flex-direction:row;flex-wrap:wrap", "flex-direction:row;flex-wrap:wrap", "flex-direction:column")
    )
    texts = list(dict.fromkeys(label_text(rng) for _ in range(count)))
    head = f'<h2 data-name="{texts[0]}">{texts[0]}</h2>' if rng.random() < 0.4 else ""
    body = "\n".join(_element(rng, text) for text in texts[1 if head else 0 :])
    return f"""<!doctype html><meta charset="utf-8"><style>
* {{ box-sizing: border-box }}
body {{ margin: 0; width: {SIDE}px; height: {SIDE}px; overflow: hidden; white-space: nowrap;
  background: {ground}; color: {ink};
  font: {rng.randint(14, 20)}px {rng.choice(_FAMILIES)}; padding: {rng.randint(4, 20)}px }}
main {{ display: flex; {flow}; gap: {gap}px; align-items: {rng.choice(("flex-start", "center"))} }}
button, input {{ font: inherit }} h2, h3 {{ margin: 0 0 4px; font-size: 1.15em }}
a {{ color: {"#8bf" if dark else "#06c"} }}
button {{ {look} border-radius: {radius}px; padding: {pad}px {pad + rng.randint(2, 10)}px }}
.row {{ width: {rng.randint(120, 290)}px; border-bottom: 1px solid #bbb; padding: {pad}px 0 }}
</style>{head}<main>{body}</main>"""


def _label(found: dict[str, Any]) -> Label | None:
    """Make a label of what the page says; torn where it is not wholly in view, None where nothing of it is."""
    boxes, box = [glyph[1:] for glyph in found["glyphs"]], found["box"]
    glyphs = tuple(
        Glyph(char, (left + right) / 2 / SIDE, (top + bottom) / 2 / SIDE)
        for char, left, top, right, bottom in found["glyphs"]
        if min(left, top) >= 0 and max(right, bottom) <= SIDE
    )
    if not glyphs:
        return None
    extent, target = NOWHERE, NOWHERE
    if len(glyphs) == len(found["text"].replace(" ", "")):
        lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        extent = (min(lefts) / SIDE, min(tops) / SIDE, max(rights) / SIDE, max(bottoms) / SIDE)
        target = (box[0] / SIDE, box[1] / SIDE, box[2] / SIDE, box[3] / SIDE)
    return Label(found["text"], glyphs, extent, target)


def draw_web_pages(seeds: range, *, elements: tuple[int, int] = (2, 9)) -> Iterator[Page]:
    """Draw pages with the real Chromium, one a seed; those without anything to name are left out.

    Args:
        seeds: Each decides one page.
        elements: Least and greatest number of elements tried for.

    Yields:
        Pages, uint8 RGB (448, 448, 3), each with its labels.

    Raises:
        MissingDependency: If Playwright is not installed.
        BrowserUnavailable: If there is no Chromium.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as exc:
        raise MissingDependency("drawing pages with Chromium", "pip install 'foveate[browser]'") from exc
    with sync_playwright() as playwright:
        program = find_chromium(None, playwright.chromium.executable_path)
        browser = playwright.chromium.launch(executable_path=program, args=[*_QUIET, *sandbox_flags()])
        page = browser.new_page(viewport={"width": SIDE, "height": SIDE}, device_scale_factor=SCALE)
        for seed in seeds:
            rng = random.Random(seed)  # noqa: S311 - drawing, not secrets
            page.set_content(write_page(rng, rng.randint(*elements)))
            labels = tuple(label for found in page.evaluate(_READ) if (label := _label(found)) is not None)
            picture = Pillow.open(io.BytesIO(page.screenshot())).convert("RGB")
            if any(label.whole for label in labels):
                yield np.asarray(picture), labels
        browser.close()


def save_pages(folder: Path, pages: Iterator[Page]) -> int:
    """Write pages as ``N.png`` with ``N.json``; gives their number."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for number, (image, labels) in enumerate(pages, 1):
        Pillow.fromarray(image).save(folder / f"{number}.png", compress_level=1)
        lines = [
            {
                "text": label.text,
                "extent": label.extent,
                "target": label.target,
                "glyphs": [(glyph.char, round(glyph.x, 5), round(glyph.y, 5)) for glyph in label.glyphs],
            }
            for label in labels
        ]
        (folder / f"{number}.json").write_text(json.dumps(lines), encoding="utf-8")
    return number


def load_pages(folder: Path) -> list[Page]:
    """Read what ``save_pages`` wrote."""
    pages: list[Page] = []
    for path in sorted(folder.glob("*.png")):
        found = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        labels = tuple(
            Label(
                item["text"],
                tuple(Glyph(*glyph) for glyph in item["glyphs"]),
                tuple(item["extent"]),
                tuple(item["target"]),
            )
            for item in found
        )
        pages.append((np.asarray(Pillow.open(path).convert("RGB")), labels))
    return pages


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Draw simple pages with Chromium, for training.")
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--count", type=int, default=600)
    given = arguments.parse_args()
    save_pages(given.out, draw_web_pages(range(given.count), elements=(4, 24)))
