"""The five sample applications: each knows by its own state whether its task was done, at any seed and size."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")
Locator, Page = playwright.Locator, playwright.Page

PAGES = Path(__file__).parents[2] / "examples" / "pages"
NAMES = ("todo", "signin", "settings", "shop", "calendar")
SIZES = {"320x320": (320, 320), "1280x720": (1280, 720)}
FLAGS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
FROZEN = Path(__file__).with_name("frozen_pages.json")

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def tab(chromium: str) -> Iterator[Page]:
    """One tab for all tests: opening an address begins anew, for the pages keep everything in memory."""
    with playwright.sync_playwright() as runner:
        browser = runner.chromium.launch(executable_path=chromium, args=[*FLAGS, "--no-first-run"])
        page = browser.new_page()
        page.set_default_timeout(5000)
        page.on("dialog", lambda dialog: dialog.accept())
        yield page
        browser.close()


@contextmanager
def opened(tab: Page, name: str, seed: int, size: tuple[int, int] = (1280, 720)) -> Iterator[Page]:
    """Open a page; afterwards check that nothing went wrong in it and that it asked for nothing but itself."""
    wrong: list[str] = []
    asked: list[str] = []
    listening: dict[str, Callable[..., None]] = {
        "pageerror": lambda error: wrong.append(str(error)),
        "console": lambda message: wrong.append(message.text),
        "request": lambda request: asked.append(request.url),
    }
    for event, heard in listening.items():
        tab.on(event, heard)
    address = f"{(PAGES / f'{name}.html').as_uri()}?seed={seed}"
    tab.set_viewport_size({"width": size[0], "height": size[1]})
    tab.goto(address)
    yield tab
    for event, heard in listening.items():
        tab.remove_listener(event, heard)
    assert wrong == []
    assert [url for url in asked if url != "data:,"] == [address]


def instruction(page: Page) -> str:
    return str(page.evaluate("foveateTask.instruction"))


def finished(page: Page) -> bool:
    return bool(page.evaluate("foveateTask.done()"))


# Real input: a wheel, a mouse and a keyboard -----------------------------------------------------------------------

HIT = "(wanted, at) => { const hit = document.elementFromPoint(...at); return !!hit && wanted.contains(hit); }"
FRAMES = "() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))"


def reach(page: Page, wanted: Locator) -> tuple[float, float]:
    """Turn the wheel until the control's centre can be hit."""
    size = page.viewport_size
    assert size is not None
    page.wait_for_function("document.getAnimations().every((one) => one.playState !== 'running')")
    for _ in range(60):
        box = wanted.bounding_box()
        assert box is not None, wanted
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        if wanted.evaluate(HIT, [x, y]):
            return x, y
        page.mouse.move(size["width"] / 2, size["height"] / 2)
        page.mouse.wheel(0, 60 if y > size["height"] / 2 else -60)
        page.evaluate(FRAMES)
    raise AssertionError(f"{wanted} cannot be reached on {page.url}")


def click(page: Page, wanted: Locator | str) -> None:
    page.mouse.click(*reach(page, page.locator(wanted) if isinstance(wanted, str) else wanted))


def write(page: Page, wanted: Locator | str, text: str) -> None:
    click(page, wanted)
    page.keyboard.type(text)


def choose(page: Page, wanted: str, label: str) -> None:
    """Choose an option of a closed list with the keyboard."""
    reach(page, page.locator(wanted))
    page.locator(wanted).focus()
    page.keyboard.type(label)
    assert page.locator(wanted).evaluate("(list) => list.selectedOptions[0].label") == label


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


# What knows how to do each task ------------------------------------------------------------------------------------


def do_todo(page: Page) -> None:
    found = re.fullmatch(
        r'(?:Add|Put|Write) "?(.+?)"? (?:down )?(?:to|on) the list(?: and (tick off|delete) "(.+)")?', instruction(page)
    )
    assert found, instruction(page)
    write(page, "#text", found[1])
    click(page, "#go")
    if found[2] == "delete":
        click(page, button(page, f"Delete {found[3]}"))
    elif found[2]:
        click(page, page.get_by_role("checkbox", name=found[3]))


