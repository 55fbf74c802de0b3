"""Dialogs and drawers: opened by a button, changed, confirmed or cancelled; the page's own and the browser's."""
# ruff: noqa: E501 - markup reads better unbroken

from typing import Final

from foveate.agent.oracles.state import Condition, keeps
from foveate.agent.oracles.wants import All, Clicked, Replied, Until, Want, Within
from foveate.agent.training.markup import shown
from foveate.agent.training.programs import saying
from foveate.agent.training.programs.forms import SAVING
from foveate.agent.training.programs.kit import Kit
from foveate.agent.training.programs.panels import MAKERS, ask
from foveate.agent.training.programs.task import Made

_SCRIPT: Final = """
render = () => { find("sheet").hidden = !S.open; find("veil").hidden = !S.open; };
actions.open = () => { S.open = true; };
actions.confirm = () => { S.saved = collect(find("sheet")); S.open = false; report(); };
actions.cancel = () => { S.open = false; S.cancelled = true; };
"""

_ASKING: Final = """
render = () => { for (const [name, value] of Object.entries(S.names)) { find("row " + name).hidden = value === null; find("text " + name).textContent = value ?? ""; } };
actions.rename = name => { const given = prompt(S.question, S.names[name]); if (given) S.names[name] = given; };
actions.remove = name => { if (confirm(S.question)) S.names[name] = null; else S.kept = name; };
actions.tell = name => { alert(S.question); S.told = name; };
"""


def dialogs(kit: Kit) -> Made:
    """A dialog or a drawer of the page's own."""
    opener, confirm, cancel = (
        kit.action(("edit", "open", "change", "add"), 14),
        kit.action(SAVING, 10),
        kit.action(("cancel", "close", "back"), 10),
    )
    kinds = kit.rng.choices(("field", "box", "switch", "options", "list", "stepper"), k=kit.some(1, 3))
    controls = [MAKERS[kind](kit) for kind in kinds]
    asked = ask(kit, controls, kit.some(1, min(2, len(controls))))
    icon = kit.one(("settings", "edit", "filter", "menu")) if kit.chance(0.25) else ""
    opens = f"Click {icon} icon" if icon else f"Click {opener}"
    opened: Condition = lambda sight: bool(sight.state["open"])  # noqa: E731
    first = Clicked("opener", opens, opened)
    said = f"the {icon} icon" if icon else kit.said(opener)
    opening = kit.one((f"click {said}", f"press {said}", f"open {said}"))
    if kit.chance(0.15):
        clauses = [
            opening,
            kit.one(("close it again with {}", "then click {}", "and leave it with {}")).format(kit.said(cancel)),
        ]
        done: Condition = lambda sight: sight.state["cancelled"] and not sight.state["open"]  # noqa: E731
        plan: Want = Until(done, [first, Clicked("cancel", f"Click {cancel}")])
        goal: dict[str, object] = {"cancelled": True, "open": False, "saved": None}
    else:
        clauses = [opening, *asked.clauses, saying.click(kit, confirm)]
        reached = keeps("saved", asked.goal)
        plan = Until(reached, [Within(opened, first, All([asked.want, Clicked("confirm", f"Click {confirm}")]))])
        goal = {"saved": dict(asked.goal), "open": False}
    button = kit.icon_button(icon, "open", key="opener") if icon else kit.button(opener, "open", key="opener")
    return Made(
        f"dialogs, {'confirmed' if 'cancelled' not in goal else 'cancelled'}",
        saying.joined(kit, clauses),
        _page(kit, button, [control.html for control in controls], (confirm, cancel)),
        plan,
        goal,
        {"open": False, "cancelled": False},
        _SCRIPT,
    )


