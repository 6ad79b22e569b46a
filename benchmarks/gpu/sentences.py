"""Made-up pairs of sentences, like those of news."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from seqloom.data.batches import Ids
from seqloom.vocabulary import SPECIALS

SEED = 1
Pairs = Sequence[tuple[Ids, Ids]]


def made_up(vocabulary: int, tokens: int) -> Pairs:
    """Pairs with so many target tokens in all.

    Lengths are spread like those of news in subwords: the median 26, one in twenty above 60 (log-normal); the target is
    as long as its source, give or take a tenth.  The n-th symbol is as frequent as 1 / n.
    """
    random, pairs, made = np.random.default_rng(SEED), [], 0
    shares = np.cumsum(1 / np.arange(1, vocabulary - len(SPECIALS) + 1))
    while made < tokens:
        source = int(np.clip(random.lognormal(math.log(26), 0.52), 2, 200))
        lengths = source, max(1, round(source * random.normal(1.0, 0.1)))
        sides = [len(SPECIALS) + np.searchsorted(shares, shares[-1] * random.random(n)) for n in lengths]
        pairs.append((sides[0], sides[1]))
        made += lengths[1] + 1
    return pairs
