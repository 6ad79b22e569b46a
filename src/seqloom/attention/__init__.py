"""Attention: a query, some positions, and what was seen there."""

from seqloom.attention.additive import AdditiveAttention as AdditiveAttention
from seqloom.attention.base import Attention as Attention
from seqloom.attention.dot import DotAttention as DotAttention
from seqloom.attention.multi_head import MultiHeadAttention as MultiHeadAttention
