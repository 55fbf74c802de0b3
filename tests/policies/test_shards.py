"""Screens packed into shards come back as they were; what is no shard is named."""

import io
import json
import random
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foveate.actions.errors import UsageError
from foveate.policies.training.screens import Element, Glyph, Question, Screen, Text
from foveate.policies.training.shards import entries_of, read_shard, shards_in, write_shard


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
    with pytest.raises(UsageError, match=r"broken\.tar is no whole shard of screens.*foveate data make"):
        list(read_shard(broken))
    write_shard(tmp_path / "cut.tar", [screen(0)])
    (tmp_path / "cut.tar").write_bytes((tmp_path / "cut.tar").read_bytes()[:300_000])
    with pytest.raises(UsageError, match=r"cut\.tar"):
        list(read_shard(tmp_path / "cut.tar"))
    with pytest.raises(UsageError, match="holds no shards"):
        shards_in(tmp_path / "none")


def members(path: Path) -> list[tuple[str, bytes]]:
    with tarfile.open(path) as tar:
        return [(member.name, file.read()) for member in tar if (file := tar.extractfile(member)) is not None]


def packed(path: Path, files: list[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_a_shard_that_lost_or_gained_something_is_named(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", [screen(seed) for seed in range(3)])
    files = members(tmp_path / "a.tar")
    assert [name for name, _ in files][-1] == "end.json" and len(entries_of(tmp_path / "a.tar")) == 3
    for lost in range(len(files)):
        with pytest.raises(UsageError, match=r"b\.tar is no whole shard of screens.*foveate data make"):
            entries_of(packed(tmp_path / "b.tar", files[:lost] + files[lost + 1 :]))
    with pytest.raises(UsageError, match="screen 1 is not where it should be"):
        entries_of(packed(tmp_path / "b.tar", [*files[:2], *files]))


def test_a_header_that_is_broken_in_the_middle_does_not_end_a_shard_in_silence(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", [screen(seed) for seed in range(3)])
    with tarfile.open(tmp_path / "a.tar") as tar:
        header = tar.getmember("000001.webp").offset
    data = bytearray((tmp_path / "a.tar").read_bytes())
    data[header : header + 200] = bytes(255 - value for value in data[header : header + 200])
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(UsageError, match="no whole shard of screens"):
        list(read_shard(tmp_path / "a.tar"))


@pytest.mark.parametrize("seed", range(12))
def test_no_changed_byte_of_a_screen_is_read_in_silence(tmp_path: Path, seed: int) -> None:
    write_shard(tmp_path / "a.tar", [screen(0)])
    (entry,) = entries_of(tmp_path / "a.tar")
    rng = random.Random(seed)
    data = bytearray((tmp_path / "a.tar").read_bytes())
    start, size = rng.choice(((entry.picture, entry.picture_size), (entry.text, entry.text_size)))
    data[start + rng.randrange(size)] ^= 1 << rng.randrange(8)
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(UsageError, match="its bytes are not those that were written"):
        list(read_shard(tmp_path / "a.tar"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data["elements"][0].__setitem__(3, []), "a.tar is broken in the screen"),
        (lambda data: data["elements"][0].__setitem__(4, [99]), "found by a text that is not there"),
        (lambda data: data["elements"][0].__setitem__(3, [float("nan"), 1]), "is nowhere"),
        (lambda data: data["questions"][0].__setitem__(3, 999), "about an element that is not there"),
        (lambda data: data["facts"].__setitem__("seed", 7), "a fact is no text"),
        (lambda data: data.pop("texts"), "a.tar is broken in the screen"),
    ],
)
def test_a_screen_that_contradicts_itself_is_named(tmp_path: Path, change: Any, says: str) -> None:
    write_shard(tmp_path / "a.tar", [screen(0)])
    picture, text, _ = members(tmp_path / "a.tar")
    data = json.loads(text[1])
    change(data)
    changed = json.dumps(data).encode()
    end = json.dumps({"checksums": [zlib.crc32(changed, zlib.crc32(picture[1]))]}).encode()
    packed(tmp_path / "a.tar", [picture, (text[0], changed), ("end.json", end)])
    with pytest.raises(UsageError, match=says):
        list(read_shard(tmp_path / "a.tar"))
