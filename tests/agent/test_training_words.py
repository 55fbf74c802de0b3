"""Words of made-up pages: what is trained on and what is kept out never meet."""

import random

import pytest

from foveate.agent.training import word_lists
from foveate.agent.training.words import FONTS, Split, Vocabulary, is_unseen, split_of

LISTS = ("ACTIONS", "FIELDS", "THINGS", "QUALITIES", "GERMAN", "FRENCH", "SPANISH", "TURKISH", "POLISH", "FORENAMES")


def drawn(split: Split, language: str, seed: int) -> list[str]:
    words = Vocabulary(random.Random(seed), split, language)
    kinds = (
        words.action, words.field, words.thing, words.heading, words.person, words.email, words.value, words.date,
        words.price, words.time, words.number, words.code, words.made_up, lambda: words.sentence(6),
    )  # fmt: skip
    return [kind() for kind in kinds for _ in range(6)]


@pytest.mark.parametrize("split", ["seen", "unseen"])
@pytest.mark.parametrize("language", ["en", *word_lists.LANGUAGES, "made-up"])
def test_every_word_drawn_is_of_its_split(split: Split, language: str) -> None:
    for text in drawn(split, language, 7):
        assert split_of(text) <= {split}, text


def test_about_a_fifth_of_the_words_and_of_the_fonts_is_kept_out() -> None:
    words = {word for name in LISTS for word in getattr(word_lists, name)}
    assert 0.17 < sum(map(is_unseen, words)) / len(words) < 0.23
    assert not set(FONTS["seen"]) & set(FONTS["unseen"])
    assert len(FONTS["unseen"]) / sum(map(len, FONTS.values())) == 0.2


@pytest.mark.parametrize("word", ["Straße", "İlçe", "kıyı", "Œuvre", "Ğarip", "naïve"])
def test_a_word_is_of_the_same_split_in_every_case(word: str) -> None:
    assert is_unseen(word) == is_unseen(word.upper()) == is_unseen(word.lower()) == is_unseen(word.title())


def test_words_of_one_or_two_letters_are_of_both_splits() -> None:
    assert split_of("to 12 kg, x") == set()


def test_the_same_seed_draws_the_same_words() -> None:
    assert drawn("seen", "de", 3) == drawn("seen", "de", 3) != drawn("seen", "de", 4)
