"""How LMDeploy is set up for a model, or why it cannot serve it."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from foveate.actions.errors import ModelUnavailable
from foveate.policies.engines.servable import Servable
from foveate.policies.internvl.checkpoint import BUNDLED

Backend: TypeAlias = Literal["pytorch", "turbomind"]
"""LMDeploy's two engines; Flash is in the first alone, a prefix cache with pictures in the second alone."""

_PREFILL: Final = 8192


@dataclass(frozen=True, slots=True)
class Settings:
    """What LMDeploy's engine is built with.

    Attributes:
        backend: Which of its engines.
        flash: Whether the router is on; None without one.
        config: Fields of its ``PytorchEngineConfig`` or ``TurbomindEngineConfig``.
    """

    backend: Backend
    flash: bool | None
    config: dict[str, Any] = field(repr=False)


def check_lmdeploy(subject: Servable, *, flash: bool | None, backend: Backend | None) -> bool | None:
    """Check that LMDeploy can serve a model as it is asked to; gives whether its router is on, None without one.

    Raises:
        ModelUnavailable: If it cannot; names why.
    """
    if subject.model in BUNDLED:
        raise ModelUnavailable(f"the bundled model {subject.model!r} is not for LMDeploy: take the engine torch")
    if subject.gguf:
        raise ModelUnavailable(f"{subject.model} is GGUF, which LMDeploy does not read: take the engine llamacpp")
    if subject.gpt_oss:
        raise ModelUnavailable(f"LMDeploy has no InternVL with GPT-OSS: serve {subject.model} with vLLM")
    if not subject.router:
        if flash:
            raise ModelUnavailable(
                f"{subject.model} cannot run Flash: it has no router. Take one whose name ends in -Flash, or leave "
                "flash out"
            )
        return None
    if backend == "turbomind":
        raise ModelUnavailable(
            f"{subject.model} has a router, and TurboMind would leave it out without a word: take LMDeploy's backend "
            "pytorch"
        )
    return subject.flash if flash is None else flash


def settings(subject: Servable, backend: Backend, *, flash: bool | None, tp: int, context: int, batch: int) -> Settings:
    """Lay out what LMDeploy's engine is built with.

    A router judges all tiles of a batch together, so that another request would change what this one sees: with one,
    requests are served one by one.

    Args:
        subject: The model, checked.
        backend: Which of LMDeploy's engines.
        flash: Whether the router is on; None without one.
        tp: Graphics cards.
        context: Greatest number of tokens of a prompt, every tile whole, and its answer.
        batch: Requests that are served at once.
    """
    length = min(context, subject.context)
    config: dict[str, Any] = {"tp": tp, "session_len": length, "enable_metrics": False}
    if backend == "turbomind":
        return Settings(backend, None, {**config, "max_batch_size": batch, "enable_prefix_caching": True})
    config |= {"device_type": "cuda", "enable_prefix_caching": False}  # of InternVL it caches no pictures here
    if flash is None:
        return Settings(backend, None, {**config, "max_batch_size": batch})
    overrides = {"flash_mode": flash}  # said in any case: without the key its weights have nowhere to go
    whole = max(_PREFILL, length)  # a prompt is decided on as a whole
    return Settings(
        backend, flash,
        {**config, "max_batch_size": 1 if flash else batch, "hf_overrides": overrides, "max_prefill_token_num": whole},
    )  # fmt: skip
