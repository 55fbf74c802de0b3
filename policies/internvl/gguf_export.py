"""Small InternVL checkpoints as GGUF, llama.cpp's files: one of the language model, one of vision tower and projector.

Only what the two files can say is written; anything else is refused by name. Big models are llama.cpp's own
converter's business: this one holds every tensor once in memory.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from foveate.actions.errors import CheckpointError, MissingDependency, UsageError
from foveate.policies.internvl.checkpoint import Checkpoint, check, read_json
from foveate.policies.internvl.converting import Source, Weights, plan
from foveate.policies.internvl.gguf_names import TEXT, TEXT_LAYER, VISION, VISION_LAYER
from foveate.policies.internvl.gguf_tokenizer import STAND_INS, WHOLE_WORDS, Vocabulary, vocabulary
from foveate.policies.internvl.layouts import on_disk, refuse_tensors

if TYPE_CHECKING:
    from gguf import GGUFWriter

Precision: TypeAlias = Literal["float32", "float16"]
"""Of matrices; vectors are always float32."""

MODEL_FILE: Final = "model.gguf"
"""The language model and the tokenizer."""

VISION_FILE: Final = "mmproj.gguf"
"""Vision tower and projector; llama.cpp's users know such files by this name."""

_END: Final = "<|im_end|>"


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        folder: Where.
        tensors: How many, in both files.
        size: Bytes of both files.
    """

    folder: Path
    tensors: int
    size: int


def export(
    source: Path, out: Path, *, precision: Precision = "float32", say: Callable[[str], None] = lambda _: None
) -> Exported:
    """Write a checkpoint as ``model.gguf`` and ``mmproj.gguf``.

    Args:
        source: A checkpoint's folder, in either layout, weights in safetensors.
        out: Where the result goes: a folder that is new or empty.
        precision: Of the matrices.
        say: Takes a line for people.

    Raises:
        UsageError: If ``out`` is in use or cannot be written, or there is no such precision.
        ModelUnavailable: If there is no checkpoint.
        CheckpointError: If the checkpoint is broken, or says what llama.cpp cannot do; names it.
        MissingDependency: If gguf, torch or safetensors is not installed.
    """
    try:
        import gguf  # noqa: F401 - the files are written with it
        import torch  # noqa: F401 - the tensors are read with it

        from foveate.policies.internvl.new_folder import new_folder
    except ImportError as exc:
        raise MissingDependency("convert --to gguf", "pip install 'foveate[torch,llamacpp]'") from exc
    if precision not in ("float32", "float16"):
        raise UsageError(f"no precision {precision!r}: choose float32 or float16")
    checkpoint = check(source)
    refuse(checkpoint)
    with new_folder(out) as part:
        with Weights(source) as weights:
            tensors = _Tensors(weights, checkpoint, precision)
            words = vocabulary(source, tensors.rows)
            count = 0
            for name, write in ((MODEL_FILE, _write_model), (VISION_FILE, _write_vision)):
                count += write(part / name, checkpoint, tensors, words)
                say(f"{name}: {(part / name).stat().st_size / 1e6:.1f} MB")
            tensors.finish()
        size = sum(path.stat().st_size for path in part.iterdir())
    return Exported(out, count, size)


def refuse(checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint whose configuration llama.cpp's InternVL cannot follow.

    Raises:
        CheckpointError: Names the key, its value, what is possible and the remedy.
    """
    if checkpoint.thresholds is not None:
        raise CheckpointError(
            f"{checkpoint.folder} is a Flash checkpoint: llama.cpp has no router. The torch and LMDeploy engines run it"
        )
    config = checkpoint.config
    vision, text = config["vision_config"], config["text_config"]
    rope = text.get("rope_parameters") or text.get("rope_scaling") or {}
    kinds = set(text.get("layer_types") or ("full_attention",))
    places = "use_absolute_position_embeddings"
    fixed: tuple[tuple[str, object, tuple[object, ...]], ...] = (
        ("text_config.model_type", text.get("model_type"), ("qwen3",)),
        ("text_config.hidden_act", text.get("hidden_act", "silu"), ("silu",)),
        ("text_config.attention_bias", text.get("attention_bias", False), (False,)),
        ("text_config.rope type", rope.get("rope_type", rope.get("type", "default")), ("default",)),
        ("text_config.layer_types", ", ".join(sorted(kinds)), ("full_attention",)),
        ("vision_config.hidden_act", vision.get("hidden_act", "gelu"), ("gelu",)),
        ("vision_config.norm_type", vision.get("norm_type", "layer_norm"), ("layer_norm",)),
        ("vision_config.use_qk_norm", vision.get("use_qk_norm", False), (False,)),
        ("vision_config.use_mean_pooling", vision.get("use_mean_pooling", True), (True,)),
        (f"vision_config.{places}", vision.get(places, True), (True,)),
        ("projector_hidden_act", config.get("projector_hidden_act", "gelu"), ("gelu",)),
        ("vision_feature_layer", config.get("vision_feature_layer", -1), (-1,)),
        ("vision_feature_select_strategy", config.get("vision_feature_select_strategy", "default"), ("default",)),
        ("downsample_ratio", config.get("downsample_ratio", 0.5), (0.5, 0.25, 1.0)),
    )  # fmt: skip
    for key, value, possible in fixed:
        if value not in possible:
            can = " or ".join(map(str, possible))
            raise CheckpointError(
                f"{checkpoint.folder}: {key} is {value}: only {can} is exported; take the torch engine for this "
                "checkpoint"
            )


