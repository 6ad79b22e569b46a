"""What training makes small."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

CHUNK = 512  # rows projected at a time: their logits stay in the cache, and memory doesn't grow with the batch


def cross_entropy(readout: nn.Module, features: Tensor, labels: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Sum over rows of the cross-entropy of `readout(features)` [R, V] with `labels` [R], a scalar.

    With label smoothing e (https://arxiv.org/abs/1512.00567, 7) the wanted distribution is (1 - e) on the label plus
    e/V on every symbol.  All logits never exist at once: chunk by chunk they are made, and turned into their gradient
    there and then.
    """
    parameters = [parameter for parameter in readout.parameters() if parameter.requires_grad]
    if torch.is_grad_enabled():
        return _ChunkedCrossEntropy.apply(features, labels, label_smoothing, readout, *parameters)  # type: ignore
    chunks = zip(torch.split(features, CHUNK), torch.split(labels, CHUNK), strict=True)
    return sum((_losses(readout(x), y, label_smoothing)[0] for x, y in chunks), features.new_zeros(()).float())


def _losses(logits: Tensor, labels: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """The summed loss, and log-probabilities in float32."""
    log_probs = logits.detach().log_softmax(1, dtype=torch.float32)
    loss = -(1 - smoothing) * log_probs.gather(1, labels[:, None]).sum()
    return (loss - smoothing * log_probs.mean(1).sum() if smoothing else loss), log_probs


def _gradient(log_probs: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """The gradient of the loss with respect to the logits; uses `log_probs` up."""
    gradient = log_probs.exp_()
    gradient[torch.arange(len(labels), device=labels.device), labels] -= 1 - smoothing
    return gradient.sub_(smoothing / gradient.size(1)) if smoothing else gradient


class _ChunkedCrossEntropy(torch.autograd.Function):
    """The gradient is known as soon as the loss is: so it is taken in `forward`, and `backward` only scales it."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, labels: Tensor, smoothing: float, readout: nn.Module, *parameters: Tensor
    ) -> Tensor:
        total = torch.zeros((), device=features.device)
        of_features, of_parameters = [], [torch.zeros_like(parameter) for parameter in parameters]
        for x, y in zip(torch.split(features, CHUNK), torch.split(labels, CHUNK), strict=True):
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                logits = readout(x)
            loss, log_probs = _losses(logits, y, smoothing)
            total += loss
            gradient = _gradient(log_probs, y, smoothing).to(logits.dtype)
            first, *rest = torch.autograd.grad(logits, (x, *parameters), gradient)
            of_features.append(first)
            for sum_, part in zip(of_parameters, rest, strict=True):
                sum_ += part
        ctx.save_for_backward(torch.cat(of_features) if of_features else torch.zeros_like(features), *of_parameters)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        of_features, *of_parameters = (saved * gradients[0] for saved in ctx.saved_tensors)
        return of_features, None, None, None, *of_parameters
