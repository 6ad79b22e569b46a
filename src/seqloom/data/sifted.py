"""What filters left of a corpus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from seqloom.data.rows import Pair


@dataclass(frozen=True)
class Sifted:
    """Which rows of a corpus stay, and how many each filter left out, by its reason."""

    key: str  # another one wherever another row stays
    kept: NDArray[np.bool_]  # one for each row of `read_rows`
    left_out: Mapping[str, int]

    def rows(self, rows: Iterator[Pair | None]) -> Iterator[Pair | None]:
        """Those of the corpus's rows that stay."""
        return compress(rows, self.kept)