class _Tensors:
    """A checkpoint's tensors under transformers' names, each given out once.

    Args:
        weights: Its files.
        checkpoint: What it is.
        precision: Of matrices.

    Attributes:
        rows: Of the embedding.

    Raises:
        CheckpointError: If it has no embedding.
    """

    def __init__(self, weights: Weights, checkpoint: Checkpoint, precision: Precision) -> None:
        self._weights, self._folder, self._precision = weights, checkpoint.folder, precision
        if checkpoint.layout == "github":
            self._left = plan(weights.shapes, "transformers")
        else:
            self._left = {on_disk(name): Source((name,)) for name in weights.shapes}
        embedding = self._left.get("language_model.model.embed_tokens.weight")
        if embedding is None:
            raise CheckpointError(f"{self._folder} lacks the tensor language_model.model.embed_tokens.weight")
        self.rows = weights.shapes[embedding.parts[0]][0]

    def has(self, name: str) -> bool:
        """Tell whether a tensor is still to be given out."""
        return name in self._left

    def take(self, name: str) -> Any:
        """Give a tensor as a numpy array, float32, or float16 where it is a matrix and that is wanted.

        Raises:
            CheckpointError: If there is none of that name, or its numbers are too great for float16.
        """
        import numpy as np

        source = self._left.pop(name, None)
        if source is None:
            raise CheckpointError(f"{self._folder} lacks the tensor {name}")
        values = self._weights.read(source).float().numpy()
        if self._precision == "float32" or values.ndim < 2:
            return values
        most = float(np.abs(values).max(initial=0.0))
        if most > float(np.finfo(np.float16).max):
            raise CheckpointError(f"{self._folder}: {name} holds {most:g}, too much for float16: take float32")
        return values.astype(np.float16)

    def finish(self) -> None:
        """Check that nothing was left out.

        Raises:
            CheckpointError: If a tensor was not written; names it.
        """
        refuse_tensors(self._folder, {"holds tensors that GGUF has no place for": self._left})


