"""What the files of a run directory say of its training."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from seqloom.config.tree import read_text
from seqloom.metrics.journal import NAME, newest

Numbers = Mapping[str, Any]  # what was reported at a step
LABELS = {"loss": "Loss", "perplexity": "Perplexity", "bleu": "BLEU", "chrf": "chrF", "exact": "Exact match"}
FORCED = "teacher_forced."


@dataclass(frozen=True)
class Corpus:
    """A corpus, and what became of it."""

    files: list[str]  # their names, without folders
    report: Numbers  # as in facts.json: the fields of data.writer.Report, and the sentence "said"

    def unknown(self, side: str) -> float | None:
        """The share of a side's tokens that the vocabulary doesn't have."""
        tokens = self.report.get(f"{side}_tokens")
        return self.report.get(f"{side}_unknowns", 0) / tokens if tokens else None


@dataclass(frozen=True)
class Record:
    """A run's configuration, facts and metrics; whatever is missing or cut off is simply not there."""

    directory: Path
    text: str  # config.yml
    facts: Numbers
    lines: Sequence[Numbers]  # metrics.jsonl
    tests: Sequence[Numbers] = ()  # scores.jsonl, the newest of those that answer the same question

    @classmethod
    def read(cls, directory: Path) -> Record:
        """What is in a run directory.  Raises OSError if it has no config.yml."""
        text = (directory / "config.yml").read_text("utf8")
        facts, lines = _object(_contents(directory / "facts.json")), _objects(directory / "metrics.jsonl")
        tests = [line for line in _objects(directory / NAME) if _tested(line)]
        return cls(directory, text, facts, [line for line in lines if isinstance(line.get("step"), int)], newest(tests))

    @property
    def name(self) -> str:
        """The run's name, that of its directory."""
        return self.directory.resolve().name or "run"

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.yml as plain values."""
        return read_text(self.text).value

    def option(self, place: str) -> Any:
        """What the configuration says at a place such as `train.steps`; None where there is nothing."""
        value: Any = self.config
        for key in place.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    @cached_property
    def training(self) -> list[Numbers]:
        """The reports of the training loss."""
        return [line for line in self.lines if "loss" in line]

    @cached_property
    def validations(self) -> list[Numbers]:
        """The reports of validations."""
        return [line for line in self.lines if any(name.startswith("valid.") for name in line)]

    @cached_property
    def skipped(self) -> list[int]:
        """The steps whose updates were left out."""
        return [line["step"] for line in self.lines if line.get("event") == "skipped"]

    @property
    def step(self) -> int:
        """The last step that anything is known of."""
        return max((line["step"] for line in self.lines), default=0)

    @property
    def best(self) -> Numbers | None:
        """The validation of the checkpoint that is kept as the best."""
        return next((line for line in reversed(self.validations) if line.get("best")), None)

    @cached_property
    def measures(self) -> list[str]:
        """What validations measured, in their order."""
        return list(dict.fromkeys(name[6:] for line in self.validations for name in line if name.startswith("valid.")))

    @property
    def seconds(self) -> float | None:
        """How long training took, validations included."""
        return next((line["seconds"] for line in reversed(self.training) if number(line.get("seconds"))), None)

    @property
    def starts(self) -> list[Numbers]:
        """Where and when training was started, one for each time."""
        return [start for start in _list(self.facts.get("starts")) if isinstance(start, dict)]

    def corpora(self, part: str) -> list[Corpus]:
        """The corpora for "training" or "validation"; those held out of training have the same files."""
        key = "train" if part == "training" else "valid"
        named = self.option(f"data.{key}") or self.option("data.train") or []
        files = [_files(corpus) for corpus in (named if isinstance(named, list) else [named])]
        reports = [_object(report) for report in _list(self.facts.get(part)) or [{} for _ in files]]
        return [Corpus(names, report) for names, report in zip(files, reports, strict=False)]

    def points(self, name: str, lines: Sequence[Numbers]) -> list[tuple[int, float]]:
        """Step and value wherever one was reported; what was no number is NaN."""
        return [(line["step"], line[name] if number(line[name]) else math.nan) for line in lines if name in line]


def label(measure: str) -> str:
    """What a reader calls a measure: `bleu` is BLEU, `rouge_l_f` is ROUGE-L F."""
    name, _, tag = measure.removeprefix(FORCED).partition(".")
    if name.startswith("rouge_"):
        kind, _, value = name.removeprefix("rouge_").upper().partition("_")
        shown = f"ROUGE-{kind} {value}".rstrip()
    else:
        shown = LABELS.get(name, name.replace("_", " "))
    forced = ", teacher-forced" if measure.startswith(FORCED) else ""
    return shown + (f" {tag}" if tag else "") + forced


def number(value: Any) -> bool:
    """Whether this is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def figures(value: Any) -> str:
    """A number with as many digits as a reader wants: 4,394, 36.0, 2.13, 0.0017."""
    if not number(value):
        return "–"
    size = abs(value)
    if size >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 100 else f"{value:.2f}" if size >= 1 else f"{value:.3g}"


def duration(seconds: float | None) -> str:
    """Such as "2 h 5 min", "23 min" or "48 s"."""
    if seconds is None:
        return "–"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min" if seconds >= 90 else f"{seconds:.0f} s"


def _objects(path: Path) -> list[Numbers]:
    """The lines of a file that are JSON objects; a last one may be cut off."""
    try:
        text = path.read_text("utf8", "replace")
    except OSError:
        return []
    return [_object(_parsed(line)) for line in text.split("\n")]


def _tested(line: Numbers) -> bool:
    """Whether a line of scores says on what they are, and has any."""
    return isinstance(line.get("source"), str) and any(map(_object, _object(line.get("scores")).values()))


def _contents(path: Path) -> Any:
    try:
        return _parsed(path.read_text("utf8", "replace"))
    except OSError:
        return None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _files(corpus: Any) -> list[str]:
    """The names of a corpus's files, whichever way the configuration says them."""
    options = _object(corpus)
    paths = [options.get(key) for key in ("source", "target", "tsv", "jsonl")]
    flat = [path for one in paths for path in (one if isinstance(one, list) else [one])]
    return [PurePath(path).name for path in flat if isinstance(path, str)]
