"""Pages as the real Chromium draws them: what is said of them is where the ink is."""

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from foveate.actions.errors import MissingDependency, UsageError
from foveate.agent.training.layouts import write_page
from foveate.agent.training.markup import Mark, Page
from foveate.agent.training.rendering import SCALE, SIDE, Renderer
from foveate.agent.training.words import FONTS
from foveate.policies.training.screens import Glyph, Screen

pytestmark = pytest.mark.browser

TALL = "I I I I"
"""Letters whose ink is as wide to the left as to the right of their middle."""

HOLDERS = {
    "text": f"<span>{TALL}</span>",
    "input": f'<input value="{TALL}">',
    "framed input": f'<input value="{TALL}" style="padding:3px 11px;border:2px solid #ccc;border-radius:9px">',
    "placeholder": f'<input placeholder="{TALL}">',
    "text area": f"<textarea rows=1>{TALL}</textarea>",
    "native list": f"<select><option>{TALL}</option></select>",
    "framed list": f'<select style="border:1px solid #ccc;padding:2px 8px;background:#fff"><option>{TALL}</select>',
    "drawn list": f'<select style="appearance:none;border:1px solid #ccc;padding:2px 8px"><option>{TALL}</select>',
    "to the right": f'<input value="{TALL}" style="text-align:right;width:150px">',
    "search": f'<input type="search" value="{TALL}" style="appearance:none">',
}  # fmt: skip
ROW = 30

SCROLL = """share => { const one = document.querySelector("[data-scroll]");
if (one) one.scrollTop = Math.round((one.scrollHeight - one.clientHeight) * share);
for (const caret of document.querySelectorAll(".caret")) caret.remove() }"""
HITS = """places => places.map(([x, y]) => { const hit = document.elementFromPoint(x, y);
const element = hit.closest("[data-e]"), label = hit.closest("label[data-l]");
return [element && element.dataset.e, label && label.dataset.l] })"""


@pytest.fixture(scope="module")
def renderer(chromium: str) -> Iterator[Renderer]:
    with Renderer(browser=chromium) as found:
        yield found


@pytest.fixture(scope="module")
def drawn(renderer: Renderer) -> list[tuple[Page, Screen]]:
    pages = [write_page(seed, split) for split in ("seen", "unseen") for seed in range(12)]
    return list(zip(pages, renderer.draw(pages), strict=True))


def page_of(body: str, style: str = "", marks: tuple[Mark, ...] = (), scroll: float = 0.0) -> Page:
    return Page(
        f"<head><style>body{{margin:0;background:#fff}}{style}</style></head><body>{body}</body>", marks, scroll, {}
    )


def rows_of(font: str, size: float) -> Page:
    style = f"""*{{box-sizing:border-box}} body,input,select,textarea{{font:{size}px "{font}";color:#000}}
    ::placeholder{{color:#000;opacity:1}} div{{height:{ROW}px;padding-left:3px;overflow:hidden}} textarea{{resize:none}}
    input,textarea{{border:1px solid #ccc}}"""
    return page_of("".join(f"<div>{holder}</div>" for holder in HOLDERS.values()), style)


