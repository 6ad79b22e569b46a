"""From translations to views of them."""

from __future__ import annotations

from seqloom.inspect.attention import AttentionView
from seqloom.translate import Translation

END = "</s>"


def views_of(translation: Translation) -> list[AttentionView]:
    """A view for each alternative, the best first; empty if attention wasn't kept or the model has none."""
    return [
        AttentionView(
            source=[*translation.source_tokens, END],
            target=[*alternative.tokens, END],
            weights=alternative.attention,
            title=alternative.text,
            subtitle=f"score {alternative.score:.3f}",
        )
        for alternative in translation.alternatives
        if alternative.attention is not None
    ]
