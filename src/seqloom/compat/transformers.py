"""A Transformer's weights under our names and under other toolkits', in both directions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from seqloom.compat.foreign import Tensors, zeros

ATTENTIONS = ("attention", "self_attention")
WHOLE = ("around_attention.norm", "feedforward.inner", "feedforward.outer", "around_feedforward.norm")
PARTS = {
    "encoder": ("attention", *WHOLE),
    "decoder": ("self_attention", "around_self_attention.norm", "attention", *WHOLE),
}


@dataclass(frozen=True)
class Names:
    """What a toolkit calls the parts of a Transformer, in the order of `PARTS`; {} is the number of a layer."""

    encoder_layer: str
    decoder_layer: str
    encoder_parts: tuple[str, ...]
    decoder_parts: tuple[str, ...]
    projections: tuple[str, str, str, str]  # query, keys, values and output, behind the name of an attention
    encoder_norm: str = "encoder.layer_norm"
    decoder_norm: str = "decoder.layer_norm"
    first: int = 0  # the number of the first layer

    def with_decoder_parts(self, parts: tuple[str, ...]) -> Names:
        """The same, but for the parts of a decoder's layer."""
        return replace(self, decoder_parts=parts)

    def parts(self, side: str, layer: int) -> Iterator[tuple[str, str]]:
        """Our name and theirs for each part of a layer of the "encoder" or the "decoder"."""
        prefix = (self.encoder_layer if side == "encoder" else self.decoder_layer).format(layer + self.first)
        theirs = self.encoder_parts if side == "encoder" else self.decoder_parts
        for ours, name in zip(PARTS[side], theirs, strict=True):
            yield f"{side}.layers.{layer}.{ours}", f"{prefix}{name}"


def layers_of(
    tensors: Tensors, names: Names, side: str, layers: int, *, last_norm: bool, skipped: Collection[str] = ()
) -> dict[str, Tensor]:
    """The weights of all layers of a side, and of the norm behind them where there is one, by our names.

    Parts that are `skipped` are of another kind.
    """
    found: dict[str, Tensor] = {}
    for layer in range(layers):
        for ours, theirs in names.parts(side, layer):
            kind = ours.rpartition(".")[2]
            if kind not in skipped:
                taken = (
                    _attention(tensors, ours, theirs, names) if kind in ATTENTIONS else _linear(tensors, ours, theirs)
                )
                found |= taken
    if last_norm:
        found |= _linear(tensors, f"{side}.norm", names.encoder_norm if side == "encoder" else names.decoder_norm)
    return found


def _linear(tensors: Tensors, ours: str, theirs: str) -> dict[str, Tensor]:
    """A matrix or a norm with its bias, which is zero where there is none."""
    weight, bias = tensors.take(f"{theirs}.weight"), tensors.maybe(f"{theirs}.bias")
    return {f"{ours}.weight": weight, f"{ours}.bias": zeros(weight) if bias is None else bias}


def _attention(tensors: Tensors, ours: str, theirs: str, names: Names) -> dict[str, Tensor]:
    """Four matrices as our three: keys and values are made in one product."""
    query, key, value, out = (_linear(tensors, "", f"{theirs}.{name}") for name in names.projections)
    both = {name: torch.cat([key[name], value[name]]) for name in key}
    named = {"query": query, "key_value": both, "out": out}
    return {f"{ours}.{part}{name}": tensor for part, linear in named.items() for name, tensor in linear.items()}


def their_layers(weights: Mapping[str, Tensor], names: Names, side: str, layers: int) -> dict[str, Tensor]:
    """The other way: the weights of all layers of a side by their names."""
    found: dict[str, Tensor] = {}
    for layer in range(layers):
        for ours, theirs in names.parts(side, layer):
            attention = ours.rpartition(".")[2] in ATTENTIONS
            found |= (
                _their_attention(weights, ours, theirs, names) if attention else _their_linear(weights, ours, theirs)
            )
    return found


def _their_linear(weights: Mapping[str, Tensor], ours: str, theirs: str) -> dict[str, Tensor]:
    return {f"{theirs}.{kind}": weights[f"{ours}.{kind}"] for kind in ("weight", "bias")}


def _their_attention(weights: Mapping[str, Tensor], ours: str, theirs: str, names: Names) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    query, key, value, out = names.projections
    for kind in ("weight", "bias"):
        keys, values = weights[f"{ours}.key_value.{kind}"].chunk(2)
        split = {query: weights[f"{ours}.query.{kind}"], key: keys, value: values, out: weights[f"{ours}.out.{kind}"]}
        found |= {f"{theirs}.{name}.{kind}": tensor.contiguous() for name, tensor in split.items()}
    return found


def part(name: str, *, layers: int, feedforward: int, activation: str = "relu", **options: Any) -> dict[str, Any]:
    """What a configuration says of a Transformer's encoder or decoder."""
    network: Any = feedforward
    if activation != "relu":
        network = {"class": "PositionWise", "inner_size": feedforward, "activation": activation}
        if rate := options.pop("feedforward_dropout", 0.0):
            network["dropout"] = rate
    return {"class": name, "layers": layers, "feedforward": network, **options}
