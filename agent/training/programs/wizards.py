"""Steps one after the other, each with something to fill or to choose, and buttons for next and back."""
# ruff: noqa: E501 - markup reads better unbroken

from typing import Final

from foveate.agent.oracles.state import keeps, says
from foveate.agent.oracles.wants import All, Clicked, Nothing, Paged, Until, Want
from foveate.agent.training.markup import shown
from foveate.agent.training.programs import saying
from foveate.agent.training.programs.kit import Kit
from foveate.agent.training.programs.panels import MAKERS, ask
from foveate.agent.training.programs.task import Made

_SCRIPT: Final = """
render = () => {
  const parts = [...document.querySelectorAll("[data-page]")];
  parts.forEach((part, i) => { part.hidden = i !== S.page; });
  find("back").style.visibility = S.page ? "visible" : "hidden";
  if (find("next")) find("next").hidden = S.page === parts.length - 1;
  if (find("finish")) find("finish").hidden = S.page !== parts.length - 1;
  for (const element of document.querySelectorAll("[data-progress]")) element.textContent = fill(TEMPLATES.progress, { at: S.page + 1, of: parts.length });
  for (const [i, dot] of document.querySelectorAll("[data-dot]").entries()) dot.className = i <= S.page ? "accent" : "panel";
};
actions.next = () => { S.page++; };
actions.back = () => { S.page--; };
"""


def wizards(kit: Kit) -> Made:
    """Two to four steps."""
    forward, onward = kit.obvious(("Next", "Continue", "Forward"), "next", "next", "next", first=True)
    back, backward = kit.obvious(("Back", "Previous"), "back", "back", "back")
    finish = kit.action(("finish", "submit", "send", "confirm"), 11)
    count = kit.some(2, 4)
    controls = [
        MAKERS[kit.one(("field", "field", "box", "options", "options", "list", "stepper"))](kit) for _ in range(count)
    ]
    show = kit.chance(0.15)
    asked = [ask(kit, [control], 1 if kit.chance(0.75) else 0) for control in controls]
    clauses = [clause for one in asked for clause in one.clauses]
    goal = {key: value for one in asked for key, value in one.goal.items()}
    paged = Paged([one.want for one in asked], "next", onward, "back", backward)
    if show or not clauses:
        page = kit.some(1, count - 1)
        clauses = [kit.one((f"go to step {page + 1}", f"show step {page + 1}", f"go on to step {page + 1}"))]
        plan: Want = Until(says("page", page), [Paged([Nothing()] * (page + 1), "next", onward, "back", backward)])
        state: dict[str, object] = {"page": page, "saved": None}
    else:
        clauses.append(saying.click(kit, finish))
        reached = keeps("saved", goal)
        plan = Until(reached, [All([paged, Clicked("finish", f"Click {finish}")])])
        state = {"saved": goal}
    return Made(
        f"wizards, {'shown' if show else count}",
        saying.joined(kit, clauses),
        _body(kit, [control.html for control in controls], (forward, back, finish)),
        plan,
        state,
        {"page": 0},
        _SCRIPT,
    )


def _body(kit: Kit, rows: list[str], names: tuple[str, str, str]) -> str:
    ways = [
        way
        for way in ("Step %at% of %of%", "%at% / %of%", "%at% of %of%", "Step %at%")
        if kit.fits(way.replace("%", ""))
    ]
    kit.templates["progress"] = kit.one(ways)
    dots = "".join('<i data-dot style="height:5px;flex:1;border-radius:3px"></i>' for _ in rows)
    progress = kit.one(
        (
            '<p data-progress class="muted"></p>',
            '<p data-progress class="bold"></p>',
            f'<p data-progress></p><div class="row" style="gap:4px">{dots}</div>',
        )
    )
    titles = [kit.name(kit.words.heading, 16) if kit.chance(0.5) else "" for _ in rows]
    parts = "".join(
        f'<div data-page class="col" style="gap:8px">{f"<h3>{shown(title)}</h3>" if title else ""}{row}</div>'
        for title, row in zip(titles, rows, strict=True)
    )
    forward, back, finish = names
    buttons = (
        f'<div class="row between">{back}<span class="row">'
        f"{forward}{kit.button(finish, 'save', key='finish', first=True)}</span></div>"
    )
    return kit.form(f"{kit.heading()}{progress}{parts}", buttons, f"gap:{kit.some(8, 12)}px")
