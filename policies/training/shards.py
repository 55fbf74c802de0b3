"""Screens packed into tar files: ``N.webp`` (lossless) and ``N.json`` a screen, readable by any tar program.

The last member, ``end.json``, has the checksums of all screens: a shard that lost some, or whose bytes were changed, is
named and not trained on. It is written beside its name and moved there when it is complete, so that an interrupted run
leaves no half shard.
"""

import contextlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from PIL import Image as Pillow

from foveate.actions.errors import UsageError
from foveate.policies.training.screen_data import as_data, of_data
from foveate.policies.training.screens import Screen

UNTIL: Final = "until"
"""Fact of a screen whose shard may lack its last seeds, as they gave no screens: the seed after the shard's last."""

_END: Final = "end.json"
_REMEDY: Final = "delete it, and make it again with what made it, foveate data make or make train-tiny"


class Entry(NamedTuple):
    """Where a screen lies in its shard.

    Attributes:
        picture: First byte of its picture.
        picture_size: Bytes.
        text: First byte of its text.
        text_size: Bytes.
        checksum: CRC-32 of both.
    """

    picture: int
    picture_size: int
    text: int
    text_size: int
    checksum: int


def write_shard(path: Path, screens: Iterable[Screen]) -> int:
    """Write screens into one file.

    Args:
        path: The file; its folder is made where it is missing.
        screens: What to write.

    Returns:
        How many there were.

    Raises:
        UsageError: If it cannot be written: no room, or not allowed there.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        count = _write(part, screens)
        part.replace(path)
    except OSError as exc:
        raise UsageError(f"{path} cannot be written: {exc.strerror or exc}: free space or choose a folder") from exc
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return count


def _write(part: Path, screens: Iterable[Screen]) -> int:
    sums: list[int] = []
    with tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as tar:
        for count, screen in enumerate(screens):
            picture = io.BytesIO()
            Pillow.fromarray(screen.image).save(picture, "WEBP", lossless=True, quality=50, method=1)
            text = json.dumps(as_data(screen), separators=(",", ":")).encode()
            _add(tar, f"{count:06d}.webp", picture.getvalue())
            _add(tar, f"{count:06d}.json", text)
            sums.append(zlib.crc32(text, zlib.crc32(picture.getvalue())))
        _add(tar, _END, json.dumps({"checksums": sums}).encode())
    return len(sums)


def entries_of(path: Path) -> tuple[Entry, ...]:
    """List a shard's screens, and see that none is missing.

    Raises:
        UsageError: If it is no shard, or is broken.
    """
    places: list[tuple[int, int]] = []
    sums: list[int] | None = None
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if member.name == _END:
                    content = tar.extractfile(member)
                    sums = [int(value) for value in json.loads(content.read() if content else b"")["checksums"]]
                    break
                number, kind = divmod(len(places), 2)
                if member.name != f"{number:06d}.{('webp', 'json')[kind]}":
                    raise ValueError(f"screen {number} is not where it should be ({member.name})")
                places.append((member.offset_data, member.size))
        if sums is None or len(places) != 2 * len(sums):
            raise ValueError(f"it ends after {len(places) // 2} screens, before its own end")
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise UsageError(f"{path} is no whole shard of screens: {exc}: {_REMEDY}") from exc
    return tuple(
        Entry(*picture, *text, checksum)
        for picture, text, checksum in zip(places[::2], places[1::2], sums, strict=True)
    )


def read_entry(path: Path, entry: Entry) -> Screen:
    """Read one screen of a shard.

    Raises:
        UsageError: If it is broken.
    """
    try:
        picture, text = _bytes_of(path, entry)
        image = np.asarray(Pillow.open(io.BytesIO(picture)).convert("RGB"))
        return of_data(json.loads(text), image)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as exc:
        raise _broken(path, entry, exc) from exc


def _bytes_of(path: Path, entry: Entry) -> tuple[bytes, bytes]:
    """Read picture and text of a screen, and compare them with their checksum."""
    with path.open("rb") as file:
        parts = []
        for start, size in ((entry.picture, entry.picture_size), (entry.text, entry.text_size)):
            file.seek(start)
            parts.append(file.read(size))
    picture, text = parts
    if zlib.crc32(text, zlib.crc32(picture)) != entry.checksum:
        raise ValueError("its bytes are not those that were written")
    return picture, text


def _broken(path: Path, entry: Entry, why: Exception) -> UsageError:
    return UsageError(f"{path} is broken in the screen at byte {entry.picture}: {why}: {_REMEDY}")


def check_bytes(path: Path) -> None:
    """Compare every byte of a shard with its checksums; nothing is decoded.

    Raises:
        UsageError: If it is no shard, or is broken.
    """
    for entry in entries_of(path):
        try:
            _bytes_of(path, entry)
        except (OSError, ValueError) as exc:
            raise _broken(path, entry, exc) from exc


def read_shard(path: Path) -> Iterator[Screen]:
    """Read the screens of one file, in their order.

    Raises:
        UsageError: If it is no shard, or is broken.
    """
    for entry in entries_of(path):
        yield read_entry(path, entry)


def shards_in(folder: Path) -> tuple[Path, ...]:
    """List a folder's shards, by name.

    Raises:
        UsageError: If there is none.
    """
    found = tuple(sorted(folder.glob("*.tar")))
    if not found:
        raise UsageError(f"{folder} holds no shards (*.tar): make some with foveate data make --out {folder}")
    return found


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
