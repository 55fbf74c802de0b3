"""The report: whole, self-contained, bounded, and safe whatever a model wrote."""

import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from foveate.actions.errors import RecordError, UsageError
from foveate.agent.previews import changed_regions, make_previews
from foveate.agent.record import read_record
from foveate.agent.report import write_index, write_report
from foveate.agent.report_steps import StepPictures, render_step

EVIL = (
    "</script><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>{{script}}&amp;\x1b"
)


class Tags(HTMLParser):
    """Collects every tag and attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags(text: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(text)
    return parser.found


def picture(file: Path, *, shade: int = 100, box: tuple[int, int, int, int] | None = None, size: int = 96) -> None:
    pixels = np.full((size, size, 3), shade, np.uint8)
    if box is not None:
        left, top, right, bottom = box
        pixels[top:bottom, left:right] = 255 - shade
    file.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(pixels).save(file)


def step(index: int, **more: object) -> dict[str, object]:
    click = {"kind": "click", "at": {"x": 0.25, "y": 0.5}, "button": "left"}
    return {
        "index": index, "frame": f"frames/{index:04d}.png", "after": [f"frames/{index + 1:04d}.png"],
        "operation": "Click it", "actions": [click], "verdict": ["allow"], "rule": ["default"], "target": [None],
        "applied": [click], "error": [None],
        "points": [{"model": [0.25, 0.5], "frame": [0.25, 0.5], "input": [24, 48]}],
        "changed": 0.1, "timing_ms": {"decode": 30.0, "settle": 50.0, "total": 90.0}, "tokens": {"prompt": 5},
    } | more  # fmt: skip


def record(folder: Path, steps: list[dict[str, object]], **head: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    result = {"status": "success", "verified": True, "reason": "done", "steps": len(steps), "seconds": 2.0}
    (folder / "episode.json").write_text(json.dumps({"task": "Add milk", "result": result} | head))
    (folder / "steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in steps))
    for index in range(len(steps) + 1):
        picture(folder / f"frames/{index:04d}.png", box=(index * 8, 8, index * 8 + 16, 24))
    return folder


def test_a_report_is_one_file_that_asks_for_nothing(tmp_path: Path) -> None:
    report = write_report(record(tmp_path / "run", [step(0), step(1)]))
    assert report == tmp_path / "run/report.html"
    text = report.read_text()
    for tag, attributes in tags(text):
        assert tag not in ("link", "iframe", "object", "embed", "base"), tag
        for name in ("src", "href", "action", "srcset", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), value
    assert "default-src 'none'" in text
    assert "url(" not in text
    assert "@import" not in text


def test_a_models_text_can_never_become_markup(tmp_path: Path) -> None:
    evil_event = [{"kind": EVIL, "text": EVIL}]
    evil_action = {"kind": "type_text", "text": EVIL}
    steps = [
        step(
            0, operation=EVIL, thought=EVIL, raw=EVIL, attempts=[EVIL], notes=[EVIL], events=evil_event,
            actions=[evil_action], applied=[evil_action], points=[None], verdict=[EVIL], rule=[EVIL],
            target=[{"name": EVIL}], error=[EVIL], tokens={EVIL: 3}, timing_ms={EVIL: 4.0, "total": 5.0},
        )
    ]  # fmt: skip
    result = {"status": EVIL, "reason": EVIL, "answer": EVIL, "error": EVIL}
    folder = record(tmp_path / "run", steps, task=EVIL, env=EVIL, policy=EVIL, model=EVIL, versions={EVIL: EVIL},
                    episode=EVIL, result=result)  # fmt: skip
    for file in (write_report(folder), write_index([folder], tmp_path / "index.html")):
        text = file.read_text()
        found = tags(text)
        assert sum(tag == "script" for tag, _ in found) == 2
        assert not [attributes for _, attributes in found if any(name.startswith("on") for name in attributes)]
        assert [
            attributes.get("src") for tag, attributes in found if tag == "img" and attributes.get("src") == "x"
        ] == []
        assert "\x1b" not in text
        assert "&lt;img src=x" in text


@pytest.mark.browser
async def test_a_report_works_in_a_browser_and_runs_no_foreign_script(tmp_path: Path, chromium: str) -> None:
    playwright = pytest.importorskip("playwright.async_api")
    folder = record(tmp_path / "run", [step(0, operation=EVIL, raw=EVIL), step(1), step(2)], task=EVIL)
    report = write_report(folder)
    flags = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium, args=[*flags, "--no-first-run"])
        page = await browser.new_page()
        faults: list[str] = []
        asked: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(report.as_uri())
        shown = "[...document.querySelectorAll('.step')].filter(s => !s.hidden).map(s => s.id).join()"
        seen = [await page.evaluate(shown)]
        for key in ("ArrowRight", "j", "ArrowRight", "k", "Home", "End"):
            await page.keyboard.press(key)
            seen.append(await page.evaluate(shown))
        loaded = await page.evaluate(
            "[...document.querySelectorAll('.step:not([hidden]) img')].every(i => i.complete && i.naturalWidth === 96)"
        )
        title = await page.title()
        await browser.close()
    assert seen == ["step-1", "step-2", "step-3", "step-3", "step-2", "step-1", "step-3"]
    assert loaded
    assert title != "owned"
    assert faults == []
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]


def test_an_unfinished_and_damaged_run_is_shown_with_what_is_wrong(tmp_path: Path) -> None:
    folder = record(tmp_path / "run", [step(0), step(1, frame="frames/gone.png")], result=None)
    with (folder / "steps.jsonl").open("a") as lines:
        lines.write('{"index": 2, "fra')
    (folder / "frames/0001.png").write_bytes(b"no picture")
    text = write_report(folder, tmp_path / "out/report.html").read_text()
    assert "unfinished" in text
    assert "half written" in text
    assert text.count('class="step"') == 2
    assert "This picture is not in the record." in text


def test_a_run_without_steps_still_has_a_report(tmp_path: Path) -> None:
    text = write_report(record(tmp_path / "run", [])).read_text()
    assert "No step was recorded." in text
    assert "Add milk" in text


def test_every_verdict_note_and_phase_is_shown(tmp_path: Path) -> None:
    steps = [
        step(
            0, verdict=["refused"], rule=["address"], notes=["navigate was refused: because"], attempts=["mumble"],
            target=[{"role": "button", "name": "Pay"}], raw="the raw text", thought="a thought",
            events=[{"kind": "blocked", "text": "to cdn.example"}],
        )
    ]  # fmt: skip
    text = write_report(record(tmp_path / "run", steps)).read_text()
    for part in ("refused", "address", "because", "mumble", "role button", "Pay", "the raw text", "a thought",
                 "cdn.example", "other", "verified by the environment", "navigate"):  # fmt: skip
        assert part in text, part
    assert re.search(r'class="settle" style="width:55\.56%"', text)


def test_what_was_executed_after_a_zoom_is_drawn_in_the_crop(tmp_path: Path) -> None:
    zoom = step(0, actions=[{"kind": "zoom"}], applied=[None], points=[{"frame": [0.5, 0.5, 1.0, 1.0]}], after=[None])
    click = {"kind": "click", "at": {"x": 0.75, "y": 0.6}}
    record(tmp_path / "run", [zoom, step(1, applied=[click], points=[{"frame": [0.5, 0.2], "input": [1, 1]}])])
    read = read_record(tmp_path / "run")
    drawn = render_step(read.steps[1], StepPictures(read, {}, {}), 90.0, read.steps[0])
    assert "figure" in drawn
    files = [tmp_path / "run/frames/0001.png"]
    previews = make_previews(files, budget_bytes=10**6)
    found = StepPictures(read, {file.resolve(): preview for file, preview in previews.items()}, {files[0].resolve(): 0})
    drawn = render_step(read.steps[1], found, 90.0, read.steps[0])
    assert '<circle class="dot" cx="50.000%" cy="20.000%"' in drawn


def test_a_path_is_drawn_from_its_first_point_to_its_last(tmp_path: Path) -> None:
    path = [{"frame": [0.1, 0.1], "input": [1, 1]}, {"frame": [0.9, 0.8], "input": [2, 2]}]
    text = write_report(record(tmp_path / "run", [step(0, actions=[{"kind": "drag"}], points=[path])])).read_text()
    assert '<line class="path" x1="10.000%" y1="10.000%" x2="90.000%" y2="80.000%"/>' in text


def test_changed_regions_cover_the_change_and_nothing_else(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", size=480)
    picture(tmp_path / "b.png", size=480, box=(100, 200, 140, 230))
    a, b = make_previews([tmp_path / "a.png", tmp_path / "b.png"], budget_bytes=10**6).values()
    assert changed_regions(a, a) == ()
    (region,) = changed_regions(a, b)
    assert 95 / 480 <= region.left <= 100 / 480
    assert 195 / 480 <= region.top <= 200 / 480
    assert 140 / 480 <= region.left + region.width <= 145 / 480
    assert 230 / 480 <= region.top + region.height <= 235 / 480


def test_five_hundred_steps_of_noise_stay_within_bounds(tmp_path: Path) -> None:
    steps = [
        step(index, raw="x" * 50_000, frame="frames/0.png", after=[f"frames/{index % 4}.png"]) for index in range(500)
    ]
    folder = record(tmp_path / "run", [])
    (folder / "steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in steps))
    noise = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8)
    for index in range(4):
        PillowImage.fromarray(np.roll(noise, index)).save(folder / f"frames/{index}.png", compress_level=1)
    begun = time.monotonic()
    report = write_report(folder)
    assert report.stat().st_size < 40 * 2**20
    assert time.monotonic() - begun < 60
    assert "more characters are in steps.jsonl" in report.read_text()


def test_pictures_shrink_until_they_fit_their_share(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8)
    files = []
    for index in range(6):
        files.append(tmp_path / f"{index}.png")
        PillowImage.fromarray(np.roll(noise, index)).save(files[-1], compress_level=1)
    previews = make_previews(files, budget_bytes=600_000)
    assert sum(len(preview.address) for preview in previews.values()) < 600_000 * 4 / 3 + 1000
    assert all((preview.width, preview.height) == (1280, 720) for preview in previews.values())


def test_an_index_leads_to_every_report(tmp_path: Path) -> None:
    first, second = record(tmp_path / "runs/a b", [step(0)], task="One"), record(tmp_path / "c", [step(0)], task="Two")
    index = write_index([first, second], tmp_path / "out/index.html")
    links = [attributes["href"] for tag, attributes in tags(index.read_text()) if tag == "a"]
    assert links == ["../runs/a%20b/report.html", "../c/report.html"]
    assert "2 runs, 2 with success" in index.read_text()


def test_a_report_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    folder = record(tmp_path / "run", [step(0)])
    with pytest.raises(RecordError, match=r"/proc/report\.html cannot be written"):
        write_report(folder, Path("/proc/report.html"))
    with pytest.raises(UsageError, match="is no record"):
        write_report(tmp_path)
