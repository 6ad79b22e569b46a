"""One update of the weights: from batches to a step of the optimizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqloom.hardware import autocast
from seqloom.structures import Batch, Loss
from seqloom.train.options import TrainOptions


class Outcome(NamedTuple):
    """What an update found."""

    loss: float  # the mean of a target token
    norm: float  # of the gradient, before clipping
    tokens: int  # real target tokens


class Update:
    """Moves the weights of a model, all of an update's batches together; every target token weighs the same."""

    def __init__(
        self, model: nn.Module, loss: Callable[[nn.Module, Batch], Loss], options: TrainOptions, device: torch.device
    ):
        self.model, self.loss, self.options, self.device = model, loss, options, device
        self.optimizer = options.optimizer().build(model.parameters())
        self._tables = _embedding_tables(model)

    def __call__(self, batches: Sequence[Batch], *, seeds: Sequence[int], rate: float, most: float) -> Outcome:
        """One step at a learning rate; if the gradient's norm is not finite, or above `most`, the weights stay.

        The random numbers of each batch are those of its seed, so they don't depend on where it is computed.
        """
        self.model.train()
        self.optimizer.zero_grad()
        total, count = torch.zeros((), device=self.device), 0
        for batch, seed in zip(batches, seeds, strict=True):
            torch.manual_seed(seed)
            loss = self._backward(batch)
            total, count = total + loss.total.detach(), count + loss.count
        norm = self._cut_gradients(count)
        found, norm_found = torch.stack([total, norm]).tolist()  # the only place that waits for a GPU
        if norm_found <= most:
            self._move(rate)
        return Outcome(found / count, norm_found, count)

    def tensors(self) -> dict[str, Tensor]:
        """The optimizer's state by name, to be kept."""
        states = self.optimizer.state_dict()["state"].items()
        return {f"{i}.{key}": value for i, state in states for key, value in state.items() if value is not None}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Give the optimizer what `tensors` gave."""
        state: dict[int, dict[str, Any]] = {}
        for name, tensor in tensors.items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = tensor
        self.optimizer.load_state_dict({"state": state, "param_groups": self.optimizer.state_dict()["param_groups"]})

    def _backward(self, batch: Batch) -> Loss:
        with autocast(self.options.precision, self.device):
            loss = self.loss(self.model, batch.to(self.device))
        loss.total.backward()  # type: ignore[no-untyped-call]
        return loss

    def _cut_gradients(self, count: int) -> Tensor:
        """Turn sums into means a token and cut them down to the norms that are allowed; the norm before that."""
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        torch._foreach_mul_(gradients, 1 / count)
        norm = nn.utils.get_total_norm(gradients)
        _cut(gradients, norm, self.options.clip)
        if self.options.clip_embeddings:
            for gradient in (table.grad for table in self._tables if table.grad is not None):
                _cut([gradient], gradient.norm(), self.options.clip_embeddings)
        return norm

    def _move(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()


def _embedding_tables(model: nn.Module) -> list[Tensor]:
    """The weights of every embedding, each once however many share them."""
    weights = [module.weight for module in model.modules() if isinstance(module, nn.Embedding)]
    return list({id(weight): weight for weight in weights}.values())


def _cut(gradients: list[Tensor], norm: Tensor, most: float) -> None:
    """Bring gradients of this norm down to the norm `most`, unless they are below it or `most` is 0."""
    if most:
        torch._foreach_mul_(gradients, (most / norm).clamp(max=1.0))
