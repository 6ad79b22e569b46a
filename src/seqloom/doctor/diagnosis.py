"""What the doctor says: at length before a training, and in a few words at its start."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from seqloom.config.root import Config
from seqloom.doctor.examination import examine
from seqloom.doctor.findings import Finding, note
from seqloom.doctor.forecast import (
    cost_lines,
    data_line,
    epochs,
    filtered_lines,
    kept,
    largest_checkpoint,
    start_line,
    vocabulary_line,
)
from seqloom.doctor.machine import disk_fit, free_disk, memory_fit, memory_limit
from seqloom.doctor.resume import nothing_left
from seqloom.doctor.sample import Data
from seqloom.errors import SeqloomError
from seqloom.rehearsal import rehearse, staged
from seqloom.train import Trainer

log = logging.getLogger(__name__)


def diagnose(config: Config, directory: Path) -> Iterator[Finding]:
    """Everything about a training in this directory, which need not exist, as it is found; nothing is kept.

    Data and recipe come first; then a few steps and a small validation are tried, unless something can't work at all.
    Raises what `runs.train` does for a configuration that can't even be begun with.
    """
    with staged(config) as trainer:
        data = data_of(config, trainer)
        if data:
            yield from map(note, [data_line(data), *filtered_lines(data)])
        yield note(vocabulary_line(trainer.task.symbols(), data))
        found = examine(config, trainer.task)
        yield from found
        if not any(finding.severity == "stop" for finding in found):
            yield from _costs(trainer, data, directory)


def consult(config: Config, trainer: Trainer, directory: Path) -> None:
    """Warn of what is most often a mistake, and of a new run say in a line what lies ahead; no step is tried.

    Takes a second or two.  Raises SeqloomError for what can't work.
    """
    left = nothing_left(trainer.progress, config.train)
    found = [left] if left else [*examine(config, trainer.task), *_room(config, trainer, directory)]
    stops = [finding.text for finding in found if finding.severity == "stop"]
    if stops:
        raise SeqloomError("\n".join(stops))
    for finding in found:
        if finding.severity == "warning":
            log.warning("%s", finding)
    data = data_of(config, trainer)
    if data and not trainer.progress.step:
        for line in filtered_lines(data):
            log.info("%s", line)
        weights, free = _weights(trainer), free_disk(directory)
        log.info("%s", start_line(data, config.train, weights=weights, free=free))


def data_of(config: Config, trainer: Trainer) -> Data | None:
    """The data as the checks see them, where the task has such."""
    prepared = trainer.task.prepared()
    return Data.of(prepared, config.data) if prepared else None


def _costs(trainer: Trainer, data: Data | None, directory: Path) -> Iterator[Finding]:
    options, found = trainer.options, rehearse(trainer)
    limit, free = memory_limit(trainer.device), free_disk(directory)
    often = epochs(data, options) if data else None
    yield from map(note, cost_lines(found, options, limit=limit, free=free, epochs=often))
    said = [memory_fit(found.peak, limit, in_validation=found.validates_at_peak)]
    size = found.checkpoint
    said.append(disk_fit(directory, checkpoint=size, least=size, kept=kept(options), free=free))
    yield from (finding for finding in said if finding)


def _room(config: Config, trainer: Trainer, directory: Path) -> list[Finding]:
    least, free = _weights(trainer), free_disk(directory)
    most = largest_checkpoint(least, config.train)
    finding = disk_fit(directory, checkpoint=most, least=least, kept=kept(config.train), free=free)
    return [finding] if finding else []


def _weights(trainer: Trainer) -> int:
    return sum(parameter.nbytes for parameter in trainer.model.parameters())
