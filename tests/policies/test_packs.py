"""A pack holds shards as they were, in less room; what is no pack is named."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from foveate.actions.errors import UsageError
from foveate.policies.training.packs import unpack, write_pack
from foveate.policies.training.screens import Element, Glyph, Question, Screen, Text
from foveate.policies.training.shards import read_shard, write_shard


def step(program: int, number: int, side: int = 96) -> Screen:
    """A screen that differs from the step before in one place, as a program's do."""
    image = np.random.default_rng(program).integers(0, 256, (side, side, 3), np.uint8)
    image[: number + 1, :9] = 255
    glyphs = tuple(Glyph(char, (10 + i) / 100, 0.2) for i, char in enumerate("Saveit"))
    return Screen(
        image,
        (Text("Save it", glyphs, (0.1, 0.1, 0.3, 0.2)),),
        (Element("button", "Save it", (0.05, 0.05, 0.35, 0.25), (0.2, 0.15), (0,), {"state": "on"}),),
        (Question("Save", "Click Save it", "click({place})", 0, ("Type a",), ("nothing changed",)),),
        {"split": "seen", "seed": str(program)},
    )  # fmt: skip


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    for name, first in (("pages-0", 0), ("pages-1", 30)):
        write_shard(tmp_path / "shards" / "pages" / f"{name}.tar", [step(first + one, 0) for one in range(3)])
    done = [step(9 + number // 6, number) for number in range(30)] + [step(50, 0, side=64), step(50, 1, side=64)]
    write_shard(tmp_path / "shards" / "programs" / "programs-0.tar", done)
    return tmp_path / "shards"


def packed(shards: Path, most: int = 10**8) -> Path:
    path = shards.parent / "new" / "some.pack"
    write_pack(path, [shards / "pages", shards / "programs"], most)
    return path


def equal(first: Screen, second: Screen) -> bool:
    known = [(one.texts, one.elements, one.questions, one.facts) for one in (first, second)]
    return np.array_equal(first.image, second.image) and known[0] == known[1]


def test_what_is_unpacked_equals_what_was_packed_to_the_pixel(shards: Path, tmp_path: Path) -> None:
    pack = packed(shards)
    assert [one.name for one in pack.parent.iterdir()] == ["some.pack"]
    assert unpack(pack, tmp_path / "there", print) == {"pages": 6, "programs": 32}
    for path in sorted(shards.rglob("*.tar")):
        again = list(read_shard(tmp_path / "there" / path.relative_to(shards)))
        assert all(equal(given, got) for given, got in zip(read_shard(path), again, strict=True))


def test_the_steps_of_a_program_take_less_room_together(shards: Path) -> None:
    pack = shards.parent / "programs.pack"
    assert write_pack(pack, [shards / "programs"], 10**8).size == pack.stat().st_size
    assert pack.stat().st_size < 0.2 * (shards / "programs" / "programs-0.tar").stat().st_size


@pytest.mark.parametrize("most", [100_000, 150_000, 230_000])
def test_a_pack_takes_what_finds_room_of_each_folder_from_its_beginning(
    shards: Path, tmp_path: Path, most: int
) -> None:
    whole = {"pages": 6, "programs": 32}
    pack = packed(shards, most)
    assert pack.stat().st_size <= most
    counts = unpack(pack, tmp_path / "there", print)
    assert all(0 < counts[name] <= whole[name] for name in whole) and counts != whole
    for name in whole:
        had = [screen for path in sorted((shards / name).glob("*.tar")) for screen in read_shard(path)]
        got = [screen for path in sorted((tmp_path / "there" / name).glob("*.tar")) for screen in read_shard(path)]
        assert all(equal(given, one) for given, one in zip(had, got, strict=False))


def test_shards_that_are_there_are_kept(shards: Path, tmp_path: Path) -> None:
    said: list[str] = []
    assert unpack(packed(shards), shards, said.append) == {"pages": 0, "programs": 0}
    assert len(said) == 3 and all(line.endswith("is there and is kept") for line in said)


def test_a_shard_that_is_there_and_broken_is_unpacked_again(shards: Path) -> None:
    pack, shard, said = packed(shards), shards / "pages" / "pages-1.tar", list[str]()
    whole = shard.read_bytes()
    shard.write_bytes(whole[:2000] + bytes([whole[2000] ^ 1]) + whole[2001:])
    assert unpack(pack, shards, said.append) == {"pages": 3, "programs": 0}
    assert any("pages-1.tar is broken" in line and line.endswith("it is unpacked again now") for line in said)
    assert len(list(read_shard(shard))) == 3


def test_no_room_no_shards_and_one_name_twice_are_refused(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not one screen of \S+pages finds room in 20,000 bytes: allow more"):
        packed(shards, 20_000)
    write_shard(tmp_path / "v.2" / "a.tar", [step(1, 1)])
    with pytest.raises(
        UsageError, match=r"v.2/a.tar cannot be packed by its name: .* up to 60 letters, digits, - and _$"
    ):
        write_pack(tmp_path / "p", [tmp_path / "v.2"], 10**6)
    with pytest.raises(UsageError, match=r"lacking holds no shards"):
        write_pack(tmp_path / "p", [tmp_path / "lacking"], 10**6)
    with pytest.raises(UsageError, match=r"names of their own are packed, not pages, pages"):
        write_pack(tmp_path / "p", [shards / "pages", shards / "pages"], 10**6)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be written: .*: free space or choose a folder"):
        write_pack(tmp_path / "file" / "p", [shards / "pages"], 10**8)
    assert not list(tmp_path.glob("**/.*.part"))


def test_every_byte_that_matters_is_watched(shards: Path, tmp_path: Path) -> None:
    data = packed(shards).read_bytes()
    broken = tmp_path / "broken.pack"
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = tar.getmembers()
    for member in members:
        for place in (member.offset_data, member.offset_data + member.size - 1):
            broken.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
            with pytest.raises(UsageError, match=r"broken.pack is no whole pack of shards: .* foveate data pack"):
                unpack(broken, tmp_path / "none", print)
    for end in (0, 700, len(data) // 2, members[-1].offset):
        broken.write_bytes(data[:end])
        with pytest.raises(UsageError, match=r"broken.pack is no whole pack"):
            unpack(broken, tmp_path / "none", print)


@pytest.mark.parametrize("name", ["../out/a/000000.webp", "/etc/a/screens.json.xz", "pages/../000000.webp"])
def test_a_member_that_would_lie_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    pack = tmp_path / "evil.pack"
    with tarfile.open(pack, "w") as tar:
        for member, data in ((name, b"x"), ("end.json", json.dumps({"checksums": {name: 2363233923}}).encode())):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with pytest.raises(UsageError, match=r"evil.pack is no whole pack of shards: its members are not those"):
        unpack(pack, tmp_path / "there", print)
    assert not (tmp_path / "there").exists()
