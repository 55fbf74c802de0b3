"""How people say what is to be done on a screen."""

import random
from collections.abc import Mapping
from typing import Final

CLICK: Final = ("Click {n}", "Click {n}", "Click {n}", "Click on {n}", "Press {n}", "Tap {n}", "Hit {n}", 'Click "{n}"')

CLICKING: Final = ("Click", "Press", "Tap", "Hit")

BY_ROLE: Final[Mapping[str, tuple[str, ...]]] = {
    "button": (*CLICK, *CLICK, "Click the {n} button", "Press the {n} button", "Use the {n} button", "Push {n}"),
    "link": (*CLICK, "Open {n}", "Follow {n}", "Click the {n} link", "Follow the link {n}", "Go to {n}"),
    "field": (
        "Click the {n} field", "Click the {n} field", "Click into {n}", "Focus {n}", "Focus the {n} field",
        "Put the cursor into {n}", "Go to the {n} field", "Click the box for {n}", "Select the field {n}",
    ),
    "checkbox on": (
        "Untick {n}", "Untick {n}", "Uncheck {n}", "Clear {n}", "Take the tick off {n}", "Deselect {n}",
        "Remove the tick from {n}",
    ),
    "checkbox off": (
        "Tick {n}", "Tick {n}", "Tick {n}", "Check {n}", "Tick the box {n}", "Check the {n} box", "Select {n}",
        "Mark {n}",
    ),
    "switch on": ("Turn off {n}", "Turn {n} off", "Switch {n} off", "Switch off {n}", "Disable {n}"),
    "switch off": ("Turn on {n}", "Turn {n} on", "Switch {n} on", "Switch on {n}", "Enable {n}"),
    "radio": (
        "Choose {n}", "Choose {n}", "Select {n}", "Pick {n}", "Choose {n} for {g}", "Set {g} to {n}",
        "Select {n} under {g}",
    ),
    "select": (
        "Open the {n} list", "Open {n}", "Open the list {n}", "Open the {n} menu", "Click the {n} list",
        "Click the {n} dropdown", "Show the choices of {n}",
    ),
    "select open": ("Close the {n} list", "Close {n}", "Close the list {n}", "Fold the {n} list"),
    "option": ("Choose {n}", "Choose {n}", "Select {n}", "Pick {n}", "Choose {n} from the list", "Set {g} to {n}"),
    "tab": (
        *CLICK, "Open the {n} tab", "Open {n}", "Go to {n}", "Go to the {n} tab", "Show {n}", "Switch to {n}",
        "Change to the {n} tab",
    ),
    "menu": (*CLICK, "Open {n}", "Open the {n} menu", "Click the {n} menu"),
    "menuitem": (*CLICK, "Choose {n}", "Choose {n} from the menu", "Select {n}", "Pick {n}"),
    "icon": (
        "Click the {n} icon", "Click the {n} icon", "Click the {n} icon", "Press the {n} icon", "Click {n}",
        "Tap the {n} symbol", "Click the {n} button", "Use the {n} icon", "Click on the {n} icon",
    ),
    "delete": (
        "Delete {n}", "Delete {n}", "Remove {n}", "Remove {n}", "Remove {n} from the list", "Take {n} off the list",
        "Get rid of {n}", "Delete the {n} row", "Delete the entry {n}", "Erase {n}",
    ),
    "row": (*CLICK, "Open {n}", "Open {n}", "Open {n}", "Show {n}", "Go to {n}", "Select {n}", "Open the {n} row"),
    "increase": (
        "Increase {n}", "Increase {n}", "Raise {n}", "Add one to {n}", "One more {n}", "Increase {n} by one",
        "Press plus at {n}", "Make {n} larger",
    ),
    "decrease": (
        "Decrease {n}", "Decrease {n}", "Lower {n}", "Take one from {n}", "One less {n}", "Decrease {n} by one",
        "Press minus at {n}", "Reduce {n}", "Make {n} smaller",
    ),
    "slider": ("Click the {n} slider", "Click the slider {n}"),
    "chip": (*CLICK, "Select {n}", "Choose {n}", "Click the {n} chip", "Press the {n} tag"),
    "day": (
        "Choose day {n}", "Select day {n}", "Click the {n}", "Choose {n} {m}", "Select {n} {m}", "Pick {m} {n}",
        "Click {n} in the calendar", "Set the date to {n} {m}",
    ),
    "star": ("Give {n} stars for {g}", "Rate {g} with {n} stars", "Set {g} to {n} stars", "Click star {n} of {g}"),
    "page": ("Go to page {n}", "Go to page {n}", "Open page {n}", "Show page {n}", "Click page {n}",
    "Click page number {n}"),
    "section open": ("Close {n}", "Collapse {n}", "Fold {n}", "Close the {n} section", "Click {n}"),
    "section closed": ("Open {n}", "Expand {n}", "Unfold {n}", "Open the {n} section", "Show {n}", "Click {n}"),
    "sort": ("Sort by {n}", "Sort by {n}", "Order by {n}", "Sort the table by {n}", "Click the {n} column"),
}  # fmt: skip
"""Templates by role, where it matters with the state: ``{n}`` is the name, ``{g}`` its group, ``{m}`` a month."""

