"""A run as one self-contained HTML file, made from its record alone, and an index page of several runs."""

import base64
import hashlib
import json
import os
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from urllib.parse import quote

from foveate.actions.errors import RecordError, UsageError
from foveate.agent.previews import Preview, make_previews
from foveate.agent.record import REPORT_FILE, Record, read_record, replace_file
from foveate.agent.record_step import RecordedStep
from foveate.agent.report_steps import BAR_PHASES, StepPictures, escape, phase_parts, render_step
from foveate.policies.base import Usage

_PICTURES_BYTES = 16 * 1024 * 1024
_SPACED_STEPS = 150
_INDEX_BYTES = 4 * 1024 * 1024
_TOKEN = re.compile(r"\{\{(\w+)\}\}")
_TONES = {"success": "good", "failure": "bad", "error": "bad", "truncated": "warn", "interrupted": "warn"}


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Write the report of a record, an unfinished or damaged one too.

    Args:
        folder: The record.
        out: The file to write; ``report.html`` in the folder by default.

    Returns:
        The file that was written.

    Raises:
        UsageError: If the folder is no record, or ``out`` is a part of it.
        RecordError: If the record cannot be read or the report not written.
    """
    record = read_record(folder)
    target = out if out is not None else folder / REPORT_FILE
    place, root = target.resolve(), folder.resolve()
    if place.exists() and place.is_relative_to(root) and place.suffix != Path(REPORT_FILE).suffix:
        raise UsageError(f"{target} is a part of the record {folder}: write the report to another file")
    return _write(target, _page(record))


def write_index(folders: Sequence[Path], out: Path) -> Path:
    """Write a page that shows several runs and leads to their reports.

    Args:
        folders: Records, in the order to show them; links are relative to ``out``.
        out: The file to write.

    Raises:
        UsageError: If a folder is no record.
        RecordError: If a record cannot be read or the page not written.
    """
    records = [read_record(folder) for folder in folders]
    last = {record.folder: file for record in records if (file := _last_picture(record)) is not None}
    previews = make_previews(list(last.values()), budget_bytes=_INDEX_BYTES)
    cards = [_card(record, previews.get(last.get(record.folder, Path())), out) for record in records]
    successes = sum(
        record.episode.result is not None and record.episode.result.status == "success" for record in records
    )
    body = (
        f'<div class="page"><div class="brand">foveate</div><h1>{_count(len(records), "run")}, {successes} with success'
        f'</h1><div class="runs">{"".join(cards)}</div></div>'
    )
    return _write(out, _fill(title=f"foveate: {_count(len(records), 'run')}", body=body, pictures=()))


def _write(file: Path, page: str) -> Path:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, page.encode("utf-8", "replace"))
    except OSError as exc:
        raise RecordError(
            f"the report {file} cannot be written: {exc.strerror or exc}: write it elsewhere with --out FILE"
        ) from exc
    return file


def _page(record: Record) -> str:
    files = _pictures_of(record)
    previews = make_previews(files, budget_bytes=_PICTURES_BYTES)
    numbers = {file: number for number, file in enumerate(previews)}
    longest = max((_total(step) for step in record.steps), default=0.0)
    articles, previous = [], None
    for step in record.steps:
        pictures = StepPictures(record, previews, numbers)
        articles.append(render_step(step, pictures, longest, previous))
        previous = step
    body = f'<div class="page">{_header(record)}{_timeline(record, longest)}{"".join(articles)}</div>'
    return _fill(
        title=f"{_name(record)} · foveate",
        body=body,
        pictures=tuple(preview.address for preview in previews.values()),
    )


def _pictures_of(record: Record) -> list[Path]:
    """Give every picture once, in the order of the steps."""
    found: dict[Path, None] = {}
    for step in record.steps:
        for path in (step.frame, *step.after):
            file = record.picture(path)
            if file is not None:
                found[file] = None
    return list(found)


def _last_picture(record: Record) -> Path | None:
    pictures = _pictures_of(record)
    return pictures[-1] if pictures else None


def _fill(*, title: str, body: str, pictures: Iterable[str]) -> str:
    """Fill the page's template in one pass, so that a text holding a placeholder is not filled again."""
    script = _asset("report.js")
    values = {
        "title": escape(title),
        "style": _asset("report.css"),
        "script": script,
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        "body": body,
        "pictures": json.dumps(list(pictures)).replace("<", "\\u003c"),
    }
    return _TOKEN.sub(lambda match: values[match[1]], _asset("report.html"))


def _asset(name: str) -> str:
    return resources.files("foveate.agent").joinpath(name).read_text(encoding="utf-8")


def _header(record: Record) -> str:
    episode, result = record.episode, record.episode.result
    parts = ['<div class="brand">foveate</div>', f"<h1>{escape(episode.task or record.folder.name)}</h1>"]
    parts.append(f'<div class="verdict">{_pills(record)}</div>')
    if result is not None and result.answer is not None:
        parts.append(f'<p class="answer">{escape(result.answer)}</p>')
    if result is not None and result.error is not None:
        parts.append(f'<p class="trouble">{escape(result.error)}</p>')
    parts.extend(f'<p class="trouble">{escape(note)}</p>' for note in record.notes)
    parts.append(_facts(record))
    return f"<header>{''.join(parts)}</header>"


