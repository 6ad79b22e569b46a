"""The rehearsal measures what training would do, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqloom.config.root import read_config
from seqloom.data.batches import Position
from seqloom.errors import UsageError
from seqloom.rehearsal import Rehearsal, rehearse


def test_it_finds_what_training_would_meet(toy: Path, tmp_path: Path) -> None:
    config = read_config(toy / "toy.yml", ["train.accumulate=2"])
    found = rehearse(config)
    task = config.make_task()
    task.prepare(tmp_path)
    model = task.build(config.model)
    assert (found.source_symbols, found.target_symbols) == (13, 13)
    assert found.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert found.steps == 30
    assert found.seconds > 0
    assert found.memory > 2**20
    stream = task.batches(Position())
    largest = max(int(next(stream)[0].target.mask[:, 1:].sum()) for _ in range(40))
    assert largest <= found.tokens <= 2 * largest, "two batches a step, each at most the largest"


def test_it_says_so_in_sentences() -> None:
    found = Rehearsal(1_234_567, 8000, 900, seconds=0.5, tokens=1000, memory=2**30, steps=7200)
    assert found.lines() == [
        "vocabulary: 8,000 source and 900 target symbols",
        "model: 1,234,567 parameters",
        "one step: 0.50 s for 1,000 target tokens (2,000 a second)",
        "memory: 1,024 MiB at the peak",
        "all 7,200 steps: about 1.0 hours",
    ]


def test_it_refuses_what_training_would_refuse(toy: Path) -> None:
    with pytest.raises(UsageError, match=r"^train\.keep_best: validation has no 'blue'; did you mean 'bleu'\?$"):
        rehearse(read_config(toy / "toy.yml", ["train.keep_best=blue"]))
