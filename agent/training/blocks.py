"""Groups of controls as pages have them, and how often each is on a page."""
# ruff: noqa: E501 - markup reads better unbroken

from collections.abc import Callable
from typing import Final

from foveate.agent.training.choosers import calendar, folds, menu_bar, options, pager, segments, stars, tabs, trail
from foveate.agent.training.markup import Sheet, shown
from foveate.agent.training.rows import badges, basket, cards, delete_list, facts, open_list, people, table
from foveate.agent.training.widgets import (
    button,
    chip,
    field,
    heading,
    icon_button,
    link,
    paragraph,
    select,
    slider,
    stepper,
    tick,
)  # fmt: skip


def buttons(sheet: Sheet) -> str:
    """Write a row of buttons."""
    side = sheet.rng.choice(("", "justify-content:flex-end", "justify-content:center"))
    return f'<div class="row wrap" style="{side}">{"".join(button(sheet) for _ in range(sheet.some(1, 3)))}</div>'


def links(sheet: Sheet) -> str:
    """Write several links, below or beside each other."""
    many = [link(sheet) for _ in range(sheet.some(2, 4))]
    return (
        f'<div class="{sheet.rng.choice(("col", "row wrap"))}" style="gap:{sheet.some(2, 8)}px">{"".join(many)}</div>'
    )


def tools(sheet: Sheet) -> str:
    """Write a row of icons."""
    many = "".join(icon_button(sheet) for _ in range(sheet.some(3, 7)))
    kinds = sheet.rng.choice(("row", "row between", "row panel"))
    return f'<div class="{kinds}" style="gap:{sheet.some(1, 8)}px">{many}</div>'


def form(sheet: Sheet) -> str:
    """Write fields, a list and ticks, with a button at the end."""
    parts: list[str] = [field(sheet) for _ in range(sheet.some(1, 3))]
    if sheet.chance(0.3):
        parts.append(field(sheet, area=True))
    if sheet.chance(0.4):
        parts.append(select(sheet))
    if sheet.chance(0.5):
        parts.append(tick(sheet))
    sheet.rng.shuffle(parts)
    parts.append(buttons(sheet) if sheet.chance(0.4) else button(sheet, first=True))
    framed = ' panel" style="padding:8px;gap' if sheet.chance(0.3) else '" style="gap'
    return f'<div class="col{framed}:{sheet.theme.gap}px">{"".join(parts)}</div>'


def ticks(sheet: Sheet) -> str:
    """Write a few checkboxes or switches."""
    role = sheet.rng.choice(("checkbox", "checkbox", "switch"))
    many = "".join(tick(sheet, role) for _ in range(sheet.some(2, 4)))
    return f'<div class="col" style="gap:{sheet.some(2, 9)}px">{many}</div>'


def radios(sheet: Sheet) -> str:
    """Write a question with one of several answers chosen."""
    group = sheet.name(sheet.words.field, 18)
    count = sheet.some(2, 4)
    chosen = sheet.some(0, count - 1)
    many = "".join(tick(sheet, "radio", on=number == chosen, group=group) for number in range(count))
    kinds = sheet.rng.choice(("col", "row wrap"))
    title = f'<div class="{sheet.rng.choice(("bold", "muted", ""))}">{shown(group)}</div>'
    return f'<div class="col" style="gap:3px">{title}<div class="{kinds}" style="gap:{sheet.some(3, 9)}px">{many}</div></div>'


def steppers(sheet: Sheet) -> str:
    """Write numbers that can be raised and lowered."""
    return f'<div class="col" style="gap:{sheet.some(4, 8)}px">{"".join(stepper(sheet) for _ in range(sheet.some(1, 3)))}</div>'


def sliders(sheet: Sheet) -> str:
    """Write a slider."""
    return slider(sheet)


def chips(sheet: Sheet) -> str:
    """Write several chips."""
    many = "".join(chip(sheet) for _ in range(sheet.some(2, 5)))
    return f'<div class="row wrap" style="gap:{sheet.some(3, 8)}px">{many}</div>'


