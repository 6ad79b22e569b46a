"""What the toolkits say of their own speed, read from the lines of their logs, as a check on what was observed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable


def fairseq(line: str) -> float | None:
    """`wps` of a train_inner line in JSON: target tokens without padding, with the end of the sentence."""
    found = re.search(r"\| train_inner \| (\{.*\})$", line)
    return float(json.loads(found[1])["wps"]) if found else None


def eole(line: str) -> float | None:
    """The second of `SOURCE/TARGET tok/s`: target tokens without padding."""
    found = re.search(r"Step +\d+/.*; *\d+/ *(\d+) tok/s;", line)
    return float(found[1]) if found else None


def joeynmt(line: str) -> float | None:
    """`Tokens per Sec`: target tokens without padding, with the end of the sentence."""
    found = re.search(r"Step: *\d+,.*Tokens per Sec: *([\d.]+)", line)
    return float(found[1]) if found else None


def seqloom(line: str) -> float | None:
    """Target tokens without padding, with the end of the sentence."""
    found = re.search(r"^step [\d,]+/.* ([\d,]+) tokens/s", line)
    return float(found[1].replace(",", "")) if found else None


SPEED: dict[str, Callable[[str], float | None]] = {
    "fairseq": fairseq,
    "eole": eole,
    "joeynmt": joeynmt,
    "seqloom": seqloom,
}


def speeds(toolkit: str, text: str) -> list[float]:
    """Every speed in a log, target tokens a second, in order."""
    found = (SPEED[toolkit](line) for line in text.splitlines())
    return [speed for speed in found if speed is not None]
