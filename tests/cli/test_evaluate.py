"""`seqloom evaluate`: three numbers, each with what makes it comparable."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from seqloom.metrics import Chrf


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
    assert hypotheses == seqloom("translate", trained, "-i", toy / "valid.source", "--no-guard").out
    seqloom("evaluate", trained, *files, "-o", "guarded.txt", "--bootstrap", "0", "--guard")
    guarded = (seqloom.folder / "guarded.txt").read_text()
    assert guarded == seqloom("translate", trained, "-i", toy / "valid.source").out
    pairs = list(zip(hypotheses.splitlines(), (toy / "valid.target").read_text().splitlines(), strict=True))
    right = sum(hypothesis == reference for hypothesis, reference in pairs)
    assert json.loads(out)["exact"]["value"] == pytest.approx(100 * right / len(pairs))


def test_rouge_and_multi_bleu_on_request(seqloom: Any, trained: Path, files: list[Any]) -> None:
    asked = ["--rouge", "--tokenize", "none", "--smooth", "none", "--bootstrap", "0"]
    lines = seqloom("evaluate", trained, *files, *asked).out.splitlines()
    assert [line.split()[0] for line in lines] == ["BLEU", "chrF2", "exact", "ROUGE-1", "ROUGE-2", "ROUGE-L"]
    assert "|tok:none|smooth:none|" in lines[0]


def test_references_in_pieces_are_put_together(seqloom: Any, toy: Path, tmp_path: Path) -> None:
    """So that a reference is the same whether it was cut into pieces or not, and scores are those of words."""
    for name, lines in (("pieces", "a@@ b c@@ d\nb a@@ b\n"), ("words", "ab cd\nb ab\n")):
        (seqloom.folder / name).write_text(lines)
    run, data = tmp_path / "run", "{source: pieces, target: pieces}"
    changes = [f"data={{train: {data}, valid: {data}}}", "tokenizer={class: Words, segmentation: bpe}"]
    assert seqloom("train", toy / "toy.yml", "-o", run, *changes, "train.steps=30").code == 0
    cut, whole = (
        seqloom("evaluate", run, "--source", "pieces", "--reference", name, "--bootstrap", "0", "-o", "out").out
        for name in ("pieces", "words")
    )
    written = (seqloom.folder / "out").read_text().splitlines()
    assert "ab" in written[0] and "@@" not in "".join(written)
    assert f"\nchrF2 {Chrf().score(written, ['ab cd', 'b ab']).value:.2f} " in cut
    assert cut == whole


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--bootstrap", "1"], "--bootstrap must be 0 (no interval) or at least 2 resamples, got 1"),
        (["--bootstrap", "-3"], "--bootstrap must be 0 (no interval) or at least 2 resamples, got -3"),
        (["--beam-size", "0"], "beam_size must be at least 1, got 0"),
        (["--smooth", "much"], "smooth must be one of exp, floor, add-k, none, got 'much'"),
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


def test_scores_are_kept_and_reported(seqloom: Any, trained: Path, files: list[Any]) -> None:
    run = Path(shutil.copytree(trained, seqloom.folder / "run", ignore=shutil.ignore_patterns("scores.jsonl")))
    out = json.loads(seqloom("evaluate", "run", *files, "--json", "--bootstrap", "50", "--beam-size", "2").out)
    (line,) = map(json.loads, (run / "scores.jsonl").read_text().splitlines())
    assert line["scores"] == {name: out[name] for name in ("bleu", "chrf", "exact")}
    assert line["search"] == {"beam_size": 2, "length_penalty": 0.6}
    assert (line["source"], line["lines"], line["checkpoint"], line["tag"]) == ("valid.source", 20, "best", None)
    assert seqloom("report", "run").code == 0
    assert "valid.source, 20 lines: beam size 2, length penalty 0.6" in (run / "report.html").read_text()


def test_a_run_that_can_not_be_written_to_is_measured_all_the_same(
    seqloom: Any, trained: Path, files: list[Any]
) -> None:
    run = Path(shutil.copytree(trained, seqloom.folder / "run", ignore=shutil.ignore_patterns("scores.jsonl")))
    (run / "scores.jsonl").mkdir()
    result = seqloom("evaluate", "run", *files, "--bootstrap", "0")
    assert (result.code, result.err, len(result.out.splitlines())) == (0, "", 3)
