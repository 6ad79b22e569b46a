"""Tokens as vectors, and vectors back as scores of tokens."""

from __future__ import annotations

from torch import Tensor, nn


class Embedding(nn.Module):
    """One vector a symbol, drawn from N(0, 1/size), or from U(-uniform, uniform)."""

    def __init__(
        self,
        symbols: int,
        size: int,
        *,
        tied: bool = False,
        uniform: float | None = None,
        readout_bias: bool | None = None,
    ):
        """`tied`: the projection to the vocabulary shares these vectors, https://arxiv.org/abs/1608.05859.

        `readout_bias`: the projection has a bias; by default unless it is tied.
        """
        super().__init__()
        self.size, self.symbols, self.tied = size, symbols, tied
        self.readout_bias = not tied if readout_bias is None else readout_bias
        self.table = nn.Embedding(symbols, size)
        if uniform is None:
            nn.init.normal_(self.table.weight, std=size**-0.5)
        else:
            nn.init.uniform_(self.table.weight, -uniform, uniform)

    def forward(self, ids: Tensor) -> Tensor:
        """[..., ] ids -> [..., D]."""
        return self.table(ids)  # type: ignore[no-any-return]

    def projection(self, size: int) -> nn.Linear:
        """A linear layer from features to one logit a symbol; ValueError if tied to vectors of another size."""
        if self.tied and size != self.size:
            raise ValueError(f"tied embeddings of size {self.size} can't project features of size {size}")
        linear = nn.Linear(size, self.symbols, bias=self.readout_bias)
        if self.tied:
            linear.weight = self.table.weight
        else:
            nn.init.normal_(linear.weight, std=size**-0.5)
        if self.readout_bias:
            nn.init.zeros_(linear.bias)
        return linear