def do_signin(page: Page) -> None:
    found = re.fullmatch(
        r"(?:Sign in as|Log in with the email|Log in with the user name) (\S+) (?:with|and) the password (\S+) (.+)",
        instruction(page),
    )
    assert found, instruction(page)
    write(page, "#name", found[1])
    write(page, "#secret", found[2])
    without = "not" in found[3] or "without" in found[3]
    if page.locator("#stay").is_checked() == without:
        click(page, "#stay")
    click(page, "#go")


def do_settings(page: Page) -> None:
    text = instruction(page)
    if page.locator("#veil").is_hidden():
        click(page, "#gear")
    if "standard" in text:
        return click(page, "#reset")
    if found := re.search(r"language to (\w+)", text):
        choose(page, '[data-name="Language"] select', found[1])
    if found := re.search(r'[Tt]urn (?:on|off) "(.+?)"', text):
        click(page, page.get_by_role("switch", name=found[1]))
    if found := re.search(r"text size to (\w+)", text):
        choose(page, '[data-name="Text size"] select', found[1])
    if found := re.search(r"theme to (\w+)", text):
        click(page, page.get_by_role("radio", name=found[1]))
    return click(page, "#save")


def do_shop(page: Page) -> None:
    text = instruction(page)
    found = re.search(r"[Pp]ut (one|two|three) (\w+ \w+?)s? in", text)
    assert found, text
    click(page, f'#chips [data-kind="{found[2].split()[1]}"]')
    for _ in range(("one", "two", "three").index(found[1]) + 1):
        click(page, f'[data-name="{found[2]}"] .put')
    click(page, "#open")
    if stray := re.match(r"Take the (.+) out of", text):
        click(page, button(page, f"Remove {stray[1]}"))
    if code := re.search(r"apply the code (\w+)", text):
        write(page, "#code", code[1])
        click(page, "#apply")
    elif note := re.search(r'write the note "(.+)"', text):
        write(page, "#note", note[1])


MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"


def show_day(page: Page, spoken: str) -> None:
    for _ in range(2):
        if page.locator("#title").inner_text().split()[0] != spoken.split()[1]:
            click(page, button(page, "Next month"))
    click(page, page.get_by_role("button", name=re.compile(rf"^{spoken}(,|$)")))


def do_calendar(page: Page) -> None:
    text = instruction(page)
    if gone := re.match(r"Delete (.+?) on (\d+ \w+) and", text):
        show_day(page, gone[2])
        click(page, button(page, f"Delete {gone[1]}"))
        click(page, button(page, "Close"))
    day = re.findall(rf"on (\d+ (?:{MONTHS}))", text)[-1]
    time = re.search(r"at (\d+:00(?: [ap]m)?)", text)
    name = re.search(r'"(.+)"', text)
    assert name and time, text
    show_day(page, day)
    write(page, "#name", name[1])
    click(page, page.get_by_role("radio", name=time[1], exact=True))
    if sort := re.search(r"to the (\w+) calendar", text):
        click(page, page.get_by_role("radio", name=sort[1]))
    click(page, "#save")


ORACLES: dict[str, Callable[[Page], None]] = {
    "todo": do_todo,
    "signin": do_signin,
    "settings": do_settings,
    "shop": do_shop,
    "calendar": do_calendar,
}


# Tests -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_real_input_does_the_task_at_every_seed(tab: Page, name: str, size: str) -> None:
    for seed in range(10):
        with opened(tab, name, seed, SIZES[size]) as page:
            assert instruction(page), seed
            assert not finished(page), seed
            ORACLES[name](page)
            assert finished(page), (seed, instruction(page))


