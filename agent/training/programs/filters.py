"""Collections that are narrowed, by chips, tabs, a search or pages, and of which one thing is opened."""
# ruff: noqa: E501 - markup reads better unbroken

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from foveate.agent.oracles.moves import Move, click
from foveate.agent.oracles.state import Condition, Sight, says
from foveate.agent.oracles.wants import All, AtEnd, Chosen, Clicked, Entered, Holds, Until, Want
from foveate.agent.training.markup import shown
from foveate.agent.training.programs import saying
from foveate.agent.training.programs.kit import Kit
from foveate.agent.training.programs.task import Made

_SCRIPT: Final = """
const PER_PAGE = S.per_page;
render = () => {
  const query = S.query.toLowerCase();
  const fitting = S.things.filter(one => (!S.group || one.group === S.group) && one.name.toLowerCase().includes(query));
  S.last = Math.max(0, Math.ceil(fitting.length / PER_PAGE) - 1);
  S.page = Math.min(S.page, S.last);
  find("results").innerHTML = fitting.slice(S.page * PER_PAGE, (S.page + 1) * PER_PAGE).map(one => fill(TEMPLATES.card, one)).join("");
  for (const part of document.querySelectorAll("[data-part]"))
    part.setAttribute(part.dataset.part, String(part.dataset.name === S.chosen));
  for (const name of ["before", "after"]) if (find(name)) find(name).disabled = name === "before" ? S.page === 0 : S.page === S.last;
  if (find("page")) find("page").textContent = `${S.page + 1} / ${S.last + 1}`;
  find("overview").hidden = S.opened !== null;
  find("detail").hidden = S.opened === null;
  if (S.opened !== null) find("detail-name").textContent = S.opened;
};
actions.group = (name, element) => { S.group = S.chosen === element.dataset.name && S.toggles ? "" : name; S.chosen = S.group || !S.toggles ? element.dataset.name : ""; S.page = 0; };
actions.search = () => { S.query = find("query").value.trim(); S.page = 0; };
actions.turn = by => { S.page += Number(by); };
actions.open = name => { S.opened = name; };
actions.close = () => { S.opened = null; };
"""


@dataclass(frozen=True, slots=True)
class _Turned:
    """A thing is on the page of results that is shown: pages are turned until it is."""

    key: str
    index: int
    per_page: int

    def step(self, sight: Sight) -> Move | None:
        """Turn towards it."""
        page = self.index // self.per_page
        if sight.state["page"] == page:
            return None
        after = page > sight.state["page"]
        thing = sight.thing("after" if after else "before")
        return click(sight, thing.key, f"Click {thing.name}{' icon' * (thing.role == 'icon')}")


def filters(kit: Kit) -> Made:
    """Cards or rows, and what narrows them."""
    way = kit.one(("chips", "chips", "tabs", "search", "search", "pages"))
    groups = kit.things(kit.some(2, 4), 8)
    names = kit.things(kit.some(5, 9), 16)
    things = [{"name": name, "group": kit.one(groups), "price": kit.words.price()} for name in names]
    target = kit.one(things)
    lacking = kit.thing(16) if kit.chance(0.07) and way != "pages" else None
    name = lacking or target["name"]
    per_page = kit.some(3, 4) if way == "pages" else 99
    live = kit.chance(0.5)
    controls, clause, wants, goal = _narrowing(kit, way, groups, target["group"], name, live=live)
    if way == "pages":
        wants = [_Turned(f"open {name}", names.index(name), per_page)]
    opened = says("opened", name)
    said = kit.said(name)
    clauses = [*clause, kit.one((f"open {said}", f"click {said}", f"open the entry {said}"))]
    plan: Want = Until(opened, [_closed(kit), *wants, Clicked(f"open {name}", f"Open {name}", opened)])
    if lacking is not None:
        plan = All([*wants, AtEnd()])
    return Made(
        f"filters, {way}{', lacking' * (lacking is not None)}",
        saying.joined(kit, clauses),
        _body(kit, controls, pages=way == "pages"),
        plan,
        {**goal, "opened": None if lacking else name},
        {
            "things": things,
            "group": "",
            "chosen": "",
            "query": "",
            "page": 0,
            "last": 0,
            "per_page": per_page,
            "opened": None,
            "toggles": way == "chips",
        },
        _SCRIPT,
        impossible=f"there is no {lacking}" if lacking else None,
    )


def _closed(kit: Kit) -> Want:
    """Go back to the overview where something was opened by mistake."""
    return Until(says("opened", None), [Clicked("back", "Click back icon")])


