"""Long pages and long lists: what is wanted lies further down."""
# ruff: noqa: E501 - markup reads better unbroken

from typing import Final

from foveate.agent.oracles.state import says
from foveate.agent.oracles.wants import All, AtEnd, Clicked, Ticked, Until, Want
from foveate.agent.training.markup import shown
from foveate.agent.training.programs import saying
from foveate.agent.training.programs.kit import Kit
from foveate.agent.training.programs.task import Made

_SCRIPT: Final = "actions.press = name => { S.pressed = name; report(); };"


def scrolling(kit: Kit) -> Made:
    """Many rows, in the page or in a part of it that scrolls."""
    names = kit.things(kit.some(9, 22), 16)
    start = kit.some(3, len(names) - 1)
    target = names[start]
    task = kit.one(("open", "open", "tick", "end", "lacking"))
    inner = kit.chance(0.25) and task not in ("end", "lacking")
    said = kit.said(target)
    pressed = says("pressed", target)
    goal: dict[str, object] = {"pressed": target}
    plan: Want = Until(pressed, [Clicked(f"row {target}", f"Open {target}", pressed)])
    clause = kit.one((f"open {said}", f"click {said}", f"find {said} and open it", f"scroll to {said} and click it"))
    impossible = None
    end = kit.action(("next", "accept", "agree", "continue", "finish"), 12)
    if task == "tick":
        two = kit.few(names, 2) if kit.chance(0.3) else [target]
        plan = All([Ticked(f"row {name}", name, name in two) for name in (*(n for n in names if n not in two), *two)])
        goal = {"held": {f"row {name}": name in two for name in names}}
        clause = " and ".join(saying.tick(kit, name, True) for name in two)
    elif task == "end":
        pressed = says("pressed", end)
        plan, goal = Until(pressed, [Clicked("end", f"Click {end}", pressed)]), {"pressed": end}
        clause = kit.one(
            (
                saying.click(kit, end),
                f"scroll to the end and click {kit.said(end)}",
                f"click {kit.said(end)} at the bottom",
            )
        )
    elif task == "lacking":
        lacking = kit.thing(16)
        plan, goal, impossible = AtEnd(), {"pressed": None}, f"there is no {lacking}"
        clause = kit.one(
            (f"open {kit.said(lacking)}", f"find {kit.said(lacking)} and open it", f"click {kit.said(lacking)}")
        )
    return Made(
        f"scrolling, {task}{' inside' * inner}", saying.joined(kit, [clause]), _body(kit, names, task, end, inner=inner), plan, goal,
        {"pressed": None}, _SCRIPT, impossible=impossible,
    )  # fmt: skip


def _body(kit: Kit, names: list[str], task: str, end: str, *, inner: bool) -> str:
    pad = kit.some(5, 9)
    rows = []
    for name in names:
        if task == "tick":
            key = f"row {shown(name)}"
            mark = kit.mark(key, shown(name), on=False, more=f'data-holds="{key}" data-kind="tick" data-tick')
            rows.append(
                f'<label for="{key}" class="row line" style="padding:{pad}px 0">{mark}<span>{shown(name)}</span></label>'
            )
        elif task == "end":
            rows.append(f'<p style="padding:3px 0">{shown(kit.words.sentence(kit.some(6, 14)))}</p>')
        else:
            note = f'<span class="muted small">{shown(kit.words.price())}</span>' if kit.chance(0.5) else ""
            rows.append(
                f'<button type="button" class="pick line" data-key="row {shown(name)}" data-role="row" data-name="{shown(name)}" data-do="press:{shown(name)}" '
                f'style="display:flex;justify-content:space-between;width:100%;text-align:left;background-color:transparent;border-width:0 0 1px;padding:{pad}px 2px"><span data-n>{shown(name)}</span>{note}</button>'
            )
    listed = "".join(rows)
    if inner:
        listed = f'<div class="panel" data-key="part" data-role="scroller" style="height:{kit.some(150, 210)}px;overflow:auto;padding:0 8px">{listed}</div>{kit.text(kit.some(5, 9))}'
    closing = f'<p class="muted">{shown(kit.words.sentence(2))}</p>'
    if task == "end":
        closing = f'<div class="row">{kit.button(end, f"press:{end}", key="end", first=True)}</div>'
    report = kit.toast(kit.words.sentence(2)) if task in ("open", "end") else ""
    bar = ""
    if kit.chance(0.2):
        bar = f'<div class="bar panel row between" style="top:0;padding:6px 10px"><b>{shown(kit.title)}</b>{kit.icon_button(kit.one(("menu", "user", "search")), "other")}</div>'
    return f"{bar}<main>{'' if bar else kit.heading()}{listed}{closing}{report}</main>"
