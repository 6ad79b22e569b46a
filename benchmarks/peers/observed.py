"""Runs a toolkit's own training command and notes every batch that enters a training step.

    PYTHON-OF-THE-TOOLKIT observed.py NAME FILE COMMAND-LINE...

Each line of FILE is one batch: the machine's monotonic clock and the time of the process on the processor, in seconds,
the number of rows, real source tokens, source places, real target tokens, target places.  Target tokens are those that
are predicted: the end of the sentence is one, the beginning is none.  Nothing else of the program is changed, and
nothing of Seqloom is imported unless NAME is seqloom.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

Counts = tuple[int, int, int, int, int]


def noting(function: Callable[..., Any], count: Callable[..., Counts], file: TextIO) -> Callable[..., Any]:
    """The function, after a line about its arguments; the line costs about 0.1 ms."""

    def noted(*args: Any, **named: Any) -> Any:
        file.write(" ".join(map(str, (time.monotonic(), time.process_time(), *count(*args, **named)))) + "\n")
        file.flush()
        return function(*args, **named)

    return noted


def seqloom(file: TextIO) -> Callable[[], Any]:
    from seqloom.cli import main
    from seqloom.tasks.translation import TranslationTask

    def count(task: Any, model: Any, batch: Any) -> Counts:
        source, target = batch.source.mask, batch.target.mask[:, 1:]
        return len(source), int(source.sum()), source.numel(), int(target.sum()), target.numel()

    TranslationTask.loss = noting(TranslationTask.loss, count, file)  # type: ignore[method-assign]
    return main


def fairseq(file: TextIO) -> Callable[[], Any]:
    from fairseq.tasks.translation import TranslationTask
    from fairseq_cli.train import cli_main

    def count(task: Any, sample: Any, *_: Any, **__: Any) -> Counts:
        source, target = sample["net_input"]["src_tokens"], sample["target"]
        sizes = int(sample["net_input"]["src_lengths"].sum()), int(target.ne(task.target_dictionary.pad()).sum())
        return len(source), sizes[0], source.numel(), sizes[1], target.numel()

    TranslationTask.train_step = noting(TranslationTask.train_step, count, file)
    return cli_main


def eole(file: TextIO) -> Callable[[], Any]:
    from eole.bin.main import main
    from eole.trainer import BatchProcessor

    def count(processor: Any, batch: Any, *_: Any, **__: Any) -> Counts:
        source, target = batch["src"], batch["tgt"][:, 1:]
        real = int(target.ne(processor.train_loss.padding_idx).sum())
        return len(source), int(batch["srclen"].sum()), source.numel(), real, target.numel()

    BatchProcessor.process_batch = noting(BatchProcessor.process_batch, count, file)
    return main


def joeynmt(file: TextIO) -> Callable[[], Any]:
    from joeynmt.__main__ import main
    from joeynmt.training import TrainManager

    def count(manager: Any, batch: Any) -> Counts:
        sizes = int(batch.src_length.sum()), int(batch.trg_mask.sum())
        return len(batch.src), sizes[0], batch.src.numel(), sizes[1], batch.trg.numel()

    TrainManager._train_step = noting(TrainManager._train_step, count, file)
    return main


if __name__ == "__main__":
    name, path, *words = sys.argv[1:]
    program = {"seqloom": seqloom, "fairseq": fairseq, "eole": eole, "joeynmt": joeynmt}[name]
    sys.argv = [name, *words]
    sys.path.pop(0)  # this folder is no place to import from
    with open(path, "w", encoding="utf8") as output:
        program(output)()
