"""Parts of a page that fold: what is wanted lies in one that is shut."""
# ruff: noqa: E501 - markup reads better unbroken

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from foveate.agent.oracles.state import says
from foveate.agent.oracles.wants import All, AtEnd, Chosen, Clicked, Seen, Until, Want, Within
from foveate.agent.training.markup import shown
from foveate.agent.training.programs import saying
from foveate.agent.training.programs.kit import Kit
from foveate.agent.training.programs.panels import MAKERS, ask
from foveate.agent.training.programs.task import Made

_SCRIPT: Final = """
render = () => {
  for (const head of document.querySelectorAll("[data-head]")) {
    const open = S.open.includes(head.dataset.name);
    head.setAttribute("aria-expanded", String(open));
    head.nextElementSibling.hidden = !open;
    head.querySelector("[data-sign]").style.transform = open ? "rotate(90deg)" : "";
  }
};
actions.fold = name => {
  if (S.open.includes(name)) S.open = S.open.filter(one => one !== name);
  else S.open = S.single ? [name] : [...S.open, name];
};
actions.press = name => { S.pressed = name; };
"""


def sections(kit: Kit) -> Made:
    """Sections of which one must be opened."""
    names = kit.things(kit.some(3, 5), 16)
    target = kit.one(names)
    shut = [name for name in names if name != target]
    state: dict[str, Any] = {
        "open": [kit.one(shut)] if kit.chance(0.4) else [],
        "single": kit.chance(0.5),
        "pressed": None,
    }
    bodies = {name: kit.text(kit.some(4, 9)) for name in names}
    task = kit.one(tuple(_TASKS))
    made = _TASKS[task](kit, target, bodies)
    goal = made.goal
    if task == "open":
        goal = {"open": [target] if state["single"] else [*state["open"], target]}
    if task == "lacking":
        goal = {"open": state["open"], "pressed": None}
    return replace(made, template=f"sections, {task}", body=_body(kit, bodies), goal=goal, state=state, script=_SCRIPT)


def _opening(kit: Kit, target: str) -> str:
    said = kit.said(target)
    return kit.one((f"open {said}", f"open the section {said}", f"unfold {said}"))


def _opened(target: str) -> Want:
    return Chosen(f"head {target}", f"Open {target}")


def _open(kit: Kit, target: str, _bodies: dict[str, str]) -> Made:
    return Made("", saying.joined(kit, [_opening(kit, target)]), "", _opened(target))


def _lacking(kit: Kit, _target: str, _bodies: dict[str, str]) -> Made:
    lacking = kit.thing(16)
    return Made("", saying.joined(kit, [_opening(kit, lacking)]), "", AtEnd(), impossible=f"there is no {lacking}")


def _press(kit: Kit, target: str, bodies: dict[str, str]) -> Made:
    name = kit.action(longest=14)
    button = (
        kit.button(name, f"press:{name}", key="inner")
        if kit.chance(0.7)
        else kit.link(name, f"press:{name}", key="inner")
    )
    bodies[target] = (bodies[target] if kit.chance(0.5) else "") + button
    pressed = says("pressed", name)
    plan = Until(pressed, [_opened(target), Clicked("inner", f"Click {name}", pressed)])
    clauses = [_opening(kit, target), saying.click(kit, name)]
    if kit.chance(0.3):
        clauses = [f"click {kit.said(name)} under {kit.said(target)}"]
    return Made("", saying.joined(kit, clauses), "", plan, {"pressed": name})


def _change(kit: Kit, target: str, bodies: dict[str, str]) -> Made:
    controls = [MAKERS[kit.one(("box", "switch", "field", "stepper", "options"))](kit) for _ in range(kit.some(1, 2))]
    bodies[target] = f'<div class="col" style="gap:8px">{"".join(control.html for control in controls)}</div>'
    asked = ask(kit, controls, 1, already=0)
    plan = Within(lambda sight: sight.thing(f"head {target}").checked, _opened(target), asked.want)
    return Made("", saying.joined(kit, [_opening(kit, target), *asked.clauses]), "", plan, {"held": dict(asked.goal)})


def _answer(kit: Kit, target: str, bodies: dict[str, str]) -> Made:
    pairs = [(kit.name(kit.words.field, 12), kit.short(kit.words.value, 22)) for _ in range(kit.some(1, 3))]
    name, value = kit.one(pairs)
    bodies[target] = "".join(
        f'<div class="row between" data-key="fact {shown(one)}" data-role="value" data-name="{shown(one)}" data-value="{shown(held)}"><span class="muted">{shown(one)}</span><span>{shown(held)}</span></div>'
        for one, held in pairs
    )
    section, said = kit.said(target), kit.said(name)
    question = kit.one(
        (
            f"What is {said} under {section}?",
            f"In the section {section}, what is {said}?",
            f"Look under {section}: what is {said}?",
        )
    )
    return Made("", question, "", All([_opened(target), Seen(f"fact {name}")]), {}, answer=value)


_TASKS: Final[Mapping[str, Callable[[Kit, str, dict[str, str]], Made]]] = {
    "open": _open, "press": _press, "change": _change, "answer": _answer, "lacking": _lacking,
}  # fmt: skip


def _body(kit: Kit, bodies: Mapping[str, str]) -> str:
    sign = kit.chance(0.5)
    size, pad = kit.some(11, 15), kit.some(4, 8)
    look, sides, weight = kit.one(("line", "panel")), kit.one(("space-between", "flex-start")), kit.one((400, 600))
    parts = []
    for name, body in bodies.items():
        drawn = kit.icon("next", size) if sign else "›"
        parts.append(
            f'<div class="{look}"><button type="button" class="pick" data-head data-key="head {shown(name)}" data-role="section" data-name="{shown(name)}" data-do="fold:{shown(name)}" '
            f'style="display:flex;width:100%;gap:8px;align-items:center;justify-content:{sides};padding:{pad}px;background-color:transparent;border:0;font-weight:{weight}">'
            f'<span data-n>{shown(name)}</span><i data-sign style="display:inline-flex;font-style:normal">{drawn}</i></button>'
            f'<div style="padding:2px {pad}px {pad + 4}px" hidden>{body}</div></div>'
        )
    return f'<main>{kit.heading() if kit.chance(0.7) else ""}<div class="col" style="gap:{kit.one((0, 4, 6))}px">{"".join(parts)}</div></main>'
