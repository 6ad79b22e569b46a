"""The pieces that another toolkit's model knows, in its order, and what cuts text into them."""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import repeat
from typing import Any, Literal

from seqloom.errors import UsageError
from seqloom.registry import register
from seqloom.tokenizers.base import SILENT, UNKNOWN_TEXT, Role
from seqloom.tokenizers.byte_pairs import BytePairs
from seqloom.tokenizers.segmentation import Segmentation, restored, role
from seqloom.tokenizers.sentencepiece import encodable
from seqloom.tokenizers.spellings import separate_spellings, spellings_with
from seqloom.tokenizers.symbols import Symbols
from seqloom.vocabulary import SPECIALS, UNK, Vocabulary

# What cuts text: a SentencePiece model, merges of byte pairs, every character, or blanks that are there already.
Cutter = Literal["sentencepiece", "bpe", "characters", "blanks"]
SEGMENTATION: dict[Cutter, Segmentation] = {
    "sentencepiece": "sentencepiece",
    "bpe": "bpe",
    "characters": "sentencepiece",
}


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """What such a tokenizer knows: its symbols behind the three special ones, and what each kind of them is for."""

    symbols: tuple[str, ...]
    tags: tuple[str, ...] = ()  # those that a source may begin with
    silent: tuple[str, ...] = ()  # those that stand for no text
    unwritten: tuple[str, ...] = ()  # those that are never generated
    model: bytes = b""  # a SentencePiece model, or the text of a file of merges


