"""Prepared ids are the text's ids, are made once, and survive damage, crowds and full disks."""

from __future__ import annotations

import errno
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.data import cache as cache_module
from seqloom.data import encoding as encoding_module
from seqloom.data import prepared as prepared_module
from seqloom.data import writer as writer_module
from seqloom.data.cache import cache_directory, content
from seqloom.data.corpora import CorpusOptions
from seqloom.data.prepared import PreparedCorpus, prepare, trained
from seqloom.errors import DataError
from seqloom.tokenizers import Characters, Tokenizers, Words, fingerprint

CHARACTERS = Characters()
CHARACTERS.train(["abcdefgh "])
JOINT = Tokenizers(CHARACTERS, CHARACTERS)
TEXT = st.text("abcdez ", max_size=12)


def write(directory: Path, pairs: list[tuple[str, str]]) -> CorpusOptions:
    source, target = directory / "a.src", directory / "a.tgt"
    source.write_text("".join(f"{pair[0]}\n" for pair in pairs))
    target.write_text("".join(f"{pair[1]}\n" for pair in pairs))
    return CorpusOptions(source=source, target=target)


def texts(corpus: PreparedCorpus) -> list[tuple[str, str]]:
    decode = CHARACTERS.decode
    return [(decode(corpus.source(i).tolist()), decode(corpus.target(i).tolist())) for i in range(len(corpus))]


@pytest.fixture
def corpus(tmp_path: Path) -> CorpusOptions:
    return write(tmp_path, [("abc", "cba"), ("de", "ed"), ("", "x"), ("z" * 20, "a")])


@given(pairs=st.lists(st.tuples(TEXT, TEXT), min_size=1), block=st.integers(1, 5))
def test_ids_are_those_of_the_text(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], block: int
) -> None:
    directory = tmp_path_factory.mktemp("prepared")
    options = write(directory, [*pairs, ("ab", "cd")])
    kept = [pair for pair in [*pairs, ("ab", "cd")] if all(0 < len(side) <= 6 for side in pair)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding_module, "BLOCK_LINES", block)
        made = prepare(options, JOINT, cache=directory, max_length=6)
    assert texts(made) == [(s.replace("z", "⁇"), t.replace("z", "⁇")) for s, t in kept]
    source, target = made.lengths(np.arange(len(made)))
    assert (source.tolist(), target.tolist()) == ([len(s) for s, _ in kept], [len(t) for _, t in kept])
    report = made.report
    assert report.kept + report.empty + report.too_long == len(pairs) + 1
    assert report.empty == sum(not (s and t) for s, t in pairs)
    assert (report.source_tokens, report.target_tokens) == (source.sum(), target.sum())
    assert (report.source_unknowns, report.target_unknowns) == tuple(
        sum(pair[side].count("z") for pair in kept) for side in (0, 1)
    )


def test_report_is_a_sentence(tmp_path: Path, corpus: CorpusOptions) -> None:
    made = prepare(corpus, JOINT, cache=tmp_path, max_length=10)
    assert str(made.report) == "2 pairs; left out: 1 with an empty side, 1 too long"


@given(pairs=st.lists(st.tuples(TEXT, TEXT), min_size=1), most=st.tuples(st.integers(1, 8), st.integers(1, 8)))
def test_each_side_has_a_length_and_what_is_longer_is_dropped_or_cut(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], most: tuple[int, int]
) -> None:
    directory = tmp_path_factory.mktemp("prepared")
    options = write(directory, [*pairs, ("a", "b")])
    whole = prepare(options, JOINT, cache=directory)
    longer = [len(s) > most[0] or len(t) > most[1] for s, t in texts(whole)]
    dropped = prepare(options, JOINT, cache=directory, max_length=most)
    assert texts(dropped) == [pair for pair, long in zip(texts(whole), longer, strict=True) if not long]
    assert (dropped.report.too_long, dropped.report.cut) == (sum(longer), 0)
    cut = prepare(options, JOINT, cache=directory, max_length=most, too_long="cut")
    assert texts(cut) == [(source[: most[0]], target[: most[1]]) for source, target in texts(whole)]
    assert (cut.report.too_long, cut.report.cut) == (0, sum(longer))
    assert cut.report.source_tokens == sum(len(source) for source, _ in texts(cut))


