"""Lists whose entries are added, deleted and ticked."""
# ruff: noqa: E501 - markup reads better unbroken

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from foveate.agent.oracles.state import Condition, Sight
from foveate.agent.oracles.wants import All, AtEnd, Clicked, Entered, Holds, Replied, Ticked, Until, Want
from foveate.agent.training.markup import shown
from foveate.agent.training.programs import saying
from foveate.agent.training.programs.kit import Kit
from foveate.agent.training.programs.task import Made

_SCRIPT: Final = """
render = () => {
  const list = find("entries");
  const rows = S.entries.map(entry => {
    const row = document.createElement("div");
    row.innerHTML = fill(TEMPLATES.row, entry);
    const mark = row.querySelector("[data-tick]");
    if (mark) mark.checked === undefined ? mark.setAttribute("aria-checked", String(entry.on)) : mark.checked = entry.on;
    return row.firstElementChild;
  });
  list.replaceChildren(...rows);
};
actions.tick = name => { const entry = S.entries.find(one => one.name === name); entry.on = !entry.on; };
actions.remove = name => {
  if (S.asks && !confirm(S.asks.replace("%", name))) return;
  S.entries = S.entries.filter(one => one.name !== name);
};
actions.add = () => {
  const field = find("new"), name = field.value.trim();
  if (!name || S.entries.some(one => one.name === name)) return;
  const entry = { name, on: false };
  S.entries = S.newest ? [entry, ...S.entries] : [...S.entries, entry];
  field.value = "";
  if (S.stays) field.focus();
};
"""


