"""Putting words together again that another program had cut into pieces."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from heapq import heappop, heappush
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


def cuts(text: str, ids: Mapping[str, int], *, most: int) -> list[list[int]]:
    """The ways to cut a text into these pieces, those with the fewest pieces first, and at most so many of them."""
    at, needed = _pieces_at(text, ids)
    waiting, found = [(needed[0], 0, list[int]())], list[list[int]]()  # pieces in all, place, those before it
    while waiting and len(found) < most and waiting[0][0] < math.inf:
        _, start, before = heappop(waiting)
        if start == len(text):
            found.append(before)
            continue
        for end, piece in at[start]:
            heappush(waiting, (len(before) + 1 + needed[end], end, [*before, piece]))
    return found


def _pieces_at(text: str, ids: Mapping[str, int]) -> tuple[list[list[tuple[int, int]]], list[float]]:
    """For each place the pieces that begin there, as their ends and ids, and how few lead from it to the end."""
    longest = max(map(len, ids), default=0)
    at: list[list[tuple[int, int]]] = [[] for _ in text]
    needed = [math.inf] * len(text) + [0]
    for start in reversed(range(len(text))):
        ends = range(start + 1, min(len(text), start + longest) + 1)
        at[start] = [(end, ids[text[start:end]]) for end in ends if text[start:end] in ids]
        needed[start] = 1 + min((needed[end] for end, _ in at[start]), default=math.inf)
    return at, needed
