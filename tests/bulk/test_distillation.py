"""What a student is to learn: its teacher's words, or those of its beam that are most like the reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.bulk.distillation import Distillation, most_like, sentence_bleu
from seqloom.bulk.inputs import Inputs
from seqloom.bulk.job import Job
from seqloom.bulk.results import Found
from seqloom.data.corpora import CorpusOptions
from seqloom.search import SearchOptions

SENTENCE = st.lists(st.sampled_from("abcd"), min_size=1, max_size=9)


@given(words=SENTENCE, reference=SENTENCE)
def test_sentence_bleu_is_sacrebleus(words: list[str], reference: list[str]) -> None:
    from sacrebleu.metrics.bleu import BLEU

    theirs = BLEU(smooth_method="add-k", smooth_value=1, tokenize="none", effective_order=True)
    score = theirs.sentence_score(" ".join(words), [" ".join(reference)]).score
    assert 100 * sentence_bleu(words, reference) == pytest.approx(score, abs=1e-6)


def test_of_equals_the_first_is_taken() -> None:
    assert most_like("x y", ["a", "b"]) == "a"
    assert most_like("b c d", ["a", "b c e", "b c"]) in ("b c e", "b c")
    assert most_like("b", ["", "b"]) == "b"


def found(texts: Sequence[str], first: int) -> Iterator[Found]:
    for text in texts:
        yield Found(
            len(text), ["a cat", "the dog"] if text else [], [0.0, -1.0] if text else [], [2, 2] if text else []
        )


@pytest.mark.parametrize(("method", "target"), [("beam", "a cat"), ("interpolation", "the dog")])
def test_the_reference_decides_in_interpolation_alone(tmp_path: Path, method: str, target: str) -> None:
    (tmp_path / "pairs").write_text("eine Katze\tthe dog\n\nx\tthe dogs\n")
    inputs = Inputs(corpus=CorpusOptions(tsv=tmp_path / "pairs"))
    asked = Distillation(method)  # type: ignore[arg-type]
    job = Job(tmp_path / "out", inputs, asked.search_options(SearchOptions()), "teacher")
    job.join()
    report = job.finish(found, asked.making(job), {"method": method})
    assert (report["kept"], report["dropped"]) == (2, {"empty": 1})
    assert (tmp_path / "out" / "source.txt").read_text() == "eine Katze\nx\n"
    assert (tmp_path / "out" / "target.txt").read_text() == f"{target}\n" * 2


def test_how_the_teacher_searches() -> None:
    run = SearchOptions(sample=True, temperature=2.0)
    assert Distillation().search_options(run, beam_size=4) == SearchOptions(beam_size=4)
    assert Distillation("interpolation").search_options(run, beam_size=4) == SearchOptions(beam_size=4, n_best=4)


def test_another_method_is_refused() -> None:
    with pytest.raises(ValueError) as caught:
        Distillation("words")  # type: ignore[arg-type]
    assert str(caught.value) == "method must be one of beam, interpolation, got 'words'"
