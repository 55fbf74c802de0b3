"""One step of a report: its pictures with what was pointed at, what was said and done, and where the time went."""

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from foveate.actions.schema import CLASSES
from foveate.agent.previews import Preview, changed_regions
from foveate.agent.record import Record
from foveate.agent.record_step import PHASES, Place, RecordedStep

BAR_PHASES = (*PHASES[:-1], "other")
"""What a latency bar is made of; ``other`` is what the phases leave of the total."""

_MOST_TEXT = 8_000


@dataclass(frozen=True, slots=True)
class StepPictures:
    """The pictures that a step may show.

    Attributes:
        record: Finds a picture's file.
        previews: By file.
        numbers: Each file's place in the page's list of pictures.
    """

    record: Record
    previews: Mapping[Path, Preview]
    numbers: Mapping[Path, int]

    def find(self, path: str | None) -> tuple[int, Preview] | None:
        """Give a picture's number and preview; None where there is none."""
        file = self.record.picture(path)
        if file is None or file not in self.previews:
            return None
        return self.numbers[file], self.previews[file]


def escape(text: str) -> str:
    """Write any text as HTML text or attribute value, without control characters."""
    clean = "".join(c for c in text if c in "\n\t" or (ord(c) >= 32 and not 0x7F <= ord(c) < 0xA0))
    return html.escape(clean, quote=True)


def phase_parts(step: RecordedStep) -> list[tuple[str, float]]:
    """Give the milliseconds of each phase that took any, in order, ``other`` last."""
    spent = [(name, max(0.0, step.timing_ms.get(name) or 0.0)) for name in PHASES[:-1]]
    rest = (step.timing_ms.get("total") or 0.0) - sum(value for _, value in spent)
    return [(name, value) for name, value in (*spent, ("other", rest)) if value >= 0.05]


def render_step(step: RecordedStep, pictures: StepPictures, longest: float, previous: RecordedStep | None) -> str:
    """Write a step as an ``article``.

    Args:
        step: The step.
        pictures: Finds its pictures.
        longest: Total of the longest step in milliseconds, the full width of a latency bar.
        previous: The step before it, which may have zoomed.
    """
    before = pictures.find(step.frame)
    marks = _marks(step, _zoomed(previous))
    return (
        f'<article class="step" id="step-{step.index + 1}" hidden>'
        f'<div class="shown"><div class="caption"><b>Before</b>what the policy was given</div>'
        f"{_figure(before, marks, 'Before the step')}{_key(step)}</div>"
        f'<div class="shown">{_after(step, pictures, before)}</div>'
        f'<div class="told">{_told(step, longest)}</div></article>'
    )


# Pictures -----------------------------------------------------------------------------------------------------------


def _figure(found: tuple[int, Preview] | None, marks: str, alt: str, attributes: str = "") -> str:
    if found is None:
        return f'<figure class="missing"{attributes}>This picture is not in the record.</figure>'
    number, preview = found
    return (
        f'<figure{attributes}><img data-picture="{number}" alt="{alt}" width="{preview.width}" '
        f'height="{preview.height}"><svg aria-hidden="true">{marks}</svg></figure>'
    )


def _after(step: RecordedStep, pictures: StepPictures, before: tuple[int, Preview] | None) -> str:
    paths = [(number, path) for number, path in enumerate(step.after, start=1) if path is not None]
    changed = _changed(step.changed)
    if not paths:
        return f'<div class="caption"><b>After</b>{changed}</div><figure class="missing">No picture after it.</figure>'
    tabs, figures = [], []
    last = paths[-1][0]
    for number, path in paths:
        found = pictures.find(path)
        differs = _differences(before, found)
        hidden = "" if number == last else " hidden"
        figures.append(_figure(found, differs, f"After action {number}", f' data-after="{number}"{hidden}'))
        pressed = "true" if number == last else "false"
        tabs.append(f'<button type="button" data-after="{number}" aria-pressed="{pressed}">{number}</button>')
    choice = f'<span class="tabs" title="After which action">{"".join(tabs)}</span>' if len(paths) > 1 else ""
    key = '<p class="key"><span><i class="swatch" style="background:var(--changed)"></i>changed</span></p>'
    return f'<div class="caption"><b>After</b>{changed}{choice}</div>{"".join(figures)}{key}'


def _changed(fraction: float | None) -> str:
    if fraction is None:
        return "nothing was done on the world"
    if fraction == 0:
        return "nothing changed"
    return f"{'less than 0.1' if fraction < 0.001 else f'{100 * fraction:.1f}'} % of the pixels changed"