def _pills(record: Record) -> str:
    result = record.episode.result
    if result is None:
        return _pill("unfinished", "warn")
    told = {"True": ("verified by the environment", "good"), "False": ("not done, says the environment", "bad")}
    verified = _pill(*told[str(result.verified)]) if result.verified is not None else ""
    reason = "" if result.reason in ("", "done", result.status) else _pill(f"ended: {result.reason}", "")
    return _pill(result.status, _TONES.get(result.status, "")) + verified + reason


def _pill(text: str, tone: str) -> str:
    return f'<span class="pill {tone}">{escape(text)}</span>'


def _beside(tokens: Mapping[str, int], *names: str) -> str:
    """Write some counts in brackets; visual and cached always, others where there are any."""
    some = [f"{tokens[name]:,} {name}" for name in names if tokens[name] or name in ("visual", "cached")]
    return f" ({', '.join(some)})" if some else ""


def _facts(record: Record) -> str:
    episode, steps = record.episode, record.steps
    tokens = {name: sum(step.tokens.get(name, 0) for step in steps) for name in Usage.COUNTS}
    facts: list[tuple[str, str]] = [("Steps", str(len(steps)))]
    if episode.result is not None and episode.result.seconds is not None:
        facts.append(("Time", f"{episode.result.seconds:.1f} s"))
    if steps:
        facts.append(("Median step", f"{statistics.median(_total(step) for step in steps):.0f} ms"))
    if any(tokens.values()):
        facts.append(("Tokens in", f"{tokens['prompt']:,}{_beside(tokens, 'visual', 'saved', 'cached')}"))
        facts.append(("Tokens out", f"{tokens['output']:,}{_beside(tokens, 'forced')}"))
    if episode.seed is not None:
        facts.append(("Seed", str(episode.seed)))
    named = (("Model", episode.model), ("Policy", episode.policy), ("Environment", episode.env))
    listed = "".join(f'<div><dt>{name}</dt><dd class="number">{escape(value)}</dd></div>' for name, value in facts)
    listed += "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in named if value)
    versions = "\n".join(f"{name} {value}" for name, value in episode.versions.items())
    if episode.started:
        versions = f"started {episode.started}\n{versions}"
    more = f"<details><summary>Versions</summary><pre>{escape(versions)}</pre></details>" if versions else ""
    return f'<dl class="facts">{listed}</dl>{more}'


def _timeline(record: Record, longest: float) -> str:
    if not record.steps:
        return '<p class="missing">No step was recorded.</p>'
    bars = "".join(_bar(step, longest) for step in record.steps)
    dense = " dense" if len(record.steps) > _SPACED_STEPS else ""
    legend = "".join(f'<li><span class="swatch {name}"></span>{name}</li>' for name in BAR_PHASES)
    return (
        f'<nav class="timeline" aria-label="Steps"><div class="bars{dense}">{bars}</div><div class="under">'
        f'<ul class="legend">{legend}</ul><span class="steer"><button id="previous" type="button">Previous</button> '
        '<button id="next" type="button">Next</button> <span id="place"></span> · <kbd>←</kbd> <kbd>→</kbd> step, '
        "<kbd>z</kbd> enlarge, <kbd>d</kbd> changes</span></div></nav>"
    )


def _bar(step: RecordedStep, longest: float) -> str:
    parts = "".join(
        f'<i class="{name}" style="height:{100 * value / longest:.2f}%"></i>' for name, value in phase_parts(step)
    )
    odd = any(verdict in ("refused", "declined") for verdict in step.verdict) or any(step.error) or not step.actions
    title = f"Step {step.index + 1}: {step.operation or ', '.join(_kinds(step))} ({_total(step):.0f} ms)"
    mark = " marked" if odd else ""
    return f'<a class="bar{mark}" href="#{step.index + 1}" title="{escape(title[:300])}">{parts}</a>'


def _kinds(step: RecordedStep) -> list[str]:
    return [str(action.get("kind", "?")) for action in step.actions]


def _total(step: RecordedStep) -> float:
    return max(step.timing_ms.get("total") or 0.0, sum(value for _, value in phase_parts(step)))


def _card(record: Record, preview: Preview | None, out: Path) -> str:
    result = record.episode.result
    report = os.path.relpath(record.folder / REPORT_FILE, out.parent)
    picture = f'<img src="{preview.address}" alt="">' if preview else '<span class="missing">No picture</span>'
    seconds = f", {result.seconds:.1f} s" if result is not None and result.seconds is not None else ""
    told = f"{_count(len(record.steps), 'step')}{seconds}. {record.episode.model or record.episode.policy}"
    return (
        f'<a class="run" href="{escape(quote(report))}">{picture}<div><h2>{escape(_name(record))}</h2>'
        f'<span class="verdict">{_pills(record)}</span><p>{escape(told)}</p></div></a>'
    )


def _name(record: Record) -> str:
    return record.episode.task or record.folder.name


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
