"""A corpus in many files is the corpus in one."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest

from seqloom.config import build, read
from seqloom.data.corpora import CorpusOptions, DataOptions, check_line_counts, read_pairs
from seqloom.data.held_out import count_pairs
from seqloom.data.prepared import prepare
from seqloom.data.shards import files_of
from seqloom.errors import DataError
from seqloom.tokenizers import Characters, Tokenizers

COUNT = 12  # shards, so that 10 comes behind 2 and not before
PAIRS = [(f"source {number}", f"target {number}") for number in range(40)]
PACK = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}


def write(directory: Path, side: int, name: str, suffix: str = "", *, count: int = COUNT) -> list[Path]:
    """One side of PAIRS in so many files of different sizes."""
    files = [directory / f"{name}.{shard}{suffix}" for shard in range(count)]
    for shard, file in enumerate(files):
        lines = PAIRS[len(PAIRS) * shard // count : len(PAIRS) * (shard + 1) // count]
        file.write_bytes(PACK[suffix]("".join(f"{pair[side]}\n" for pair in lines).encode()))
    return files


def said(corpus: CorpusOptions) -> str:
    with pytest.raises(DataError) as raised:
        list(read_pairs(corpus))
    return str(raised.value)


@pytest.mark.parametrize("suffix", PACK)
def test_a_pattern_names_files_in_natural_order(tmp_path: Path, suffix: str) -> None:
    sources, targets = write(tmp_path, 0, "a", suffix), write(tmp_path, 1, "b", suffix)
    corpus = CorpusOptions(source=tmp_path / f"a.*{suffix}", target=tmp_path / f"b.*{suffix}")
    assert list(corpus.files) == [file for pair in zip(sources, targets, strict=True) for file in pair]
    assert list(read_pairs(corpus)) == PAIRS
    assert corpus.name == f"{corpus.source} and {corpus.target}"


def test_a_list_names_files_in_its_own_order(tmp_path: Path) -> None:
    sources, targets = write(tmp_path, 0, "a", count=2), write(tmp_path, 1, "b", count=2)
    corpus = CorpusOptions(source=sources[::-1], target=targets[::-1])
    assert list(read_pairs(corpus)) == PAIRS[20:] + PAIRS[:20]


def test_tables_can_be_many_files_too(tmp_path: Path) -> None:
    for shard, pairs in enumerate((PAIRS[:7], PAIRS[7:])):
        (tmp_path / f"{shard}.tsv").write_text("".join(f"{source}\t{target}\n" for source, target in pairs))
        rows = (f'{{"source": "{source}", "target": "{target}"}}\n' for source, target in pairs)
        (tmp_path / f"{shard}.jsonl").write_text("".join(rows))
    assert list(read_pairs(CorpusOptions(tsv=tmp_path / "?.tsv"))) == PAIRS
    assert list(read_pairs(CorpusOptions(jsonl=[tmp_path / "0.jsonl", tmp_path / "1.jsonl"]))) == PAIRS


def test_a_name_with_brackets_is_a_name_where_there_is_such_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a[1].tsv"
    file.touch()
    assert files_of(file) == [file]


def test_all_shards_are_prepared_and_counted(tmp_path: Path) -> None:
    write(tmp_path, 0, "a"), write(tmp_path, 1, "b")
    corpus = CorpusOptions(source=tmp_path / "a.*", target=tmp_path / "b.*")
    characters = Characters()
    characters.train(side for pair in PAIRS for side in pair)
    made = prepare(corpus, Tokenizers(characters, characters), cache=tmp_path / "cache")
    texts = [tuple(characters.decode(ids(i).tolist()) for ids in (made.source, made.target)) for i in range(len(made))]
    assert texts == PAIRS
    assert count_pairs(corpus, tmp_path / "cache") == len(PAIRS)


def test_a_shard_that_changes_changes_the_key(tmp_path: Path) -> None:
    sources = write(tmp_path, 0, "a")
    write(tmp_path, 1, "b")
    corpus = CorpusOptions(source=tmp_path / "a.*", target=tmp_path / "b.*")
    characters = Characters()
    characters.train(["source 0"])
    keys = set()
    for text in (None, "something else"):
        if text:
            sources[7].write_text(sources[7].read_text().replace("source", text))
        keys.add(prepare(corpus, Tokenizers(characters, characters), cache=tmp_path / "cache").key)
    assert len(keys) == 2


def test_a_shard_with_another_number_of_lines(tmp_path: Path) -> None:
    sources, targets = write(tmp_path, 0, "a"), write(tmp_path, 1, "b")
    targets[10].write_text("one line\n")
    lines = len(sources[10].read_text().splitlines())
    sentence = f"{sources[10]} has {lines} lines and {targets[10]} has 1:"
    sentence += " line i of one must translate line i of the other"
    corpus = CorpusOptions(source=sources, target=targets)
    assert said(corpus) == sentence
    with pytest.raises(DataError) as raised:
        count_pairs(corpus, tmp_path / "cache")
    assert str(raised.value) == sentence
    check_line_counts(corpus.shards[9], [3, 3])


def test_sides_with_different_numbers_of_files(tmp_path: Path) -> None:
    sources, targets = write(tmp_path, 0, "a"), write(tmp_path, 1, "b")
    corpus = CorpusOptions(source=tmp_path / "a.*", target=targets[:1])
    assert said(corpus) == (
        f"{tmp_path}/a.* is 12 files and {targets[0]} is 1 file: file i of one must translate file i of the other"
    )
    assert said(CorpusOptions(source=sources[:3], target=targets[:2])) == (
        f"{sources[0]} and 2 more is 3 files and {targets[0]} and {targets[1]} is 2 files:"
        " file i of one must translate file i of the other"
    )


def test_a_pattern_that_nothing_matches(tmp_path: Path) -> None:
    pattern = tmp_path / "no.*.gz"
    assert said(CorpusOptions(tsv=pattern)) == f"{pattern}: no file matches this pattern"


def test_an_empty_list() -> None:
    with pytest.raises(ValueError) as raised:
        CorpusOptions(source=[], target=[Path("a")])
    assert str(raised.value) == "source names no file"


def test_a_fault_is_named_by_its_shard_and_line(tmp_path: Path) -> None:
    sources = write(tmp_path, 0, "a")
    write(tmp_path, 1, "b")
    sources[11].write_bytes(b"good\nb\xe4d\ngood\ngood\n")
    assert said(CorpusOptions(source=tmp_path / "a.*", target=tmp_path / "b.*")) == (
        f"{sources[11]}: line 2 is not UTF-8 (byte 0xe4 at column 2);"
        " convert the file (in training, data.errors: skip or replace will do)"
    )


def test_a_yaml_may_say_a_pattern_or_a_list(tmp_path: Path) -> None:
    file = tmp_path / "data.yml"
    file.write_text("train: {source: 'a.*', target: [b.0, b.1]}\n")
    options = build(DataOptions, read(file))
    assert options.train == CorpusOptions(source=tmp_path / "a.*", target=[tmp_path / "b.0", tmp_path / "b.1"])
