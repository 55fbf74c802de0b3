"""Made-up pages before they are drawn."""

import html
import re
from collections import Counter

import pytest

from foveate.agent.training.icons import ICONS
from foveate.agent.training.layouts import write_page
from foveate.agent.training.markup import Page
from foveate.agent.training.themes import LOOKS, PALETTES
from foveate.agent.training.words import FONTS, Split, split_of

PAGES = {split: [write_page(seed, split) for seed in range(150)] for split in ("seen", "unseen")}

ROLES = {
    "button", "link", "field", "checkbox", "radio", "switch", "select", "option", "tab", "menu", "menuitem", "icon",
    "delete", "row", "increase", "decrease", "chip", "day", "star", "page", "section", "sort", "value", "slider",
}  # fmt: skip


def texts(page: Page) -> list[str]:
    """Give all that stands on a page: between tags, in fields, and in the names of its elements."""
    body = re.sub(r"<style>.*?</style>|<svg.*?</svg>", " ", page.html, flags=re.DOTALL)
    written = re.findall(r">([^<]+)<", body) + re.findall(r'(?:value|placeholder)="([^"]*)"', body)
    icons = {mark.name for mark in page.marks if mark.role == "icon"}
    return [html.unescape(text) for text in written] + [mark.name for mark in page.marks if mark.name not in icons]


def test_the_same_seed_writes_the_same_page() -> None:
    for seed in (0, 5, 10_000_000_000):
        assert write_page(seed, "seen") == write_page(seed, "seen")
    assert write_page(0, "seen").html != write_page(1, "seen").html != write_page(1, "unseen").html


@pytest.mark.parametrize("split", ["seen", "unseen"])
def test_no_page_holds_a_word_a_font_or_a_theme_of_the_other_split(split: Split) -> None:
    palettes = {palette.name for palette in PALETTES if palette.unseen == (split == "unseen")}
    for page in PAGES[split]:
        for text in texts(page):
            assert split_of(text) <= {split}, (page.facts["seed"], text)
        assert page.facts["font"] in FONTS[split]
        assert re.findall(r"font:[^;}]*'([^']*)'", page.html) == [page.facts["font"]]
        assert page.facts["look"] in LOOKS[split]
        assert page.facts["palette"] in palettes


def test_a_fifth_of_the_palettes_and_of_the_looks_is_kept_out() -> None:
    assert sum(palette.unseen for palette in PALETTES) / len(PALETTES) == 0.2
    assert len(LOOKS["unseen"]) / sum(map(len, LOOKS.values())) == 0.2
    assert not set(LOOKS["seen"]) & set(LOOKS["unseen"])


def test_every_kind_of_element_is_met() -> None:
    met = Counter(mark.role for pages in PAGES.values() for page in pages for mark in page.marks)
    assert set(met) == ROLES


def test_names_are_met_once_on_a_page_but_for_rows_and_groups() -> None:
    for page in PAGES["seen"]:
        keys = Counter(
            (mark.role, mark.name.casefold(), mark.facts.get("row"), mark.facts.get("group")) for mark in page.marks
        )
        assert max(keys.values(), default=1) == 1, (page.facts["seed"], keys.most_common(1))


def test_every_icon_has_two_variants_at_least() -> None:
    assert len(ICONS) >= 25
    for name, variants in ICONS.items():
        assert len(set(variants)) >= 2, name