LOOK = """() => [...document.querySelectorAll("button, input, select, h1, label, p")]
  .filter((one) => one.checkVisibility())
  .map((one) => { const at = one.getBoundingClientRect();
                  return [(one.innerText || one.placeholder || "").trim(), Math.round(at.x), Math.round(at.y)]; })"""


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_changes_words_order_and_layout(tab: Page, name: str) -> None:
    tasks, words, places = set(), set(), set()
    for seed in range(10):
        with opened(tab, name, seed) as page:
            if name == "settings" and page.locator("#veil").is_hidden():
                click(page, "#gear")
            look = page.evaluate(LOOK)
            tasks.add(instruction(page))
            words.add(tuple(sorted(text for text, _, _ in look)))
            places.add(tuple((x, y) for _, x, y in look))
    assert len(tasks) >= 8
    assert len(words) >= 5
    assert len(places) >= 4


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_is_the_same_page_each_time(tab: Page, name: str) -> None:
    looks = []
    for _ in range(2):
        with opened(tab, name, 4) as page:
            looks.append((instruction(page), page.evaluate(LOOK)))
    assert looks[0] == looks[1]


def test_without_a_seed_a_page_is_that_of_seed_0(tab: Page) -> None:
    for name in NAMES:
        tab.goto((PAGES / f"{name}.html").as_uri())
        bare = instruction(tab), tab.evaluate(LOOK)
        tab.goto((PAGES / f"{name}.html").as_uri() + "?seed=none")
        assert (instruction(tab), tab.evaluate(LOOK)) == bare
        with opened(tab, name, 0, (tab.viewport_size["width"], tab.viewport_size["height"])) as page:
            assert (instruction(page), page.evaluate(LOOK)) == bare


def test_the_todo_list_asks_for_milk_at_seed_0(tab: Page) -> None:
    with opened(tab, "todo", 0) as page:
        assert instruction(page) == "Add milk to the list"


def test_a_page_cannot_have_its_verdict_replaced_by_accident(tab: Page) -> None:
    for name in NAMES:
        with opened(tab, name, 0) as page:
            page.evaluate("() => { window.foveateTask = {done: () => true}; window.foveateTask.done = () => true; }")
            assert not finished(page)


@pytest.mark.parametrize("size", [(320, 320), (448, 448), (1280, 720)])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_lies_beside_the_screen(tab: Page, name: str, size: tuple[int, int]) -> None:
    for seed in range(10):
        with opened(tab, name, seed, size) as page:
            assert page.evaluate("document.documentElement.scrollWidth") <= size[0], seed


# Nearly done is not done -------------------------------------------------------------------------------------------


def test_the_todo_list_is_not_done_by_half(tab: Page) -> None:
    with opened(tab, "todo", 0) as page:
        write(page, "#text", "milk")
        assert not finished(page), "typed, not added"
        page.keyboard.press("Enter")
        assert finished(page)
        click(page, page.get_by_role("checkbox", name="milk"))
        assert not finished(page), "ticked off"
        click(page, page.get_by_role("checkbox", name="milk"))
        assert finished(page), "mended"
        write(page, "#text", "silk")
        click(page, "#go")
        assert not finished(page), "an item too many"
        click(page, button(page, "Delete silk"))
        assert finished(page), "mended"
        click(page, button(page, "Delete Eggs"))
        assert not finished(page), "an item too few"
    with opened(tab, "todo", 0) as page:
        click(page, "#go")
        assert page.locator("#error").inner_text() == "Write something first."
        write(page, "#text", "milk shake\n")
        assert not finished(page), "the wrong item"


def test_the_sign_in_is_not_done_by_half(tab: Page) -> None:
    with opened(tab, "signin", 0) as page:
        write(page, "#name", "mira.holt@example.com")
        write(page, "#secret", "bluebird-43\n")
        assert page.locator("#banner").inner_text() == "The name and the password do not match."
        assert not finished(page), "the wrong password"
        write(page, "#secret", "bluebird-42\n")
        assert page.locator("#welcome").is_visible()
        assert not finished(page), "not staying signed in"
        click(page, "#out")
        do_signin(page)
        assert finished(page), "mended"
        click(page, "#out")
        assert not finished(page), "signed out again"


