"""Some of a run's shards in one small file, for a machine that cannot make them: ``foveate data pack`` and ``unpack``.

A pack is a tar file. Of each shard it has ``FOLDER/SHARD/N.webp``, pictures one above the other (what a program shows
step by step differs little, and costs half as much so), and ``FOLDER/SHARD/screens.json.xz``, all that is known of
them. The last member, ``end.json``, has the checksums of the others. What is unpacked equals what was packed, pixel
for pixel.
"""

import contextlib
import io
import itertools
import json
import lzma
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from foveate.actions.errors import UsageError
from foveate.policies.training.screen_data import as_data, of_data
from foveate.policies.training.screens import Screen
from foveate.policies.training.shards import UNTIL, check_bytes, read_shard, shards_in, write_shard

_END: Final = "end.json"
_KNOWN: Final = "screens.json.xz"
_NAME: Final = "[A-Za-z0-9_-]{1,60}"
_SHARD: Final = re.compile(f"{_NAME}/{_NAME}")
_MEMBER: Final = re.compile(rf"({_NAME})/({_NAME})/([0-9]{{6}}\.webp|screens\.json\.xz)")
_STRIP: Final = 24
_HIGHEST: Final = 16_383  # pixels of a WebP picture
_BLOCK: Final = tarfile.BLOCKSIZE
_TAIL: Final = tarfile.RECORDSIZE + 4 * _BLOCK  # the tar file's own end, and headers of end.json
_REMEDY: Final = "fetch it again, or make it again with foveate data pack"


class Packed(NamedTuple):
    """What a pack holds.

    Attributes:
        screens: How many, by folder.
        size: Bytes.
    """

    screens: Mapping[str, int]
    size: int


