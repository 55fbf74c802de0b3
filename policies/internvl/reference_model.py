"""transformers' own InternVL: its class, and models of it without memory; whatever it raises becomes one clear line."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from foveate.actions.errors import CheckpointError, ModelUnavailable


def internvl_class() -> Any:
    """Give transformers' class of InternVL.

    Raises:
        ModelUnavailable: If this transformers has none, or one that cannot be imported.
    """
    import transformers

    try:
        return transformers.InternVLForConditionalGeneration
    except (ImportError, AttributeError, RuntimeError) as exc:  # a torchvision that does not fit torch raises here too
        raise ModelUnavailable(
            f"transformers {transformers.__version__} cannot give InternVL's class ({' '.join(str(exc).split())[:300]})"
            ": pip install 'transformers>=4.57', and uninstall a torchvision that does not fit torch"
        ) from exc


def internvl_config(folder: Path, config: Mapping[str, Any]) -> Any:
    """Give transformers' configuration of what a checkpoint's says.

    Args:
        folder: The checkpoint's, for the message.
        config: As in transformers' layout.

    Raises:
        CheckpointError: If it makes no sense.
    """
    import transformers

    with _named(folder):
        return transformers.InternVLConfig.from_dict(dict(config))


def without_memory(folder: Path, config: Any) -> Any:
    """Build the model of an ``InternVLConfig`` on torch's meta device: names and shapes, no numbers.

    Raises:
        CheckpointError: If the configuration makes no model.
        ModelUnavailable: If this transformers has no InternVL.
    """
    import torch

    internvl = internvl_class()
    with _named(folder), torch.device("meta"):
        return internvl(config)


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    try:
        yield
    except Exception as exc:  # validators raise of many kinds, and so does what divides by what it was given
        said = " ".join(str(exc).split())[:300]
        raise CheckpointError(f"{folder / 'config.json'} makes no model: {said}") from exc
