"""The YAML file: read with positions, checked against the constructors' signatures, written back with every default."""

from seqloom.config.schema import build
from seqloom.config.spec import Spec, describe
from seqloom.config.tree import Tree, dump, read, read_text

__all__ = ["Spec", "Tree", "build", "describe", "dump", "read", "read_text"]
