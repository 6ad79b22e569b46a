"""Symbols that a file lists, for text that was cut into tokens before."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from seqloom.errors import DataError
from seqloom.registry import register
from seqloom.tokenizers.segmentation import Segmentation
from seqloom.tokenizers.symbols import Symbols
from seqloom.vocabulary import SPECIALS, Vocabulary

# What other programs' lists call the symbols that stand for no text.  Ours stand before every list.
MARKS = {*SPECIALS, "<pad>", "UNK", "SEQUENCE_START", "SEQUENCE_END"}
log = logging.getLogger(__name__)


@register("vocabulary_file")
class VocabularyFile(Symbols):
    """The symbols of a file: one a line, perhaps with a tab and how often it was seen; nothing is learnt from text.

    Text is cut at `delimiter`, at every character where that is empty.  Decoded text is put together again as
    `segmentation` says.  Empty lines, special symbols and what is listed a second time are passed over.
    """

    def __init__(self, *, path: Path, delimiter: str = " ", segmentation: Segmentation = "none", joint: bool = False):
        """The file is read by `train` alone: a tokenizer that was saved doesn't need it any more."""
        self.path = Path(path)
        self.delimiter = self.separator = delimiter
        self.segmentation = segmentation
        self.joint = joint

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    def train(self, lines: Iterable[str]) -> None:
        """Read the file; `lines` are not looked at.  Raises DataError if it can't be read or lists nothing."""
        listed = [symbol for symbol in map(symbol_of, _lines(self.path)) if symbol and symbol not in MARKS]
        symbols = dict.fromkeys(listed)
        if not symbols:
            raise DataError(f"{self.path}: this vocabulary lists no symbol")
        if repeated := len(listed) - len(symbols):
            log.warning("%s: %d of its lines repeat a symbol; the first one counts.", self.path, repeated)
        self._vocabulary = Vocabulary((*SPECIALS, *symbols))

    def split(self, text: str) -> list[str]:
        return tokens_of(text, self.delimiter)


def tokens_of(text: str, delimiter: str) -> list[str]:
    """The tokens of a line of text; with an empty delimiter its characters.  Blanks at both ends count for nothing."""
    text = text.strip()
    return [token for token in text.split(delimiter) if token] if delimiter else list(text)


def symbol_of(line: str) -> str:
    """The symbol in a line of a vocabulary; the symbol itself may be a blank or a tab."""
    symbol, tab, count = line.rpartition("\t")
    return symbol if tab and _is_number(count) else line


def _is_number(text: str) -> bool:
    try:
        return float(text) >= 0
    except ValueError:
        return False


def _lines(path: Path) -> Iterator[str]:
    r"""The lines of a UTF-8 file; only \n ends one, with a \r before it or not."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            yield line.decode().removesuffix("\r")
        except UnicodeDecodeError:
            raise DataError(f"{path}: line {number} is not UTF-8; convert the file") from None
