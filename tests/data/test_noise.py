"""Noise has the statistics it says, keeps words whole, and is the same wherever one starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqloom.data.batches import Position, TrainingBatches
from seqloom.data.corpora import CorpusOptions, DataOptions
from seqloom.data.noise import Noise, WordBlank, WordDrop, Words, WordShuffle, blank, drop, shuffle
from seqloom.data.noising import Noising
from seqloom.data.permutation import key_of
from seqloom.data.prepared import prepare
from seqloom.data.variation import Variation, variation_of
from seqloom.errors import UsageError
from seqloom.tokenizers import (
    Characters,
    Factors,
    Parts,
    Pixels,
    SentencePiece,
    Tagged,
    Tokenizer,
    Tokenizers,
    VocabularyFile,
    save,
)
from seqloom.tokenizers import Words as WordTokenizer
from seqloom.tokenizers.resegmentation import drawn, with_merges_left_out
from seqloom.vocabulary import UNK

ALL = [WordDrop(), WordBlank(), WordShuffle()]  # in the order of https://arxiv.org/abs/1808.09381
KEY = key_of(7)
TEXTS = ["the small dogs were running past him", "him", "a cat sat on the mat there", "small cats running past dogs"]


def many(count: int, length: int) -> list[str]:
    """`count` lists of words, one behind the other, as one list of different words."""
    return [f"w{number}" for number in range(count * length)]


def apply(kind: Noise, words: int, length: int, *, seed: int = 1) -> Words:
    groups = np.arange(words) // length
    return kind(Words.of(groups), np.random.default_rng(seed).random(words))


def test_drop_and_blank_are_as_frequent_as_they_say() -> None:
    count = 100_000
    left = apply(WordDrop(p=0.1), count, 25)
    assert abs(1 - len(left.numbers) / count - 0.1) < 0.005
    assert (np.diff(left.numbers) > 0).all(), "those that stay keep their order"
    blanked = apply(WordBlank(p=0.1), count, 25)
    assert abs(blanked.blank.mean() - 0.1) < 0.005 and len(blanked.numbers) == count


@given(length=st.integers(1, 40), distance=st.integers(0, 5), seed=st.integers(0, 2**32))
def test_no_word_moves_further_than_it_may(length: int, distance: int, seed: int) -> None:
    moved = apply(WordShuffle(distance=distance), 2000, length, seed=seed)
    assert abs(np.argsort(moved.numbers) - np.arange(2000)).max() <= distance
    assert (moved.numbers // length == np.arange(2000) // length).all(), "none leaves its text"


def test_words_move_as_far_as_they_may() -> None:
    moved = apply(WordShuffle(distance=3), 100_000, 25)
    steps = moved.numbers - np.arange(100_000)
    assert set(steps.tolist()) == set(range(-3, 4))
    assert abs(steps.mean()) < 1e-9 and (steps != 0).mean() > 0.5


@given(length=st.integers(1, 9), p=st.floats(0, 0.99), seed=st.integers(0, 2**32))
def test_something_always_stays(length: int, p: float, seed: int) -> None:
    left = apply(WordDrop(p=p), 500, length, seed=seed)
    assert set(left.groups.tolist()) == set((np.arange(500) // length).tolist())


def test_lists_of_words() -> None:
    words = many(4000, 25)
    random = np.random.default_rng(3)
    assert abs(len(drop(words, 0.1, random)) / 100_000 - 0.9) < 0.005
    made = blank(words, 0.1, random, symbol="<blank>")
    assert abs(made.count("<blank>") / 100_000 - 0.1) < 0.005
    assert all(new in (old, "<blank>") for old, new in zip(words, made, strict=True))
    order = [int(word[1:]) for word in shuffle(words, 3, random)]
    assert sorted(order) == list(range(100_000)) and abs(np.array(order) - np.arange(100_000)).max() == 3
    assert drop([], 0.5, random) == blank([], 0.5, random) == shuffle([], 3, random) == []


def trained(tokenizer: Tokenizer, texts: list[str]) -> Tokenizer:
    tokenizer.train(texts)
    return tokenizer


def listed(folder: Path, symbols: list[str], **options: Any) -> Tokenizer:
    (folder / "symbols").write_text("".join(f"{symbol}\n" for symbol in symbols), "utf8")
    return trained(VocabularyFile(path=folder / "symbols", **options), [])


def kinds_of_text(folder: Path) -> dict[str, tuple[Tokenizer, list[str]]]:
    """Tokenizers with texts for them."""
    bpe = [text.replace("running", "run@@ ning").replace("cats", "cat@@ s") for text in TEXTS]
    pieces = ["▁" + text.replace(" ", " ▁").replace("running", "run ning") for text in TEXTS]
    tagged = trained(Tagged(SentencePiece(size=60), ["<2de>"]), TEXTS * 3)
    parts = Parts(tokenizer=lambda: SentencePiece(size=60))
    return {
        "SentencePiece": (trained(SentencePiece(size=60), TEXTS * 3), TEXTS),
        "unigram": (trained(SentencePiece(size=40, model="unigram"), TEXTS * 3), TEXTS),
        "Words": (trained(WordTokenizer(), TEXTS), TEXTS),
        "Characters": (trained(Characters(), TEXTS), TEXTS),
        "Factors": (trained(Factors(), [_factored(t) for t in TEXTS]), [_factored(t) for t in TEXTS]),
        "bpe": (listed(folder, sorted(set(" ".join(bpe).split())), segmentation="bpe"), bpe),
        "pieces": (listed(folder, sorted(set(" ".join(pieces).split())), segmentation="sentencepiece"), pieces),
        "letters": (listed(folder, list("abcdefghijklmnoprstuvw "), delimiter=""), TEXTS),
        "Tagged": (tagged, [f"<2de> {text}" for text in TEXTS]),
        "Parts": (trained(parts, TEXTS * 3), [f"{text} ||| {text}" for text in TEXTS]),
    }


def _factored(text: str) -> str:
    return " ".join(f"{word}|{word[-1].upper()}" for word in text.split())


def rows_of(tokenizer: Tokenizer, texts: list[str]) -> list[Any]:
    return [np.array(row, np.uint16) for row in tokenizer.encode(texts)]


@pytest.mark.parametrize(
    "kind",
    [
        *("SentencePiece", "unigram", "Words", "Characters", "Factors"),
        *("bpe", "pieces", "letters", "Tagged", "Parts"),
    ],
)
def test_words_are_never_split(tmp_path: Path, kind: str) -> None:
    """Whatever words consist of: the decoded text has the same words, each part its own, a tag in front stays."""
    tokenizer, texts = kinds_of_text(tmp_path)[kind]
    rows = rows_of(tokenizer, texts)
    noising = Noising([WordDrop(p=0.3), WordShuffle()], tokenizer, key=KEY)
    changed = False
    for time in range(20):
        for text, row in zip(texts, noising(rows, np.arange(len(rows)) + 100 * time), strict=True):
            before, after = (
                whole.split(" ||| ") for whole in (tokenizer.restore(text), tokenizer.decode(row.tolist()))
            )
            assert len(before) == len(after)
            for old, new in zip(before, after, strict=True):
                assert new.split() and set(new.split()) <= set(old.split())
                assert new == " ".join(new.split())
                assert kind != "Tagged" or new.startswith("<2de> ")
                changed |= new != old
    assert changed
    assert all(
        np.array_equal(*pair) for pair in zip(Noising([], tokenizer, key=KEY)(rows, np.arange(4)), rows, strict=True)
    )


def test_a_blanked_word_is_one_symbol(tmp_path: Path) -> None:
    tokenizer, texts = kinds_of_text(tmp_path)["SentencePiece"]
    rows = rows_of(tokenizer, texts)
    noising = Noising([WordBlank(p=0.5)], tokenizer, key=KEY)
    for time in range(20):
        for text, row in zip(texts, noising(rows, np.arange(4) + 100 * time), strict=True):
            ids = row.tolist()
            parts = [tokenizer.decode(part).split() for part in _split(ids)]
            assert sum(map(len, parts)) + ids.count(UNK) == len(text.split())
    tag = Tagged(tokenizer, ["<blank>"])
    (row,) = Noising([WordBlank(p=0.99, symbol="<blank>")], tag, key=KEY)(rows_of(tag, ["a cat sat"]), np.arange(1))
    assert row.tolist() == tag.vocabulary.ids(["<blank>"]) * 3


def _split(ids: list[int]) -> list[list[int]]:
    parts: list[list[int]] = [[]]
    for i in ids:
        parts[-1].append(i) if i != UNK else parts.append([])
    return parts


def test_noise_depends_on_the_place_alone(tmp_path: Path) -> None:
    tokenizer, texts = kinds_of_text(tmp_path)["SentencePiece"]
    rows, noising = rows_of(tokenizer, texts * 5), Noising(ALL, tokenizer, key=KEY)
    places = np.arange(len(rows)) * 1000
    whole = noising(rows, places)
    for first in (1, 7, 19):
        part = noising(rows[first:], places[first:])
        assert all(np.array_equal(*pair) for pair in zip(part, whole[first:], strict=True))
    other = Noising(ALL, tokenizer, key=key_of(8))(rows, places)
    assert any(not np.array_equal(*pair) for pair in zip(other, whole, strict=True))
    assert len({tuple(row.tolist()) for row in whole[::4]}) > 1, "the same text at other places has other noise"


def test_the_statistics_of_a_batch() -> None:
    tokenizer = trained(WordTokenizer(), [" ".join(many(1, 1000))])
    row = np.arange(3, 1003).astype(np.uint16)
    rows, places = [row] * 100, np.arange(100)
    left = sum(map(len, Noising([WordDrop()], tokenizer, key=KEY)(rows, places)))
    assert abs(left / 100_000 - 0.9) < 0.005
    blanks = sum(int((made == UNK).sum()) for made in Noising([WordBlank()], tokenizer, key=KEY)(rows, places))
    assert abs(blanks / 100_000 - 0.1) < 0.005
    for made in Noising([WordShuffle()], tokenizer, key=KEY)(rows, places):
        assert abs(made.astype(int) - row).max() == 3
    both = Noising([WordDrop(), WordBlank()], tokenizer, key=KEY)(rows, places)
    assert abs(sum(int((made == UNK).sum()) for made in both) / sum(map(len, both)) - 0.1) < 0.005, "independent"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: WordDrop(p=1.0), "p is a probability from 0 up to, but not including, 1; got 1.0"),
        (lambda: WordBlank(p=-0.1), "p is a probability from 0 up to, but not including, 1; got -0.1"),
        (lambda: WordBlank(symbol="a b"), "symbol must be one word, got 'a b'"),
        (lambda: WordShuffle(distance=-1), "distance must be at least 0, got -1"),
    ],
)
def test_bad_parameters_are_sentences(make: Any, sentence: str) -> None:
    with pytest.raises(ValueError) as said:
        make()
    assert str(said.value) == sentence


@pytest.mark.parametrize(
    ("kinds", "tokenizer", "sentence"),
    [
        ([WordDrop()], Pixels(), "noise is for words, and the sources of Pixels are files"),
        (
            [WordBlank(symbol="<b>")],
            trained(WordTokenizer(), ["a"]),
            "noise: '<b>' is no symbol of the sources' Words; <unk> is",
        ),
        (
            [WordBlank(symbol="a"), WordBlank()],
            trained(WordTokenizer(), ["a"]),
            "noise: all blanked words become one symbol, got <unk> and a",
        ),
    ],
)
def test_what_can_not_be_is_a_sentence(kinds: list[Noise], tokenizer: Tokenizer, sentence: str) -> None:
    with pytest.raises(UsageError) as said:
        Noising(kinds, tokenizer, key=KEY)
    assert str(said.value) == sentence


@pytest.fixture
def subwords() -> Tokenizer:
    return trained(SentencePiece(size=80), TEXTS * 3)


@pytest.mark.parametrize("kind", ["SentencePiece", "unigram", "Tagged", "Parts"])
def test_words_cut_anew_are_the_same_words(tmp_path: Path, kind: str) -> None:
    tokenizer, texts = kinds_of_text(tmp_path)[kind]
    rows = tokenizer.encode([*texts, f"{texts[0]} ☃"])
    ways = [tokenizer.sampled(rows, share=0.3, keys=[int(key_of(seed))] * len(rows)) for seed in range(10)]
    for made in ways:
        assert [tokenizer.decode(row) for row in made] == [tokenizer.decode(row) for row in rows]
    assert tokenizer.sampled(rows[::-1], share=0.3, keys=[int(key_of(4))] * len(rows)) == ways[4][::-1]
    assert len({str(made) for made in ways}) == 10
    assert all(made[-1].count(UNK) == 1 for made in ways)


@pytest.mark.parametrize("model", ["bpe", "unigram"])
def test_without_chance_words_are_cut_as_ever(model: Any) -> None:
    """With no merge left out BPE gives the prepared ids; a high power of the probabilities gives the likeliest way."""
    tokenizer = trained(SentencePiece(size=70 if model == "bpe" else 45, model=model), TEXTS * 3)
    rows = tokenizer.encode([*TEXTS, "has the mat running cats?", " ", ""])
    keys = list(range(len(rows)))
    assert tokenizer.sampled(rows, share=0.0 if model == "bpe" else 1e4, keys=keys) == rows


def test_merges_are_left_out_as_often_as_they_should() -> None:
    """Two merges in turn, so four ways to cut a word: each step is a draw of its own, as in the paper's algorithm 1."""
    scores, p = {"ab": -1.0, "abc": -2.0}, 0.3
    found = Counter(tuple(with_merges_left_out("abc", scores, p, Random(n))) for n in range(8_000))
    assert set(found) == {("a", "b", "c"), ("ab", "c"), ("abc",)}
    for way, wanted in {("a", "b", "c"): p, ("ab", "c"): (1 - p) * p, ("abc",): (1 - p) ** 2}.items():
        assert abs(found[way] / 8_000 - wanted) < 0.015


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_ways_are_drawn_with_their_probabilities(share: float) -> None:
    scores = {"a": -1.0, "b": -1.5, "c": -0.5, "ab": -1.2, "bc": -3.0, "abc": -4.0}
    ways = [("a", "b", "c"), ("ab", "c"), ("a", "bc"), ("abc",)]
    weights = np.exp([share * sum(scores[piece] for piece in way) for way in ways])
    found = Counter(tuple(drawn("abc", scores, share, Random(n))) for n in range(8_000))
    assert set(found) <= set(ways)
    for way, wanted in zip(ways, weights / weights.sum(), strict=True):
        assert abs(found[way] / 8_000 - wanted) < 0.015
    assert drawn("abx", scores, share, Random(1)) == ["abx"], "what no pieces make up"


