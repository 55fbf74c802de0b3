"""Whole pages: blocks under a header, beside a bar, partly scrolled, partly under a dialog or a message."""
# ruff: noqa: E501 - markup reads better unbroken

import random
from typing import Final

from foveate.agent.training.blocks import BLOCKS, buttons, chips, form, links, radios, steppers, ticks, tools
from foveate.agent.training.choosers import tabs
from foveate.agent.training.markup import Page, Sheet, shown
from foveate.agent.training.rows import badges, delete_list, facts, open_list
from foveate.agent.training.themes import draw_theme
from foveate.agent.training.widgets import button, field, heading, icon_button, paragraph, select, tick
from foveate.agent.training.word_lists import LANGUAGES
from foveate.agent.training.words import Split, Vocabulary

TEST_SEEDS: Final = 10_000_000_000
"""Seeds from here on are for evaluation and never trained on."""


def write_page(seed: int, split: Split = "seen") -> Page:
    """Write one page.

    Args:
        seed: Decides everything.
        split: Whether its words, font and theme are of those that are trained on.
    """
    rng = random.Random(f"{split} {seed}")  # noqa: S311 - drawing, not secrets
    language = rng.choice(("en", "en", "en", "en", *LANGUAGES, "made-up"))
    theme = draw_theme(rng, split)
    sheet = Sheet(rng, Vocabulary(rng, split, language), theme, split, motley=rng.random() < 0.12)
    scrolled = rng.random() < 0.22
    body = _frame(sheet, _blocks(sheet, many=scrolled or rng.random() < 0.5), scrolled)
    body += _over(sheet)
    html = f'<head><meta charset="utf-8"><style>{theme.css}</style></head><body>{body}</body>'
    scroll = rng.choice((0.0, rng.random(), rng.random(), 1.0)) if scrolled else 0.0
    about = {
        "seed": str(seed), "split": split, "language": language, "palette": theme.palette, "look": theme.look,
        "font": theme.font, "size": f"{theme.size:g}", "icons": " ".join(sheet.drawn),
    }  # fmt: skip
    return Page(html, tuple(sheet.marks), scroll, about)


_NARROW: Final = (buttons, links, tools, form, ticks, radios, chips, steppers, delete_list, open_list, facts, badges)
"""Blocks that fit into half a page."""


def _blocks(sheet: Sheet, *, many: bool) -> str:
    if sheet.chance(0.08):
        columns = "".join(
            f'<div class="col" style="min-width:0;overflow:hidden;gap:{sheet.theme.gap}px">'
            f"{''.join(sheet.rng.choice(_NARROW)(sheet) for _ in range(sheet.some(1, 4)))}</div>"
            for _ in range(2)
        )
        top = sheet.rng.choice((heading, tabs, paragraph))(sheet) if sheet.chance(0.6) else ""
        return f'{top}<div style="display:grid;grid-template-columns:1fr 1fr;gap:{sheet.some(6, 16)}px">{columns}</div>'
    kinds = [block for block, _ in BLOCKS]
    weights = [weight for _, weight in BLOCKS]
    chosen = sheet.rng.choices(kinds, weights, k=sheet.some(4, 7) if many else sheet.some(1, 3))
    return "".join(block(sheet) for block in chosen)


def _frame(sheet: Sheet, content: str, scrolled: bool) -> str:
    """Put the blocks below a header, beside a bar, over a bar at the bottom."""
    top = _header(sheet) if sheet.chance(0.3) else ""
    bottom = _bottom(sheet) if sheet.chance(0.1) else ""
    side = _side_bar(sheet) if sheet.chance(0.1) and not scrolled else ""
    centred = ";justify-content:center;height:100%" if not scrolled and sheet.chance(0.1) else ""
    centred += ";align-items:center;text-align:center" if sheet.chance(0.06) else ""
    inner = f'<main style="flex:1;min-width:0{centred}">{content}</main>'
    parts = (inner, side) if sheet.chance(0.35) else (side, inner)
    scroller = " data-scroll" if scrolled else ""
    return (
        f'<div style="height:100vh;display:flex;flex-direction:column">{top}<div{scroller} style="flex:1;min-height:0;'
        f'overflow:hidden;display:flex;align-items:flex-start">{"".join(parts)}</div>{bottom}</div>'
    )


