"""The pieces that encoders and decoders are made of."""

from seqloom.layers.experts import MixtureOfExperts as MixtureOfExperts
