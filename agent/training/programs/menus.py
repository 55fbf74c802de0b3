"""Menus, tool bars and bars at an edge: something is opened and something in it chosen."""
# ruff: noqa: E501 - markup reads better unbroken

from typing import Final

from foveate.agent.oracles.state import Condition, says
from foveate.agent.oracles.wants import AtEnd, Chosen, Clicked, Until, Want
from foveate.agent.training.icons import ICONS
from foveate.agent.training.markup import shown
from foveate.agent.training.programs import saying
from foveate.agent.training.programs.kit import Kit
from foveate.agent.training.programs.task import Made

_SCRIPT: Final = """
render = () => {
  for (const menu of document.querySelectorAll("[data-menu]")) menu.hidden = menu.dataset.menu !== S.open;
  for (const part of document.querySelectorAll("[data-place]")) part.hidden = part.dataset.place !== S.place;
  for (const head of document.querySelectorAll("[role=tab]")) {
    head.setAttribute("aria-selected", String(head.dataset.name === S.place));
    head.classList.toggle("ink", head.dataset.name === S.place);
  }
  if (find("said")) find("said").textContent = S.pressed ?? "";
};
actions.menu = name => { S.open = S.open === name ? "" : name; };
actions.item = name => { S.pressed = name; S.open = ""; };
actions.place = name => { S.place = name; };
actions.press = name => { S.pressed = name; };
"""


def menus(kit: Kit) -> Made:
    """Menus, tools, places."""
    return kit.one((_menu, _menu, _tools, _places, _places))(kit)


def _state(place: str = "") -> dict[str, object]:
    return {"open": "", "pressed": None, "place": place}


def _menu(kit: Kit) -> Made:
    """Named menus, or one behind an icon."""
    icon = kit.one(("menu", "settings", "user", "more")) if kit.chance(0.5) else ""
    icon = icon if not icon or icon in ICONS else "menu"
    heads = [icon] if icon else [kit.thing(8) for _ in range(kit.some(2, 3))]
    items = {head: [kit.action(longest=14) for _ in range(kit.some(2, 5))] for head in heads}
    head = kit.one(heads)
    item = kit.one(items[head])
    lacking = kit.action(longest=14) if kit.chance(0.08) else ""
    opener = Until(says("open", head), [Clicked(f"menu {head}", f"Click {head} icon" if icon else f"Click {head}")])
    pressed = says("pressed", item)
    plan: Want = Until(pressed, [opener, Clicked(f"item {item}", f"Click {item}")])
    said = f"the {head} icon" if icon else kit.said(head)
    wanted = kit.said(lacking or item)
    clauses = [
        kit.one((f"click {said}", f"open {said}")),
        kit.one((f"choose {wanted}", f"click {wanted}", f"pick {wanted}")),
    ]
    if lacking:
        plan = opener
    elif kit.chance(0.2):
        clauses = [f"choose {wanted} in the menu {said}" if not icon else f"choose {wanted} in the menu behind {said}"]
    tops = "".join(
        kit.icon_button(one, f"menu:{one}", key=f"menu {one}") if icon
        else f'<button type="button" class="bare" data-key="menu {shown(one)}" data-role="menu" data-name="{shown(one)}" data-do="menu:{shown(one)}">{shown(one)}</button>'
        for one in heads
    )  # fmt: skip
    right = bool(icon) and kit.chance(0.6)
    sides = "right:6px" if right else "left:6px"
    drops = "".join(
        f'<div class="over col" data-menu="{shown(one)}" style="position:absolute;top:100%;{sides if icon else f"left:{6 + 60 * number}px"};min-width:120px;padding:4px 0" hidden>'
        + "".join(
            f'<button type="button" class="pick" data-key="item {shown(name)}" data-role="menuitem" data-name="{shown(name)}" data-do="item:{shown(name)}" style="display:block;width:100%;text-align:left;border:0;background-color:transparent;padding:5px 12px">{shown(name)}</button>'
            for name in items[one]
        )
        + "</div>"
        for number, one in enumerate(heads)
    )
    title = f"<b>{shown(kit.title)}</b>" if icon else ""
    bar = f'<div class="panel row{" between" if icon else ""}" style="position:relative;padding:5px 8px;gap:4px;z-index:6">{title if right else tops}{tops if right else title}{drops}</div>'
    body = f'{bar}<main>{kit.text(kit.some(8, 16))}{kit.text(kit.some(8, 16))}<p data-key="said" data-role="" class="bold"></p></main>'
    return Made(
        f"menus, {'lacking' if lacking else 'icon' if icon else 'named'}", saying.joined(kit, clauses), body, plan,
        {"pressed": None if lacking else item}, _state(), _SCRIPT, impossible=f"there is no {lacking}" if lacking else None,
    )  # fmt: skip