def test_what_was_cut_is_said(tmp_path: Path, corpus: CorpusOptions) -> None:
    made = prepare(corpus, JOINT, cache=tmp_path, max_length=(10, 1), too_long="cut")
    assert texts(made) == [("abc", "c"), ("de", "e"), ("⁇" * 10, "a")]
    assert str(made.report) == "3 pairs, 3 of them cut; left out: 1 with an empty side"
    with pytest.raises(DataError) as said:
        prepare(corpus, JOINT, cache=tmp_path, max_length=(10, 1))
    assert str(said.value) == (
        f"{corpus.name}: no pair is usable (max_length is 10 and 1 tokens):"
        " 0 pairs; left out: 1 with an empty side, 3 too long"
    )


def test_skipped_pairs_are_counted(tmp_path: Path, corpus: CorpusOptions) -> None:
    assert corpus.target is not None
    corpus.target.write_bytes(b"cba\n\xff\nx\na\n")
    made = prepare(corpus, JOINT, cache=tmp_path, max_length=10, errors="skip")
    assert texts(made) == [("abc", "cba")]
    assert made.report.skipped == 1


def test_no_usable_pair_is_a_sentence(tmp_path: Path, corpus: CorpusOptions) -> None:
    with pytest.raises(DataError) as said:
        prepare(corpus, JOINT, cache=tmp_path, max_length=1)
    assert str(said.value) == (
        f"{corpus.name}: no pair is usable (max_length is 1 tokens):"
        " 0 pairs; left out: 1 with an empty side, 3 too long"
    )
    assert leftovers(tmp_path) == []


def test_parts_are_everything(tmp_path: Path) -> None:
    pairs = [(f"{a}{b} {c}", "a") for a in "abcdefgh" for b in "abcdefgh" for c in "abcdefgh"]
    options = write(tmp_path, pairs)

    def part(name: Any) -> Counter[tuple[str, str]]:
        return Counter(texts(prepare(options, JOINT, cache=tmp_path, part=name, valid_share=0.3)))

    assert part("train") + part("valid") == part("all") == Counter(pairs)
    assert not part("train") & part("valid")


def test_the_second_time_reads_no_text(tmp_path: Path, corpus: CorpusOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    first = prepare(corpus, JOINT, cache=tmp_path, max_length=10, progress=heard.append)
    assert heard == [4]
    for module, name in ((prepared_module, "read_rows"), (cache_module, "count_lines"), (cache_module, "_sha256")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("read again"))
    again = prepare(corpus, JOINT, cache=tmp_path, max_length=10, progress=heard.append)
    assert heard == [4]
    assert (texts(again), again.report, again.key) == (texts(first), first.report, first.key)


def test_the_key_is_the_content_and_not_the_name(tmp_path: Path, corpus: CorpusOptions) -> None:
    assert corpus.source is not None
    first = prepare(corpus, JOINT, cache=tmp_path)
    moved = CorpusOptions(source=corpus.source.rename(tmp_path / "b.src"), target=corpus.target)
    assert prepare(moved, JOINT, cache=tmp_path).key == first.key
    words = Words()
    words.train(["abc"])
    assert moved.source is not None
    keys = {
        first.key,
        prepare(moved, Tokenizers(words, CHARACTERS), cache=tmp_path).key,
        prepare(moved, JOINT, cache=tmp_path, max_length=10).key,
        prepare(moved, JOINT, cache=tmp_path, max_length=10, too_long="cut").key,
        prepare(moved, JOINT, cache=tmp_path, max_length=(10, 9)).key,
        prepare(moved, JOINT, cache=tmp_path, errors="skip").key,
    }
    moved.source.write_text("b\na\nc\nd\n")
    keys.add(prepare(moved, JOINT, cache=tmp_path).key)
    assert len(keys) == 7
    assert prepare(moved, JOINT, cache=tmp_path, max_length=(10, 10)).key == (
        prepare(moved, JOINT, cache=tmp_path, max_length=10).key
    )


@pytest.mark.parametrize("name", ["header.json", "source.ids", "target.ids", "source.ends", "target.ends"])
@pytest.mark.parametrize("damage", ["shorter", "longer", "gone"])
def test_a_damaged_cache_is_made_again(tmp_path: Path, corpus: CorpusOptions, name: str, damage: str) -> None:
    good = prepare(corpus, JOINT, cache=tmp_path)
    expected = texts(good)
    path = tmp_path / "prepared" / good.key / name
    data = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(data[:-2] if damage == "shorter" else data + b"xx")
    again = prepare(corpus, JOINT, cache=tmp_path)
    assert texts(again) == expected
    assert path.read_bytes() == data
    assert leftovers(tmp_path) == []


def test_several_at_once(tmp_path: Path, corpus: CorpusOptions) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: prepare(corpus, JOINT, cache=tmp_path), range(16)))
    assert all(texts(one) == texts(made[0]) for one in made)
    assert leftovers(tmp_path) == []


