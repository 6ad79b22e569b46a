"""Run directories that tell whatever a test wants."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from seqloom.config import describe, dump
from seqloom.config.root import read_config
from seqloom.story import Record

SIGNATURES = {"bleu": "nrefs:1|case:mixed|tok:13a|version:2.6.0"}
START = {
    "step": 0,
    "time": "2026-01-02T03:04:05+00:00",
    "device": "A processor",
    "cores": 4,
    "threads": 2,
    "memory": 2**34,
    "precision": "float32",
    "system": "Linux x86_64",
    "versions": {"python": "3.11.2", "seqloom": "1.0", "torch": "2.13.0", "sacrebleu": None},
}
REPORT = {"kept": 200, "source_tokens": 1000, "target_tokens": 1000, "target_unknowns": 25, "said": "200 pairs"}
FACTS = {
    "source_symbols": 12,
    "target_symbols": 13,
    "parameters": 12345,
    "training": [REPORT],
    "validation": [REPORT | {"kept": 20, "said": "20 pairs"}],
    "starts": [START],
}


def trained(step: int, **numbers: Any) -> dict[str, Any]:
    """A report of the training loss."""
    given = {"epoch": step / 10, "loss": 8 / (1 + step), "learning_rate": 0.01, "gradient_norm": 1.0}
    return {"step": step} | given | {"tokens_per_second": 1000.0 + step, "seconds": step * 2.0} | numbers


def validated(
    step: int, *, best: bool = False, examples: Sequence[Sequence[str]] = (), **numbers: Any
) -> dict[str, Any]:
    """A report of a validation."""
    values = {"loss": 4 / (1 + step), "perplexity": 9.0, "bleu": float(step)} | numbers
    values = {f"valid.{name}": value for name, value in values.items()}
    return {"step": step, **values, "signatures": SIGNATURES, "best": best, "examples": list(map(list, examples))}


@pytest.fixture
def run(toy: Path, tmp_path: Path) -> Callable[..., Path]:
    """What makes a run directory with these lines of metrics, facts, and changes to the configuration."""

    def make(lines: Sequence[Any] = (), facts: Any = FACTS, changes: Sequence[str] = (), name: str = "run") -> Path:
        (directory := tmp_path / name).mkdir()
        (directory / "config.yml").write_text(dump(describe(read_config(toy / "toy.yml", changes))), "utf8")
        (directory / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf8")
        if facts is not None:
            (directory / "facts.json").write_text(json.dumps(facts), "utf8")
        return directory

    return make


@pytest.fixture
def record(run: Callable[..., Path]) -> Callable[..., Record]:
    """The same, read."""
    return lambda *arguments, **named: Record.read(run(*arguments, **named))
