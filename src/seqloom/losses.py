"""What training makes small."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

SMALL = 2.0**6  # gradients of logits in float16 are made so much larger on the way, or most of them would be 0
CHUNK = 1024  # rows projected at a time: their logits stay in the cache, and memory doesn't grow with the batch
ROUND = 64  # rows; chunks have a multiple of so many, which is few shapes


def cross_entropy(readout: nn.Module, features: Tensor, labels: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Sum over rows of the cross-entropy of `readout(features)` [R, V] with `labels` [R], a scalar.

    With label smoothing e (https://arxiv.org/abs/1512.00567, 7) the wanted distribution is (1 - e) on the label plus
    e/V on every symbol.  All logits never exist at once: chunk by chunk they are made, and turned into their gradient
    there and then.
    """
    return cross_entropies(readout, features, labels, label_smoothing=label_smoothing)[0]


def cross_entropies(
    readout: nn.Module, features: Tensor, labels: Tensor, *, label_smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """What `cross_entropy` gives, and the loss of each row [R], through which no gradient flows."""
    parameters = [parameter for parameter in readout.parameters() if parameter.requires_grad]
    if torch.is_grad_enabled():
        return _ChunkedCrossEntropy.apply(features, labels, label_smoothing, readout, *parameters)  # type: ignore
    chunks = zip(torch.split(features, CHUNK), torch.split(labels, CHUNK), strict=True)
    losses = [_losses(readout(x), y, label_smoothing)[0] for x, y in chunks]
    rows = torch.cat(losses) if losses else features.new_zeros(0).float()
    return rows.sum(), rows


def reinforce(log_prob: Tensor, losses: Tensor, real: Tensor) -> Tensor:
    """A scalar that is 0, and whose gradient is that of the expected loss through what was drawn at random.

    A draw with `log_prob` [N, T] answers for the `losses` of its step and later ones: `losses` [R] are those of the
    `real` steps [N, T], row by row.  What is usual at that step, the mean of the other rows', is taken off, which
    changes no expectation and calms the gradient; https://arxiv.org/abs/1502.03044, equations 11 and 12.
    """
    to_go = torch.zeros_like(real, dtype=losses.dtype).masked_scatter(real, losses.detach())
    to_go = to_go.flip(1).cumsum(1).flip(1)  # [N, T], 0 behind a target's end
    others = real.sum(0) - real.to(to_go.dtype)
    usual = (to_go.sum(0) - to_go) / others.clamp(min=1)
    blame = (log_prob * (to_go - usual) * real).sum()
    return blame - blame.detach()


def _losses(logits: Tensor, labels: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """The loss of each row, and log-probabilities in float32."""
    log_probs = logits.detach().log_softmax(1, dtype=torch.float32)
    losses = -(1 - smoothing) * log_probs.gather(1, labels[:, None])[:, 0]
    return (losses - smoothing * log_probs.mean(1) if smoothing else losses), log_probs


def _rounded(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Features and labels with the last row repeated until there is a multiple of ROUND.

    The number of real tokens differs from batch to batch, and a library that compiles a kernel for every shape it meets
    would compile, and keep, as many as a chunk has rows.
    """
    missing = -len(labels) % ROUND if len(labels) else 0
    if not missing:
        return features, labels
    return torch.cat([features, features[-1:].expand(missing, -1)]), torch.cat([labels, labels[-1:].expand(missing)])


def _losses_and_gradient(logits: Tensor, labels: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """The loss of each row, and its gradient with respect to the logits."""
    if logits.dtype == torch.bfloat16:
        losses, gradient = _losses_and_shares(logits, labels, smoothing)
    else:
        losses, log_probs = _losses(logits, labels, smoothing)
        gradient = log_probs.exp_()
    gradient[torch.arange(len(labels), device=labels.device), labels] -= 1 - smoothing
    return losses, gradient.sub_(smoothing / gradient.size(1)) if smoothing else gradient


def _losses_and_shares(logits: Tensor, labels: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """The loss of each row, and probabilities in bfloat16, which the logits are: half the memory to go through.

    A loss is off by up to 0.002 either way, less than the rounding of its logits makes it anyway.
    """
    shares, chosen = logits.softmax(1), labels[:, None]
    surprise = -shares.gather(1, chosen)[:, 0].float().clamp(min=1e-38).log()
    if not smoothing:
        return surprise, shares
    normalizer = logits.gather(1, chosen)[:, 0].float() + surprise
    return surprise + smoothing * (normalizer - surprise - logits.mean(1, dtype=torch.float32)), shares


class _ChunkedCrossEntropy(torch.autograd.Function):
    """The gradient is known as soon as the loss is: so it is taken in `forward`, and `backward` only scales it."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, labels: Tensor, smoothing: float, readout: nn.Module, *parameters: Tensor
    ) -> tuple[Tensor, Tensor]:
        rows, of_features, of_parameters = [], [], [torch.zeros_like(parameter) for parameter in parameters]
        for x, y in zip(torch.split(features, CHUNK), torch.split(labels, CHUNK), strict=True):
            real, (x, y) = len(y), _rounded(x, y)
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                logits = readout(x)
            losses, gradient = _losses_and_gradient(logits.detach(), y, smoothing)
            rows.append(losses[:real])
            gradient[real:] = 0
            larger = SMALL if logits.dtype == torch.float16 else 1.0
            if larger != 1:
                gradient.mul_(larger)
            first, *rest = torch.autograd.grad(logits, (x, *parameters), gradient.to(logits.dtype))
            of_features.append(first[:real] / larger)
            for sum_, part in zip(of_parameters, rest, strict=True):
                sum_.add_(part, alpha=1 / larger)
        ctx.save_for_backward(torch.cat(of_features) if of_features else torch.zeros_like(features), *of_parameters)
        every = torch.cat(rows) if rows else torch.zeros(0, device=features.device)
        ctx.mark_non_differentiable(every)
        return every.sum(), every

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        of_features, *of_parameters = (saved * gradients[0] for saved in ctx.saved_tensors)
        return of_features, None, None, None, *of_parameters
