"""How instructions say what is to be done."""
# ruff: noqa: E501 - phrases read better side by side

from collections.abc import Sequence

from foveate.agent.training.programs.kit import Kit


def joined(kit: Kit, clauses: Sequence[str]) -> str:
    """Make one instruction of several clauses in the imperative."""
    parts = list(clauses)
    way = kit.rng.random()
    if len(parts) == 1:
        text = parts[0]
    elif way < 0.45:
        text = ", ".join(parts[:-1]) + kit.one((" and ", ", then ", " and then ")) + parts[-1]
    elif way < 0.65:
        return " ".join(_begun(part) + "." for part in parts)
    elif way < 0.8:
        text = ", then ".join(parts)
    else:
        text = "; ".join(parts)
    if kit.chance(0.08):
        text = "please " + text
    return _begun(text) + kit.one((".", ".", ".", ""))


def _begun(text: str) -> str:
    return text[:1].upper() + text[1:]


def quoted(kit: Kit, text: str) -> str:
    """Write a text that is to be typed or read, mostly as it is, sometimes in quotes."""
    if text.endswith((".", "!", "?", ",")) or kit.chance(0.3):
        return f'"{text}"' if kit.chance(0.7) else f"'{text}'"
    return text


def fill_in(kit: Kit, name: str, value: str) -> str:
    """Say that a field is to hold a value."""
    name, value = kit.said(name), quoted(kit, value)
    return kit.one((
        f"type {value} into {name}", f"enter {value} in {name}", f"set {name} to {value}", f"put {value} in the {name} field",
        f"write {value} under {name}", f"fill {name} with {value}", f"give {value} as {name}", f"change {name} to {value}",
    ))  # fmt: skip


def tick(kit: Kit, name: str, on: bool) -> str:
    """Say that a box is to be ticked, or not."""
    name = kit.said(name)
    if on:
        return kit.one(
            (f"tick {name}", f"tick {name}", f"check {name}", f"check the box {name}", f"tick the box {name}")
        )
    return kit.one((f"untick {name}", f"untick {name}", f"uncheck {name}", f"take the tick off {name}"))


def switch(kit: Kit, name: str, on: bool) -> str:
    """Say that a switch is to be on, or off."""
    name, way = kit.said(name), "on" if on else "off"
    return kit.one((f"turn {way} {name}", f"turn {name} {way}", f"switch {name} {way}", f"set {name} to {way}"))


def choose(kit: Kit, group: str, option: str) -> str:
    """Say which option of a group, or of a list, is to be chosen."""
    group, option = kit.said(group), kit.said(option)
    return kit.one((
        f"choose {option} for {group}", f"set {group} to {option}", f"select {option} under {group}", f"pick {option} as {group}",
        f"choose {option} as {group}", f"change {group} to {option}", f"make {group} {option}", f"{group} is to be {option}",
    ))  # fmt: skip


def count(kit: Kit, name: str, start: int, target: int) -> str:
    """Say which number a stepper is to show."""
    name = kit.said(name)
    way = ("raise", "increase") if target > start else ("lower", "reduce")
    return kit.one(
        (
            f"set {name} to {target}",
            f"set {name} to {target}",
            f"change {name} to {target}",
            f"{kit.one(way)} {name} to {target}",
        )
    )


def click(kit: Kit, name: str) -> str:
    """Say which button is to be pressed."""
    name = kit.said(name)
    return kit.one(
        (f"click {name}", f"click {name}", f"press {name}", f"press the {name} button", f"finish with {name}")
    )


def save(kit: Kit, name: str) -> str:
    """Say that a form is to be saved, sent, confirmed: by the button's name, or by what it does where that is its name."""
    if kit.language != "en" or " " in name or not name.isalpha() or kit.chance(0.5):
        return click(kit, name)
    name = name.lower()
    return kit.one((name, f"{name} it", f"{name} the form", f"{name} what you entered", f"{name} everything"))
