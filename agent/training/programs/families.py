"""Every family of programs, by its name."""

from collections.abc import Callable, Mapping
from typing import Final

from foveate.agent.training.programs.bags import bags
from foveate.agent.training.programs.days import days
from foveate.agent.training.programs.entries import entries
from foveate.agent.training.programs.filters import filters
from foveate.agent.training.programs.forms import amounts, choices, fill, lists, mixed, ticks
from foveate.agent.training.programs.kit import Kit
from foveate.agent.training.programs.lookups import lookups
from foveate.agent.training.programs.menus import menus
from foveate.agent.training.programs.overlays import asking, dialogs
from foveate.agent.training.programs.scrolling import scrolling
from foveate.agent.training.programs.sections import sections
from foveate.agent.training.programs.signing import signing
from foveate.agent.training.programs.tables import tables
from foveate.agent.training.programs.task import Made
from foveate.agent.training.programs.wizards import wizards

FAMILIES: Final[Mapping[str, Callable[[Kit], Made]]] = {
    "fill": fill,
    "ticks": ticks,
    "choices": choices,
    "lists": lists,
    "amounts": amounts,
    "mixed": mixed,
    "entries": entries,
    "filters": filters,
    "dialogs": dialogs,
    "asking": asking,
    "wizards": wizards,
    "sections": sections,
    "tables": tables,
    "days": days,
    "signing": signing,
    "lookups": lookups,
    "scrolling": scrolling,
    "menus": menus,
    "bags": bags,
}
"""A program of each is made of a Kit, which decides everything by its random numbers."""