def _differences(before: tuple[int, Preview] | None, after: tuple[int, Preview] | None) -> str:
    if before is None or after is None or before[0] == after[0]:
        return ""
    regions = changed_regions(before[1], after[1])
    if len(regions) == 1 and regions[0].width == regions[0].height == 1.0:
        return ""  # the whole picture: a wash over all of it would only hide it
    return "".join(
        f'<rect class="differs" x="{_percent(r.left)}" y="{_percent(r.top)}" width="{_percent(r.width)}" '
        f'height="{_percent(r.height)}"/>'
        for r in regions
    )


def _key(step: RecordedStep) -> str:
    if not any(step.points):
        return ""
    ring = '<svg><circle class="ring" cx="8" cy="8" r="6"/></svg>predicted'
    dot = '<svg><circle class="dot" cx="8" cy="8" r="4"/></svg>executed'
    return f'<p class="key"><span>{ring}</span><span>{dot}</span></p>'


def _marks(step: RecordedStep, zoomed: tuple[float, ...] | None) -> str:
    """Draw every place of a step.

    Args:
        step: The step.
        zoomed: The region (left, top, right, bottom) of the environment's picture that this step's picture is; what
            was executed is a fraction of the former.
    """
    drawn = []
    for number, places in enumerate(step.points):
        label = str(number + 1) if len(step.points) > 1 else ""
        applied = step.applied[number] if number < len(step.applied) else None
        done = [_into(point, zoomed) for point in _applied_points(applied)]
        if isinstance(places, tuple):
            drawn.append(_path([place.frame for place in places if len(place.frame) == 2], label))
        elif isinstance(places, Place):
            drawn.append(_place(places.frame, label))
        drawn.extend(_dot(point) for point in done[-1:] if all(0 <= value <= 1 for value in point))
    return "".join(drawn)


def _place(place: tuple[float, ...], label: str) -> str:
    if len(place) == 4:
        left, top, right, bottom = place
        size = f'width="{_percent(right - left)}" height="{_percent(bottom - top)}"'
        return f'<rect class="region" x="{_percent(left)}" y="{_percent(top)}" {size}/>{_label(left, top, label)}'
    if len(place) != 2:
        return ""
    x, y = (_percent(value) for value in place)
    return (
        f'<circle class="halo" cx="{x}" cy="{y}" r="13"/><circle class="ring" cx="{x}" cy="{y}" r="13"/>'
        f"{_label(*place, label)}"
    )


def _path(points: list[tuple[float, ...]], label: str) -> str:
    lines = [
        f'<line class="{style}" x1="{_percent(a[0])}" y1="{_percent(a[1])}" '
        f'x2="{_percent(b[0])}" y2="{_percent(b[1])}"/>'
        for style in ("path-halo", "path")
        for a, b in pairwise(points)
    ]
    ends = _place(points[0], label) if points else ""
    return f"{''.join(lines)}{ends}{_dot(points[-1]) if len(points) > 1 else ''}"


def _dot(place: tuple[float, ...]) -> str:
    return f'<circle class="dot" cx="{_percent(place[0])}" cy="{_percent(place[1])}" r="5"/>'


def _label(x: float, y: float, text: str) -> str:
    place = f'x="{_percent(x)}" y="{_percent(y)}"'
    return f'<svg {place} overflow="visible"><text class="label" x="17" y="-9">{text}</text></svg>'


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.3f}%"


def _applied_points(applied: dict[str, Any] | None) -> list[tuple[float, float]]:
    places = [] if applied is None else [applied.get("at"), *(applied.get("path") or ())]
    return [
        (float(place["x"]), float(place["y"]))
        for place in places
        if isinstance(place, dict) and all(isinstance(place.get(axis), int | float) for axis in ("x", "y"))
    ]


def _zoomed(step: RecordedStep | None) -> tuple[float, ...] | None:
    """Give the region that a step's last zoom cut out, as fractions of the environment's picture."""
    if step is None or not step.actions or step.actions[-1].get("kind") != "zoom":
        return None
    place = step.points[-1] if step.points else None
    done = step.verdict[-1:] and step.verdict[-1] in ("allow", "confirmed") and not step.error[-1]
    return place.frame if done and isinstance(place, Place) and len(place.frame) == 4 else None


def _into(point: tuple[float, float], region: tuple[float, ...] | None) -> tuple[float, float]:
    if region is None or region[2] <= region[0] or region[3] <= region[1]:
        return point
    return (point[0] - region[0]) / (region[2] - region[0]), (point[1] - region[1]) / (region[3] - region[1])


# Words --------------------------------------------------------------------------------------------------------------


