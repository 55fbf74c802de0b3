"""The guard's rulings, by kind and address."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from foveate.actions.geometry import Box, Frame, Point
from foveate.actions.guard import Ask, Guard, Limits, Secret, Target, Verdict
from foveate.actions.schema import (
    CLASSES,
    KINDS,
    LOOP_KINDS,
    Action,
    ActionModel,
    Click,
    Key,
    Navigate,
    OpenApp,
    TypeText,
    Upload,
)


@dataclass
class Scene:
    """An observation as the guard sees it."""

    frame: Frame = field(default_factory=lambda: Frame(100, 100))
    url: str | None = "https://example.org/"
    title: str | None = None
    window: str | None = None
    pose: tuple[float, ...] | None = None


LIMITS = Limits(allow=("example.org",), files=("/home/me/cv.pdf", "photo.png"))
HERE = Point(0.5, 0.5)
FIELDS: dict[str, Any] = {
    "at": HERE, "path": (HERE,), "text": "a", "keys": (Key.A,), "key": Key.A, "url": "https://example.org/", "index": 0,
    "value": "v", "paths": ("cv.pdf",), "accept": True, "name": "n", "title": "t", "angle_deg": 1.0, "duration_s": 1.0,
    "values": (0.0,), "region": Box(0, 0, 1, 1), "answer": "a",
}  # fmt: skip


def one_of(kind: str) -> ActionModel:
    """A harmless action of a kind."""
    wanted = CLASSES[kind].model_fields
    return CLASSES[kind](**{name: value for name, value in FIELDS.items() if name in wanted})


def ruling(action: Action | ActionModel, *, ask: Ask = "risky", limits: Limits = LIMITS) -> Verdict:
    """The verdict of a guard on an action."""
    return Guard(limits, ask).check(action, Scene(), "Buy milk", None)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_by_default_only_uploads_and_applications_are_asked_about(kind: str) -> None:
    verdict = ruling(one_of(kind))
    if kind in ("upload", "open_app"):
        assert (verdict.ruling, verdict.rule) == ("confirm", f"kind:{kind}")
        assert kind in verdict.reason
    else:
        assert verdict == Verdict("allow", "default", "")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_always_asks_about_every_action_on_the_world(kind: str) -> None:
    verdict = ruling(one_of(kind), ask="always")
    assert verdict.ruling == ("allow" if kind in LOOP_KINDS | {"wait", "stop"} else "confirm")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_never_asks_about_nothing_and_warns_of_what_it_would_have_asked(kind: str) -> None:
    verdict = ruling(one_of(kind), ask="never")
    assert verdict.ruling == "allow"
    assert ("without asking" in verdict.reason) == (kind in ("upload", "open_app"))


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.com/",
        "javascript:alert(1)",
        "data:text/html,x",
        "chrome://settings",
        "file:///etc/passwd",
        "https://example.org@evil.com/",
        "https://evil.com\\@example.org/",
        "evil.com",
        "about:blank",
    ],
)
@pytest.mark.parametrize("ask", ["never", "risky", "always"])
def test_an_address_outside_the_list_is_refused_whoever_is_asked(url: str, ask: Ask) -> None:
    verdict = ruling(Navigate(url=url), ask=ask)
    assert (verdict.ruling, verdict.rule) == ("refuse", "address")
    assert verdict.reason == LIMITS.refusal(url)


def test_an_address_on_the_list_is_allowed() -> None:
    assert ruling(Navigate(url="https://www.example.org/a?b#c")).ruling == "allow"


def test_without_a_list_every_address_is_refused() -> None:
    assert Guard().check(Navigate(url="https://example.org/"), Scene(), "", None).ruling == "refuse"
    assert ruling(Navigate(url="https://a.b/"), limits=Limits(allow=("*",))).ruling == "allow"


@pytest.mark.parametrize("path", ["cv.pdf", "photo.png"])
def test_a_file_that_the_user_named_is_asked_about_by_its_base_name(path: str) -> None:
    assert ruling(Upload(paths=(path,))).ruling == "confirm"


@pytest.mark.parametrize(
    "paths",
    [
        ("passwd",),
        ("/home/me/cv.pdf",),
        ("../cv.pdf",),
        ("cv.pdf", "id_rsa"),
        ("CV.pdf",),
        ("",),
    ],
)
@pytest.mark.parametrize("ask", ["never", "risky", "always"])
def test_a_file_that_the_user_did_not_name_is_refused(paths: tuple[str, ...], ask: Ask) -> None:
    verdict = ruling(Upload(paths=paths), ask=ask)
    assert (verdict.ruling, verdict.rule) == ("refuse", "file")
    assert "--file PATH" in verdict.reason


def test_a_guard_that_is_off_allows_everything_and_stays_off() -> None:
    off = Guard.off()
    for guard in (off, off.with_limits(LIMITS)):
        for action in (Navigate(url="javascript:1"), Upload(paths=("x",)), OpenApp(name="rm")):
            assert guard.check(action, Scene(), "", None) == Verdict("allow")


def test_other_limits_keep_how_a_person_is_asked() -> None:
    guard = Guard(ask="always").with_limits(LIMITS)
    assert guard.limits is LIMITS and guard.ask == "always"
    assert guard.check(Click(at=HERE), Scene(), "", None).rule == "always"
    assert guard.check(Navigate(url="https://example.org"), Scene(), "", None).ruling == "confirm"


def test_a_guard_asks_never_risky_or_always() -> None:
    with pytest.raises(ValueError, match="never, risky or always, not 'sometimes'"):
        Guard(ask="sometimes")  # type: ignore[arg-type]


def test_a_ruling_is_pure() -> None:
    guard, action = Guard(LIMITS), TypeText(text="{{password}}")
    target = Target(role="textbox", input_type="password", origin="https://example.org")
    assert guard.check(action, Scene(), "a", target) == guard.check(action, Scene(), "a", target)
    assert guard.limits is LIMITS


def test_a_reason_never_holds_a_secret() -> None:
    limits = Limits(allow=("example.org",), secrets={"password": Secret("hunter2", ("example.org",))})
    assert "hunter2" not in repr(ruling(Navigate(url="https://evil.com"), limits=limits))