class _Part(NamedTuple):
    """A shard, or the beginning of one, as it is written."""

    name: str
    members: Mapping[str, bytes]
    screens: int

    @property
    def size(self) -> int:
        """Bytes in the file, with what tar and the list of checksums add."""
        return sum(_BLOCK + -(-len(data) // _BLOCK) * _BLOCK + len(name) + 20 for name, data in self.members.items())


def write_pack(path: Path, folders: Sequence[Path], most: int) -> Packed:
    """Pack as much of some folders of shards as finds room, as many bytes of each.

    Args:
        path: The file.
        folders: Each holds shards; their names tell them apart.
        most: Bytes that the file may have; of a shard that finds no room whole its first seeds are taken.

    Raises:
        UsageError: If a folder holds no shard, a shard is broken, nothing finds room, or it cannot be written.
    """
    names = [folder.name for folder in folders]
    if not names or len(set(names)) != len(names):
        raise UsageError(f"folders of shards with names of their own are packed, not {', '.join(names) or 'none'}")
    for shard in (shard for folder in folders for shard in shards_in(folder)):
        if not _SHARD.fullmatch(f"{shard.parent.name}/{shard.stem}"):
            raise UsageError(
                f"{shard} cannot be packed by its name: a shard and its folder have up to 60 letters, digits, - and _"
            )
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        screens = _write(part, folders, most)
        part.replace(path)
        return Packed(screens, path.stat().st_size)
    except OSError as exc:
        raise UsageError(f"{path} cannot be written: {exc.strerror or exc}: free space or choose a folder") from exc
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _write(file: Path, folders: Sequence[Path], most: int) -> dict[str, int]:
    screens: dict[str, int] = {}
    sums: dict[str, int] = {}
    room = most - _TAIL
    with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as tar:
        for left, folder in zip(range(len(folders), 0, -1), folders, strict=True):
            screens[folder.name], own = 0, room // left
            for part in _parts(folder, own):
                for name, data in part.members.items():
                    _add(tar, name, data)
                    sums[name] = zlib.crc32(data)
                screens[folder.name] += part.screens
                room -= part.size
            if not screens[folder.name]:
                raise UsageError(f"not one screen of {folder} finds room in {most:,} bytes: allow more")
        _add(tar, _END, json.dumps({"checksums": sums}, separators=(",", ":")).encode())
    return screens


def _parts(folder: Path, room: int) -> Iterator[_Part]:
    """Give shards as long as there is room, and of the one that finds none its beginning."""
    for path in shards_in(folder):
        screens = list(read_shard(path))
        name = f"{folder.name}/{path.stem}"
        part = _part(name, screens)
        while screens and part.size > room:
            screens = _cut(screens, int(len(screens) * room / part.size))
            part = _part(name, [replace(one, facts=_begun(one.facts)) for one in screens])
        if not screens:
            return
        room -= part.size
        yield part


def _cut(screens: list[Screen], count: int) -> list[Screen]:
    """Give at most so many screens, and fewer than there are, so that the last one's seed has all that are its own."""
    count = max(0, min(len(screens) - 1, count))
    while count and screens[count - 1].facts.get("seed") == screens[count].facts.get("seed"):
        count -= 1
    return screens[:count]


def _begun(facts: Mapping[str, str]) -> dict[str, str]:
    """Give a screen's facts without what its shard held as a whole."""
    return {name: value for name, value in facts.items() if name != UNTIL}


def _part(name: str, screens: Sequence[Screen]) -> _Part:
    strips = list(_strips(screens))
    known = {"strips": [len(strip) for strip in strips], "screens": [as_data(screen) for screen in screens]}
    members = {f"{name}/{number:06d}.webp": _picture(strip) for number, strip in enumerate(strips)}
    text = json.dumps(known, separators=(",", ":")).encode()
    return _Part(name, {**members, f"{name}/{_KNOWN}": lzma.compress(text)}, len(screens))


def _strips(screens: Sequence[Screen]) -> Iterator[list[NDArray[np.uint8]]]:
    """Give pictures that stand above one another in one: of one size, and not higher than a picture may be."""
    for shape, same in itertools.groupby((screen.image for screen in screens), key=lambda image: image.shape):
        images, high = list(same), min(_STRIP, max(1, _HIGHEST // shape[0]))
        yield from (images[start : start + high] for start in range(0, len(images), high))


def _picture(strip: Sequence[NDArray[np.uint8]]) -> bytes:
    written = io.BytesIO()
    Pillow.fromarray(np.concatenate(strip)).save(written, "WEBP", lossless=True, quality=80, method=4)
    return written.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def unpack(path: Path, folder: Path, say: Callable[[str], None]) -> dict[str, int]:
    """Make the shards again that a pack was made of, as far as it has them; shards that are there are kept.

    Args:
        path: The pack.
        folder: Folder of the folders of shards.
        say: Takes a line for people about what is kept.

    Returns:
        How many screens were written, by folder.

    Raises:
        UsageError: If it is no pack, is broken, or a shard cannot be written.
    """
    written: dict[str, int] = {}
    for kind, shard, members in _shards(path):
        written.setdefault(kind, 0)
        target = folder / kind / f"{shard}.tar"
        if target.exists():
            try:
                check_bytes(target)
            except UsageError as error:
                say(f"{error}; it is unpacked again now")
            else:
                say(f"{target} is there and is kept")
                continue
        written[kind] += write_shard(target, _screens(path, f"{kind}/{shard}", members))
    return written


def _shards(path: Path) -> Iterator[tuple[str, str, dict[str, bytes]]]:
    """Read a pack shard by shard, each with its members."""
    sums = _sums(path)
    found: dict[str, bytes] = {}
    with tarfile.open(path, "r:") as tar:
        for member in tar:
            place = _MEMBER.fullmatch(member.name)
            if place is None:
                continue  # the end, which was read
            kind, shard, name = place.groups()
            content = tar.extractfile(member)
            found[name] = content.read() if content else b""
            if zlib.crc32(found[name]) != sums[member.name]:
                raise _broken(path, f"{member.name} is not what was written")
            if name == _KNOWN:
                yield kind, shard, found
                found = {}


def _sums(path: Path) -> dict[str, int]:
    """Read a pack's checksums, and see that nothing is missing, and nothing there besides."""
    try:
        with tarfile.open(path, "r:") as tar:
            names = tar.getnames()
            if not names or names[-1] != _END:
                raise ValueError("it has no end")
            end = tar.extractfile(_END)
            sums = {
                str(name): int(value) for name, value in json.loads(end.read() if end else b"")["checksums"].items()
            }
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror or exc}: give a pack of foveate data pack") from exc
    except (tarfile.TarError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise _broken(path, exc) from exc
    if names[:-1] != list(sums) or not all(map(_MEMBER.fullmatch, sums)):
        raise _broken(path, "its members are not those that its end lists")
    return sums


def _screens(path: Path, name: str, members: Mapping[str, bytes]) -> Iterator[Screen]:
    try:
        known: dict[str, Any] = json.loads(lzma.decompress(members[_KNOWN]))
        images = [image for number, count in enumerate(known["strips"]) for image in _images(members, number, count)]
        for data, image in zip(known["screens"], images, strict=True):
            yield of_data(data, image)
    except (OSError, lzma.LZMAError, ValueError, KeyError, TypeError, AttributeError, IndexError) as exc:
        raise _broken(path, f"{name}: {exc}") from exc


def _images(members: Mapping[str, bytes], number: int, count: int) -> list[NDArray[np.uint8]]:
    strip = np.asarray(Pillow.open(io.BytesIO(members[f"{number:06d}.webp"])).convert("RGB"))
    return list(strip.reshape(count, -1, *strip.shape[1:]))


def _broken(path: Path, why: object) -> UsageError:
    return UsageError(f"{path} is no whole pack of shards: {why}: {_REMEDY}")
