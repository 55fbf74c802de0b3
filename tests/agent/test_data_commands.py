"""``foveate data make``, ``show``, ``pack`` and ``unpack`` as a user runs them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from foveate.actions.errors import UsageError
from foveate.agent.training import making
from foveate.agent.training.making import seeds_in
from foveate.agent.training.programs import demonstrations
from foveate.policies.training.screens import Screen
from foveate.policies.training.shards import UNTIL, read_shard, shards_in, write_shard

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


def test_shards_are_packed_and_unpacked(made: Path) -> None:
    done = data("pack", "pages", "--out", "some.pack", "--at-most", "0.2", "--json", cwd=made)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said == {
        "status": "success", "pack": "some.pack", "bytes": (made / "some.pack").stat().st_size, "screens": {"pages": 6},
    }  # fmt: skip
    assert said["bytes"] <= 200_000
    done = data("unpack", "some.pack", "--out", "unpacked", cwd=made)
    assert (done.returncode, done.stdout) == (0, "unpacked: 6 screens of pages\n"), done.stderr
    had, got = (
        [screen for path in shards_in(made / name) for screen in read_shard(path)]
        for name in ("pages", "unpacked/pages")
    )
    assert all(
        np.array_equal(one.image, other.image) and one.facts == other.facts for one, other in zip(had, got, strict=True)
    )
    done = data("pack", "pages", "--out", "some.pack", "--at-most", "0.1", cwd=made)
    assert done.returncode == 0 and (made / "some.pack").stat().st_size <= 100_000
    done = data("unpack", "pages/web-seen-00000000040.tar", "--out", "unpacked", cwd=made)
    assert done.returncode == 2 and "is no whole pack of shards" in done.stderr


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
    write_shard(made / "none" / "none.tar", ())
    told = {"nowhere": "there is no such file or folder", "none/none.tar": "holds no screens", "none": "no screens"}
    for source in ("bad.tar", "empty", "nowhere", "none/none.tar", "none"):
        done = data("show", source, "--out", "x.png", cwd=made)
        assert done.returncode == 2, done.stderr
        assert source in done.stderr
        assert told.get(source, "") in done.stderr
        assert "foveate data make" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not (made / "x.png").exists()


def test_pictures_that_cannot_be_written_are_named(made: Path) -> None:
    (made / "afile").write_text("no folder")
    (made / "folder.png").mkdir(exist_ok=True)
    for out, told in (
        ("afile", "afile/0000.png cannot be written: File exists"),
        ("afile/z.png", "afile/z.png cannot be written: File exists"),
        ("folder.png", "folder.png cannot be written: Is a directory"),
        ("y.jpg", "--out y.jpg: pictures are PNG, not .jpg: give y.png, or a folder"),
    ):
        done = data("show", "pages", "--out", out, "--count", "1", cwd=made)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("error: ")
        assert told in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not (made / "y.jpg").exists()


@pytest.mark.parametrize("out", ["full.png", "full"])
def test_a_full_disk_leaves_no_half_picture(made: Path, out: str) -> None:
    line = f"ulimit -f 4; exec {COMMAND[0]} data show pages --out {out} --count 1"
    done = subprocess.run(["bash", "-c", line], cwd=made, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 2, done.stderr
    assert "cannot be written: File too large: free some space or give another --out" in done.stderr
    assert [path for path in made.rglob("*full*") if not path.is_dir()] == []


# What is there is not lost ------------------------------------------------------------------------------------------


def shard(folder: Path, seeds: range, kind: str = "web", until: int | None = None) -> Path:
    """Write a shard of empty screens; where it says until which seed it goes, it may lack its last ones."""
    path = folder / f"{kind}-seen-{seeds.start:011d}.tar"
    picture, more = np.zeros((8, 8, 3), np.uint8), {} if until is None else {UNTIL: str(until)}
    write_shard(path, [Screen(picture, (), (), (), {"seed": str(seed), "split": "seen", **more}) for seed in seeds])
    return path


def test_a_shard_tells_of_what_seeds_it_was_made(tmp_path: Path) -> None:
    assert seeds_in(shard(tmp_path, range(24, 36))) == range(24, 36)
    assert seeds_in(shard(tmp_path, range(60, 118), "programs", until=120)) == range(60, 120)
    assert list(seeds_in(shard(tmp_path, range(0)))) == []
    assert list(seeds_in(tmp_path / "web-seen-00000000099.tar")) == []
    cut = shard(tmp_path, range(7, 9))
    cut.write_bytes(cut.read_bytes()[:2_000])
    assert list(seeds_in(cut)) == []


@pytest.mark.parametrize(
    ("there", "count", "workers", "fits"),
    [
        ([(0, 24)], 24, 1, True),
        ([(0, 24)], 24, 2, False),
        ([(0, 24)], 12, 1, False),
        ([(0, 12)], 24, 1, True),
        ([(0, 12), (12, 24)], 24, 1, False),
        ([(0, 12), (12, 24)], 24, 2, True),
        ([(24, 48)], 24, 3, True),
        ([(20, 48)], 24, 3, False),
        ([], 24, 2, True),
    ],
)
@pytest.mark.parametrize("kind", ["web", "programs"])
def test_shards_that_would_take_seeds_away_or_double_them_are_refused(
    tmp_path: Path, there: list[tuple[int, int]], count: int, workers: int, fits: bool, kind: str
) -> None:
    for start, end in there:
        shard(tmp_path, range(start, end), kind)
    shard(tmp_path, range(5), "programs" if kind == "web" else "web")
    divided = making.orders if kind == "web" else demonstrations.orders
    todo = divided(tmp_path, range(count), "seen", workers)
    if fits:
        making.refuse_loss(todo)
    else:
        with pytest.raises(UsageError, match=r"holds seeds \d+ to \d+, .* give another --out, or a --seed after"):
            making.refuse_loss(todo)


def test_the_command_refuses_before_anything_is_made(tmp_path: Path) -> None:
    before = shard(tmp_path / "pages", range(24)).read_bytes()
    done = data("make", "--out", "pages", "--count", "24", "--workers", "2", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "pages/web-seen-00000000000.tar holds seeds 0 to 23" in done.stderr
    assert [path.read_bytes() for path in (tmp_path / "pages").iterdir()] == [before]


def test_a_browser_that_is_none_is_named(tmp_path: Path) -> None:
    for flags in ((), ("--programs",)):
        done = data("make", "--out", "a", "--count", "4", "--browser", "/no/such", *flags, cwd=tmp_path)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert "--browser /no/such: there is no program of that name" in done.stderr


def test_who_makes_what_is_kept_for_evaluation_is_told_so(made: Path) -> None:
    done = data("make", "--out", "kept", "--count", "1", "--seed", "10000000000", "--workers", "1", cwd=made)
    assert done.returncode == 0, done.stderr
    assert "foveate train refuses to learn from them" in done.stderr
