"""Text to ids and back: sentencepiece, words and characters, one pair of them for a model."""

from seqloom.tokenizers.base import Tokenizer, Tokenizers, describe, fingerprint, load, save
from seqloom.tokenizers.sentencepiece import SentencePiece
from seqloom.tokenizers.symbols import Characters, Words

__all__ = [
    "Characters",
    "SentencePiece",
    "Tokenizer",
    "Tokenizers",
    "Words",
    "describe",
    "fingerprint",
    "load",
    "save",
]
