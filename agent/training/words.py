"""Words for made-up pages: words of interfaces in many languages, and syllables that make words nobody has seen.

A fifth of all words, made-up ones too, is ``unseen``: kept out of training, for evaluation alone.
"""

import random
import re
import string
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from foveate.agent.training.word_lists import (
    ACTIONS,
    CITIES,
    FIELDS,
    FORENAMES,
    FUNCTION,
    LANGUAGES,
    MONTHS,
    QUALITIES,
    SURNAMES,
    THINGS,
)

_ONSETS = "b c d f g h j k l m n p r s t v w y z bl br ch cl cr dr fl fr gl gr pl pr sh sk sl sm sn sp st th tr".split()  # noqa: SIM905
_NUCLEI = "a e i o u a e i o ai ea ee oo ou".split()  # noqa: SIM905
_CODAS = ["", "", "", *"b d g k l m n p r s t x ck ll nd ng nt rk st".split()]  # noqa: SIM905


def made_up_word(rng: random.Random) -> str:
    """Make a lower-case word of one to three syllables."""
    count = rng.choice((1, 2, 2, 2, 3))
    return "".join(rng.choice(_ONSETS) + rng.choice(_NUCLEI) + rng.choice(_CODAS) for _ in range(count))


Split: TypeAlias = Literal["seen", "unseen"]

_HELD_OUT_OF = 5
"""One in so many words is kept out of training."""

FONTS: Final[Mapping[Split, tuple[str, ...]]] = {
    "seen": (
        "DejaVu Sans",
        "DejaVu Sans Condensed",
        "DejaVu Sans Light",
        "DejaVu Sans Mono",
        "DejaVu Math TeX Gyre",
        "Liberation Sans",
        "Liberation Serif",
        "Liberation Mono",
    ),
    "unseen": ("DejaVu Serif", "Liberation Sans Narrow"),
}
"""Families, by whether they are trained on."""

_LETTERS = re.compile(r"[^\W\d_]+")
_ACCENTED = "áàâäãåçéèêëíîïñóòôöõøúùûüýÿœæßğışřščžěůąęłńśźżőűțșăðþ"


def is_unseen(word: str) -> bool:
    """Tell whether a word is one that is kept out of training: one in five, by its letters alone."""
    folded = word.casefold().replace("ı", "i").replace("\u0307", "")  # Turkish letters lose their case's difference
    return zlib.crc32(folded.encode()) % _HELD_OUT_OF == 0


def split_of(text: str) -> set[Split]:
    """Give the splits that a text's words are of; words of one or two letters are of both and do not count."""
    return {"unseen" if is_unseen(word) else "seen" for word in _LETTERS.findall(text) if len(word) > 2}


@lru_cache(maxsize=256)
def _those(words: tuple[str, ...], split: Split) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in words if split_of(word) <= {split}))


