"""Groups of controls as pages have them: lists, tables, forms, menus, calendars, cards, dialogs."""
# ruff: noqa: E501 - markup reads better unbroken

from collections.abc import Callable
from typing import Final

from foveate.agent.training.markup import Sheet, shown
from foveate.agent.training.widgets import (
    button,
    chip,
    delete_mark,
    field,
    icon_button,
    link,
    select,
    slider,
    stepper,
    tick,
)
from foveate.agent.training.word_lists import WEEKDAYS


def heading(sheet: Sheet) -> str:
    """Write a heading."""
    tag = sheet.rng.choice(("h1", "h2", "h2", "h3"))
    return f"<{tag}>{shown(sheet.name(sheet.words.heading, 24))}</{tag}>"


def paragraph(sheet: Sheet) -> str:
    """Write some running text, sometimes with a link in it."""
    rng = sheet.rng
    text = shown(" ".join(sheet.words.sentence(rng.randint(4, 9)) for _ in range(rng.randint(1, 2))))
    kinds = rng.choice(("", "", "muted", "small", "muted small"))
    if sheet.chance(0.2):
        name = sheet.name(sheet.words.thing, 16)
        index = sheet.mark("link", name)
        text += f' <a href="#" class="nowrap" data-e="{index}">{shown(name)}</a>'
    return f'<p class="{kinds}">{text}</p>'


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


def _side(sheet: Sheet) -> str:
    words = sheet.words
    return sheet.rng.choice((words.number, words.price, words.time, words.date, words.code))()


def delete_list(sheet: Sheet) -> str:
    """Write rows that can be deleted one by one, sometimes ticked off."""
    ticked, extra, lined = sheet.chance(0.35), sheet.chance(0.3), sheet.chance(0.6)
    before = sheet.chance(0.08)
    rows = []
    for _ in range(sheet.some(2, 5)):
        name = sheet.name(sheet.words.thing, 18)
        remove = sheet.mark("delete", name, row=name)
        mark = delete_mark(sheet, remove)
        if ticked:
            on = sheet.chance(0.3)
            body = _ticked(sheet, name, on, remove)
        else:
            body = f'<span class="grow cut" data-l="{remove}">{shown(name)}</span>'
        body += f'<span class="muted small nowrap">{shown(_side(sheet))}</span>' if extra else ""
        inner = mark + body if before else body + mark
        rows.append(f'<li class="row{" line" * lined}" style="padding:{sheet.theme.pad // 2}px 0">{inner}</li>')
    return f'<ul class="{sheet.rng.choice(("", "panel"))}">{"".join(rows)}</ul>'


def _ticked(sheet: Sheet, name: str, on: bool, remove: int) -> str:
    html = tick(sheet, "checkbox", name=name, on=on, row=name)
    struck = ";text-decoration:line-through" if on and sheet.chance(0.5) else ""
    html = html.replace("data-n", f'data-n data-l="{remove}"', 1)
    return f'<span class="grow" style="min-width:0{struck}">{html}</span>'


def open_list(sheet: Sheet) -> str:
    """Write rows that open something, with an arrow or a second line."""
    arrow, second, lined = sheet.chance(0.5), sheet.chance(0.35), sheet.chance(0.7)
    rows = []
    for _ in range(sheet.some(2, 5)):
        name = sheet.name(lambda: sheet.rng.choice((sheet.words.thing, sheet.words.person))(), 20)
        index = sheet.mark("row", name)
        lead = f'<span class="ink">{sheet.picture()}</span>' if sheet.chance(0.25) else ""
        text = f'<span data-n class="cut">{shown(name)}</span>'
        if second:
            text = f'<span class="col grow">{text}<span class="muted small cut">{shown(sheet.words.sentence(3))}</span></span>'
        else:
            text = f'<span class="grow col">{text}</span>'
        end = sheet.picture("next", 14) if arrow else f'<span class="muted small nowrap">{shown(_side(sheet))}</span>'
        rows.append(
            f'<li class="row{" line" * lined}{sheet.worn()}" data-e="{index}" '
            f'style="padding:{sheet.theme.pad}px 4px">{lead}{text}{end}</li>'
        )
    return f'<ul class="{sheet.rng.choice(("", "panel"))}">{"".join(rows)}</ul>'