def test_a_full_disk_is_a_sentence(tmp_path: Path, corpus: CorpusOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer_module._Side, "write", full)
    with pytest.raises(DataError) as said:
        prepare(corpus, JOINT, cache=tmp_path)
    assert str(said.value) == (
        f"{tmp_path}/prepared: the disk is full; make room, or name a place for prepared data with data.cache"
        " or $SEQLOOM_CACHE"
    )
    assert leftovers(tmp_path) == []


def test_a_file_that_changes_meanwhile_is_a_sentence(
    tmp_path: Path, corpus: CorpusOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(_: int) -> None:
        with corpus.files[0].open("a") as stream:
            stream.write("more\n")

    with pytest.raises(DataError) as said:
        prepare(corpus, JOINT, cache=tmp_path, progress=change)
    assert str(said.value) == f"{corpus.name} changed while being read; start again when nothing writes to it"


def test_tokenizers_are_trained_once(tmp_path: Path) -> None:
    calls = []

    def lines() -> Iterator[str]:
        calls.append(1)
        yield "a b c"

    first = trained(Words(), lines, key_parts=["one"], cache=tmp_path)
    again = trained(Words(), lines, key_parts=["one"], cache=tmp_path)
    assert (fingerprint(again), len(calls)) == (fingerprint(first), 1)
    trained(Words(), lines, key_parts=["two"], cache=tmp_path)
    trained(Words(lowercase=True), lines, key_parts=["one"], cache=tmp_path)
    assert len(calls) == 3
    for model in tmp_path.glob("tokenizers/*/tokenizer.model"):
        model.write_bytes(b"damaged")
    assert fingerprint(trained(Words(), lines, key_parts=["one"], cache=tmp_path)) == fingerprint(first)
    assert len(calls) == 4


def test_content_notices_a_change(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("a\nb")
    first = content(path, tmp_path / "cache")
    assert first.lines == 2
    path.write_text("a\nb\nc\n")
    assert content(path, tmp_path / "cache").lines == 3


def test_only_files_can_be_prepared(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, sentence in (
        ("pipe", "is not a regular file; data are read more than once, so a pipe won't do"),
        (".", "is a directory, not a file"),
    ):
        with pytest.raises(DataError) as said:
            content(tmp_path / name, tmp_path)
        assert str(said.value) == f"{tmp_path / name} {sentence}"


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    fallback, unusable = tmp_path / "run", tmp_path / "file" / "cache"
    monkeypatch.setenv("SEQLOOM_CACHE", str(tmp_path / "variable"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert cache_directory(tmp_path / "chosen", fallback=fallback) == tmp_path / "chosen"
    assert cache_directory(None, fallback=fallback) == tmp_path / "variable"
    monkeypatch.delenv("SEQLOOM_CACHE")
    assert cache_directory(None, fallback=fallback) == tmp_path / "home" / "seqloom"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cache_directory(None, fallback=fallback) == fallback
    assert caplog.messages == []
    assert cache_directory(unusable, fallback=fallback) == fallback
    assert caplog.messages == [f"The cache directory {unusable} can't be written to; using {fallback}."]


def leftovers(cache: Path) -> list[str]:
    return [path.name for path in cache.glob("*/.*")]


@pytest.mark.data("mt/multi30k")
def test_real_text_has_little_padding(seqloom_data: Path, tmp_path: Path) -> None:
    from seqloom.data.batches import TrainingBatches

    folder = seqloom_data / "mt" / "multi30k"
    options = CorpusOptions(source=folder / "train.en.xz", target=folder / "train.de.xz")
    words = trained(
        Words(size=8000),
        lambda: (side for pair in prepared_module.read_rows(options) for side in pair or ()),
        key_parts=[],
        cache=tmp_path,
    )
    made = prepare(options, Tokenizers(words, words), cache=tmp_path)
    assert len(made) == 29_000
    batches = TrainingBatches([made], batch_tokens=2048, seed=1)
    padding, places = 0, 0
    for batch, after in batches.iterate():
        for side in (batch.source, batch.target):
            padding += int((~side.mask).sum())
            places += side.mask.numel()
        if after.pool:
            break
    assert padding / places < 0.05
    shutil.rmtree(tmp_path)
