"""What the benchmark of models says of a step is what was done, and its floor is worked out as the formulas have it."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = pytest.mark.torch

from foveate.actions.errors import UsageError  # noqa: E402
from foveate.agent.bench_floor import Speed, floor_ms  # noqa: E402
from foveate.agent.bench_model import Order, bench_model, to_text  # noqa: E402
from foveate.policies.internvl.catalogue import SIZES  # noqa: E402

COMMAND = str(Path(sys.executable).with_name("foveate"))
H200 = Speed(790e12, 4.3e12)
"""Arithmetic and copy of an H200, as serving's floors assume."""


@pytest.mark.parametrize(
    ("size", "tiles", "expected"), [("1B", 1, 11.0), ("1B", 13, 30.0), ("8B", 1, 126.0), ("8B", 13, 200.0)]
)
def test_the_floor_is_that_of_the_formulas(size: str, tiles: int, expected: float) -> None:
    tower, language = SIZES[size].tower, SIZES[size].language
    found = floor_ms(tower, language, H200, tiles=tiles, prompt=400 + 256 * tiles, output=32, width=2)
    assert found == pytest.approx(expected, rel=0.04)


def test_a_mixture_is_charged_for_the_experts_that_a_token_goes_through() -> None:
    tower, mixed = SIZES["30B-A3B"].tower, SIZES["30B-A3B"].language
    plain = replace(mixed, inner=8 * mixed.inner, experts=0, chosen=0)
    few, many = (
        floor_ms(tower, one, H200, tiles=1, prompt=600, output=8, width=2) for one in (plain, replace(mixed, chosen=16))
    )
    found = floor_ms(tower, mixed, H200, tiles=1, prompt=600, output=8, width=2)
    assert found == pytest.approx(few, rel=0.01)
    assert many > 1.2 * found


def test_a_router_has_its_own_work_and_saves_the_language_models() -> None:
    size = SIZES["1B"]
    router = replace(H200, flops=1e9)  # so slow at arithmetic that nothing else counts
    whole, routed = (
        floor_ms(size.tower, size.language, router, tiles=1, prompt=0, output=0, width=2, flash=flash)
        for flash in (False, True)
    )
    seen, width, patches = 1024, size.language.width, 1025
    second = 2 * 64 * (16 * seen * 2 * width + 4 * width**2 + 2 * width**2)
    pooled = 2 * 2 * 2 * patches * seen**2 + 4 * 8 * 2 * seen**2
    assert routed - whole == pytest.approx(1e3 * (second + pooled) / 1e9, rel=1e-6)
    fewer = floor_ms(size.tower, size.language, H200, tiles=13, prompt=400 + 64 * 13, output=32, width=2, flash=True)
    assert fewer < floor_ms(size.tower, size.language, H200, tiles=13, prompt=400 + 256 * 13, output=32, width=2)


def test_rows_say_what_was_asked_and_jumping_forward_draws_less() -> None:
    pytest.importorskip("xgrammar", reason="xgrammar is not installed: pip install 'foveate[grammar]'")
    lines: list[str] = []
    order = Order(("tiny",), ("1B",), flash=True, tiles=(1, 2), layers=1, narrower=16, output=3, rounds=1, device="cpu")
    figures = bench_model(order, lines.append)
    rows = {(row["model"], row["tiles"]): row for row in figures["rows"]}
    made, flash = "1B, 1 layers, 1/16, made up", "1B-Flash, 1 layers, 1/16, made up"
    assert {model for model, _ in rows} == {"tiny", made, flash}
    assert [rows[made, tiles]["visual"] for tiles in (1, 2)] == [256, 768]
    assert [rows[flash, tiles]["visual"] for tiles in (1, 2)] == [256, 192], "a single tile is never compressed"
    for row in rows.values():
        assert row["output"] == 3 and row["prompt"] > row["visual"]
        parts = row["encode_ms"] + row["prefill_ms"] + 3 * row["per_token_ms"]
        assert row["total_ms"] >= parts - 0.1
        assert row["ratio"] == pytest.approx(row["total_ms"] / row["floor_ms"], rel=0.01)
    jumps = {(jump["model"], jump["form"].split()[1]): jump for jump in figures["jump_forward"]}
    assert jumps[made, "operation"]["forced"] > jumps[made, "operation"]["free"] > 8
    assert jumps[made, "click"]["forced"] > 1.5 * jumps[made, "click"]["free"]
    assert ("tiny", "click") not in jumps
    table = to_text(figures).splitlines()
    assert len(table) == 1 + len(rows) + len(jumps)
    assert len({len(line) for line in table[: 1 + len(rows)]}) == 1
    assert any("made up" in line for line in lines)


def test_a_size_that_there_is_not_is_named() -> None:
    with pytest.raises(UsageError, match="--size 7B: choose one of 1B, 2B"):
        bench_model(Order(sizes=("7B",)), print)


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (Order(flash=True), "--flash is for sizes that are made up: add --size"),
        (Order((), ("1B", "GPT-OSS-20B-A4B"), flash=True), "--flash: there is no GPT-OSS-20B-A4B with a router"),
    ],
)
def test_a_router_that_nothing_has_is_refused_before_anything_is_made(order: Order, says: str) -> None:
    lines: list[str] = []
    with pytest.raises(UsageError, match=says):
        bench_model(order, lines.append)
    assert not lines


def test_the_command_prints_the_table_and_writes_the_figures(tmp_path: Path) -> None:
    args = ["bench", "model", "--output", "2", "--rounds", "1", "--out", "there.json", "--device", "cpu"]
    done = subprocess.run([COMMAND, *args], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert "ratio" in done.stdout.splitlines()[0] and "tiny" in done.stdout
    figures = json.loads((tmp_path / "there.json").read_text())
    assert figures["speed"]["cpu float32"]["gflops"] > 0 and figures["rows"][0]["model"] == "tiny"
