"""Single controls, as HTML: buttons, links, fields, ticks, lists to choose from, steppers."""
# ruff: noqa: E501 - markup reads better unbroken

from foveate.agent.training.markup import Sheet, shown

TEXT_TYPES = ("text", "text", "text", "email", "tel", "search", "url", "password")


def button(sheet: Sheet, name: str | None = None, *, first: bool | None = None, **facts: str) -> str:
    """Write a button with its name on it, sometimes an icon beside it."""
    rng = sheet.rng
    name = name or sheet.name(sheet.words.action)
    off = sheet.chance(0.05)
    index = sheet.mark("button", name, disabled="yes" if off else "", **facts)
    first = sheet.chance(0.5) if first is None else first
    kinds = "btn" + " first" * first + " off" * off + ("" if off else sheet.worn())
    kinds += " focus" * (not off and sheet.chance(0.02))
    inner = f"<span data-n>{shown(name)}</span>"
    if sheet.chance(0.2):
        parts = [sheet.picture(), inner]
        style = f' style="display:inline-flex;align-items:center;gap:{sheet.some(3, 8)}px"'
        inner = "".join(parts if sheet.chance(0.8) else parts[::-1])
    else:
        style = ""
    tag = "button" if sheet.theme.look == "native" else rng.choice(("button", "button", "button", "a", "div"))
    if tag == "button":
        return f'<button type="button" class="{kinds}" data-e="{index}"{style}{" disabled" * off}>{inner}</button>'
    style = style or ' style="display:inline-block;text-align:center"'
    href = ' href="#"' if tag == "a" else ""
    extra = ";text-decoration:none"
    return f'<{tag}{href} class="{kinds}" data-e="{index}"{style[:-1]}{extra}">{inner}</{tag}>'


def link(sheet: Sheet, name: str | None = None, **facts: str) -> str:
    """Write a link."""
    name = name or sheet.name(sheet.words.heading, 22)
    index = sheet.mark("link", name, **facts)
    return f'<a href="#" class="nowrap{sheet.worn()}" style="align-self:flex-start" data-e="{index}">{shown(name)}</a>'


def icon_button(sheet: Sheet, name: str | None = None, kinds: str = "tool", **facts: str) -> str:
    """Write a button that is only an icon."""
    name = name or sheet.icon_name()
    if name is None:
        return ""
    index = sheet.mark("icon", name, **facts)
    size = sheet.one("tool size", (14, 16, 18, 20, 22, 24, 26))
    if kinds == "tool" and sheet.habit("framed tools", lambda: sheet.chance(0.2)):
        kinds = "btn"
    return (
        f'<button type="button" class="{kinds}{sheet.worn()}" data-e="{index}" style="display:inline-flex;'
        f'align-items:center;justify-content:center">{sheet.picture(name, size)}</button>'
    )


def _label(sheet: Sheet, name: str, index: int, style: str = "") -> str:
    tail = sheet.one("label tail", ("", "", "", ":")) or sheet.rng.choice(("", "", "", "", " *"))
    return f'<label data-l="{index}" style="{style}"><span data-n>{shown(name)}</span>{tail}</label>'


def field(sheet: Sheet, name: str | None = None, *, area: bool = False, **facts: str) -> str:
    """Write a field to type into, with its label above, to the left, floating inside, or only as its placeholder."""
    rng = sheet.rng
    name = name or sheet.name(sheet.words.field, 16)
    kind = rng.choice(TEXT_TYPES)
    where = sheet.one("field labels", ("above", "above", "left", "left", "inside", "floating"))
    where = rng.choice(("above", "left", "inside")) if sheet.chance(0.15) else where
    kind = kind if kind != "password" or not area else "text"
    focused = not sheet.focused and sheet.chance(0.3)
    value = sheet.words.value() if sheet.chance(0.25 if focused else 0.4) and where != "inside" else ""
    sheet.focused |= focused
    bad = sheet.chance(0.06)
    said = "" if kind == "password" else value
    index = sheet.mark(
        "field", name, value=said, filled="yes" if value else "", focused="yes" if focused else "",
        kind="password" if kind == "password" else "", **facts,
    )  # fmt: skip
    hint = name if where == "inside" else sheet.words.value() if not value and sheet.chance(0.25) else ""
    if where == "floating":
        hint = ""
    kinds = "fld" + " focus" * focused + " bad" * bad
    caret = '<i class="caret"></i>' if focused else ""
    more = f' class="{kinds}" data-e="{index}" data-field placeholder="{shown(hint)}" spellcheck="false" autocomplete="off"'
    if area:
        control = (
            f'<textarea rows="{sheet.some(2, 3)}"{more} style="resize:none;display:block">{shown(value)}</textarea>'
        )
    else:
        control = f'<input type="{kind}"{more} value="{shown(value)}" style="-webkit-appearance:none">'
    control += caret
    if bad:
        warning = sheet.words.sentence(rng.randint(2, 3))
        control = f'<div class="grow">{control}<div class="warn small">{shown(warning)}</div></div>'
    return _labelled(sheet, (name, index), control, where)


