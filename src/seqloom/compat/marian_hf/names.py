"""What transformers calls the parts of a MarianMT model."""

from __future__ import annotations

from seqloom.compat.transformers import Names

NAMES = Names(
    encoder_layer="model.encoder.layers.{}.",
    decoder_layer="model.decoder.layers.{}.",
    encoder_parts=("self_attn", "self_attn_layer_norm", "fc1", "fc2", "final_layer_norm"),
    decoder_parts=(
        "self_attn",
        "self_attn_layer_norm",
        "encoder_attn",
        "encoder_attn_layer_norm",
        "fc1",
        "fc2",
        "final_layer_norm",
    ),
    projections=("q_proj", "k_proj", "v_proj", "out_proj"),
)
EPSILON = 1e-5  # of the norms
PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
ACTIVATIONS = {"swish": "swish", "silu": "swish", "relu": "relu", "gelu": "gelu"}
