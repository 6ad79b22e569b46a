"""`seqloom evaluate`: three numbers, each with what makes it comparable."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def files(toy: Path) -> list[Any]:
    return ["--source", toy / "valid.source", "--reference", toy / "valid.target"]


def test_json_has_scores_intervals_and_signatures(seqloom: Any, trained: Path, files: list[Any]) -> None:
    result = seqloom("evaluate", trained, *files, "--json", "--beam-size", "2", "--bootstrap", "50")
    assert (result.code, result.err) == (0, "")
    scores = json.loads(result.out)
    assert set(scores) == {"bleu", "chrf", "exact", "beam_size", "length_penalty"}
    assert (scores["beam_size"], scores["length_penalty"]) == (2, 0.6)
    for name in ("bleu", "chrf", "exact"):
        score = scores[name]
        assert 0 <= score["low"] <= score["value"] <= score["high"] <= 100
        assert score["count"] == 20
        assert score["signature"].startswith("nrefs:1|bs:50|seed:12345|case:mixed|")
    assert "|tok:13a|" in scores["bleu"]["signature"]


def test_text_is_a_line_a_score(seqloom: Any, trained: Path, files: list[Any]) -> None:
    lines = seqloom("evaluate", trained, *files, "--bootstrap", "0", "--lowercase").out.splitlines()
    assert [re.sub(r"[0-9]+\.[0-9]{2}", "N", line.partition(" (")[0]) for line in lines] == [
        "BLEU N",
        "chrF2 N",
        "exact match N",
    ]
    assert "case:lc|" in lines[0]


def test_what_is_scored_is_what_translate_gives(seqloom: Any, trained: Path, toy: Path, files: list[Any]) -> None:
    out = seqloom("evaluate", trained, *files, "-o", "out.txt", "--json", "--bootstrap", "0").out
    hypotheses = (seqloom.folder / "out.txt").read_text()
    assert hypotheses == seqloom("translate", trained, "-i", toy / "valid.source").out
    pairs = list(zip(hypotheses.splitlines(), (toy / "valid.target").read_text().splitlines(), strict=True))
    right = sum(hypothesis == reference for hypothesis, reference in pairs)
    assert json.loads(out)["exact"]["value"] == pytest.approx(100 * right / len(pairs))


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--bootstrap", "1"], "--bootstrap must be 0 (no interval) or at least 2 resamples, got 1"),
        (["--bootstrap", "-3"], "--bootstrap must be 0 (no interval) or at least 2 resamples, got -3"),
        (["--beam-size", "0"], "beam_size must be at least 1, got 0"),
        (
            ["--tokenize", "moses"],
            "tokenize must be one of 13a, intl, char, zh, ja-mecab, ko-mecab, none, got 'moses'",
        ),
    ],
)
def test_arguments_that_cannot_be_meant(
    seqloom: Any, trained: Path, files: list[Any], arguments: list[str], sentence: str
) -> None:
    assert seqloom.refused("evaluate", trained, *files, *arguments, code=2) == f"seqloom: {sentence}\n"


def test_files_that_do_not_belong_together(seqloom: Any, trained: Path, toy: Path) -> None:
    source, reference = toy / "train.source", toy / "valid.target"
    said = seqloom.refused("evaluate", trained, "--source", source, "--reference", reference, code=1)
    assert said == (
        f"seqloom: {source} has 200 lines and {reference} has 20: line i of one must translate line i of the other\n"
    )
