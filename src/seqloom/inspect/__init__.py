"""Pictures of what a model looked at: an SVG file, a self-contained HTML page, or the numbers as JSON.

Those of a search are in `beam_tree` and `beam_picture`, which load PyTorch.
"""

from seqloom.inspect.attention import AttentionView, Kind, as_json
from seqloom.inspect.page import page
from seqloom.inspect.picture import svg

__all__ = ["AttentionView", "Kind", "as_json", "page", "svg"]
