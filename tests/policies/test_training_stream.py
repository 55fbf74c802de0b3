import errno
import itertools
import multiprocessing
import os
import random
import signal
import tarfile
import threading
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = pytest.mark.torch

from foveate.actions.errors import TrainingError, UsageError  # noqa: E402
from foveate.policies.training.architecture import Shape  # noqa: E402
from foveate.policies.training.settings import RunSettings  # noqa: E402
from foveate.policies.training.shards import write_shard  # noqa: E402
from foveate.policies.training.stored import StoredScreens  # noqa: E402
from foveate.policies.training.stream import Portion, Stream, Wanted, batches  # noqa: E402
from foveate.policies.training.toys import ToyScreens, toy_screen  # noqa: E402

TOY = Shape(tile=112, patch=14, vision_width=32, vision_layers=1, text_width=32, text_layers=4, head=16)


def stream(**more: Any) -> Stream:
    given: dict[str, Any] = {"seed": "1", "first": 0, "pages": 2, "wanted": Wanted(2), "shape": TOY, **more}
    return Stream({"toys": ToyScreens()}, {"toys": 1.0}, **given)


def same(first: Portion, second: Portion) -> bool:
    return torch.equal(first.batch.pixels, second.batch.pixels) and torch.equal(first.batch.ids, second.batch.ids)


def shard(path: Path, count: int, seed: int = 0) -> Path:
    rng = random.Random(seed)
    write_shard(path, (toy_screen(rng) for _ in range(count)))
    return path


def test_batches_are_the_same_whatever_the_number_of_workers() -> None:
    alone = list(batches(stream(), range(5), RunSettings(workers=0)))
    shared = list(batches(stream(), range(5), RunSettings(workers=2, prefetch=2)))
    assert len(alone) == len(shared) == 5
    assert all(same(first, second) for first, second in zip(alone, shared, strict=True))
    assert not same(alone[0], alone[1])


def test_batches_go_on_in_the_middle_as_if_there_had_been_no_break() -> None:
    whole = list(batches(stream(), range(4), RunSettings(workers=0)))
    rest = list(batches(stream(), range(2, 4), RunSettings(workers=0)))
    assert all(same(first, second) for first, second in zip(whole[2:], rest, strict=True))
    later = stream(first=4).portion(0)  # what matters is a screen's number
    assert same(later, whole[2])


def test_a_portion_says_how_much_it_is() -> None:
    portion = stream(pages=3).portion(0)
    assert (portion.pages, portion.answers, len(portion.batch)) == (3, 6, 3)
    assert stream(wanted=Wanted(0)).portion(0).answers == 0


def test_an_epoch_shows_every_screen_once_and_the_next_one_in_another_order(tmp_path: Path) -> None:
    stored = StoredScreens([shard(tmp_path / "a.tar", 5), shard(tmp_path / "b.tar", 4, 1)], seed=3)
    rng = random.Random(0)
    epochs = [
        [stored.screen(number, rng, Wanted(0)).image.tobytes() for number in range(start, start + 9)]
        for start in (0, 9)
    ]
    everything = {stored.read(index).image.tobytes() for index in range(9)}
    assert set(epochs[0]) == set(epochs[1]) == everything
    assert epochs[0] != epochs[1]


def test_the_last_screens_are_held_out(tmp_path: Path) -> None:
    stored = StoredScreens([shard(tmp_path / "a.tar", 10)])
    shown, held_out = stored.parted(0.2)
    assert (len(shown), len(held_out)) == (8, 2)
    assert held_out.read(1).image.tobytes() == stored.read(9).image.tobytes()
    assert shown.fingerprint() != stored.fingerprint()
    assert len(stored.parted(0.0)[1]) == 1
    with pytest.raises(UsageError, match="holds one screen"):
        StoredScreens([shard(tmp_path / "one.tar", 1)]).parted(0.2)


def test_a_broken_shard_is_named(tmp_path: Path) -> None:
    whole = shard(tmp_path / "whole.tar", 3)
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(UsageError, match=r"cut.tar is no whole shard of screens: .* foveate data make"):
        StoredScreens([whole, cut])
    no_tar = tmp_path / "text.tar"
    no_tar.write_text("hello" * 300)
    with pytest.raises(UsageError, match=r"text.tar is no whole shard"):
        StoredScreens([no_tar])
    empty = shard(tmp_path / "empty.tar", 0)
    with pytest.raises(UsageError, match=r"empty.tar: not one screen"):
        StoredScreens([empty])


def test_a_screen_that_is_broken_inside_its_shard_is_named_in_whatever_process_it_is_read(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", 3)
    with tarfile.open(path) as tar:
        place = tar.getmember("000001.webp").offset_data
    data = bytearray(path.read_bytes())
    data[place : place + 12] = b"no picture.."
    path.write_bytes(data)
    stored = StoredScreens([path])
    broken = Stream({"a": stored}, {"a": 1.0}, seed="1", first=0, pages=3, wanted=Wanted(0), shape=TOY)
    for workers in (0, 1):
        with pytest.raises(
            UsageError, match=r"^\S*a.tar is broken in the screen at byte [0-9]+: .* make it again"
        ) as caught:
            list(batches(broken, range(1), RunSettings(workers=workers)))
        assert "\n" not in str(caught.value)


def test_batches_come_from_other_processes_without_shared_memory_which_may_be_small() -> None:
    for portion in batches(stream(), range(3), RunSettings(workers=2)):
        tensors = [getattr(portion.batch, one.name) for one in fields(portion.batch)]
        assert not any(tensor.is_shared() for tensor in tensors)
        portion.batch.pixels.add_(1)  # and are this process's own


def test_a_process_that_dies_is_told_where_batches_are_waited_for_and_never_in_the_middle_of_a_step() -> None:
    source = batches(stream(), itertools.count(), RunSettings(workers=2, prefetch=1))
    next(source)
    (*_, one) = multiprocessing.active_children()
    os.kill(one.pid or 0, signal.SIGKILL)
    time.sleep(0.5)
    assert sum(torch.ones(9).sum().item() for _ in range(2000)) == 18_000  # a step goes through
    began = time.monotonic()
    with pytest.raises(TrainingError, match=r"batches failed: .* is killed by signal: Killed.*lower them$"):
        for _ in source:
            pass
    assert time.monotonic() - began < 20
    source = batches(stream(), range(3), RunSettings(workers=1, prefetch=1))
    next(source)
    (one,) = multiprocessing.active_children()
    threading.Timer(0.2, os.kill, (one.pid, signal.SIGSTOP)).start()
    threading.Timer(0.6, os.kill, (one.pid, signal.SIGKILL)).start()
    with pytest.raises(TrainingError, match=r"batches failed: DataLoader worker .* (killed by signal|exited)"):
        for _ in source:
            time.sleep(0.3)
    assert multiprocessing.active_children() == []


def test_processes_that_cannot_be_begun_are_told_with_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, *args: Any, **options: Any) -> None:
            pass

        def __iter__(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("foveate.policies.training.stream.DataLoader", Full)
    with pytest.raises(TrainingError, match=r"can be begun: No space left on device: .* run.workers = 0$"):
        list(batches(stream(), range(2), RunSettings(workers=1)))