def _header(sheet: Sheet) -> str:
    left = icon_button(sheet, name) if (name := sheet.icon_name()) and sheet.chance(0.7) else ""
    if left and sheet.chance(0.5) and sheet.take("icon menu"):
        sheet.marks.pop()
        left = icon_button(sheet, "menu")
    title = shown(sheet.name(sheet.words.heading, 16))
    right = "".join(icon_button(sheet) for _ in range(sheet.some(0, 3)))
    if not right and sheet.chance(0.5):
        right = button(sheet)
    kinds = sheet.rng.choice(("accent", "panel", "line", "line"))
    return (
        f'<div class="row {kinds}" style="flex:none;padding:{sheet.theme.pad}px 6px">{left}'
        f'<b class="grow cut">{title}</b>{right}</div>'
    )


def _bottom(sheet: Sheet) -> str:
    items = []
    for _ in range(sheet.some(3, 4)):
        name = sheet.name(sheet.words.heading, 9)
        index = sheet.mark("tab", name)
        items.append(
            f'<div class="grow col small" data-e="{index}" style="align-items:center;overflow:hidden;padding:4px 0">'
            f"{sheet.picture()}<span data-n>{shown(name)}</span></div>"
        )
    return f'<div class="row panel" style="flex:none;gap:0">{"".join(items)}</div>'


def _side_bar(sheet: Sheet) -> str:
    items = []
    for number in range(sheet.some(3, 7)):
        name = sheet.name(sheet.words.heading, 9)
        index = sheet.mark("tab", name, state="on" if number == 0 else "off")
        items.append(
            f'<div class="cut{" on" * (number == 0)}" data-e="{index}" style="padding:{sheet.theme.pad}px 7px">{shown(name)}</div>'
        )
    return (
        f'<div class="panel" style="flex:none;width:{sheet.some(80, 100)}px;align-self:stretch">{"".join(items)}</div>'
    )


def _over(sheet: Sheet) -> str:
    """Write what lies over the page."""
    parts = list(sheet.overlays)
    if not parts and sheet.chance(0.12):
        parts.append(_dialog(sheet))
    elif sheet.chance(0.08):
        parts.append(_toast(sheet))
    return "".join(parts)


def _dialog(sheet: Sheet) -> str:
    content = [heading(sheet)] if sheet.chance(0.8) else []
    content += [paragraph(sheet)] if sheet.chance(0.7) else []
    content += [sheet.rng.choice((field, select, tick))(sheet)] if sheet.chance(0.4) else []
    content.append(buttons(sheet))
    close = ""
    if sheet.chance(0.5) and sheet.take("icon close"):
        close = f'<span style="position:absolute;right:3px;top:3px">{icon_button(sheet, "close", "tool")}</span>'
    width, top = sheet.some(190, 290), sheet.some(20, 110)
    dim = '<div class="dim" data-dim></div>' if sheet.chance(0.85) else ""
    return (
        f'{dim}<div class="over col" style="position:absolute;left:0;right:0;margin:0 auto;top:{top}px;width:{width}px;'
        f'padding:12px;gap:8px">{"".join(content)}{close}</div>'
    )


def _toast(sheet: Sheet) -> str:
    text = shown(sheet.words.sentence(sheet.some(2, 4)))
    act = ""
    if sheet.chance(0.5):
        name = sheet.name(sheet.words.action, 9)
        act = f'<button type="button" class="bare" data-e="{sheet.mark("button", name)}">{shown(name)}</button>'
    elif sheet.take("icon close"):
        act = icon_button(sheet, "close", "tool")
    where = sheet.rng.choice(("bottom:8px", "bottom:30px", "top:8px", "top:44px"))
    return (
        f'<div class="over row between" style="position:absolute;left:{sheet.some(4, 60)}px;right:{sheet.some(4, 60)}px;'
        f'{where};padding:6px 8px"><span>{text}</span>{act}</div>'
    )
