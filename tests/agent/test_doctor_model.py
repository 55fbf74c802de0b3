"""The doctor says by a few screens whether a model's clicks would land, and whether its router is at work."""

from collections.abc import Sequence

import numpy as np
import pytest

from foveate.actions.geometry import Frame
from foveate.agent.doctor import Check
from foveate.agent.doctor_model import PLACES, ask_model, screen
from foveate.policies.base import Usage
from foveate.policies.engines.base import Delta, Request
from foveate.policies.engines.scripted import ScriptedEngine
from foveate.policies.internvl import InternVLPolicy
from foveate.policies.internvl.profile import ModelProfile
from foveate.policies.internvl.profiles import INTERNVL3_5, TINY

FRAME = Frame(1280, 720)


def answers(form: str, sizes: tuple[float, float], *, off: int = 0) -> list[str]:
    """Write what a model would say whose numbers go up to ``sizes``; the first ``off`` ones miss."""
    places = [(x, y) if at >= off else (1 - x, 1 - y) for at, (x, y) in enumerate(PLACES)]
    return [form.format(x * sizes[0], y * sizes[1]) for x, y in places]


async def checked(
    said: Sequence[str], profile: ModelProfile = INTERNVL3_5, *, engine: ScriptedEngine | None = None, **more: bool
) -> dict[str, Check]:
    async with (
        engine or ScriptedEngine(said) as opened,
        InternVLPolicy("some/model", engine=opened, profile=profile, **more) as policy,
    ):
        return {check.name: check for check in await ask_model(policy, 1.5)}


@pytest.mark.parametrize(
    ("form", "sizes", "name"),
    [
        ("<action>\nclick(x={:.4f}, y={:.4f})\n</action>", (1.0, 1.0), "unit"),
        ("<action>\nclick(x={:.0f}, y={:.0f})\n</action>", (1000.0, 1000.0), "per_mille"),
        ("<action>\nclick(x={:.0f}, y={:.0f})\n</action>", (1280.0, 720.0), "pixel"),
    ],
)
async def test_the_convention_that_a_model_writes_is_told_from_its_profiles(
    form: str, sizes: tuple[float, float], name: str
) -> None:
    found = await checked(answers(form, sizes))
    assert found["model"].passed and "some/model loaded in 1.5 s" in found["model"].found
    check = found["coordinates"]
    assert check.passed == (name == "unit")
    if name == "unit":
        assert check.found == "unit, as its profile says: 6 of 6 clicks would land"
    else:
        assert check.found == f"it writes {name} and its profile says unit: 0 of 6 clicks would land"
        assert f"convention is {name}" in check.remedy


async def test_a_model_that_misses_now_and_then_is_counted_and_one_that_guesses_is_named() -> None:
    form = "<action>\nclick(x={:.4f}, y={:.4f})\n</action>"
    some = (await checked(answers(form, (1.0, 1.0), off=2)))["coordinates"]
    assert some.passed and "4 of 6 clicks would land" in some.found
    few = (await checked(answers(form, (1.0, 1.0), off=3)))["coordinates"]
    assert not few.passed and "fit no convention: 3 of 6" in few.found and few.remedy
    none = (await checked(["I do not know"] * 6))["coordinates"]
    assert not none.passed and "0 of 6" in none.found


async def test_a_model_that_says_nothing_is_named() -> None:
    found = await checked([""] * 6)
    assert set(found) == {"model"} and not found["model"].passed and "said nothing" in found["model"].found


class Compressing(ScriptedEngine):
    """Says how many visual tokens it took."""

    capabilities = frozenset({"flash", "visual_tokens"})

    def __init__(self, whole: int, fewer: int) -> None:
        super().__init__(answers("<action>\nclick(x={:.4f}, y={:.4f})\n</action>", (1.0, 1.0)))
        self.whole, self.fewer = whole, fewer

    async def generate(self, request: Request):  # type: ignore[no-untyped-def]
        self.requests.append(request)
        text = self.answers[(len(self.requests) - 1) % len(self.answers)]
        yield Delta(text=text)
        visual = self.whole if request.visual_tokens is not None else self.fewer
        timing = {"tile": 1.0, "encode": 20.0, "prefill": 9.0, "decode": 30.0}
        yield Delta(finish="stop", usage=Usage(visual=visual, output=10, timing_ms=timing))