def test_the_same_words_are_drawn_in_every_process(subwords: Tokenizer, tmp_path: Path) -> None:
    save(subwords, tmp_path, "tokenizer")
    code = (
        "import pathlib, sys; from seqloom.tokenizers import load\n"
        f"tokenizer = load(pathlib.Path({str(tmp_path)!r}), 'tokenizer')\n"
        f"print(tokenizer.sampled(tokenizer.encode({TEXTS!r}), share=0.3, keys=[1, 2, 3, 4]))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": "random"}
    said = [
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    here = subwords.sampled(subwords.encode(TEXTS), share=0.3, keys=[1, 2, 3, 4])
    assert said == [f"{here}\n"] * 2


def test_a_share_of_merges_is_left_out(subwords: Tokenizer) -> None:
    rows = subwords.encode(TEXTS * 50)
    keys = list(range(len(rows)))
    sizes = [sum(map(len, subwords.sampled(rows, share=share, keys=keys))) for share in (0, 0.1, 0.5, 0.9)]
    assert sizes == sorted(set(sizes)), "the more merges are left out, the more pieces"


def test_only_subwords_can_be_cut_anew() -> None:
    words = trained(WordTokenizer(), TEXTS)
    with pytest.raises(UsageError) as said:
        Variation(Tokenizers(words, words), [None], (0.0, 0.1))
    assert str(said.value) == "subword_sampling is for SentencePiece; Words cuts a text in one way only"


@pytest.fixture
def corpus(tmp_path: Path) -> CorpusOptions:
    (tmp_path / "corpus.tsv").write_text("".join(f"{a}\t{b}\n" for a in TEXTS for b in TEXTS) * 3)
    return CorpusOptions(tsv=tmp_path / "corpus.tsv")


@pytest.mark.parametrize("sampling", [0.0, 0.2])
def test_varied_batches_go_on_the_same_from_anywhere(
    tmp_path: Path, corpus: CorpusOptions, subwords: Tokenizer, sampling: float
) -> None:
    tokenizers = Tokenizers(subwords, subwords)
    prepared = prepare(corpus, tokenizers, cache=tmp_path)
    plain = CorpusOptions(tsv=corpus.tsv, noise=())
    options = DataOptions(
        train=[corpus, plain], noise=(WordDrop, WordBlank, WordShuffle), subword_sampling=(sampling, 0.0)
    )

    def fresh(variation: Variation | None) -> TrainingBatches:
        return TrainingBatches([prepared, prepared], batch_tokens=300, seed=5, pool_size=40, variation=variation)

    variation = variation_of(options, tokenizers, seed=5)
    assert variation is not None and variation.noisings[1] is None
    whole = list(islice(fresh(variation).iterate(), 40))
    for start in (1, 13, 33):
        again = [batch for batch, _ in islice(fresh(variation).iterate(whole[start - 1][1]), 7)]
        for one, (other, _) in zip(again, whole[start:], strict=False):
            assert torch.equal(one.source.ids, other.source.ids) and torch.equal(one.target.ids, other.target.ids)
    bare = [batch for batch, _ in islice(fresh(None).iterate(Position()), 40)]
    assert all(torch.equal(one.target.ids, other.target.ids) for one, (other, _) in zip(bare, whole, strict=True))
    assert not any(torch.equal(one.source.ids, other.source.ids) for one, (other, _) in zip(bare, whole, strict=True))


def test_what_would_become_too_long_stays(subwords: Tokenizer) -> None:
    rows = rows_of(subwords, TEXTS)
    pairs, where = list(zip(rows, rows, strict=True)), {"corpora": np.zeros(4, np.int64), "places": np.arange(4)}
    free = Variation(Tokenizers(subwords, subwords), [None], (0.5, 0.5), (999, 999))(pairs, **where)
    assert any(not np.array_equal(*pair) for pair in free), "each side is cut for itself"
    lengths = [len(side) for pair in free for side in pair]
    most = sorted(lengths)[len(lengths) // 2] - 1
    limited = Variation(Tokenizers(subwords, subwords), [None], (0.5, 0.5), (most, most))(pairs, **where)
    for row, wanted, found in zip(rows, free, limited, strict=True):
        for before, after in zip(wanted, found, strict=True):
            assert np.array_equal(after, before if len(before) <= most else row)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"subword_sampling": 1.0},
            "subword_sampling is from 0 up to, but not including, 1; got 1.0",
        ),
        (
            {"valid": CorpusOptions(tsv=Path("a"), noise=(WordDrop,))},
            "valid has noise, which is for training data alone; leave it out",
        ),
    ],
)
def test_bad_options_are_sentences(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as said:
        DataOptions(train=CorpusOptions(tsv=Path("a")), **options)
    assert str(said.value) == sentence
