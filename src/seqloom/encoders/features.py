"""Encoders that stand on another one: what they read are features, not symbols."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from seqloom.encoders.base import Encoder


class Features(nn.Module):
    """Stands where an encoder expects the embedding; what it is given in place of ids are the features themselves."""

    def __init__(self, size: int, *, norm: bool):
        """With `norm` features [..., size] come out normalised, and as wide as embeddings are: 1 / sqrt(size)."""
        super().__init__()
        self.size, self.scale = size, size**-0.5 if norm else 1.0
        self.norm = nn.LayerNorm(size) if norm else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        return self.norm(features) * self.scale  # type: ignore[no-any-return]


def on_features(encoder: Callable[..., Encoder], size: int, *, norm: bool = True) -> Encoder:
    """An encoder whose source has features [B, S, size] as its `ids`.  ValueError for one that reads symbols."""
    built = encoder(embedding=Features(size, norm=norm))
    if built.needs_symbols:
        raise ValueError(f"{type(built).__name__} reads symbols, so it can't stand where there are features only")
    return built


def need_aligned(encoder: Encoder, where: str) -> Encoder:
    """The encoder; ValueError if a token and a position are not one and the same there."""
    if not encoder.aligned:
        raise ValueError(f"{where} needs an encoder with a position for each token, not {type(encoder).__name__}")
    return encoder
