"""docs/pains.md names a test for what it says Seqloom does, and each of them exists; and what no other test shows."""

from __future__ import annotations

import ast
import re
import tracemalloc
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from seqloom.config.root import Config, read_config
from seqloom.data.batches import Position
from seqloom.rehearsal import staged

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = (REPOSITORY / "docs" / "pains.md").read_text("utf8")
ITEMS = {
    int(number): " ".join(text.split()) for number, text in re.findall(r"(?ms)^(\d+)\. (.*?)(?=^\d+\. |^## |\Z)", PAGE)
}
TESTS = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
PROMISED = [*range(6, 17), *range(22, 31)]  # impossible, or answered by one sentence: each has a test
UNANSWERED = ("Not yet", "Nothing to test")


def functions_of(path: Path) -> set[str]:
    """The names of the functions of a file, and of its classes'."""
    nodes = ast.walk(ast.parse(path.read_text("utf8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


def test_the_page_has_all_forty_in_order() -> None:
    assert [int(number) for number in re.findall(r"(?m)^(\d+)\. ", PAGE)] == list(range(1, 41))
    assert all(re.match(r"\[[\w.-]+/[\w.-]+#\d+\]\(https://github\.com/", text) for text in ITEMS.values())


@pytest.mark.parametrize("number", ITEMS)
def test_each_has_a_test_or_says_that_there_is_none(number: int) -> None:
    named = TESTS.findall(ITEMS[number])
    assert named or any(words in ITEMS[number] for words in UNANSWERED)
    if number in PROMISED:
        assert named and not any(words in ITEMS[number] for words in UNANSWERED)


@pytest.mark.parametrize("path, name", sorted(set(TESTS.findall(PAGE))))
def test_a_test_that_is_named_is_there(path: str, name: str) -> None:
    assert name in functions_of(REPOSITORY / path)


def test_whatever_looks_like_a_test_on_the_page_is_one() -> None:
    assert len(re.findall(r"\btest_\w+`|tests/", PAGE)) == 2 * len(TESTS.findall(PAGE))


# What the page says and no other test shows


def config_of(toy: Path, *changes: str) -> Config:
    return read_config(toy / "toy.yml", changes)


def test_many_epochs_of_small_data_read_no_text(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """11: OpenNMT-py read a small data set from the disk again in every epoch, while the GPU waited."""

    def read(*arguments: Any) -> Any:
        raise AssertionError("text was read in training")

    with staged(config_of(toy)) as trainer:
        monkeypatch.setattr("seqloom.data.text.raw_lines", read)
        stream, position = trainer.task.batches(Position()), Position()
        while trainer.task.epoch(position) < 5:
            position = next(stream)[1]


def test_preparing_takes_the_same_memory_however_much_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """10: preparation of large corpora was killed for want of memory."""
    monkeypatch.setattr("seqloom.data.encoding.BLOCK_LINES", 250)

    def peak(lines: int) -> int:
        folder = tmp_path / str(lines)
        folder.mkdir()
        for name, count in (("train", lines), ("valid", 5)):
            for side in ("source", "target"):
                (folder / f"{name}.{side}").write_text("a b c d e f g h\n" * count)
        corpora = (
            f"data.{name}={{source: {folder / name}.source, target: {folder / name}.target}}"
            for name in ("train", "valid")
        )
        model = "model={class: EncoderDecoder, encoder: RNNEncoder, decoder: RNNDecoder}"
        (folder / "run.yml").write_text("data: {train: {source: a, target: b}}\nmodel: null\ntokenizer: Words\n")
        task = read_config(folder / "run.yml", [*corpora, model, "data.workers=1"]).make_task()
        tracemalloc.start()
        task.prepare(folder)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(100)  # what is imported on the way
    few, many = peak(1000), peak(8000)
    assert many < 1.3 * few


def test_a_run_that_goes_on_knows_how_long_it_has_waited(toy: Path, tmp_path: Path) -> None:
    """22: a resumed training began its patience, and the order of its data, anew."""
    from seqloom.runs import train

    changes = ["train.patience=9", "train.validate_every=5", "train.schedule.peak=0", "train.keep_best=loss"]
    whole = train(config_of(toy, *changes, "train.steps=15"), tmp_path / "whole")
    for steps in (5, 10, 15):
        parted = train(config_of(toy, *changes, f"train.steps={steps}"), tmp_path / "parted")
    assert parted.waited > 0
    assert asdict(parted) | {"seconds": 0} == asdict(whole) | {"seconds": 0}
