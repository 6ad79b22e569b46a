"""Transformers of Marian."""

from seqloom.compat.marian.reading import read as read
