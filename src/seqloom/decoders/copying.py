"""A decoder that can write what stands in the source, whether it knows the word or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from seqloom.decoders.base import Decoder
from seqloom.errors import UsageError
from seqloom.layers.embedding import Embedding
from seqloom.registry import register
from seqloom.structures import Encoded, Output, State, Widths


@dataclass(frozen=True)
class CopyingState(State):
    """The inner decoder's state, and what stands at each position of the source."""

    inner: State
    ids: Tensor  # [N, S]
    values: Tensor  # [N, S, V]


@register("copying")
class CopyingDecoder(Decoder):
    """A pointer-generator: another decoder's words, or those that it looks at; https://arxiv.org/abs/1704.04368, 2.2.

    P(w) = p P_decoder(w) + (1 - p) sum of a_i over the positions i where w stands (equation 9).  The weights a are the
    mean over the heads of the decoder's last layer, made to add up to 1; p = sigmoid(W [h; c; x]) of the decoder's
    features h, the context c = sum a_i v_i and the last token's embedding x (equation 8, whose state is h here).

    Source and target need one vocabulary.  The features have all that `readout` needs: p, the weights, which symbol
    stands where, and h; what it makes of them are log-probabilities.
    """

    copies: ClassVar[bool] = True

    def __init__(self, embedding: Embedding, widths: Widths, *, decoder: Callable[..., Decoder], generate: bool = True):
        """Without `generate` it is a pointer: p = 0, and all it can write stands in the source.

        That is https://arxiv.org/abs/1506.03134, whose pointers are to positions, not to what stands there.
        """
        super().__init__()
        self.embedding, self.decoder = embedding, decoder(embedding=embedding, widths=widths)
        size = _features(self.decoder.readout)
        self.gate = nn.Linear(size + widths.values + embedding.size, 1) if generate else None
        self.readout: nn.Module = Mixture(self.decoder.readout if generate else None, size, embedding.symbols)
        if not generate:
            self.decoder.readout = nn.Identity()  # nothing would be learnt there

    def start(self, source: Encoded) -> CopyingState:
        """UsageError if the source's positions don't stand for a symbol each."""
        if source.ids is None:
            raise UsageError("copying needs an encoder whose positions stand for a source symbol each")
        return CopyingState(self.decoder.start(source), source.ids.where(source.mask, 0), source.values)

    def forward(self, tokens: Tensor, state: State, *, weights: bool = False) -> tuple[Output, CopyingState]:
        """As every decoder; UsageError if the inner one shows no attention."""
        assert isinstance(state, CopyingState)
        output, inner = self.decoder(tokens, state.inner, weights=True)
        if output.attention is None:
            raise UsageError(f"copying needs attention, and {type(self.decoder).__name__} has none here")
        shares = output.attention[:, -1].mean(1)  # [N, T, S]
        shares = shares / shares.sum(-1, keepdim=True).clamp(min=torch.finfo(shares.dtype).tiny)
        generated = self._generated(tokens, output.features, shares, state)
        # never narrower than float32, in which ids are exact
        ids = state.ids[:, None].expand(-1, tokens.size(1), -1).to(torch.promote_types(shares.dtype, torch.float32))
        features = torch.cat([generated.to(ids.dtype), shares.to(ids.dtype), ids, output.features.to(ids.dtype)], -1)
        shown = replace(output, features=features, attention=output.attention if weights else None)
        return shown, replace(state, inner=inner)

    def _generated(self, tokens: Tensor, features: Tensor, shares: Tensor, state: CopyingState) -> Tensor:
        """The probability that a word is the decoder's own, [N, T, 1]."""
        if self.gate is None:
            return torch.zeros_like(shares[..., :1])
        context = shares.to(state.values.dtype) @ state.values
        known = [features, context.to(features.dtype), self.embedding(tokens).to(features.dtype)]
        return self.gate(torch.cat(known, -1)).to(shares.dtype).sigmoid()  # type: ignore[no-any-return]


class Mixture(nn.Module):
    """Rows of p, weights [S], ids [S] and features [size] -> log-probabilities of symbols."""

    def __init__(self, readout: nn.Module | None, size: int, symbols: int):
        super().__init__()
        self.readout, self.size, self.symbols = readout, size, symbols

    def forward(self, rows: Tensor) -> Tensor:
        """[..., 1 + 2 S + size] -> [..., V]; what is impossible has the least probability there is above 0."""
        positions = (rows.size(-1) - 1 - self.size) // 2
        generated, shares, ids, features = torch.split(rows, [1, positions, positions, self.size], -1)
        nothing = shares.new_zeros(*rows.shape[:-1], self.symbols)
        chances = nothing.scatter_add(-1, ids.long(), (1 - generated) * shares)
        if self.readout is not None:
            chances = chances + generated * self.readout(features).softmax(-1, dtype=rows.dtype)
        return chances.clamp(min=torch.finfo(rows.dtype).tiny).log()


def _features(readout: nn.Module) -> int:
    """How wide the features are that a readout takes."""
    widths = (part.in_features for part in readout.modules() if isinstance(part, nn.Linear))
    width = next(widths, None)
    if width is None:
        raise ValueError("copying needs a decoder whose readout is a linear layer")
    return width
