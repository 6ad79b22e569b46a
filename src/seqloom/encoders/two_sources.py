"""Two sources of one target."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from seqloom.attention.co_attention import CoAttention
from seqloom.bounds import Positive
from seqloom.encoders.base import Encoder
from seqloom.encoders.features import need_aligned
from seqloom.encoders.parts import places
from seqloom.layers.embedding import Embedding
from seqloom.registry import register
from seqloom.structures import Encoded, Sequences, Widths
from seqloom.vocabulary import EOS


@register("two_sources")
class TwoSourceEncoder(Encoder):
    """Two texts, each with an encoder of its own; attention is over the positions of both, one behind the other.

    That is the flat combination of https://arxiv.org/abs/1704.06567: what is known of either text is brought into one
    space by linear layers of its own.  The first text is the first part of the source, the second one all the others
    (tokenizer `Parts`); a second one that is missing is read as an empty one that can't be looked at.  The summary has
    both, one behind the other.
    """

    reads_symbols = True

    def __init__(
        self,
        embedding: Embedding,
        *,
        first: Callable[..., Encoder],
        second: Callable[..., Encoder] | None = None,
        co_attention: Callable[..., CoAttention] | None = None,
        size: Positive = 256,
    ):
        """Without a `second` encoder the first one reads both texts; `size` is the width of the space they share.

        With `co_attention` (https://arxiv.org/abs/1606.00061) the summary is what each text looks like in the light of
        the other, and a position knows this of the other text.  ValueError unless tokens keep a position each.
        """
        super().__init__()
        self.first = need_aligned(first(embedding=embedding), "first")
        self.second = need_aligned(second(embedding=embedding), "second") if second else self.first
        one, two = self.first.widths, self.second.widths
        self.co_attention = co_attention(first_size=one.values, second_size=two.values) if co_attention else None
        more = (two.values, one.values) if co_attention else (0, 0)  # what is known of the other text
        self.keys = nn.ModuleList(nn.Linear(w.keys + m, size) for w, m in zip((one, two), more, strict=True))
        self.values = nn.ModuleList(nn.Linear(w.values + m, size) for w, m in zip((one, two), more, strict=True))
        summary = one.values + two.values if co_attention else one.summary + two.summary
        self.widths = Widths(size, size, summary)

    def forward(self, source: Sequences, *, weights: bool = False) -> Encoded:
        """As every encoder; self-attention is within each text, shown if both have as many layers and heads."""
        texts = apart(source)
        said = self.first(texts[0], weights=weights), self.second(texts[1], weights=weights)
        keys, values = [one.keys for one in said], [one.values for one in said]
        summaries = [one.summary for one in said]
        if self.co_attention is not None:
            sides = self.co_attention(*values, *(text.mask for text in texts))
            summaries = [side.summary for side in sides]
            keys, values = (_knowing(x, summaries[::-1]) for x in (keys, values))
        order = _order(source, texts)
        return Encoded(
            _behind(_projected(self.keys, keys), order),
            _behind(_projected(self.values, values), order),
            source.mask,
            torch.cat(summaries, -1),
            _blocks(said[0].attention, said[1].attention, order, source.mask),
            said[0].penalty + said[1].penalty,
        )


def apart(source: Sequences) -> tuple[Sequences, Sequences]:
    """The first part of each row, and all the others as one text; an eos alone where there are none."""
    here = torch.arange(source.ids.size(1), device=source.ids.device)
    first = source.mask & (places(source).part == 0)
    count = first.sum(1, keepdim=True)  # [B, 1]
    second = here < source.mask.sum(1, keepdim=True) - count
    moved = source.ids.take_along_dim((here + count).clamp(max=len(here) - 1), 1)
    missing = ~second.any(1)
    moved[missing, 0] = EOS
    second[missing, 0] = True
    one, two = Sequences(source.ids, first), Sequences(moved, second)
    return _short(one), _short(two)


def _short(text: Sequences) -> Sequences:
    """Without columns where nothing is real."""
    length = int(text.lengths().max())
    return Sequences(text.ids[:, :length], text.mask[:, :length])


def _order(source: Sequences, texts: tuple[Sequences, Sequences]) -> Tensor:
    """For each position of the source, its place among the columns of both texts side by side, [B, S]."""
    here = torch.arange(source.ids.size(1), device=source.ids.device)
    count, columns = texts[0].lengths()[:, None], texts[0].mask.size(1)
    last = columns + texts[1].mask.size(1) - 1
    return torch.where(here < count, here, (columns + here - count).clamp(max=last))


def _knowing(features: list[Tensor], others: list[Tensor]) -> list[Tensor]:
    """Features [B, S, D] of either text beside a vector [B, E] of the other."""
    return [
        torch.cat([x, other[:, None].expand(-1, x.size(1), -1)], -1) for x, other in zip(features, others, strict=True)
    ]


def _projected(layers: nn.ModuleList, features: list[Tensor]) -> list[Tensor]:
    return [layer(x) for layer, x in zip(layers, features, strict=True)]


def _behind(features: list[Tensor], order: Tensor) -> Tensor:
    """Features [B, S1, D] and [B, S2, D] in the order of the source, [B, S, D]."""
    return torch.cat(features, 1).take_along_dim(order[..., None], 1)


def _blocks(first: Tensor | None, second: Tensor | None, order: Tensor, mask: Tensor) -> Tensor | None:
    """Self-attention within each text, [B, L, H, S1, S1] and [B, L, H, S2, S2], as that of the source.

    The rows of padding are that of the first position, so that they too are shares of real ones.
    """
    if first is None or second is None or first.shape[1:3] != second.shape[1:3]:
        return None
    rows = [nn.functional.pad(first, (0, second.size(4))), nn.functional.pad(second, (first.size(4), 0))]
    both = torch.cat(rows, 3)  # [B, L, H, S1 + S2, S1 + S2]
    by_row = both.take_along_dim(order.where(mask, 0)[:, None, None, :, None], 3)
    return by_row.take_along_dim(order[:, None, None, None], 4) * mask[:, None, None, None]
