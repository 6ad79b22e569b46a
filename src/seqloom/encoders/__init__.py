"""Encoders: a source in, what is to be known of it out."""

from seqloom.encoders.base import Encoder as Encoder
from seqloom.encoders.cascaded import CascadedEncoder as CascadedEncoder
from seqloom.encoders.convolutional import ConvolutionalEncoder as ConvolutionalEncoder
from seqloom.encoders.convs2s import ConvS2SEncoder as ConvS2SEncoder
from seqloom.encoders.factored import FactoredEncoder as FactoredEncoder
from seqloom.encoders.hierarchical import HierarchicalEncoder as HierarchicalEncoder
from seqloom.encoders.image import ImageEncoder as ImageEncoder
from seqloom.encoders.multi_column import MultiColumnEncoder as MultiColumnEncoder
from seqloom.encoders.pooling import PoolingEncoder as PoolingEncoder
from seqloom.encoders.rnmt import RNMTEncoder as RNMTEncoder
from seqloom.encoders.rnn import RNNEncoder as RNNEncoder
from seqloom.encoders.self_attentive import QueryPoolingEncoder as QueryPoolingEncoder
from seqloom.encoders.self_attentive import SelfAttentiveEncoder as SelfAttentiveEncoder
from seqloom.encoders.transformer import TransformerEncoder as TransformerEncoder
from seqloom.encoders.two_sources import TwoSourceEncoder as TwoSourceEncoder
