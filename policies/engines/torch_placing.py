"""Where a loaded model's weights go: one device or all GPUs, and the language model's matrices in 8 or 4 bits."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import nn

from foveate.actions.errors import MissingDependency, ModelUnavailable, first_line

EVERY_GPU: Final = "cuda:all"
"""The device that is all GPUs together, each with some of the layers."""

_BLOCK = 64
"""Columns that share a scale in 4 bits; 8 bits could do with fewer, and no model needs it."""

_CPU_FULL: Final = "DefaultCPUAllocator"
"""In what torch says where the machine itself has no memory left; that error has no class of its own."""

_EXTRA = "pip install 'foveate[quantised]'"


@contextmanager
def enough_memory(device: torch.device) -> Iterator[None]:
    """Map torch's lack of memory to ModelUnavailable."""
    try:
        yield
    except RuntimeError as exc:
        first = first_line(exc)
        if not isinstance(exc, torch.OutOfMemoryError) and _CPU_FULL not in first:
            raise
        raise ModelUnavailable(
            f"{device} has not enough memory: {first}: lower the number of tiles (--tiles), take fewer bits "
            "(--bits 8 or 4) or more GPUs (--device cuda:all), a smaller model, or a server elsewhere (--engine "
            "openai:URL)"
        ) from exc


def check_bits(bits: int, text: Mapping[str, Any]) -> None:
    """Check, before anything is loaded, that a language model can have so many bits and what they need is installed.

    Args:
        bits: Of a number of its matrices; 16 is all that they have.
        text: Its configuration.

    Raises:
        ModelUnavailable: If there is no such number, or it is a mixture of experts, whose matrices are no layers of
            their own.
        MissingDependency: If bitsandbytes is missing.
    """
    if bits not in (16, 8, 4):
        raise ModelUnavailable(f"no weights of {bits} bits: choose 16, 8 or 4")
    if bits == 16:
        return
    if text.get("num_experts") or text.get("num_local_experts"):
        raise ModelUnavailable(
            f"a mixture of experts cannot be brought to {bits} bits here: serve it with LMDeploy or vLLM, or leave the "
            "bits out"
        )
    try:
        import bitsandbytes  # noqa: F401
    except Exception as exc:  # its loader of kernels raises of many kinds
        raise MissingDependency(f"a model in {bits} bits", _EXTRA) from exc


def quantise(model: Any, bits: int) -> None:
    """Bring the matrices of a language model to 8 or 4 bits, one after the other; those of its head stay.

    The vision tower and the projectors stay, too: they are small, and what they see is what everything rests on.
    The numbers are counted when the model is moved to a device. Source: LLM.int8() (8 bits, without outliers kept
    apart) and NF4 (4 bits), as bitsandbytes has them.

    Args:
        model: An ``InternVLForConditionalGeneration`` on the CPU, in 16 or 32 bits.
        bits: Checked; 16 leaves it as it is.

    Raises:
        ModelUnavailable: If a matrix has columns that no block divides.
    """
    if bits == 16:
        return
    for module in list(model.model.language_model.modules()):
        for name, layer in list(module.named_children()):
            if type(layer) is not nn.Linear:
                continue
            if layer.in_features % _BLOCK:
                raise ModelUnavailable(
                    f"{name} has {layer.in_features} columns, {bits} bits take {_BLOCK} at a time: leave the bits out"
                )
            setattr(module, name, _fewer(layer, bits))


def _fewer(layer: nn.Linear, bits: int) -> nn.Module:
    import bitsandbytes

    size, weight = (layer.in_features, layer.out_features, layer.bias is not None), layer.weight.data
    kinds: Any = bitsandbytes.nn
    with torch.device("meta"):
        if bits == 8:
            new = kinds.Linear8bitLt(*size, has_fp16_weights=False)
        else:
            new = kinds.Linear4bit(*size, compute_dtype=weight.dtype, quant_type="nf4")
    if bits == 8:
        new.weight = kinds.Int8Params(weight, requires_grad=False, has_fp16_weights=False)
    else:
        new.weight = kinds.Params4bit(weight, requires_grad=False, quant_type="nf4", module=new)
    new.bias = layer.bias
    fewer: nn.Module = new
    return fewer


def spread(model: Any, bits: int = 16) -> Any:
    """Give every GPU some of a model's layers, as much as fits evenly.

    Args:
        model: As ``quantise`` left it: its numbers become fewer on the GPUs alone, and are counted as such.
        bits: What ``quantise`` was given.

    Raises:
        MissingDependency: If accelerate is missing.
        ModelUnavailable: If the GPUs together have no room for it.
    """
    try:
        from accelerate import dispatch_model, infer_auto_device_map
        from accelerate.utils import get_balanced_memory
    except ImportError as exc:
        raise MissingDependency("a model on several GPUs", _EXTRA) from exc
    whole = list(getattr(model, "_no_split_modules", None) or ())
    how = {"no_split_module_classes": whole, "dtype": model.dtype, "special_dtypes": _stored(model, bits)}
    room = get_balanced_memory(model, **how)
    where = infer_auto_device_map(model, max_memory=room, **how)
    left = sorted({str(one) for one in where.values() if one in ("cpu", "disk")})
    if left and torch.cuda.is_available():
        raise ModelUnavailable(
            f"the {torch.cuda.device_count()} GPUs have no room for all of it: take 8 or 4 bits, or a smaller model"
        )
    return dispatch_model(model, where)


def _stored(model: Any, bits: int) -> dict[str, Any]:
    """Say of each weight of fewer bits, by name, how accelerate is to count it."""
    if bits == 16:
        return {}
    import bitsandbytes
    from accelerate.utils import CustomDtype

    kinds: Any = bitsandbytes.nn
    kind, number = (kinds.Int8Params, torch.int8) if bits == 8 else (kinds.Params4bit, CustomDtype.INT4)
    return {name: number for name, weight in model.named_parameters() if isinstance(weight, kind)}
