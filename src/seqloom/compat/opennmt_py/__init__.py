"""Transformers and recurrent models of OpenNMT-py 3."""

from seqloom.compat.opennmt_py.reading import read as read