def _labelled(sheet: Sheet, named: tuple[str, int], control: str, where: str) -> str:
    label = _label(sheet, *named, style="display:block" if where == "above" else "white-space:nowrap")
    if where == "inside":
        return f"<div>{control}</div>"
    if where == "left":
        width = sheet.one("label width", ("", "", "width:70px;", "width:84px;", "width:96px;", "width:110px;"))
        return f'<div class="row"><div style="flex:none;{width}overflow:hidden">{label}</div><div class="grow">{control}</div></div>'
    if where == "floating":
        cover = "var(--ground)"
        label = _label(
            sheet, *named,
            style=f"position:absolute;left:9px;top:-7px;padding:0 3px;background:{cover};font-size:.78em;line-height:1.15",
        )  # fmt: skip
        return f'<div style="position:relative;margin-top:7px">{control}{label}</div>'
    gap = sheet.one("label gap", (0, 2, 4))
    kinds = sheet.one("label kind", ("", "", "small", "bold", "muted"))
    return f'<div><div class="{kinds}" style="margin-bottom:{gap}px">{label}</div>{control}</div>'


def _native_tick(kind: str, on: bool, size: float) -> str:
    return f'<input type="{kind}" data-m{" checked" * on} style="width:{size}px;height:{size}px;flex:none">'


def _drawn_tick(sheet: Sheet, kind: str, on: bool, size: float) -> str:
    radius = "50%" if kind == "radio" else f"{sheet.one('tick corner', (0, 2, 4))}px"
    inside = ""
    if on:
        inside = (
            '<i style="width:46%;height:46%;border-radius:50%;background:currentColor"></i>'
            if kind == "radio"
            else sheet.picture("check", size * 0.8, plain=True)
        )
    return (
        f'<span data-m class="{"on" if on else ""}" style="width:{size}px;height:{size}px;flex:none;display:inline-flex;'
        f"align-items:center;justify-content:center;border:{sheet.one('tick line', (1, 2))}px solid #888;"
        f'border-radius:{radius}">{inside}</span>'
    )


def _switch(sheet: Sheet, on: bool) -> str:
    height = sheet.one("switch height", range(14, 25))
    width = round(height * sheet.one("switch width", (1.6, 1.75, 1.9, 2.1)))
    ground = 'class="on"' if on else ""
    colour = "" if on else "background:#999;"
    return (
        f'<span data-m {ground} style="width:{width}px;height:{height}px;flex:none;display:inline-flex;border-radius:99px;'
        f'{colour}padding:2px;justify-content:{"flex-end" if on else "flex-start"}">'
        f'<i style="width:{height - 4}px;height:{height - 4}px;border-radius:50%;background:#fff"></i></span>'
    )


def tick(sheet: Sheet, role: str = "checkbox", *, name: str | None = None, on: bool | None = None, **facts: str) -> str:
    """Write a checkbox, a radio button or a switch with its label beside it.

    Args:
        sheet: The page.
        role: ``checkbox``, ``radio`` or ``switch``.
        name: What its label says; drawn where it is None.
        on: Whether it is ticked; drawn where it is None.
        facts: More of the element.
    """
    name = name or sheet.name(sheet.words.thing, 22)
    on = sheet.chance(0.45) if on is None else on
    index = sheet.mark(role, name, state="on" if on else "off", **facts)
    size = sheet.one("tick size", (12, 13, 14, 16, 18, 20))
    if role == "switch":
        control = _switch(sheet, on)
    elif sheet.theme.look == "native" or sheet.habit("native ticks", lambda: sheet.chance(0.5)):
        control = _native_tick(role, on, size)
    else:
        control = _drawn_tick(sheet, role, on, size)
    apart = role == "switch" and sheet.habit("switches apart", lambda: sheet.chance(0.5))
    text = f'<span data-n class="{"grow" * apart}">{shown(name)}</span>'
    after = sheet.habit(f"{role} after", lambda: sheet.chance(0.6 if role == "switch" else 0.06))
    inner = text + control if after else control + text
    return (
        f'<label class="nowrap" data-e="{index}" style="display:{sheet.one("tick rows", ("flex", "flex", "inline-flex"))};'
        f'align-items:center;gap:{sheet.one("tick gap", range(4, 10))}px">{inner}</label>'
    )


