"""Lengths: what a limit leaves out, and what a batch or a model has no room for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from seqloom.data.corpora import both
from seqloom.data.permutation import Integers
from seqloom.data.writer import Report
from seqloom.doctor.findings import Finding, note, share, stop, warning
from seqloom.doctor.sample import Data, Looked

MANY = 0.05  # of the pairs left out for their length, or cut
SIDES = ("source", "target")


@dataclass(frozen=True)
class Lengths:
    """The lengths of one side in tokens, without bos and eos."""

    median: int
    most: int  # all but 1 % are no longer
    longest: int

    @classmethod
    def of(cls, lengths: Integers) -> Lengths:
        """Those of some sentences, of which there is at least one."""
        median, most = np.quantile(lengths, [0.5, 0.99], method="inverted_cdf")
        return cls(int(median), int(most), int(lengths.max()))


def left_out(where: str, report: Report, max_length: tuple[int, int], *, of: str = "training") -> Finding | None:
    """What to say of pairs that are longer than `max_length`: a note, and a warning where they are many."""
    long = report.too_long + report.cut
    if not long:
        return None
    part = long / (report.kept + report.too_long)
    limit = " and ".join(str(length) for length in dict.fromkeys(max_length))
    what = f"left out of {of}" if report.too_long else "cut"
    said = f"{where}: {share(part)} of the pairs are longer than {limit} tokens and {what}"
    return warning(f"{said}; a larger data.max_length would keep them") if part >= MANY else note(said)


def beyond_training(where: str, side: str, lengths: Integers, longest: int) -> Finding | None:
    """What to say of validation sentences that are longer than the `longest` of training.

    Long sentences get too short a translation; Koehn and Knowles 2017, https://aclanthology.org/W17-3204, 3.4.
    """
    part = float((lengths > longest).mean())
    if not part:
        return None
    said = f"{where}: {share(part)} of the {side}s have more than {longest} tokens, and none of training has"
    return (
        warning(f"{said}; a model mostly writes too little beyond what it was trained on")
        if part >= MANY
        else note(said)
    )


def alone_in_a_batch(longest: int, batch_tokens: int) -> Finding | None:
    """What to say where one sentence is more than a whole batch should be; `longest` counts bos or eos."""
    if longest <= batch_tokens:
        return None
    return warning(
        f"train.batch_tokens: a batch may have {batch_tokens:,} tokens and the longest sentence has {longest:,}: "
        f"it makes a batch alone that needs more memory than others; set batch_tokens to {longest} or more, or "
        f"data.max_length below {batch_tokens}"
    )


def without_position(side: str, longest: int, positions: int) -> Finding | None:
    """What to say where a model learns fewer positions than a sentence of training has tokens."""
    if longest <= positions:
        return None
    return stop(
        f"model: the {side}s of training have up to {longest} tokens and the model has positions for {positions}; "
        f"set max_positions to {longest} or more, or data.max_length to {positions - 1}"
    )


def check_lengths(data: Data, *, batch_tokens: int | None, positions: Sequence[int | None]) -> Iterator[Finding]:
    """Everything about lengths.  `positions`: how many the source side and the target side of a model learn, if any."""
    limits = both(data.options.max_length)
    longest = [max(int(looked.lengths[side].max()) for looked in data.training) for side in range(2)]
    said = [left_out(looked.where, looked.report, limits) for looked in data.training]
    said += [left_out(looked.where, looked.report, limits, of="validation's loss") for looked in data.validation]
    said += [beyond_training(*found) for found in _beyond(data.validation, longest)]
    if batch_tokens is not None:
        said.append(alone_in_a_batch(max(longest) + 1, batch_tokens))
    said += [
        without_position(side, most + 1, least)
        for side, most, least in zip(SIDES, longest, positions, strict=True)
        if least is not None
    ]
    yield from (finding for finding in said if finding)


def _beyond(validation: Iterable[Looked], longest: Sequence[int]) -> Iterator[tuple[str, str, Integers, int]]:
    for looked in validation:
        yield from ((looked.where, side, looked.lengths[i], longest[i]) for i, side in enumerate(SIDES))
