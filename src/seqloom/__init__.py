"""Seqloom: sequence-to-sequence models, each described in one YAML file.

import seqloom
translator = seqloom.load("runs/multi30k-transformer")
translator.translate(["A dog runs."])[0].text
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

    from seqloom.config.root import Config as Config
    from seqloom.config.root import read_config as read_config
    from seqloom.loading import load as load
    from seqloom.search import SearchOptions as SearchOptions
    from seqloom.translate import Translation as Translation
    from seqloom.translate import Translator as Translator

_HOMES = {
    "Config": "config.root",
    "read_config": "config.root",
    "load": "loading",
    "SearchOptions": "search",
    "Translation": "translate",
    "Translator": "translate",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: `import seqloom` doesn't load PyTorch."""
    if name == "__version__":
        from importlib.metadata import version

        return version("seqloom")
    if name not in _HOMES:
        raise AttributeError(f"module 'seqloom' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"seqloom.{_HOMES[name]}"), name)
