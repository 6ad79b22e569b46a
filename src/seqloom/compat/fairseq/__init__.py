"""Transformers of fairseq."""

from seqloom.compat.fairseq.reading import read as read
