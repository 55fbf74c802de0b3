"""What one of several is chosen by: tabs, menus, open lists, pages, days, stars, sections."""
# ruff: noqa: E501 - markup reads better unbroken

from foveate.agent.training.markup import Sheet, shown
from foveate.agent.training.widgets import icon_button, paragraph
from foveate.agent.training.word_lists import WEEKDAYS


def tabs(sheet: Sheet) -> str:
    """Write tabs, one of them open."""
    count = sheet.some(2, 4)
    chosen, look = sheet.some(0, count - 1), sheet.rng.choice(("under", "filled", "boxed"))
    parts = []
    for number in range(count):
        name = sheet.name(sheet.words.heading, 10)
        index = sheet.mark("tab", name, state="on" if number == chosen else "off")
        on = number == chosen
        style = f"padding:{sheet.theme.pad}px {sheet.some(5, 9)}px;"
        style += "border-bottom:2px solid " + ("currentColor;" if on else "transparent;") if look == "under" else ""
        kinds = " ink" * on if look == "under" else " on" * on if look == "filled" else " panel bold" * on
        parts.append(f'<span class="nowrap{kinds}" data-e="{index}" style="{style}">{shown(name)}</span>')
    return f'<div class="row line" style="gap:{sheet.some(0, 4)}px;overflow:hidden">{"".join(parts)}</div>'


