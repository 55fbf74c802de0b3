"""Training's data is made once, where there is a browser; elsewhere it is unpacked, or done without."""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from foveate.agent.training.drawing import draw_screen
from foveate.agent.training.provision import has_chromium, main, provide, take
from foveate.agent.training.work_folder import alone
from foveate.policies.training.packs import write_pack
from foveate.policies.training.screens import Screen
from foveate.policies.training.shards import check_bytes, entries_of, read_shard, write_shard


def test_without_chromium_training_goes_with_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if has_chromium():
        pytest.skip("Playwright has a Chromium of its own here")
    said: list[str] = []
    (tmp_path / "shards" / "pages").mkdir(parents=True)
    (tmp_path / "shards" / "pages" / "a.tar").touch()
    provide(tmp_path, pages=2, programs=1, workers=1, say=said.append)
    assert said == [
        "no Chromium here: training goes with what is there (1 shards of pages, 0 shards of programs) and with pages "
        "drawn without a browser"
    ]


@pytest.fixture
def provided(tmp_path: Path, chromium: str) -> Iterator[list[str]]:
    said: list[str] = []
    provide(tmp_path, pages=3, programs=1, workers=1, say=said.append)
    yield said


@pytest.mark.browser
@pytest.mark.torch
@pytest.mark.timeout(200)
def test_missing_data_is_made_once_and_can_be_trained_on(provided: list[str], tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("playwright", reason="playwright is not installed")
    from foveate.agent.training.running import config_path
    from foveate.agent.training.supply import supply_of
    from foveate.policies.training.settings_file import read_settings
    from foveate.policies.training.stream import Wanted

    assert {"pages", "programs"} <= {line.split(":")[0] for line in provided}
    again: list[str] = []
    provide(tmp_path, pages=3, programs=1, workers=1, say=again.append)
    assert again == []
    supply = supply_of(read_settings(config_path("tiny")), tmp_path, tile=448, say=again.append)
    assert set(supply.shown) == {"pages", "programs", "browserless"}
    for name, source in supply.shown.items():
        screens = [source.screen(number, random.Random(number), Wanted(4)) for number in range(8)]
        assert all(screen.image.shape == (448, 448, 3) for screen in screens)
        assert sum(len(screen.questions) for screen in screens) >= 6, name
        assert not [screen for screen in screens if outside(screen)]
    same = [supply.shown["pages"].screen(5, random.Random("a"), Wanted(3)) for _ in range(2)]
    assert same[0].questions == same[1].questions
    assert np.array_equal(same[0].image, same[1].image)
    steps = [supply.shown["programs"].screen(number, random.Random(number), Wanted(6)) for number in range(8)]
    alone = [supply.shown["programs"].screen(number, random.Random(number), Wanted(1)) for number in range(8)]
    assert [step.questions[:1] for step in steps] == [step.questions for step in alone]
    assert max(len(step.questions) for step in steps) > 2


@pytest.mark.browser
@pytest.mark.timeout(200)
def test_a_shard_that_was_made_of_fewer_seeds_is_made_again(provided: list[str], tmp_path: Path) -> None:
    said: list[str] = []
    provide(tmp_path, pages=5, programs=2, workers=1, say=said.append)
    pages, programs = (tmp_path / "shards" / name for name in ("pages", "programs"))
    assert f"{pages}/web-seen-00000000000.tar holds 3 of 5 seeds: it is made again" in said
    assert f"{programs}/programs-seen-00000000000.tar holds 1 of 2 seeds: it is made again" in said
    for folder, count in ((pages, 5), (programs, 2)):
        (shard,) = folder.iterdir()
        assert {screen.facts["seed"] for screen in read_shard(shard)} == {str(seed) for seed in range(count)}
    said.clear()
    provide(tmp_path, pages=4, programs=1, workers=1, say=said.append)
    assert said == []
    (shard,) = pages.iterdir()
    whole = shard.read_bytes()
    place = entries_of(shard)[1].picture
    shard.write_bytes(whole[: place + 9] + bytes([whole[place + 9] ^ 1]) + whole[place + 10 :])
    provide(tmp_path, pages=5, programs=1, workers=1, say=said.append)
    assert f"{shard} is broken in the screen at byte {place}" in said[0] and "it is made again now" in said[0]
    check_bytes(shard)
    assert len(entries_of(shard)) == len(list(read_shard(shard)))


def outside(screen: Screen) -> bool:
    """Tell whether a question points at what is not on its screen."""
    aims = [screen.elements[question.element].aim for question in screen.questions if question.element is not None]
    return any(not (0 <= x <= 1 and 0 <= y <= 1) for x, y in aims)


@pytest.mark.browser
@pytest.mark.torch
@pytest.mark.timeout(200)
def test_a_machine_without_chromium_trains_on_what_was_packed_elsewhere(
    provided: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    from foveate.agent.training.running import config_path
    from foveate.agent.training.supply import supply_of
    from foveate.policies.training.settings_file import read_settings

    pack, work = tmp_path / "some.pack", tmp_path / "elsewhere"
    folders = [tmp_path / "shards" / name for name in ("pages", "programs")]
    packed = write_pack(pack, folders, 10**7)
    assert pack.stat().st_size < sum(path.stat().st_size for folder in folders for path in folder.iterdir())
    monkeypatch.setattr("foveate.agent.training.provision.has_chromium", lambda: False)
    assert main(["--work", str(work), "--data", str(pack)]) == 0
    counts = ", ".join(f"{count} screens of {name} unpacked" for name, count in packed.screens.items())
    assert capsys.readouterr().err == counts + "\n"
    settings = read_settings(config_path("tiny"))
    supplies = [supply_of(settings, folder, tile=448, say=print) for folder in (tmp_path, work)]
    assert supplies[0].fingerprint == supplies[1].fingerprint


def test_a_pack_that_is_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "some.pack").write_text("hello")
    assert main(["--work", str(tmp_path), "--data", str(tmp_path / "some.pack")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path}/some.pack is no whole pack of shards: ")
    assert main(["--work", str(tmp_path), "--data", str(tmp_path / "lacking.pack")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path}/lacking.pack cannot be read: No such file")


def test_a_pack_of_other_folders_is_refused_for_nothing_of_it_would_be_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shard(tmp_path / "big" / "a.tar", [draw_screen(random.Random(1))])
    write_pack(tmp_path / "some.pack", [tmp_path / "big"], 10**6)
    assert main(["--work", str(tmp_path), "--data", str(tmp_path / "some.pack")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("holds big, and training looks for pages and programs: pack folders of these names")


def test_the_shards_of_a_run_that_is_training_are_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with alone(tmp_path):
        assert main(["--work", str(tmp_path), "--pages", "1", "--programs", "0"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: --work {tmp_path}: another run is training there: wait for it, or give another"
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize("flags", [["--workers", "0"], ["--pages", "-3"], ["--programs", "many"]])
def test_counts_that_are_none_are_refused(tmp_path: Path, flags: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--work", str(tmp_path), *flags])
    assert ended.value.code == 2


@pytest.mark.browser
@pytest.mark.timeout(200)
def test_a_shard_that_a_pack_cut_off_is_made_whole_where_there_is_a_browser(chromium: str, tmp_path: Path) -> None:
    provide(tmp_path, pages=0, programs=3, workers=1, say=print)
    (shard,) = (tmp_path / "shards" / "programs").iterdir()
    whole = [screen.facts["seed"] for screen in read_shard(shard)]
    write_pack(tmp_path / "some.pack", [shard.parent], shard.stat().st_size // 4)
    shard.unlink()
    take(tmp_path / "some.pack", tmp_path, say=print)
    cut = [screen.facts["seed"] for screen in read_shard(shard)]
    assert cut == whole[: len(cut)] and set(cut) < set(whole)
    said: list[str] = []
    provide(tmp_path, pages=0, programs=3, workers=1, say=said.append)
    assert f"{shard} holds {len(set(cut))} of 3 seeds: it is made again" in said
    assert [screen.facts["seed"] for screen in read_shard(shard)] == whole


@pytest.mark.torch
def test_a_machine_without_playwright_can_train() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    code = (
        "import sys; sys.modules['playwright'] = None\n"
        "import foveate.agent.cli, foveate.agent.training.running, foveate.agent.training.supply\n"
        "from foveate.agent.training.provision import has_chromium\n"
        "print(has_chromium())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
