"""Files that go to pages and come from them: uploads of files that the user named, downloads into one folder.

How to use this module:

- ``files = NamedFiles.check(limits.files)`` when an environment opens (a missing file is a UsageError then);
- one ``Uploads(page, files, attempt=..., on_chooser=...)`` a page; a press on a file field opens a chooser that waits
  (``uploads.waiting``); ``await uploads.upload(action, frame, press)`` does the action, with or without a point;
- one ``Downloads(folder, ...)`` an episode; ``watch(page, session)`` for each page, whose session has ``Page.enable``;
  ``await close()`` at the end.
"""

import asyncio
import contextlib
import re
import unicodedata
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from foveate.actions.errors import UnsupportedAction, UsageError
from foveate.actions.geometry import Frame
from foveate.actions.guard import Limits
from foveate.actions.paths import at_home
from foveate.actions.schema import Upload

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Download, FileChooser, Page

CHOOSER_LIMIT_S = 3.0
"""Longest wait for a chooser after the press that should open it."""

_SAVE_LIMIT_S = 60.0
_MOST_NAME = 120
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


# Uploads --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NamedFiles:
    """The files that the user named, by their base names; a page is given no other.

    Attributes:
        paths: The real file of each base name, links and ``..`` resolved.
    """

    paths: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def check(cls, named: tuple[str, ...]) -> "NamedFiles":
        """Look the files up; blocks, so call it in a thread.

        Raises:
            UsageError: If one is missing, is no file, cannot be read, or two have one base name.
        """
        paths: dict[str, Path] = {}
        for given in named:
            try:
                path = at_home(given).resolve(strict=True)
                with path.open("rb"):
                    pass
            except (OSError, RuntimeError) as exc:
                reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
                raise UsageError(f"--file {given}: {reason}: name a file that can be read") from exc
            name = PurePath(given).name or path.name
            if paths.get(name, path) != path:
                raise UsageError(
                    f"--file {given}: two files are called {name!r}: rename one, pages see base names only"
                )
            paths[name] = path
        return cls(paths)

    def find(self, names: tuple[str, ...]) -> tuple[Path, ...]:
        """Give the real files of base names.

        Raises:
            UnsupportedAction: If a name is none of the user's, or its file is no more; the message lists the names.
        """
        found = []
        for name in names:
            path = self.paths.get(name)
            if path is None:
                offered = ", ".join(map(repr, self.paths)) or "none"
                raise UnsupportedAction(f"{name!r} is no file that the user named: the files are {offered}")
            found.append(path)
        return tuple(found)


class Uploads:
    """The file chooser of one page: it never opens by itself, it waits for an ``upload``.

    Args:
        page: The page.
        files: What may be sent.
        attempt: Awaits a call, but returns at once where a dialog holds it up; maps the browser's refusal. ``lasts_s``
            says how long the call may take by itself.
        on_chooser: Called with a sentence when a chooser has opened.
    """

    def __init__(
        self,
        page: "Page",
        files: NamedFiles,
        *,
        attempt: Callable[..., Awaitable[None]],
        on_chooser: Callable[[str], None],
    ) -> None:
        self._files = files
        self._attempt = attempt
        self._on_chooser = on_chooser
        self._waiting: FileChooser | None = None
        self._expected = False
        self._opened = asyncio.Event()
        page.on("filechooser", self._chooser)
        page.on("framenavigated", lambda frame: self._forget() if frame == page.main_frame else None)

    @property
    def waiting(self) -> bool:
        """True where a chooser waits for an upload."""
        return self._waiting is not None

    async def upload(self, action: Upload, frame: Frame, press: Callable[[float, float], Awaitable[None]]) -> Upload:
        """Give files to the field at a place, or to the chooser that waits.

        Args:
            action: What to give, by base names.
            frame: What its point is of.
            press: Clicks at x and y in CSS pixels, without waiting for ever.

        Returns:
            The action, which was applied as it is.

        Raises:
            UnsupportedAction: If a file is none of the user's, no chooser opens there, or it takes one file only.
        """
        paths = await asyncio.to_thread(self._existing, action.paths)
        if action.at is not None:
            await self._open(*frame.to_input(action.at), press)
        chooser, self._waiting = self._waiting, None
        if chooser is None:
            raise UnsupportedAction("no file chooser is open: give the place of the field or press it first")
        if len(paths) > 1 and not chooser.is_multiple():
            self._waiting = chooser
            raise UnsupportedAction(f"that field takes one file, not {len(paths)}")
        await self._attempt(chooser.set_files(list(paths)), lasts_s=_SAVE_LIMIT_S)
        return action

    def _existing(self, names: tuple[str, ...]) -> tuple[Path, ...]:
        paths = self._files.find(names)
        for name, path in zip(names, paths, strict=True):
            if not path.is_file() or path.resolve() != path:  # something else was put in its place
                raise UnsupportedAction(f"the file {name!r} is no more")
        return paths

    async def _open(self, x: float, y: float, press: Callable[[float, float], Awaitable[None]]) -> None:
        self._waiting = None
        self._opened.clear()
        self._expected = True
        try:
            await press(x, y)
            async with asyncio.timeout(CHOOSER_LIMIT_S):
                await self._opened.wait()
        except TimeoutError as exc:
            raise UnsupportedAction("no file chooser opened at that place") from exc
        finally:
            self._expected = False

    def _chooser(self, chooser: "FileChooser") -> None:
        self._waiting = chooser
        self._opened.set()
        if not self._expected:
            many = "files" if chooser.is_multiple() else "a file"
            offered = ", ".join(map(repr, self._files.paths)) or "the user named none (--file PATH)"
            self._on_chooser(f"a file chooser waits for {many}: {offered}")

    def _forget(self) -> None:
        self._waiting = None


