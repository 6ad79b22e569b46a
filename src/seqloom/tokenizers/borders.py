"""Where words begin and end in a text: at blanks, punctuation and symbols."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

JOINERS = "\u200c\u200d"  # which stand within words
REMEMBERED = 1 << 16  # characters
BLANKLESS = (  # scripts: Thai and Lao, Burmese, Khmer, kana, Han
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


@lru_cache(REMEMBERED)
def is_inner(character: str) -> bool:
    """Whether it makes one word with a character like it; in a script that writes no blanks, none does."""
    if any(first <= ord(character) <= last for first, last in BLANKLESS):
        return False
    return character.isalnum() or unicodedata.category(character)[0] == "M" or character in JOINERS


def is_border(before: str, after: str) -> bool:
    """Whether a word may begin or end between two characters."""
    return not (is_inner(before) and is_inner(after))
