"""A Transformer decoder without self-attention."""

from __future__ import annotations

from typing import Any

from seqloom.decoders.transformer import TransformerDecoder
from seqloom.layers.history import History
from seqloom.layers.ssru import SSRU
from seqloom.registry import register


@register("ssru")
class SSRUDecoder(TransformerDecoder):
    """A Transformer decoder in which a recurrence stands in for self-attention: a token costs the same however late.

    Kim et al. 2019, https://aclanthology.org/D19-5632.  Its options are the Transformer's; those of attention are for
    that over the source.  ValueError for positions that are a matter of self-attention.
    """

    def _history(self, size: int, **options: Any) -> History:
        if self.positions.distances() is not None:
            raise ValueError(
                "an SSRU decoder has no self-attention that could mind distances; "
                "positions must be sinusoidal, learned or none"
            )
        return SSRU(size)
