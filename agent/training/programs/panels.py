"""Controls with their values, and panels of them: the forms, boxes, options, lists and steppers of programs."""
# ruff: noqa: E501 - markup reads better unbroken

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from foveate.agent.oracles.wants import All, Chosen, Counts, Holds, Shows, Ticked, Want
from foveate.agent.training.markup import shown
from foveate.agent.training.programs import saying
from foveate.agent.training.programs.kit import Kit


@dataclass(frozen=True, slots=True)
class Control:
    """One control.

    Attributes:
        kind: What it is.
        key: Under which the page's state holds its value.
        name: What its label says.
        html: How it is written.
        start: What it holds at first.
        want: Makes the want that it holds a value.
        clause: Says in an instruction that it is to hold a value.
        other: Draws a value that it does not hold at first.
    """

    kind: str
    key: str
    name: str
    html: str
    start: Any
    want: Callable[[Any], Want]
    clause: Callable[[Any], str]
    other: Callable[[], Any]


def field(kit: Kit, *, value: str | None = None, more: str = "") -> Control:
    """Make a field to type into."""
    name, key = kit.name(kit.words.field, 14), kit.key("field")
    start = value if value is not None else kit.short(kit.words.value) if kit.chance(0.15) else ""
    inside = kit.labels == "inside" and not start
    control = kit.input(key, name, value=start, hint=name if inside else "", more=f'data-holds="{key}" {more}')
    html = control if inside else kit.labelled(key, name, control)

    def other() -> str:
        while (text := kit.short(kit.words.value)) == start:
            pass
        return text

    def clause(wanted: str) -> str:
        return saying.fill_in(kit, name, wanted) if wanted else f"clear {kit.said(name)}"

    return Control("field", key, name, html, start, lambda wanted: Holds(key, name, wanted), clause, other)


def box(kit: Kit, *, on: bool | None = None) -> Control:
    """Make a checkbox with its label."""
    name, key = kit.thing(18), kit.key("box")
    start = kit.chance(0.35) if on is None else on
    mark = kit.mark(key, shown(name), on=start, more=f'data-holds="{key}" data-kind="tick" data-tick')
    html = f'<label for="{key}" class="row nowrap" style="gap:{kit.some(4, 8)}px;padding:{kit.row_pad}px 0">{mark}<span>{shown(name)}</span></label>'
    return Control(
        "box", key, name, html, start, lambda wanted: Ticked(key, name, wanted),
        lambda wanted: saying.tick(kit, name, wanted), lambda: not start,
    )  # fmt: skip


def switch(kit: Kit, *, on: bool | None = None) -> Control:
    """Make a switch with its label."""
    name, key = kit.thing(18), kit.key("switch")
    start = kit.chance(0.4) if on is None else on
    height = kit.switch_height
    control = (
        f'<button type="button" id="{key}" class="mark switch" data-key="{key}" data-role="switch" data-mark data-name="{shown(name)}" '
        f'data-holds="{key}" data-kind="tick" data-tick aria-checked="{str(start).lower()}" style="width:{round(height * 1.9)}px;height:{height}px"><i></i></button>'
    )
    label = f'<label for="{key}" class="grow">{shown(name)}</label>'
    html = f'<div class="row between" style="padding:{kit.row_pad}px 0">{label}{control}</div>'
    return Control(
        "switch", key, name, html, start, lambda wanted: Ticked(key, name, wanted),
        lambda wanted: saying.switch(kit, name, wanted), lambda: not start,
    )  # fmt: skip


def options(kit: Kit, *, count: int | None = None) -> Control:
    """Make a group of options of which one is chosen: radio buttons, or parts of a bar."""
    name, key = kit.name(kit.words.field, 14), kit.key("group")
    native = kit.chance(0.6)
    names = kit.things(count or kit.some(2, 4), 12 if native else 9)
    start = kit.one(names) if kit.chance(0.7) else ""
    keys = {one: kit.key("option") for one in names}
    parts = []
    for one in names:
        facts = f'data-key="{keys[one]}" data-name="{shown(one)}" data-group="{shown(name)}" data-choice'
        if native:
            mark = f'<input type="radio" id="{keys[one]}" name="{key}" data-role="radio" data-mark {facts}{" checked" * (one == start)} style="width:{kit.mark_size}px;height:{kit.mark_size}px;margin:2px;flex:none">'
            parts.append(
                f'<label for="{keys[one]}" class="row nowrap" style="gap:5px">{mark}<span>{shown(one)}</span></label>'
            )
        else:
            parts.append(
                f'<button type="button" class="btn seg pick" data-role="option" {facts} aria-checked="{str(one == start).lower()}">{shown(one)}</button>'
            )
    flow = kit.one(("row wrap", "col", "row wrap")) if native else "row wrap"
    html = (
        f'<div data-kind="group" data-holds="{key}"><div class="{kit.one(("", "bold", "muted"))}">{shown(name)}</div>'
        f'<div class="{flow}" style="gap:{kit.some(3, 6)}px;margin-top:3px">{"".join(parts)}</div></div>'
    )
    return Control(
        "options", key, name, html, start, lambda wanted: Chosen(keys[wanted], f"Choose {wanted}"),
        lambda wanted: saying.choose(kit, name, wanted), lambda: kit.one([one for one in names if one != start]),
    )  # fmt: skip


