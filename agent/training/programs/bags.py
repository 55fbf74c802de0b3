"""Cards that are put into a bag: what is in it is counted, changed, and taken along."""
# ruff: noqa: E501 - markup reads better unbroken

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from foveate.agent.oracles.moves import Move, click
from foveate.agent.oracles.state import Sight
from foveate.agent.oracles.wants import AtEnd, Clicked, Until, Want
from foveate.agent.training.markup import shown
from foveate.agent.training.programs import saying
from foveate.agent.training.programs.kit import Kit
from foveate.agent.training.programs.task import Made

_SCRIPT: Final = """
render = () => {
  find("outside").hidden = S.inside || S.taken !== null;
  find("inside").hidden = !S.inside || S.taken !== null;
  find("taken").hidden = S.taken === null;
  find("total").textContent = String(Object.values(S.bag).reduce((sum, count) => sum + count, 0));
  find("chosen").innerHTML = Object.entries(S.bag).filter(([, count]) => count).map(([name, count]) => fill(TEMPLATES.chosen, { name, count })).join("");
};
const drop = name => { const { [name]: _, ...rest } = S.bag; S.bag = rest; };
actions.put = name => { S.bag = { ...S.bag, [name]: (S.bag[name] || 0) + 1 }; };
actions.drop = drop;
actions.look = () => { S.inside = true; };
actions.back = () => { S.inside = false; };
actions.take = () => { S.taken = S.bag; };
"""


@dataclass(frozen=True, slots=True)
class _Bagged:
    """The bag holds so many of some things, and nothing else."""

    wanted: dict[str, int]
    put: Mapping[str, str]  # by the thing: what an operation calls its button
    bag: str

    def step(self, sight: Sight) -> Move | None:
        """Put in what lacks; take out what is too much, where one sees what is in it."""
        bag, inside = sight.state["bag"], sight.state["inside"]
        for name in bag:
            if bag[name] > self.wanted.get(name, 0):
                return click(sight, f"drop {name}", f"Delete {name}") if inside else click(sight, "look", self.bag)
        for name, count in self.wanted.items():
            if bag.get(name, 0) < count:
                return (
                    click(sight, "back", "Click back icon")
                    if inside
                    else click(sight, f"put {name}", f"Click {self.put[name]} for {name}")
                )
        return None


def bags(kit: Kit) -> Made:
    """Cards with a button each."""
    names = kit.things(kit.some(3, 6), 13)
    put, take = (
        kit.action(("add", "reserve", "pick", "collect"), 8),
        kit.action(("order", "continue", "confirm", "finish"), 11),
    )
    name = kit.one(names)
    task = kit.one(("put", "put", "take", "take", "drop", "lacking"))
    chosen = kit.few(names, kit.some(1, 2))
    wanted = {one: kit.one((1, 1, 1, 2)) for one in chosen}
    icon = kit.one(("cart", "bookmark", "heart"))
    called = f"the {icon} icon"
    start = {name: 1, kit.one([one for one in names if one != name]): 1} if task == "drop" else {}
    put_in = {one: _putting(kit, put, one, count, icon) for one, count in wanted.items()}
    buttons = dict.fromkeys(names, put) | {one: button for one, (_, button) in put_in.items()}
    plan: Want = _Bagged(wanted, buttons, f"Click {icon} icon")
    goal: dict[str, object] = {"bag": wanted, "taken": None}
    asked = [clause for clause, _ in put_in.values()]
    clauses, impossible = asked, None
    if task == "take":
        clauses = [*asked, kit.one((f"open {called}", f"click {called}")), saying.click(kit, take)]
        looked = Until(lambda sight: bool(sight.state["inside"]), [Clicked("look", f"Click {icon} icon")])
        plan = Until(lambda sight: sight.state["taken"] == wanted, [plan, looked, Clicked("take", f"Click {take}")])
        goal = {"taken": wanted}
    elif task == "drop":
        left = {one: 1 for one in start if one != name}
        clauses = [
            kit.one((f"click {called}", f"open {called}")),
            kit.one((f"remove {kit.said(name)}", f"delete {kit.said(name)}", f"take {kit.said(name)} out")),
        ]
        if kit.chance(0.4):  # how one comes to it is left to the one who does it
            clauses = [
                kit.one((f"take {kit.said(name)} out of the {icon}", f"remove {kit.said(name)} from the {icon}"))
            ]
        plan, goal = _Bagged(left, buttons, f"Click {icon} icon"), {"bag": left, "taken": None}
    elif task == "lacking":
        lacking = kit.thing(13)
        clauses, plan, impossible = (
            [f"click {kit.said(put)} for {kit.said(lacking)}"],
            AtEnd(),
            f"there is no {lacking}",
        )
        goal = {"bag": {}, "taken": None}
    return Made(
        f"bags, {task}", saying.joined(kit, clauses), _body(kit, names, (put, take), icon), plan, goal,
        {"bag": start, "inside": False, "taken": None}, _SCRIPT, impossible=impossible,
    )  # fmt: skip


