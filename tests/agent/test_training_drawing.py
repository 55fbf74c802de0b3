"""Screens drawn without a browser hold what they say they hold, in words and fonts that are trained on."""

import random

import numpy as np

from foveate.agent.training.asking import ask
from foveate.agent.training.drawing import draw_screen
from foveate.agent.training.words import split_of


def test_a_screen_is_the_same_for_the_same_seed_and_everything_lies_on_it() -> None:
    first, again = (draw_screen(random.Random(7)) for _ in range(2))
    assert np.array_equal(first.image, again.image)
    assert (first.texts, first.elements) == (again.texts, again.elements)
    for element in first.elements:
        left, top, right, bottom = element.box
        assert 0 <= left < element.aim[0] < right <= 1 and 0 <= top < element.aim[1] < bottom <= 1
        text = first.texts[element.texts[0]]
        assert "".join(glyph.char for glyph in text.glyphs) == text.text.replace(" ", "")


def test_each_character_stands_where_its_ink_is() -> None:
    for seed in range(8):
        screen = draw_screen(random.Random(seed), crowded=True)
        for text in screen.texts:
            for glyph in text.glyphs:
                x, y = int(glyph.x * 448), int(glyph.y * 448)
                if glyph.char.isalnum() and 8 < x < 440 and 8 < y < 440:
                    around = screen.image[y - 7 : y + 8, x - 5 : x + 6].astype(int)
                    assert around.max(axis=(0, 1)).sum() - around.min(axis=(0, 1)).sum() > 90, (seed, text.text, glyph)


def test_crowded_screens_hold_more_and_no_word_that_is_kept_out_of_training() -> None:
    plain, crowded = (
        [draw_screen(random.Random(seed), crowded=given) for seed in range(10)] for given in (False, True)
    )
    assert sum(len(one.texts) for one in crowded) > 1.5 * sum(len(one.texts) for one in plain)
    for screen in plain + crowded:
        assert [text.text for text in screen.texts if "unseen" in split_of(text.text)] == []


def test_a_drawn_screen_can_be_asked_about() -> None:
    for seed in range(20):
        screen = draw_screen(random.Random(seed))
        assert not screen.elements or ask(random.Random(seed), screen, 5)
