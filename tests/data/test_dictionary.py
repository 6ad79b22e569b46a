"""Dictionaries as word aligners write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqloom.data.dictionary import read_dictionary
from seqloom.errors import DataError


def written(folder: Path, text: str) -> Path:
    (folder / "words.tsv").write_text(text, "utf8")
    return folder / "words.tsv"


def test_the_most_probable_target_of_each_source_counts(tmp_path: Path) -> None:
    text = (
        "Hund\thound\t0.2\nHund\tdog\t0.7\n\nKatze \t cat\nKatze\tfeline\t0.9\nHund\tdogs\t0.7\nHaus\ta house\t-1.5\n"
    )
    wanted = {"Hund": "dog", "Katze": "cat", "Haus": "a house"}
    assert read_dictionary(written(tmp_path, text)) == wanted


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("Hund dog", "a dictionary has lines like source TAB target, or source TAB target TAB probability"),
        ("\tdog", "a dictionary has lines like source TAB target, or source TAB target TAB probability"),
        ("a\tb\t1\t2", "a dictionary has lines like source TAB target, or source TAB target TAB probability"),
        ("Hund\tdog\tmost", "the third column is a probability, got 'most'"),
        ("Hund\tdog\tnan", "the third column is a probability, got 'nan'"),
    ],
)
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str, fault: str) -> None:
    path = written(tmp_path, f"Hund\tdog\n{line}\n")
    with pytest.raises(DataError) as caught:
        read_dictionary(path)
    assert str(caught.value) == f"{path}: line 2: {fault}"
