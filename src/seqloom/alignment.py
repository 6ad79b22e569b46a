"""Which word of a source each word of its translation belongs to, as attention sees it.

The weights of a target word are the mean over its tokens, of what the tokens of each source word got together
(https://arxiv.org/abs/1409.0473, 5.2.1).  Attention is the mean over layers and heads; the share of the source's end
is left out.  It explains a model's choice of a word in part only: recurrent models align words better than Transformers
do, whose layers look at other things as well (https://arxiv.org/abs/1909.02074).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seqloom.errors import UsageError
from seqloom.translation import Alternative, Translation

Weights = NDArray[np.float64]


def soft(translation: Translation, alternative: Alternative) -> Weights:
    """The share of each source word in each target word, [target words, source words].

    A row sums to 1, or to 0 where only the end was looked at.  Raises ValueError for a translation without attention
    or words, and UsageError where the positions that attention looks at are not tokens.
    """
    source, target, attention = translation.source_words, alternative.words, alternative.attention
    if source is None or target is None or attention is None:
        raise ValueError("an alignment needs a translation with attention=True and words=True")
    tokens = len(translation.source_tokens)
    if any(word.end > tokens for word in source) or tokens >= attention.shape[-1]:
        raise UsageError("an alignment needs a model that looks at each source token, and this one joins them")
    weights = attention.mean((0, 1), dtype=np.float64)[:-1]  # [T, S + 1]; the end of the target is no word
    by_word = np.stack([weights[:, word.start : word.end].sum(1) for word in source], 1) if source else weights[:, :0]
    rows = [by_word[word.start : word.end].mean(0) for word in target]
    shares = np.array(rows).reshape(len(target), len(source))
    whole = shares.sum(1, keepdims=True)
    found: Weights = np.divide(shares, whole, out=np.zeros_like(shares), where=whole > 0)
    return found


def hard(shares: Weights) -> list[tuple[int, int]]:
    """For each target word, the source word with the largest share: pairs (source, target), counted from 0."""
    if not shares.size:
        return []
    return [(int(row.argmax()), target) for target, row in enumerate(shares) if row.any()]


def pharaoh(pairs: list[tuple[int, int]]) -> str:
    """Pairs as word aligners write them: "0-0 1-2", by source word."""
    return " ".join(f"{source}-{target}" for source, target in sorted(pairs))
