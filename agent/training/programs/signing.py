"""Signing in and out: a name, a password that can be shown, a box to stay signed in, a page behind it."""
# ruff: noqa: E501 - markup reads better unbroken

from typing import Final

from foveate.agent.oracles.state import says
from foveate.agent.oracles.wants import All, Clicked, Holds, Ticked, Until, Want
from foveate.agent.training.markup import shown
from foveate.agent.training.programs import saying
from foveate.agent.training.programs.kit import Kit
from foveate.agent.training.programs.task import Made

_SCRIPT: Final = """
render = () => {
  find("outside").hidden = S.inside !== null;
  find("inside").hidden = S.inside === null;
  if (S.inside) find("who").textContent = S.inside.user;
  find("password").type = S.shown ? "text" : "password";
  find("wrong").hidden = !S.wrong;
};
actions.enter = () => {
  const given = { user: find("user").value, password: find("password").value, stay: find("stay") ? held(find("stay")) : false };
  S.wrong = given.user !== S.user || given.password !== S.secret;
  if (!S.wrong) S.inside = given, S.entered = given;
};
actions.leave = () => { S.inside = null; S.left = true; find("user").value = find("password").value = ""; };
actions.peek = () => { S.shown = !S.shown; };
"""


def signing(kit: Kit) -> Made:
    """A form with a password."""
    user = kit.short(kit.one((kit.words.email, kit.words.made_up_plain, kit.words.person)))
    secret = _secret(kit)
    fields = kit.name(kit.words.field, 13), kit.name(kit.words.field, 13)
    enter, leave, peek = (
        kit.action(("enter", "start", "unlock", "open"), 12),
        kit.action(("leave", "exit", "quit", "lock"), 10),
        kit.action(("show", "view"), 7),
    )
    stay = kit.thing(18) if kit.chance(0.5) else ""
    task = kit.one(("in", "in", "stay" if stay else "in", "peek", "in and out", "out"))
    start = {"user": user, "password": secret, "stay": False}
    stays = task == "stay"
    given = {**start, "stay": stays}
    clauses, named = _clauses(kit, fields, (user, secret))
    called = fields if named else ("first field", "second field")
    typed: list[Want] = [Holds("user", called[0], user), Holds("password", called[1], secret)]
    if stay:
        typed.append(Ticked("stay", stay, stays))
    pressed = kit.chance(0.5)  # else the task says who goes in, and leaves the button to the one who does it
    entered: Want = Until(
        says("entered", given), [*typed, Clicked("enter", f"Click {enter}" if pressed else "Click main button")]
    )
    goal: dict[str, object] = {"entered": given, "inside": given}
    wants: list[Want] = [entered]
    if task == "stay":
        ticked = saying.tick(kit, stay, True)
        clauses.append(
            kit.one((ticked, ticked, kit.said(stay), f"have {kit.said(stay)} ticked", f"with {kit.said(stay)}"))
        )
    elif stay and task == "in" and kit.chance(0.3):
        clauses.append(
            kit.one((f"leave {kit.said(stay)} alone", f"do not tick {kit.said(stay)}", f"but not {kit.said(stay)}"))
        )
    if task == "peek":
        wants = [*typed[:2], Until(says("shown", True), [Clicked("peek", f"Click {peek}")])]
        clauses.append(kit.one((f"click {kit.said(peek)}", f"show it with {kit.said(peek)}")))
        goal = {"shown": True, "inside": None, "held": {"user": user, "password": secret}}
    elif task == "out":
        clauses = [
            kit.one((f"click {kit.said(leave)}", f"sign out with {kit.said(leave)}", f"leave with {kit.said(leave)}"))
        ]
        wants, goal = [Until(says("left", True), [Clicked("leave", f"Click {leave}")])], {"left": True, "inside": None}
    else:
        if pressed:
            clauses.append(saying.click(kit, enter))
        if task == "in and out":
            clauses.append(kit.one((f"leave with {kit.said(leave)}", f"click {kit.said(leave)} after that")))
            wants = [Until(says("left", True), [entered, Clicked("leave", f"Click {leave}")])]
            goal = {"entered": given, "inside": None, "left": True}
    state = {
        "user": user,
        "secret": secret,
        "inside": start if task == "out" else None,
        "entered": None,
        "left": False,
        "shown": False,
        "wrong": False,
    }
    body = _body(kit, fields, (enter, leave, peek, stay), peeks=task == "peek" or kit.chance(0.4))
    return Made(f"signing, {task}", saying.joined(kit, clauses), body, All(wants), goal, state, _SCRIPT)


