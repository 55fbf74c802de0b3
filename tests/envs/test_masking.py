"""Masking: regions and secret fields are black before anything sees them; secrets go only where they belong."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from foveate.actions.errors import UnsupportedAction
from foveate.actions.geometry import Frame, PixelBox
from foveate.actions.limits import Limits, Secret
from foveate.envs.capture import decode, screenshot
from foveate.envs.chromium import Chromium, LaunchOptions
from foveate.envs.elements import Elements
from foveate.envs.masking import SecretFields, blank, fill

LIMITS = Limits(
    allow=("*",), secrets={"pin": Secret("s3c ret/ü", ("127.0.0.1",)), "other": Secret("x", ("b.example",))}
)


def test_masked_regions_are_black_in_a_copy_and_an_untouched_picture_stays_itself() -> None:
    image = np.full((20, 30, 3), 9, np.uint8)
    blanked = blank(image, [PixelBox(-5, -5, 3, 2), PixelBox(28, 18, 99, 99)])
    assert not blanked[:2, :3].any() and not blanked[18:, 28:].any()
    assert blanked[2:18].all() and image.all() and not blanked.flags.writeable
    assert blank(image, [PixelBox(30, 0, 40, 9), PixelBox(4, 4, 4, 9)]) is image


def test_a_secret_is_filled_in_only_for_an_origin_that_it_belongs_to_and_never_told() -> None:
    assert (
        fill(LIMITS, "a {{pin}} {{ pin }} {{unknown}}", "http://127.0.0.1:8000") == "a s3c ret/ü s3c ret/ü {{unknown}}"
    )
    for origin in ("https://evil.example", "null", None, "https://127.0.0.1.evil.example"):
        with pytest.raises(UnsupportedAction, match="'pin' does not belong") as error:
            fill(LIMITS, "{{pin}}", origin)
        assert "s3c" not in str(error.value)


def test_a_secret_in_an_address_is_replaced_however_it_is_written() -> None:
    for written in ("s3c ret/ü", "s3c%20ret%2F%C3%BC", "s3c%20ret/%C3%BC", "s3c+ret%2F%C3%BC"):
        assert LIMITS.mask_secrets(f"http://a/?q={written}&r") == "http://a/?q={{pin}}&r"


def test_a_secret_is_replaced_in_an_address_of_which_a_browser_escaped_only_some_characters() -> None:
    limits = Limits(secrets={"pin": Secret("a&<b> ü%", ("127.0.0.1",)), "short": Secret("a&", ("127.0.0.1",))})
    for written in ("a&%3Cb%3E%20%C3%BC%", "a&%3cb%3e+%c3%bc%25", "a%26<b> ü%", "a&<b>%20%C3%BC%"):
        assert limits.mask_secrets(f"http://a/?q={written}z&a&") == "http://a/?q={{pin}}z&{{short}}"


@pytest.fixture
def scale() -> float:
    """Where a test does not say: device scales are told apart by one test for all."""
    return 2.0


@pytest.fixture
async def page(chromium: str, scale: float) -> AsyncIterator[Any]:
    options = LaunchOptions(path=chromium, scale=scale, flags=("--site-per-process",))
    browser = await Chromium.launch(options)
    context = await browser.browser.new_context(viewport={"width": 400, "height": 300}, device_scale_factor=scale)
    yield await context.new_page()
    await browser.close()


class Seen:
    def __init__(self, page: Any, session: Any) -> None:
        self.page, self.session = page, session
        self.fields = SecretFields(LIMITS, Elements(page, session))

    async def type(self, text: str) -> None:
        await self.page.keyboard.type(await self.fields.text_for(text))

    async def picture(self) -> tuple[Any, tuple[PixelBox, ...]]:
        encoded = await screenshot(self.session, 10.0)
        image = decode(base64.b64decode(encoded))
        frame = Frame(width=image.shape[1], height=image.shape[0], extent=(400.0, 300.0))
        boxes = await self.fields.boxes(frame)
        return blank(image, boxes), boxes


@pytest.fixture
async def seen(page: Any) -> Seen:
    return Seen(page, await page.context.new_cdp_session(page))


FIELD = (
    "<style>*{color:#f00;font:30px monospace;margin:0;border:0;outline:0;caret-color:transparent}</style>"
    "<input id=i><script>i.focus()</script>"  # autofocus comes with the first frame, maybe after the first key
)


def red(image: Any) -> bool:
    return bool(((image[..., 0] > 150) & (image[..., 1] < 80)).any())


@pytest.mark.browser
@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0])
async def test_a_field_that_a_secret_was_typed_into_is_black_wherever_it_moves_until_it_is_gone(
    seen: Seen, site: Any
) -> None:
    page = seen.page
    await page.goto(site.page("/", FIELD + "<div style='height:2000px'></div>"))
    await page.keyboard.type("open")
    image, boxes = await seen.picture()
    assert boxes == () and red(image)
    await seen.type("{{pin}}")
    assert await page.evaluate("i.value") == "opens3c ret/ü"
    places = []
    for move in ("0", "i.style.cssText='position:absolute;left:150px;top:200px'", "scrollTo(0, 90)"):
        await page.evaluate(move)
        image, boxes = await seen.picture()
        assert not red(image) and len(boxes) == 1
        places.append(boxes[0])
    assert len(set(places)) == 3
    await page.evaluate("scrollTo(0, 0); document.body.prepend('red')")
    assert red((await seen.picture())[0])
    await page.evaluate("i.remove()")
    assert (await seen.picture())[1] == ()
    await page.goto(site.page("/two", FIELD + "red"))
    image, boxes = await seen.picture()
    assert boxes == () and red(image) and not seen.fields._fields


@pytest.mark.browser
async def test_a_field_that_moves_while_a_picture_is_taken_is_black_from_where_it_was_to_where_it_is(
    seen: Seen, site: Any
) -> None:
    await seen.page.goto(site.page("/", FIELD))
    await seen.type("{{pin}}")
    await seen.fields.trace()
    (place,) = (await seen.picture())[1]
    await seen.fields.trace()
    await seen.page.evaluate("i.style.cssText='position:absolute;left:0;top:200px'")
    (moved,) = await seen.fields.boxes(Frame(width=800, height=600, extent=(400.0, 300.0)))
    assert moved.top == place.top and moved.bottom > 400 and moved.left == place.left


@pytest.mark.browser
async def test_a_secret_field_in_a_frame_of_another_process_is_black(seen: Seen, site: Any, foreign: Any) -> None:
    page = seen.page
    inner = site.page("/in", FIELD + "<div style='height:2000px'></div>")
    await page.goto(foreign.page("/", f"<iframe src={inner} style='margin:60px 80px;border:7px solid'></iframe>"))
    await page.frames[1].evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    await seen.picture()  # input reaches a frame of another process once that has been painted
    await page.mouse.click(120, 90)
    await seen.type("{{pin}}")
    assert await page.frames[1].evaluate("i.value") == "s3c ret/ü"
    image, boxes = await seen.picture()
    assert not red(image) and len(boxes) == 1
    await page.frames[1].evaluate("scrollTo(0, 10)")
    image, moved = await seen.picture()
    assert not red(image) and moved[0].top < boxes[0].top


@pytest.mark.browser
async def test_nothing_is_typed_where_the_secret_does_not_belong_or_no_field_has_the_focus(
    seen: Seen, foreign: Any, site: Any
) -> None:
    await seen.page.goto(foreign.page("/", FIELD))
    with pytest.raises(UnsupportedAction, match=r"does not belong to http://127\.0\.0\.2"):
        await seen.type("{{pin}}")
    assert await seen.page.evaluate("i.value") == ""
    await seen.page.goto(site.page("/", "<p>no field"))
    with pytest.raises(UnsupportedAction, match="no text field has the focus"):
        await seen.type("{{pin}}")
    assert (await seen.picture())[1] == ()


@pytest.mark.browser
async def test_while_a_dialog_holds_the_page_the_last_places_stay_black(seen: Seen, site: Any) -> None:
    seen.page.context.on("dialog", lambda dialog: None)
    await seen.page.goto(site.page("/", FIELD))
    await seen.type("{{pin}}")
    frame = Frame(width=400, height=300)
    before = await seen.fields.boxes(frame)
    await seen.page.evaluate("setTimeout(() => alert('x'))")
    assert await seen.fields.boxes(frame) == before != ()
