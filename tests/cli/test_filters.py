"""What filters left out is said before a training, and noise goes through a whole training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seqloom.config.root import read_config
from seqloom.errors import SeqloomError

FILTERS = "data.filters=[Duplicates, {class: Length, most: 6}, {class: Ratio, most: 1.2}]"


def doubled(toy: Path, folder: Path) -> list[str]:
    """The toy's data with its first ten pairs again at the end, as a change to its configuration."""
    for side in ("source", "target"):
        lines = (toy / f"train.{side}").read_text().splitlines(keepends=True)
        (folder / f"more.{side}").write_text("".join([*lines, *lines[:10]]))
    return [f"data.train={{source: {folder}/more.source, target: {folder}/more.target}}", FILTERS]


def test_check_and_train_say_what_was_left_out(seqloom: Any, toy: Path) -> None:
    changes = doubled(toy, seqloom.folder)
    pairs = list(zip(*((toy / f"train.{side}").read_text().splitlines() for side in ("source", "target")), strict=True))
    long = sum(len(source.split()) > 6 for source, _ in set(pairs))
    same = len(pairs) + 10 - len(set(pairs))
    line = (
        f"seqloom: data.train: {len(set(pairs)) - long} pairs;"
        f" left out: {same} duplicated, {long} too short or too long"
    )
    checked = seqloom("check", toy / "toy.yml", *changes)
    assert checked.code == 0, checked.err
    assert line in checked.err.splitlines()
    trained = seqloom("train", toy / "toy.yml", *changes, "train.steps=4", "-o", "run")
    assert trained.code == 0, trained.err
    assert line.removeprefix("seqloom: ") in trained.err


def test_filters_that_leave_nothing_are_a_sentence(seqloom: Any, toy: Path) -> None:
    said = seqloom("check", toy / "toy.yml", "data.filters=[{class: Length, least: 100}]")
    assert said.code == 1
    assert said.err.startswith("seqloom: ") and "Traceback" not in said.err and len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("data.filters=[{class: Ratio, most: 0.5}]", "data.filters.0: most must be at least 1, got 0.5"),
        (
            "data.noise=[WordDrop, {class: WordDrop, p: 2}]",
            "data.noise.1: p is a probability from 0 up to, but not including, 1; got 2.0",
        ),
        ("data.noise=[{class: WordBlank, symbol: X}]", "noise: 'X' is no symbol of the sources' Words; <unk> is"),
        (
            "data.subword_sampling=0.1",
            "subword_sampling is for SentencePiece; Words cuts a text in one way only",
        ),
        ("data.temperature=0", "data: temperature must be above 0, got 0.0"),
    ],
)
def test_a_mistake_is_one_sentence(toy: Path, tmp_path: Path, change: str, sentence: str) -> None:
    with pytest.raises(SeqloomError) as said:
        read_config(toy / "toy.yml", [change]).make_task().prepare(tmp_path)
    assert str(said.value).endswith(sentence) and len(str(said.value).splitlines()) == 1


def test_a_noisy_training_goes_on_as_if_it_had_not_stopped(seqloom: Any, toy: Path) -> None:
    changes = ["tokenizer={class: SentencePiece, size: 30, joint: true}", "data.subword_sampling=0.1"]
    changes += ["data.noise=[WordDrop, WordBlank, WordShuffle]", "train.log_every=1", "train.checkpoint_every=3"]

    def losses(run: str, *steps: int) -> list[float]:
        for count in steps:
            done = seqloom("train", toy / "toy.yml", *changes, f"train.steps={count}", "-o", run)
            assert done.code == 0, done.err
        rows = map(json.loads, (seqloom.folder / run / "metrics.jsonl").read_text().splitlines())
        return [row["loss"] for row in rows if "loss" in row]

    whole = losses("whole", 9)
    assert losses("halves", 4, 9) == whole and len(set(whole)) == 9
