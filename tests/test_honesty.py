"""Figures mean what they say: the example applications are unknown to training, evaluation is on what was kept out,
and nothing that acts looks at the DOM but oracles, which are called so."""

import ast
import hashlib
import html
import json
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from foveate.actions.errors import UsageError
from foveate.actions.geometry import Frame
from foveate.agent.evaluation_items import FIXING_SUITE, SUITES, items_of
from foveate.agent.training.asking import ask
from foveate.agent.training.drawing import draw_screen
from foveate.agent.training.layouts import write_page
from foveate.agent.training.programs.making import program_task
from foveate.agent.training.supply import Prepared, refuse_kept
from foveate.agent.training.words import Split, is_unseen
from foveate.envs.base import Event, PendingDialog, ScreenObservation
from foveate.policies.base import Look
from foveate.policies.internvl import InternVLPolicy
from foveate.policies.training.screens import Screen
from foveate.policies.training.stream import Wanted

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "examples" / "pages"
FROZEN = ROOT / "tests" / "examples" / "frozen_pages.json"
GENERATOR = ("agent/training", "agent/oracles", "policies/training")
"""Where what is trained on comes from."""

DATA = frozenset({".js", ".html", ".css", ".toml", ".json", ".md", ".txt"})

# (a) The applications are frozen --------------------------------------------------------------------------------------

ORIGINALS = {
    "calendar.html": "a13ebb037a8795996a485f24dda1a25177eec3b8c4c80b98d7c66741b16e6024",
    "settings.html": "ae49022810ef49a551ad81ac560173824709433e1cb422c864ecc3d2f1ec737e",
    "shop.html": "44933c80f1fe9642de430bda779a0c9615baa747c98b86667da95011c7c7b319",
    "signin.html": "658ee96cc17926fa3ae553ad01ceead9927cb77375363192bccdec784c292877",
    "todo.html": "4e3ce12d1d67396cf7ca58c8a0c36bf1acd84e59d884cbf6d37ec5fcd0446ea8",
}
"""The five pages as they were before the generator was written; never changed."""


def test_the_applications_are_those_of_before_the_generator_or_say_why_not() -> None:
    frozen = json.loads(FROZEN.read_text(encoding="utf-8"))
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(PAGES.glob("*.html"))}
    assert frozen["sha256"] == found, "a bug fix puts the new sum into frozen_pages.json and says why under 'changes'"
    assert set(found) == set(ORIGINALS)
    for change in frozen["changes"]:
        assert change["page"] in ORIGINALS
        assert re.fullmatch(r"[0-9a-f]{64}", change["sha256"])
        assert len(change["why"].split()) >= 5, "a sentence says which bug was fixed"
    last = ORIGINALS | {change["page"]: change["sha256"] for change in frozen["changes"]}
    assert last == found, "every changed page has its change, with page, sha256 and why, in frozen_pages.json"


# (b) Nothing of an application is in what is trained on ---------------------------------------------------------------

COMMON = frozenset(
    """
    a add address all an and apply at auto back bag basket be by buy calendar camera cancel cart change choose clear
    click clock close code continue create dark date day days delete deleted do done email empty enter event field
    filter find finished first for form from go green hide home huge if in inside insert is it item items its language
    large last left less light list log login market may medium menu month more name new next no not note notes of off
    on one
    open or order out page password pick preferences press previous price put reading remove reset restore save saved
    schedule search select send set settings show sign size small so sort sport sun switch take text that the theme
    this three tick time title to today total turn two type up use user value week what with word words work write you
    your
    january february march april june july august september october november december mon tue wed thu fri sat english
    """.split()  # noqa: SIM905 - a list of words is read more easily
)
"""Words of every interface: what consists of these alone belongs to no application."""

_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"|\'((?:[^\'\\\n]|\\.)*)\'|`((?:[^`\\]|\\.)*)`')
_VALUE_OR_TAG = re.compile(r"\$\{[^{}]*\}|<[^<>]*>?|[^<>]*>")
_ARRAY = re.compile(r'\[\s*"[^"\n]*"(?:\s*,\s*"[^"\n]*")+\s*,?\s*\]')
_CODE = re.compile(r"[<>{}\[\]#=\\|_/$]|^[.@]|^[MmLl]?[\d\s.,-]+|^use strict$|^aria-|^[a-z]+-[a-z]+$")
_WORD = re.compile(r"[^\W\d_]+")


