"""Putting words together again that another program had cut into pieces."""

from __future__ import annotations

import re
from typing import Literal

from seqloom.tokenizers.base import Role

Segmentation = Literal["none", "bpe", "sentencepiece"]


def restored(text: str, segmentation: Segmentation) -> str:
    """The text without its marks: subword-nmt's `@@ ` (bpe), or the blanks that `▁` stands for (sentencepiece).

    Text without marks stays as it is, since a reference may never have been cut.
    """
    if segmentation == "bpe":
        return re.sub("@@( |$)", "", text).strip()
    if segmentation == "sentencepiece" and "▁" in text:
        return text.replace(" ", "").replace("▁", " ").strip()
    return text


def role(symbol: str, segmentation: Segmentation) -> Role:
    """What a symbol of such text has to do with words."""
    if segmentation == "bpe" and symbol.endswith("@@"):
        return "opens"
    return "continues" if segmentation == "sentencepiece" and not symbol.startswith("▁") else "begins"
