"""Each thing that may be wrong with the data is one sentence, and good data get none."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from seqloom.data.writer import Report
from seqloom.doctor.findings import share
from seqloom.doctor.leaks import known_in_training
from seqloom.doctor.lengths import Lengths, alone_in_a_batch, beyond_training, left_out, without_position
from seqloom.doctor.sample import windows
from seqloom.doctor.sides import copied_sources, exchanged_sides, in_common, profile
from seqloom.doctor.vocabulary import Unknown, unknown_tokens

Pair = tuple[str, str]
Examined = Callable[..., list[str]]

ENGLISH = "the a dog cat man woman house street runs sits on in with and of young old while walking through".split()
GERMAN = "der die ein hund katze mann frau haus straße rennt sitzt auf im mit und von junger alter während geht".split()


def pairs(count: int, seed: int, *, words: int = 6) -> list[Pair]:
    """Sentences in something like English, with something like German beside them."""
    draw = random.Random(seed)
    return [(" ".join(draw.choices(ENGLISH, k=words)), " ".join(draw.choices(GERMAN, k=words))) for _ in range(count)]


def swapped(given: Sequence[Pair]) -> list[Pair]:
    return [(target, source) for source, target in given]


TRAIN, VALID = pairs(300, 1), pairs(40, 2)


def test_good_data_get_no_sentence(examined: Examined) -> None:
    assert examined() == []
    assert examined(train=TRAIN, valid=VALID) == []


# The vocabulary


def test_text_of_another_preparation_is_noticed(examined: Examined) -> None:
    raw = [(source.title() + ".", target) for source, target in VALID]
    (said,) = examined(train=TRAIN, valid=raw)
    unknown = Counter(word for source, _ in raw for word in source.split() if word not in set(ENGLISH) | set(GERMAN))
    total = sum(len(source.split()) for source, _ in raw)
    examples = said.partition("such as ")[2].partition(", and ")[0].split(", ")
    assert [unknown[word[1:-1]] for word in examples] == sorted(unknown.values(), reverse=True)[:5]
    assert said == (
        f"warning: data.valid: {share(unknown.total() / total)} of the source tokens are unknown to the tokenizer, "
        f"such as {', '.join(examples)}, and 0 % in training; both should be cut into words and cased alike, and in "
        "one language"
    )


def test_a_small_vocabulary_is_noticed_in_training(examined: Examined) -> None:
    said = examined("tokenizer.size=20", train=TRAIN)
    assert [line.partition(" of the ")[2] for line in said if line.startswith("warning: data.train: ")] == [
        f"{side} tokens are unknown to the tokenizer; a larger vocabulary, or subwords (tokenizer: SentencePiece), "
        "would leave fewer"
        for side in ("source", "target")
    ]


@pytest.mark.parametrize(
    "trained, rate, warned",
    [
        (None, 0.09, False),
        (None, 0.11, True),
        (0.0, 0.0, False),
        (0.0, 0.02, False),
        (0.0, 0.04, True),
        (0.08, 0.14, False),
        (0.08, 0.17, True),
        (0.02, 0.05, False),
        (0.02, 0.07, True),
        (0.3, 0.31, False),
    ],
)
def test_unknown_tokens_are_too_many_alone_or_beside_training(trained: float | None, rate: float, warned: bool) -> None:
    assert (unknown_tokens(Unknown("data.valid", "source", rate, trained)) is not None) == warned


# Lengths


def test_lengths_are_those_of_sentences_there_are() -> None:
    assert Lengths.of(np.array([7])) == Lengths(7, 7, 7)
    assert Lengths.of(np.arange(1, 1001)) == Lengths(500, 990, 1000)


def test_pairs_that_a_limit_leaves_out_are_counted(examined: Examined) -> None:
    train = [*TRAIN, *pairs(50, 3, words=9)]
    (said,) = examined("data.max_length=8", train=train, valid=VALID)
    assert said == (
        "warning: data.train: 14 % of the pairs are longer than 8 tokens and left out of training; "
        "a larger data.max_length would keep them"
    )
    (said,) = examined("data.max_length=8", "data.too_long=cut", train=[*TRAIN, *pairs(3, 3, words=9)], valid=VALID)
    assert said == "data.train: 1 % of the pairs are longer than 8 tokens and cut"
    (said,) = examined("data.max_length=8", train=TRAIN, valid=[*VALID, *pairs(1, 3, words=9)])
    assert said == "data.valid: 2.4 % of the pairs are longer than 8 tokens and left out of validation's loss"


def test_a_side_each_has_its_limit() -> None:
    said = left_out("data.train", Report(kept=99, too_long=1), (50, 60))
    assert (
        said and said.text == "data.train: 1 % of the pairs are longer than 50 and 60 tokens and left out of training"
    )
    assert left_out("data.train", Report(kept=99), (50, 60)) is None


def test_validation_beyond_what_was_trained_on(examined: Examined) -> None:
    said = examined(train=TRAIN, valid=[*VALID[:30], *pairs(10, 3, words=9)])
    assert said == [
        f"warning: data.valid: 25 % of the {side}s have more than 6 tokens, and none of training has; "
        "a model mostly writes too little beyond what it was trained on"
        for side in ("source", "target")
    ]
    few = beyond_training("data.valid", "source", np.array([3] * 99 + [8]), 7)
    assert few and few.severity == "note"
    assert beyond_training("data.valid", "source", np.array([3, 7]), 7) is None


def test_a_sentence_longer_than_a_batch(examined: Examined) -> None:
    (said,) = examined("train.batch_tokens=5", train=TRAIN, valid=VALID)
    assert said == (
        "warning: train.batch_tokens: a batch may have 5 tokens and the longest sentence has 7: it makes a batch alone "
        "that needs more memory than others; set batch_tokens to 7 or more, or data.max_length below 5"
    )
    assert examined("train.batch_tokens=7", train=TRAIN, valid=VALID) == []
    assert examined("train.batch_tokens=5", "train.batch_sentences=4", train=TRAIN, valid=VALID) == []
    assert alone_in_a_batch(7, 7) is None


def test_a_sentence_longer_than_what_positions_there_are_is_a_stop(examined: Examined) -> None:
    model = "{class: EncoderDecoder, encoder: {class: TransformerEncoder, layers: 1, heads: 2, positions: POSITIONS}, "
    model += "decoder: {class: TransformerDecoder, layers: 1, heads: 2}}"
    few = model.replace("POSITIONS", "{class: LearnedPositions, max_positions: 6}")
    assert examined(f"model={few}", train=TRAIN, valid=VALID)[0] == (
        "model: the sources of training have up to 7 tokens and the model has positions for 6; set max_positions to 7 "
        "or more, or data.max_length to 5"
    )
    found = without_position("source", 7, 6)
    assert found and found.severity == "stop" and without_position("source", 7, 7) is None


# Sides


def test_copied_sources(examined: Examined) -> None:
    copies = [(source, source) for source, _ in pairs(20, 3)]
    (said,) = examined(train=[*TRAIN[:180], *copies], valid=VALID)
    assert said == (
        "warning: data.train: in 10 % of the pairs source and target are the same text, so that a model learns to "
        "copy; leave them out (data.filters: CopiedSource)"
    )
    assert copied_sources("data.train", [*TRAIN[:97], *copies[:3]]) is None


def test_one_file_on_both_sides(examined: Examined) -> None:
    copies = [(source, source) for source, _ in TRAIN]
    said = "in 100 % of the pairs source and target are the same text; that is right only where copying is to be learnt"
    assert f"data.train: {said}" in examined(train=copies, valid=VALID)


def test_exchanged_sides_of_validation_are_noticed(examined: Examined) -> None:
    for changes in ((), ("tokenizer={class: SentencePiece, size: 60, joint: true}",)):
        (said,) = (line for line in examined(*changes, train=TRAIN, valid=swapped(VALID)) if "exchanged" in line)
        numbers = [word for word in said.split() if word.isdecimal()]
        assert len(numbers) == 4 and int(numbers[0]) > 2 * int(numbers[1]) and int(numbers[2]) > 2 * int(numbers[3])
        assert said == (
            "warning: data.valid: source and target look exchanged: its source has {} % in common with the target of "
            "data.train and {} % with its source, and its target {} % with that source and {} % with that target; "
            "exchange the two files of one of them"
        ).format(*numbers)


def test_exchanged_sides_of_a_part_of_a_mixture_are_noticed(examined: Examined, tmp_path: Path) -> None:
    corpora = []
    for name, given in (("one", TRAIN), ("two", swapped(TRAIN))):
        (tmp_path / name).write_text("".join(f"{source}\t{target}\n" for source, target in given), "utf8")
        corpora.append(f"{{tsv: {tmp_path / name}}}")
    found = examined(f"data.train=[{', '.join(corpora)}]", valid=VALID)
    assert [line for line in found if "warning: data.train.1: source and target look exchanged" in line]
    tagged = [corpus.replace("}", f", tag: <{number}>}}") for number, corpus in enumerate(corpora)]
    assert not [line for line in examined(f"data.train=[{', '.join(tagged)}]", valid=VALID) if "exchanged" in line]


def test_sides_in_one_alphabet_are_not_exchanged() -> None:
    draw = random.Random(3)
    lines = [" ".join(draw.choices("abcdefgh", k=6)) for _ in range(400)]
    letters = [(line, line[::-1]) for line in lines]
    assert exchanged_sides("data.valid", letters[:200], "data.train", swapped(letters[200:])) is None


def test_a_profile_has_itself_in_common() -> None:
    english, german = profile(source for source, _ in TRAIN), profile(target for _, target in TRAIN)
    assert in_common(english, english) == pytest.approx(1)
    assert in_common(english, german) == pytest.approx(in_common(german, english))
    assert in_common(english, german) < 0.5
    assert in_common(english, {}) == 0 and profile([]) == {}


@pytest.mark.data("mt/multi30k", "mt/newstest-en-de")
def test_real_languages_are_told_apart_across_domains(seqloom_data: Path) -> None:
    def read(name: str) -> list[Pair]:
        sides = ((seqloom_data / "mt" / f"{name}.{side}").read_text("utf8").split("\n")[:1000] for side in ("en", "de"))
        return list(zip(*sides, strict=True))

    captions, news = read("multi30k/val"), read("newstest-en-de/newstest2013")
    assert exchanged_sides("data.valid", captions, "data.train", news) is None
    assert exchanged_sides("data.valid", swapped(captions), "data.train", news) is not None


# Validation inside training


def test_validation_pairs_that_are_trained_on(examined: Examined) -> None:
    other = [(source, target) for (source, _), (_, target) in zip(TRAIN[10:15], VALID, strict=False)]
    (said,) = examined(train=TRAIN, valid=[*VALID[:30], *TRAIN[:5], *other])
    assert said == (
        "warning: data.valid: 5 of 40 pairs, and 10 sources, are in the training data, too; "
        "scores will flatter, so take them out of one of the two"
    )
    (said,) = examined(train=TRAIN, valid=[*VALID[:39], TRAIN[0]])
    assert said == "data.valid: 1 of 40 pairs, and 1 sources, are in the training data, too"


def test_a_source_alone_may_be_in_training_now_and_then() -> None:
    assert known_in_training("data.valid", [], (frozenset(), frozenset()), some="") is None
    keys = [(number, -number) for number in range(1, 201)]
    assert known_in_training("data.valid", keys, (frozenset([1]), frozenset()), some="") is None
    found = known_in_training("data.valid", keys, (frozenset(range(5)), frozenset()), some=" (of 9 pairs looked at)")
    assert found and found.severity == "note" and found.text.endswith("training data, too (of 9 pairs looked at)")


# The sample


@pytest.mark.parametrize("count, most, together", [(10, 20, 5), (20, 20, 5), (1000, 20, 5), (21, 20, 5), (1000, 3, 10)])
def test_a_sample_is_bounded_even_and_in_runs(count: int, most: int, together: int) -> None:
    found = windows(count, most, together)
    assert len(set(found.tolist())) >= min(count, most) - together and len(found) <= most
    assert found.min() == 0 and found.max() == count - 1 or len(found) == 3
    assert windows(count, most, together).tolist() == found.tolist()
    if count > most:
        steps = np.diff(found)
        assert (steps == 1).sum() >= (len(found) // min(together, most)) * (min(together, most) - 1)


def test_of_large_data_a_part_is_looked_at_and_said_to_be(examined: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqloom.doctor.sample.PAIRS", 50)
    monkeypatch.setattr("seqloom.doctor.sample.TOGETHER", 10)
    (said,) = examined(train=TRAIN, valid=TRAIN[:50])
    assert said.endswith(
        "are in the training data, too (of 50 pairs looked at); scores will flatter, so take them out of one of the two"
    )


def test_of_long_texts_fewer_are_looked_at(examined: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqloom.doctor.sample.TOKENS", 12 * 60)
    monkeypatch.setattr("seqloom.doctor.sample.TOGETHER", 10)
    (said,) = examined(train=TRAIN, valid=TRAIN[:50])
    assert "(of 60 pairs looked at)" in said, "twelve tokens each"


def test_a_text_that_begins_like_no_tag_at_all_stays_whole(examined: Examined) -> None:
    none = [(f"None {source}", f"None {source}") for source, _ in TRAIN]
    (said,) = (line for line in examined(train=none, valid=VALID) if line.startswith("data.train: "))
    assert said.startswith("data.train: in 100 % of the pairs source and target are the same text")
