"""What the doctor asks a model: whether its clicks would land, how fast it answers, whether its router is at work.

Screens are drawn here, each with one button whose place is known. An answer is read under every convention; the one
under which most answers hit is the one that the model writes. Where that is not its profile's, every click would miss,
and nothing else would say so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from foveate.actions.errors import OutOfFrame, ParseError
from foveate.actions.geometry import Convention, Frame, points_of
from foveate.actions.parse import parse_answer
from foveate.actions.schema import POINTER_KINDS
from foveate.agent.doctor import Check
from foveate.agent.live import shown
from foveate.envs.base import Image, ScreenObservation
from foveate.policies.base import Decision, Look, Usage
from foveate.policies.internvl import InternVLPolicy

PLACES: Final = ((0.24, 0.22), (0.72, 0.34), (0.3, 0.62), (0.74, 0.78), (0.52, 0.48), (0.28, 0.86))
"""Where the button is, one a screen, as fractions."""

_SIZE = (1280, 720)
_LABEL = "Save"
_LARGE = (1792, 1344)
"""Pixels of a picture that is cut into as many tiles as a request may have."""

_ROUNDS = 3
_FASTER = 0.85
_TASK = "Click Save"
_NEAR = 0.02


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model said of the screens.

    Attributes:
        raw: Its texts, one a screen.
        usage: What each cost.
        frame: The screens'.
    """

    raw: tuple[str, ...]
    usage: tuple[Usage, ...]
    frame: Frame


async def ask_model(policy: InternVLPolicy, loaded_s: float) -> tuple[Check, ...]:
    """Ask a model about a few screens.

    Args:
        policy: Open.
        loaded_s: How long that took, for the report.

    Raises:
        ModelUnavailable: If its engine fails.
    """
    asked = await _ask(policy)
    checks = [_speed(policy, asked, loaded_s)]
    if checks[0].passed:
        checks.append(_coordinates(policy, asked))
    abilities = frozenset() if policy.engine is None else policy.engine.capabilities
    if "visual_tokens" in abilities:
        checks.append(await _flash(policy))
    elif "flash" in abilities or getattr(policy.engine, "served", "").endswith("-Flash"):
        checks.append(await _flash_by_time(policy))
    return tuple(checks)


def screen(width: int, height: int, place: tuple[float, float]) -> Image:
    """Draw a page with a heading and one button in the middle of a place: uint8 RGB, shape (height, width, 3)."""
    picture = Pillow.new("RGB", (width, height), (250, 250, 250))
    draw = ImageDraw.Draw(picture)
    size = max(14, round(height / 20))
    font = ImageFont.load_default(size)
    draw.text((width * 0.06, height * 0.05), "Document", font=font, fill=(40, 40, 40))
    left, top, right, bottom = _box(width, height, place)
    draw.rounded_rectangle((left, top, right, bottom), radius=size / 3, fill=(29, 88, 196))
    draw.text((place[0] * width, place[1] * height), _LABEL, font=font, fill=(255, 255, 255), anchor="mm")
    return np.array(picture, dtype=np.uint8)


def _box(width: int, height: int, place: tuple[float, float]) -> tuple[float, float, float, float]:
    size = max(14, round(height / 20))
    x, y = place[0] * width, place[1] * height
    return x - 2.2 * size, y - size, x + 2.2 * size, y + size


async def _ask(policy: InternVLPolicy) -> Asked:
    wanted = policy.preferred_viewport
    width, height = _SIZE
    if wanted is not None:
        width, height = round(wanted.width * wanted.scale), round(wanted.height * wanted.scale)
    frame = Frame(width, height)
    raw, usage = [], []
    for place in PLACES:
        await policy.reset(_TASK, action_kinds=POINTER_KINDS)
        seen = ScreenObservation(image=screen(width, height, place), frame=frame, captured_at_s=0.0)
        decision = await _said(policy, seen)
        raw.append(decision.raw)
        usage.append(decision.usage)
    return Asked(tuple(raw), tuple(usage), frame)


async def _said(policy: InternVLPolicy, seen: ScreenObservation, look: Look | None = None) -> Decision:
    """Ask; any text is an answer here, an action or not."""
    try:
        return await policy.act(seen, (), look)
    except (ParseError, OutOfFrame) as error:
        return error.decision if isinstance(error.decision, Decision) else Decision()


