"""What is shown of a run's scores on test sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seqloom.story.record import Numbers, Record, number


@dataclass(frozen=True)
class Final:
    """One time that a run was measured."""

    what: str  # the test set, and how its lines were searched for
    time: str
    scores: Mapping[str, str]  # by the measure's name, each with its interval
    signatures: Mapping[str, str]


def finals(record: Record) -> list[Final]:
    """Every time that differs in more than when it was, the first first."""
    return [_shown(line) for line in record.tests]


def measured(times: list[Final]) -> dict[str, str]:
    """The measures of all times, in the order in which they come, each with its newest signature."""
    return {name: signature for time in times for name, signature in time.signatures.items()}


def _shown(line: Numbers) -> Final:
    scores = [score for score in line["scores"].values() if isinstance(score, dict)]
    named = {str(score.get("name")): score for score in scores}
    return Final(
        _what(line),
        str(line.get("time", "")).replace("T", " ").replace("+00:00", " UTC"),
        {name: _value(score) for name, score in named.items()},
        {name: str(score.get("signature", "")) for name, score in named.items()},
    )


def _what(line: Numbers) -> str:
    search = line.get("search") if isinstance(line.get("search"), dict) else {}
    said = [f"{key.replace('_', ' ')} {value}" for key, value in (search or {}).items()]
    said += [f"checkpoint {line['checkpoint']}"] if line.get("checkpoint") not in (None, "best") else []
    said += [f"tag {line['tag']}"] if line.get("tag") else []
    lines = f", {line['lines']:,} lines" if number(line.get("lines")) else ""
    return f"{line['source']}{lines}" + (f": {', '.join(said)}" if said else "")


def _value(score: Mapping[str, Any]) -> str:
    ends = [score.get(end) for end in ("low", "high")]
    interval = f" [{ends[0]:.1f}, {ends[1]:.1f}]" if number(ends[0]) and number(ends[1]) else ""
    return f"{score['value']:.2f}{interval}" if number(score.get("value")) else "–"
