"""Several encoders side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from seqloom.bounds import Positive
from seqloom.encoders.base import Encoder
from seqloom.layers.embedding import Embedding
from seqloom.registry import register
from seqloom.structures import Encoded, Sequences, Widths


@register("multi_column")
class MultiColumnEncoder(Encoder):
    """What several encoders say of each position, side by side; https://arxiv.org/abs/1804.09849, 5.3.

    Each column's output is layer-normalised before; the summaries are concatenated as they are.
    """

    def __init__(
        self, embedding: Embedding, *, columns: tuple[Callable[..., Encoder], ...], size: Positive | None = None
    ):
        """With a `size` a linear layer brings keys and values to that width.

        ValueError without a column, or if columns don't have the same positions.
        """
        super().__init__()
        if not columns:
            raise ValueError("columns must name at least one encoder")
        parts = [column(embedding=embedding) for column in columns]
        if len({tuple(part.labels(["one", "two", "three"])) for part in parts}) > 1:
            names = ", ".join(type(part).__name__ for part in parts)
            raise ValueError(f"columns must have the same positions, and those of {names} differ")
        self.columns, widths = nn.ModuleList(parts), [part.widths for part in parts]
        keys, values = [width.keys for width in widths], [width.values for width in widths]
        self.keys = Merge(keys, size)
        self.values = self.keys if keys == values else Merge(values, size)
        self.widths = Widths(self.keys.size, self.values.size, sum(width.summary for width in widths))

    def forward(self, source: Sequences, *, weights: bool = False) -> Encoded:
        """As every encoder; self-attention has the layers of all columns, and heads only if they have equally many."""
        said: list[Encoded] = [column(source, weights=weights) for column in self.columns]
        keys = self.keys([one.keys for one in said])
        same = self.values is self.keys and all(one.keys is one.values for one in said)
        return Encoded(
            keys,
            keys if same else self.values([one.values for one in said]),
            said[0].mask,
            torch.cat([one.summary for one in said], -1),
            _layers([one.attention for one in said if one.attention is not None]),
            sum(one.penalty for one in said),
            said[0].ids,
        )

    def labels(self, tokens: Sequence[str]) -> list[str]:
        return self.columns[0].labels(tokens)  # type: ignore[operator, no-any-return]


class Merge(nn.Module):
    """Features of several widths side by side, each layer-normalised, brought to one `size` if there is one."""

    def __init__(self, widths: Sequence[int], size: int | None):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in widths)
        self.size = size or sum(widths)
        self.linear = nn.Linear(sum(widths), size) if size else nn.Identity()

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """[B, S, D] each -> [B, S, size]."""
        normalised = [norm(x) for norm, x in zip(self.norms, features, strict=True)]
        return self.linear(torch.cat(normalised, -1))  # type: ignore[no-any-return]


def _layers(shares: list[Tensor]) -> Tensor | None:
    """Self-attention [B, L, H, S, S] of several encoders as that of one; unequal numbers of heads become their mean."""
    if not shares:
        return None
    unequal = len({share.size(2) for share in shares}) > 1
    return torch.cat([share.mean(2, keepdim=True) if unequal else share for share in shares], 1)
