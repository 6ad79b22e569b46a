"""What a run's files say, and that whatever is missing, cut off or odd in them is simply not there."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqloom.story import Record, card, page
from seqloom.story.record import duration, figures, label
from seqloom.story.samples import MOST_OUTPUTS, samples

from .conftest import FACTS, START, trained, validated


def test_it_knows_the_numbers_and_which_was_best(record: Callable[..., Record]) -> None:
    lines = [trained(1), validated(2, best=True), trained(3, loss=None), validated(4)]
    found = record([*lines, {"event": "skipped", "step": 5, "gradient_norm": None}])
    assert (found.step, found.skipped, found.seconds) == (5, [5], 6.0)
    assert [line["step"] for line in found.training] == [1, 3]
    assert [line["step"] for line in found.validations] == [2, 4]
    assert found.best is found.validations[0]
    assert found.measures == ["loss", "perplexity", "bleu"]
    assert found.points("loss", found.training)[0] == (1, 4.0)
    assert math.isnan(found.points("loss", found.training)[1][1])


def test_corpora_have_their_files_and_what_became_of_them(record: Callable[..., Record]) -> None:
    found = record()
    (training,), (validation,) = found.corpora("training"), found.corpora("validation")
    assert training.files == ["train.source", "train.target"]
    assert validation.files == ["valid.source", "valid.target"]
    assert (training.report["said"], training.unknown("source"), training.unknown("target")) == ("200 pairs", 0, 0.025)
    (held_out,) = record(changes=["data.valid=null"], name="b").corpora("validation")
    assert held_out.files == training.files
    (unknown,) = record(facts=None, name="c").corpora("training")
    assert (unknown.files, unknown.unknown("source")) == (training.files, None)


ODD_LINES: list[Any] = [None, [], 3, {}, {"step": "x", "loss": 1}, {"step": 1}, {"step": 2, "loss": "high"}]
ODD_LINES += [{"step": 3, "valid.bleu": None, "examples": [["one"], 4, None], "signatures": None}]
ODD_FACTS: list[Any] = [None, [], {}, {"training": [None], "starts": 4, "parameters": "many"}]
ODD_FACTS += [{"training": [], "starts": [None, {}, START | {"memory": None, "versions": None}]}]


@pytest.mark.parametrize("facts", ODD_FACTS, ids=lambda facts: json.dumps(facts)[:30])
@pytest.mark.parametrize("lines", [[], ODD_LINES], ids=["none", "odd"])
def test_odd_files_make_a_page_and_a_card_all_the_same(run: Callable[..., Path], facts: Any, lines: list[Any]) -> None:
    directory = run(lines, facts)
    (directory / "metrics.jsonl").open("a").write('{"step": 7, "lo')
    record = Record.read(directory)
    assert page(record).endswith("</html>\n") and card(record).startswith("---\n")
    assert "Nothing has been measured yet." in page(record) or record.training


def test_only_the_configuration_must_be_there(run: Callable[..., Path]) -> None:
    directory = run()
    for name in ("metrics.jsonl", "facts.json"):
        (directory / name).unlink()
    assert (Record.read(directory).lines, Record.read(directory).facts) == ([], {})


@pytest.mark.parametrize(
    "value, shown",
    [(4394.2, "4,394"), (100.123, "100.1"), (36.017, "36.02"), (2.0, "2"), (0.0017, "0.0017"), (1e-9, "1e-09")]
    + [(0, "0"), (-3.14159, "-3.14"), (None, "–"), (math.nan, "–"), ("x", "–"), (True, "–")],
)
def test_numbers_have_the_digits_that_matter(value: Any, shown: str) -> None:
    assert figures(value) == shown


def test_durations_and_labels_are_words() -> None:
    assert [duration(s) for s in (None, 5.4, 89, 91, 3599, 7500)] == [
        "–",
        "5 s",
        "89 s",
        "2 min",
        "1 h 0 min",
        "2 h 5 min",
    ]
    names = ["bleu", "rouge_l_f", "bleu.<2de>", "teacher_forced.chrf", "my_measure"]
    assert list(map(label, names)) == ["BLEU", "ROUGE-L F", "BLEU <2de>", "chrF, teacher-forced", "my measure"]


# Samples over time


def shown(record: Record) -> list[tuple[str, str]]:
    (one,) = samples(record)
    assert (one.source, one.reference) == ("a b", "b a")
    return one.outputs


def test_what_stays_the_same_is_said_once(record: Callable[..., Record]) -> None:
    said = ["b", "b", "b a", "b", "b"]
    lines = [validated(step, examples=[("a b", text, "b a")]) for step, text in enumerate(said, 1)]
    assert shown(record(lines)) == [("1 to 2", "b"), ("step 3", "b a"), ("4 to 5", "b")]


def test_of_many_outputs_the_first_the_last_and_some_between_are_shown(record: Callable[..., Record]) -> None:
    lines = [validated(step, examples=[("a b", f"say {step}", "b a")]) for step in range(1, 101)]
    outputs = shown(record(lines))
    steps = [int(text.split()[1]) for _, text in outputs]
    assert len(outputs) <= MOST_OUTPUTS
    assert (steps[0], steps[-1]) == (1, 100)
    gaps = [after - before for before, after in zip(steps, steps[1:], strict=False)]
    assert gaps == sorted(gaps)


def test_the_sentences_are_those_of_the_last_validation(record: Callable[..., Record]) -> None:
    lines = [validated(1, examples=[("old", "x", "y")]), validated(2, examples=[("a b", "x", "b a")]), validated(3)]
    assert shown(record(lines)) == [("step 2", "x")]
    assert samples(record([validated(1)], name="b")) == []


def test_facts_of_every_start_are_kept(record: Callable[..., Record]) -> None:
    starts = [START, START | {"step": 7}]
    assert [start["step"] for start in record(facts=FACTS | {"starts": starts}).starts] == [0, 7]
