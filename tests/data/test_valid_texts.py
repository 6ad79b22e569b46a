"""The texts to validate on are those of the part, read once and never again from the user's files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from seqloom.data import valid_texts as valid_texts_module
from seqloom.data.corpora import CorpusOptions
from seqloom.data.held_out import read_part
from seqloom.data.valid_texts import ValidTexts


@pytest.fixture
def corpus(tmp_path: Path) -> CorpusOptions:
    (tmp_path / "text.tsv").write_text(
        "".join(f"quelle {number}\tziel \N{SNOWMAN} {number}\n" for number in range(300))
    )
    return CorpusOptions(tsv=tmp_path / "text.tsv", tag="<2de>")


def texts(corpus: CorpusOptions, cache: Path, share: float = 0.2) -> ValidTexts:
    return ValidTexts(corpus, part="valid", valid_share=share, errors="stop", cache=cache)


def test_they_are_those_of_the_part(tmp_path: Path, corpus: CorpusOptions) -> None:
    kept = texts(corpus, tmp_path)
    assert list(kept) == list(read_part(corpus, part="valid", valid_share=0.2))
    assert 20 < len(list(kept)) < 120
    assert list(zip(kept, kept, strict=True)) == [(pair, pair) for pair in kept]  # two readers don't disturb each other
    assert list(islice(kept, 5)) == list(kept)[:5]


def test_they_are_read_once(tmp_path: Path, corpus: CorpusOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    first = list(texts(corpus, tmp_path))

    def never(*_: object, **__: object) -> Iterator[tuple[str, str]]:
        raise AssertionError("read again")

    monkeypatch.setattr(valid_texts_module, "read_part", never)
    again = texts(corpus, tmp_path)
    assert corpus.files[0].unlink() is None
    shutil.rmtree(tmp_path / "texts")
    assert list(again) == first


def test_what_they_depend_on_makes_others(tmp_path: Path, corpus: CorpusOptions) -> None:
    assert list(texts(corpus, tmp_path)) != list(texts(corpus, tmp_path, 0.3))
    plain = CorpusOptions(tsv=corpus.tsv)
    assert next(iter(texts(plain, tmp_path)))[0].startswith("quelle ")
