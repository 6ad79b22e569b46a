"""What cuts text into the pieces of another toolkit's model: a file beside it, or whoever prepares the text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqloom.compat.foreign import bytes_of, checked
from seqloom.compat.numbering import Numbering
from seqloom.tokenizers import PieceList, Tokenizers
from seqloom.tokenizers.piece_list import Cutter, Pieces
from seqloom.tokenizers.segmentation import Segmentation

MODELS, MERGES = ("*.spm", "*.model"), ("*codes*", "*.bpe")


@dataclass(frozen=True)
class Cutting:
    """How text becomes pieces."""

    cut: Cutter = "blanks"
    file: Path | None = None
    segmentation: Segmentation = "none"  # of text that is cut already

    @property
    def note(self) -> str | None:
        """What the user must know of it."""
        if self.segmentation == "none" or self.cut != "blanks":
            return None
        what = {"bpe": "file of merges (codes)", "sentencepiece": "SentencePiece model"}[self.segmentation]
        return f"no {what} lies beside the model, so its source texts must be cut into pieces before"


def found_beside(directory: Path, side: str, symbols: Collection[str]) -> Cutting:
    """What cuts text of one side, called `side` in names of files, for a model with these symbols.

    A file that has the side in its name goes before one for both.
    """
    for cut, patterns in (("sentencepiece", MODELS), ("bpe", MERGES)):
        files = sorted(file for pattern in patterns for file in directory.glob(pattern) if file.is_file())
        own = [file for file in files if side in file.name.split(".")]
        if len(chosen := own or files) == 1:
            return Cutting(cut, chosen[0])  # type: ignore[arg-type]
    return Cutting(segmentation=segmentation_of(symbols))


def segmentation_of(symbols: Iterable[str]) -> Segmentation:
    """How text of these pieces was cut: by the marks that most of its pieces, or a tenth of them, bear."""
    listed = list(symbols)
    if sum(symbol.endswith("@@") for symbol in listed) * 10 > len(listed):
        return "bpe"
    return "sentencepiece" if sum(symbol.startswith("▁") for symbol in listed) * 10 > len(listed) else "none"


@dataclass(frozen=True, kw_only=True)
class Side:
    """All that makes a tokenizer of one side."""

    numbering: Numbering
    cutting: Cutting
    silent: Sequence[int] = ()  # their numbers of symbols that stand for no text
    unwritten: Sequence[int] = ()  # and of those that are never generated
    tags: Sequence[int] = ()
    options: dict[str, Any] | None = None  # more parameters of the tokenizer

    def tokenizer(self, *, joint: bool) -> PieceList:
        """Raises ValueError where its file isn't what it should be."""
        numbering, cutting = self.numbering, self.cutting
        pieces = Pieces(
            symbols=numbering.symbols,
            tags=numbering.names(self.tags),
            silent=numbering.names(self.silent),
            unwritten=numbering.names(self.unwritten),
            model=b"" if cutting.file is None else bytes_of(cutting.file),
        )
        options = {"cut": cutting.cut, "segmentation": cutting.segmentation, **(self.options or {})}
        return PieceList.of(pieces, **options, joint=joint)


def tokenizers_of(source: Side, target: Side, where: Path) -> Tokenizers:
    """One tokenizer for both sides if they are the same, else one for each.  Raises DataError."""
    joint = source.numbering == target.numbering
    if source == target:
        return checked(lambda: _both(source.tokenizer(joint=True)), where)
    return checked(lambda: Tokenizers(source.tokenizer(joint=joint), target.tokenizer(joint=joint)), where)


def _both(tokenizer: PieceList) -> Tokenizers:
    return Tokenizers(tokenizer, tokenizer)


def notes_of(*sides: Side) -> tuple[str, ...]:
    """What the user must know of how text is cut."""
    return tuple(dict.fromkeys(note for side in sides if (note := side.cutting.note)))