def search(sheet: Sheet) -> str:
    """Write a box to search in, with a mark or a button beside it."""
    name = sheet.name(sheet.words.action, 14)
    value = sheet.words.thing() if sheet.chance(0.25) else ""
    index = sheet.mark("field", name, value=value, filled="yes" if value else "", kind="search")
    box = f'<input class="fld" type="text" data-e="{index}" data-field placeholder="{shown(name)}" value="{shown(value)}">'
    end = icon_button(sheet, "search") if sheet.free("search") else button(sheet)
    if sheet.chance(0.3):
        label = f'<label data-l="{index}">{shown(name)}</label>'
        return f'<div class="row">{label}{box}{end}</div>'
    return f'<div class="row" style="gap:4px"><div class="grow">{box}</div>{end}</div>' if not value else (
        f'<div><label class="small" data-l="{index}">{shown(name)}</label><div class="row">{box}{end}</div></div>'
    )  # fmt: skip


def article(sheet: Sheet) -> str:
    """Write a heading and a lot of text."""
    return heading(sheet) + "".join(paragraph(sheet) for _ in range(sheet.some(2, 4)))


def tiles(sheet: Sheet) -> str:
    """Write a grid of pictures with words below them."""
    columns = sheet.some(2, 4)
    size, kinds = sheet.some(20, 34), sheet.rng.choice(("panel", "", "btn"))
    parts = []
    for _ in range(columns * sheet.some(1, 2)):
        name = sheet.name(sheet.words.thing, 34 // columns)
        index = sheet.mark("button", name)
        parts.append(
            f'<div class="{kinds} col{sheet.worn()}" data-e="{index}" style="align-items:center;padding:6px 2px;overflow:hidden">'
            f'{sheet.picture(size=size)}<span data-n class="small nowrap">{shown(name)}</span></div>'
        )
    return f'<div style="display:grid;gap:{sheet.some(3, 9)}px;grid-template-columns:repeat({columns},1fr)">{"".join(parts)}</div>'


def keypad(sheet: Sheet) -> str:
    """Write keys with digits on them."""
    if not sheet.take("keypad"):
        return ""
    kinds, height = sheet.rng.choice(("btn", "panel", "btn first")), sheet.some(24, 40)
    parts = []
    for name in (*"789456123", *sheet.rng.choice(("0", "*0#", "C0=", ",0."))):
        index = sheet.mark("button", name)
        parts.append(
            f'<button type="button" class="{kinds}" data-e="{index}" style="height:{height}px;padding:0">{name}</button>'
        )
    return (
        f'<div style="display:grid;gap:{sheet.some(2, 8)}px;grid-template-columns:repeat(3,1fr)">{"".join(parts)}</div>'
    )


def notice(sheet: Sheet) -> str:
    """Write a message in a frame, with a cross to close it sometimes."""
    text = shown(sheet.words.sentence(sheet.some(3, 7)))
    lead = f'<span class="ink">{sheet.picture(sheet.rng.choice(("info", "bell", "help", "check")))}</span>'
    close = icon_button(sheet, "close") if sheet.chance(0.5) and sheet.free("close") else ""
    return f'<div class="row panel" style="padding:7px">{lead}<span class="grow">{text}</span>{close}</div>'


def times(sheet: Sheet) -> str:
    """Write times of day to choose from."""
    parts = []
    for _ in range(sheet.some(3, 8)):
        name = sheet.name(sheet.words.time, 9)
        parts.append(chip(sheet, name))
    return f'<div class="row wrap" style="gap:{sheet.some(3, 8)}px">{"".join(parts)}</div>'


BLOCKS: Final[tuple[tuple[Callable[[Sheet], str], float], ...]] = (
    (heading, 6), (paragraph, 7), (buttons, 9), (links, 4), (tools, 5), (form, 10), (ticks, 6), (radios, 5),
    (delete_list, 6), (open_list, 6), (table, 6), (tabs, 5), (menu_bar, 3), (options, 4), (cards, 5), (facts, 6),
    (steppers, 5), (sliders, 1), (chips, 3), (trail, 2), (pager, 3), (calendar, 3), (stars, 1.5), (folds, 3), (search, 4),
    (article, 4), (tiles, 3), (segments, 2.5), (people, 3), (keypad, 0.7), (notice, 3), (times, 1.2), (basket, 3), (badges, 2),
)  # fmt: skip
"""What pages are made of, and how often."""
