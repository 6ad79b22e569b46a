"""Layers laid out for a search on the CPU, which asks often and with few rows each time.

What stands here is called directly, past a module's hooks, and has no gradient: one row's product takes little longer
than such a call.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Precision = Literal["float32", "bfloat16"]
ROWS = 32
FEW = range(2, 32)  # rows
REORDERS = bool(  # whether oneDNN is there, and has products of bfloat16 for this processor
    torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()  # type: ignore[no-untyped-call]
)


class _LaidOut(nn.Module, ABC):
    """A layer that keeps its weights in a form of its own, too, and makes that anew wherever they change."""

    @abstractmethod
    def _lay_out(self) -> None:
        """Make that form of the weights."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """What `to`, `double` and their like call."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._lay_out()
        return self


class Float32Linear(_LaidOut, nn.Linear):
    """A linear layer whose matrix is there twice, row by row and column by column.

    A product of one row, or of many, is faster with columns (64 rows: by a sixth), one of a `FEW` with rows (5 of them:
    by a quarter).
    """

    _by_row: Tensor
    _by_column: Tensor
    _bias: Tensor | None

    def _lay_out(self) -> None:
        self._by_row = self.weight.detach()
        self._by_column = self._by_row.t().contiguous().t()
        self._bias = None if self.bias is None else self.bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        matrix = self._by_row if x.numel() // self.in_features in FEW else self._by_column
        return F.linear(x, matrix, self._bias)

    __call__: Callable[..., Tensor] = forward


class BFloat16Linear(_LaidOut, nn.Linear):
    """A linear layer that multiplies in bfloat16, whatever numbers stand around it.

    Small products of attention are faster without the changes between numbers that autocast would make.  Where oneDNN
    can, the matrix is reordered once into the blocks that the processor's matrix unit takes.
    """

    _matrix: Tensor
    _bias: Tensor | None

    def _lay_out(self) -> None:
        self._bias = None if self.bias is None else self.bias.detach().bfloat16()
        matrix = self.weight.detach().bfloat16()
        self._matrix = torch.ops.mkldnn._reorder_linear_weight(matrix, None) if REORDERS else matrix

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out], in the numbers that came in."""
        if not self._matrix.is_mkldnn:
            return F.linear(x.bfloat16(), self._matrix, self._bias).to(x.dtype)
        rows = x.numel() // self.in_features
        given = x.new_zeros(_few_sizes(rows), self.in_features, dtype=torch.bfloat16)
        given[:rows] = x.reshape(rows, self.in_features)
        y: Tensor = torch.ops.mkldnn._linear_pointwise(given, self._matrix, self._bias, "none", [], "")
        return y[:rows].to(x.dtype).view(*x.shape[:-1], self.out_features)

    __call__: Callable[..., Tensor] = forward


class DirectLayerNorm(_LaidOut, nn.LayerNorm):
    """Layer normalization, but for the call."""

    _weight: Tensor | None
    _bias: Tensor | None

    def _lay_out(self) -> None:
        self._weight, self._bias = (None if x is None else x.detach() for x in (self.weight, self.bias))

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        return torch.layer_norm(x, self.normalized_shape, self._weight, self._bias, self.eps)

    __call__: Callable[..., Tensor] = forward


def _linear(layer: nn.Linear, kind: type[Float32Linear] | type[BFloat16Linear]) -> nn.Linear:
    """The same layer, of this kind, with the same weights."""
    made = kind(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta")
    made.weight, made.bias = layer.weight, layer.bias
    made._lay_out()
    return made


def _norm(layer: nn.LayerNorm) -> DirectLayerNorm:
    made = DirectLayerNorm(layer.normalized_shape, layer.eps, elementwise_affine=False)
    made.weight, made.bias = layer.weight, layer.bias
    made._lay_out()
    return made


def _few_sizes(rows: int) -> int:
    """A few more rows: oneDNN compiles a kernel for each number of them, and a search meets every number there is."""
    return rows if rows <= ROWS else -(-rows // ROWS) * ROWS


def laid_out(model: nn.Module, precision: Precision = "float32") -> nn.Module:
    """Lay out all plain linear layers and norms of a model, in place, for the CPU.  It can't be trained after that."""
    kind = BFloat16Linear if precision == "bfloat16" else Float32Linear
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Linear:
                setattr(parent, name, _linear(child, kind))
            elif type(child) is nn.LayerNorm:
                setattr(parent, name, _norm(child))
    for module in model.modules():  # what is among its attributes is found at once, not by Module.__getattr__
        vars(module).update(module._modules | module._parameters)
    return model
