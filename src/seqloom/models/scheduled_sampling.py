"""Scheduled sampling: a decoder learns to go on from what it would have said itself."""

from __future__ import annotations

import torch
from torch import Tensor

from seqloom.decoders.base import Decoder
from seqloom.structures import Output, State


def sampled(decoder: Decoder, tokens: Tensor, state: State, *, rate: float) -> Output:
    """What the decoder says of the target [N, T], each token after the first exchanged with probability `rate`.

    What takes its place is drawn from the decoder's own distribution there; https://arxiv.org/abs/1506.03099, 2.4.  It
    goes token by token, and no gradient flows through a draw.
    """
    fed, outputs = tokens[:, :1], []
    for position in range(tokens.size(1)):
        output, state = decoder(fed, state)
        outputs.append(output)
        fed = tokens[:, position + 1 : position + 2]
        if fed.numel():
            exchanged = torch.rand(fed.shape, device=fed.device) < rate
            fed = torch.where(exchanged, _drawn(decoder, output.features), fed)
    features, log_probs = [output.features for output in outputs], [output.log_prob for output in outputs]
    penalty = sum(output.penalty for output in outputs) / len(outputs)
    return Output(torch.cat(features, 1), None, penalty, None if log_probs[0] is None else torch.cat(log_probs, 1))


@torch.no_grad()
def _drawn(decoder: Decoder, features: Tensor) -> Tensor:
    """A token for each row of features [N, 1, D], drawn from what they say, [N, 1]."""
    return torch.multinomial(decoder.project(features[:, -1]).float().softmax(-1), 1)
