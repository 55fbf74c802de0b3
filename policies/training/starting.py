"""Where training begins: with random weights, or with those of a checkpoint, whose tokens are found by their names."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from foveate.actions.errors import CheckpointError, UsageError
from foveate.policies.engines.torch_loading import load_model, quiet
from foveate.policies.internvl import checkpoint as checkpoints
from foveate.policies.training.architecture import Shape, new_model
from foveate.policies.training.settings import ShapeSettings
from foveate.policies.training.tokenizer import build_tokenizer

_EMBEDDING, _OUTPUT = "model.language_model.embed_tokens.weight", "lm_head.weight"


class Start(NamedTuple):
    """A model to train.

    Attributes:
        model: An ``InternVLForConditionalGeneration``, float32, on the CPU.
        shape: Its sizes.
        new_tokens: How many tokens the checkpoint did not know; 0 for random weights.
    """

    model: Any
    shape: Shape
    new_tokens: int = 0


def fresh(settings: ShapeSettings | None, *, seed: int) -> Start:
    """Begin with random weights."""
    shape = Shape() if settings is None else Shape(**settings.model_dump())
    return Start(new_model(shape, seed=seed), shape)


def given(model: str | Path, settings: ShapeSettings | None, *, seed: int) -> Start:
    """Begin with the weights of a checkpoint.

    Args:
        model: A bundled model's name, or a folder in transformers' layout.
        settings: The sizes it is to have; None is whatever it has.
        seed: Of the rows of tokens that it does not know.

    Raises:
        ModelUnavailable: If there is no such checkpoint.
        CheckpointError: If it is broken.
        UsageError: If it has other sizes; names them.
    """
    folder = checkpoints.find(model)
    found = checkpoints.check(folder)
    shape = _shape_of(folder)
    if settings is not None:
        wanted = Shape(**settings.model_dump())
        theirs = asdict(shape)
        differ = [
            f"{name} {theirs[name]} and not {value}" for name, value in asdict(wanted).items() if theirs[name] != value
        ]
        if differ:
            raise UsageError(
                f"--init {model} does not fit the configuration's [shape]: it has {', '.join(differ)}: "
                "leave [shape] out, or begin without --init"
            )
    start = new_model(shape, seed=seed)
    with quiet():
        state = load_model(found, torch.float32).state_dict()
    _check_fit(model, start.state_dict(), state)
    known = _vocabulary(folder, len(state[_EMBEDDING]))
    own = build_tokenizer().get_vocab()
    for name in (_EMBEDDING, _OUTPUT):
        state[name] = _by_name(start.state_dict()[name], state[name], own, known)
    start.load_state_dict(state)
    return Start(start, shape, sum(token not in known for token in own))


def _check_fit(model: str | Path, wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Check that weights are those of a model that training makes, and are numbers.

    Raises:
        UsageError: If they are of another one; names the first that is.
        CheckpointError: If one is not finite.
    """
    for name in sorted({*wanted, *state}):
        there, here = state.get(name), wanted.get(name)
        if there is None or here is None or there.shape != here.shape:
            sizes = " and not ".join("missing" if one is None else str(list(one.shape)) for one in (there, here))
            raise UsageError(
                f"--init {model}: {name} is {sizes}, as foveate's own training makes it: give a checkpoint of that"
            )
        if not bool(torch.isfinite(there).all()):
            raise CheckpointError(f"--init {model}: {name} holds values that are no numbers: give another checkpoint")


def _by_name(fresh_rows: Tensor, rows: Tensor, own: Mapping[str, int], known: Mapping[str, int]) -> Tensor:
    """Give each known token its row; a new one begins at the mean of all, with a little noise to tell it apart.

    Rows that no token uses stay what they are: the checkpoint has learned not to say them.
    """
    theirs = rows[torch.tensor([known[token] for token in own if token in known])]
    found = rows.clone()
    for token, number in own.items():
        if token not in known:
            noise = torch.nn.functional.normalize(fresh_rows[number], dim=-1)
            found[number] = theirs.mean(0) + 0.1 * theirs.std() * noise
    found[torch.tensor([number for token, number in own.items() if token in known])] = theirs
    return found


def _vocabulary(folder: Path, rows: int) -> dict[str, int]:
    data = checkpoints.read_json(folder / "tokenizer.json")
    try:
        added = {one["content"]: int(one["id"]) for one in data["added_tokens"]}
        known = {**{token: int(number) for token, number in data["model"]["vocab"].items()}, **added}
        if not all(0 <= number < rows for number in known.values()):
            raise ValueError(f"it names tokens beyond the {rows} that the weights have")
        return known
    except (KeyError, TypeError, AttributeError, ValueError) as exc:
        raise CheckpointError(f"{folder / 'tokenizer.json'} is none: {json.dumps(str(exc))}") from exc


def _shape_of(folder: Path) -> Shape:
    """Read the sizes from a checkpoint's configuration."""
    config = checkpoints.read_json(folder / "config.json")
    vision, text = config["vision_config"], config["text_config"]
    try:
        return Shape(
            tile=int(vision["image_size"][0]),
            patch=int(vision["patch_size"][0]),
            vision_width=int(vision["hidden_size"]),
            vision_layers=int(vision["num_hidden_layers"]),
            text_width=int(text["hidden_size"]),
            text_layers=int(text["num_hidden_layers"]),
            head=int(text["head_dim"]),
            context=int(text["max_position_embeddings"]),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise CheckpointError(f"{folder / 'config.json'} is not of foveate's own training: {exc}") from exc
