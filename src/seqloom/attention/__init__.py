"""Attention: a query, some positions, and what was seen there."""

from seqloom.attention.additive import AdditiveAttention as AdditiveAttention
from seqloom.attention.base import Attention as Attention
from seqloom.attention.compatibility import ActivatedGeneral as ActivatedGeneral
from seqloom.attention.compatibility import Additive as Additive
from seqloom.attention.compatibility import BiasedGeneral as BiasedGeneral
from seqloom.attention.compatibility import Compatibility as Compatibility
from seqloom.attention.compatibility import CosineSimilarity as CosineSimilarity
from seqloom.attention.compatibility import Deep as Deep
from seqloom.attention.compatibility import Dot as Dot
from seqloom.attention.compatibility import General as General
from seqloom.attention.compatibility import ScaledDot as ScaledDot
from seqloom.attention.distribution import Distribution as Distribution
from seqloom.attention.distribution import Hard as Hard
from seqloom.attention.distribution import Sigmoid as Sigmoid
from seqloom.attention.distribution import Softmax as Softmax
from seqloom.attention.dot import DotAttention as DotAttention
from seqloom.attention.general import GeneralAttention as GeneralAttention
from seqloom.attention.linear_chain import LinearChain as LinearChain
from seqloom.attention.local import GaussianBias as GaussianBias
from seqloom.attention.local import LocalPredictive as LocalPredictive
from seqloom.attention.multi_head import MultiHeadAttention as MultiHeadAttention
from seqloom.attention.pooling import Pooled as Pooled
from seqloom.attention.pooling import QueryPooling as QueryPooling
from seqloom.attention.pooling import SelfAttentivePooling as SelfAttentivePooling
from seqloom.attention.sparse import Entmax as Entmax
from seqloom.attention.sparse import Sparsemax as Sparsemax
