"""Pictures of what a model looked at and how it searched: SVG files, self-contained HTML pages, or numbers as JSON."""

from seqloom.inspect.attention import AttentionView, Kind, as_json
from seqloom.inspect.beam_picture import BeamView, beam_svg
from seqloom.inspect.beam_tree import beam_json, beam_page
from seqloom.inspect.page import page
from seqloom.inspect.picture import svg

__all__ = ["AttentionView", "BeamView", "Kind", "as_json", "beam_json", "beam_page", "beam_svg", "page", "svg"]
