"""``foveate data make`` and ``foveate data show`` as a user runs them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image as Pillow

from foveate.policies.training.shards import read_shard, shards_in

COMMAND = [str(Path(sys.executable).with_name("foveate")), "data"]

pytestmark = pytest.mark.browser


def data(*args: str | Path, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *map(str, args)], cwd=cwd, capture_output=True, text=True, timeout=110, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    done = data("make", "--out", "pages", "--count", "6", "--seed", "40", "--workers", "2", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["status"], said["screens"]) == ("success", 6)
    assert [str(path.relative_to(folder)) for path in shards_in(folder / "pages")] == said["shards"]
    return folder


def test_pages_are_made_into_shards_by_their_seeds(made: Path) -> None:
    shards = shards_in(made / "pages")
    assert [path.name for path in shards] == ["web-seen-00000000040.tar", "web-seen-00000000043.tar"]
    screens = [screen for path in shards for screen in read_shard(path)]
    assert [screen.facts["seed"] for screen in screens] == [str(seed) for seed in range(40, 46)]
    assert all(screen.image.shape == (448, 448, 3) for screen in screens)
    assert sum(path.stat().st_size for path in shards) / 6 < 25_000


def test_the_same_seeds_make_the_same_shards(made: Path) -> None:
    done = data("make", "--out", "again", "--count", "3", "--seed", "40", "--workers", "1", cwd=made)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 screens, ")
    name = "web-seen-00000000040.tar"
    assert (made / "again" / name).read_bytes() == (made / "pages" / name).read_bytes()


def test_shards_are_shown_as_pictures(made: Path) -> None:
    one = data("show", "pages", "--out", "all.png", "--count", "2", cwd=made)
    many = data("show", "pages/web-seen-00000000043.tar", "--out", "each", "--count", "9", cwd=made)
    assert (one.returncode, one.stdout) == (0, "all.png\n")
    assert many.stdout.split() == [f"each/{number:04d}.png" for number in range(3)]
    with Pillow.open(made / "all.png") as picture:
        assert picture.width > 1500
        assert picture.height >= 2 * 896
        assert picture.convert("RGB").getcolors(1) is None


def test_ctrl_c_stops_the_making_and_leaves_no_half_shard(chromium: str, tmp_path: Path) -> None:
    args = [*COMMAND, "make", "--out", "pages", "--count", "5000", "--json"]
    with subprocess.Popen(
        args, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("pages/.*.part"))) < 2:
            assert time.monotonic() < deadline, "no shard was begun"
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "Interrupted.\n")
    assert json.loads(out) == {"status": "interrupted", "reason": "person"}
    assert list((tmp_path / "pages").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(chromium: str, tmp_path: Path) -> None:
    (tmp_path / "pages").write_text("no folder")
    done = data("make", "--out", "pages", "--count", "2", cwd=tmp_path)
    assert done.returncode == 2
    assert "pages" in done.stderr
    assert "cannot be written" in done.stderr


def test_what_is_no_shard_is_named(made: Path) -> None:
    (made / "bad.tar").write_text("nothing")
    (made / "empty").mkdir(exist_ok=True)
    for source in ("bad.tar", "empty", "nowhere"):
        done = data("show", source, "--out", "x.png", cwd=made)
        assert done.returncode == 2, done.stderr
        assert source in done.stderr
        assert "foveate data make" in done.stderr
    assert not (made / "x.png").exists()


def test_who_makes_what_is_kept_for_evaluation_is_told_so(made: Path) -> None:
    done = data("make", "--out", "kept", "--count", "1", "--seed", "10000000000", "--workers", "1", cwd=made)
    assert done.returncode == 0, done.stderr
    assert "foveate train refuses to learn from them" in done.stderr