def _putting(kit: Kit, put: str, name: str, count: int, icon: str) -> tuple[str, str]:
    """Say that a thing is to be put in, by the button's name or by what comes of it; and what the button is called then."""
    name = kit.said(name)
    if kit.chance(0.5):
        return f"{kit.one(('click', 'press'))} {kit.said(put)} for {name}{' twice' * (count == 2)}", put
    many = kit.one(("two ", "two ", "2 ", "2 x ")) if count == 2 else kit.one(("", "", "one ", "1 ", "a "))
    where = kit.one((f"the {icon}", f"the {icon}", "the bag", "my selection", "the order"))
    if kit.chance(0.15):
        return f"{kit.said(put)} {many}{name}", put
    return kit.one((
        f"put {many}{name} in {where}", f"put {many}{name} into {where}", f"add {many}{name} to {where}", f"take {many}{name}",
        f"get {many}{name}", f"choose {many}{name} for {where}",
    )), "button"  # fmt: skip


def _body(kit: Kit, names: list[str], verbs: tuple[str, str], icon: str) -> str:
    put, take = verbs
    look = kit.icon_button(icon, "look", key="look")
    grid = kit.chance(0.5)
    columns = (
        "display:grid;grid-template-columns:1fr 1fr;gap:8px" if grid else "display:flex;flex-direction:column;gap:6px"
    )
    flow = (
        "display:flex;flex-direction:column;gap:4px;align-items:flex-start"
        if grid
        else "display:flex;justify-content:space-between;align-items:center;gap:6px"
    )
    cards = "".join(
        f'<div class="{kit.one(("panel",))}" style="padding:7px;{flow}"><div><div class="bold">{shown(one)}</div><div class="muted small">{shown(kit.words.price())}</div></div>'
        + kit.button(put, f"put:{one}", key=f"put {shown(one)}", first=False, more=f'data-row="{shown(one)}"')
        + "</div>"
        for one in names
    )
    bar = f'<div class="bar row between panel" style="top:0;padding:4px 8px"><b>{shown(kit.title)}</b><span class="row" style="gap:2px">{look}<span class="accent small" data-key="total" data-role="" style="border-radius:9px;padding:0 6px">0</span></span></div>'
    kit.templates["chosen"] = (
        f'<div class="row between line" style="padding:5px 0"><span data-for="drop %name%">%name%</span><span class="row"><span class="muted">%count%</span>{kit.delete_mark("drop %name%", "%name%", "drop:%name%")}</span></div>'
    )
    inside = f'<div class="row">{kit.icon_button("back", "back", key="back")}</div><div data-key="chosen" data-role=""></div><div class="row">{kit.button(take, "take", key="take", first=True)}</div>'
    return (
        f'{bar}<main><div data-key="outside" data-role="" style="{columns}">{cards}</div><div data-key="inside" data-role="" class="col" style="gap:8px" hidden>{inside}</div>'
        f'<div data-key="taken" data-role="" hidden><h2>{shown(kit.words.sentence(2))}</h2>{kit.text(5)}</div></main>'
    )