OF_ROW: Final[Mapping[str, tuple[str, ...]]] = {
    "button": (
        "Click {n} for {r}", "Press {n} for {r}", "Click {n} at {r}", "Click {n} in the row of {r}", "{n} {r}",
        "Click the {n} button of {r}", "Press the {n} button at {r}",
    ),
    "icon": (
        "Click the {n} icon for {r}", "Click the {n} icon of {r}", "Click {n} at {r}",
        "Press the {n} icon in the row of {r}",
    ),
}  # fmt: skip
"""Templates of what each row has: ``{r}`` is the row's name."""

OPERATIONS: Final[Mapping[str, str]] = {
    "checkbox on": "Untick {n}", "checkbox off": "Tick {n}", "switch on": "Untick {n}", "switch off": "Tick {n}",
    "radio": "Choose {n}", "option": "Choose {n}", "day": "Choose {n}", "select": "Open {n}",
    "select open": "Close {n}", "row": "Open {n}",
    "delete": "Delete {n}", "increase": "Increase {n}", "decrease": "Decrease {n}", "icon": "Click {n} icon",
    "page": "Click page {n}", "star": "Click star {n} of {g}", "section open": "Close {n}",
    "section closed": "Open {n}",
}  # fmt: skip
"""What the answer calls a click; of all other roles ``Click {n}``."""

OTHER_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "search": ("magnifier", "search"), "settings": ("gear", "settings"), "trash": ("bin", "delete"),
    "close": ("cross", "close"), "user": ("profile", "account"), "mail": ("envelope", "message"),
    "menu": ("hamburger", "menu"), "home": ("house", "home"), "star": ("favourite", "star"), "heart": ("like", "heart"),
    "edit": ("pencil", "edit"), "bell": ("notification", "bell"), "cart": ("basket", "shopping cart"),
    "plus": ("add", "plus"), "pin": ("location", "map pin"), "image": ("picture", "photo"), "lock": ("padlock", "lock"),
    "back": ("left arrow", "back"), "next": ("right arrow", "next"), "download": ("save", "download"),
    "refresh": ("reload", "refresh"), "help": ("question mark", "help"), "check": ("tick", "check mark"),
    "more": ("three dots", "more"), "chat": ("speech bubble", "chat"), "clock": ("time", "clock"),
    "phone": ("call", "phone"), "moon": ("dark mode", "moon"), "chart": ("statistics", "graph"),
    "up": ("up arrow", "up"), "down": ("down arrow", "down"), "globe": ("language", "world"),
}  # fmt: skip
"""What people call icons besides; only used where no other icon on the screen has that name."""

TYPE: Final = (
    "Type {v} into {n}", "Type {v} into {n}", "Type {v} in {n}", "Enter {v} in {n}", "Write {v} in the {n} field",
    "Fill in {v} for {n}", "Put {v} into {n}", "Set {n} to {v}", "Type {v} into the {n} field", "Fill {n} with {v}",
    "Enter {v} as {n}",
)  # fmt: skip

SEARCH: Final = ("Search for {v}", "Look for {v}", "Look up {v}")

VALUE: Final = (
    "What is the {n}?", "What is {n}?", "What does {n} say?", "Read {n}", "Tell me the {n}", "Which value has {n}?",
    "What stands beside {n}?", "Answer with the {n}",
)  # fmt: skip
VALUE_OF_ROW: Final = (
    "What is the {n} of {r}?", "Which {n} has {r}?", "Tell me the {n} of {r}", "What stands under {n} for {r}?",
    "Read the {n} of {r}",
)  # fmt: skip
FIELD_VALUE: Final = (
    "What does the {n} field say?", "What stands in {n}?", "What is typed into {n}?", "Read the {n} field",
    "What is in the {n} field?",
)  # fmt: skip
CHOSEN: Final = ("What is chosen for {n}?", "What is {n} set to?", "Which {n} is chosen?", "What does {n} show?")
PLACE: Final = (
    "Which word stands at {x} {y}?", "Which word stands at {x} {y}?", "Read the word at {x} {y}",
    "What is written at {x} {y}?",
    "Say the word at {x} {y}",
)  # fmt: skip
STATE: Final[Mapping[str, tuple[str, ...]]] = {
    "checkbox": ("Is {n} ticked?", "Is {n} checked?", "Is there a tick at {n}?"),
    "switch": ("Is {n} on?", "Is {n} switched on?", "Is {n} turned on?"),
}


def said(rng: random.Random, name: str) -> str:
    """Say a name: as it is in most cases, else lower-cased, or in quotes."""
    chance = rng.random()
    if chance < 0.08:
        return name.lower()
    return f'"{name}"' if chance < 0.13 else name


def joined(rng: random.Random, parts: list[str]) -> str:
    """Make one task of several, in their order."""
    if len(parts) == 1:
        return parts[0]
    later = [part[:1].lower() + part[1:] for part in parts[1:]]
    way = rng.random()
    if way < 0.3:
        return ". ".join(parts) + "."
    if way < 0.6:
        return ", ".join([parts[0], *later[:-1]]) + f" and {later[-1]}"
    return ", then ".join([parts[0], *later])
