"""A model that is spread over ranks: each keeps a part of the weights, of their gradients and of the optimizer's state.

PyTorch's fully_shard, after ZeRO stage 3 (https://arxiv.org/abs/1910.02054, 5.3): a layer's weights are gathered when
they are needed, and its gradients are summed and scattered as soon as they are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from seqloom.errors import UsageError
from seqloom.ranks import Ranks
from seqloom.train.options import TrainOptions

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule


class Sharding:
    """Sums gradients as `Exchange` does, of a model whose parameters it replaces by shards."""

    def __init__(self, model: nn.Module, ranks: Ranks, device: torch.device):
        from torch.distributed.fsdp import fully_shard

        self.ranks, mesh = ranks, ranks.mesh(device)
        parts = [fully_shard(part, mesh=mesh) for part in _outermost(model)]
        self.inner: list[FSDPModule] = parts
        self.root: FSDPModule = fully_shard(model, mesh=mesh)
        for module in (self.root, *self.inner):
            module.set_gradient_divide_factor(1.0)  # sums: what a target token weighs is known only at the end
            module.set_force_sum_reduction_for_comms(True)
        # Whoever is used first would be taken for the root, and validation uses parts of the model only.
        self.root._get_fsdp_state()._lazy_init()
        self.root.set_requires_gradient_sync(False)

    def start(self) -> None:
        """The backward that comes now is the last of an update."""
        self.root.set_requires_gradient_sync(True)

    def finish(self, count: int, total: Tensor) -> int:
        """Sum `total` over ranks in place; the sum of the counts."""
        self.root.set_requires_gradient_sync(False)
        self.ranks.finish(self.ranks.sum_later(total))
        return int(self.ranks.total([float(count)])[0])

    def norm(self, norm: Tensor) -> Tensor:
        """The norm of all shards together, from that of this rank's."""
        square = norm.square()
        self.ranks.finish(self.ranks.sum_later(square))
        return square.sqrt()

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Within this every rank has all weights, and nothing that it does needs the others; they are not to change."""
        for module in (self.root, *self.inner):
            module.set_reshard_after_forward(False, recurse=False)
            module.unshard()
        try:
            yield
        finally:
            for module in (self.root, *self.inner):
                module.set_reshard_after_forward(module is not self.root, recurse=False)
                module.reshard()


def check_can_be_sharded(model: nn.Module, options: TrainOptions, ranks: Ranks) -> None:
    """Raises UsageError unless all ranks will gather the same weights at the same time, however batches differ."""
    if options.accumulate % ranks.size:
        raise UsageError(
            f"train.shard deals whole batches: set train.accumulate, now {options.accumulate}, "
            f"to a multiple of the {ranks.size} ranks"
        )
    if any(getattr(module, "layer_drop", 0.0) for module in model.modules()):
        raise UsageError("train.shard can't leave out layers, which would be others on each rank: set layer_drop to 0")
    for name in ("ema", "compile"):
        if getattr(options, name):
            raise UsageError(f"train.shard doesn't go with train.{name} yet: leave one of them out")


def _outermost(module: nn.Module) -> list[nn.Module]:
    """The largest parts whose weights nobody uses but their own `forward`."""
    if getattr(module, "self_contained", False):
        return [module]
    return [part for child in module.children() for part in _outermost(child)]


def own(tensor: Tensor) -> Tensor:
    """This rank's part of a tensor that is spread over ranks; any other as it is."""
    local: Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return local


def complete(tensor: Tensor) -> Tensor:
    """All of a tensor that is spread over ranks, to be asked for on all of them; any other as it is."""
    full: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return full


def spread_like(tensor: Tensor, example: Tensor) -> Tensor:
    """A whole tensor, the same on all ranks, spread as another one of its shape is."""
    if not hasattr(example, "to_local") or tensor.shape != example.shape:
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(example, DTensor)
    return distribute_tensor(tensor.to(example.device), example.device_mesh, example.placements, src_data_rank=None)