def ink_beside(screen: Screen, glyph: Glyph) -> tuple[float, float]:
    """Give where a letter's ink is from where it is said to be, across and down, in device pixels."""
    side = screen.image.shape[0]
    x, y = glyph.x * side, glyph.y * side
    row = int(glyph.y * SIDE // ROW)
    top, bottom = max(int(row * ROW * SCALE), int(y - 20)), min(int((row + 1) * ROW * SCALE), int(y + 20))
    left = int(x - 6)
    ink = 255.0 - screen.image[top:bottom, left : int(x + 7)].min(axis=2)
    ink[ink < 110] = 0
    columns, rows = ink.sum(axis=0), np.flatnonzero(ink.sum(axis=1))
    return (
        float((columns * (np.arange(len(columns)) + left + 0.5)).sum() / columns.sum()) - x,
        (rows.min() + rows.max() + 1) / 2 + top - y,
    )


@pytest.mark.parametrize("size", [13, 20.5])
def test_characters_are_where_their_ink_is(renderer: Renderer, size: float) -> None:
    fonts = [font for fonts in FONTS.values() for font in fonts]
    for font, screen in zip(fonts, renderer.draw([rows_of(font, size) for font in fonts]), strict=True):
        assert [text.text for text in screen.texts] == [TALL] * len(HOLDERS)
        at_rows = sorted(screen.texts, key=lambda text: text.extent[1])
        for holder, text in zip(HOLDERS, at_rows, strict=True):
            for glyph in text.glyphs:
                across, down = ink_beside(screen, glyph)
                assert abs(across) / SCALE < 0.75, (font, holder, across)
                # a capital's middle lies above that of capitals and small letters together
                assert abs(down / SCALE + 0.9) < (2.0 if holder == "native list" else 1.5), (font, holder, down)


def test_a_line_that_is_cut_shows_an_ellipsis_where_it_is_drawn(renderer: Renderer) -> None:
    body = '<div class="cut">abcdefghij klmnopqrst uvwxyz</div>'
    style = ".cut{width:100px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;font:16px 'Liberation Mono'}"
    (screen,) = renderer.draw([page_of(body, style)])
    (text,) = screen.texts
    assert text.text == "abcdefghi…"
    assert text.extent[2] <= 100 / SIDE
    columns = np.flatnonzero(screen.image.min(axis=(0, 2)) < 200)
    assert abs(columns.max() + 1 - text.extent[2] * screen.image.shape[0]) < 4


def test_lines_are_texts_of_their_own_and_passwords_are_dots(renderer: Renderer) -> None:
    body = '<p style="width:80px">eggs milk honey flour</p><input type="password" value="abc">'
    (screen,) = renderer.draw([page_of(body, "p{margin:0;font:16px 'Liberation Mono'}")])
    assert [text.text for text in screen.texts] == ["eggs", "milk", "honey", "flour", "•••"]


def test_what_is_covered_is_no_element_and_has_no_text(renderer: Renderer) -> None:
    style = "*{font:16px 'Liberation Mono'} button{position:absolute;left:10px;width:200px;height:30px}"
    body = """<button data-e="0" style="top:10px">First</button><button data-e="1" style="top:60px">Second</button>
    <button data-e="2" style="top:110px">Third</button>
    <div style="position:absolute;left:0;top:50px;width:320px;height:45px;background:#ccc">Over</div>
    <div style="position:absolute;left:120px;top:100px;width:200px;height:60px;background:#ddd"></div>"""
    marks = tuple(Mark("button", name, {}) for name in ("First", "Second", "Third"))
    (screen,) = renderer.draw([page_of(body, style, marks)])
    assert [element.name for element in screen.elements] == ["First", "Third"]
    assert {text.text for text in screen.texts} >= {"First", "Over"}
    assert not any("Second" in text.text for text in screen.texts)
    third = screen.elements[1]
    assert third.facts == {"partly": "yes", "cut": "yes"}
    assert third.box == pytest.approx((10 / SIDE, 110 / SIDE, 120 / SIDE, 140 / SIDE), abs=0.001)
    assert third.aim[0] < 120 / SIDE


def test_what_is_dimmed_can_be_read_but_not_pressed(renderer: Renderer) -> None:
    body = """<button data-e="0">Below</button>
    <div data-dim style="position:absolute;inset:0;background:rgba(0,0,0,.3)"></div>
    <button data-e="1" style="position:absolute;top:100px">Above</button>"""
    marks = (Mark("button", "Below", {}), Mark("button", "Above", {}))
    (screen,) = renderer.draw([page_of(body, marks=marks)])
    assert [text.text for text in screen.texts] == ["Below", "Above"]
    assert [element.name for element in screen.elements] == ["Above"]


def test_a_scrolled_page_says_what_scrolling_would_bring(renderer: Renderer) -> None:
    names = [f"Row {number}" for number in range(20)]
    rows = "".join(f'<div data-e="{number}" style="height:40px">{name}</div>' for number, name in enumerate(names))
    marks = tuple(Mark("row", name, {}) for name in names)
    body = f'<div data-scroll style="height:320px;overflow:hidden">{rows}</div>'
    (top, middle) = renderer.draw([page_of(body, marks=marks), page_of(body, marks=marks, scroll=0.5)])
    assert [element.name for element in top.elements] == names[:8]
    assert "more above" not in top.facts
    assert top.facts["below"].split("\n") == names[8:]
    assert middle.facts["above"].split("\n") == names[:6]
    assert middle.facts["below"].split("\n") == names[14:]


def test_boxes_and_aims_lie_in_the_picture_and_characters_in_their_lines(drawn: list[tuple[Page, Screen]]) -> None:
    for page, screen in drawn:
        assert screen.image.shape == (448, 448, 3)
        for element in screen.elements:
            left, top, right, bottom = element.box
            assert 0 <= left < element.aim[0] < right <= 1, (page.facts["seed"], element)
            assert 0 <= top < element.aim[1] < bottom <= 1, (page.facts["seed"], element)
        for text in screen.texts:
            assert "".join(text.text.split()) == "".join(glyph.char for glyph in text.glyphs)
            for glyph in text.glyphs:
                assert text.extent[0] <= glyph.x <= text.extent[2]
                assert text.extent[1] <= glyph.y <= text.extent[3]


@pytest.fixture(scope="module")
def alone(renderer: Renderer, drawn: list[tuple[Page, Screen]]) -> list[tuple[Page, Screen, Any, bytes]]:
    """Each page loaded by itself: which elements lie at the aims, and its picture."""
    assert renderer._browser is not None
    page = renderer._browser.new_page(viewport={"width": SIDE, "height": SIDE}, device_scale_factor=SCALE)
    session = page.context.new_cdp_session(page)
    found = []
    for written, screen in drawn:
        page.set_content(f"<!doctype html><html>{written.html}</html>")
        page.evaluate(SCROLL, written.scroll)
        hits = page.evaluate(HITS, [[element.aim[0] * SIDE, element.aim[1] * SIDE] for element in screen.elements])
        shot = session.send("Page.captureScreenshot", {"format": "png"})["data"]
        found.append((written, screen, hits, base64.b64decode(shot)))
    return found


def test_a_press_on_an_aim_meets_its_own_element(alone: list[tuple[Page, Screen, Any, bytes]]) -> None:
    checked = 0
    for page, screen, hits, _ in alone:
        for element, (index, labels) in zip(screen.elements, hits, strict=True):
            met = [int(one) for one in (index, *(labels or "").split()) if one is not None]
            assert (element.role, element.name) in [(page.marks[one].role, page.marks[one].name) for one in met]
            checked += 1
    assert checked > 200


def test_a_page_in_a_frame_is_drawn_as_it_is_alone(alone: list[tuple[Page, Screen, Any, bytes]]) -> None:
    for page, screen, _, shot in alone:
        if 'class="caret"' in page.html:
            continue
        picture = np.asarray(Pillow.open(io.BytesIO(shot)).convert("RGB")).astype(int)
        away = np.abs(picture - screen.image).max(axis=2)
        # pictures keep 32 shades a channel, and an edge may fall otherwise elsewhere in a window
        assert np.median(away) <= 4, page.facts["seed"]
        assert (away > 5).mean() < 0.001, page.facts["seed"]


def test_the_same_page_is_the_same_picture(renderer: Renderer, drawn: list[tuple[Page, Screen]]) -> None:
    for (_, first), again in zip(drawn[:8], renderer.draw(page for page, _ in drawn[:8]), strict=True):
        assert np.array_equal(first.image, again.image)
        assert (first.texts, first.elements) == (again.texts, again.elements)


def test_a_page_is_drawn_in_its_own_font_alone(renderer: Renderer, drawn: list[tuple[Page, Screen]]) -> None:
    for page, screen in drawn[::3]:
        assert renderer.fonts(page) == {page.facts["font"]} or not screen.texts


def test_a_font_that_is_not_there_is_told_by_name(renderer: Renderer) -> None:
    page = Page("<body>text</body>", (), 0.0, {"font": "Nonesuch Grotesk"})
    with pytest.raises(MissingDependency, match=r"Nonesuch Grotesk.*apt install"):
        next(renderer.draw([page]))


@pytest.mark.parametrize(("side", "scale"), [(320, 1.41), (0, 1.4)])
def test_a_page_that_is_no_whole_number_of_pixels_wide_is_refused(side: int, scale: float) -> None:
    with pytest.raises(UsageError, match=f"{side} at {scale}"):
        Renderer(side=side, scale=scale)


def test_a_renderer_outside_its_block_says_so() -> None:
    with pytest.raises(RuntimeError, match="with block"):
        next(Renderer().draw([page_of("")]))
