"""What back-translation makes of translations: methods, noise, and which pairs stay."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.bulk.backtranslation import METHODS, BackTranslation, NoiseOptions, Noiser, search_options
from seqloom.bulk.corpus import Selection
from seqloom.bulk.inputs import Inputs
from seqloom.bulk.job import Job
from seqloom.bulk.results import Found
from seqloom.search import SearchOptions

BASE = SearchOptions(beam_size=7, n_best=3, length_penalty=1.0, max_length=90)


def test_each_method_searches_as_its_paper_says() -> None:
    found = {method: search_options(method, BASE, temperature=0.9, seed=4) for method in METHODS}  # type: ignore[arg-type]
    kept = {"length_penalty": 1.0, "max_length": 90}
    assert found == {
        "greedy": SearchOptions(beam_size=1, **kept),
        "beam": SearchOptions(beam_size=5, **kept),
        "sampling": SearchOptions(beam_size=7, sample=True, temperature=0.9, seed=4, **kept),
        "topk": SearchOptions(beam_size=7, sample=True, temperature=0.9, top_k=10, seed=4, **kept),
        "noised-beam": SearchOptions(beam_size=5, **kept),
    }


def sentences(words: int) -> list[str]:
    """Sentences of different words, so many in all."""
    draw, number, lines = random.Random(1), 0, []
    while number < words:
        length = draw.randint(1, 40)
        lines.append(" ".join(f"w{n}" for n in range(number, number + length)))
        number += length
    return lines


def test_statistics_of_noise_are_those_of_the_text() -> None:
    noiser, lines = Noiser(NoiseOptions(symbol="<b>"), seed=1), sentences(100_000)
    left = [noiser(number, line).split() for number, line in enumerate(lines)]
    words, kept = sum(len(line.split()) for line in lines), sum(map(len, left))
    blanked = sum(word == "<b>" for line in left for word in line)
    found = noiser.statistics
    assert (found.words, found.dropped, found.blanked) == (words, words - kept, blanked)
    assert found.dropped / words == pytest.approx(0.1, abs=0.005)
    assert blanked / kept == pytest.approx(0.1, abs=0.005)
    assert found.farthest == 3
    assert all(left), "of each line at least a word stays"


def test_no_word_moves_farther_than_it_may() -> None:
    noiser = Noiser(NoiseOptions(drop=0, blank=0, shuffle=2), seed=1)
    moved = 0
    for number, line in enumerate(sentences(5000)):
        before, after = line.split(), noiser(number, line).split()
        assert Counter(before) == Counter(after)
        distances = [abs(before.index(word) - place) for place, word in enumerate(after)]
        assert max(distances) <= 2
        moved += sum(distance > 0 for distance in distances)
    assert noiser.statistics.moved == moved > 0


def test_noise_follows_from_the_seed_and_the_line() -> None:
    line = " ".join(map(str, range(40)))
    drawn = {(seed, number): Noiser(NoiseOptions(), seed)(number, line) for seed in (1, 2) for number in (0, 1)}
    assert len(set(drawn.values())) == 4
    assert drawn[1, 1] == Noiser(NoiseOptions(), 1)(1, line)
    assert Noiser(NoiseOptions(drop=0, blank=0, shuffle=0), 1)(5, line) == line


@given(one=st.integers(0, 300), other=st.integers(0, 300))
def test_a_pair_stays_if_it_meets_all_limits(one: int, other: int) -> None:
    limits = Selection(min_length=2, max_length=250, max_ratio=1.5)
    good = all(2 <= length <= 250 for length in (one, other)) and max(one, other) <= 1.5 * min(one, other)
    assert (limits.objection(one, other) is None) == good
    assert limits.objection(one, other) == limits.objection(other, one)


LENGTHS = {"a": (1, 1), "b": (3, 5), "c": (300, 300), "d": (5, 0), "e": (0, 0), "f": (400, 10), "g": (6, 4)}


def translated(texts: Sequence[str], first: int) -> Iterator[Found]:
    for text in texts:
        source, target = LENGTHS[text]
        yield Found(source, [f"{text} {text}" if target else ""], [0.0], [target])


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "mono").write_text("".join(f"{line}\n" for line in LENGTHS))
    job = Job(tmp_path / "out", Inputs((tmp_path / "mono",)), SearchOptions(), "model", shard_lines=3)
    job.join()
    return job


def lines(job: Job, side: str) -> list[str]:
    return (job.directory / f"{side}.txt").read_text().split("\n")[:-1]


def test_every_line_is_kept_or_counted(job: Job) -> None:
    asked = BackTranslation("beam", Selection(max_length=250))
    report = job.finish(translated, asked.making(job), asked.asked())
    assert (report["lines"], report["kept"]) == (7, 2)
    assert report["dropped"] == {"length ratio": 1, "too long": 2, "empty": 2}
    assert (lines(job, "source"), lines(job, "target")) == (["a a", "g g"], ["a", "g"])
    assert report["noise"] is None


def test_other_limits_and_noise_need_no_new_translations(job: Job) -> None:
    plain = BackTranslation("beam", Selection(max_length=None, max_ratio=None))
    assert job.finish(translated, plain.making(job), plain.asked())["kept"] == 5
    noised = BackTranslation("noised-beam", noise=NoiseOptions(drop=0, blank=0.999, shuffle=0, symbol="_"))

    def never(texts: Sequence[str], first: int) -> Iterator[Found]:
        raise AssertionError("all is translated")

    report = job.finish(never, noised.making(job), noised.asked())
    assert (lines(job, "source"), report["noise"]["blanked"]) == (["_ _", "_ _"], 4)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: BackTranslation("bream"),  # type: ignore[arg-type]
            "method must be one of greedy, beam, sampling, topk, noised-beam, got 'bream'",
        ),
        (
            lambda: BackTranslation("beam", noise=NoiseOptions()),
            "noise is for the method noised-beam, got the method beam",
        ),
        (
            lambda: BackTranslation("noised-beam", noise=NoiseOptions(drop=1.5)),
            "p is a probability from 0 up to, but not including, 1; got 1.5",
        ),
        (lambda: Selection(min_length=0), "min_length must be at least 1, got 0"),
        (lambda: Selection(min_length=9, max_length=8), "max_length must be at least min_length 9, got 8"),
        (lambda: Selection(max_ratio=0.5), "max_ratio must be at least 1, got 0.5"),
    ],
)
def test_what_can_not_be_meant_is_refused(make: object, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        make()  # type: ignore[operator]
    assert str(caught.value) == sentence
