"""What the model made of the same few sentences as training went on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seqloom.story.record import Numbers, Record

MOST_SENTENCES, MOST_OUTPUTS, MOST_CHARACTERS = 5, 7, 600


@dataclass(frozen=True)
class Said:
    """A source, its reference, and what the model said in between, by when it said so."""

    source: str
    reference: str
    outputs: list[tuple[str, str]]  # such as ("step 340", "A dog") and ("680 to 1,020", "A dog runs")


def samples(record: Record) -> list[Said]:
    """The sentences that the last validation showed, each with what it became over time."""
    last = next((line for line in reversed(record.validations) if _examples(line)), None)
    found = []
    for source, _, reference in _examples(last)[:MOST_SENTENCES] if last else []:
        outputs = [(line["step"], text) for line in record.validations for text in _said(line, source, reference)]
        found.append(Said(_cut(source), _cut(reference), [(w, _cut(t)) for w, t in _chosen(_stays(outputs))]))
    return found


def _examples(line: Numbers) -> list[tuple[str, str, str]]:
    examples = line.get("examples")
    if not isinstance(examples, list):
        return []
    whole = (one for one in examples if isinstance(one, list) and len(one) == 3)
    return [(str(source), str(output), str(reference)) for source, output, reference in whole]


def _said(line: Numbers, source: str, reference: str) -> list[str]:
    """What the model made of a source at a validation, once even if two examples are the same."""
    return [output for one, output, other in _examples(line) if (one, other) == (source, reference)][:1]


def _stays(outputs: Sequence[tuple[int, str]]) -> list[tuple[int, int, str]]:
    """The first and the last step of each output that stayed the same."""
    stays: list[tuple[int, int, str]] = []
    for step, text in outputs:
        if stays and stays[-1][2] == text:
            stays[-1] = (stays[-1][0], step, text)
        else:
            stays.append((step, step, text))
    return stays


def _chosen(stays: Sequence[tuple[int, int, str]]) -> list[tuple[str, str]]:
    """Some of many: the first, the last, and between them ever farther apart, since most is learnt at the start."""
    places = range(len(stays))
    if len(stays) > MOST_OUTPUTS:
        ratio = (len(stays) - 1) ** (1 / (MOST_OUTPUTS - 2))
        places = sorted({0, *(round(ratio**power) for power in range(MOST_OUTPUTS - 1))})  # type: ignore[assignment]
    return [(_when(*stays[place][:2]), stays[place][2]) for place in places]


def _when(first: int, last: int) -> str:
    return f"step {first:,}" if first == last else f"{first:,} to {last:,}"


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS].rstrip()} …"
