"""What lies ahead: how long a training takes, how often it sees its data, and what it leaves on the disk."""

from __future__ import annotations

import numpy as np

from seqloom.doctor.findings import share
from seqloom.doctor.lengths import Lengths
from seqloom.doctor.machine import mib
from seqloom.doctor.sample import Data
from seqloom.rehearsal import Rehearsal
from seqloom.train import TrainOptions

FULL = 0.97  # of a batch: the rest is padding
MOMENTS = 2  # tensors beside each weight at most: Adam's
SIDES = ("source", "target")


def data_line(data: Data) -> str:
    """How much there is to learn from, and how long it is."""
    pairs, valid = (sum(looked.pairs for looked in part) for part in (data.training, data.validation))
    sides = [Lengths.of(np.concatenate([looked.lengths[side] for looked in data.training])) for side in range(2)]
    medians, most = (
        " and ".join(str(number) for number in numbers) for numbers in zip(*map(_shown, sides), strict=True)
    )
    return (
        f"data: {pairs:,} pairs to train on, {valid:,} to validate on; source and target have {medians} tokens, "
        f"99 % of them at most {most}"
    )


def filtered_lines(data: Data) -> list[str]:
    """What is left of each corpus from which filters left something out."""
    return [f"{looked.where}: {looked.report}" for looked in data.training if any(looked.report.filtered.values())]


def vocabulary_line(rehearsed: tuple[int, int], data: Data | None) -> str:
    """How many symbols there are, and how many tokens are none of them."""
    said = f"vocabulary: {rehearsed[0]:,} source and {rehearsed[1]:,} target symbols"
    if data is None:
        return said
    reports = [looked.report for looked in data.training]
    unknown = [sum(r.source_unknowns for r in reports), sum(r.target_unknowns for r in reports)]
    tokens = [sum(r.source_tokens for r in reports), sum(r.target_tokens for r in reports)]
    shares = [share(part / max(whole, 1)) for part, whole in zip(unknown, tokens, strict=True)]
    return f"{said}; {' and '.join(shares)} of the tokens of training are unknown" if any(unknown) else said


def cost_lines(found: Rehearsal, options: TrainOptions, *, limit: int, free: int, epochs: float | None) -> list[str]:
    """What a training costs: time, memory of `limit` bytes and disk of `free` bytes."""
    return [
        f"model: {found.parameters:,} parameters",
        f"one step: {found.seconds:.2f} s for {found.tokens:,} target tokens"
        f" ({found.tokens / found.seconds:,.0f} a second)",
        f"memory: {mib(found.peak)} at the peak{', in validation,' if found.validates_at_peak else ''} of {mib(limit)}",
        f"disk: {kept(options) + 1} checkpoints of {mib(found.checkpoint)} at most; {mib(free)} are free",
        time_line(found, options, epochs),
    ]


def time_line(found: Rehearsal, options: TrainOptions, epochs: float | None) -> str:
    """How long all steps take, validation included."""
    validation = validations(options) * (found.validation_seconds or 0.0)
    total = options.steps * found.seconds + validation
    part = f", {share(validation / total)} of it validation" if validation else ""
    often = f"; {epochs:,.1f} epochs" if epochs is not None else ""
    end = f"; train.minutes ends it after {options.minutes:g}" if _ends_early(total, options) else ""
    return f"all {options.steps:,} steps: about {duration(total)}{part}{often}{end}"


def start_line(data: Data, options: TrainOptions, *, weights: int, free: int) -> str:
    """What can be said of a training without a step of it; `weights` are the bytes of its model."""
    pairs, whole = sum(looked.pairs for looked in data.training), epochs(data, options)
    return (
        f"{options.steps:,} steps are about {whole:,.1f} epochs of {pairs:,} pairs; "
        f"a checkpoint takes at most {mib(largest_checkpoint(weights, options))}, and {mib(free)} are free"
    )


def epochs(data: Data, options: TrainOptions) -> float:
    """How often training goes through its data, judged by the lengths that were looked at."""
    pairs, updates = sum(looked.pairs for looked in data.training), options.steps * options.accumulate
    if options.batch_sentences is not None:
        return updates * options.batch_sentences / pairs
    tokens = sum(looked.pairs * float(np.maximum(*looked.lengths).mean() + 1) for looked in data.training)
    return updates * max(FULL * options.most_tokens, tokens / pairs) / tokens


def validations(options: TrainOptions) -> int:
    """How many there are: every so many steps, and at the end."""
    return -(-options.steps // options.validate_every)


def kept(options: TrainOptions) -> int:
    """The most checkpoints that stay: the last ones and the best."""
    return options.keep_last + 1


def largest_checkpoint(weights: int, options: TrainOptions) -> int:
    """The most bytes of a checkpoint with so many bytes of weights, whatever the optimizer keeps."""
    return weights * (1 + MOMENTS + (options.ema is not None))


def duration(seconds: float) -> str:
    """A time as people say it."""
    for limit, size, name in ((90, 1, "seconds"), (90 * 60, 60, "minutes")):
        if seconds < limit:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds / 3600:.1f} hours" if seconds < 72 * 3600 else f"{seconds / 86400:.1f} days"


def _shown(lengths: Lengths) -> tuple[int, int]:
    return lengths.median, lengths.most


def _ends_early(total: float, options: TrainOptions) -> bool:
    return options.minutes is not None and total > 60 * options.minutes
