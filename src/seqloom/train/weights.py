"""The weights of a model by name, out of it and back in."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from seqloom.errors import SeqloomError


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Every weight of a model once, by its first name."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors}


def load_model(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give a model these weights; SeqloomError if they are those of another model."""
    own = dict([*model.named_parameters(), *model.named_buffers()])
    for name in sorted(own.keys() | tensors.keys()):
        here, there = own.get(name), tensors.get(name)
        if here is None or there is None or here.shape != there.shape:
            raise SeqloomError(
                f"the checkpoint holds another model: {name} is {_shape(there)} there and {_shape(here)} here"
            )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def _shape(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else "x".join(map(str, tensor.shape)) or "a number"
