"""The weights of a model by name, out of it and back in."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from seqloom.errors import SeqloomError


def live_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The weights themselves, each once by its first name."""
    return dict([*model.named_parameters(), *model.named_buffers()])


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Every weight of a model once, by its first name, to be kept."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in live_tensors(model).items()}


def load_model(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give a model these weights; SeqloomError if they are those of another model."""
    own = live_tensors(model)
    for name, difference in differences(own, tensors).items():
        raise SeqloomError(f"the checkpoint holds another model: {name} is {difference}")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def differences(here: Mapping[str, Tensor], there: Mapping[str, Tensor]) -> dict[str, str]:
    """What the weights that one side lacks, or has in another shape, are on either side, by name and in order."""
    shapes = {name: (_shape(there.get(name)), _shape(here.get(name))) for name in sorted(here.keys() | there.keys())}
    return {name: f"{theirs} there and {ours} here" for name, (theirs, ours) in shapes.items() if theirs != ours}


def _shape(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else "x".join(map(str, tensor.shape)) or "a number"
