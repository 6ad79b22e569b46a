"""A Transformer of ours as CTranslate2 describes one: layer by layer, with every option that it can't express refused.

What CTranslate2's attributes mean was settled by running them (tests/engines/test_ctranslate2_export.py): the same
tokens, scores and attention come out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import torch
from ctranslate2.specs import common_spec, transformer_spec
from numpy.typing import NDArray
from torch import Tensor, nn

from seqloom.attention.multi_head import MultiHeadAttention
from seqloom.attention.self_attention import SelfAttention
from seqloom.decoders import TransformerDecoder
from seqloom.encoders import TransformerEncoder
from seqloom.errors import UsageError
from seqloom.layers.distances import AlibiDistances, RelativeDistances, RotaryDistances
from seqloom.layers.embedding import Embedding
from seqloom.layers.feedforward import ACTIVATIONS, FeedForward, PositionWise
from seqloom.layers.positions import LearnedPositions, NoPositions, PositionEncoding, SinusoidalPositions
from seqloom.layers.transformer import Residual
from seqloom.models import EncoderDecoder, Model
from seqloom.tokenizers import Tokenizers

Side = Literal["encoder", "decoder"]
ACTIVATION = {
    "relu": common_spec.Activation.RELU,
    "gelu": common_spec.Activation.GELU,
    "swish": common_spec.Activation.SWISH,
    "swiglu": common_spec.Activation.SWISH,
}


def transformer_of(model: Model, tokenizers: Tokenizers, *, positions: int) -> transformer_spec.TransformerSpec:
    """The model in CTranslate2's terms; where any position has a vector, with those of the first `positions`.

    Raises UsageError, naming the option, for what CTranslate2 can't express.
    """
    encoder, decoder, read_end = _sides(model)
    spec = transformer_spec.TransformerSpec(
        transformer_spec.TransformerEncoderSpec(len(encoder.layers), _heads(encoder.layers), **_style(encoder)),
        transformer_spec.TransformerDecoderSpec(
            len(decoder.layers),
            _heads(decoder.layers),
            alignment_layer=-1,
            alignment_heads=0,  # of the last layer the mean over all heads
            **_style(decoder),
        ),
    )
    _side(spec.encoder, encoder, positions)
    _side(spec.decoder, decoder, positions)
    _embedded(spec.encoder.embeddings[0], encoder.embedding)
    _embedded(spec.decoder.embeddings, decoder.embedding)
    _linear(spec.decoder.projection, decoder.readout)
    _configure(spec.config, read_end=read_end, epsilon=_epsilon(encoder, decoder))
    spec.register_source_vocabulary(list(tokenizers.source.vocabulary.symbols))
    spec.register_target_vocabulary(list(tokenizers.target.vocabulary.symbols))
    spec.validate()
    return spec


def refused(option: str, why: str = "") -> UsageError:
    """What to raise for an option that CTranslate2 can't express."""
    return UsageError(f"CTranslate2 can't express {option}{why}; such a model runs on the native engine only")


def _sides(model: Model) -> tuple[TransformerEncoder, TransformerDecoder, bool]:
    """The encoder, the decoder, and whether a source's end is shown to the model."""
    if not isinstance(model, EncoderDecoder):
        raise refused(f"model: {type(model).__name__}")
    if not model.reading.plain:
        backwards = model.reading.backwards
        raise refused("reverse_source: true" if backwards else f"repeat_source: {model.reading.times}")
    if type(model.encoder) is not TransformerEncoder:
        raise refused(f"encoder: {type(model.encoder).__name__}")
    if type(model.decoder) is not TransformerDecoder:
        raise refused(f"decoder: {type(model.decoder).__name__}")
    return model.encoder, model.decoder, model.read_end


def _style(side: TransformerEncoder | TransformerDecoder) -> dict[str, Any]:
    """What CTranslate2 wants to know of a whole side."""
    layer: Any = side.layers[0]
    decoding = isinstance(side, TransformerDecoder)
    attention: SelfAttention = layer.self_attention if decoding else layer.attention
    around: Residual = layer.around_feedforward
    style: dict[str, Any] = {
        "pre_norm": around.norm_first,
        "activation": ACTIVATION[_activation(layer.feedforward)],
        "ffn_glu": _activation(layer.feedforward) == "swiglu",
        "rms_norm": isinstance(around.norm, nn.RMSNorm),
        "num_heads_kv": None if attention.key_value_heads == attention.heads else attention.key_value_heads,
    }
    if not isinstance(around.second_norm, nn.Identity):
        style |= {"pre_post_layer_norm": True} | ({"external_pre_post_encoder_layers": True} if decoding else {})
    return style | _distances(attention, decoding=decoding)


def _distances(attention: SelfAttention, *, decoding: bool) -> dict[str, Any]:
    distances = attention.distances
    if isinstance(distances, RotaryDistances):
        return {"rotary_dim": 0, "rotary_interleave": False, "rotary_base": distances.base}
    if isinstance(distances, RelativeDistances):
        return {"relative_position": True}
    if isinstance(distances, AlibiDistances):
        if not decoding:
            raise refused("positions: alibi", " in an encoder")
        return {"alibi": True, "alibi_use_positive_positions": True}
    return {}


def _activation(feedforward: FeedForward) -> str:
    if not isinstance(feedforward, PositionWise):
        raise refused(f"feedforward: {type(feedforward).__name__}")
    return next(name for name, activate in ACTIVATIONS.items() if activate is feedforward.activate)


def _heads(layers: Iterable[Any]) -> int:
    first = next(iter(layers))
    attention: MultiHeadAttention = first.attention
    return attention.heads


