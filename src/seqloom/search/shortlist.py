"""A lexical shortlist: which target symbols a search looks at, given the symbols of its source.

Most of a vocabulary can't be meant by a given sentence; only what goes with its symbols, and what is common anyway, is
worth a logit (https://arxiv.org/abs/1412.2007, 3.3).  Nothing here needs PyTorch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.errors import CheckpointError
from seqloom.search.lexicon import Lexicon
from seqloom.vocabulary import SPECIALS

FORMAT = "1"
ALWAYS = np.arange(len(SPECIALS))  # bos, eos and unk keep their ids in a narrowed vocabulary
LEAST = 1e-4  # a probability; what is less likely is chance
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Shortlist:
    """The target symbols that go with each source symbol, and those that go with all."""

    common: Ids  # [C]
    starts: Ids  # [V + 1] where those of each source symbol begin, and where the last ones end
    targets: Ids  # [M]
    tokenizers: str = ""  # the fingerprint of those whose symbols these are

    @staticmethod
    def of(lexicon: Lexicon, *, common: int, each: int, joint: bool = False, tokenizers: str = "") -> Shortlist:
        """Behind each source symbol the `each` likeliest target symbols; behind all of them, the `common` ones.

        A symbol that is among nobody's likeliest stands behind the one that most often made it all the same.  Where
        both sides share their symbols (`joint`), each source symbol stands for itself, too, as in names.
        """
        sources, targets = lexicon.sources, lexicon.targets
        known = (lexicon.source < sources) & (lexicon.probability > LEAST)
        source, target = lexicon.source[known], lexicon.target[known]
        rows = np.union1d(_first(source, lexicon.probability[known], each), _first(target, lexicon.count[known], 1))
        pairs = source[rows] * targets + target[rows]
        if joint:
            pairs = np.append(pairs, np.arange(len(ALWAYS), sources) * (targets + 1))
        source, target = np.divmod(np.unique(pairs), targets)
        starts = np.searchsorted(source, np.arange(sources + 1))
        seen = np.bincount(lexicon.target, lexicon.count, targets)
        most = np.argsort(-seen, kind="stable")[:common]
        return Shortlist(np.union1d(ALWAYS, most[seen[most] > 0]), starts, target, tokenizers)

    def of_sentence(self, source: Iterable[int]) -> Ids:
        """The target symbols to look at for this source of ids, in order."""
        own = [self.targets[self.starts[i] : self.starts[i + 1]] for i in set(source)]
        return np.unique(np.concatenate([self.common, *own]))

    def fingerprint(self) -> str:
        """A SHA-256 of what it lists."""
        digest = hashlib.sha256(self.tokenizers.encode())
        for part in (self.common, self.starts, self.targets):
            digest.update(part.tobytes())
        return digest.hexdigest()

    def lines(self, sources: Sequence[str], targets: Sequence[str]) -> Iterator[str]:
        """The same for CTranslate2, as its vmap.txt: a source symbol, a tab, and target symbols between spaces.

        The first line, which names no source symbol, has the common ones.  Raises ValueError for a symbol that can't be
        written so.
        """
        for symbol in (*sources, *targets):
            if not symbol or set(symbol) & set(" \t\n"):
                raise ValueError(f"the symbol {symbol!r} can't stand in a vocabulary map")
        yield f"\t{' '.join(targets[i] for i in self.common if i not in ALWAYS)}\n"
        for name, (start, end) in zip(sources, zip(self.starts, self.starts[1:], strict=False), strict=True):
            if end > start:
                yield f"{name}\t{' '.join(targets[i] for i in self.targets[start:end])}\n"

    def save(self, path: Path) -> None:
        """Write it in one step."""
        from safetensors.numpy import save

        parts = {"common": self.common, "starts": self.starts, "targets": self.targets}
        data = save(
            {name: part.astype(np.int32) for name, part in parts.items()},
            metadata={"format": FORMAT, "tokenizers": self.tokenizers, "sha256": self.fingerprint()},
        )
        scratch = path.with_name(f".new-{path.name}")
        scratch.write_bytes(data)
        scratch.replace(path)

    @staticmethod
    def load(path: Path, *, tokenizers: str) -> Shortlist:
        """What `save` wrote.  Raises CheckpointError if it is damaged, or made for other tokenizers than these."""
        try:
            header, parts = _read(path)
            if header["format"] != FORMAT:
                raise CheckpointError(f"{path} has format {header['format']}; this version of Seqloom reads {FORMAT}")
            found = Shortlist(parts["common"], parts["starts"], parts["targets"], header["tokenizers"])
            if found.fingerprint() != header["sha256"]:
                raise ValueError("its SHA-256 is another one")
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(f"{path} is damaged; make it anew with seqloom shortlist") from error
        if found.tokenizers != tokenizers:
            raise CheckpointError(f"{path} is for other tokenizers; make it anew with seqloom shortlist")
        return found


def _read(path: Path) -> tuple[dict[str, str], dict[str, Ids]]:
    """The metadata and the tensors of a file; ValueError if it is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            parts = {name: file.get_tensor(name).astype(np.int64) for name in file.keys()}  # noqa: SIM118 - no dict
            return file.metadata() or {}, parts
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _first(groups: Ids, ranks: NDArray[Any], count: int) -> Ids:
    """The rows of the `count` highest ranks of each group, in order."""
    order = np.lexsort((-ranks, groups))
    sorted_groups = groups[order]
    begins = np.searchsorted(sorted_groups, sorted_groups)  # of the group of each row
    return np.sort(order[np.arange(len(order)) - begins < count])
