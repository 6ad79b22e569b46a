"""Transformers and recurrent models of JoeyNMT."""

from seqloom.compat.joeynmt.reading import read as read
