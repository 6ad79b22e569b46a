"""Search: from a decoder's next-token distributions to whole sentences."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from seqloom.search.hypothesis import Hypothesis as Hypothesis
from seqloom.search.options import SearchOptions as SearchOptions
from seqloom.search.trace import Candidate as Candidate
from seqloom.search.trace import Recorder as Recorder
from seqloom.search.trace import Trace as Trace

if TYPE_CHECKING:
    from seqloom.search.beam import beam_search as beam_search
    from seqloom.search.choosing import Chooser as Chooser
    from seqloom.search.rules import Forbid as Forbid
    from seqloom.search.rules import Rule as Rule

_HOMES = {"beam_search": "beam", "Chooser": "choosing", "Forbid": "rules", "Rule": "rules"}


def __getattr__(name: str) -> Any:
    """What needs PyTorch is imported when it is asked for: engines that do without it see the rest of this package."""
    if name not in _HOMES:
        raise AttributeError(f"module 'seqloom.search' has no attribute {name!r}")
    return getattr(import_module(f"seqloom.search.{_HOMES[name]}"), name)
