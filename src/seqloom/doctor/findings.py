"""What a check has to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["note", "warning", "stop"]
SEVERITIES: tuple[Severity, ...] = ("stop", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One sentence: where, what, what was found there and what would do.

    A note is good to know; a warning is something that is most often a mistake; a stop can't work at all.
    """

    severity: Severity
    text: str

    def __str__(self) -> str:
        return f"warning: {self.text}" if self.severity == "warning" else self.text


def note(text: str) -> Finding:
    """Something good to know."""
    return Finding("note", text)


def warning(text: str) -> Finding:
    """Something that is most often a mistake."""
    return Finding("warning", text)


def stop(text: str) -> Finding:
    """Something that can't work."""
    return Finding("stop", text)


def share(part: float) -> str:
    """A share as a reader says it: 0.004 is 0.4 %, 0.5 is 50 %."""
    percent = 100 * part
    if 0 < percent < 0.1:
        return "less than 0.1 %"
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.1f}".removesuffix(".0") + " %"