def test_the_settings_are_not_done_by_half(tab: Page) -> None:
    language, weekly = '[data-name="Language"] select', '[data-name="Weekly summary"] input'
    with opened(tab, "settings", 0) as page:
        click(page, "#gear")
        choose(page, language, "Deutsch")
        click(page, "#save")
        assert not finished(page), "only the language"
        click(page, "#gear")
        click(page, weekly)
        click(page, "#cancel")
        assert not finished(page), "given up"
        click(page, "#gear")
        click(page, weekly)
        assert not finished(page), "not saved"
        click(page, "#save")
        assert finished(page)
        click(page, "#gear")
        assert not finished(page), "the dialog is open"
        click(page, '[data-name="Sounds"] input')
        click(page, "#save")
        assert not finished(page), "a change too many"
    with opened(tab, "settings", 0) as page:
        page.evaluate("window.confirm = () => false")
        do_settings(page)
        assert page.locator("#veil").is_visible()
        assert not finished(page), "not confirmed"


def test_the_shop_is_not_done_by_half(tab: Page) -> None:
    with opened(tab, "shop", 0) as page:
        click(page, '#chips [data-kind="lamp"]')
        click(page, '[data-name="Green lamp"] .put')
        click(page, "#open")
        assert not finished(page), "no code"
        write(page, "#code", "SPRING15")
        assert not finished(page), "a code that is not applied"
        click(page, "#apply")
        assert finished(page)
        click(page, button(page, "One Green lamp more"))
        assert not finished(page), "one too many"
        click(page, button(page, "One Green lamp less"))
        assert finished(page), "mended"
        write(page, "#note", "hello")
        assert not finished(page), "a note that nobody asked for"
        for _ in "hello":
            page.keyboard.press("Backspace")
        assert finished(page), "mended"
        click(page, "#order")
        assert not finished(page), "ordered"
    with opened(tab, "shop", 0) as page:
        click(page, '[data-name="Green vase"] .put')
        click(page, "#open")
        write(page, "#code", "SPRING16\n")
        assert page.locator("#code-said").inner_text() == "We do not know that code."
        assert not finished(page), "the wrong thing and the wrong code"


def test_the_calendar_is_not_done_by_half(tab: Page) -> None:
    def enter(day: str, time: str, name: str = "Dentist") -> None:
        show_day(page, day)
        write(page, "#name", name)
        click(page, page.get_by_role("radio", name=time))
        click(page, "#save")

    for day, time, name in (("15 May", "10:00", "Dentist"), ("14 May", "11:00", "Dentist"), ("14 May", "10:00", "D")):
        with opened(tab, "calendar", 0) as page:
            enter(day, time, name)
            assert page.locator("#veil").is_hidden()
            assert not finished(page), (day, time, name)
    with opened(tab, "calendar", 0) as page:
        show_day(page, "14 May")
        click(page, "#save")
        assert page.locator("#name-said").inner_text() == "Give it a title."
        assert page.locator("#time-said").inner_text() == "Choose a time."
        write(page, "#name", "Dentist")
        click(page, page.get_by_role("radio", name="10:00"))
        assert not finished(page), "not saved"
        click(page, "#save")
        assert finished(page)
        enter("14 May", "10:00")
        assert not finished(page), "twice"
        show_day(page, "14 May")
        click(page, button(page, "Delete Dentist").first)
        click(page, "#close")
        assert finished(page), "mended"
        show_day(page, "5 May")
        click(page, button(page, "Delete Stand-up"))
        click(page, "#close")
        assert not finished(page), "an event is missing"


def test_the_pages_are_the_ones_that_training_must_never_see() -> None:
    """The figures on these pages mean something only while no training set holds them and they stay as they are."""
    frozen = json.loads(FROZEN.read_text(encoding="utf-8"))
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(PAGES.glob("*.html"))}
    assert frozen["sha256"] == found, "a bug fix puts the new sum into frozen_pages.json and says why under 'changes'"
