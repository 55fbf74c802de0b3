"""A model from the hub on a machine without what fetches it."""

import sys

import pytest

from foveate.actions.errors import MissingDependency
from foveate.policies.internvl import checkpoint


def test_without_the_hubs_library_the_line_that_brings_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingDependency, match=r"pip install 'foveate\[torch\]'") as missing:
        checkpoint.find("nobody/nothing")
    assert isinstance(missing.value.__cause__, ImportError)