@dataclass(frozen=True, slots=True)
class _List:
    """A list that is being made: its names, which of them are ticked, how entries come and go."""

    kit: Kit
    names: Sequence[str]
    on: Sequence[str]
    field: str
    button: str
    ticks: bool
    deletes: bool
    asks: str

    def added(self, name: str, *, by_key: bool) -> Want:
        """Want an entry that is not there yet."""
        typed = Holds("new", "field", name)  # no task says what the only field is called, nor the button beside it
        last = Entered("new", "field") if by_key else Clicked("add", "Click main button")
        return Until(_has(name), [typed, last])

    def deleted(self, name: str) -> Want:
        """Want an entry gone."""
        return Until(lambda sight: not _has(name)(sight), [Replied(), Clicked(f"delete {name}", f"Delete {name}")])

    def ticked(self, wanted: Sequence[str]) -> Want:
        """Want just these entries ticked; the others first, where one was ticked by mistake."""
        rest = [name for name in self.names if name not in wanted]
        return All(
            [_Entry(name, name in self.on) for name in rest] + [_Entry(name, name not in self.on) for name in wanted]
        )


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry, if it is there, is ticked or not."""

    name: str
    on: bool

    def step(self, sight: Sight) -> Any:
        """Click its mark where it is otherwise."""
        key = f"tick {self.name}"
        return Ticked(key, self.name, self.on).step(sight) if key in sight.things else None


def _has(name: str) -> Condition:
    return lambda sight: any(entry["name"] == name for entry in sight.state["entries"])


def entries(kit: Kit) -> Made:
    """A list of short entries."""
    names = kit.things(kit.some(1, 6), 14)
    ticks = kit.chance(0.75)
    task = kit.one(
        ("add", "add", "delete", "delete", "add two", "both", "lacking", *(("tick", "tick") if ticks else ()))
    )
    asked = kit.saying(("Remove %?", "Delete %?", "Really delete %?")) if kit.chance(0.12) else ""
    made = _List(
        kit, names, [name for name in names if ticks and kit.chance(0.3)], kit.name(kit.words.field, 12),
        "plus icon" if kit.chance(0.25) else kit.action(("add", "insert", "create"), 8), ticks,
        task in ("delete", "both", "lacking") or kit.chance(0.5), asked,
    )  # fmt: skip
    clauses, wants, final, impossible = _tasks(made, task)
    newest = kit.chance(0.3)
    start = [{"name": name, "on": name in made.on} for name in names]
    goal = [entry for entry in start if entry["name"] in final]
    goal = [{**entry, "on": entry["on"] != (entry["name"] in final["ticked"])} for entry in goal]
    added = [{"name": name, "on": False} for name in final["added"]]
    return Made(
        f"entries, {task}",
        saying.joined(kit, clauses),
        _body(made),
        All(wants),
        {"entries": [*added[::-1], *goal] if newest else [*goal, *added]},
        {"entries": start, "newest": newest, "stays": kit.chance(0.5), "asks": made.asks},
        _SCRIPT,
        impossible=impossible,
    )


def _tasks(made: _List, task: str) -> tuple[list[str], list[Want], dict[str, Any], str | None]:
    """Say what is to be done and what is wanted, which entries stay, are ticked, are added; and why it is impossible."""
    kit = made.kit
    stays = dict.fromkeys(made.names, True)
    final: dict[str, Any] = {**stays, "ticked": [], "added": []}
    wants: list[Want] = [made.ticked(())] if made.ticks else []
    clauses: list[str] = []
    if task == "lacking":
        lacking = kit.thing(14)
        return [_delete(kit, lacking)], [AtEnd()], final, f"there is no {lacking}"
    if task == "tick":
        ticked = kit.few(made.names, kit.some(1, 3))
        final["ticked"] = ticked
        clauses += [_tick(kit, name, name not in made.on) for name in ticked]
        wants = [made.ticked(ticked)]
    if task in ("delete", "both"):
        gone = kit.few(made.names, 1 if task == "both" else kit.some(1, 2))
        for name in gone:
            final.pop(name)
            clauses.append(_delete(kit, name))
            wants.append(made.deleted(name))
    if task.startswith("add") or task == "both":
        by_key = kit.chance(0.25)
        for name in kit.things(2 if task == "add two" else 1, 14):
            final["added"].append(name)
            clauses.append(_add(kit, name))
            if by_key:
                clauses[-1] += kit.one((" with Enter", " and press Enter", " by pressing Enter"))
            wants.append(made.added(name, by_key=by_key))
    return clauses, wants, final, None


def _add(kit: Kit, name: str) -> str:
    value, title = saying.quoted(kit, name), kit.said(kit.title)
    return kit.one((
        f"add {value}", f"add {value}", f"add {value} to the list", f"add {value} to the list", f"put {value} on the list",
        f"enter {value} as a new entry", f"write {value} on the list", f"note {value} down", f"list {value} too",
        f"add the entry {value}", f"append {value}", f"add {value} to {title}", f"put {value} into {title}", f"we also need {value} on the list",
    ))  # fmt: skip


def _tick(kit: Kit, name: str, on: bool) -> str:
    if not on or kit.chance(0.5):
        return saying.tick(kit, name, on)
    name = saying.quoted(kit, name) if kit.chance(0.3) else kit.said(name)
    return kit.one(
        (
            f"tick {name} off",
            f"tick off {name}",
            f"mark {name} as done",
            f"cross {name} off",
            f"{name} is done: tick it",
        )
    )


def _delete(kit: Kit, name: str) -> str:
    name = saying.quoted(kit, name) if kit.chance(0.25) else kit.said(name)
    return kit.one((
        f"delete {name}", f"delete {name}", f"remove {name}", f"delete {name} from the list", f"remove the entry {name}",
        f"take {name} off the list", f"strike {name} off the list", f"get rid of {name}",
    ))  # fmt: skip


def _body(made: _List) -> str:
    kit = made.kit
    if made.button == "plus icon":
        button = kit.icon_button("plus", "add", key="add")
    else:
        button = kit.button(made.button, "add", key="add", first=True)
    control = kit.input("new", made.field, hint=made.field if kit.labels == "inside" else "", more='data-enter="add"')
    entry = f'<div class="row"><div class="grow">{control}</div>{button}</div>'
    if kit.labels != "inside":
        entry = f'<div><label for="new">{shown(made.field)}</label>{entry}</div>'
    mark = (
        kit.mark("tick %name%", "%name%", on=False, more='data-tick data-row="%name%" data-do="tick:%name%"')
        if made.ticks
        else ""
    )
    cross = kit.delete_mark("delete %name%", "%name%", "remove:%name%") if made.deletes else ""
    text = (
        '<label class="grow" data-for="tick %name%">%name%</label>'
        if made.ticks
        else '<span class="grow">%name%</span>'
    )
    kinds = kit.one(("line", "line", "panel", ""))
    kit.templates["row"] = (
        f'<div class="row {kinds}" style="padding:{kit.some(2, 6)}px {kit.some(0, 6)}px">{mark}{text}{cross}</div>'
    )
    rows = f'<div class="col" data-key="entries" data-role="" style="gap:{kit.one((0, 2, 5))}px"></div>'
    head = kit.heading() if kit.chance(0.8) else ""
    return f"<main>{head}{entry}{rows}</main>" if kit.chance(0.7) else f"<main>{head}{rows}{entry}</main>"
