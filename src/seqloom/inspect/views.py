"""From translations to views of them."""

from __future__ import annotations

from seqloom.inspect.attention import AttentionView
from seqloom.inspect.beam_picture import BeamView
from seqloom.tokenizers import Tokenizer
from seqloom.translate import Translation

END = "</s>"


def views_of(translation: Translation) -> list[AttentionView]:
    """A view for each alternative, the best first; empty if attention wasn't kept or the model has none."""
    return [
        AttentionView(
            source=[*translation.source_tokens, END][: alternative.attention.shape[-1]],  # an image has no end
            target=[*alternative.tokens, END],
            weights=alternative.attention,
            title=alternative.text,
            subtitle=f"score {alternative.score:.3f}",
        )
        for alternative in translation.alternatives
        if alternative.attention is not None
    ]


def search_of(translation: Translation, target: Tokenizer, *, subtitle: str = "") -> BeamView | None:
    """The view of a translation's search; None if no trace was kept or the text was empty."""
    if translation.trace is None:
        return None
    used = sorted({candidate.token for step in translation.trace.steps for candidate in step})
    names = dict(zip(used, target.tokens(used), strict=True))
    return BeamView(translation.trace, names, title=translation.source, subtitle=subtitle)
