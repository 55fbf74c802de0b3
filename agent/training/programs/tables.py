"""Tables: an action of a row, rows that are ticked for a common action, a cell that is asked for."""
# ruff: noqa: E501 - markup reads better unbroken

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from foveate.agent.oracles.state import says
from foveate.agent.oracles.wants import AtEnd, Clicked, Seen, Ticked, Until
from foveate.agent.training.markup import shown
from foveate.agent.training.programs import saying
from foveate.agent.training.programs.kit import Kit
from foveate.agent.training.programs.task import Made

_SCRIPT: Final = """
render = () => {
  for (const row of document.querySelectorAll("[data-row-of]")) row.hidden = S.gone.includes(row.dataset.rowOf);
};
actions.row = name => { S.acted = name; report(); };
actions.bulk = () => {
  const held = collect();
  S.bulk = Object.keys(held).filter(key => held[key]);
  if (S.removes) S.gone = [...S.gone, ...S.bulk];
  report();
};
"""


@dataclass(frozen=True, slots=True)
class _Table:
    """What a table holds: names of rows, of columns, and the cells."""

    rows: Sequence[str]
    columns: Sequence[str]
    cells: Mapping[tuple[str, str], str]


def tables(kit: Kit) -> Made:
    """A table of three to seven rows."""
    rows, columns = kit.things(kit.some(3, 7), 10), [kit.name(kit.words.field, 8) for _ in range(kit.some(1, 2))]
    draw = [kit.one((kit.words.price, kit.words.number, kit.words.code, kit.words.time)) for _ in columns]
    cells = {(row, column): make() for row in rows for column, make in zip(columns, draw, strict=True)}
    table = _Table(rows, columns, cells)
    return kit.one((_row_action, _row_action, _bulk, _cell, _cell, _lacking))(kit, table)


def _row_action(kit: Kit, table: _Table, *, lacking: str | None = None) -> Made:
    row = lacking or kit.one(table.rows)
    icon = kit.one(("edit", "trash", "star", "print", "share", "download")) if kit.chance(0.4) else ""
    verb = icon or kit.action(("edit", "view", "open", "pay"), 7)
    acted = says("acted", row)
    operation = f"Click {icon} icon for {row}" if icon else f"Click {verb} for {row}"
    said, called = kit.said(row), f"the {icon} icon" if icon else kit.said(verb)
    clause = kit.one(
        (f"click {called} for {said}", f"press {called} in the row {said}", f"click {called} beside {said}")
    )

    def action(name: str) -> str:
        if icon:
            return kit.icon_button(icon, f"row:{name}", key=f"act {name}", row=name)
        return kit.button(verb, f"row:{name}", key=f"act {shown(name)}", first=False, more=f'data-row="{shown(name)}"')

    return Made(
        "tables, row action" if lacking is None else "tables, lacking",
        saying.joined(kit, [clause]),
        _body(kit, table, action),
        Until(acted, [Clicked(f"act {row}", operation, acted)]) if lacking is None else AtEnd(),
        {"acted": None if lacking else row},
        {"acted": None, "gone": []},
        _SCRIPT,
        impossible=None if lacking is None else f"there is no {lacking}",
    )


def _lacking(kit: Kit, table: _Table) -> Made:
    return _row_action(kit, table, lacking=kit.thing(11))


def _bulk(kit: Kit, table: _Table) -> Made:
    chosen = kit.few(table.rows, kit.some(1, 3))
    verb = kit.action(("delete", "remove", "export", "move"), 10)
    on = kit.few(table.rows, 1) if kit.chance(0.2) else []
    goal = [row for row in table.rows if row in chosen]
    done = says("bulk", [f"box {row}" for row in goal])
    wants = [Ticked(f"box {row}", row, row in chosen) for row in (*(r for r in table.rows if r not in chosen), *chosen)]
    names = (
        " and ".join((", ".join(map(kit.said, chosen[:-1])), kit.said(chosen[-1])))
        if len(chosen) > 1
        else kit.said(chosen[0])
    )
    only = "only " * bool(on)
    clause = kit.one(
        (
            f"tick {only}{names}",
            f"select {only}the rows {names}" if len(chosen) > 1 else f"select {only}the row {names}",
            f"mark {only}{names}",
        )
    )

    def box(name: str) -> str:
        return kit.mark(
            f"box {shown(name)}",
            shown(name),
            on=name in on,
            more=f'data-holds="box {shown(name)}" data-kind="tick" data-tick data-row="{shown(name)}"',
        )

    button = kit.button(verb, "bulk", key="bulk", first=True)
    return Made(
        "tables, several rows",
        saying.joined(kit, [clause, saying.click(kit, verb)]),
        _body(kit, table, None, box=box, button=button),
        Until(done, [*wants, Clicked("bulk", f"Click {verb}")]),
        {"bulk": [f"box {row}" for row in goal]},
        {"bulk": None, "gone": [], "removes": False},
        _SCRIPT,
    )


def _cell(kit: Kit, table: _Table) -> Made:
    row, column = kit.one(table.rows), kit.one(table.columns)
    said, what = kit.said(row), kit.said(column)
    question = kit.one(
        (
            f"What is the {what} of {said}?",
            f"Which {what} does {said} have?",
            f"Look up {what} for {said}.",
            f"{said}: what is its {what}?",
        )
    )
    return Made(
        "tables, cell", question, _body(kit, table, None), Seen(f"cell {row} {column}"), {"acted": None}, {"acted": None, "gone": []}, _SCRIPT,
        answer=table.cells[row, column],
    )  # fmt: skip


def _body(
    kit: Kit,
    table: _Table,
    action: Callable[[str], str] | None,
    *,
    box: Callable[[str], str] | None = None,
    button: str = "",
) -> str:
    first = kit.name(kit.words.field, 9)
    lines = kit.chance(0.8)
    pad = kit.one((2, 3, 5))
    head = "".join(f"<th>{shown(one)}</th>" for one in (first, *table.columns))
    head = f'<tr class="{kit.one(("muted", "bold", "accent"))}{" line" * lines}">{"<th></th>" * (box is not None)}{head}{"<th></th>" * (action is not None)}</tr>'
    rows = "".join(
        f'<tr class="{"line" * lines}" data-key="row {shown(row)}" data-role="" data-row-of="box {shown(row)}">'
        + (f'<td style="width:24px;padding:{pad}px">{box(row)}</td>' if box else "")
        + f'<td style="padding:{pad}px 5px"><span data-for="{"box" if box else "act"} {shown(row)}">{shown(row)}</span></td>'
        + "".join(
            f'<td class="nowrap" data-key="cell {shown(row)} {shown(column)}" data-role="value" data-name="{shown(column)}" data-row="{shown(row)}" data-value="{shown(table.cells[row, column])}">'
            f"{shown(table.cells[row, column])}</td>"
            for column in table.columns
        )
        + (f'<td style="padding:{pad}px;text-align:right">{action(row)}</td>' if action else "")
        + "</tr>"
        for row in table.rows
    )
    grid = f'<div style="overflow-x:hidden"><table>{head}{rows}</table></div>'
    report = kit.toast(kit.words.sentence(2)) if action or button else ""
    order = [button, grid] if kit.chance(0.5) else [grid, button]
    return f'<main style="font-size:{kit.one((0.85, 0.9, 0.95))}em">{kit.heading() if kit.chance(0.7) else ""}{order[0]}{order[1]}{report}</main>'
