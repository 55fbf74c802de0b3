"""The names that programs outside this repository rely on: where they are imported from, and what they take."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from foveate.actions import errors, schema
from foveate.actions.geometry import Box, Convention, Frame, Point
from foveate.actions.guard import Limits, Secret, Target, Verdict
from foveate.agent import Agent
from foveate.envs.fake import FakeEnv
from foveate.policies.scripted import ScriptedPolicy

KINDS = """
click move drag scroll pointer_down pointer_up type_text press key_down key_up navigate back forward reload new_tab
switch_tab close_tab select_option upload dialog open_app focus_window move_forward turn look go_to pick place velocity
control stop wait zoom respond call_user terminate
"""

NEEDED = inspect.Parameter.empty
"""The default of a parameter that must be given."""


def found(path: str) -> Any:
    """Import what ``module:name.attribute`` names."""
    module, _, rest = path.partition(":")
    value: Any = importlib.import_module(module)
    for name in rest.split("."):
        value = getattr(value, name)
    return value


def parameters(function: Callable[..., Any]) -> tuple[list[tuple[str, object]], dict[str, object]]:
    """Give what can be passed by position, in order with its default, and what by keyword alone."""
    given = [each for each in inspect.signature(function).parameters.values() if each.name != "self"]
    by_keyword = inspect.Parameter.KEYWORD_ONLY
    return (
        [(each.name, each.default) for each in given if each.kind is not by_keyword],
        {each.name: each.default for each in given if each.kind is by_keyword},
    )


SIGNATURES: list[tuple[str, list[tuple[str, object]], dict[str, object]]] = [
    (
        "foveate.agent:Agent",
        [("env", NEEDED), ("policy", NEEDED)],
        {
            "guard": None,
            "confirm": None,
            "confirm_timeout_s": 60,
            "max_steps": 50,
            "timeout_s": None,
            "record": None,
            "listeners": (),
        },
    ),
    ("foveate.agent:Agent.run", [("task", None)], {"seed": None, "episode": None}),
    ("foveate.agent:Agent.run_sync", [("task", None)], {"seed": None, "episode": None}),
    ("foveate.agent:Agent.stop", [], {}),
    ("foveate.agent.rollout:rollout", [("env", NEEDED), ("policy", NEEDED), ("task", None)], {}),
    ("foveate.actions.geometry:Point", [("x", NEEDED), ("y", NEEDED)], {}),
    (
        "foveate.actions.geometry:Box",
        [("left", NEEDED), ("top", NEEDED), ("right", NEEDED), ("bottom", NEEDED)],
        {},
    ),
    ("foveate.actions.geometry:Frame", [("width", NEEDED), ("height", NEEDED), ("left", 0), ("top", 0)], {}),
    ("foveate.actions.geometry:Convention.resized", [("width", NEEDED), ("height", NEEDED)], {}),
    (
        "foveate.actions.parse:parse_answer",
        [("text", NEEDED)],
        {"frame": NEEDED, "convention": NEEDED, "kinds": None},
    ),
    (
        "foveate.actions.guard:Guard.check",
        [("action", NEEDED), ("scene", NEEDED), ("task", NEEDED), ("target", NEEDED)],
        {},
    ),
    ("foveate.actions.guard:Guard", [("limits", None), ("ask", "risky")], {}),
    ("foveate.actions.guard:Guard.off", [], {}),
    ("foveate.actions.guard:Secret", [("value", NEEDED), ("hosts", NEEDED)], {}),
    (
        "foveate.envs.browser:BrowserEnv",
        [("url", None)],
        {"viewport": None, "device_scale_factor": 1.0, "headless": True, "limits": None},
    ),
    ("foveate.envs.check:check_env", [("env", NEEDED)], {}),
    (
        "foveate.policies.internvl:InternVLPolicy",
        [("model", "tiny")],
        {"engine": "auto", "profile": None, "look": None},
    ),
    ("foveate.policies.retry:RetryPolicy", [("policy", NEEDED), ("attempts", 1)], {}),
    (
        "foveate.policies.internvl.tiling:tile_grid",
        [("width", NEEDED), ("height", NEEDED)],
        {"min_tiles": 1, "max_tiles": 12, "tile": 448},
    ),
    ("foveate.policies.internvl.vir:route", [("gate", NEEDED)], {"relative": NEEDED, "absolute": NEEDED}),
    ("foveate.policies.scripted:ScriptedPolicy", [("answers", NEEDED)], {}),
]


@pytest.mark.parametrize(("path", "by_position", "by_keyword"), SIGNATURES, ids=[row[0] for row in SIGNATURES])
def test_a_name_that_others_rely_on_takes_what_it_took(
    path: str, by_position: list[tuple[str, object]], by_keyword: dict[str, object]
) -> None:
    positional, keyword = parameters(found(path))
    assert positional[: len(by_position)] == by_position
    assert all(default is not NEEDED for _, default in positional[len(by_position) :])
    assert {name: keyword.get(name, "absent") for name in by_keyword} == by_keyword
    assert not [name for name, default in keyword.items() if default is NEEDED and name not in by_keyword]


def test_limits_take_four_things_and_each_has_a_default() -> None:
    assert list(inspect.signature(Limits).parameters) == ["allow", "secrets", "masks", "files"]
    limits = Limits()
    assert (limits.allow, dict(limits.secrets), limits.masks, limits.files) == (None, {}, (), ())
    assert Secret("sesame", ("example.org",)).value == "sesame"


def test_what_is_awaited_is_awaited_and_the_guard_is_not() -> None:
    for path in ("foveate.agent.rollout:rollout", "foveate.envs.check:check_env"):
        assert inspect.iscoroutinefunction(found(path)), path
    running = Agent(FakeEnv(), ScriptedPolicy([])).run()
    assert inspect.iscoroutine(running)
    running.close()
    for path in ("foveate.agent:Agent.run_sync", "foveate.agent:Agent.stop", "foveate.actions.guard:Guard.check"):
        assert not inspect.iscoroutinefunction(found(path)), path


def test_a_result_a_verdict_a_target_an_answer_and_a_trajectory_hold_what_they_held() -> None:
    wanted = {
        "foveate.agent:Result": ["status", "verified", "reason", "answer", "trajectory", "record"],
        "foveate.actions.guard:Verdict": ["ruling", "rule", "reason"],
        "foveate.actions.guard:Target": [
            "role",
            "name",
            "input_type",
            "form_address",
            "origin",
            "application",
            "window",
        ],
        "foveate.actions.parse:Answer": ["actions", "thought", "operation"],
        "foveate.agent:Trajectory": ["turns", "rewards", "seed", "frames"],
        "foveate.policies.base:Decision": ["actions", "thought", "operation", "raw", "usage", "attempts", "completion"],
        "foveate.policies.base:Turn": ["observation", "decision", "outcomes", "changed", "notes"],
        "foveate.policies.base:Look": ["max_tiles", "visual_tokens", "thinking", "sampling"],
        "foveate.envs.base:Step": ["observation", "reward", "terminated", "truncated", "applied", "error", "info"],
    }
    for path, names in wanted.items():
        held = list(inspect.signature(found(path)).parameters)
        assert [name for name in names if name not in held] == [], path
    assert Verdict("allow").ruling == "allow"
    assert Target().role is None


def test_what_a_scene_needs_is_what_it_needed() -> None:
    scene = found("foveate.actions.guard:Scene")
    members = {name for name, value in vars(scene).items() if isinstance(value, property)}
    assert members == {"frame", "url", "title", "window", "pose"}


def test_the_page_of_a_browser_and_the_lists_of_a_run_can_be_read() -> None:
    assert isinstance(inspect.getattr_static(found("foveate.envs.browser:BrowserEnv"), "page"), property)
    for name in ("started", "observed", "turned", "ended"):
        assert callable(getattr(found("foveate.agent:Listener"), name))


def test_every_kind_is_a_class_in_camel_case_that_says_its_kind() -> None:
    assert set(KINDS.split()) == schema.KINDS
    for kind in KINDS.split():
        cls = getattr(schema, "".join(part.capitalize() for part in kind.split("_")))
        assert cls.model_fields["kind"].default == kind
    assert schema.Action is not None
    assert schema.Click(at=Point(0.5, 0.5)).kind == "click"


def test_a_convention_is_one_of_four() -> None:
    names = [Convention.UNIT, Convention.PER_MILLE, Convention.PIXEL, Convention.resized(28, 28)]
    assert [convention.name for convention in names] == ["unit", "per_mille", "pixel", "resized"]
    frame = Frame(100, 50)
    assert Convention.PIXEL.point(99, 49, frame) == Point(0.995, 0.99)
    assert Box(0.0, 0.0, 1.0, 1.0).contains(Point(0.995, 0.99))


def test_what_parsing_raises_is_a_foveate_error() -> None:
    for text, error in (("hello", errors.ParseError), ("<action>click(x=2, y=0.5)</action>", errors.OutOfFrame)):
        with pytest.raises(errors.FoveateError) as raised:
            found("foveate.actions.parse:parse_answer")(text, frame=Frame(10, 10), convention=Convention.UNIT)
        assert type(raised.value) is error
