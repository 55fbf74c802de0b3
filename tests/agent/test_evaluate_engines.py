"""``foveate eval`` of one model on several engines: the same answers, figures that say which."""

from pathlib import Path
from typing import Any

import pytest

from foveate.actions.errors import UsageError
from foveate.agent.evaluate import Plan, evaluate, head_of
from foveate.agent.evaluation_worker import Deciding, policy_of

pytestmark = [pytest.mark.browser, pytest.mark.torch]


def points(figures: dict[str, Any]) -> list[Any]:
    return [item.get("point") for item in figures["items"]]


def test_the_bundled_model_points_alike_on_torch_and_on_llamacpp(chromium: str, tiny_gguf: Path) -> None:
    torch, llamacpp = (
        evaluate(Plan("clicks", Deciding(model=model, engine=engine, browser=chromium), episodes=8), lambda _: None)
        for model, engine in (("tiny", "torch"), (str(tiny_gguf), "llamacpp"))
    )
    assert points(torch) == points(llamacpp)
    assert any(point is not None for point in points(torch))
    assert "engine" not in torch["head"]
    assert llamacpp["head"]["engine"] == "llamacpp"


def test_figures_name_the_engine_and_the_weights_it_had(tiny_gguf: Path, small_gguf: Path) -> None:
    tiny, small = (head_of(Deciding(model=str(folder), engine="llamacpp")) for folder in (tiny_gguf, small_gguf))
    assert tiny["weights"] != small["weights"]
    assert tiny == head_of(Deciding(model=str(tiny_gguf), engine="llamacpp"))
    served = head_of(Deciding(engine="openai:http://127.0.0.1:9"))
    assert (served["engine"], served["weights"]) == ("openai:http://127.0.0.1:9", None)


def test_an_engine_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="no engine 'vllm'"):
        policy_of(Deciding(engine="vllm"))
