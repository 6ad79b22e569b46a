"""Translators that have learnt nothing: models of several kinds, with tokenizers of several kinds."""

from __future__ import annotations

from functools import partial

import torch
from hypothesis import strategies as st
from torch import nn

from seqloom.attention import AdditiveAttention
from seqloom.decoders import RNNDecoder, TransformerDecoder
from seqloom.encoders import RNNEncoder, TransformerEncoder
from seqloom.engines.native import NativeEngine
from seqloom.models import EncoderDecoder, VocabularySizes
from seqloom.models.encoder_decoder import EmbeddingOptions
from seqloom.search import SearchOptions
from seqloom.tokenizers import Characters, SentencePiece, Tokenizer, Tokenizers, Words
from seqloom.translate import Translator

LINES = ["the cat sat on the mat", "a dog sat on a log", "Zwei Hunde laufen über die Wiese .", "日本 😀"]
OPTIONS = SearchOptions(beam_size=2, n_best=2, max_length=8)
ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates, NUL, all of it


def trained(tokenizer: Tokenizer) -> Tokenizers:
    tokenizer.train(LINES)
    return Tokenizers(tokenizer, tokenizer)


TOKENIZERS = {
    "characters": trained(Characters()),
    "words": trained(Words()),
    "sentencepiece": trained(SentencePiece(size=80)),
    "bytes": trained(SentencePiece(size=320, byte_fallback=True)),
}


def translator(
    tokenizers: Tokenizers = TOKENIZERS["characters"], *, recurrent: bool = False, attention: bool = True
) -> Translator:
    """A model that has learnt nothing, and so says something else of every sentence."""
    torch.manual_seed(0)
    symbols, parts = len(tokenizers.source.vocabulary), {"layers": 1, "heads": 2, "feedforward": 16}
    model = EncoderDecoder(
        VocabularySizes(symbols, symbols, joint=True),
        encoder=partial(RNNEncoder, size=8) if recurrent else partial(TransformerEncoder, **parts),
        decoder=partial(RNNDecoder, size=8, attention=partial(AdditiveAttention, size=8) if attention else None)
        if recurrent or not attention
        else partial(TransformerDecoder, **parts),
        embedding=EmbeddingOptions(size=8),
    )
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=1.0)
    return Translator(NativeEngine(model.eval()), tokenizers, OPTIONS)


def model_of(translator: Translator) -> nn.Module:
    assert isinstance(translator.engine, NativeEngine)
    return translator.engine.model


TRANSLATOR = translator()
TRANSLATORS = {name: translator(tokenizers) for name, tokenizers in TOKENIZERS.items()} | {
    "recurrent": translator(recurrent=True)
}