def _narrowing(
    kit: Kit, way: str, groups: Sequence[str], group: str, name: str, *, live: bool
) -> tuple[str, list[str], list[Want], dict[str, str]]:
    """Write what narrows the collection; say how it is used, what is wanted of it, and the state that it leads to."""
    if way == "search":
        return _searching(kit, name, live=live)
    if way == "pages":
        return "", [], [], {}
    said = kit.said(group)
    if way == "chips":
        parts = "".join(
            f'<button type="button" class="panel nowrap chip pick" data-part="aria-pressed" data-key="chip {shown(one)}" data-role="chip" '
            f'data-name="{shown(one)}" data-do="group:{shown(one)}" style="border-radius:99px;padding:{kit.some(2, 4)}px 10px">{shown(one)}</button>'
            for one in groups
        )
        clause = kit.one((f"show only {said}", f"filter by {said}", f"limit the list to {said}"))
        return (
            f'<div class="row wrap" style="gap:5px">{parts}</div>',
            [clause],
            [Chosen(f"chip {group}", f"Click {group}")],
            {"group": group},
        )
    parts = "".join(
        f'<button type="button" class="bare tab" data-part="aria-selected" data-key="tab {shown(one)}" data-role="tab" data-name="{shown(one)}" '
        f'data-do="group:{shown(one)}">{shown(one)}</button>'
        for one in groups
    )
    kit.style += ".tab[aria-selected=true]{border-bottom:2px solid;font-weight:700}.tab{border-radius:0}"
    clause = kit.one((f"go to {said}", f"go to the tab {said}", f"switch to {said}"))
    return (
        f'<div class="row wrap line" style="gap:2px">{parts}</div>',
        [clause],
        [Chosen(f"tab {group}", f"Click {group}")],
        {"group": group},
    )


def _searching(kit: Kit, name: str, *, live: bool) -> tuple[str, list[str], list[Want], dict[str, str]]:
    term = kit.one((name, name.split(" ")[0], name[: max(3, len(name) // 2)].strip()))
    label = kit.name(kit.words.field, 12)
    reached: Condition = lambda sight: sight.state["query"] == term  # noqa: E731
    field = kit.input("query", label, hint=label, more='data-input="search"' if live else 'data-enter="search"')
    icon = not live and kit.chance(0.5)
    wants: list[Want] = [Holds("query", label, term)]
    button = ""
    if icon:
        button = kit.icon_button("search", "search", key="look")
        wants = [Until(reached, [*wants, Clicked("look", "Click search icon")])]
    elif not live:
        wants = [Until(reached, [*wants, Entered("query", label)])]
    value = saying.quoted(kit, term)
    clause = kit.one((f"search for {value}", f"look for {value}", f"find {value}"))
    return f'<div class="row"><div class="grow">{field}</div>{button}</div>', [clause], wants, {"query": term}


def _body(kit: Kit, controls: str, *, pages: bool) -> str:
    cards = kit.chance(0.5)
    inner = "<span data-n>%name%</span>" + ('<span class="muted small">%price%</span>' if kit.chance(0.6) else "")
    look = "panel" if cards else "line"
    columns = (
        "display:grid;grid-template-columns:1fr 1fr;gap:6px"
        if cards and kit.chance(0.5)
        else "display:flex;flex-direction:column;gap:4px"
    )
    flow = "flex-direction:column;align-items:flex-start" if "grid" in columns else "justify-content:space-between"
    kit.templates["card"] = (
        f'<button type="button" class="pick {look}" data-key="open %name%" data-role="row" data-name="%name%" data-do="open:%name%" '
        f'style="display:flex;{flow};gap:4px;padding:6px;text-align:left;background-color:transparent;{"" if cards else "border-width:0 0 1px;border-style:solid"}">{inner}</button>'
    )
    turning = ""
    if pages:
        before, _ = kit.obvious(("Previous", "Back"), "back", "turn:-1", "before")
        after, _ = kit.obvious(("Next", "More"), "next", "turn:1", "after")
        turning = f'<div class="row between">{before}<span data-key="page" data-role=""></span>{after}</div>'
    detail = (
        f'<div data-key="detail" data-role="" class="col" style="gap:8px" hidden><div>{kit.icon_button("back", "close", key="back")}</div>'
        f'<h2 data-key="detail-name" data-role=""></h2>{kit.text(kit.some(4, 9))}</div>'
    )
    head = kit.heading() if kit.chance(0.7) else ""
    return (
        f'<main>{head}<div data-key="overview" data-role="" class="col" style="gap:8px">{controls}'
        f'<div data-key="results" data-role="" style="{columns}"></div>{turning}</div>{detail}</main>'
    )
