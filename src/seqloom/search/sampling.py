"""Drawing the next token at random, as a function of a key: no generator, so no batch, machine or restart matters."""

from __future__ import annotations

import torch
from torch import Tensor

_ODD = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # of SplitMix64
_BITS = 31  # of a random number that are used


def keys(seed: int, numbers: Tensor, samples: int) -> Tensor:
    """A key for each of the `samples` targets that are drawn for each sentence, [B * samples]; `numbers` is [B]."""
    sentences = _mixed(numbers.long() + _mixed(torch.tensor(_signed(seed), device=numbers.device)))  # [B]
    return _mixed(sentences[:, None] + torch.arange(samples, device=numbers.device)).flatten()


def draw(log_probs: Tensor, keys: Tensor, length: int) -> Tensor:
    """A token [N] out of each row of log-probabilities [N, V], which need not sum to 1, as token number `length`.

    By the Gumbel-max trick (https://arxiv.org/abs/1611.00712, 2.1): the noise of each token is a function of the key
    [N], the length and the token, so that rounding can change a draw only where two tokens come out all but even.
    """
    rows = _mixed(keys + length)[:, None]
    random = _mixed(rows + torch.arange(log_probs.size(1), device=log_probs.device)) >> (63 - _BITS) & 2**_BITS - 1
    uniform = (random.float() + 0.5) * 2.0**-_BITS  # small ones are the exact ones, and they decide
    waiting = -torch.log1p(-uniform.clamp(max=1 - 2.0**-24))  # exponential; float32 would round to 1, and that to inf
    return (log_probs - waiting.log()).argmax(1)


def tempered(log_probs: Tensor, temperature: float, top_k: int | None, top_p: float | None) -> Tensor:
    """Log-probabilities [N, V] at this temperature, with -inf for what is not to be drawn.

    Only the `top_k` most likely remain (https://arxiv.org/abs/1805.04833, 3.3), and of these only the fewest that have
    `top_p` of the probability (https://arxiv.org/abs/1904.09751, 3.1).
    """
    log_probs = log_probs / temperature
    if top_k is not None and top_k < log_probs.size(1):
        log_probs = _only(log_probs, *log_probs.topk(top_k))
    if top_p is not None and top_p < 1:
        best, order = log_probs.sort(descending=True, stable=True)
        before = best.softmax(1).cumsum(1).roll(1, 1)  # the probability of all that are more likely
        before[:, 0] = 0
        log_probs = _only(log_probs, best.masked_fill(before >= top_p, -torch.inf), order)
    return log_probs


def _only(log_probs: Tensor, values: Tensor, tokens: Tensor) -> Tensor:
    return torch.full_like(log_probs, -torch.inf).scatter(1, tokens, values)


def _mixed(x: Tensor) -> Tensor:
    """64 bits in which every bit of the given 64 has its say (SplitMix64)."""
    x = x * _signed(_ODD[0])
    x = (x ^ _shifted(x, 30)) * _signed(_ODD[1])
    x = (x ^ _shifted(x, 27)) * _signed(_ODD[2])
    result: Tensor = x ^ _shifted(x, 31)
    return result


def _shifted(x: Tensor, bits: int) -> Tensor:
    """To the right, with zeros coming in from the left."""
    shifted: Tensor = x >> bits & 2 ** (64 - bits) - 1
    return shifted


def _signed(number: int) -> int:
    """The 64-bit integer with the same bits as this one."""
    number %= 2**64
    return number - 2**64 if number >= 2**63 else number