def _tools(kit: Kit) -> Made:
    """A bar of icons."""
    names = kit.rng.sample([name for name in ICONS if name != "check"], kit.some(4, 7))
    wanted = kit.rng.sample(names, kit.some(1, 2))
    lacking = kit.one([name for name in ICONS if name not in names]) if kit.chance(0.08) else ""
    if lacking:
        wanted = [lacking]
    tools = "".join(kit.icon_button(name, f"use:{name}", key=f"tool {name}") for name in names)
    bar = f'<div class="panel row wrap" style="padding:4px;gap:{kit.some(2, 8)}px">{tools}</div>'
    wants = [
        Until(_used(number + 1), [Clicked(f"tool {name}", f"Click {name} icon")]) for number, name in enumerate(wanted)
    ]
    clauses = [
        kit.one((f"click the {name} icon", f"press the {name} icon", f"click the icon {name}")) for name in wanted
    ]
    parts = [kit.heading(), bar, kit.text(kit.some(8, 20)), '<p data-key="said" data-role="" class="bold"></p>']
    if kit.chance(0.3):
        parts[1], parts[2] = parts[2], parts[1]
    script = (
        _SCRIPT
        + 'actions.use = name => { S.used = [...S.used, name]; S.pressed = S.used.length + ". " + TEMPLATES.used; };'
    )
    kit.templates["used"] = kit.words.sentence(2)
    plan: Want = AtEnd() if lacking else Until(lambda sight: sight.state["used"] == wanted, wants)
    return Made(
        f"menus, {'lacking icon' if lacking else 'tools'}", saying.joined(kit, clauses), f"<main>{''.join(parts)}</main>", plan,
        {"used": [] if lacking else wanted}, {**_state(), "used": []}, script, impossible=f"there is no {lacking} icon" if lacking else None,
    )  # fmt: skip


def _used(count: int) -> Condition:
    return lambda sight: len(sight.state["used"]) >= count


def _places(kit: Kit) -> Made:
    """A bar of places, at the top or at the bottom, each with something to press."""
    places = kit.things(kit.some(2, 4), 8)
    buttons = {place: [kit.action(longest=13) for _ in range(kit.some(1, 3))] for place in places}
    place = kit.one(places[1:])
    name = kit.one(buttons[place])
    pressed = says("pressed", name)
    plan = Until(
        pressed, [Chosen(f"place {place}", f"Click {place}"), Clicked(f"press {name}", f"Click {name}", pressed)]
    )
    said = kit.said(place)
    clauses = [
        kit.one((f"go to {said}", f"click {said}", f"open {said}", f"switch to {said}")),
        saying.click(kit, name),
    ]
    bottom = kit.chance(0.5)
    icons = kit.rng.sample(sorted(ICONS), len(places)) if bottom and kit.chance(0.6) else [""] * len(places)
    heads = "".join(
        f'<button type="button" role="tab" class="bare" data-key="place {shown(one)}" data-role="tab" data-name="{shown(one)}" data-do="place:{shown(one)}" '
        f'style="display:flex;flex-direction:column;align-items:center;flex:1 1 0;min-width:0;padding-left:2px;padding-right:2px;color:inherit">{kit.icon(icon, 18) if icon else ""}<span>{shown(one)}</span></button>'
        for one, icon in zip(places, icons, strict=True)
    )
    kit.style += "[role=tab][aria-selected=true]{font-weight:700;border-bottom:2px solid}[role=tab]{border-radius:0}"
    edge = "position:fixed;left:0;right:0;bottom:0" if bottom else "position:sticky;top:0"
    bar = f'<div class="panel row" style="{edge};gap:0;padding:3px;z-index:6">{heads}</div>'
    parts = "".join(
        f'<div data-place="{shown(one)}" class="col" style="gap:8px"><h3>{shown(kit.name(kit.words.heading, 16))}</h3>{kit.text(kit.some(4, 12))}<div class="row wrap">'
        + "".join(kit.button(each, f"press:{each}", key=f"press {shown(each)}") for each in buttons[one])
        + "</div></div>"
        for one in places
    )
    body = f'{"" if bottom else bar}<main>{parts}<p data-key="said" data-role="" class="bold"></p></main>{bar if bottom else ""}'
    return Made("menus, places", saying.joined(kit, clauses), body, plan, {"pressed": name}, _state(places[0]), _SCRIPT)