def drop_down(kit: Kit) -> Control:
    """Make a list that is closed until it is clicked."""
    name, key = kit.name(kit.words.field, 14), kit.key("list")
    names = kit.things(kit.some(3, 8), 14)
    start = kit.one(names)
    kinds = kit.one(("fld", "fld", ""))
    choices = "".join(f"<option{' selected' * (one == start)}>{shown(one)}</option>" for one in names)
    control = f'<select id="{key}" class="{kinds}" data-key="{key}" data-role="select" data-name="{shown(name)}" data-holds="{key}">{choices}</select>'
    return Control(
        "list", key, name, kit.labelled(key, name, control), start, lambda wanted: Shows(key, name, wanted),
        lambda wanted: saying.choose(kit, name, wanted), lambda: kit.one([one for one in names if one != start]),
    )  # fmt: skip


def stepper(kit: Kit, *, most: int = 3) -> Control:
    """Make a number with marks to lower and raise it."""
    name, key = kit.name(kit.words.field, 14), kit.key("count")
    start = kit.one((0, 1, 1, 2, kit.some(3, 12)))
    less, more = kit.key("less"), kit.key("more")
    size = kit.one((24, 26, 28, 30))
    square = f"width:{size}px;height:{size}px;padding:0;display:inline-flex;align-items:center;justify-content:center;flex:none"
    pictures, kinds = kit.chance(0.5), kit.one(("btn", "btn", "tool panel"))

    def part(part_key: str, role: str, by: int) -> str:
        inner = kit.icon("plus" if by > 0 else "minus", size * 0.55) if pictures else "+" if by > 0 else "−"
        return (
            f'<button type="button" class="{kinds}" data-key="{part_key}" data-role="{role}" data-mark data-name="{shown(name)}" '
            f'data-counts="{key}" data-by="{by}" style="{square}">{inner}</button>'
        )

    number = (
        f'<span data-key="{key}" data-role="value" data-name="{shown(name)}" data-holds="{key}" data-kind="count" data-value="{start}" data-least="0" '
        f'data-most="99" style="min-width:24px;text-align:center">{start}</span>'
    )
    html = (
        f'<div class="row between"><span>{shown(name)}</span><span class="row" style="gap:{kit.some(1, 5)}px">'
        f'{part(less, "decrease", -1)}{number}{part(more, "increase", 1)}</span></div>'
    )  # fmt: skip

    def other() -> int:
        low = max(0, start - most)
        return kit.one([value for value in range(low, start + most + 1) if value != start])

    return Control(
        "stepper", key, name, html, start, lambda wanted: Counts(key, more, less, name, wanted),
        lambda wanted: saying.count(kit, name, start, wanted), other,
    )  # fmt: skip


MAKERS: Mapping[str, Callable[[Kit], Control]] = {
    "field": field, "box": box, "switch": switch, "options": options, "list": drop_down, "stepper": stepper,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a panel.

    Attributes:
        clauses: The instruction's parts.
        want: That every control holds what it should.
        goal: What every control holds then.
    """

    clauses: list[str]
    want: Want
    goal: Mapping[str, Any]


def ask(kit: Kit, controls: Sequence[Control], count: int, *, already: float = 0.06) -> Asked:
    """Ask for some of a panel's controls to hold other values, in the order in which they stand, mostly.

    What is not asked for stays as it is: where it was changed by mistake it is put right first.

    Args:
        kit: Draws.
        controls: The panel's.
        count: How many are asked for.
        already: Share of those asked for that hold the value already.
    """
    chosen = kit.few(controls, count)
    if kit.chance(0.15):
        kit.rng.shuffle(chosen)
    goal = {control.key: control.start for control in controls}
    clauses: list[str] = []
    for control in chosen:
        keeps = bool(control.start) and kit.chance(already)
        goal[control.key] = control.start if keeps else control.other()
        clauses.append(control.clause(goal[control.key]))
    rest = [control for control in controls if control not in chosen and (control.start or control.kind != "options")]
    wants = [control.want(goal[control.key]) for control in (*rest, *chosen)]
    goal = {
        key: value for key, value in goal.items() if value != "" or key in {control.key for control in chosen + rest}
    }
    return Asked(clauses, All(wants), goal)
