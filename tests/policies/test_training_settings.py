from pathlib import Path
from typing import Any

import pytest

from foveate.actions.errors import UsageError
from foveate.policies.training.settings import Settings, StageSettings
from foveate.policies.training.settings_file import differences, read_settings, settings_of

STAGE: dict[str, Any] = {"name": "read", "objectives": {"chars": 1.0}, "steps": 10}


def made(**more: Any) -> Settings:
    return settings_of({"data": {"browserless": 1.0}, "stages": [STAGE], **more}, "run.toml")


def refused(**more: Any) -> str:
    with pytest.raises(UsageError) as caught:
        made(**more)
    return str(caught.value)


def stage(**more: Any) -> dict[str, Any]:
    return {**STAGE, **more}


def test_a_wrong_key_is_named_with_the_one_that_was_meant() -> None:
    assert refused(stages=[stage(rat=1e-3)]) == "run.toml: there is no key stages[0].rat: did you mean rate?"
    assert "optimiser.clipp: did you mean clip?" in refused(optimiser={"clipp": 1})
    assert "there are seed, shape, data" in refused(zzz=1)
    assert "data.shards.pages.folde: did you mean folder?" in refused(data={"shards": {"pages": {"folde": "x"}}})


def test_a_wrong_value_is_named_with_what_it_must_be() -> None:
    assert refused(stages=[stage(rate=-1)]) == "run.toml: stages[0].rate = -1: Input should be greater than 0"
    assert "stages[0].objectives.smell" in refused(stages=[stage(objectives={"smell": 1.0})])
    assert "tile = 450 is no multiple of twice patch = 28" in refused(shape={"tile": 450})
    assert "text_layers = 2" in refused(shape={"text_layers": 2})


def test_a_budget_is_one_of_three() -> None:
    assert "one of steps, pages and minutes, not steps and minutes" in refused(stages=[stage(minutes=1.0)])
    assert "not none" in refused(stages=[stage(steps=None)])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"stages": [STAGE, STAGE]}, "two have the same name among read, read"),
        ({"stages": [stage(gate={"metric": "point", "at_least": 0.5})]}, "'point' is not measured: take one of chars"),
        ({"stages": [stage(objectives={"say": 1.0}, patches=9)]}, "patches: an answer needs to see the whole screen"),
        ({"stages": [stage(objectives={"say": 1.0}, questions=0)]}, "nothing is asked"),
        ({"stages": [stage(shares={"pages": 1.0})]}, "shares.pages is no source; there are browserless"),
        ({"data": {}}, "stage read: no screens"),
        ({"data": {"shards": {"browserless": {"folder": "x"}}}}, "the name is taken"),
        ({"stages": []}, "stages"),
        ({"seed": 10**23}, "seed"),
        ({"run": {"threads": 100_000}}, "run.threads"),
        ({"data": {"browserless": 1.0, "held_out": 1.0}}, "data.held_out"),
        ({"stages": [stage(rate=float("inf"))]}, "rate"),
        ({"stages": [stage(objectives={"chars": float("inf")})]}, "chars"),
        ({"shape": {"vision_width": 6_400_000}}, "shape.vision_width"),
        ({"shape": {"context": 40}}, "context = 40 holds no prompt: a picture takes 64 tokens"),
    ],
)
def test_what_does_not_fit_together_is_refused(wrong: dict[str, Any], says: str) -> None:
    assert says in refused(**wrong)


def test_a_file_that_cannot_be_read_or_is_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"missing.toml cannot be read: No such file"):
        read_settings(tmp_path / "missing.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("seed = \n")
    with pytest.raises(UsageError, match=r"broken.toml is no TOML: .*line 1"):
        read_settings(broken)


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("tiny", ["read", "point", "act", "practise", "rehearse", "perform", "conclude"]),
        ("tiny-long", ["read", "point", "act", "practise"]),
        ("tiny-more", ["more"]),
    ],
)
def test_the_configurations_that_come_with_the_package_can_be_read(name: str, stages: list[str]) -> None:
    from foveate.agent.training.running import config_path

    settings = read_settings(config_path(name))
    assert [one.name for one in settings.stages] == stages
    assert settings.shares(settings.stages[-1])["programs"] > 0
    with pytest.raises(UsageError, match=r"no such file: give a TOML file, or one of tiny"):
        config_path("tiniest")


def test_a_stage_that_only_sees_asks_nothing() -> None:
    settings = made(stages=[STAGE, stage(name="say", objectives={"say": 1.0})])
    assert [settings.questions(one) for one in settings.stages] == [0, 5]


def test_two_configurations_differ_by_what_changes_results_alone() -> None:
    before = made(run={"workers": 1})
    assert differences(before, made(run={"workers": 4, "threads": 2})) == []
    found = differences(before, made(seed=3, stages=[stage(rate=1.0)]))
    assert found == ["seed was 0 and is 3", "stages[0].rate was 0.002 and is 1.0"]
    again = Settings.model_validate_json(before.model_dump_json())
    assert differences(before, again) == []


def test_every_field_says_what_it_is() -> None:
    def tables(model: Any) -> set[Any]:
        found = {model}
        for field in model.model_fields.values():
            for one in (field.annotation, *getattr(field.annotation, "__args__", ())):
                if isinstance(one, type) and hasattr(one, "model_fields") and one not in found:
                    found |= tables(one)
        return found

    found = tables(Settings)
    assert StageSettings in found
    assert [
        f"{one.__name__}.{name}" for one in found for name, field in one.model_fields.items() if not field.description
    ] == []