def segments(sheet: Sheet) -> str:
    """Write a row of joined buttons, one of them chosen."""
    count = sheet.some(2, 4)
    chosen = sheet.some(0, count - 1)
    parts = []
    for number in range(count):
        name = sheet.name(sheet.words.heading, 26 // count)
        on = number == chosen
        index = sheet.mark("tab", name, state="on" if on else "off")
        parts.append(
            f'<span class="grow nowrap{" on" * on}" data-e="{index}" style="padding:{sheet.theme.pad}px 6px;text-align:center">'
            f"{shown(name)}</span>"
        )
    return f'<div class="row panel" style="gap:0;overflow:hidden">{"".join(parts)}</div>'


def menu_bar(sheet: Sheet) -> str:
    """Write a bar of menus at the top, one of them open over the page sometimes."""
    names = [sheet.name(sheet.words.action, 9) for _ in range(sheet.some(3, 4))]
    parts = []
    for name in names:
        index = sheet.mark("menu", name)
        parts.append(
            f'<span class="nowrap{sheet.worn()}" data-e="{index}" style="padding:3px 7px">{shown(name)}</span>'
        )
    if sheet.chance(0.35):
        sheet.overlays.append(_menu(sheet, sheet.some(4, 120), sheet.some(26, 44)))
    return f'<div class="row panel" style="gap:0;overflow:hidden">{"".join(parts)}</div>'


def _menu(sheet: Sheet, left: int, top: int) -> str:
    items = []
    for _ in range(sheet.some(3, 6)):
        name = sheet.name(sheet.words.action, 20)
        index = sheet.mark("menuitem", name)
        lead = sheet.picture() if sheet.chance(0.2) else ""
        items.append(
            f'<div class="row nowrap{sheet.worn()}" data-e="{index}" style="padding:{sheet.theme.pad}px 10px">'
            f"{lead}<span data-n>{shown(name)}</span></div>"
        )
        if sheet.chance(0.15):
            items.append('<div class="line"></div>')
    return f'<div class="over" style="position:absolute;left:{left}px;top:{top}px;min-width:110px;padding:3px 0">{"".join(items)}</div>'


def options(sheet: Sheet) -> str:
    """Write a list to choose from that is open below its field."""
    name, value = sheet.name(sheet.words.field, 16), sheet.name(sheet.words.thing, 16)
    index = sheet.mark("select", name, value=value, state="open")
    names = [value, *(sheet.name(sheet.words.thing, 16) for _ in range(sheet.some(2, 5)))]
    sheet.rng.shuffle(names)
    rows = []
    for one in names:
        row = sheet.mark("option", one, group=name, state="on" if one == value else "off")
        kinds = " on" * (one == value)
        rows.append(
            f'<div class="nowrap{kinds}" data-e="{row}" style="padding:{sheet.theme.pad}px 8px">{shown(one)}</div>'
        )
    top = f'<div class="fld row between" data-e="{index}"><span>{shown(value)}</span>{sheet.picture("up", 13)}</div>'
    over = sheet.chance(0.6)
    place = "position:absolute;left:0;right:0" if over else ""
    body = f'<div class="over" style="{place}">{"".join(rows)}</div>'
    return f'<div><label data-l="{index}">{shown(name)}</label><div style="position:relative">{top}{body}</div></div>'


def trail(sheet: Sheet) -> str:
    """Write where one is: links with marks between them."""
    names = [sheet.name(sheet.words.heading, 10) for _ in range(sheet.some(2, 3))]
    sign = sheet.rng.choice((" / ", " › ", " » ", " > "))
    parts = [f'<a href="#" data-e="{sheet.mark("link", name)}">{shown(name)}</a>' for name in names]
    parts.append(f"<span>{shown(sheet.name(sheet.words.heading, 10))}</span>")
    return f'<div class="nowrap small" style="overflow:hidden">{shown(sign).join(parts)}</div>'


def pager(sheet: Sheet) -> str:
    """Write page numbers."""
    first = sheet.some(1, 9) if sheet.chance(0.4) else 1
    numbers = range(first, first + sheet.some(3, 5))
    chosen, square = sheet.rng.choice(numbers), sheet.some(20, 28)
    look = sheet.rng.choice(("panel", "", "btn"))
    parts = []
    for number in numbers:
        if not sheet.take(f"page {number}"):
            return ""
        index = sheet.mark("page", str(number), state="on" if number == chosen else "off")
        kinds = f"{look}{' on' * (number == chosen)}"
        parts.append(
            f'<a href="#" class="{kinds}" data-e="{index}" style="min-width:{square}px;padding:2px 4px;text-align:center">{number}</a>'
        )
    if sheet.chance(0.7):
        parts = (
            [icon_button(sheet, "back"), *parts, icon_button(sheet, "next")] if sheet.free("back", "next") else parts
        )
    return f'<div class="row" style="gap:{sheet.some(1, 5)}px">{"".join(parts)}</div>'


def calendar(sheet: Sheet) -> str:
    """Write a month as a grid of days."""
    if not sheet.take("calendar"):
        return ""
    months = sheet.words.months()
    title = (
        f"{sheet.rng.choice(months)} {sheet.some(2019, 2031)}"
        if months
        else f"{sheet.some(1, 12)} / {sheet.some(2019, 2031)}"
    )
    start, last = sheet.some(0, 6), sheet.rng.choice((28, 30, 31))
    today, chosen = sheet.some(1, last), sheet.some(1, last)
    height = sheet.some(18, 27)
    cells = [f'<span class="muted small">{day}</span>' for day in sheet.rng.choice(WEEKDAYS)] + [
        "<span></span>"
    ] * start
    for day in range(1, last + 1):
        index = sheet.mark("day", str(day), state="on" if day == chosen else "", group=title)
        kinds = "on" if day == chosen else "bold ink" if day == today else ""
        cells.append(
            f'<span class="{kinds}" data-e="{index}" style="height:{height}px;line-height:{height}px;'
            f'border-radius:{min(sheet.theme.radius, 12)}px">{day}</span>'
        )
    head = f"<b>{shown(title)}</b>"
    if sheet.free("back", "next"):
        head = icon_button(sheet, "back") + head + icon_button(sheet, "next")
    return (
        f'<div class="panel" style="padding:4px"><div class="row between">{head}</div>'
        f'<div style="display:grid;grid-template-columns:repeat(7,1fr);text-align:center">{"".join(cells)}</div></div>'
    )


def stars(sheet: Sheet) -> str:
    """Write a rating of five stars."""
    name = sheet.name(sheet.words.field, 14)
    given, size = sheet.some(0, 5), sheet.some(16, 26)
    parts = []
    for number in range(1, 6):
        index = sheet.mark("star", str(number), group=name, value=str(given))
        picture = sheet.picture("star", size)
        colour = "color:#e8a200" if number <= given else "opacity:.45"
        parts.append(f'<span data-e="{index}" style="{colour};padding:1px">{picture}</span>')
    return f'<div class="row"><span>{shown(name)}</span><span class="row" style="gap:{sheet.some(0, 4)}px">{"".join(parts)}</span></div>'


def folds(sheet: Sheet) -> str:
    """Write sections that fold, one open sometimes."""
    count = sheet.some(2, 4)
    opened = sheet.some(0, count) if sheet.chance(0.6) else count
    rows = []
    for number in range(count):
        name = sheet.name(sheet.words.heading, 20)
        index = sheet.mark("section", name, state="open" if number == opened else "closed")
        arrow = sheet.picture("up" if number == opened else "down", 14)
        rows.append(
            f'<div class="row between line" data-e="{index}" style="padding:{sheet.theme.pad}px 6px"><span data-n class="bold">'
            f"{shown(name)}</span>{arrow}</div>"
        )
        if number == opened:
            rows.append(f'<div style="padding:4px 8px">{paragraph(sheet)}</div>')
    return f'<div class="{sheet.rng.choice(("", "panel"))}">{"".join(rows)}</div>'
