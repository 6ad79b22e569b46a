"""Tags in front of a text, which say what is wanted of it: each is one symbol, whatever the text is cut into."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from seqloom.errors import UsageError
from seqloom.tokenizers.base import SILENT, Role, Tokenizer
from seqloom.vocabulary import Vocabulary


class Tagged(Tokenizer):
    """A tokenizer whose texts may begin with tags, each followed by a blank (https://arxiv.org/abs/1611.04558, 3).

    The tags are symbols behind those of the `plain` tokenizer; elsewhere in a text, they are text.
    """

    def __init__(self, plain: Tokenizer, tags: Sequence[str]):
        """Raises UsageError if the tokenizer reads files instead of text."""
        if plain.of_files:
            raise UsageError(f"a tag stands before text, and the sources of {type(plain).__name__} are files")
        self.plain, self.tags, self.joint = plain, tuple(tags), plain.joint

    @property
    def vocabulary(self) -> Vocabulary:
        """Raises ValueError before `train` or `load`."""
        if self._vocabulary is None:
            known = self.plain.vocabulary
            self._vocabulary = Vocabulary((*known.symbols, *(tag for tag in self.tags if tag not in known)))
        return self._vocabulary

    def train(self, lines: Iterable[str]) -> None:
        self.plain.train(lines)
        self._vocabulary = None

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text; none where there is nothing behind its tags."""
        divided = [self._divided(text) for text in texts]
        rows = self.plain.encode([text for _, text in divided])
        return [self.vocabulary.ids(tags) + ids if ids else [] for (tags, _), ids in zip(divided, rows, strict=True)]

    def decode(self, ids: Sequence[int]) -> str:
        tags, rest = self._parted(ids)
        return " ".join(filter(None, [*tags, self.plain.decode(rest)]))

    def filled(self, ids: Sequence[int], copies: Sequence[str]) -> str:
        tags, rest = self._parted(ids)
        return " ".join(filter(None, [*tags, self.plain.filled(rest, copies)]))

    def written(self, text: str) -> list[str]:
        tags, rest = self._divided(text)
        return [*tags, *self.plain.written(rest)]

    def spellings(self, phrase: str) -> list[list[int]]:
        return self.plain.spellings(phrase)

    def role(self, symbol: str) -> Role:
        return "apart" if symbol in self.tags else self.plain.role(symbol)

    def sampled(self, rows: Sequence[Sequence[int]], *, share: float, keys: Sequence[int]) -> list[list[int]]:
        counts = [len(self._parted(row)[0]) for row in rows]
        rest = self.plain.sampled([row[n:] for n, row in zip(counts, rows, strict=True)], share=share, keys=keys)
        return [[*row[:n], *drawn] for n, row, drawn in zip(counts, rows, rest, strict=True)]

    def restore(self, text: str) -> str:
        return self.plain.restore(text)

    @property
    def files(self) -> tuple[Path, ...]:
        return self.plain.files

    def tokens(self, ids: Sequence[int]) -> list[str]:
        own, known = self.vocabulary.symbols, len(self.plain.vocabulary)
        return [self.plain.tokens([i])[0] if i < known else own[i] for i in ids]

    def described(self) -> dict[str, Any]:
        return self.plain.described() | {"tags": list(self.tags)}

    def dump(self) -> bytes:
        return self.plain.dump()

    def load(self, data: bytes) -> None:
        self.plain.load(data)
        self._vocabulary = None

    def _divided(self, text: str) -> tuple[list[str], str]:
        """The tags that a text begins with, and the rest."""
        tags: list[str] = []
        while (words := text.split(None, 1)) and words[0] in self.tags:
            tags.append(words[0])
            text = words[1] if words[1:] else ""
        return tags, text

    def _parted(self, ids: Sequence[int]) -> tuple[list[str], list[int]]:
        """The tags that ids begin with, and the rest; a tag among these stands for nothing."""
        ids, known = [i for i in ids if i not in SILENT], len(self.plain.vocabulary)
        start = next((place for place, i in enumerate(ids) if self.vocabulary.symbols[i] not in self.tags), len(ids))
        return self.vocabulary.lookup(ids[:start]), [i for i in ids[start:] if i < known]
