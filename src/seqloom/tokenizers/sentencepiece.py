"""Subwords learnt from raw text by the sentencepiece library."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Literal

from seqloom.errors import DataError, SeqloomError, UsageError
from seqloom.registry import register
from seqloom.tokenizers.base import SILENT, UNKNOWN_TEXT, Role, Tokenizer
from seqloom.tokenizers.resegmentation import Resegmentation
from seqloom.tokenizers.spellings import Spellings
from seqloom.vocabulary import BOS, EOS, SPECIALS, UNK, Vocabulary

CHUNK = 2000  # characters; longer lines are cut for training, because the library skips lines of too many bytes
SAMPLE = 2_000_000  # lines; of more, so many are drawn
THREADS = 2  # part of the result: sums are made in an order that depends on it
log = logging.getLogger(__name__)


@register("sentencepiece")
class SentencePiece(Tokenizer):
    """Subwords: byte-pair encoding (arXiv 1508.07909) or a unigram model (arXiv 1804.10959), on raw text."""

    def __init__(
        self,
        *,
        size: int = 8000,
        model: Literal["bpe", "unigram"] = "bpe",
        normalization: Literal["nmt_nfkc", "nmt_nfkc_cf", "nfkc", "nfkc_cf", "identity"] = "nmt_nfkc",
        byte_fallback: bool = False,
        character_coverage: float = 1.0,
        joint: bool = False,
    ):
        """`size` counts all pieces, the three special ones too; `character_coverage` is a share from 0 to 1.

        With `byte_fallback` a rare character becomes its UTF-8 bytes instead of an unknown piece.  Raises ValueError.
        """
        if size <= len(SPECIALS):
            raise ValueError(f"size must be at least {len(SPECIALS) + 1}, got {size}")
        if not 0 < character_coverage <= 1:
            raise ValueError(f"character_coverage must be above 0 and at most 1, got {character_coverage}")
        self.size = size
        self.model = model
        self.normalization = normalization
        self.byte_fallback = byte_fallback
        self.character_coverage = character_coverage
        self.joint = joint
        self._processor: Any = None

    def train(self, lines: Iterable[str]) -> None:
        """Learn the pieces; data too small for `size` give fewer, with a warning.

        Raises DataError if there is no text and UsageError if `size` has no room for the characters of the text.
        """
        failures: list[BaseException] = []
        try:
            data = self._train(_chunks(lines, failures))
        except RuntimeError as error:
            if failures:
                raise failures[0] from None  # the library reports a failure of the reader as one of its own
            raise _explained(error, self.size) from error
        self.load(data)
        found = len(self.vocabulary)
        if found < self.size:
            log.warning("SentencePiece found %d pieces in these data, not the %d asked for.", found, self.size)

    def _train(self, lines: Iterator[str]) -> bytes:
        import sentencepiece

        written = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines,
            model_writer=written,
            vocab_size=self.size,
            hard_vocab_limit=False,
            model_type=self.model,
            normalization_rule_name=self.normalization,
            byte_fallback=self.byte_fallback,
            character_coverage=self.character_coverage,
            max_sentence_length=8 * CHUNK,
            input_sentence_size=SAMPLE,
            shuffle_input_sentence=True,
            num_threads=THREADS,
            unk_surface=UNKNOWN_TEXT,
            pad_id=-1,
            bos_id=BOS,
            eos_id=EOS,
            unk_id=UNK,
            bos_piece=SPECIALS[BOS],
            eos_piece=SPECIALS[EOS],
            unk_piece=SPECIALS[UNK],
            minloglevel=2,
        )
        return written.getvalue()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        self.vocabulary  # noqa: B018  says so if this is not trained
        return self._processor.encode([encodable(text) for text in texts], num_threads=1)  # type: ignore[no-any-return]

    def decode(self, ids: Sequence[int]) -> str:
        self.vocabulary  # noqa: B018
        return self._processor.decode([int(i) for i in ids if i not in SILENT])  # type: ignore[no-any-return]

    def written(self, text: str) -> list[str]:
        self.vocabulary  # noqa: B018
        pieces = self._processor.encode(encodable(text), out_type=str, num_threads=1)
        return [piece.replace("▁", " ") for piece in pieces]  # a piece that is unknown is the text itself

    def spellings(self, phrase: str) -> list[list[int]]:
        """The ways to cut the phrase into pieces, behind a blank or glued to punctuation."""
        usual = super().spellings(phrase)
        written = "".join(self.vocabulary.lookup(usual[0])) if usual else ""
        return self._spellings.of(written) or usual  # no pieces where it has bytes

    @cached_property
    def _spellings(self) -> Spellings:
        model, symbols = self._processor, self.vocabulary.symbols
        apart = (model.is_control, model.is_unknown, model.is_byte)
        return Spellings({symbol: i for i, symbol in enumerate(symbols) if not any(is_so(i) for is_so in apart)})

    def role(self, symbol: str) -> Role:
        return "begins" if symbol.startswith("▁") else "continues"

    def sampled(self, rows: Sequence[Sequence[int]], *, share: float, keys: Sequence[int]) -> list[list[int]]:
        """The same texts cut anew, word by word; a word that has an unknown character stays as it is.

        With a BPE model each merge is left out with this probability (https://arxiv.org/abs/1910.13267); with a unigram
        model words are drawn with their probability to the power of `share` (https://arxiv.org/abs/1804.10959).
        """
        cut = self._resegmentation
        return [cut(row, share=share, key=key) for row, key in zip(rows, keys, strict=True)]

    @cached_property
    def _resegmentation(self) -> Resegmentation:
        symbols, model = self.vocabulary.symbols, self._processor
        text = [i for i in range(len(symbols)) if not (model.is_control(i) or model.is_unknown(i) or model.is_byte(i))]
        ids = {symbols[i]: i for i in text}
        return Resegmentation({symbols[i]: model.get_score(i) for i in text}, ids, self.model)

    def dump(self) -> bytes:
        self.vocabulary  # noqa: B018
        return self._processor.serialized_model_proto()  # type: ignore[no-any-return]

    def load(self, data: bytes) -> None:
        import sentencepiece

        try:
            processor = sentencepiece.SentencePieceProcessor(model_proto=data)
        except RuntimeError as error:
            raise ValueError("it is not a sentencepiece model") from error
        self._vocabulary = Vocabulary([processor.id_to_piece(i) for i in range(processor.get_piece_size())])
        self._processor = processor
        for made in ("_resegmentation", "_spellings"):
            self.__dict__.pop(made, None)


def _chunks(lines: Iterable[str], failures: list[BaseException]) -> Iterator[str]:
    """Lines of at most CHUNK characters, cut at spaces where there are some; keeps what `lines` raises."""
    try:
        for line in lines:
            text = encodable(line).replace("\t", " ")  # the library skips lines with a tab that normalisation kept
            while len(text) > CHUNK:
                cut = text.rfind(" ", CHUNK // 2, CHUNK)
                cut = CHUNK if cut < 0 else cut
                yield text[:cut]
                text = text[cut:]
            yield text
    except BaseException as error:
        failures.append(error)
        raise


def encodable(text: str) -> str:
    """The text as UTF-8 can carry it: a lone surrogate becomes U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _explained(error: RuntimeError, size: int) -> SeqloomError:
    """What the library's message means for the user."""
    message = str(error)
    if "sentences_.empty()" in message:
        return DataError("there is no text to train SentencePiece on")
    if needed := re.search(r"required_chars\. \d+ vs (\d+)", message):
        return UsageError(
            f"SentencePiece's size {size} has no room for all characters of these data: it needs at least"
            f" {needed[1]}; raise size, or lower character_coverage"
        )
    return DataError(f"SentencePiece could not be trained on these data: {message}")