def _page(kit: Kit, button: str, rows: list[str], names: tuple[str, str]) -> str:
    title = kit.name(kit.words.heading, 16)
    yes = kit.button(names[0], "confirm", key="confirm", first=True)
    no = kit.button(names[1], "cancel", key="cancel", first=False)
    parts = [yes, no] if kit.chance(0.6) else [no, yes]
    buttons = f'<div class="row" style="justify-content:{kit.one(("flex-end", "space-between", "flex-start"))}">{"".join(parts)}</div>'
    place = kit.one((
        "left:14px;right:14px;top:34px;max-height:270px", "left:14px;right:14px;top:50%;transform:translateY(-50%);max-height:290px",
        "left:0;right:0;bottom:0;max-height:290px", "right:0;top:0;bottom:0;width:250px", "left:0;top:0;bottom:0;width:260px",
    ))  # fmt: skip
    dim = kit.one((0.3, 0.4, 0.5))
    filler = "".join(
        f'<div class="line row between" style="padding:5px 0"><span>{shown(kit.thing())}</span><span class="muted">{shown(kit.words.price())}</span></div>'
        for _ in range(kit.some(0, 4))
    )
    content = f"{kit.heading()}{kit.text(kit.some(4, 10))}"
    order = [f'<div class="row">{button}</div>', filler]
    if kit.chance(0.4):
        order.reverse()
    return (
        f"<main>{content}{''.join(order)}{kit.toast(kit.words.sentence(2)) if kit.chance(0.5) else ''}</main>"
        f'<div class="veil" data-key="veil" data-role="" data-veil style="background:rgba(0,0,0,{dim})" hidden></div>'
        f'<div class="sheet over" data-key="sheet" data-role="scroller" style="{place};padding:{kit.some(10, 16)}px;gap:{kit.some(8, 12)}px" hidden>'
        f"<h3>{shown(title)}</h3>{''.join(rows)}{buttons}</div>"
    )


def asking(kit: Kit) -> Made:
    """Rows whose buttons ask by the browser's own dialogs."""
    names = kit.things(kit.some(2, 4), 13)
    name = kit.one(names)
    said = kit.said(name)
    task = kit.one(("rename", "rename", "remove", "remove", "keep", "tell"))
    verb = kit.action(
        {"rename": ("rename", "edit", "change"), "tell": ("read", "view", "check")}.get(
            task, ("delete", "remove", "clear")
        ),
        9,
    )
    names_state: dict[str, str | None] = dict.fromkeys(names)
    names_state.update({one: one for one in names})
    press = Clicked(f"act {name}", f"Click {verb} for {name}")
    goal: dict[str, object] = {"names": dict(names_state)}
    if task == "rename":
        new = kit.thing(13)
        question = kit.saying(("New name?", "What is it called?"))
        clauses = [
            kit.one(
                (
                    f"rename {said} to {saying.quoted(kit, new)}",
                    f"change the name of {said} to {saying.quoted(kit, new)}",
                )
            )
        ]
        plan: Want = Until(
            lambda sight: sight.state["names"][name] == new and sight.dialog is None, [Replied(text=new), press]
        )
        goal = {"names": {**names_state, name: new}}
    elif task == "remove":
        question = kit.saying(("Are you sure?", f"{name}: {verb}?"))
        clauses = [
            f"{kit.one((f'click {verb} for {said}', f'press {verb} beside {said}'))}",
            kit.one(("confirm it", "confirm with OK", "answer OK")),
        ]
        plan = Until(lambda sight: sight.state["names"][name] is None and sight.dialog is None, [Replied(), press])
        goal = {"names": {**names_state, name: None}}
    elif task == "keep":
        question = kit.saying(("Are you sure?", f"{name}: {verb}?"))
        clauses = [f"click {verb} for {said}", kit.one(("cancel when it asks", "do not confirm it", "answer Cancel"))]
        plan = Until(lambda sight: sight.state["kept"] == name and sight.dialog is None, [Replied(accept=False), press])
        goal["kept"] = name
    else:
        question = kit.words.sentence(kit.some(3, 7))
        clauses = [
            kit.one((f"click {verb} for {said}", f"press {verb} beside {said}")),
            kit.one(("close the message", "answer OK", "confirm the message")),
        ]
        plan = Until(lambda sight: sight.state["told"] == name and sight.dialog is None, [Replied(), press])
        goal["told"] = name
    kind = {"rename": "rename", "tell": "tell"}.get(task, "remove")
    rows = "".join(
        f'<div class="row between {kit.one(("line", "line", ""))}" style="padding:{kit.some(3, 5)}px 0" data-key="row {shown(one)}" data-role=""><span data-key="text {shown(one)}" data-role="" data-for="act {shown(one)}">{shown(one)}</span>'
        + kit.button(verb, f"{kind}:{one}", key=f"act {shown(one)}", first=False, more=f'data-row="{shown(one)}"')
        + "</div>"
        for one in names
    )
    return Made(
        f"asking, {task}", saying.joined(kit, clauses), f"<main>{kit.heading()}{kit.text(5) if kit.chance(0.4) else ''}{rows}</main>", plan, goal,
        {"names": names_state, "question": question, "kept": None, "told": None}, _ASKING,
    )  # fmt: skip
