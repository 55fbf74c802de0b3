"""Months with their days: arrows lead to another month, a day is chosen, sometimes confirmed."""
# ruff: noqa: E501 - markup reads better unbroken

from dataclasses import dataclass
from typing import Final

from foveate.agent.oracles.moves import Move, click
from foveate.agent.oracles.state import Sight
from foveate.agent.oracles.wants import Clicked, Until, Want
from foveate.agent.training.programs import saying
from foveate.agent.training.programs.kit import Kit
from foveate.agent.training.programs.task import Made
from foveate.agent.training.word_lists import MONTHS

_SCRIPT: Final = """
render = () => {
  const [year, month] = [Math.floor(S.month / 12), S.month % 12];
  find("shown").textContent = fill(TEMPLATES.month, { month: S.names[month], year });
  const days = new Date(year, month + 1, 0).getDate(), before = (new Date(year, month, 1).getDay() + 7 - S.first) % 7;
  const cells = Array.from({ length: before }, () => "<i></i>");
  for (let day = 1; day <= days; day++) cells.push(fill(TEMPLATES.day, { day }));
  find("grid").innerHTML = cells.join("");
  for (const cell of find("grid").querySelectorAll("button"))
    cell.setAttribute("aria-pressed", String(S.chosen !== null && S.chosen[0] === S.month && S.chosen[1] === Number(cell.dataset.name)));
  if (find("chosen")) find("chosen").textContent = S.chosen ? fill(TEMPLATES.chosen, { day: S.chosen[1], month: S.names[S.chosen[0] % 12], year: Math.floor(S.chosen[0] / 12) }) : "";
  if (find("panel")) find("panel").hidden = !S.open;
};
actions.turn = by => { S.month += Number(by); };
actions.day = day => { S.chosen = [S.month, Number(day)]; if (S.closes) S.open = false; };
actions.open = () => { S.open = !S.open; };
actions.save = () => { S.saved = S.chosen; report(); };
"""


@dataclass(frozen=True, slots=True)
class _Shown:
    """A month is shown: the arrows lead there."""

    month: int
    earlier: str
    later: str

    def step(self, sight: Sight) -> Move | None:
        """Turn one month towards it."""
        if sight.state["month"] == self.month:
            return None
        back = sight.state["month"] > self.month
        return click(sight, "earlier" if back else "later", self.earlier if back else self.later)


def days(kit: Kit) -> Made:
    """A month's grid."""
    year = kit.some(2019, 2034)
    now = year * 12 + kit.some(0, 11)
    target = now + kit.one((0, 0, 0, 1, 1, 2, 3, -1, -1, -2))
    names = _months(kit, now, target)
    day = kit.some(1, 28)
    hidden, confirmed = kit.chance(0.3), kit.chance(0.4)
    confirm = kit.action(("confirm", "save", "book", "reserve", "continue"), 10)
    opener = kit.name(kit.words.field, 12)
    earlier, later, arrows = _arrows(kit)
    chosen = [target, day]
    goal = {"saved": chosen} if confirmed else {"chosen": chosen}
    picked: Want = Until(
        lambda sight: sight.state["chosen"] == chosen,
        [_Shown(target, earlier, later), Clicked(f"day {day}", f"Choose {day}")],
    )
    wants: list[Want] = [picked]
    if hidden:
        opened: Want = Until(lambda sight: bool(sight.state["open"]), [Clicked("opener", f"Click {opener}")])
        wants = [Until(lambda sight: sight.state["chosen"] == chosen, [opened, picked])]
    if confirmed:
        wants = [Until(lambda sight: sight.state["saved"] == chosen, [*wants, Clicked("confirm", f"Click {confirm}")])]
    date = _date(kit, names[target % 12], day, target)
    where = f" for {kit.said(opener)}" if hidden else ""
    clauses = [
        kit.one(
            (f"choose {date}{where}", f"pick {date}{where}", f"set the date{where} to {date}", f"select {date}{where}")
        )
    ]
    if confirmed:
        clauses.append(saying.click(kit, confirm))
    closes = hidden and kit.chance(0.5)
    state = {
        "month": now,
        "names": names,
        "first": kit.some(0, 1),
        "chosen": None,
        "open": not hidden,
        "closes": closes,
    }
    return Made(
        f"days, {abs(target - now)} months away",
        saying.joined(kit, clauses),
        _body(kit, arrows, opener if hidden else "", confirm if confirmed else "", names),
        Until(lambda sight: False, wants) if not confirmed else wants[0],
        goal,
        state,
        _SCRIPT,
    )