def select(sheet: Sheet, name: str | None = None, **facts: str) -> str:
    """Write a list that is closed and shows what is chosen."""
    name = name or sheet.name(sheet.words.field, 16)
    value = sheet.name(sheet.words.thing, 14)
    index = sheet.mark("select", name, value=value, **facts)
    where = sheet.one("list labels", ("above", "left", "left", "above", "floating"))
    if sheet.habit("native lists", lambda: sheet.chance(0.6)):
        native = "fld" if sheet.chance(0.6) else ""
        style = "" if native or sheet.chance(0.5) else "width:100%"
        control = f'<select class="{native}" data-e="{index}" data-field style="{style}"><option>{shown(value)}</option></select>'
    else:
        size = sheet.some(10, 16)
        control = (
            f'<div class="fld row between" data-e="{index}"><span class="cut">{shown(value)}</span>'
            f"{sheet.picture('down', size)}</div>"
        )
    return _labelled(sheet, (name, index), control, where)


def stepper(sheet: Sheet, name: str | None = None, *, row: str = "") -> str:
    """Write a number with a mark to lower it and one to raise it."""
    rng = sheet.rng
    named = name is None
    name = name or sheet.name(sheet.words.field, 14)
    value = str(rng.choice((rng.randint(0, 9), rng.randint(0, 40))))
    less = sheet.mark("decrease", name, value=value, row=row)
    more = sheet.mark("increase", name, value=value, row=row)
    kinds = sheet.one("step kind", ("btn", "btn", "tool panel", "btn first"))
    size = sheet.one("step size", (22, 26, 28, 32))
    square = f"width:{size}px;height:{size}px;padding:0;display:inline-flex;align-items:center;justify-content:center"

    def part(index: int, sign: str, drawn: str) -> str:
        inner = sheet.picture(drawn, size * 0.55) if pictures else sign
        return f'<button type="button" class="{kinds}" data-e="{index}" data-m style="{square}">{inner}</button>'

    pictures = sheet.habit("step pictures", lambda: sheet.chance(0.5))
    lower = part(less, sheet.one("minus", ("−", "-", "–")), "minus")
    raise_ = part(more, "+", "plus")
    number = f'<span style="min-width:{sheet.some(18, 30)}px;text-align:center">{value}</span>'
    control = f'<span class="row" style="gap:{sheet.one("step gap", range(7))}px">{lower}{number}{raise_}</span>'
    if not named:
        return control
    label = f'<span data-l="{less} {more}" class="nowrap">{shown(name)}</span>'
    return f'<div class="row {sheet.one("step rows", ("between", ""))}">{label}{control}</div>'


def slider(sheet: Sheet) -> str:
    """Write a slider."""
    name = sheet.name(sheet.words.field, 14)
    value = sheet.some(0, 100)
    index = sheet.mark("slider", name, value=str(value))
    label = f'<span data-l="{index}">{shown(name)}</span>'
    return f'<div class="row">{label}<input class="grow" type="range" value="{value}" data-e="{index}"></div>'


def chip(sheet: Sheet, name: str | None = None, **facts: str) -> str:
    """Write a small rounded mark that can be pressed, with or without a cross to remove it."""
    name = name or sheet.name(sheet.words.thing, 12)
    on = sheet.chance(0.3)
    index = sheet.mark("chip", name, state="on" if on else "off", **facts)
    kinds = "panel nowrap" + " on" * on
    look = f"display:inline-flex;align-items:center;gap:4px;border-radius:99px;padding:{sheet.one('chip pad', range(1, 5))}px {sheet.one('chip side', range(7, 13))}px"
    cross = ""
    if sheet.chance(0.25):
        remove = sheet.mark("delete", name)
        cross = f'<button type="button" class="tool" data-e="{remove}" data-m style="padding:1px">{_cross(sheet, 12)}</button>'
        text = f'<span data-n data-l="{remove}">{shown(name)}</span>'
    else:
        text = f"<span data-n>{shown(name)}</span>"
    return f'<span class="{kinds}" data-e="{index}" style="{look}">{text}{cross}</span>'


def _cross(sheet: Sheet, size: float) -> str:
    return sheet.picture("close", size) if sheet.chance(0.6) else "×"


def delete_mark(sheet: Sheet, index: int) -> str:
    """Write what removes a row: a cross, a bin, a minus."""
    size = sheet.one("delete size", (14, 16, 18, 20))
    drawn = sheet.one("delete mark", ("", "close", "close", "trash", "trash", "minus"))
    inner = sheet.picture(drawn, size) if drawn else "×"
    kinds = sheet.one("delete kind", ("tool", "tool", "btn", "tool muted"))
    return f'<button type="button" class="{kinds}" data-e="{index}" data-m style="flex:none;padding:3px 5px">{inner}</button>'


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