class Vocabulary:
    """Draws texts of one split: every word of three or more letters is of it.

    Args:
        rng: Decides everything.
        split: Which words.
        language: ``en``, one of LANGUAGES, or ``made-up`` where every word is made of syllables.
    """

    def __init__(self, rng: random.Random, split: Split, language: str = "en") -> None:
        self.rng = rng
        self.split = split
        self.language = language

    def pick(self, words: tuple[str, ...]) -> str:
        """Draw one of the words that are of the split."""
        return self.rng.choice(_those(words, self.split))

    def made_up(self) -> str:
        """Make a lower-case word that is in no list; in other languages than English some letters have accents."""
        while True:
            word = made_up_word(self.rng)
            if self.language != "en" and self.rng.random() < 0.5:
                place = self.rng.randrange(len(word))
                word = word[:place] + self.rng.choice(_ACCENTED) + word[place + 1 :]
            if split_of(word) <= {self.split} and len(word) > 1:
                return word

    def word(self, words: tuple[str, ...] = THINGS) -> str:
        """Draw a lower-case word: of the list or of the language, or a made-up one."""
        chance = self.rng.random()
        if self.language == "made-up" or chance < 0.12:
            return self.made_up()
        if self.language in LANGUAGES and chance < 0.85:
            return self.pick(LANGUAGES[self.language])
        return self.pick(words)

    def action(self) -> str:
        """Draw what a button says: one to three words."""
        return self._phrase(ACTIONS, 0.3)

    def field(self) -> str:
        """Draw what a field asks for."""
        return self._phrase(FIELDS, 0.15)

    def thing(self) -> str:
        """Draw what a row, a card, an option is about."""
        return self._phrase(THINGS, 0.22)

    def heading(self) -> str:
        """Draw one to three words for a heading."""
        return self._phrase(THINGS, 0.5)

    def _phrase(self, words: tuple[str, ...], more: float) -> str:
        rng = self.rng
        first = self.word(words)
        if rng.random() < more:
            second = self.word(THINGS)
            if words is not ACTIONS and rng.random() < 0.4:
                first, second = self.word(QUALITIES), first
            first = f"{first} {second}"
            if rng.random() < 0.12:
                first = f"{first} {self.word(THINGS)}"
        elif rng.random() < 0.05:
            first = self.code()
        return first

    def person(self) -> str:
        """Draw a person's name: a forename, mostly with a surname."""
        rng = self.rng
        first = self.made_up().capitalize() if rng.random() < 0.1 else self.pick(FORENAMES)
        last = self.made_up().capitalize() if rng.random() < 0.1 else self.pick(SURNAMES)
        form = rng.random()
        return first if form < 0.3 else f"{first} {last}" if form < 0.92 else f"{last}, {first}"

    def email(self) -> str:
        """Make an e-mail address of plain letters."""
        rng = self.rng
        plain = [self.made_up_plain(), self.made_up_plain()]
        name = rng.choice((plain[0], f"{plain[0]}.{plain[1]}", f"{plain[0]}{rng.randint(1, 99)}"))
        return f"{name}@{self.made_up_plain()}.{rng.choice(('de', 'eu', 'io', 'uk', 'pl', 'fr', 'it', 'tv'))}"

    def made_up_plain(self) -> str:
        """Draw a lower-case word without accents."""
        while True:
            word = self.rng.choice((self.pick(THINGS), self.pick(FORENAMES).lower(), made_up_word(self.rng)))
            if word.isascii() and split_of(word) <= {self.split}:
                return word

    def code(self) -> str:
        """Make a code: letters and digits."""
        rng = self.rng
        letters = "".join(rng.choices(string.ascii_uppercase, k=rng.randint(0, 2)))
        return (
            letters
            + rng.choice(("", "-", "")) * bool(letters)
            + "".join(rng.choices(string.digits, k=rng.randint(1, 5)))
        )

    def number(self) -> str:
        """Make a number, small ones more often, large ones with a separator sometimes."""
        rng = self.rng
        value = int(10 ** rng.uniform(0, 5))
        return f"{value:,}".replace(",", rng.choice((",", ".", " ", ""))) if value > 999 else str(value)

    def price(self) -> str:
        """Make a price as it is written somewhere."""
        rng = self.rng
        value = f"{rng.choice((rng.uniform(0.5, 20), rng.uniform(5, 900), rng.uniform(100, 4000))):.2f}"
        comma = value.replace(".", ",")
        return rng.choice(
            (f"${value}", f"£{value}", f"{comma} €", f"€{value}", f"{comma} zł", f"{comma} kr", f"{comma} TL")
        )

    def date(self) -> str:
        """Make a date as it is written somewhere."""
        rng = self.rng
        day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1987, 2034)
        forms = [f"{day}.{month}.{year}", f"{year}-{month:02d}-{day:02d}", f"{day:02d}/{month:02d}/{year}"]
        names = self.months()
        if names:
            name = rng.choice(names)
            forms += [f"{day} {name}", f"{name} {day}", f"{day} {name} {year}", f"{day}. {name}"] * 2
        return rng.choice(forms)

    def months(self) -> tuple[str, ...]:
        """Give the names of months that are of the split, of one language; none where it has none."""
        index = tuple(LANGUAGES).index(self.language) + 1 if self.language in LANGUAGES else 0
        return _those(MONTHS[min(index, len(MONTHS) - 1)], self.split)

    def time(self) -> str:
        """Make a time of day."""
        rng = self.rng
        hour, minute = rng.randint(0, 23), rng.choice((0, 15, 30, 45, rng.randint(0, 59)))
        return rng.choice(
            (
                f"{hour:02d}:{minute:02d}",
                f"{hour}:{minute:02d}",
                f"{hour % 12 or 12}:{minute:02d} {'AM' if hour < 12 else 'PM'}",
            )
        )

    def sentence(self, words: int) -> str:
        """Make so many words that read like prose at first sight."""
        rng = self.rng
        parts = [
            self.pick(FUNCTION)
            if rng.random() < 0.4 and self.language == "en"
            else self.word(rng.choice((THINGS, QUALITIES, ACTIONS)))
            for _ in range(words)
        ]
        if rng.random() < 0.3:
            parts[rng.randrange(words)] = rng.choice((self.number, self.date, self.time, self.price))()
        text = " ".join(parts)
        return text[0].upper() + text[1:] + rng.choice((".", ".", ".", "", "!", "?"))

    def value(self) -> str:
        """Make something that one might type or read in a field."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.35:
            return self.person()
        if kind < 0.6:
            return cased(rng, self.thing())
        if kind < 0.7:
            return self.email()
        return rng.choice((self.number, self.code, self.date, self.time, self.price, lambda: self.pick(CITIES)))()


def cased(rng: random.Random, text: str) -> str:
    """Write a text in one of the usual cases, mostly with one capital letter."""
    case = rng.random()
    if case < 0.62:
        return text[:1].upper() + text[1:]
    if case < 0.72:
        return text.upper()
    return text.title() if case < 0.84 and text.isascii() else text