def _told(step: RecordedStep, longest: float) -> str:
    heading = step.operation or ", ".join(str(action.get("kind", "?")) for action in step.actions) or "No action"
    parts = [f"<h2><small>Step {step.index + 1}{_ending(step)}</small>{escape(_cut(heading))}</h2>"]
    if step.thought:
        parts.append(f'<h3>Thought</h3><p class="thought">{escape(_cut(step.thought))}</p>')
    if step.actions:
        actions = "".join(_action(step, number) for number in range(len(step.actions)))
        parts.append(f'<h3>Actions</h3><ol class="actions">{actions}</ol>')
    said = [f'<li class="note">{escape(_cut(note))}</li>' for note in step.notes]
    said += [f"<li><b>{escape(event.kind)}</b> {escape(_cut(event.text))}</li>" for event in step.events]
    if said:
        parts.append(f'<h3>Notes and events</h3><ul class="said">{"".join(said)}</ul>')
    parts.append(_latency(step, longest))
    if step.raw:
        opened = "" if step.actions else " open"
        parts.append(f"<details{opened}><summary>Model's text</summary><pre>{escape(_cut(step.raw))}</pre></details>")
    for number, text in enumerate(step.attempts, start=1):
        parts.append(f"<details><summary>Answer not taken {number}</summary><pre>{escape(_cut(text))}</pre></details>")
    return "".join(parts)


def _ending(step: RecordedStep) -> str:
    return " · terminated" if step.terminated else " · truncated" if step.truncated else ""


def _action(step: RecordedStep, number: int) -> str:
    action = step.actions[number]
    verdict = step.verdict[number] if number < len(step.verdict) else ""
    rule = step.rule[number] if number < len(step.rule) else ""
    error = step.error[number] if number < len(step.error) else None
    target = step.target[number] if number < len(step.target) else None
    places = step.points[number] if number < len(step.points) else None
    style = verdict if verdict in ("allow", "confirmed", "declined", "refused", "skipped") else ""
    parts = [f'<code>{escape(_cut(_brief(action)))}</code> <span class="chip {style}">{escape(verdict)}</span>']
    if rule and rule != "default":
        parts.append(f' <span class="chip">{escape(rule)}</span>')
    if isinstance(places, tuple) and places:
        parts.append(_where(places[0]) + _where(places[-1]))
    elif isinstance(places, Place):
        parts.append(_where(places))
    if target:
        words = ", ".join(f"{name} {value}" for name, value in target.items())
        parts.append(f'<span class="where">Target: {escape(_cut(words))}</span>')
    if error:
        parts.append(f'<span class="where"><span class="chip failed">failed</span> {escape(_cut(error))}</span>')
    return f"<li>{''.join(parts)}</li>"


def _brief(action: Mapping[str, Any]) -> str:
    """Write an action without its places, which follow it, and without what is as by default."""
    fields = CLASSES[kind].model_fields if (kind := str(action.get("kind"))) in CLASSES else {}
    named = {
        key: value
        for key, value in action.items()
        if key not in ("kind", "at", "path", "region")
        and value not in (None, [])
        and (key not in fields or value != fields[key].default)
    }
    told = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in named.items())
    return f"{action.get('kind', '?')}({told})" if told else str(action.get("kind", "?"))


def _where(place: Place) -> str:
    written = f"written {_numbers(place.model)}, " if place.model else ""
    return f'<span class="where number">{written}fraction {_numbers(place.frame)}, sent {_numbers(place.input)}</span>'


def _numbers(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:.4g}" if abs(value) < 1 else f"{value:.5g}" for value in values) + ")"


def _latency(step: RecordedStep, longest: float) -> str:
    parts = phase_parts(step)
    total = max(step.timing_ms.get("total") or 0.0, sum(value for _, value in parts))
    if not parts or longest <= 0:
        return ""
    bar = "".join(
        f'<i class="{name}" style="width:{100 * value / longest:.2f}%" title="{name} {value:.1f} ms"></i>'
        for name, value in parts
    )
    spent = "".join(
        f'<li><i class="swatch {name}"></i>{name} <span class="number">{value:.1f}</span></li>' for name, value in parts
    )
    tokens = ", ".join(f"{value:,} {name}" for name, value in step.tokens.items() if value)
    tokens = f" · tokens: {escape(tokens)}" if tokens else ""
    return f'<h3>{total:.0f} ms{tokens}</h3><div class="latency">{bar}</div><ul class="spent">{spent}</ul>'


def _cut(text: str) -> str:
    if len(text) <= _MOST_TEXT:
        return text
    return f"{text[:_MOST_TEXT]} … ({len(text) - _MOST_TEXT:,} more characters are in steps.jsonl)"
