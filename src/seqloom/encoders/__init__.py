"""Encoders: a source sentence in, what is to be known of it out."""

from seqloom.encoders.base import Encoder as Encoder
from seqloom.encoders.rnn import RNNEncoder as RNNEncoder
from seqloom.encoders.transformer import TransformerEncoder as TransformerEncoder