def _secret(kit: Kit) -> str:
    letters = kit.words.made_up_plain()[:6]
    return kit.one(
        (
            f"{letters}{kit.some(1, 999)}",
            f"{letters.capitalize()}-{kit.some(10, 99)}",
            f"{letters}!{kit.some(1, 9)}",
            letters + kit.words.made_up_plain()[:3],
        )
    )


def _clauses(kit: Kit, fields: tuple[str, str], values: tuple[str, str]) -> tuple[list[str], bool]:
    """Say what is to be typed; and whether the fields are named, or known by their order alone."""
    if kit.chance(0.4):
        return [saying.fill_in(kit, fields[0], values[0]), saying.fill_in(kit, fields[1], values[1])], True
    said = kit.said(fields[0]), kit.said(fields[1])
    if kit.chance(0.4):
        return [kit.one((
            f"sign in with {said[0]} {values[0]} and {said[1]} {values[1]}", f"log in: {said[0]} is {values[0]}, {said[1]} is {values[1]}",
            f"use {values[0]} as {said[0]} and {values[1]} as {said[1]}", f"go in by {said[0]} {values[0]} and {said[1]} {values[1]}",
        ))], True  # fmt: skip
    user, secret = values
    way = kit.one(("enter", "open the page", "get in", "go in", "let me in", "identify yourself", "start the session"))
    return [kit.one((
        f"{way} as {user}, the password is {secret}", f"{way} as {user} with {secret}", f"{way}: {user}, {secret}",
        f"{way} as {user} by the password {secret}", f"{way} as {user} using the password {secret}",
        f"{way} as {user} (password: {secret})", f"{way} under {user}, and the secret is {secret}",
        f"{way} as {user} with the code {secret}", f"{way} for {user} by typing {secret} as the password",
        f"the account is {user} and its password {secret}: {way}",
    ))], False  # fmt: skip


def _body(kit: Kit, fields: tuple[str, str], names: tuple[str, str, str, str], *, peeks: bool) -> str:
    enter, leave, peek, stay = names
    inside = kit.labels == "inside"
    user = kit.input("user", fields[0], hint=fields[0] if inside else "", more='data-holds="user" data-enter="enter"')
    password = kit.input(
        "password",
        fields[1],
        hint=fields[1] if inside else "",
        kind="password",
        more='data-holds="password" data-enter="enter"',
    )
    if peeks:
        password = f'<div class="row"><div class="grow">{password}</div>{kit.button(peek, "peek", key="peek", first=False)}</div>'
    rows = (
        [user, password]
        if inside
        else [kit.labelled("user", fields[0], user), kit.labelled("password", fields[1], password)]
    )
    if stay:
        rows.append(
            f'<label for="stay" class="row nowrap">{kit.mark("stay", shown(stay), on=False, more="data-tick data-kind=tick")}<span>{shown(stay)}</span></label>'
        )
    wrong = f'<p class="warn" data-key="wrong" data-role="" hidden>{shown(kit.words.sentence(3))}</p>'
    wide = "width:100%" if kit.chance(0.5) else ""
    button = f'<div style="display:grid;{"" if wide else "justify-items:start"}">{kit.button(enter, "enter", key="enter", first=True)}</div>'
    card = f"{kit.heading()}{''.join(rows)}{wrong}{button}"
    if kit.chance(0.4):
        card = f'<div class="panel col" style="gap:8px;padding:{kit.some(8, 14)}px">{card}</div>'
    behind = f'<h2 data-key="who" data-role=""></h2>{kit.text(kit.some(4, 9))}<div class="row">{kit.button(leave, "leave", key="leave", first=False)}</div>'
    gap = kit.some(6, 10)
    return (
        f'<main><div data-key="outside" data-role="" class="col" style="gap:{gap}px">{card}</div>'
        f'<div data-key="inside" data-role="" class="col" style="gap:{gap}px" hidden>{behind}</div></main>'
    )
