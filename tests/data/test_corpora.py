"""Pairs come out of each kind of file, and what is wrong with one is one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.data.corpora import CorpusOptions, DataOptions, read_pairs
from seqloom.data.mixing import Mixing
from seqloom.errors import DataError

PAIRS = [("a b", "x"), ("", "y"), ("c\u2028d", "z z")]
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r\n\t\ufeff"))


def corpus(directory: Path, **texts: str | bytes) -> CorpusOptions:
    files = {}
    for name, text in texts.items():
        files[name] = directory / f"a.{name}"
        files[name].write_bytes(text if isinstance(text, bytes) else text.encode())
    return CorpusOptions(**files)


def said(options: CorpusOptions) -> str:
    with pytest.raises(DataError) as raised:
        list(read_pairs(options))
    return str(raised.value)


def lines(texts: list[str]) -> str:
    return "".join(f"{text}\n" for text in texts)


def test_each_kind_of_file(tmp_path: Path) -> None:
    source, target = zip(*PAIRS, strict=True)
    assert list(read_pairs(corpus(tmp_path, source=lines(source), target=lines(target)))) == PAIRS
    assert list(read_pairs(corpus(tmp_path, tsv=lines([f"{s}\t{t}" for s, t in PAIRS])))) == PAIRS
    rows = [json.dumps({"target": t, "more": 1, "source": s}) for s, t in PAIRS]
    assert list(read_pairs(corpus(tmp_path, jsonl=lines(rows)))) == PAIRS


@given(pairs=st.lists(st.tuples(TEXT.filter(str.strip), TEXT), min_size=1))
def test_tables_hold_any_text(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]) -> None:
    directory = tmp_path_factory.mktemp("tables")
    tsv = corpus(directory, tsv=lines([f"{t}\t-\t{s}" for s, t in pairs])).tsv
    assert list(read_pairs(CorpusOptions(tsv=tsv, columns=(3, 1)))) == pairs
    jsonl = corpus(directory, jsonl=lines([json.dumps({"de": t, "en": s}) for s, t in pairs])).jsonl
    assert list(read_pairs(CorpusOptions(jsonl=jsonl, fields=("en", "de")))) == pairs


def test_json_text_becomes_one_line(tmp_path: Path) -> None:
    row = r'{"source": "a\nb\rc\u0000d\ud800", "target": "\ud83d\ude00"}'
    assert list(read_pairs(corpus(tmp_path, jsonl=row))) == [("a b c d\ufffd", "😀")]


def test_an_empty_line_in_a_table_is_an_empty_pair(tmp_path: Path) -> None:
    assert list(read_pairs(corpus(tmp_path, tsv="a\tb\n\n"))) == [("a", "b"), ("", "")]


@pytest.mark.parametrize(("counts", "one"), [((400, 397), "400 lines"), ((1, 3), "1 line"), ((3, 4), "3 lines")])
def test_unequal_line_counts(tmp_path: Path, counts: tuple[int, int], one: str) -> None:
    options = corpus(tmp_path, source="a\n" * counts[0], target="b\n" * counts[1])
    assert said(options) == (
        f"{options.source} has {one} and {options.target} has {counts[1]}:"
        " line i of one must translate line i of the other"
    )


def test_empty_files(tmp_path: Path) -> None:
    options = corpus(tmp_path, source="", target="b\n")
    assert said(options) == f"{options.source} is empty"
    options = corpus(tmp_path, source="a\n", target="")
    assert said(options) == f"{options.target} is empty"
    options = corpus(tmp_path, source="", target="")
    assert said(options) == f"{options.source} and {options.target} are empty"
    options = corpus(tmp_path, tsv="")
    assert said(options) == f"{options.tsv} is empty"


def test_faulty_rows(tmp_path: Path) -> None:
    options = corpus(tmp_path, tsv="a\tb\nc\n")
    assert said(options) == f"{options.tsv}:2: 1 column, but columns 1 and 2 are wanted"


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ('{"source": "a"', "not JSON: Expecting ',' delimiter at column 15"),
        ('["a", "b"]', "not a JSON object"),
        ('{"source": "a", "tgt": "b"}', "no field 'target'; it has 'source', 'tgt'"),
        ("{}", "no field 'source'; it has none"),
        ('{"source": 3, "target": "b"}', "field 'source' must be text, got 3"),
        ("[" * 100_000, "not JSON that can be read"),
        ("9" * 5000, "not JSON that can be read"),
    ],
)
def test_faulty_json(tmp_path: Path, row: str, sentence: str) -> None:
    options = corpus(tmp_path, jsonl='{"source": "a", "target": "b"}\n' + row)
    assert said(options) == f"{options.jsonl}:2: {sentence}"
    assert list(read_pairs(options, errors="skip")) == [("a", "b")]


def test_skipping_keeps_pairs_aligned(tmp_path: Path) -> None:
    options = corpus(tmp_path, source=b"a\n\xff\nc\nd\n", target=b"A\nB\nC\n\xff\n")
    assert list(read_pairs(options, errors="skip")) == [("a", "A"), ("c", "C")]
    assert said(options).startswith(f"{options.source}: line 2 is not UTF-8")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "a corpus has source and target, or tsv, or jsonl; got none"),
        ({"source": Path("a")}, "a corpus has source and target, or tsv, or jsonl; got source"),
        (
            {"source": Path("a"), "target": Path("b"), "tsv": Path("c")},
            "a corpus has source and target, or tsv, or jsonl; got source and target and tsv",
        ),
        ({"tsv": Path("a"), "columns": (0, 1)}, "columns are counted from 1, got 0"),
        ({"tsv": Path("a"), "upsample": 0}, "upsample must be at least 1, got 0"),
        ({"tsv": Path("a"), "weight": 0.0}, "weight must be above 0, got 0.0"),
        ({"tsv": Path("a"), "weight": float("nan")}, "weight must be above 0, got nan"),
    ],
)
def test_a_corpus_is_one_kind_of_file(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as raised:
        CorpusOptions(**options)
    assert str(raised.value) == sentence


def test_options_of_the_data() -> None:
    plain, heavy = CorpusOptions(tsv=Path("a")), CorpusOptions(tsv=Path("b"), weight=2.0)
    thrice = CorpusOptions(tsv=Path("c"), upsample=3)
    assert DataOptions(train=plain).train_corpora == [plain]
    assert DataOptions(train=plain).valid_corpora == []
    assert DataOptions(train=[plain], valid=plain).valid_corpora == [plain]
    assert DataOptions(train=[plain, plain]).mixing == Mixing()
    assert DataOptions(train=[heavy, heavy]).mixing == Mixing(weights=[2.0, 2.0])
    assert DataOptions(train=[plain, thrice]).mixing == Mixing(upsample=[1, 3])
    assert DataOptions(train=[plain, plain], temperature=5).mixing == Mixing(temperature=5)
    for options, sentence in (
        ({"train": [plain, heavy]}, "either every corpus of train has a weight or none has"),
        ({"train": []}, "train names no corpus"),
        ({"train": [heavy, thrice]}, "weight and upsample are ways to mix corpora of which only one can be chosen"),
        (
            {"train": [plain, thrice], "temperature": 5.0},
            "upsample and temperature are ways to mix corpora of which only one can be chosen",
        ),
        ({"train": plain, "temperature": -1.0}, "temperature must be above 0, got -1.0"),
        ({"train": plain, "valid": thrice}, "valid has upsample, which is for training data alone; leave it out"),
        ({"train": plain, "valid_lines": 0}, "valid_lines must be at least 1, got 0"),
        ({"train": plain, "workers": 0}, "workers must be at least 1, or null, got 0"),
        ({"train": plain, "max_length": 0}, "max_length must be at least 1, got 0"),
        ({"train": plain, "max_length": (9, -1)}, "max_length must be at least 1, got -1"),
    ):
        with pytest.raises(ValueError) as raised:
            DataOptions(**options)  # type: ignore[arg-type]
        assert str(raised.value) == sentence
