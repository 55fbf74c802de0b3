"""A download is kept under a plain name in its folder, whatever name a browser passes on."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from foveate.envs.files import Downloads


class Sent:
    """A download as Playwright hands it over."""

    url = "https://example.org/file"

    def __init__(self, suggested: str, source: Path) -> None:
        self.suggested_filename = suggested
        self._source = source
        self.deleted = False

    async def path(self) -> Path:
        return self._source

    async def save_as(self, path: Path) -> None:
        await asyncio.to_thread(path.write_bytes, b"content")

    async def delete(self) -> None:
        self.deleted = True


class Listened:
    """A page or a session whose listeners a test calls."""

    def __init__(self) -> None:
        self.listeners: dict[str, Callable[[Any], None]] = {}

    def on(self, name: str, listener: Callable[[Any], None]) -> None:
        self.listeners[name] = listener


@pytest.mark.parametrize(
    ("suggested", "kept"),
    [("../../evil.sh", "evil.sh"), ("/etc/passwd", "passwd"), ("..\\..\\a.txt", "a.txt"), (".bashrc", "bashrc")],
)
async def test_a_name_with_folders_never_leaves_the_folder(tmp_path: Path, suggested: str, kept: str) -> None:
    source, folder = tmp_path / "source", tmp_path / "run" / "downloads"
    await asyncio.to_thread(source.write_bytes, b"content")
    texts: list[str] = []
    page, session, sent = Listened(), Listened(), Sent(suggested, source)
    async with asyncio.TaskGroup() as group:

        def spawn(work: Coroutine[Any, Any, Any]) -> object:
            return group.create_task(work)

        downloads = Downloads(folder, spawn=spawn, on_download=texts.append)
        downloads.watch(page, session)  # type: ignore[arg-type]
        page.listeners["download"](sent)
    assert downloads.saved == [folder / kept]
    assert texts == [f"{kept} was downloaded (7 bytes)"]
    left = await asyncio.to_thread(lambda: sorted(str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*")))
    assert left == ["run", "run/downloads", f"run/downloads/{kept}", "source"]
    assert sent.deleted
