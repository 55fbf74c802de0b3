"""Rows of things as pages have them: lists to delete from or to open, tables, cards, summaries."""
# ruff: noqa: E501 - markup reads better unbroken

from foveate.agent.training.markup import Sheet, shown
from foveate.agent.training.widgets import delete_mark, icon_button, stepper, tick


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
        body += f'<span class="muted small nowrap">{shown(side_value(sheet))}</span>' if extra else ""
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
        end = (
            sheet.picture("next", 14)
            if arrow
            else f'<span class="muted small nowrap">{shown(side_value(sheet))}</span>'
        )
        rows.append(
            f'<li class="row{" line" * lined}{sheet.worn()}" data-e="{index}" '
            f'style="padding:{sheet.theme.pad}px 4px">{lead}{text}{end}</li>'
        )
    return f'<ul class="{sheet.rng.choice(("", "panel"))}">{"".join(rows)}</ul>'


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
        values = [side_value(sheet) for _ in heads[1:]]
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
        value = sheet.words.value() if sheet.chance(0.5) else side_value(sheet)
        index = sheet.mark("value", name, value=value)
        bold = " bold" * sheet.chance(0.2)
        rows.append(
            f'<div class="row {kind}{bold}"><span class="{sheet.rng.choice(("", "muted"))} nowrap"><span data-l="{index}">'
            f"{shown(name)}</span>{':' if kind == 'colon' else ''}</span>"
            f'<span class="nowrap" data-e="{index}">{shown(value)}</span></div>'
        )
    return f'<div class="{sheet.rng.choice(("", "panel"))}" style="padding:2px 4px">{"".join(rows)}</div>'


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


def side_value(sheet: Sheet) -> str:
    """Draw what stands at the end of a row: a number, a price, a time, a date, a code."""
    words = sheet.words
    return sheet.rng.choice((words.number, words.price, words.time, words.date, words.code))()
