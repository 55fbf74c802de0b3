"""Loading for the torch engine: device, tokenizer, model and end tokens, every foreign error made one clear line."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import transformers

from foveate.actions.errors import CheckpointError, ModelUnavailable, first_line
from foveate.policies.internvl.checkpoint import Checkpoint
from foveate.policies.internvl.converting import Weights, plan
from foveate.policies.internvl.fingerprint import vision_sources
from foveate.policies.internvl.layouts import ROUTER, refuse_tensors
from foveate.policies.internvl.reference_model import internvl_class, internvl_config, without_memory

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_TOWER_LAYER = re.compile(r"(model\.)?vision_tower\.encoder\.layer\.|vision_model\.encoder\.layers\.")


def device_named(name: str) -> torch.device:
    """Give the device of a name; ``auto`` is a GPU where there is one, of ``cuda:all`` it is the first.

    Raises:
        ModelUnavailable: If there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+|:all)?", name):
        raise ModelUnavailable(f"no device {name!r}: choose auto, cpu, cuda, cuda:N or cuda:all")
    device = torch.device(name.removesuffix(":all"))
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelUnavailable(f"there is no {name} here ({torch.cuda.device_count()} GPUs found): choose cpu")
    return device


def dtype_named(name: str, device: torch.device) -> torch.dtype:
    """Give the number format of a name; ``auto`` is float32 on a CPU and bfloat16 on a GPU.

    Raises:
        ModelUnavailable: If there is no such format.
    """
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    if name not in _DTYPES:
        raise ModelUnavailable(f"no dtype {name!r}: choose auto, {', '.join(_DTYPES)}")
    return _DTYPES[name]


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """Load the tokenizer from its files; nothing is fetched and no code of the checkpoint's is run.

    Raises:
        CheckpointError: If it cannot be loaded, or the configuration beside it, which is read with it, makes no sense.
    """
    internvl_config(checkpoint.folder, checkpoint.config)
    try:
        return transformers.AutoTokenizer.from_pretrained(
            checkpoint.folder, local_files_only=True, trust_remote_code=False
        )
    except Exception as exc:  # the tokenizers library raises bare Exceptions
        raise CheckpointError(f"the tokenizer of {checkpoint.folder} cannot be loaded: {first_line(exc)}") from exc


def load_model(checkpoint: Checkpoint, dtype: torch.dtype, *, blind: bool = False) -> Any:
    """Load transformers' own InternVL from safetensors of either layout, on the CPU; a router is left out.

    Args:
        checkpoint: Where and what it is.
        dtype: Of the weights.
        blind: Leave out the vision tower's layers, for a model whose pictures are encoded elsewhere.

    Raises:
        ModelUnavailable: If this transformers has no InternVL.
        CheckpointError: If the configuration makes no model, or a tensor is missing, left over or of another shape; the
            message names it.
    """
    internvl = internvl_class()
    config = internvl_config(checkpoint.folder, checkpoint.config)
    if blind:
        config.vision_config.num_hidden_layers = 0
    try:
        model, info = internvl.from_pretrained(
            dtype=dtype,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are named and refused below
            config=config,
            **_where(checkpoint, blind=blind),
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ArithmeticError) as exc:
        raise CheckpointError(f"{checkpoint.folder} cannot be loaded: {first_line(exc)}") from exc
    wrong = {
        "has tensors of another shape than its configuration says": info.get("mismatched_keys", ()),
        "lacks tensors": info.get("missing_keys", ()),
        "holds tensors that its configuration does not know": info.get("unexpected_keys", ()),
    }
    named = {says: (key if isinstance(key, str) else str(key[0]) for key in keys) for says, keys in wrong.items()}
    if blind:
        named = {says: (name for name in names if not _TOWER_LAYER.match(name)) for says, names in named.items()}
    refuse_tensors(checkpoint.folder, named)
    return model


def load_tower(checkpoint: Checkpoint, dtype: torch.dtype) -> Any:
    """Load an InternVL that has its vision tower and projector alone, on the CPU; nothing else is read.

    Raises:
        ModelUnavailable: If this transformers has no InternVL.
        CheckpointError: If the configuration makes no model, or a tensor is missing, left over or of another shape;
            names it.
    """
    config = internvl_config(checkpoint.folder, checkpoint.config)
    config.text_config.num_hidden_layers = 1  # is made without memory and let go
    if getattr(config.text_config, "layer_types", None) is not None:
        config.text_config.layer_types = config.text_config.layer_types[:1]
    model = without_memory(checkpoint.folder, config)
    model.model.language_model, model.lm_head = None, None
    with Weights(checkpoint.folder) as weights:
        sources = vision_sources(checkpoint, weights)
        state = {f"model.{name}": weights.read(source).to(dtype) for name, source in sources.items()}
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as exc:
        said = " ".join(str(exc).split())[:300]
        raise CheckpointError(f"the vision tower of {checkpoint.folder} does not fit: {said}") from exc
    return model.eval()


def _where(checkpoint: Checkpoint, *, blind: bool) -> dict[str, Any]:
    """Say where transformers finds a checkpoint: its folder, or tensors that bear transformers' names."""
    if checkpoint.layout == "transformers":
        return {"pretrained_model_name_or_path": checkpoint.folder, "use_safetensors": True}
    with Weights(checkpoint.folder) as weights:
        routing = next((name for name in weights.shapes if name.startswith(ROUTER)), None)
        if routing is not None and checkpoint.thresholds is None:
            raise CheckpointError(
                f"{checkpoint.folder} holds a router's tensors ({routing}, ...), and its config.json says nothing of "
                "it: copy flash_relative_threshold and flash_absolute_threshold from the Flash checkpoint's"
            )
        own = {
            name: shape
            for name, shape in weights.shapes.items()
            if not name.startswith(ROUTER) and not (blind and _TOWER_LAYER.match(name))
        }
        state = {name: weights.read(source) for name, source in plan(own, "transformers").items()}
    return {"pretrained_model_name_or_path": None, "state_dict": state}


def end_tokens(model: Any, tokenizer: Any, im_end: int) -> frozenset[int]:
    """Collect the tokens that end an answer, wherever the checkpoint names them."""
    said = [model.generation_config.eos_token_id, model.config.text_config.eos_token_id, tokenizer.eos_token_id, im_end]
    ends: set[int] = set()
    for value in said:
        ends.update(value if isinstance(value, list) else [value] if isinstance(value, int) else [])
    return frozenset(ends)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from writing to the terminal while it loads."""
    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
