"""Screens packed into shards come back as they were; what is no shard is named."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from foveate.actions.errors import UsageError
from foveate.policies.training.screens import Element, Glyph, Question, Screen, Text
from foveate.policies.training.shards import read_shard, shards_in, write_shard


def screen(seed: int) -> Screen:
    rng = np.random.default_rng(seed)
    glyphs = tuple(Glyph(char, (10 + i) / 100, 0.2) for i, char in enumerate("Saveit"))
    return Screen(
        rng.integers(0, 256, (448, 448, 3), np.uint8),
        (Text("Save it", glyphs, (0.1, 0.1, 0.3, 0.2)),),
        (Element("button", "Save it", (0.05, 0.05, 0.35, 0.25), (0.2, 0.15), (0,), {"state": "on"}),),
        (Question("Click Save it", "Click Save it", "click({place})", 0, ("Type a",), ("nothing changed",)),),
        {"split": "seen", "seed": str(seed)},
    )  # fmt: skip


def test_what_is_packed_comes_back_to_the_pixel(tmp_path: Path) -> None:
    screens = [screen(seed) for seed in range(3)]
    assert write_shard(tmp_path / "new" / "a.tar", screens) == 3
    read = list(read_shard(tmp_path / "new" / "a.tar"))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.tar"]
    for given, got in zip(screens, read, strict=True):
        assert np.array_equal(given.image, got.image)
        assert (given.texts, given.elements, given.questions, given.facts) == (
            got.texts, got.elements, got.questions, got.facts
        )  # fmt: skip


def test_characters_on_a_slope_one_character_and_none_come_back_too(tmp_path: Path) -> None:
    glyphs = tuple(Glyph(char, (10 + i) / 100, (20 + i) / 100) for i, char in enumerate("slope"))
    texts = (
        Text("slope", glyphs, (0.1, 0.1, 0.3, 0.3)),
        Text("s", glyphs[:1], (0.1, 0.1, 0.2, 0.2)),
        Text("", (), (0, 0, 1, 1)),
    )
    write_shard(tmp_path / "a.tar", [Screen(screen(0).image, texts, ())])
    (read,) = read_shard(tmp_path / "a.tar")
    assert read.texts == texts


def test_a_shard_that_cannot_be_finished_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[Screen]:
        yield screen(0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shard(tmp_path / "a.tar", broken())
    assert list(tmp_path.iterdir()) == []


def test_an_answer_says_what_it_does_and_then_does_it_at_the_aim() -> None:
    one = screen(0)
    assert one.questions[0].answer(one.elements) == (
        "Click Save it\n</operation>\n<action>\nclick(x=0.20, y=0.15)\n</action>"
    )


def test_what_is_no_shard_is_named_with_the_remedy(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tar"
    broken.write_bytes(b"no tar at all" * 100)
    with pytest.raises(UsageError, match=r"broken\.tar is no shard of screens.*foveate data make"):
        list(read_shard(broken))
    write_shard(tmp_path / "cut.tar", [screen(0)])
    (tmp_path / "cut.tar").write_bytes((tmp_path / "cut.tar").read_bytes()[:300_000])
    with pytest.raises(UsageError, match=r"cut\.tar"):
        list(read_shard(tmp_path / "cut.tar"))
    with pytest.raises(UsageError, match="holds no shards"):
        shards_in(tmp_path / "none")