class _Reader(HTMLParser):
    """Takes a page apart: what people read, and the scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        told = ("title", "placeholder", "aria-label", "alt", "value")
        self.texts += [value for name, value in attrs if value and name in told]

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside != "style":
            (self.scripts if self._inside == "script" else self.texts).append(data)


def plain(text: str) -> str:
    """Write a text so that case, quotes, blanks and marks around it make no difference."""
    return " ".join(text.casefold().translate({0x201C: '"', 0x201D: '"', 0x2019: "'"}).split()).strip(" \"'.,:;!?·+()")


def strings_of(script: str) -> Iterator[str]:
    """Give the texts in a script, cut where a value stands, without markup."""
    for match in _STRING.finditer(re.sub(r"(?m)//[^\n]*$", "", script)):
        yield from _VALUE_OR_TAG.split(match[match.lastindex or 0])


def products(script: str) -> list[str]:
    """Give the shop's goods, which it names by a colour and a kind."""
    colours = re.search(r"const colours = \{(.*?)\};", script, re.DOTALL)
    kinds = re.search(r"const drawings = \{(.*?)\n  \};", script, re.DOTALL)
    if colours is None or kinds is None:
        return []
    names = [re.findall(r"(?m)(?:^\s*|[{,]\s*|^)(\w+): [\"']", found[1]) for found in (colours, kinds)]
    return [f"{colour} {kind}" for colour in names[0] for kind in names[1]]


@lru_cache(maxsize=1)
def own() -> dict[str, str]:
    """Give what is an application's own, with the page that it is on.

    That is every sentence, label, title, product and piece of an instruction that has two words or more, and every
    single word that an application lists (events, people, brands, secrets, languages, things): unless all its words
    are COMMON.
    """
    found: dict[str, str] = {}
    for path in sorted(PAGES.glob("*.html")):
        read = _Reader(path.read_text(encoding="utf-8"))
        texts = [*read.texts, *(text for script in read.scripts for text in (*strings_of(script), *products(script)))]
        listed = [
            item
            for script in read.scripts
            for array in _ARRAY.findall(script)
            for item in re.findall(r'"([^"]*)"', array)
        ]
        for text in (*(text for text in texts if len(_WORD.findall(text)) > 1), *listed):
            if not _CODE.search(text.strip()) and not set(_WORD.findall(text.casefold())) <= COMMON:
                found[plain(text)] = path.name
    return found


def search(text: str) -> list[str]:
    """Give what in a text is an application's own."""
    return _wanted().findall(plain(text))


