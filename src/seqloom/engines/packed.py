"""Linear layers laid out for a search on the CPU, which asks often and with few rows each time."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Precision = Literal["float32", "bfloat16"]
ROWS = 32
REORDERS = bool(  # whether oneDNN is there, and has products of bfloat16 for this processor
    torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()  # type: ignore[no-untyped-call]
)


class BFloat16Linear(nn.Linear):
    """A linear layer that multiplies in bfloat16, whatever numbers stand around it.

    Small products of attention are faster without the changes between numbers that autocast would make.  Where oneDNN
    can, the matrix is reordered once into the blocks that the processor's matrix unit takes.  Searching is all that it
    is for: it has no gradient.
    """

    _matrix: Tensor
    _bias: Tensor | None

    @classmethod
    def of(cls, linear: nn.Linear) -> BFloat16Linear:
        """The same layer, with the same weights."""
        made = cls(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        made.weight, made.bias = linear.weight, linear.bias
        made._bias = None if linear.bias is None else linear.bias.detach().bfloat16()
        matrix = linear.weight.detach().bfloat16()
        made._matrix = torch.ops.mkldnn._reorder_linear_weight(matrix, None) if REORDERS else matrix
        return made

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out], in the numbers that came in."""
        if not self._matrix.is_mkldnn:
            return F.linear(x.bfloat16(), self._matrix, self._bias).to(x.dtype)
        rows = x.numel() // self.in_features
        given = x.new_zeros(_few_sizes(rows), self.in_features, dtype=torch.bfloat16)
        given[:rows] = x.reshape(rows, self.in_features)
        y: Tensor = torch.ops.mkldnn._linear_pointwise(given, self._matrix, self._bias, "none", [], "")
        return y[:rows].to(x.dtype).view(*x.shape[:-1], self.out_features)


def _few_sizes(rows: int) -> int:
    """A few more rows: oneDNN compiles a kernel for each number of them, and a search meets every number there is."""
    return rows if rows <= ROWS else -(-rows // ROWS) * ROWS


def laid_out(model: nn.Module, precision: Precision = "float32") -> nn.Module:
    """Lay out all plain linear layers of a model, in place, for the CPU.  It can't be trained after that.

    In float32 a matrix keeps its values and lies column by column, so that it needn't be copied for each product: of
    64 rows and 8,000 columns that is twice as fast.
    """
    for parent in list(model.modules()):
        for name, linear in parent.named_children():
            if type(linear) is nn.Linear:
                setattr(parent, name, BFloat16Linear.of(linear) if precision == "bfloat16" else _by_columns(linear))
    return model


def _by_columns(linear: nn.Linear) -> nn.Linear:
    linear.weight = nn.Parameter(linear.weight.detach().t().contiguous().t(), requires_grad=False)
    return linear
