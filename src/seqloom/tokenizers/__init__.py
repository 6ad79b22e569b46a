"""Text to ids and back: sentencepiece, words and characters, one pair of them for a model."""

from seqloom.tokenizers.base import Tokenizer, Tokenizers, describe, fingerprint, load, save
from seqloom.tokenizers.factors import Factors
from seqloom.tokenizers.parts import Parts
from seqloom.tokenizers.pixels import Pixels
from seqloom.tokenizers.sentencepiece import SentencePiece
from seqloom.tokenizers.symbols import Characters, Words
from seqloom.tokenizers.tagged import Tagged
from seqloom.tokenizers.vocabulary_file import VocabularyFile

__all__ = [
    "Characters",
    "Factors",
    "Parts",
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