@register("piece_list")
class PieceList(Symbols):
    """Pieces by the list, numbered as another toolkit's model wants them; `seqloom import` makes such a tokenizer."""

    separator = " "

    def __init__(
        self,
        *,
        cut: Cutter = "blanks",
        segmentation: Segmentation = "none",
        listed_only: bool = False,
        lowercase: bool = False,
        tidy: bool = False,
        joint: bool = False,
    ):
        """`segmentation` is for text that is cut already; what is cut here is put together again anyway.

        With `listed_only` byte pairs are not merged into a piece that isn't listed, if it can be helped.  `tidy` text
        has NFKC's characters, straight quotes, single blanks, and none before ? ! , . and :, as JoeyNMT's `normalize`
        leaves it.  Raises ValueError for a segmentation of what is cut here, and for a listed_only without byte pairs.
        """
        if cut != "blanks" and segmentation not in ("none", SEGMENTATION[cut]):
            raise ValueError(
                f"cut: {cut} is put together as {SEGMENTATION[cut]}; leave segmentation: {segmentation} out"
            )
        if listed_only and cut != "bpe":
            raise ValueError(f"listed_only is for cut: bpe, got cut: {cut}")
        self.cut, self.listed_only, self.lowercase, self.tidy, self.joint = cut, listed_only, lowercase, tidy, joint
        self.segmentation = SEGMENTATION.get(cut, segmentation)
        self._pieces = Pieces(symbols=())
        self._split: Callable[[str], list[str]] = str.split
        self._processor: Any = None

    @classmethod
    def of(cls, pieces: Pieces, **parameters: Any) -> PieceList:
        """One that knows these pieces.  Raises ValueError where they are no vocabulary, or their model isn't one."""
        made = cls(**parameters)
        made._know(pieces)
        return made

    @property
    def model(self) -> bytes:
        """The SentencePiece model or the merges that cut text; empty where nothing does."""
        return self._pieces.model

    def train(self, lines: Iterable[str]) -> None:
        """Raises UsageError: there is nothing that it could learn."""
        raise UsageError(
            "PieceList is not learnt from text: seqloom import makes it of another toolkit's files; to train with it, "
            "go on with the run that was made so"
        )

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        ids = self.vocabulary.ids
        return [[*ids(tags), *(max(i, UNK) for i in ids(self.split(rest)))] for tags, rest in map(self._divided, texts)]

    def split(self, text: str) -> list[str]:
        text = encodable(text)
        text = _tidied(unicodedata.normalize("NFKC", text).translate(QUOTES)) if self.tidy else text
        return self._split(text.lower() if self.lowercase else text)

    def written(self, text: str) -> list[str]:
        tags, rest = self._divided(text)
        pieces = self.split(rest)
        if self.segmentation == "sentencepiece":
            return [*tags, *(piece.replace("▁", " ") for piece in pieces)]
        return [*tags, *(piece.removesuffix("@@") if self.segmentation == "bpe" else piece for piece in pieces)]

    def spellings(self, phrase: str) -> list[list[int]]:
        """The ways to cut the phrase into pieces, glued to punctuation or not, where they can be known."""
        usual, symbols = super().spellings(phrase), self.vocabulary.symbols
        apart = frozenset((*self.tags, *self._pieces.silent, *self.unwritten))
        if self.segmentation == "none":
            return separate_spellings(symbols, self.split(phrase), apart)
        if self.segmentation == "bpe" or self.cut == "blanks":
            return usual
        return spellings_with(symbols, "", apart).of("".join(self.split(phrase))) or usual

    def decode(self, ids: Sequence[int]) -> str:
        return self._text(ids, repeat(UNKNOWN_TEXT))

    def filled(self, ids: Sequence[int], copies: Sequence[str]) -> str:
        return self._text(ids, iter(copies))

    def _text(self, ids: Sequence[int], unknown: Iterator[str]) -> str:
        known, mute = self.vocabulary, {*self.vocabulary.ids(self._pieces.silent), *SILENT} - {UNK}
        pieces = [next(unknown) if i == UNK else known.symbols[i] for i in ids if i not in mute]
        if self._processor is not None:  # which puts bytes together, too
            text = self._processor.decode_pieces(pieces).replace("▁", " ").strip()
        else:
            text = restored(" ".join(pieces), self.segmentation)
        return _tidied(text) if self.tidy else text

    def role(self, symbol: str) -> Role:
        return "apart" if symbol in (*self.tags, *self._pieces.silent) else role(symbol, self.segmentation)

    def restore(self, text: str) -> str:
        return restored(text, self.segmentation) if self.cut == "blanks" else text

    def dump(self) -> bytes:
        self.vocabulary  # noqa: B018  says so if nothing is known yet
        return json.dumps(asdict(self._pieces) | {"model": base64.b64encode(self._pieces.model).decode()}).encode()

    def load(self, data: bytes) -> None:
        known = json.loads(data)
        if not isinstance(known, dict) or not isinstance(known.get("model"), str):
            raise ValueError("it is not a list of pieces")
        model = base64.b64decode(known.pop("model"), validate=True)
        try:
            self._know(Pieces(model=model, **{name: tuple(symbols) for name, symbols in known.items()}))
        except TypeError as error:
            raise ValueError("it is not a list of pieces") from error

    def _know(self, pieces: Pieces) -> None:
        self._vocabulary, self._pieces = Vocabulary((*SPECIALS, *pieces.symbols)), pieces
        self.tags, self.unwritten = pieces.tags, pieces.unwritten
        self._processor = _processor(pieces.model) if self.cut == "sentencepiece" else None
        listed = pieces.symbols if self.listed_only else None
        if self._processor is not None:
            self._split = self._sentencepieces
        elif self.cut == "bpe":
            self._split = BytePairs(pieces.model.decode(), listed)
        elif self.cut == "characters":
            self._split = lambda text: list(text.replace(" ", "▁"))

    def _sentencepieces(self, text: str) -> list[str]:
        return self._processor.encode(text, out_type=str, num_threads=1)  # type: ignore[no-any-return]

    def _divided(self, text: str) -> tuple[list[str], str]:
        """The tags that a text begins with, blanks between them or not, and the rest."""
        tags: list[str] = []
        while tag := next((tag for tag in self.tags if text.startswith(tag)), None):
            tags.append(tag)
            text = text[len(tag) :].lstrip(" ")
        return tags, text


def pieces_in(model: bytes) -> tuple[list[str], int, int]:
    """The pieces of a SentencePiece model by its numbers, and the numbers of the end and the unknown.

    Raises ValueError if it isn't one.
    """
    found = _processor(model)
    return [found.id_to_piece(i) for i in range(found.get_piece_size())], found.eos_id(), found.unk_id()


QUOTES = str.maketrans({"’": "'", "“": '"', "”": '"'})


def _tidied(text: str) -> str:
    text = re.sub("[ \u3000]+", " ", text.replace("\u200b", ""))
    return re.sub(r" ([?!,.:])", r"\1", text).strip()


def _processor(model: bytes) -> Any:
    import sentencepiece

    try:
        return sentencepiece.SentencePieceProcessor(model_proto=model)
    except RuntimeError as error:
        raise ValueError("it is not a sentencepiece model") from error