def table(sheet: Sheet) -> str:
    """Write a table with a header, sometimes with an action in each row."""
    columns = sheet.some(2, 3)
    heads = [sheet.name(sheet.words.field, 11) for _ in range(columns)]
    action = sheet.chance(0.55)
    drawn = sheet.rng.choice(("edit", "trash", "more", "copy")) if sheet.chance(0.4) else ""
    called = "" if drawn else sheet.name(sheet.words.action, 9)
    pad, sortable = f"padding:{max(sheet.theme.pad // 2, 2)}px 5px", sheet.chance(0.3)
    rows = [_table_head(sheet, heads, action, (pad, sortable))]
    for _ in range(sheet.some(2, 4)):
        name = sheet.name(lambda: sheet.rng.choice((sheet.words.thing, sheet.words.person))(), 14)
        values = [_side(sheet) for _ in heads[1:]]
        keyed = []
        for head, value in zip(heads[1:], values, strict=True):
            index = sheet.mark("value", head, row=name, value=value)
            keyed.append(f'<td class="nowrap" style="{pad}"><span data-e="{index}">{shown(value)}</span></td>')
        end = _row_action(sheet, name, drawn, called) if action else ""
        first = f'<td style="{pad}" class="nowrap">{shown(name)}</td>'
        rows.append(f'<tr class="line">{first}{"".join(keyed)}<td>{end}</td></tr>')
    return f'<table class="{sheet.rng.choice(("", "small", "panel"))}" style="border-collapse:collapse;text-align:left">{"".join(rows)}</table>'


def _table_head(sheet: Sheet, heads: list[str], action: bool, more: tuple[str, bool]) -> str:
    pad, sortable = more
    cells = []
    for head in heads:
        inner = shown(head)
        if sortable:
            inner = f'<a href="#" data-e="{sheet.mark("sort", head)}" style="color:inherit">{inner}</a>'
        cells.append(f'<th class="nowrap" style="{pad}">{inner}</th>')
    kinds = sheet.rng.choice(("line", "accent", "muted"))
    return f'<tr class="{kinds if not sortable else "line"}">{"".join(cells)}{"<th></th>" * action}</tr>'


def _row_action(sheet: Sheet, row: str, drawn: str, called: str) -> str:
    if drawn == "trash":
        return delete_mark(sheet, sheet.mark("delete", row, row=row))
    if drawn:
        return icon_button(sheet, drawn, row=row)
    kinds = sheet.rng.choice(("btn", "bare"))
    index = sheet.mark("button", called, row=row)
    return f'<button type="button" class="{kinds}" style="padding:2px 7px" data-e="{index}">{shown(called)}</button>'


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


def cards(sheet: Sheet) -> str:
    """Write cards with a title, a price or a line, and a button that all of them share."""
    called = sheet.name(sheet.words.action, 11) if sheet.chance(0.75) else None
    drawn = sheet.rng.choice(("cart", "plus", "heart", "star", "bookmark"))
    direction = sheet.rng.choice(("col", "row"))
    many = []
    for _ in range(sheet.some(2, 3) if direction == "col" else 2):
        title = sheet.name(sheet.words.thing, 12)
        price = sheet.words.price()
        index = sheet.mark("value", title, value=price)
        act = (
            f'<button type="button" class="btn first" data-e="{sheet.mark("button", called, row=title)}" '
            f'style="padding:3px 8px">{shown(called)}</button>'
            if called
            else icon_button(sheet, drawn, row=title)
        )
        image = (
            f'<div class="line ink" style="height:{sheet.some(24, 52)}px;display:flex;align-items:center;'
            f'justify-content:center">{sheet.picture(size=22)}</div>'
            if sheet.chance(0.4)
            else ""
        )
        many.append(
            f'<div class="panel col grow" style="padding:6px;gap:4px">{image}<span class="bold nowrap" data-l="{index}">'
            f'{shown(title)}</span><div class="row between"><span class="nowrap" data-e="{index}">{shown(price)}</span>'
            f"{act}</div></div>"
        )
    return f'<div class="{direction}" style="gap:8px;align-items:stretch">{"".join(many)}</div>'


def facts(sheet: Sheet) -> str:
    """Write names with their values, as summaries and receipts have them."""
    kind = sheet.rng.choice(("between", "", "colon"))
    rows = []
    for _ in range(sheet.some(2, 4)):
        name = sheet.name(sheet.words.field, 16)
        value = sheet.words.value() if sheet.chance(0.5) else _side(sheet)
        index = sheet.mark("value", name, value=value)
        bold = " bold" * sheet.chance(0.2)
        rows.append(
            f'<div class="row {kind}{bold}"><span class="{sheet.rng.choice(("", "muted"))} nowrap"><span data-l="{index}">'
            f"{shown(name)}</span>{':' if kind == 'colon' else ''}</span>"
            f'<span class="nowrap" data-e="{index}">{shown(value)}</span></div>'
        )
    return f'<div class="{sheet.rng.choice(("", "panel"))}" style="padding:2px 4px">{"".join(rows)}</div>'


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
            [icon_button(sheet, "back"), *parts, icon_button(sheet, "next")] if _free(sheet, "back", "next") else parts
        )
    return f'<div class="row" style="gap:{sheet.some(1, 5)}px">{"".join(parts)}</div>'


def _free(sheet: Sheet, *names: str) -> bool:
    """Take the names of icons; False where one of them is on the page already."""
    taken = [sheet.take(f"icon {name}") for name in names]
    return all(taken)


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
    if _free(sheet, "back", "next"):
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