def _speed(policy: InternVLPolicy, asked: Asked, loaded_s: float) -> Check:
    if not any(text.strip() for text in asked.raw):
        return Check("model", False, f"{policy.model} said nothing", "take another checkpoint: --model tiny")
    times = [one.timing_ms for one in asked.usage]
    first = sorted(sum(one.get(part, 0.0) for part in ("tile", "encode", "prefill")) for one in times)[len(times) // 2]
    tokens = max(sum(one.output for one in asked.usage), 1)
    each = sum(one.get("decode", 0.0) for one in times) / tokens
    speed = f"first token after {first:.0f} ms, then {each:.1f} ms each" if first else "its engine tells no times"
    return Check("model", True, f"{policy.model} loaded in {loaded_s:.1f} s; {speed}: {shown(asked.raw[0], 50)}")


def hits(asked: Asked, conventions: Mapping[str, Convention]) -> dict[str, int]:
    """Count under each convention how many answers are clicks that would land on the button."""
    return {name: sum(map(lambda text, place: _lands(text, place, asked.frame, convention), asked.raw, PLACES))
            for name, convention in conventions.items()}  # fmt: skip


def _lands(text: str, place: tuple[float, float], frame: Frame, convention: Convention) -> bool:
    try:
        actions = parse_answer(text, frame=frame, convention=convention).actions
    except (ParseError, OutOfFrame):
        return False
    points = points_of(actions[0])
    if not points:
        return False
    left, top, right, bottom = _box(frame.width, frame.height, place)
    x, y = points[0].x * frame.width, points[0].y * frame.height
    slack = _NEAR * frame.height
    return left - slack <= x < right + slack and top - slack <= y < bottom + slack


def _coordinates(policy: InternVLPolicy, asked: Asked) -> Check:
    """Compare how the model writes places with what its profile says."""
    own = policy.profile.convention
    others = {one.name: one for one in (Convention.UNIT, Convention.PER_MILLE, Convention.PIXEL)}
    found = hits(asked, {own.name: own, **{name: one for name, one in others.items() if name != own.name}})
    best = max(found, key=lambda name: found[name])
    count, total = found[best], len(PLACES)
    if found[own.name] * 2 > total:
        return Check(
            "coordinates", True, f"{own.name}, as its profile says: {found[own.name]} of {total} clicks would land"
        )
    if count * 2 > total:
        said = f"it writes {best} and its profile says {own.name}: {found[own.name]} of {total} clicks would land"
        return Check(
            "coordinates", False, said, f"give it a profile whose convention is {best}: InternVLPolicy(profile=...)"
        )
    said = f"its answers fit no convention: {found[own.name]} of {total} clicks would land as its profile has it"
    remedy = "it may not be made for pointing, or its prompt or checkpoint may be wrong: compare with --model tiny"
    return Check("coordinates", False, said, remedy)


async def _flash(policy: InternVLPolicy) -> Check:
    """See whether a picture with little on it takes fewer visual tokens than its tiles have."""
    await policy.reset(_TASK, action_kinds=POINTER_KINDS)
    seen = _large(screen(*_LARGE, PLACES[0]))
    whole, fewer = [(await _said(policy, seen, Look(visual_tokens=budget))).usage.visual for budget in (10**6, None)]
    if not whole:
        return Check(
            "Flash", False, "its engine tells no visual tokens", "ask the server's log whether its router is on"
        )
    wanted = policy.flash is not False
    if (fewer < whole) == wanted:
        state = "compresses" if wanted else "is off"
        return Check("Flash", True, f"the router {state}: {fewer} visual tokens where whole tiles have {whole}")
    if wanted:
        said = f"no tile was compressed ({fewer} visual tokens): {policy.model} may have judged so"
        return Check(
            "Flash", False, said, "try a budget of visual tokens (Look), or another checkpoint ending in -Flash"
        )
    return Check("Flash", False, f"tiles are compressed ({fewer} of {whole} visual tokens)", "give --flash off")


async def _flash_by_time(policy: InternVLPolicy) -> Check:
    """Tell by the time to the first token, where an engine does not tell visual tokens, whether a router is at work.

    A picture with little on it is compared with one of noise, which no router takes for simple; both have the same
    tiles.
    """
    await policy.reset(_TASK, action_kinds=POINTER_KINDS)
    noise = np.random.default_rng(0).integers(0, 256, (_LARGE[1], _LARGE[0], 3), dtype=np.uint8)
    pictures = (_large(screen(*_LARGE, PLACES[0])), _large(noise))
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(_ROUNDS):
        for seen, found in zip(pictures, times, strict=True):
            timing = (await _said(policy, seen)).usage.timing_ms
            found.append(timing.get("encode", 0.0) + timing.get("prefill", 0.0))
    simple, full = (sorted(found)[_ROUNDS // 2] for found in times)
    said = f"the first token takes {simple:.0f} ms for a simple picture, {full:.0f} ms for one of noise"
    seen_at_work = simple < _FASTER * full
    if seen_at_work == (policy.flash is not False):
        return Check("Flash", True, f"the router {'compresses' if seen_at_work else 'is off'}: {said}")
    if seen_at_work:
        return Check("Flash", False, f"{said}: a router seems to compress", "give --flash off")
    remedy = "its engine tells no more: look for flash_mode in its log, or take the torch engine, which counts tokens"
    return Check("Flash", False, f"{said}: that its router is on cannot be seen", remedy)


def _large(image: Image) -> ScreenObservation:
    height, width = image.shape[:2]
    return ScreenObservation(image=image, frame=Frame(width, height), captured_at_s=0.0)
