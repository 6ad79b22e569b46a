"""The measuring of attention on toy data counts what it says."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqloom.translate import Alternative, Translation

FILE = Path(__file__).parent.parent / "benchmarks" / "toy_reverse.py"


@pytest.fixture(scope="module")
def toy() -> Any:
    spec = importlib.util.spec_from_file_location("toy_reverse", FILE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def looked_at(*heads: list[int], length: int = 3) -> Translation:
    """A translation of `length` tokens by a model of one layer, whose heads looked most at these places."""
    weights = np.stack([np.eye(length + 1)[[*places, length]] for places in heads])[None]  # [1, H, T + 1, S + 1]
    tokens = ["x"] * len(heads[0])
    return Translation("a b c", list("abc")[:length], [Alternative("x", 0.0, tokens, weights.astype(np.float32))])


def test_from_the_end_to_the_start_is_anti_diagonal(toy: Any) -> None:
    assert toy.anti_diagonal([looked_at([2, 1, 0])]) == 1
    assert toy.anti_diagonal([looked_at([2, 1, 0])], task="copy") == pytest.approx(1 / 3)
    assert toy.anti_diagonal([looked_at([2, 1, 0]), looked_at([2, 0, 0])]) == pytest.approx(5 / 6)


def test_what_was_not_written_or_comes_too_late_does_not_count(toy: Any) -> None:
    assert toy.anti_diagonal([looked_at([2])]) == pytest.approx(1 / 3)
    assert toy.anti_diagonal([looked_at([2, 1, 0, 0, 0])]) == 1  # of three tokens, not of five


def test_of_several_heads_the_one_that_is_best_on_all_sentences_counts(toy: Any) -> None:
    sentences = [looked_at([0, 0, 0], [2, 1, 0]), looked_at([2, 1, 0], [2, 1, 1])]
    assert toy.anti_diagonal(sentences) == pytest.approx(5 / 6)
    assert toy.best_map(sentences) == (0, 1)


def test_without_attention_there_is_nothing_to_count(toy: Any) -> None:
    assert math.isnan(toy.anti_diagonal([Translation("a", ["a"], [Alternative("a", 0.0, ["a"])])]))


def test_pairs_come_from_two_columns_a_folder_or_two_files(toy: Any, tmp_path: Path) -> None:
    (tmp_path / "both.tsv").write_text("a b\tb a\nc\tc\n")
    (tmp_path / "sources.txt").write_text("a b\nc\n")
    (tmp_path / "targets.txt").write_text("b a\nc\n")
    wanted = (["a b", "c"], ["b a", "c"])
    files = [tmp_path / "sources.txt", tmp_path / "targets.txt"]
    assert all(toy.pairs(test) == wanted for test in (tmp_path / "both.tsv", tmp_path, files))