@lru_cache(maxsize=1)
def _wanted() -> re.Pattern[str]:
    phrases = "|".join(re.escape(phrase) for phrase in sorted(own(), key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{phrases})(?!\w)")


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def texts_of(path: Path) -> Iterator[str]:
    """Give the strings of a module; docstrings are for readers of the code and reach no page."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value


def test_the_search_knows_what_is_an_applications_own() -> None:
    assert len(own()) > 200
    assert set(own()) >= {
        "fix the tap", "that is on the list already", "trip to lisbon", "groceries", "eggs", "tomatoes",
        "mira holt", "lumen bank", "this session ends with the window", "stay signed in", "bluebird", "welcome back",
        "weekly summary", "paperwing", "suomi", "put everything back to the standard values", "spell check",
        "yellow vase", "oak & clay", "spring15", "ring twice please", "discount code",
        "bake sale", "dentist", "coming up", "give it a title", "almanac",
    }  # fmt: skip
    assert not set(own()) & {"save", "cancel", "next month", "new item", "add", "sign in"}
    assert search("<b>Fix the  tap</b>") == ["fix the tap"]
    assert search("eggshell") == []


def hits_in(texts: Iterable[tuple[str, str]]) -> set[str]:
    """Say where what is an application's own was found; the texts have their origin first."""
    return {f"{origin}: {hit!r} of {own()[hit]}" for origin, text in texts for hit in search(text)}


def test_no_text_in_the_generators_code_is_an_applications_own() -> None:
    hits = hits_in((str(path.relative_to(ROOT)), text) for path in modules(*GENERATOR) for text in texts_of(path))
    others = [path for folder in GENERATOR for path in (ROOT / folder).rglob("*") if path.suffix in DATA]
    hits |= hits_in((str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in others)
    assert not hits, "\n".join(sorted(hits))


def seen_on(page: str) -> str:
    """Give a page's text as people read it, and its source."""
    source = html.unescape(page)
    return re.sub(r"<[^<>]*>", " ", source) + " \n " + source


@pytest.mark.parametrize("split", ["seen", "unseen"])
def test_no_generated_page_program_or_task_says_what_is_an_applications_own(split: Split) -> None:
    made = {f"page {seed}": write_page(seed, split) for seed in range(0, 6_000, 50)}
    hits = hits_in((name, seen_on(page.html)) for name, page in made.items())
    hits |= hits_in((name, mark.name) for name, page in made.items() for mark in page.marks)
    programs = {f"program {seed}": program_task(seed, split) for seed in range(60)}
    hits |= hits_in((name, f"{seen_on(one.html)} \n {one.instruction}") for name, one in programs.items())
    assert not hits, "\n".join(sorted(hits))


def test_no_question_about_a_drawn_screen_says_what_is_an_applications_own() -> None:
    rng = random.Random(1)
    screens = [draw_screen(rng) for _ in range(12)]
    texts = [question.task for screen in screens for question in ask(rng, screen, 30)]
    assert len(texts) > 100
    assert not hits_in(("a question", text) for text in texts)


# (c) The generator does not know the examples -------------------------------------------------------------------------


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_the_generator_neither_imports_the_examples_nor_names_their_path() -> None:
    assert len(modules(*GENERATOR)) > 20
    for path in modules(*GENERATOR):
        assert not {name for name in imports_of(path) if "examples" in name.split(".")}, path
        named = [
            text
            for text in texts_of(path)
            if re.search(r"\bexamples\b|(todo|signin|settings|shop|calendar)\.html", text)
        ]
        assert not named, f"{path}: {named}"
        assert not {name for name in imports_of(path) if ".evaluat" in name}, f"{path} knows how it is measured"


# (d) Evaluation is on what was kept out -------------------------------------------------------------------------------

TEST_SEEDS = 10_000_000_000

SEEDS = {
    "clicks": (10_000_000_000, 10_000_000_249),
    "typing": (10_100_000_000, 10_100_000_049),
    "answers": (10_200_000_000, 10_200_000_099),
    "programs": (10_300_000_000, 10_300_000_049),
    "fixing": (10_900_000_000, 10_900_000_099),
}
"""The seeds of the published figures, first and last; the applications have 0 to 19."""


def test_the_seeds_of_evaluation_are_fixed() -> None:
    suites = [*SUITES.values(), FIXING_SUITE]
    found = {suite.name: {item.seed for item in items_of(suite)} for suite in suites}
    assert found.pop("apps") == set(range(20))
    assert {name: (min(seeds), max(seeds)) for name, seeds in found.items()} == SEEDS
    assert min(min(seeds) for seeds in found.values()) == TEST_SEEDS


def test_everywhere_the_same_seeds_are_kept() -> None:
    found = {}
    for path in modules("agent", "policies"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            targets = (
                node.targets
                if isinstance(node, ast.Assign)
                else [node.target]
                if isinstance(node, ast.AnnAssign)
                else []
            )
            if any(isinstance(target, ast.Name) and target.id == "TEST_SEEDS" for target in targets):
                found[path.name] = ast.literal_eval(node.value)
    assert found
    assert set(found.values()) == {TEST_SEEDS}, found


def blank(**facts: str) -> Screen:
    return Screen(np.zeros((448, 448, 3), np.uint8), (), (), (), facts)


@pytest.mark.parametrize("kept", [{"seed": str(TEST_SEEDS), "split": "seen"}, {"seed": "1", "split": "unseen"}])
def test_training_refuses_screens_that_are_kept_for_evaluation(kept: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="kept for evaluation and is never trained on"):
        refuse_kept(blank(**kept))
    with pytest.raises(UsageError, match="kept for evaluation and is never trained on"):
        Prepared(1.0, 1.0)(random.Random(0), blank(**kept), Wanted(1))
    refuse_kept(blank(seed=str(TEST_SEEDS - 1), split="seen"))


def test_screens_drawn_while_training_hold_no_word_that_is_kept_out() -> None:
    rng = random.Random(2)
    words = [word for _ in range(12) for text in draw_screen(rng).texts for word in _WORD.findall(text.text)]
    assert len(words) > 50
    assert not [word for word in words if len(word) > 2 and is_unseen(word)]


@pytest.mark.parametrize("split", ["seen", "unseen"])
def test_the_pages_of_a_split_hold_its_words_alone(split: Split) -> None:
    for seed in range(8):
        page = write_page(seed if split == "seen" else TEST_SEEDS + seed, split)
        names = [
            word for mark in page.marks if mark.role != "icon" for word in _WORD.findall(mark.name) if len(word) > 2
        ]
        assert not [word for word in names if is_unseen(word) != (split == "unseen")]


# (e) Nothing that acts looks at the DOM but oracles -------------------------------------------------------------------

LOOKS = frozenset(
    """
    evaluate evaluate_handle query_selector query_selector_all eval_on_selector eval_on_selector_all locator content
    inner_text inner_html text_content get_by_role get_by_text get_by_label get_attribute bounding_box accessibility
    aria_snapshot wait_for_selector wait_for_function add_script_tag add_init_script expose_function expose_binding
    new_cdp_session
    """.split()  # noqa: SIM905 - a list of words is read more easily
)
"""What Playwright and its protocol offer to look into a page."""

FIELDS = {"openai.py": frozenset({"content"})}
"""Names that mean something else in a module: the text of a server's answer."""


def policies_in(path: Path) -> list[ast.ClassDef]:
    """Give the classes of a module that are policies: by their base, or because they can act."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ClassDef):
            continue
        bases = {
            base.id if isinstance(base, ast.Name) else base.attr
            for base in node.bases
            if isinstance(base, ast.Name | ast.Attribute)
        }
        acts = any(isinstance(part, ast.AsyncFunctionDef) and part.name == "act" for part in node.body)
        if acts or any(base.endswith("Policy") for base in bases):
            found.append(node)
    return found


def test_no_module_of_the_policies_can_look_into_a_page() -> None:
    assert len(modules("policies")) > 30
    for path in modules("policies"):
        for name in imports_of(path):
            assert name.split(".")[0] != "playwright", path
            assert not name.startswith("foveate.agent"), path
            assert not name.startswith("foveate.envs") or name.startswith("foveate.envs.base"), path
        tree = ast.parse(path.read_text(encoding="utf-8"))
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not used & LOOKS - FIELDS.get(path.name, frozenset()), path


def test_a_policy_that_sees_the_page_is_an_oracle_and_is_called_so() -> None:
    oracles, others = [], []
    for path in modules("actions", "envs", "policies", "agent", "examples"):
        for found in policies_in(path):
            (oracles if path.is_relative_to(ROOT / "agent" / "oracles") else others).append((path, found))
    assert {found.name for _, found in others} >= {"InternVLPolicy", "ScriptedPolicy", "HumanPolicy", "RetryPolicy"}
    assert oracles
    for path, found in oracles:
        assert "Oracle" in found.name, f"{path}: {found.name}"
    for path, found in others:
        used = {node.attr for node in ast.walk(found) if isinstance(node, ast.Attribute)}
        assert not used & (LOOKS | {"page"}), f"{path}: {found.name}"


def test_only_evaluation_and_demonstrations_know_the_oracles() -> None:
    may = ("agent/oracles/", "agent/training/", "agent/evaluation_worker.py")
    for path in modules("actions", "envs", "policies", "agent", "examples"):
        if any(name.startswith("foveate.agent.oracles") for name in imports_of(path)):
            assert str(path.relative_to(ROOT)).startswith(may), path


def test_a_policy_is_given_a_picture_and_facts_about_it_and_nothing_to_ask() -> None:
    assert {one.name for one in fields(ScreenObservation)} == {
        "image", "frame", "captured_at_s", "changed", "events", "timing_ms", "encoded", "url", "title", "window",
        "tabs", "tab", "cursor", "dialog",
    }  # fmt: skip


def test_what_the_model_is_asked_depends_on_the_picture_alone() -> None:
    image, frame = np.full((448, 448, 3), 7, np.uint8), Frame(448, 448)
    bare = ScreenObservation(image=image, frame=frame, captured_at_s=0.0)
    told = ScreenObservation(
        image=image, frame=frame, captured_at_s=9.0, changed=0.5, url="https://x.example/a", title="Click here",
        tabs=("one", "two"), tab=1, cursor=(3.0, 4.0), dialog=PendingDialog("alert", "hello"),
        events=(Event("navigation", "went to b"),),
    )  # fmt: skip
    policy = InternVLPolicy("tiny")
    assert policy.request(bare, (), Look()) == policy.request(told, (), Look())
