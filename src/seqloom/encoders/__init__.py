"""Encoders: a source in, what is to be known of it out."""

from seqloom.encoders.base import Encoder as Encoder
from seqloom.encoders.convolutional import ConvolutionalEncoder as ConvolutionalEncoder
from seqloom.encoders.image import ImageEncoder as ImageEncoder
from seqloom.encoders.pooling import PoolingEncoder as PoolingEncoder
from seqloom.encoders.rnmt import RNMTEncoder as RNMTEncoder
from seqloom.encoders.rnn import RNNEncoder as RNNEncoder
from seqloom.encoders.transformer import TransformerEncoder as TransformerEncoder
