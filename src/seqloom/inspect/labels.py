"""Tokens as a reader can see them: nothing invisible, nothing that turns the text around it, nothing endless."""

from __future__ import annotations

import unicodedata

_JOINERS = "\u200c\u200d"
_NAMES = {
    "\u00a0": "NBSP",
    "\u00ad": "SHY",
    "\u061c": "ALM",
    "\u200b": "ZWSP",
    "\u200c": "ZWNJ",
    "\u200d": "ZWJ",
    "\u200e": "LRM",
    "\u200f": "RLM",
    "\u2028": "LS",
    "\u2029": "PS",
    "\u202a": "LRE",
    "\u202b": "RLE",
    "\u202c": "PDF",
    "\u202d": "LRO",
    "\u202e": "RLO",
    "\u202f": "NNBSP",
    "\u2060": "WJ",
    "\u2066": "LRI",
    "\u2067": "RLI",
    "\u2068": "FSI",
    "\u2069": "PDI",
    "\ufeff": "BOM",
}
_HIDDEN = {"Cc", "Cf", "Cn", "Cs", "Zl", "Zp", "Zs"}


def visible(text: str) -> str:
    """The text with a sign for each character that has no shape of its own, such as ⟨RLO⟩, ␀ or ␣ for a space.

    Joiners inside a token stay, because emoji and several scripts are written with them.
    """
    if not text:
        return "⟨empty⟩"
    lonely_mark = "◌" if unicodedata.category(text[0]).startswith("M") else ""
    inner = range(1, len(text) - 1)
    return lonely_mark + "".join(
        character if character in _JOINERS and place in inner else _sign(character)
        for place, character in enumerate(text)
    )


def visible_line(text: str) -> str:
    """The same for running text, whose spaces may stay spaces."""
    return " ".join(visible(word) for word in text.split(" ") if word)


def columns(label: str) -> int:
    """The width of a label, where a Latin letter takes 1, an East Asian one or an emoji 2 and an accent on top 0."""
    return sum(_columns(character) for character in label)


def shortened(label: str, limit: int) -> str:
    """The label if it takes at most `limit` columns, otherwise its beginning and …"""
    if columns(label) <= limit:
        return label
    kept, room = "", limit - 1
    for character in label:
        room -= _columns(character)
        if room < 0:
            break
        kept += character
    return kept.rstrip(_JOINERS) + "…"


def _sign(character: str) -> str:
    if character == " ":
        return "␣"
    if character < " ":
        return chr(0x2400 + ord(character))  # the control pictures ␀ ␁ …
    if character == "\x7f":
        return "␡"
    if unicodedata.category(character) in _HIDDEN:
        return f"⟨{_NAMES.get(character, f'U+{ord(character):04X}')}⟩"
    return character


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me") or character in _JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
