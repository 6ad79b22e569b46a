"""JoeyNMT's encoders and decoders as ours."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from seqloom.compat.foreign import Options, Tensors
from seqloom.compat.recurrent import SECTIONS, Kind, cell_of, encoder_of
from seqloom.compat.transformers import Names, layers_of, part

EPSILON = 1e-6  # of the norms
NAMES = Names(
    encoder_layer="encoder.layers.{}.",
    decoder_layer="decoder.layers.{}.",
    encoder_parts=(
        "src_src_att",
        "layer_norm",
        "feed_forward.pwff_layer.0",
        "feed_forward.pwff_layer.3",
        "feed_forward.layer_norm",
    ),
    decoder_parts=(
        "trg_trg_att",
        "x_layer_norm",
        "src_trg_att",
        "dec_layer_norm",
        "feed_forward.pwff_layer.0",
        "feed_forward.pwff_layer.3",
        "feed_forward.layer_norm",
    ),
    projections=("q_layer", "k_layer", "v_layer", "output_layer"),
)


def sections(model: Options, tensors: Tensors, weights: dict[str, Tensor]) -> dict[str, Any]:
    """What the configuration says of encoder and decoder, whose weights join the others."""
    encoder, decoder = model.under("encoder"), model.under("decoder")
    width = encoder.under("embeddings").need("embedding_dim")
    decoder.under("embeddings").refuse("embedding_dim", unless=[width], default=width)
    recurrent = encoder.get("type", "recurrent") != "transformer"
    decoder.refuse("type", unless=["recurrent" if recurrent else "transformer"], default="transformer")
    if recurrent:
        return {
            "encoder": _recurrent_encoder(encoder, tensors, weights),
            "decoder": _recurrent_decoder(model, tensors, weights),
        }
    return {side: _transformer(model.under(side), tensors, side, weights) for side in ("encoder", "decoder")}


def table_scale(model: Options, side: str) -> float:
    """What a recurrent model's vectors are multiplied with; those of a Transformer have an option for that."""
    options = model.under(side).under("embeddings")
    if model.under("encoder").get("type", "recurrent") == "transformer" or not options.get("scale", False):
        return 1.0
    return math.sqrt(options.need("embedding_dim"))


def _transformer(options: Options, tensors: Tensors, side: str, weights: dict[str, Tensor]) -> dict[str, Any]:
    options.refuse("alpha", unless=[1.0], default=1.0)
    norm = options.choose("layer_norm", {"pre": "pre", "post": "post"}, "pre" if side == "encoder" else "post")
    layers = int(options.get("num_layers", 8 if side == "encoder" else 4))
    weights |= layers_of(tensors, NAMES, side, layers, last_norm=norm == "pre")
    tensors.leave(f"{side}.pe.pe")
    return part(
        f"Transformer{side.capitalize()}",
        layers=layers,
        heads=int(options.get("num_heads", 4 if side == "encoder" else 8)),
        feedforward=int(options.get("ff_size", 2048)),
        activation=options.choose("activation", {"relu": "relu", "gelu": "gelu", "swish": "swish"}, "relu"),
        dropout=float(options.get("dropout", 0.1)),
        attention_dropout=float(options.get("dropout", 0.1)),
        feedforward_dropout=float(options.get("dropout", 0.1)),
        norm=norm,
        norm_epsilon=EPSILON,
        scale_embedding=bool(options.under("embeddings").get("scale", False)),
        positions={"class": "SinusoidalPositions", "layout": "pairs"},
    )


def _kind(options: Options) -> Kind:
    return options.choose("rnn_type", {"gru": "gru", "lstm": "lstm"}, "gru")  # type: ignore[no-any-return]


def _recurrent_encoder(options: Options, tensors: Tensors, weights: dict[str, Tensor]) -> dict[str, Any]:
    options.refuse("bidirectional", unless=[True], default=True)  # its own decoder wants both directions
    kind, layers = _kind(options), int(options.get("num_layers", 1))
    weights |= encoder_of(tensors, kind, "encoder.rnn", layers, bidirectional=True)
    return {
        "class": "RNNEncoder",
        "cell": SECTIONS[kind],
        "size": int(options.get("hidden_size", 1)),
        "layers": layers,
        "dropout": float(options.get("dropout", 0.0)),
    }


def _recurrent_decoder(model: Options, tensors: Tensors, weights: dict[str, Tensor]) -> dict[str, Any]:
    options = model.under("decoder")
    options.refuse("activation", unless=["tanh"], default="tanh")
    kind, layers = _kind(options), int(options.get("num_layers", 1))
    for layer in range(layers):
        weights |= cell_of(tensors, kind, f"decoder.stack.cells.{layer}", f"decoder.rnn.weight_ih_l{layer}")
    if not options.get("input_feeding", True):  # ours is told its last features all the same, and multiplies them by 0
        first = weights["decoder.stack.cells.0.input.weight"]
        unfed = first.new_zeros(len(first), int(options.get("hidden_size", 0)))
        weights["decoder.stack.cells.0.input.weight"] = torch.cat([first, unfed], 1)
    for kind_of in ("weight", "bias"):
        weights[f"decoder.mixture.{kind_of}"] = tensors.take(f"decoder.att_vector_layer.{kind_of}")
    return {
        "class": "InputFeedingDecoder",
        "cell": SECTIONS[kind],
        "size": int(options.get("hidden_size", 0)),
        "layers": layers,
        "feed": "features",
        "attention": _attention(options, tensors, weights),
        "bridge": _bridge(options, tensors, weights, copies=layers * (2 if kind == "lstm" else 1)),
        "dropout": float(options.get("dropout", 0.0)),
    }


def _attention(options: Options, tensors: Tensors, weights: dict[str, Tensor]) -> dict[str, Any]:
    keys = tensors.take("decoder.attention.key_layer.weight")
    luong = options.choose("attention", {"bahdanau": False, "luong": True}, "bahdanau")
    if luong:
        weights["decoder.attention.compatibility.query.weight"] = keys.T.contiguous()
        return {"class": "GeneralAttention", "compatibility": "General"}
    weights["decoder.attention.key.weight"] = keys
    weights["decoder.attention.query.weight"] = tensors.take("decoder.attention.query_layer.weight")
    weights["decoder.attention.query.bias"] = keys.new_zeros(len(keys))
    weights["decoder.attention.score.weight"] = tensors.take("decoder.attention.energy_layer.weight")
    return {"class": "AdditiveAttention", "size": len(keys)}


def _bridge(options: Options, tensors: Tensors, weights: dict[str, Tensor], *, copies: int) -> Any:
    """All layers, and both values of an LSTM, start from the same."""
    start = options.choose("init_hidden", {name: name for name in ("bridge", "last", "zero", "zeros")}, "bridge")
    if start.startswith("zero"):
        return "ZeroBridge"
    if start == "bridge":
        weight, bias = (tensors.take(f"decoder.bridge_layer.{name}") for name in ("weight", "bias"))
    else:  # what the forward direction said last
        size, summary = int(options.need("hidden_size")), weights["decoder.mixture.weight"].size(1)
        weight, bias = torch.eye(size, summary - size), torch.zeros(size)
    weights["decoder.bridge.linear.weight"] = weight.repeat(copies, 1)
    weights["decoder.bridge.linear.bias"] = bias.repeat(copies)
    return {"class": "DenseBridge", "activation": "tanh" if start == "bridge" else "identity"}
