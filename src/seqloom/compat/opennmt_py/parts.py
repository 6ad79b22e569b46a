"""OpenNMT-py's encoders and decoders as ours."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqloom.compat.foreign import Options, Tensors
from seqloom.compat.recurrent import SECTIONS, Kind, cell_of, encoder_of
from seqloom.compat.transformers import Names, layers_of, part

NAMES = Names(
    encoder_layer="encoder.transformer.{}.",
    decoder_layer="decoder.transformer_layers.{}.",
    encoder_parts=("self_attn", "layer_norm", "feed_forward.w_1", "feed_forward.w_2", "feed_forward.layer_norm"),
    decoder_parts=(
        "self_attn",
        "layer_norm_1",
        "context_attn",
        "layer_norm_2",
        "feed_forward.w_1",
        "feed_forward.w_2",
        "feed_forward.layer_norm",
    ),
    projections=("linear_query", "linear_keys", "linear_values", "final_linear"),
)
LAYOUTS = {
    "SinusoidalInterleaved": {"class": "SinusoidalPositions", "layout": "pairs"},
    "SinusoidalConcat": {"class": "SinusoidalPositions", "inclusive": True},
}


def sections(options: Options, tensors: Tensors, weights: dict[str, Tensor]) -> dict[str, Any]:
    """What the configuration says of encoder and decoder, whose weights join the others."""
    if options.get("encoder_type") == "transformer":
        options.refuse("decoder_type", unless=["transformer"])
        _check_transformer(options)
        return {side: _transformer(options, tensors, side, weights) for side in ("encoder", "decoder")}
    options.refuse("encoder_type", unless=["rnn", "brnn", "transformer"], default="rnn")
    options.refuse("decoder_type", unless=["rnn"], default="rnn")
    return {
        "encoder": _recurrent_encoder(options, tensors, weights),
        "decoder": _recurrent_decoder(options, tensors, weights),
    }


def _check_transformer(options: Options) -> None:
    options.refuse("self_attn_type", unless=["scaled-dot", "scaled-dot-flash"], default="scaled-dot")
    options.refuse("layer_norm", unless=["standard"], default="standard")
    for name in ("max_relative_positions", "num_kv", "sliding_window", "num_experts", "relative_positions_buckets"):
        options.refuse(name, unless=[0], default=0)
    for name in ("parallel_residual", "multiquery"):
        options.refuse(name, unless=[False], default=False)


def _transformer(options: Options, tensors: Tensors, side: str, weights: dict[str, Tensor]) -> dict[str, Any]:
    layers = int(options.need("enc_layers" if side == "encoder" else "dec_layers"))
    weights |= layers_of(tensors, NAMES, side, layers, last_norm=True)
    tensors.leave(f"{side}.embeddings.make_embedding.pe.pe")
    placed = bool(options.get("position_encoding", False))
    layout = options.choose("position_encoding_type", LAYOUTS, "SinusoidalInterleaved")
    return part(
        f"Transformer{side.capitalize()}",
        layers=layers,
        heads=int(options.need("heads")),
        feedforward=int(options.need("transformer_ff")),
        activation=options.choose("pos_ffn_activation_fn", {"relu": "relu", "gelu": "gelu"}, "relu"),
        dropout=_rate(options, "dropout"),
        attention_dropout=_rate(options, "attention_dropout"),
        feedforward_dropout=_rate(options, "dropout"),
        norm="pre",
        norm_epsilon=float(options.get("norm_eps", 1e-6)),
        scale_embedding=placed,
        positions=layout if placed else "NoPositions",
    )


def _rate(options: Options, name: str) -> float:
    """A rate of dropout, or the first of those of a training in stages."""
    value = options.get(name, 0.0)
    return float(value[0] if isinstance(value, list) else value)


def _kind(options: Options) -> Kind:
    return options.choose("rnn_type", {"LSTM": "lstm", "GRU": "gru"}, "LSTM")  # type: ignore[no-any-return]


def _recurrent_encoder(options: Options, tensors: Tensors, weights: dict[str, Tensor]) -> dict[str, Any]:
    options.refuse("bridge", unless=[False], default=False)
    both = options.get("encoder_type", "rnn") == "brnn" or bool(options.get("brnn", False))
    kind, layers, size = _kind(options), int(options.need("enc_layers")), int(options.need("enc_hid_size"))
    weights |= encoder_of(tensors, kind, "encoder.rnn", layers, bidirectional=both)
    return {
        "class": "RNNEncoder",
        "cell": SECTIONS[kind],
        "size": size // 2 if both else size,
        "layers": layers,
        "bidirectional": both,
        "summary": "all",
        "dropout": _rate(options, "dropout"),
    }


def _recurrent_decoder(options: Options, tensors: Tensors, weights: dict[str, Tensor]) -> dict[str, Any]:
    """A decoder that is fed its last features; each layer starts where the encoder's layer ended."""
    for name in ("coverage_attn", "reuse_copy_attn"):
        options.refuse(name, unless=[False], default=False)
    options.refuse("context_gate", unless=[None])
    options.refuse("input_feed", unless=[1], default=1)
    options.refuse("global_attention_function", unless=["softmax"], default="softmax")
    general = options.choose("global_attention", {"general": True, "dot": False}, "general")
    kind, layers, size = _kind(options), int(options.need("dec_layers")), int(options.need("dec_hid_size"))
    for layer in range(layers):
        weights |= cell_of(tensors, kind, f"decoder.stack.cells.{layer}", f"decoder.rnn.layers.{layer}.weight_ih")
    if general:
        weights["decoder.attention.compatibility.query.weight"] = tensors.take("decoder.attn.linear_in.weight")
    both = tensors.take("decoder.attn.linear_out.weight")
    context, state = both[:, :size], both[:, size:]
    weights["decoder.mixture.weight"] = torch.cat([state, context], 1)
    weights["decoder.mixture.bias"] = state.new_zeros(size)
    attention = {"class": "GeneralAttention", "compatibility": "General"} if general else "DotAttention"
    return {
        "class": "InputFeedingDecoder",
        "cell": SECTIONS[kind],
        "size": size,
        "layers": layers,
        "feed": "features",
        "attention": attention,
        "bridge": "PassThroughBridge",
        "dropout": _rate(options, "dropout"),
    }
