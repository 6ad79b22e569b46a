"""Small models that have learnt nothing, and say something else of every sentence."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from seqloom.attention import AdditiveAttention
from seqloom.decoders import ConvS2SDecoder, CopyingDecoder, RNNDecoder, TransformerDecoder
from seqloom.encoders import ConvS2SEncoder, RNNEncoder, TransformerEncoder
from seqloom.models import EncoderDecoder, VocabularySizes
from seqloom.models.encoder_decoder import EmbeddingOptions

RECURRENT = partial(RNNDecoder, size=12, attention=partial(AdditiveAttention, size=8))
PARTS = {
    "transformer": (
        partial(TransformerEncoder, layers=1, heads=2, feedforward=20),
        partial(TransformerDecoder, layers=1, heads=2, feedforward=20),
    ),
    "recurrent": (partial(RNNEncoder, size=10), RECURRENT),
    "convolutional": (
        partial(ConvS2SEncoder, layers=((12, 3, 1),)),
        partial(ConvS2SDecoder, layers=((12, 3, 1),), output_size=12),
    ),
    "copying": (partial(RNNEncoder, size=10), partial(CopyingDecoder, decoder=RECURRENT)),
}


def small_model(kind: str, symbols: int, *, seed: int = 1) -> EncoderDecoder:
    """A model of one of these kinds, with one vocabulary of so many symbols."""
    torch.manual_seed(seed)
    encoder, decoder = PARTS[kind]
    size = VocabularySizes(symbols, symbols, joint=True)
    model = EncoderDecoder(size, encoder=encoder, decoder=decoder, embedding=EmbeddingOptions(size=12)).eval()
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1 and "norm" not in name:
            nn.init.normal_(parameter, std=0.6)
    return model