@pytest.mark.parametrize(
    ("fewer", "flash", "passed", "says"),
    [
        (832, None, True, "the router compresses: 832 visual tokens where whole tiles have 3328"),
        (3328, None, False, "no tile was compressed"),
        (3328, False, True, "the router is off"),
        (832, False, False, "tiles are compressed"),
    ],
)
async def test_a_router_is_seen_at_work(fewer: int, flash: bool | None, passed: bool, says: str) -> None:
    found = await checked([], engine=Compressing(3328, fewer), **({} if flash is None else {"flash": flash}))
    assert (found["Flash"].passed, says in found["Flash"].found) == (passed, True), found["Flash"]
    assert "first token after 30 ms, then 3.0 ms each" in found["model"].found
    assert bool(found["Flash"].remedy) != passed


class Timed(Compressing):
    """Says how long it took to the first token, less for a picture with little on it, and no visual tokens."""

    capabilities = frozenset({"flash"})

    async def generate(self, request: Request):  # type: ignore[no-untyped-def]
        self.requests.append(request)
        (picture,) = request.pictures
        simple = float(np.std(np.asarray(picture.image))) < 60
        yield Delta(text=self.answers[(len(self.requests) - 1) % len(self.answers)])
        yield Delta(finish="stop", usage=Usage(output=10, timing_ms={"prefill": float(self.fewer if simple else 100)}))


@pytest.mark.parametrize(
    ("simple_ms", "flash", "passed", "says"),
    [
        (60, None, True, "the router compresses: the first token takes 60 ms for a simple picture, 100 ms for one of"),
        (97, None, False, "that its router is on cannot be seen"),
        (97, False, True, "the router is off"),
        (60, False, False, "a router seems to compress"),
    ],
)
async def test_an_engine_that_tells_no_visual_tokens_is_judged_by_its_times(
    simple_ms: int, flash: bool | None, passed: bool, says: str
) -> None:
    found = await checked([], engine=Timed(3328, simple_ms), **({} if flash is None else {"flash": flash}))
    assert (found["Flash"].passed, says in found["Flash"].found) == (passed, True), found["Flash"]
    assert bool(found["Flash"].remedy) != passed


async def test_a_server_of_a_flash_checkpoint_is_judged_so_too() -> None:
    engine = Timed(3328, 97)
    engine.capabilities, engine.served = frozenset(), "OpenGVLab/InternVL3_5-8B-Flash"  # type: ignore[attr-defined]
    assert not (await checked([], engine=engine))["Flash"].passed
    engine.served = "OpenGVLab/InternVL3_5-8B"  # type: ignore[attr-defined]
    assert "Flash" not in await checked([], engine=engine)


def test_the_screens_have_their_button_where_they_say() -> None:
    for width, height in ((1280, 720), (448, 448)):
        for x, y in PLACES:
            picture = screen(width, height, (x, y))
            assert picture.shape == (height, width, 3)
            size = max(14, round(height / 20))
            around = picture[round(y * height - size) + 2, round(x * width)]
            assert tuple(around) == (29, 88, 196)
            assert tuple(picture[-1, -1]) == (250, 250, 250)


@pytest.mark.torch
async def test_the_bundled_models_clicks_would_land() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    async with InternVLPolicy("tiny", device="cpu") as policy:
        assert policy.profile is TINY and policy.engine is not None
        found = {check.name: check for check in await ask_model(policy, 0.1)}
    assert found["coordinates"].passed, found["coordinates"]
    assert "Flash" not in found
