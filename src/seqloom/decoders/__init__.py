"""Decoders: the target so far and the source in, what may follow out."""

from seqloom.decoders.base import Decoder as Decoder
from seqloom.decoders.convs2s import ConvS2SDecoder as ConvS2SDecoder
from seqloom.decoders.copying import CopyingDecoder as CopyingDecoder
from seqloom.decoders.input_feeding import InputFeedingDecoder as InputFeedingDecoder
from seqloom.decoders.rnmt import RNMTDecoder as RNMTDecoder
from seqloom.decoders.rnn import RNNDecoder as RNNDecoder
from seqloom.decoders.ssru import SSRUDecoder as SSRUDecoder
from seqloom.decoders.transformer import TransformerDecoder as TransformerDecoder
