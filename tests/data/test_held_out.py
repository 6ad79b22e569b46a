"""Training and validation share no source sentence, and together are everything."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.data.corpora import CorpusOptions
from seqloom.data.held_out import in_part, read_part, source_place, valid_share


def corpus(directory: Path, sources: list[str]) -> CorpusOptions:
    path = directory / "a.tsv"
    path.write_text("".join(f"{source}\t{i}\n" for i, source in enumerate(sources)))
    return CorpusOptions(tsv=path)


@given(source=st.text(st.characters(exclude_categories=())), share=st.floats(0, 1))
def test_a_source_is_in_one_part(source: str, share: float) -> None:
    assert in_part(source, "train", share) != in_part(source, "valid", share)
    assert in_part(source, "all", share)
    assert in_part(f" {source} ", "valid", share) == in_part(source, "valid", share)
    assert 0 <= source_place(source) < 1


def test_the_share_is_what_was_asked_for(tmp_path: Path) -> None:
    options = corpus(tmp_path, [f"sentence {i}" for i in range(20_000)])
    share = valid_share([options], lines=500, cache=tmp_path)
    assert share == 500 / 20_000
    valid = list(read_part(options, part="valid", valid_share=share))
    train = list(read_part(options, part="train", valid_share=share))
    assert 400 < len(valid) < 600
    assert len(valid) + len(train) == 20_000
    assert not set(valid) & set(train)


@pytest.mark.parametrize("count", [2, 5, 19, 100, 900])
def test_at_most_a_twentieth_but_never_none(tmp_path: Path, count: int) -> None:
    options = corpus(tmp_path, [f"sentence {i}" for i in range(count)])
    share = valid_share([options, options], lines=1000, cache=tmp_path)
    valid = list(read_part(options, part="valid", valid_share=share))
    assert 1 <= len(valid) <= max(1, 0.05 * count + 4 * (0.05 * count) ** 0.5)


def test_pairs_with_an_empty_side_are_in_no_part(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("a\t\n\tb\n \tc\nd\te\n")
    options = CorpusOptions(tsv=path)
    share = valid_share([options], lines=1, cache=tmp_path)
    assert list(read_part(options, part="valid", valid_share=share)) == [("d", "e")]
    assert list(read_part(options, part="all", valid_share=share)) == [("d", "e")]