def _epsilon(encoder: TransformerEncoder, decoder: TransformerDecoder) -> float:
    """The one number that is added to all variances."""
    one, other = (_norm_of(side).eps for side in (encoder, decoder))
    if one != other:
        raise refused(f"norm_epsilon: {one}", f" in the encoder and {other} in the decoder")
    return float(one)


def _norm_of(side: Any) -> Any:
    return side.layers[0].around_feedforward.norm


def _configure(config: Any, *, read_end: bool, epsilon: float) -> None:
    config.add_source_bos, config.add_source_eos = False, read_end
    config.decoder_start_token = config.bos_token
    config.layer_norm_epsilon = epsilon


def _side(spec: Any, side: Any, positions: int) -> None:
    spec.scale_embeddings = side.scale != 1.0
    if hasattr(spec, "position_encodings"):
        spec.position_encodings.encodings = _positions(side.positions, side.embedding.size, positions)
    if hasattr(spec, "layer_norm"):
        _norm(spec.layer_norm, side.norm)
    for layer_spec, layer in zip(spec.layer, side.layers, strict=True):
        (_decoder_layer if isinstance(side, TransformerDecoder) else _encoder_layer)(layer_spec, layer)


def _positions(positions: PositionEncoding, size: int, count: int) -> NDArray[np.float32]:
    """The vectors of the first positions, [count, size], or of as many as there are."""
    if isinstance(positions, LearnedPositions):
        return _array(positions.table.weight)
    if isinstance(positions, SinusoidalPositions | NoPositions) or positions.distances() is not None:
        return _array(positions.add(torch.zeros(1, count, size), 0)[0])
    raise refused(f"positions: {type(positions).__name__}")


def _encoder_layer(spec: Any, layer: Any) -> None:
    _self_attention(spec.self_attention, layer.attention)
    _feedforward(spec.ffn, layer.feedforward)
    if hasattr(spec, "input_layer_norm"):
        _sandwich(spec, layer.around_attention, layer.around_feedforward)
    else:
        _norm(spec.self_attention.layer_norm, layer.around_attention.norm)
        _norm(spec.ffn.layer_norm, layer.around_feedforward.norm)


def _decoder_layer(spec: Any, layer: Any) -> None:
    _self_attention(spec.self_attention, layer.self_attention)
    _attention(spec.attention, layer.attention)
    _feedforward(spec.ffn, layer.feedforward)
    if hasattr(spec, "input_layer_norm"):
        _sandwich(spec, layer.around_self_attention, layer.around_feedforward)
        _norm(spec.external_pre_encoder_attention_layer_norm, layer.around_attention.norm)
        _norm(spec.external_post_encoder_attention_layer_norm, layer.around_attention.second_norm)
    else:
        _norm(spec.self_attention.layer_norm, layer.around_self_attention.norm)
        _norm(spec.attention.layer_norm, layer.around_attention.norm)
        _norm(spec.ffn.layer_norm, layer.around_feedforward.norm)


def _sandwich(spec: Any, attention: Residual, feedforward: Residual) -> None:
    _norm(spec.input_layer_norm, attention.norm)
    _norm(spec.post_attention_layer_norm, attention.second_norm)
    _norm(spec.pre_feedforward_layer_norm, feedforward.norm)
    _norm(spec.post_feedforward_layer_norm, feedforward.second_norm)


def _self_attention(spec: Any, attention: SelfAttention) -> None:
    _linear(spec.linear[0], attention.query, attention.key_value)
    _linear(spec.linear[1], attention.out)
    if isinstance(attention.distances, RelativeDistances):
        spec.relative_position_keys = _array(attention.distances.keys)
        spec.relative_position_values = _array(attention.distances.values)


def _attention(spec: Any, attention: MultiHeadAttention) -> None:
    _linear(spec.linear[0], attention.query)
    _linear(spec.linear[1], attention.key_value)
    _linear(spec.linear[2], attention.out)


def _feedforward(spec: Any, feedforward: PositionWise) -> None:
    _linear(spec.linear_1, feedforward.outer)
    if _activation(feedforward) == "swiglu":
        spec.linear_0.weight, spec.linear_0_noact.weight = np.split(_array(feedforward.inner.weight), 2)
    else:
        _linear(spec.linear_0, feedforward.inner)


def _embedded(spec: Any, embedding: Embedding) -> None:
    spec.weight = _array(embedding.table.weight)


def _linear(spec: Any, *linears: Any) -> None:
    """Linear layers that are one there: their outputs stand behind each other."""
    spec.weight = np.concatenate([_array(linear.weight) for linear in linears])
    if linears[0].bias is not None:
        spec.bias = np.concatenate([_array(linear.bias) for linear in linears])


def _norm(spec: Any, norm: Any) -> None:
    spec.gamma = _array(norm.weight)
    if isinstance(norm, nn.LayerNorm):
        spec.beta = _array(norm.bias)


def _array(x: Tensor) -> NDArray[np.float32]:
    """The values of a tensor, as an array of their own: quantising scales them where they stand."""
    return np.array(x.detach().float().cpu().numpy(), order="C")


def facts(spec: transformer_spec.TransformerSpec) -> dict[str, int | bool | None]:
    """What the engine must know of a model; `positions` is how many have a vector, where not all have."""
    encoder, decoder = spec.encoder, spec.decoder
    tables = [] if hasattr(encoder.layer[0].self_attention, "rotary_dim") else [encoder]
    tables = [side.position_encodings.encodings for side in (*tables, decoder) if hasattr(side, "position_encodings")]
    return {
        "positions": min((table.shape[0] for table in tables), default=None),
        "reads_end": spec.config.add_source_eos,
        "one_attention": len(decoder.layer) == 1,
    }
