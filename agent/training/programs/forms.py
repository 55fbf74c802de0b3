"""Forms: fields to fill, boxes to tick, options, lists and numbers to set, and a button that saves them."""
# ruff: noqa: E501 - markup reads better unbroken

from collections.abc import Sequence

from foveate.agent.oracles.state import keeps
from foveate.agent.oracles.wants import AtEnd, Clicked, Entered, Until, Want
from foveate.agent.training.programs import saying
from foveate.agent.training.programs.kit import Kit
from foveate.agent.training.programs.panels import MAKERS, Control, ask, field
from foveate.agent.training.programs.task import Made

SAVING = ("save", "send", "apply", "submit", "confirm", "update", "continue", "register", "request")


def fill(kit: Kit) -> Made:
    """Fields to fill."""
    controls = [field(kit, more='data-enter="save"') for _ in range(kit.some(1, 4))]
    return _form(kit, controls, kit.some(1, len(controls)), "fill")


def ticks(kit: Kit) -> Made:
    """Boxes or switches."""
    kind = kit.one(("box", "box", "switch"))
    controls = [MAKERS[kind](kit) for _ in range(kit.some(2, 6))]
    return _form(kit, controls, kit.some(1, min(3, len(controls))), kind, unsaved=0.3)


def choices(kit: Kit) -> Made:
    """Groups of options."""
    controls = [MAKERS["options"](kit) for _ in range(kit.some(1, 2))]
    return _form(kit, controls, kit.some(1, len(controls)), "options", unsaved=0.3)


def lists(kit: Kit) -> Made:
    """Drop-down lists."""
    controls = [MAKERS["list"](kit) for _ in range(kit.some(1, 3))]
    return _form(kit, controls, kit.some(1, min(2, len(controls))), "list", unsaved=0.3)


def amounts(kit: Kit) -> Made:
    """Numbers with a plus and a minus."""
    controls = [MAKERS["stepper"](kit) for _ in range(kit.some(1, 4))]
    return _form(kit, controls, kit.some(1, min(2, len(controls))), "stepper", unsaved=0.3)


def mixed(kit: Kit) -> Made:
    """Controls of several kinds under one another."""
    kinds = kit.rng.choices(tuple(MAKERS), k=kit.some(2, 5))
    controls = [MAKERS[kind](kit) for kind in kinds]
    return _form(kit, controls, kit.some(1, min(3, len(controls))), "mixed")


def _form(kit: Kit, controls: Sequence[Control], count: int, template: str, *, unsaved: float = 0.06) -> Made:
    """Make a form of controls, some of which are to be changed, and mostly a button to press then."""
    save, key = kit.action(SAVING), kit.key("save")
    if kit.chance(0.06):
        return _lacking(kit, controls, (save, key), template)
    asked = ask(kit, controls, count)
    if kit.chance(unsaved):
        body = write_form(kit, controls, "" if kit.chance(0.6) else kit.button(save, "save", key=key))
        return Made(
            f"{template}, unsaved", saying.joined(kit, asked.clauses), body, asked.want, {"held": dict(asked.goal)}
        )
    reached = keeps("saved", asked.goal)
    fields = [control for control in controls if control.kind == "field"]
    by_key = template == "fill" and kit.chance(0.2)
    if by_key:
        ending = kit.one(("press Enter", "hit Enter", "confirm with Enter"))
        last: Want = Entered(fields[-1].key, fields[-1].name, reached, [control.key for control in fields])
        button = "" if kit.chance(0.5) else kit.button(save, "save", key=key, first=True)
    else:
        ending = saying.save(kit, save) if save.lower() in SAVING else saying.click(kit, save)
        last = Clicked(key, f"Click {save}", reached)
        button = kit.button(save, "save", key=key, first=True)
    return Made(
        f"{template}, {'by key' if by_key else 'saved'}",
        saying.joined(kit, [*asked.clauses, ending]),
        write_form(kit, controls, button),
        Until(reached, [asked.want, last]),
        {"saved": dict(asked.goal)},
    )


def _lacking(kit: Kit, controls: Sequence[Control], save: tuple[str, str], template: str) -> Made:
    """Make a form that lacks what is asked for."""
    lacking = MAKERS[kit.one(controls).kind](kit)
    body = write_form(kit, controls, kit.button(save[0], "save", key=save[1], first=True))
    return Made(
        f"{template}, lacking",
        saying.joined(kit, [lacking.clause(lacking.other())]),
        body,
        AtEnd(),
        {"saved": None, "held": {control.key: control.start for control in controls}},
        impossible=f"there is no {lacking.name}",
    )


def write_form(kit: Kit, controls: Sequence[Control], button: str) -> str:
    """Write a form: heading, controls, buttons, what it says when it was saved."""
    gap = kit.some(6, 12)
    rows = "".join(control.html for control in controls)
    if kit.chance(0.3):
        rows = f'<div class="panel col" style="gap:{gap}px;padding:{kit.some(6, 12)}px">{rows}</div>'
    more = kit.button(kit.name(kit.words.action, 10), "other", first=False) if button and kit.chance(0.25) else ""
    both = [button, more] if kit.chance(0.7) else [more, button]
    buttons = f'<div class="row wrap" style="justify-content:{kit.one(("flex-start", "flex-end", "space-between"))}">{"".join(both)}</div>'
    head = kit.heading() if kit.chance(0.8) else ""
    head += kit.text(kit.some(3, 8)) if kit.chance(0.25) else ""
    return kit.form(head + rows, buttons if button else "", f"gap:{gap}px")
