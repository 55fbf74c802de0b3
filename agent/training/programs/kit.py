"""What programs are built of: names, icons, buttons, fields, marks, in the look of one page."""
# ruff: noqa: E501 - markup reads better unbroken

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from foveate.agent.training.markup import Sheet, shown
from foveate.agent.training.themes import draw_theme
from foveate.agent.training.word_lists import LANGUAGES
from foveate.agent.training.words import Split, Vocabulary, cased, split_of

T = TypeVar("T")


class Kit:
    """Draws everything that one program needs; nothing in it is random besides ``rng``.

    Args:
        rng: Decides everything.
        split: Whether its words, font and look are of those that are trained on.

    Attributes:
        words: Gives texts.
        theme: How it looks.
        title: The page's title.
        templates: HTML of what scripts write, by name; ``%name%`` stands for a value.
        over: HTML of what lies over the page.
        style: More of its style sheet.
    """

    def __init__(self, rng: random.Random, split: Split) -> None:
        self.rng = rng
        self.split = split
        language = rng.choice(("en", "en", "en", "en", "en", *LANGUAGES, "made-up"))
        self.language = language
        self.words = Vocabulary(rng, split, language)
        self.theme = draw_theme(rng, split)
        self._sheet = Sheet(rng, self.words, self.theme, split)
        self._count = 0
        self._icons: dict[str, str] = {}
        self.title = self.name(self.words.heading, 20)
        self.templates: dict[str, str] = {}
        self.over = ""
        self.style = ""
        self.drawn_marks = self.theme.look != "native" and self.chance(0.6)
        self.mark_size = rng.choice((14, 15, 16, 18, 20))
        self.labels = rng.choice(("above", "above", "left", "inside"))
        self.delete_sign = rng.choice(("×", "×", "close", "trash", "trash", "minus"))
        self.icon_size = rng.choice((16, 18, 20, 22))
        self.switch_height = rng.choice((16, 18, 20, 22))
        self.row_pad = rng.randint(1, 4)
        self.delete_size = rng.choice((14, 16, 18))

    # Chance ---------------------------------------------------------------------------------------------------------

    def chance(self, share: float) -> bool:
        """Give True in that share of all cases."""
        return self.rng.random() < share

    def some(self, low: int, high: int) -> int:
        """Draw a number, both ends included."""
        return self.rng.randint(low, high)

    def one(self, things: Sequence[T]) -> T:
        """Draw one of several."""
        return self.rng.choice(things)

    def few(self, things: Sequence[T], count: int) -> list[T]:
        """Draw some of several, in their order."""
        chosen = sorted(self.rng.sample(range(len(things)), min(count, len(things))))
        return [things[index] for index in chosen]

    # Names ----------------------------------------------------------------------------------------------------------

    def key(self, stem: str) -> str:
        """Give a key that no other element has."""
        self._count += 1
        return f"{stem}{self._count}"

    def name(self, draw: Callable[[], str], longest: int = 16) -> str:
        """Draw a name that nothing else on the page has, and that is part of no other's and holds none."""
        return self._sheet.name(draw, longest)

    def thing(self, longest: int = 16) -> str:
        """Draw the name of an item."""
        return self.name(self.words.thing, longest)

    def things(self, count: int, longest: int = 16) -> list[str]:
        """Draw names of items."""
        return [self.thing(longest) for _ in range(count)]

    def action(self, usual: Sequence[str] = (), longest: int = 14) -> str:
        """Draw what a button says: one of the usual words, where these are English and of the split, or any."""
        fitting = [word for word in usual if self.language == "en" and self.fits(word)]
        if fitting and self.chance(0.6):
            word = cased(self.rng, self.one(fitting))
            if self._sheet.take(word):
                return word
        return self.name(self.words.action, longest)

    def fits(self, text: str) -> bool:
        """Tell whether a text's words are of the split."""
        return split_of(text) <= {self.split}

    def short(self, draw: Callable[[], str], longest: int = 20) -> str:
        """Draw a text that is at most so long, without quotes in it."""
        while True:
            text = draw()
            if len(text) <= longest and '"' not in text:
                return text

    def saying(self, usual: Sequence[str], words: int = 3) -> str:
        """Draw a sentence: one of the usual ones that are of the split, or one that says nothing."""
        fitting = [text for text in usual if self.fits(text)]
        return self.one(fitting) if fitting and self.chance(0.7) else self.words.sentence(words)

    def said(self, name: str) -> str:
        """Write a name as an instruction does: exactly, sometimes in lower case."""
        return name.lower() if self.chance(0.1) else name

    def heading(self) -> str:
        """Write the page's heading, in some way."""
        size = self.one(("h1", "h2", "h2", "h3"))
        return f"<{size}>{shown(self.title)}</{size}>"

    def text(self, words: int) -> str:
        """Write a sentence that says nothing."""
        return f'<p class="{self.one(("", "muted", "muted small"))}">{shown(self.words.sentence(words))}</p>'

    # Parts ----------------------------------------------------------------------------------------------------------

    def icon(self, name: str, size: float | None = None) -> str:
        """Write an icon; the same one looks the same wherever it is on the page."""
        drawn = self._icons.setdefault(name, self._sheet.picture(name, 1))
        return drawn.replace(
            'width="1" height="1"', f'width="{size or self.icon_size:g}" height="{size or self.icon_size:g}"'
        )

    def button(
        self, name: str, do: str, *, key: str = "", first: bool | None = None, role: str = "button", more: str = ""
    ) -> str:
        """Write a button that does something."""
        first = self.chance(0.5) if first is None else first
        return (
            f'<button type="button" class="btn{" first" * first}" data-key="{key or self.key("button")}" data-role="{role}" '
            f'data-name="{shown(name)}" data-do="{shown(do)}" {more}>{shown(name)}</button>'
        )

    def link(self, name: str, do: str, *, key: str = "") -> str:
        """Write a link that does something."""
        return (
            f'<a href="#" class="nowrap" style="align-self:flex-start" data-key="{key or self.key("link")}" data-role="link" '
            f'data-name="{shown(name)}" data-do="{shown(do)}">{shown(name)}</a>'
        )

    def icon_button(
        self, name: str, do: str, *, key: str = "", role: str = "icon", called: str = "", row: str = ""
    ) -> str:
        """Write a button that is only an icon."""
        row_fact = f' data-row="{shown(row)}"' if row else ""
        return (
            f'<button type="button" class="tool" data-key="{key or self.key("icon")}" data-role="{role}" data-mark '
            f'data-name="{shown(called or name)}"{row_fact} data-do="{shown(do)}" style="flex:none">{self.icon(name)}</button>'
        )

    def obvious(self, usual: Sequence[str], icon: str, do: str, key: str, *, first: bool = False) -> tuple[str, str]:
        """Write a button whose meaning everybody knows, for no instruction names it; say how pressing it is said."""
        fitting = [word for word in usual if self.fits(word) and self.take(word)]
        if not fitting or self.chance(0.4):
            return self.icon_button(icon, do, key=key), f"Click {icon} icon"
        name = cased(self.rng, fitting[0])
        return self.button(name, do, key=key, first=first), f"Click {name}"

    def take(self, name: str) -> bool:
        """Keep a name for one element; False where it is taken."""
        return self._sheet.take(name)

    def delete_mark(self, key: str, row: str, do: str) -> str:
        """Write what removes a row."""
        inner = "×" if self.delete_sign == "×" else self.icon(self.delete_sign, self.delete_size)
        return (
            f'<button type="button" class="tool" data-key="{key}" data-role="delete" data-mark data-name="{row}" data-row="{row}" '
            f'data-do="{do}" style="flex:none;padding:3px 6px">{inner}</button>'
        )

    def mark(self, key: str, name: str, *, on: bool, more: str = "") -> str:
        """Write the mark of a checkbox, native or drawn."""
        size = self.mark_size
        facts = f'data-key="{key}" data-role="checkbox" data-mark data-name="{name}" {more}'
        if not self.drawn_marks:
            return f'<input type="checkbox" id="{key}" {facts}{" checked" * on} style="width:{size}px;height:{size}px;flex:none;margin:2px">'
        corner = self.one((0, 2, 4))
        return (
            f'<button type="button" id="{key}" class="mark" {facts} aria-checked="{str(on).lower()}" '
            f'style="width:{size}px;height:{size}px;border-radius:{corner}px">{self.icon("check", size * 0.8)}</button>'
        )

    def input(self, key: str, name: str, *, value: str = "", hint: str = "", kind: str = "text", more: str = "") -> str:
        """Write a field."""
        return (
            f'<input type="{kind}" id="{key}" class="fld" data-key="{key}" data-role="field" data-name="{shown(name)}" '
            f'value="{shown(value)}" placeholder="{shown(hint)}" autocomplete="off" spellcheck="false" {more}>'
        )

    def labelled(self, key: str, name: str, control: str) -> str:
        """Put a label to a control: above it or to its left."""
        tail = self.one(("", "", "", ":"))
        label = f'<label for="{key}">{shown(name)}{tail}</label>'
        if self.labels == "left":
            return f'<div class="row"><div style="flex:none;max-width:60%">{label}</div><div class="grow">{control}</div></div>'
        return (
            f"<div>{label}{control}</div>"
            if "fld" in control
            else f'<div class="col" style="align-items:flex-start;gap:2px">{label}{control}</div>'
        )

    def toast(self, text: str) -> str:
        """Write what the page says at an edge when something was done."""
        edge = self.one(("top:8px", "bottom:8px"))
        place = f"position:fixed;left:12px;right:12px;{edge};padding:7px 10px;z-index:7;text-align:center"
        return f'<div class="{self.one(("accent", "panel over"))}" data-report="over" style="{place}" hidden>{shown(text)}</div>'

    def form(self, rows: str, buttons: str, style: str) -> str:
        """Write a form, and what the page says when it was saved: above its buttons, at an edge, or in its place."""
        text, kind = (
            self.words.sentence(self.some(1, 3)),
            self.one(("line", "line", "toast", "instead")) if buttons else "",
        )
        line = (
            f'<p class="{self.one(("ink", "bold", ""))}" data-report="line" hidden>{shown(text)}</p>'
            if kind == "line"
            else ""
        )
        after = self.toast(text) if kind == "toast" else ""
        if kind == "instead":
            big = f"<h2>{shown(text)}</h2>{self.text(self.some(3, 7))}"
            after = f'<div data-report="instead" class="col" style="gap:8px;padding:10px 0" hidden>{big}</div>'
        return f'<main><div data-form class="col" style="{style}">{rows}{line}{buttons}</div>{after}</main>'
