"""Native drop-down lists: closed unseen by the page, drawn by us, chosen by click, keys or action."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from foveate.actions.errors import UnsupportedAction
from foveate.actions.geometry import Frame, Point
from foveate.actions.schema import Key, SelectOption
from foveate.envs.capture import decode, screenshot
from foveate.envs.chromium import Chromium, LaunchOptions
from foveate.envs.elements import Elements
from foveate.envs.option_list import OptionList, Row
from foveate.envs.selects import Selects

ROWS = (
    Row("Fruit", None, disabled=True),
    Row("Apple", 0, "a", grouped=True),
    Row("Pear", 1, "p", disabled=True, grouped=True),
    *(Row(f"Item {n}", n, str(n)) for n in range(2, 40)),
)


@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("top", [10, 150, 290])
def test_every_visible_row_is_where_it_is_drawn_and_the_list_stays_in_the_picture(scale: float, top: int) -> None:
    frame = Frame(width=round(320 * scale), height=round(320 * scale), extent=(320.0, 320.0))
    page = np.full((frame.height, frame.width, 3), 240, np.uint8)
    drawn = OptionList(ROWS, 0, (20.0, float(top), 120.0, top + 20.0))
    image = drawn.draw(page, frame)
    box = drawn.box
    assert box is not None and image.shape == page.shape and (page == 240).all()
    assert 0 <= box.left < box.right <= frame.width and 0 <= box.top < box.bottom <= frame.height
    field_top, field_bottom = round(top * scale), round((top + 20) * scale)
    assert box.bottom <= field_top or box.top >= field_bottom
    row = 22 * scale
    point = frame.from_input((box.left + 20) / scale, (box.top + 1.5 * row) / scale)
    assert drawn.clicked(point, frame) is ROWS[1]
    assert drawn.clicked(frame.from_input((box.left + 20) / scale, (box.top + 0.5 * row) / scale), frame) is None
    assert drawn.clicked(frame.from_input((box.left + 20) / scale, (box.top + 2.5 * row) / scale), frame) is None
    assert drawn.clicked(Point(0.99, 0.5), frame) == "close"
    drawn.scrolled(1)
    assert not np.array_equal(drawn.draw(page, frame), image)
    assert drawn.clicked(point, frame) is ROWS[4]
    drawn.scrolled(100)
    drawn.draw(page, frame)
    assert drawn.clicked(frame.from_input((box.left + 20) / scale, (box.bottom - 3) / scale), frame) is ROWS[-1]


def test_keys_move_over_what_can_be_chosen_choose_and_close() -> None:
    keys = OptionList(ROWS, 0, (0.0, 0.0, 9.0, 9.0))
    assert keys.pressed((Key.DOWN,)) is None and keys.active == 3
    assert keys.pressed((Key.UP,)) is None and keys.active == 1
    assert keys.pressed((Key.UP,)) is None and keys.active == 1
    assert keys.pressed((Key.END,)) is None and keys.pressed((Key.ENTER,)) is ROWS[-1]
    assert keys.pressed((Key.HOME,)) is None and keys.pressed((Key.SPACE,)) is ROWS[1]
    assert keys.typed("item 21") is None and keys.pressed((Key.ENTER,)) is ROWS[22]
    assert keys.typed("pear\n") is ROWS[22]
    assert keys.pressed((Key.A,)) is None and keys.pressed((Key.TAB,)) is ROWS[1]
    assert keys.pressed((Key.ESCAPE,)) == "close"


def test_a_chosen_option_far_down_is_in_sight_when_the_list_opens() -> None:
    frame = Frame(width=320, height=320)
    page = np.full((320, 320, 3), 240, np.uint8)
    far = OptionList(ROWS, 39, (20.0, 10.0, 120.0, 30.0))
    far.draw(page, frame)
    assert far.box is not None
    assert far.clicked(frame.from_input(40, far.box.bottom - 5), frame) is ROWS[-1]


class Seen:
    def __init__(self, page: Any, session: Any, scale: float) -> None:
        self.page, self.session = page, session
        self.frame = Frame(width=round(400 * scale), height=round(300 * scale), extent=(400.0, 300.0))
        self.selects = Selects(Elements(page, session))

    async def click(self, x: float, y: float) -> bool:
        await self.page.mouse.click(x, y)
        return await self.selects.look()

    async def picture(self) -> Any:
        encoded = await screenshot(self.session, 10.0)
        return decode(base64.b64decode(encoded))

    async def pick(self, row: int) -> SelectOption | None:
        picture = await self.picture()
        assert picture.shape == (self.frame.height, self.frame.width, 3)
        self.selects.draw(picture, self.frame)
        opened = self.selects.open
        assert opened is not None and opened.box is not None
        scale = self.frame.width / 400
        return await self.selects.click(
            self.frame.from_input((opened.box.left + 9) / scale, opened.box.top / scale + 22 * (row + 0.5)), self.frame
        )

    async def log(self) -> str:
        return str(await self.page.evaluate("(top.log || []).splice(0).join(' ')"))


@pytest.fixture
def scale() -> float:
    """Where a test does not say: device scales are told apart by one test for all."""
    return 2.0


@pytest.fixture
async def seen(chromium: str, scale: float) -> AsyncIterator[Seen]:
    options = LaunchOptions(path=chromium, scale=scale, flags=("--site-per-process",))
    browser = await Chromium.launch(options)
    context = await browser.browser.new_context(viewport={"width": 400, "height": 300}, device_scale_factor=scale)
    page = await context.new_page()
    yield Seen(page, await context.new_cdp_session(page), scale)
    await browser.close()


LOG = """<script>top.log=[];for(const e of ['keydown','keyup','input','change','blur','mousedown'])
addEventListener(e,v=>top.log.push(e+':'+(v.target.id||v.target.nodeName)),true)</script>"""
SELECT = """<select id=s style='position:absolute;left:30px;top:40px;width:120px;height:24px'>
<option value=r>Red<option value=g disabled>Green<optgroup label=Dark><option value=b>Blue</optgroup></select>
<button id=under style='position:absolute;left:30px;top:66px;width:150px;height:120px'>under</button>"""


@pytest.mark.browser
@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0])
async def test_a_click_opens_the_drawn_list_and_a_click_on_an_option_chooses_it_and_not_what_lies_underneath(
    seen: Seen,
) -> None:
    await seen.page.set_content(LOG + SELECT)
    plain = await seen.picture()
    assert not await seen.click(100, 100)
    await seen.log()
    assert await seen.click(60, 52)
    assert await seen.page.evaluate("s.matches(':open')") is False
    assert await seen.log() == "mousedown:s blur:under"
    picture = await seen.picture()
    assert np.array_equal(picture[-40:], plain[-40:])  # the native list is gone
    assert await seen.pick(3) == SelectOption(at=seen.frame.from_input(90, 52), value="Blue")
    assert seen.selects.open is None
    assert await seen.page.evaluate("s.value") == "b"
    assert await seen.log() == "input:s change:s"
    assert await seen.click(60, 52)
    assert await seen.pick(1) is None and seen.selects.open is not None  # disabled
    assert await seen.selects.click(Point(0.9, 0.9), seen.frame) is None and seen.selects.open is None
    assert await seen.page.evaluate("s.value") == "b"


@pytest.mark.browser
async def test_keys_open_a_list_and_choose_in_it_and_a_field_that_goes_away_closes_it(seen: Seen) -> None:
    await seen.page.set_content(LOG + SELECT)
    await seen.page.keyboard.press("Tab")
    await seen.page.keyboard.press("Space")
    assert await seen.selects.look()
    assert await seen.selects.press((Key.DOWN,), seen.frame) is None
    assert (await seen.selects.press((Key.ENTER,), seen.frame)).value == "Blue"  # type: ignore[union-attr]
    assert await seen.page.evaluate("s.value") == "b"
    assert await seen.click(60, 52)
    await seen.page.evaluate("s.style.top = '100px'")
    await seen.selects.check()
    assert seen.selects.open is not None and seen.selects.open.field[1] == 100
    await seen.page.evaluate("s.remove()")
    await seen.selects.check()
    assert seen.selects.open is None


@pytest.mark.browser
async def test_lists_in_shadow_roots_and_in_frames_of_other_processes_open_too(
    seen: Seen, site: Any, foreign: Any
) -> None:
    await seen.page.set_content(
        f"<div id=h></div><script>h.attachShadow({{mode:'closed'}}).innerHTML=`{SELECT}`</script>"
    )
    assert await seen.click(60, 52)
    assert (await seen.pick(3)).value == "Blue"  # type: ignore[union-attr]
    foreign.page("/in", SELECT)
    frame = f"<iframe src={foreign.url('/in')} style='position:absolute;left:50px;top:30px;width:300px;height:200px'>"
    await seen.page.goto(site.page("/", frame + "</iframe>"))
    await seen.page.frames[1].evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    await seen.picture()  # input reaches a frame of another process once that has been painted
    assert await seen.click(120, 84)
    chosen = await seen.pick(3)
    assert chosen is not None and seen.frame.to_input(chosen.at)[0] == pytest.approx(142, abs=3)
    assert await seen.page.frames[1].evaluate("s.value") == "b"


@pytest.mark.browser
async def test_a_list_that_the_page_draws_or_keeps_closed_is_its_own_affair(seen: Seen) -> None:
    await seen.page.set_content(LOG + SELECT + "<script>s.onmousedown = e => e.preventDefault()</script>")
    assert not await seen.click(60, 52)
    await seen.page.set_content(LOG + "<style>select,::picker(select){appearance:base-select}</style>" + SELECT)
    assert not await seen.click(60, 52)
    await seen.page.set_content(LOG + SELECT.replace("<select", "<select size=3"))
    assert not await seen.click(60, 52)
    assert "keydown" not in await seen.log()


@pytest.mark.browser
async def test_select_option_takes_a_label_or_value_in_any_case_and_lists_the_options_otherwise(seen: Seen) -> None:
    await seen.page.set_content(LOG + SELECT)
    at = seen.frame.from_input(60, 52)
    for value in ("Blue", "r", "BLUE", " red "):
        applied = await seen.selects.select(SelectOption(at=at, value=value), seen.frame)
        label = "Blue" if "b" in value.lower() else "Red"
        assert applied.value == label
        assert await seen.page.evaluate("s.selectedOptions[0].label") == label
        assert await seen.log() == "input:s change:s"
    await seen.selects.select(SelectOption(at=at, value="Red"), seen.frame)
    assert await seen.log() == ""  # it was chosen already
    for place, value, reason in (
        (at, "Pink", "no option 'Pink': the options are 'Red', 'Green', 'Blue'"),
        (at, "Green", "'Green' is disabled"),
        (seen.frame.from_input(60, 100), "Red", "no drop-down list"),
    ):
        with pytest.raises(UnsupportedAction, match=reason):
            await seen.selects.select(SelectOption(at=place, value=value), seen.frame)
    await seen.page.evaluate("s.append(new Option('blue', 'x')); s.append(new Option('BLUE', 'y'))")
    with pytest.raises(UnsupportedAction, match="fits 3 options"):
        await seen.selects.select(SelectOption(at=at, value="bLue"), seen.frame)
    await seen.page.evaluate("s.disabled = true")
    with pytest.raises(UnsupportedAction, match="is disabled"):
        await seen.selects.select(SelectOption(at=at, value="Red"), seen.frame)