# Downloads ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Transfer:
    """One download under way."""

    download: "Download"
    refused: str | None = None


class Downloads:
    """What pages send is kept in one folder: bounded in size and number, never opened, nothing overwritten.

    Args:
        folder: Where to; made when the first one comes.
        spawn: Starts a coroutine that nobody awaits, and keeps hold of it.
        on_download: Called with a sentence when one was saved, refused, or has failed.
        limits: Hold the secrets whose values are replaced in names; what is in the files stays.
        most_bytes: Largest size of one, in bytes.
        most: Largest number in an episode.
    """

    def __init__(
        self,
        folder: Path,
        *,
        spawn: Callable[[Coroutine[Any, Any, Any]], object],
        on_download: Callable[[str], None],
        limits: Limits = Limits(),  # noqa: B008 - frozen
        most_bytes: int = 200_000_000,
        most: int = 100,
    ) -> None:
        self.folder = folder
        self.saved: list[Path] = []
        self._spawn = spawn
        self._on_download = on_download
        self._limits = limits
        self._most_bytes = most_bytes
        self._most = most
        self._count = 0
        self._open: list[_Transfer] = []
        self._urls: dict[str, str] = {}
        self._ended = False

    def watch(self, page: "Page", session: "CDPSession") -> None:
        """Follow one page; its session tells how much has come."""
        page.on("download", self._begun)
        session.on("Page.downloadWillBegin", lambda event: self._urls.__setitem__(event["guid"], event["url"]))
        session.on("Page.downloadProgress", self._progress)

    async def close(self) -> None:
        """Cancel what is under way; what was saved stays."""
        self._ended = True
        for transfer in tuple(self._open):
            await self._refuse(transfer, "the episode ended")

    def _begun(self, download: "Download") -> None:
        transfer = _Transfer(download)
        self._open.append(transfer)
        self._count += 1
        self._spawn(self._keep(transfer, self._count > self._most or self._ended))

    def _progress(self, event: dict[str, Any]) -> None:
        if event["state"] != "inProgress":
            self._urls.pop(event["guid"], None)
            return
        if max(event["receivedBytes"], event["totalBytes"]) <= self._most_bytes:
            return
        url = self._urls.get(event["guid"])
        for transfer in self._open:
            if transfer.download.url == url and transfer.refused is None:
                self._spawn(self._refuse(transfer, f"it is larger than {_size(self._most_bytes)}"))

    async def _refuse(self, transfer: _Transfer, reason: str) -> None:
        from playwright.async_api import Error

        transfer.refused = transfer.refused or reason
        with contextlib.suppress(Error, TimeoutError):
            async with asyncio.timeout(CHOOSER_LIMIT_S):
                await transfer.download.cancel()

    async def _keep(self, transfer: _Transfer, too_many: bool) -> None:
        from playwright.async_api import Error

        shown = safe_name(self._limits.mask_secrets(transfer.download.suggested_filename))
        try:
            if too_many:
                await self._refuse(transfer, f"there were {self._most} downloads already")
            else:
                await self._save(transfer, shown)
        except (Error, TimeoutError, OSError) as exc:
            reason = transfer.refused or str(exc).splitlines()[0]
            transfer.refused = reason
        finally:
            self._open.remove(transfer)
        if transfer.refused is not None:
            self._on_download(f"the download of {shown} was not kept: {transfer.refused}")

    async def _save(self, transfer: _Transfer, name: str) -> None:
        path: Path | None = None
        try:
            source = await transfer.download.path()  # waits until all has come
            size = await asyncio.to_thread(lambda: source.stat().st_size)
            if size > self._most_bytes:
                transfer.refused = f"it is larger than {_size(self._most_bytes)}"
                return
            path = await asyncio.to_thread(_reserve, self.folder, name)
            async with asyncio.timeout(_SAVE_LIMIT_S):
                await transfer.download.save_as(path)
        except BaseException:
            if path is not None:
                path.unlink(missing_ok=True)  # at once, for the task may be cancelled
            raise
        finally:
            self._spawn(_drop(transfer.download))
        self.saved.append(path)
        self._on_download(f"{path.name} was downloaded ({_size(size)})")


async def _drop(download: "Download") -> None:
    """Delete the browser's own copy."""
    from playwright.async_api import Error

    with contextlib.suppress(Error, TimeoutError):
        async with asyncio.timeout(CHOOSER_LIMIT_S):
            await download.delete()


def safe_name(suggested: str) -> str:
    """Make a plain file name of what a page suggests: no folders, no hidden or reserved names, at most 120 bytes."""
    text = unicodedata.normalize("NFC", suggested).replace("\\", "/").rsplit("/", 1)[-1]
    text = "".join(char for char in text if unicodedata.category(char) not in ("Cf", "Cc", "Cs", "Co", "Cn"))
    text = _UNSAFE.sub("_", text).strip(" .")
    if _RESERVED.match(text):
        text = f"_{text}"
    stem, dot, suffix = text.rpartition(".")
    if not dot or len(suffix.encode()) > 20:
        stem, dot, suffix = text, "", ""
    room = _MOST_NAME - len((dot + suffix).encode())
    stem = stem.encode()[:room].decode(errors="ignore").rstrip(" .")
    return (stem or "download") + dot + suffix


def _reserve(folder: Path, name: str) -> Path:
    """Make an empty file of a name that is free."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    for number in range(1, 10_000):
        try:
            path.touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            path = folder / f"{PurePath(name).stem} ({number}){PurePath(name).suffix}"
        else:
            return path
    raise OSError(f"{folder} holds too many files called {name}")


def _size(count: int) -> str:
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= step:
            return f"{count / step:.3g} {unit}"
    return f"{count} bytes"
