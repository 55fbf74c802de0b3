"""Questions about what stands on a page, at once, further down, or behind a tab or a button."""
# ruff: noqa: E501 - markup reads better unbroken

from collections.abc import Callable
from typing import Final

from foveate.agent.oracles.wants import All, AtEnd, Chosen, Clicked, Seen, Until, Want
from foveate.agent.training.markup import shown
from foveate.agent.training.programs.kit import Kit
from foveate.agent.training.programs.task import Made

_SCRIPT: Final = """
render = () => {
  for (const part of document.querySelectorAll("[data-tab]")) part.hidden = part.dataset.tab !== S.tab;
  for (const head of document.querySelectorAll("[role=tab]")) head.setAttribute("aria-selected", String(head.dataset.name === S.tab));
  for (const part of document.querySelectorAll("[data-more]")) part.hidden = !S.more.includes(part.dataset.more);
};
actions.tab = name => { S.tab = name; };
actions.more = name => { S.more = S.more.includes(name) ? S.more : [...S.more, name]; };
"""


def lookups(kit: Kit) -> Made:
    """Names with values."""
    return kit.one((_plain, _plain, _long, _tabs, _details, _lacking))(kit)


def _drawn(kit: Kit) -> Callable[[], str]:
    words = kit.words
    return kit.one(
        (
            words.price,
            words.number,
            words.code,
            words.time,
            words.date,
            words.email,
            words.person,
            lambda: kit.thing(14),
            words.made_up,
        )
    )


def _pairs(kit: Kit, count: int) -> list[tuple[str, str]]:
    draw = _drawn(kit) if kit.chance(0.5) else None
    return [(kit.name(kit.words.field, 14), kit.short(draw or _drawn(kit), 24)) for _ in range(count)]


def _asked(kit: Kit, name: str) -> str:
    said = kit.said(name)
    return kit.one(
        (
            f"What is {said}?",
            f"Tell me {said}.",
            f"Which value does {said} have?",
            f"Read {said}.",
            f"What stands under {said}?",
            f"Answer with the value of {said}.",
        )
    )


def _fact(name: str, value: str, *, way: str) -> str:
    facts = f'data-key="fact {shown(name)}" data-role="value" data-name="{shown(name)}" data-value="{shown(value)}"'
    if way == "line":
        return f'<div class="row between line" style="padding:4px 0" {facts}><span class="muted">{shown(name)}</span><span>{shown(value)}</span></div>'
    if way == "below":
        return f'<div style="padding:3px 0" {facts}><div class="muted small">{shown(name)}</div><div class="bold">{shown(value)}</div></div>'
    return f"<p {facts}><b>{shown(name)}</b>: {shown(value)}</p>"


def _facts(kit: Kit, pairs: list[tuple[str, str]]) -> str:
    way = kit.one(("line", "below", "text"))
    inner = "".join(_fact(name, value, way=way) for name, value in pairs)
    return f'<div class="panel" style="padding:8px">{inner}</div>' if kit.chance(0.3) else f"<div>{inner}</div>"


def _made(kit: Kit, kind: str, name: str, value: str, body: str, plan: Want, tab: str = "") -> Made:
    state = {"tab": tab, "more": []}
    return Made(f"lookups, {kind}", _asked(kit, name), f"<main>{body}</main>", plan, {}, state, _SCRIPT, answer=value)


def _plain(kit: Kit) -> Made:
    pairs = _pairs(kit, kit.some(2, 5))
    name, value = kit.one(pairs)
    return _made(kit, "plain", name, value, kit.heading() + _facts(kit, pairs), Seen(f"fact {name}"))


def _long(kit: Kit) -> Made:
    pairs = _pairs(kit, kit.some(10, 18))
    name, value = kit.one(pairs[4:])
    return _made(kit, "long", name, value, kit.heading() + _facts(kit, pairs), Seen(f"fact {name}"))


def _lacking(kit: Kit) -> Made:
    pairs = _pairs(kit, kit.some(2, 12))
    name = kit.name(kit.words.field, 14)
    made = _made(kit, "lacking", name, "", kit.heading() + _facts(kit, pairs), AtEnd())
    return Made(
        made.template,
        made.instruction,
        made.body,
        made.plan,
        {},
        made.state,
        made.script,
        impossible=f"there is no {name}",
    )


def _tabs(kit: Kit) -> Made:
    tabs = kit.things(kit.some(2, 3), 9)
    facts = {tab: _pairs(kit, kit.some(2, 4)) for tab in tabs}
    tab = kit.one(tabs[1:]) if kit.chance(0.8) else tabs[0]
    name, value = kit.one(facts[tab])
    heads = "".join(
        f'<button type="button" role="tab" class="bare tab" data-key="tab {shown(one)}" data-role="tab" data-name="{shown(one)}" data-do="tab:{shown(one)}">{shown(one)}</button>'
        for one in tabs
    )
    kit.style += ".tab[aria-selected=true]{border-bottom:2px solid;font-weight:700}.tab{border-radius:0}"
    parts = "".join(f'<div data-tab="{shown(one)}">{_facts(kit, facts[one])}</div>' for one in tabs)
    body = f'{kit.heading()}<div class="row wrap line" style="gap:2px">{heads}</div>{parts}'
    made = _made(
        kit, "tabs", name, value, body, All([Chosen(f"tab {tab}", f"Click {tab}"), Seen(f"fact {name}")]), tabs[0]
    )
    said, what = kit.said(tab), kit.said(name)
    question = kit.one(
        (f"What is {what} under {said}?", f"Go to {said} and tell me {what}.", f"Open the tab {said}: what is {what}?")
    )
    return Made(made.template, question, made.body, made.plan, {}, made.state, made.script, answer=value)


def _details(kit: Kit) -> Made:
    names = kit.things(kit.some(2, 4), 13)
    verb = kit.action(("show", "view", "more", "open"), 8)
    facts = {name: _pairs(kit, 1)[0] for name in names}
    field = kit.name(kit.words.field, 12)
    target = kit.one(names)
    value = facts[target][1]
    rows = "".join(
        f'<div class="line" style="padding:4px 0"><div class="row between"><span>{shown(name)}</span>'
        + kit.button(verb, f"more:{name}", key=f"more {shown(name)}", first=False, more=f'data-row="{shown(name)}"')
        + f'</div><div data-more="{shown(name)}" hidden>{_fact(field, facts[name][1], way="text").replace(f"fact {shown(field)}", f"fact {shown(name)}")}</div></div>'
        for name in names
    )
    opened = Until(
        lambda sight: target in sight.state["more"], [Clicked(f"more {target}", f"Click {verb} for {target}")]
    )
    made = _made(kit, "details", field, value, kit.heading() + rows, All([opened, Seen(f"fact {target}")]))
    said, what, pressed = kit.said(target), kit.said(field), kit.said(verb)
    question = kit.one(
        (
            f"Click {pressed} for {said} and tell me {what}.",
            f"What is {what} of {said}? Click {pressed} to see it.",
            f"Press {pressed} beside {said}: what is {what}?",
        )
    )
    return Made(made.template, question, made.body, made.plan, {}, made.state, made.script, answer=value)