def _months(kit: Kit, now: int, target: int) -> list[str]:
    """Give the months' names in some language; their numbers where a name that is shown is not of the split."""
    shown = {month % 12 for month in range(min(now, target), max(now, target) + 1)}
    numbers = [f"{month:02d}" for month in range(1, 13)]
    fitting = [names for names in MONTHS if all(kit.fits(names[month]) for month in shown)]
    if not fitting or kit.chance(0.15):
        return numbers
    names = fitting[0] if kit.chance(0.6) else kit.one(fitting)
    return [name.capitalize() if month in shown else numbers[month] for month, name in enumerate(names)]


def _date(kit: Kit, month: str, day: int, target: int) -> str:
    year = target // 12
    if month.isdigit():
        return kit.one((f"{day}.{int(month)}.{year}", f"{year}-{month}-{day:02d}", f"{day}.{month}.{year}"))
    return kit.one((f"{day} {month} {year}", f"{month} {day}, {year}", f"{day} {month} {year}"))


def _arrows(kit: Kit) -> tuple[str, str, tuple[str, str]]:
    """Write what leads to the month before and after; say how pressing them is said."""
    earlier, said = kit.obvious(("Previous", "Back"), "back", "turn:-1", "earlier")
    later, after = kit.obvious(("Next",), "next", "turn:1", "later")
    return said, after, (earlier, later)


def _body(kit: Kit, arrows: tuple[str, str], opener: str, confirm: str, names: list[str]) -> str:
    worded = any(not name.isdigit() for name in names)
    kit.templates["month"] = kit.one(
        ("%month% %year%", "%year% %month%") if worded else ("%month% / %year%", "%year%-%month%", "%month%.%year%")
    )
    kit.templates["chosen"] = kit.one(("%day% %month% %year%", "%day%. %month%", "%month% %day%"))
    height = kit.some(24, 30)
    kit.templates["day"] = (
        f'<button type="button" class="tool pick chip" data-key="day %day%" data-role="day" data-name="%day%" data-do="day:%day%" '
        f'style="padding:0;height:{height}px;display:flex;align-items:center;justify-content:center;border-radius:{kit.one((0, 4, 99))}px">%day%</button>'
    )
    heads = "".join(
        f'<span class="muted small" style="text-align:center">{letter}</span>'
        for letter in kit.one(("MTWTFSS", "SMTWTFS", "LMMJVSD", ""))
    )
    title = '<span data-key="shown" data-role="" class="bold"></span>'
    bar = (
        f'<div class="row between">{arrows[0]}{title}{arrows[1]}</div>'
        if kit.chance(0.7)
        else f'<div class="row">{title}<span class="grow"></span>{arrows[0]}{arrows[1]}</div>'
    )
    columns = "display:grid;grid-template-columns:repeat(7,1fr);gap:2px"
    grid = f'{bar}<div style="{columns}">{heads}</div><div data-key="grid" data-role="" style="{columns}"></div>'
    chosen = '<p data-key="chosen" data-role="" style="min-height:1.3em"></p>' if confirm or kit.chance(0.4) else ""
    button = kit.button(confirm, "save", key="confirm", first=True) if confirm else ""
    if opener:
        grid = (
            f'<div class="panel over col" data-key="panel" data-role="" style="padding:6px;gap:4px" hidden>{grid}</div>'
        )
        grid = f'<div class="row">{kit.button(opener, "open", key="opener", first=False)}<span class="grow">{chosen}</span></div>{grid}'
        chosen = ""
    head = kit.heading() if kit.chance(0.5) and not opener else ""
    return f'<main style="gap:5px">{head}{grid}{chosen}<div class="row">{button}</div></main>'
