"""Texts of several parts, such as two sources of one target, or the sentences of a document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, islice, pairwise
from pathlib import Path

from seqloom.bounds import Positive
from seqloom.errors import UnreadableError
from seqloom.registry import register
from seqloom.tokenizers.base import Role, Tokenizer
from seqloom.vocabulary import EOS, Vocabulary


@register("parts")
class Parts(Tokenizer):
    """Cuts a text at a separator, and each part as another tokenizer does: ids(a) eos ids(b), and eos ends the text."""

    def __init__(self, *, tokenizer: Callable[..., Tokenizer], separator: str = "|||", parts: Positive | None = None):
        """`parts` is how many every text must have; without it, any number.

        ValueError for a tokenizer of files, and for a number of parts that targets of a joint tokenizer don't have.
        """
        self.tokenizer, self.separator, self.parts = tokenizer(), separator, parts
        self.joint = self.tokenizer.joint
        if self.tokenizer.of_files:
            raise ValueError(f"parts are cut out of text, and the sources of {type(self.tokenizer).__name__} are files")
        if not separator.strip():
            raise ValueError("separator must have a character that is no blank")
        if parts and self.joint:
            raise ValueError("parts is for sources, and a joint tokenizer reads targets too; leave one of the two out")

    @property
    def vocabulary(self) -> Vocabulary:
        """Raises ValueError before `train` or `load`."""
        return self.tokenizer.vocabulary

    @property
    def files(self) -> tuple[Path, ...]:
        return self.tokenizer.files

    def train(self, lines: Iterable[str]) -> None:
        self.tokenizer.train(part for line in lines for part in self._cut(line))

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, an eos between its parts.  UnreadableError for a text with another number of parts."""
        cut = [self._checked(text) for text in texts]
        rows = iter(self.tokenizer.encode([part for parts in cut for part in parts]))
        return [self._joined(list(islice(rows, len(parts)))) for parts in cut]

    def decode(self, ids: Sequence[int]) -> str:
        return f" {self.separator} ".join(self.tokenizer.decode(part) for part in _parts_of(ids))

    def written(self, text: str) -> list[str]:
        first, *rest = self._checked(text) or [""]
        more = [token for part in rest for token in (self.separator, *self.tokenizer.written(part))]
        return [*self.tokenizer.written(first), *more]

    def role(self, symbol: str) -> Role:
        return self.tokenizer.role(symbol)

    def sampled(self, rows: Sequence[Sequence[int]], *, share: float, keys: Sequence[int]) -> list[list[int]]:
        parts = [_cut_at_ends(row) for row in rows]
        all_keys = [key + number for row, key in zip(parts, keys, strict=True) for number in range(len(row))]
        drawn = iter(self.tokenizer.sampled([part for row in parts for part in row], share=share, keys=all_keys))
        return [self._joined(list(islice(drawn, len(row)))) for row in parts]

    def restore(self, text: str) -> str:
        return f" {self.separator} ".join(self.tokenizer.restore(part) for part in self._cut(text))

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """A readable piece for each id; the end of a part is shown as the separator."""
        pieces = self.tokenizer.tokens(ids)
        return [self.separator if i == EOS else piece for i, piece in zip(ids, pieces, strict=True)]

    def dump(self) -> bytes:
        return self.tokenizer.dump()

    def load(self, data: bytes) -> None:
        self.tokenizer.load(data)

    def _cut(self, text: str) -> list[str]:
        return [part.strip() for part in text.split(self.separator)]

    def _checked(self, text: str) -> list[str]:
        """The parts of a text; none of a text that is empty."""
        parts = self._cut(text) if text.strip() else []
        if parts and self.parts and len(parts) != self.parts:
            found = f"{len(parts)} part{'s' * (len(parts) != 1)}"
            raise UnreadableError(
                f"{self.parts} parts are wanted, with {self.separator} between them, and there is {found}: {text[:60]}",
                text,
            )
        return parts

    def _joined(self, rows: list[list[int]]) -> list[int]:
        """Ids of parts, one behind the other; nothing if all are empty."""
        ids = [i for row in rows for i in (*row, EOS)][:-1]
        return ids if any(i != EOS for i in ids) else []


def _cut_at_ends(ids: Sequence[int]) -> list[list[int]]:
    """What stands before, between and behind the ends; a part may be empty."""
    ends = [-1, *(place for place, i in enumerate(ids) if i == EOS), len(ids)]
    return [list(ids[start + 1 : end]) for start, end in pairwise(ends)]


def _parts_of(ids: Sequence[int]) -> list[list[int]]:
    """What stands before and between the ends; an end behind everything ends no further part."""
    last = max((place for place, i in enumerate(ids) if i != EOS), default=-1)
    ended = groupby(ids[: last + 1], key=lambda i: i == EOS)
    return [list(part) for is_end, part in ended if not is_end]
