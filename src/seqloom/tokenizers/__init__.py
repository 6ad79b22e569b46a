"""Text to ids and back: sentencepiece, words, characters and other toolkits' pieces, one pair of them for a model."""

from seqloom.tokenizers.base import Tokenizer, Tokenizers, describe, fingerprint, load, save
from seqloom.tokenizers.factors import Factors
from seqloom.tokenizers.parts import Parts
from seqloom.tokenizers.piece_list import PieceList
from seqloom.tokenizers.pixels import Pixels
from seqloom.tokenizers.sentencepiece import SentencePiece
from seqloom.tokenizers.symbols import Characters, Words
from seqloom.tokenizers.tagged import Tagged
from seqloom.tokenizers.vocabulary_file import VocabularyFile

__all__ = [
    "Characters",
    "Factors",
    "Parts",
    "PieceList",
    "Pixels",
    "SentencePiece",
    "Tagged",
    "Tokenizer",
    "Tokenizers",
    "VocabularyFile",
    "Words",
    "describe",
    "fingerprint",
    "load",
    "save",
]
