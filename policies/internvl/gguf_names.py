"""What the tensors of an InternVL with a Qwen3 are called: in transformers' files, and in llama.cpp's.

Source: llama.cpp, gguf-py/gguf/tensor_mapping.py.
"""

from typing import Final

TEXT: Final = (
    ("embed_tokens.weight", "token_embd.weight"),
    ("norm.weight", "output_norm.weight"),
)
"""Of the language model, behind ``language_model.model.``."""

TEXT_LAYER: Final = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""Of a layer of the language model, without ``.weight``."""

VISION: Final = {
    "vision_tower.embeddings.cls_token": "v.class_embd",
    "vision_tower.embeddings.position_embeddings": "v.position_embd.weight",
    "vision_tower.embeddings.patch_embeddings.projection.weight": "v.patch_embd.weight",
    "vision_tower.embeddings.patch_embeddings.projection.bias": "v.patch_embd.bias",
    "multi_modal_projector.layer_norm.weight": "mm.model.mlp.0.weight",
    "multi_modal_projector.layer_norm.bias": "mm.model.mlp.0.bias",
    "multi_modal_projector.linear_1.weight": "mm.model.mlp.1.weight",
    "multi_modal_projector.linear_1.bias": "mm.model.mlp.1.bias",
    "multi_modal_projector.linear_2.weight": "mm.model.mlp.3.weight",
    "multi_modal_projector.linear_2.bias": "mm.model.mlp.3.bias",
}
"""Of the vision tower outside its layers, and of the projector."""

VISION_LAYER: Final = {
    "attention.q_proj.weight": "attn_q.weight",
    "attention.q_proj.bias": "attn_q.bias",
    "attention.k_proj.weight": "attn_k.weight",
    "attention.k_proj.bias": "attn_k.bias",
    "attention.v_proj.weight": "attn_v.weight",
    "attention.v_proj.bias": "attn_v.bias",
    "attention.projection_layer.weight": "attn_out.weight",
    "attention.projection_layer.bias": "attn_out.bias",
    "layernorm_before.weight": "ln1.weight",
    "layernorm_before.bias": "ln1.bias",
    "layernorm_after.weight": "ln2.weight",
    "layernorm_after.bias": "ln2.bias",
    "lambda_1": "ls1.weight",
    "lambda_2": "ls2.weight",
    "mlp.fc1.weight": "ffn_up.weight",
    "mlp.fc1.bias": "ffn_up.bias",
    "mlp.fc2.weight": "ffn_down.weight",
    "mlp.fc2.bias": "ffn_down.bias",
}
"""Of a layer of the vision tower, behind ``vision_tower.encoder.layer.N.`` and ``v.blk.N.``."""
