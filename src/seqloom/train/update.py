"""One update of the weights: from batches to a step of the optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqloom.hardware import autocast, product_type
from seqloom.ranks import ALONE, Ranks
from seqloom.structures import Batch, Loss
from seqloom.train.exchange import Exchange
from seqloom.train.halves import Share, as_it_fits
from seqloom.train.loss_scale import FIRST, LossScale
from seqloom.train.moving_average import MovingAverage
from seqloom.train.options import TrainOptions
from seqloom.train.sharding import Sharding, complete, own, spread_like
from seqloom.train.share import own_share


class Outcome(NamedTuple):
    """What an update found."""

    loss: float  # the mean of a target token
    norm: float  # of the gradient, before clipping
    tokens: int  # real target tokens


class Update:
    """Moves the weights of a model, all of an update's batches together; every target token weighs the same."""

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[nn.Module, Batch], Loss],
        options: TrainOptions,
        device: torch.device,
        ranks: Ranks = ALONE,
    ):
        self.model, self.loss, self.options, self.device = model, loss, options, device
        self.optimizer = options.optimizer().build(model.parameters())
        self.ranks = ranks
        self._exchange: Exchange | Sharding = Exchange(model.parameters(), ranks)
        self.average = MovingAverage(model, options.ema) if options.ema else None
        self._narrow = product_type(options.precision, device) == torch.float16
        self._scale = LossScale(FIRST) if self._narrow else LossScale()
        self._tables = _embedding_tables(model)
        if options.compile:
            model.compile(dynamic=True)

    def __call__(self, batches: Sequence[Batch], *, seeds: Sequence[int], rate: float, most: float) -> Outcome:
        """One step at a learning rate; if the gradient's norm is not finite, or above `most`, the weights stay.

        All ranks are given the same batches, and each computes its share; the outcome is that of all together.
        The random numbers of each batch are those of its seed, so they don't depend on where it is computed.
        """
        self.model.train()
        share = own_share(batches, seeds, self.ranks)
        with self.ranks.in_touch():
            total, count = as_it_fits(self._gradients, share, alone=self.ranks.size == 1)
        count = self._exchange.finish(count, total)
        norm = self._cut_gradients(count)
        found, norm_found = awaited(total, norm)
        if norm_found <= most:
            self._move(rate)
        if self._narrow:
            self._scale = self._scale.after(math.isfinite(norm_found))
        return Outcome(found / count, norm_found, count)

    def shard(self) -> None:
        """Spread weights, gradients and the optimizer's state over the ranks from here on."""
        restored = self.tensors()
        self._exchange = Sharding(self.model, self.ranks, self.device)
        self.optimizer = self.options.optimizer().build(self.model.parameters())
        self._tables = _embedding_tables(self.model)
        self.restore(restored)

    def whole(self) -> AbstractContextManager[None]:
        """Within this every rank has the whole model, and can use it without the others."""
        return self._exchange.whole()

    def averaged(self) -> AbstractContextManager[None]:
        """Within this the model has the weights that are to be used: averaged ones, if any are."""
        return self.average.in_use() if self.average else nullcontext()

    def tensors(self) -> dict[str, Tensor]:
        """All that must be kept beside the model, by name; to be called within `averaged`."""
        states = self.optimizer.state_dict()["state"].items()
        named = ((f"{i}.{key}", value) for i, state in states for key, value in state.items())
        kept = {name: complete(value) for name, value in named if value is not None}
        if self._narrow:
            kept["scale.value"], kept["scale.fine"] = torch.tensor(self._scale.value), torch.tensor(self._scale.fine)
        if self.average:
            kept |= {f"weights.{name}": tensor for name, tensor in self.average.means.items()}
            kept["average.steps"] = torch.tensor(self.average.steps)
        return kept

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `tensors` gave, the model being as it was then."""
        parts: dict[str, dict[str, Any]] = {}
        for name, tensor in tensors.items():
            part, key = name.split(".", 1)
            parts.setdefault(part, {})[key] = tensor
        weights = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        state = {
            int(part): {key: spread_like(value, weights[int(part)]) for key, value in values.items()}
            for part, values in parts.items()
            if part.isdigit()
        }
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        if self._narrow and "scale" in parts:
            self._scale = LossScale(parts["scale"]["value"].item(), parts["scale"]["fine"].item())
        self._restore_average(parts)

    def _restore_average(self, parts: Mapping[str, Mapping[str, Any]]) -> None:
        """Averaging may have been switched on or off since."""
        means = MovingAverage(self.model, self.options.ema or 0.0)
        if "weights" in parts:
            means.restore(parts["weights"], int(parts["average"]["steps"]))
        self.average = means if self.options.ema else None

    def _gradients(self, share: Share) -> tuple[Tensor, int]:
        """Add up the gradients of batches; their loss in sum, and its count."""
        self.optimizer.zero_grad()
        total, count = torch.zeros((), device=self.device), 0
        for left, (batch, seed) in zip(reversed(range(len(share))), share, strict=True):
            torch.manual_seed(seed)
            if not left:
                self._exchange.start()
            loss = self._backward(batch)
            total, count = total + loss.total.detach(), count + loss.count
        return total, count

    def _backward(self, batch: Batch) -> Loss:
        with autocast(self.options.precision, self.device):
            loss = self.loss(self.model, batch.to(self.device))
        (loss.total * self._scale.value).backward()  # type: ignore[no-untyped-call]
        return loss

    def _cut_gradients(self, count: int) -> Tensor:
        """Turn sums into means a token and cut them down to the norms that are allowed; the norm before that."""
        gradients = [own(parameter.grad) for parameter in self.model.parameters() if parameter.grad is not None]
        torch._foreach_mul_(gradients, 1 / (count * self._scale.value))
        norm = self._exchange.norm(nn.utils.get_total_norm(gradients))
        _cut(gradients, norm, self.options.clip)
        if self.options.clip_embeddings:
            for gradient in (own(table.grad) for table in self._tables if table.grad is not None):
                _cut([gradient], self._exchange.norm(gradient.norm()), self.options.clip_embeddings)
        return norm

    def _move(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        if self.average:
            self.average.follow()


def awaited(total: Tensor, norm: Tensor) -> list[float]:
    """These numbers: the one place of an update where the host waits for the device.

    Whether the weights are to move hangs on the norm (a gradient that isn't finite, one out of the ordinary, a loss
    scale that was too high), and that is decided in the step itself, so that a step is left out on all ranks, counted
    and kept in checkpoints as what it was.  All of backward is queued by then, and the next batch is on its way.
    """
    found: list[float] = torch.stack([total, norm]).tolist()
    return found


def _embedding_tables(model: nn.Module) -> list[Tensor]:
    """The weights of every embedding, each once however many share them."""
    weights = [module.weight for module in model.modules() if isinstance(module, nn.Embedding)]
    return list({id(weight): weight for weight in weights}.values())


def _cut(gradients: list[Tensor], norm: Tensor, most: float) -> None:
    """Bring gradients of this norm down to the norm `most`, unless they are below it or `most` is 0."""
    if most:
        torch._foreach_mul_(gradients, (most / norm).clamp(max=1.0))
