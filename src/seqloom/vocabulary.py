"""Symbols and their ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

BOS, EOS, UNK = 0, 1, 2  # padding is no symbol: masks say where it is, and nothing looks at what stands there
SPECIALS = ("<s>", "</s>", "<unk>")


class Vocabulary:
    """A fixed list of symbols; a symbol's id is its place.  The first three are `SPECIALS`, in every vocabulary."""

    def __init__(self, symbols: Sequence[str]):
        """`symbols` starts with `SPECIALS`.  Raises ValueError if it doesn't, or names a symbol twice."""
        if tuple(symbols[: len(SPECIALS)]) != SPECIALS:
            raise ValueError(f"a vocabulary starts with {', '.join(SPECIALS)}, got {list(symbols[:3])}")
        self.symbols = tuple(symbols)
        self._ids = {symbol: i for i, symbol in enumerate(self.symbols)}
        if len(self._ids) != len(self.symbols):
            raise ValueError("a vocabulary names each symbol once")

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._ids

    def ids(self, symbols: Iterable[str]) -> list[int]:
        """The ids of `symbols`; UNK for those never seen."""
        return [self._ids.get(symbol, UNK) for symbol in symbols]

    def lookup(self, ids: Iterable[int]) -> list[str]:
        """The symbols with these ids."""
        return [self.symbols[i] for i in ids]
