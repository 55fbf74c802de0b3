"""Files: only what the user named goes out; what comes in is kept in one folder, bounded, nothing overwritten."""

import asyncio
import http.server
import threading
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import pytest

from foveate.actions.errors import UnsupportedAction, UsageError
from foveate.actions.geometry import Frame
from foveate.actions.schema import Upload
from foveate.envs.background import Background
from foveate.envs.chromium import Chromium, LaunchOptions
from foveate.envs.files import Downloads, NamedFiles, Uploads, safe_name

FRAME = Frame(width=400, height=300)


def test_files_are_looked_up_at_the_start_links_and_dots_resolved(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    real = tmp_path / "real.txt"
    real.write_text("x")
    (tmp_path / "link.txt").symlink_to(real)
    files = NamedFiles.check((f"{tmp_path}/folder/../real.txt", f"{tmp_path}/link.txt"))
    assert files.paths == {"real.txt": real.resolve(), "link.txt": real.resolve()}
    assert files.find(("link.txt",)) == (real.resolve(),)
    for name in ("other.txt", str(real), "../real.txt", "folder/../real.txt", ""):
        with pytest.raises(UnsupportedAction, match="no file that the user named"):
            files.find((name,))


def test_a_missing_file_a_folder_and_two_of_one_name_are_refused_with_the_remedy(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.txt").write_text(folder)
    for named, reason in (
        ((f"{tmp_path}/none.txt",), "No such file"),
        ((f"{tmp_path}/a",), "Is a directory"),
        ((f"{tmp_path}/a/same.txt", f"{tmp_path}/b/same.txt"), "two files are called 'same.txt'"),
    ):
        with pytest.raises(UsageError, match=reason):
            NamedFiles.check(named)


@pytest.mark.parametrize(
    ("suggested", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\evil.exe", "evil.exe"),
        (".bashrc", "bashrc"),
        ("..", "download"),
        ("", "download"),
        ("a\x00b\nc.txt", "abc.txt"),
        ("ph\u202egpj.exe", "phgpj.exe"),
        ("con.txt", "_con.txt"),
        ("a:b?.txt", "a_b_.txt"),
        ("日本語.txt", "日本語.txt"),
        ("x" * 300 + ".txt", "x" * 116 + ".txt"),
        ("é" * 100 + ".txt", "é" * 58 + ".txt"),
    ],
)
def test_a_suggested_name_becomes_a_plain_one(suggested: str, safe: str) -> None:
    assert safe_name(suggested) == safe


@pytest.fixture
async def page(chromium: str) -> AsyncIterator[Any]:
    browser = await Chromium.launch(LaunchOptions(path=chromium))
    context = await browser.browser.new_context(viewport={"width": 400, "height": 300})
    yield await context.new_page()
    await browser.close()


class Chosen:
    def __init__(self, page: Any, tmp_path: Path) -> None:
        for name in ("one.txt", "two.txt"):
            (tmp_path / name).write_text(name)
        files = NamedFiles.check((f"{tmp_path}/one.txt", f"{tmp_path}/two.txt"))
        self.page = page
        self.told: list[str] = []
        self.uploads = Uploads(page, files, attempt=self._attempt, on_chooser=self.told.append)

    async def _attempt(self, call: Awaitable[Any], **_more: Any) -> None:
        await call

    async def upload(self, at: tuple[float, float] | None, *names: str) -> Upload:
        point = None if at is None else FRAME.from_input(*at)
        return await self.uploads.upload(Upload(at=point, paths=names), FRAME, self.page.mouse.click)

    async def names(self) -> Any:
        return await self.page.evaluate("[...i.files].map(f => f.name)")


STYLED = """<input type=file id=i hidden %s><label for=i style='position:absolute;left:0;top:0;width:99px;height:50px'>
Choose</label><button onclick='i.click()' style='position:absolute;left:0;top:60px;width:99px;height:50px'>B</button>"""


@pytest.mark.browser
async def test_files_are_given_by_place_through_labels_and_buttons_of_hidden_fields(page: Any, tmp_path: Path) -> None:
    chosen = Chosen(page, tmp_path)
    await page.set_content(STYLED % "multiple")
    await chosen.upload((20, 20), "one.txt")
    assert await chosen.names() == ["one.txt"]
    await chosen.upload((20, 80), "one.txt", "two.txt")
    assert await chosen.names() == ["one.txt", "two.txt"]
    assert chosen.told == []


@pytest.mark.browser
async def test_a_press_on_a_field_opens_a_chooser_that_waits_for_an_upload(page: Any, tmp_path: Path) -> None:
    chosen = Chosen(page, tmp_path)
    await page.set_content(STYLED % "")
    with pytest.raises(UnsupportedAction, match="no file chooser is open"):
        await chosen.upload(None, "one.txt")
    await page.mouse.click(20, 20)
    async with asyncio.timeout(10):
        while not chosen.uploads.waiting:
            await page.evaluate("0")
    assert chosen.told == ["a file chooser waits for a file: 'one.txt', 'two.txt'"]
    with pytest.raises(UnsupportedAction, match="takes one file, not 2"):
        await chosen.upload(None, "one.txt", "two.txt")
    with pytest.raises(UnsupportedAction, match="no file that the user named"):
        await chosen.upload(None, "/etc/passwd")
    await chosen.upload(None, "two.txt")
    assert await chosen.names() == ["two.txt"]
    assert not chosen.uploads.waiting


@pytest.mark.browser
async def test_a_place_without_a_field_and_a_file_that_was_swapped_are_refused(page: Any, tmp_path: Path) -> None:
    chosen = Chosen(page, tmp_path)
    await page.set_content(STYLED % "")
    with pytest.raises(UnsupportedAction, match="no file chooser opened"):
        await chosen.upload((300, 200), "one.txt")
    (tmp_path / "one.txt").unlink()
    (tmp_path / "one.txt").symlink_to("/etc/hostname")
    with pytest.raises(UnsupportedAction, match=r"'one\.txt' is no more"):
        await chosen.upload((20, 20), "one.txt")
    assert await chosen.names() == []


class Kept:
    def __init__(self, page: Any, folder: Path, **more: int) -> None:
        self.background = Background()
        self.told: list[str] = []
        self._told = asyncio.Event()
        self.downloads = Downloads(folder, spawn=self.background.spawn, on_download=self.note, **more)
        self.page = page

    def note(self, text: str) -> None:
        self.told.append(text)
        self._told.set()

    async def watch(self) -> None:
        session = await self.page.context.new_cdp_session(self.page)
        await session.send("Page.enable")
        self.downloads.watch(self.page, session)

    async def press(self) -> str:
        self._told.clear()
        # Chromium ignores a link pressed again while it still ends the navigation that became the download.
        await self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        await self.page.mouse.click(20, 20)
        async with asyncio.timeout(20):
            await self._told.wait()
        return self.told[-1]


LINK = "<a href='%s' style='position:absolute;left:0;top:0;width:99px;height:99px'>get</a>"
ATTACHED = {"Content-Type": "application/octet-stream", "Content-Disposition": 'attachment; filename="..%2Fnote.txt"'}


@pytest.mark.browser
async def test_downloads_are_kept_under_free_names_and_refused_beyond_the_number(
    page: Any, site: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    kept = Kept(page, folder, most=2)
    await kept.watch()
    site.page("/file", "body", headers=ATTACHED)
    await page.goto(site.page("/", LINK % "/file"))
    first, second = await kept.press(), await kept.press()
    names = [path.name for path in kept.downloads.saved]
    assert len(set(names)) == 2 and all(path.parent == folder for path in kept.downloads.saved)
    assert all("note" in name and not name.startswith(".") for name in names)
    assert "was downloaded (" in first and "was downloaded (" in second
    assert kept.downloads.saved[0].read_text().endswith("body")
    assert kept.downloads.saved[0].stat().st_mode & 0o111 == 0
    assert "there were 2 downloads already" in await kept.press()
    assert len(list(folder.iterdir())) == 2
    await kept.background.close()


@pytest.mark.browser
async def test_a_download_that_is_too_large_is_cut_off_and_leaves_nothing(page: Any, site: Any, tmp_path: Path) -> None:
    kept = Kept(page, tmp_path / "kept", most_bytes=1000)
    await kept.watch()
    site.page("/file", "x" * 3_000_000, headers=ATTACHED)
    await page.goto(site.page("/", LINK % "/file"))
    assert "it is larger than 1 kB" in await kept.press()
    assert kept.downloads.saved == [] and not (tmp_path / "kept").exists()
    await kept.downloads.close()
    await kept.background.close()


@pytest.mark.browser
async def test_an_endless_download_is_cut_off_while_it_comes(page: Any, tmp_path: Path) -> None:
    cut_off = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in (ATTACHED if self.path == "/file" else {"Content-Type": "text/html"}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.path != "/file":
                self.wfile.write((LINK % "/file").encode())
                return
            try:
                for _ in range(1500):  # 150 MB in at least 15 s
                    self.wfile.write(b"x" * 100_000)
                    cut_off.wait(0.01)
            except OSError:
                cut_off.set()

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    kept = Kept(page, tmp_path / "kept", most_bytes=2_000_000)
    await kept.watch()
    await page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
    assert "it is larger than 2 MB" in await kept.press()
    assert await asyncio.to_thread(cut_off.wait, 10)
    assert kept.downloads.saved == []
    await kept.background.close()
    await asyncio.to_thread(server.shutdown)
    server.server_close()