def _write_model(path: Path, checkpoint: Checkpoint, tensors: _Tensors, words: Vocabulary) -> int:
    """Write the language model with its tokenizer; gives the number of tensors."""
    import gguf

    text = checkpoint.config["text_config"]
    heads = int(text["num_attention_heads"])
    size = int(text.get("head_dim") or text["hidden_size"] // heads)
    rope = text.get("rope_parameters") or {}
    writer = gguf.GGUFWriter(path, "qwen3")
    writer.add_name(checkpoint.folder.name)
    writer.add_context_length(checkpoint.context)
    writer.add_embedding_length(int(text["hidden_size"]))
    writer.add_block_count(int(text["num_hidden_layers"]))
    writer.add_feed_forward_length(int(text["intermediate_size"]))
    writer.add_head_count(heads)
    writer.add_head_count_kv(int(text.get("num_key_value_heads") or heads))
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_freq_base(float(rope.get("rope_theta") or text.get("rope_theta") or 10_000.0))
    writer.add_layer_norm_rms_eps(float(text.get("rms_norm_eps", 1e-6)))
    if checkpoint.profile is not None:
        writer.add_string("foveate.profile", checkpoint.profile)
    _write_tokenizer(writer, checkpoint, words)
    tied = bool(checkpoint.config.get("tie_word_embeddings", text.get("tie_word_embeddings", False)))
    found = dict(_model_tensors(tensors, int(text["num_hidden_layers"]), tied=tied))
    for own, row in (words.stand_ins or {}).values():
        found["token_embd.weight"][row] = found["token_embd.weight"][own]
    return _finish(writer, found)


def _model_tensors(tensors: _Tensors, layers: int, *, tied: bool) -> Iterator[tuple[str, Any]]:
    for theirs, ours in TEXT:
        yield ours, tensors.take(f"language_model.model.{theirs}")
    if not tied or tensors.has("language_model.lm_head.weight"):  # without one llama.cpp takes the embedding
        yield "output.weight", tensors.take("language_model.lm_head.weight")
    for layer in range(layers):
        for theirs, ours in TEXT_LAYER.items():
            yield f"blk.{layer}.{ours}.weight", tensors.take(f"language_model.model.layers.{layer}.{theirs}.weight")


def _write_tokenizer(writer: "GGUFWriter", checkpoint: Checkpoint, words: Vocabulary) -> None:
    writer.add_tokenizer_model(words.model)
    writer.add_tokenizer_pre(words.pre)
    writer.add_token_list(words.tokens)
    writer.add_token_types(words.types)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    if words.model == "llama":
        writer.add_token_scores([0.0] * len(words.tokens))
        writer.add_add_space_prefix(False)
    else:
        writer.add_token_merges(words.merges)
    ends = _ends(checkpoint, words)
    for add, number in zip(
        (writer.add_eos_token_id, writer.add_eot_token_id, writer.add_eom_token_id), ends, strict=False
    ):
        add(number)
    for key, value in (
        (STAND_INS, [character + words.tokens[row] for character, (_, row) in (words.stand_ins or {}).items()]),
        (WHOLE_WORDS, list(words.whole_words)),
    ):
        if value:
            writer.add_array(key, value)


def _ends(checkpoint: Checkpoint, words: Vocabulary) -> list[int]:
    """Give the tokens that end an answer, ``<|im_end|>`` first.

    Raises:
        CheckpointError: If that is missing, or there are more than llama.cpp has places for.
    """
    first = words.id_of(_END)
    if first < 0:
        raise CheckpointError(f"the tokenizer of {checkpoint.folder} has no token {_END}: is it InternVL's?")
    path = checkpoint.folder / "generation_config.json"
    said = [
        checkpoint.config["text_config"].get("eos_token_id"),
        read_json(path).get("eos_token_id") if path.is_file() else None,
    ]
    found = {one for value in said for one in (value if isinstance(value, list) else [value]) if isinstance(one, int)}
    ends = [first, *sorted(one for one in found - {first} if 0 <= one < len(words.tokens))]
    if len(ends) > 3:
        raise CheckpointError(
            f"{checkpoint.folder} ends its answers with {len(ends)} tokens: llama.cpp has places for 3"
        )
    return ends


def _write_vision(path: Path, checkpoint: Checkpoint, tensors: _Tensors, words: Vocabulary) -> int:
    """Write vision tower and projector; gives the number of tensors."""
    import gguf

    del words
    config = checkpoint.config
    vision = config["vision_config"]
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_name(checkpoint.folder.name)
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("internvl")
    writer.add_vision_projection_dim(int(config["text_config"]["hidden_size"]))
    writer.add_vision_image_size(checkpoint.tile)
    writer.add_vision_patch_size(_first(vision.get("patch_size", 14)))
    writer.add_vision_embedding_length(int(vision["hidden_size"]))
    writer.add_vision_feed_forward_length(int(vision["intermediate_size"]))
    writer.add_vision_block_count(int(vision["num_hidden_layers"]))
    writer.add_vision_head_count(int(vision["num_attention_heads"]))
    writer.add_vision_attention_layernorm_eps(float(vision.get("layer_norm_eps", 1e-6)))
    writer.add_vision_image_mean(list(checkpoint.mean))
    writer.add_vision_image_std(list(checkpoint.std))
    writer.add_vision_use_gelu(True)
    writer.add_vision_projector_scale_factor(round(1 / float(config.get("downsample_ratio", 0.5))))
    writer.add_vision_preproc_min_tiles(1)
    writer.add_vision_preproc_max_tiles(12)
    return _finish(writer, dict(_vision_tensors(tensors, int(vision["num_hidden_layers"]))))


def _vision_tensors(tensors: _Tensors, layers: int) -> Iterator[tuple[str, Any]]:
    import numpy as np

    for theirs, ours in VISION.items():
        values = tensors.take(theirs)
        if ours == "v.class_embd":
            values = values.reshape(-1).astype(np.float32)
        if ours == "v.position_embd.weight":  # the class token's place comes first there, last here
            values = np.concatenate([values[0, 1:], values[0, :1]]).astype(np.float32)
        yield ours, values
    for layer in range(layers):
        for theirs, ours in VISION_LAYER.items():
            name = f"vision_tower.encoder.layer.{layer}.{theirs}"
            if theirs.endswith("_proj.bias") and not tensors.has(name):
                continue  # attention_bias is off
            yield f"v.blk.{layer}.{ours}", tensors.take(name)


def _finish(writer: "GGUFWriter", tensors: Mapping[str, Any]) -> int:
    import numpy as np

    for name, values in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return len(tensors)


def _first(value: Any) -> int:
    return int(value[0] if isinstance(value, list | tuple) else value)
