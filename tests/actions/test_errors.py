"""The error tree."""

import inspect

import pytest

from foveate.actions import errors

TREE = {
    "FoveateError": "Exception",
    "ActionError": "FoveateError",
    "ParseError": "ActionError",
    "OutOfFrame": "ActionError",
    "UnsupportedAction": "ActionError",
    "EnvError": "FoveateError",
    "ResetNeeded": "EnvError",
    "EnvClosed": "EnvError",
    "CaptureFailed": "EnvError",
    "NavigationFailed": "EnvError",
    "BrowserCrashed": "EnvError",
    "SimulatorCrashed": "EnvError",
    "PolicyError": "FoveateError",
    "ModelUnavailable": "PolicyError",
    "ModelTimeout": "PolicyError",
    "CheckpointError": "PolicyError",
    "RecordError": "FoveateError",
    "TrainingError": "FoveateError",
    "UsageError": "FoveateError",
    "WrongLoop": "FoveateError",
    "InUse": "FoveateError",
    "MissingDependency": "FoveateError",
}


def public_errors() -> dict[str, type[Exception]]:
    """The module's own exception classes."""
    return {
        name: cls
        for name, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, Exception) and not name.startswith("_")
    }


def test_the_tree_holds_these_errors_and_no_other() -> None:
    assert set(public_errors()) == set(TREE)


@pytest.mark.parametrize(("name", "parent"), TREE.items())
def test_an_error_has_its_place_in_the_tree(name: str, parent: str) -> None:
    classes = public_errors()
    wanted = classes.get(parent, Exception)
    above = [cls for cls in classes[name].__mro__[1:] if not cls.__name__.startswith("_")]
    assert above[0] is wanted


def test_the_docstring_draws_every_error() -> None:
    assert errors.__doc__ is not None
    assert all(name in errors.__doc__ for name in TREE)


@pytest.mark.parametrize("cls", [errors.ParseError, errors.OutOfFrame])
def test_an_unusable_answer_can_carry_its_decision(cls: type[errors.ParseError | errors.OutOfFrame]) -> None:
    error = cls("no action")
    assert error.decision is None
    error.decision = "the decision"
    assert cls("another").decision is None


def test_a_missing_dependency_says_what_installs_it() -> None:
    error = errors.MissingDependency("BrowserEnv", "pip install 'foveate[browser]'")
    assert str(error) == "BrowserEnv needs: pip install 'foveate[browser]'"
    assert (error.what, error.remedy) == ("BrowserEnv", "pip install 'foveate[browser]'")