def search(sheet: Sheet) -> str:
    """Write a box to search in, with a mark or a button beside it."""
    name = sheet.name(sheet.words.action, 14)
    value = sheet.words.thing() if sheet.chance(0.25) else ""
    index = sheet.mark("field", name, value=value, filled="yes" if value else "", kind="search")
    box = f'<input class="fld" type="text" data-e="{index}" data-field placeholder="{shown(name)}" value="{shown(value)}">'
    end = icon_button(sheet, "search") if _free(sheet, "search") else button(sheet)
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


def people(sheet: Sheet) -> str:
    """Write persons with their initials in a circle and a line below their names."""
    size, lined = sheet.some(24, 38), sheet.chance(0.5)
    rows = []
    for _ in range(sheet.some(2, 4)):
        name = sheet.name(sheet.words.person, 20)
        index = sheet.mark("row", name)
        initials = "".join(part[0] for part in name.replace(",", "").split()[:2]).upper()
        circle = (
            f'<span class="accent small" style="width:{size}px;height:{size}px;border-radius:50%;flex:none;display:inline-flex;'
            f'align-items:center;justify-content:center">{shown(initials)}</span>'
        )
        second = shown(sheet.words.email() if sheet.chance(0.5) else sheet.words.sentence(3))
        rows.append(
            f'<li class="row{" line" * lined}{sheet.worn()}" data-e="{index}" style="padding:{sheet.theme.pad}px 4px">{circle}'
            f'<span class="col grow"><span data-n class="cut">{shown(name)}</span>'
            f'<span class="muted small cut">{second}</span></span></li>'
        )
    return f"<ul>{''.join(rows)}</ul>"


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
    close = icon_button(sheet, "close") if sheet.chance(0.5) and _free(sheet, "close") else ""
    return f'<div class="row panel" style="padding:7px">{lead}<span class="grow">{text}</span>{close}</div>'


def times(sheet: Sheet) -> str:
    """Write times of day to choose from."""
    parts = []
    for _ in range(sheet.some(3, 8)):
        name = sheet.name(sheet.words.time, 9)
        parts.append(chip(sheet, name))
    return f'<div class="row wrap" style="gap:{sheet.some(3, 8)}px">{"".join(parts)}</div>'


def basket(sheet: Sheet) -> str:
    """Write rows with a number to raise and lower, a price and a delete mark."""
    lined, removable = sheet.chance(0.6), sheet.chance(0.6)
    rows = []
    for _ in range(sheet.some(2, 3)):
        name = sheet.name(sheet.words.thing, 10)
        remove = sheet.mark("delete", name, row=name) if removable else -1
        control = stepper(sheet, name, row=name)
        price = sheet.words.price()
        index = sheet.mark("value", name, value=price)
        marks = " ".join(str(one) for one in (remove, index, index - 1, index - 2) if one >= 0)
        rows.append(
            f'<li class="row{" line" * lined}" style="padding:{sheet.theme.pad // 2}px 0;gap:5px">'
            f'<span class="grow cut" data-l="{marks}">{shown(name)}</span>{control}'
            f'<span class="small nowrap" data-e="{index}">{shown(price)}</span>{delete_mark(sheet, remove) if removable else ""}</li>'
        )
    return f"<ul>{''.join(rows)}</ul>"


def badges(sheet: Sheet) -> str:
    """Write places to go to with numbers beside them."""
    rows = []
    for _ in range(sheet.some(2, 5)):
        name = sheet.name(sheet.words.heading, 16)
        index = sheet.mark("link", name)
        count = (
            f'<span class="accent small" style="border-radius:99px;padding:0 6px">{sheet.some(1, 120)}</span>'
            if sheet.chance(0.6)
            else ""
        )
        rows.append(
            f'<a href="#" class="row between{sheet.worn()}" data-e="{index}" style="padding:{sheet.theme.pad // 2 + 1}px 5px;'
            f'text-decoration:none"><span class="row">{sheet.picture()}<span data-n>{shown(name)}</span></span>{count}</a>'
        )
    return f"<nav>{''.join(rows)}</nav>"


BLOCKS: Final[tuple[tuple[Callable[[Sheet], str], float], ...]] = (
    (heading, 6), (paragraph, 7), (buttons, 9), (links, 4), (tools, 5), (form, 10), (ticks, 6), (radios, 5),
    (delete_list, 6), (open_list, 6), (table, 6), (tabs, 5), (menu_bar, 3), (options, 4), (cards, 5), (facts, 6),
    (steppers, 4), (sliders, 1), (chips, 3), (trail, 2), (pager, 3), (calendar, 2.5), (stars, 1.5), (folds, 3), (search, 4),
    (article, 4), (tiles, 3), (segments, 2.5), (people, 3), (keypad, 0.7), (notice, 3), (times, 1.2), (basket, 3), (badges, 2),
)  # fmt: skip
"""What pages are made of, and how often."""
