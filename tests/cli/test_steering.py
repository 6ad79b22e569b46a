"""What a translation can be told on the command line: rules, prefixes, alignments, reranking and scores."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

LINES = ["a b c d", "", "e f g"]
TEXT = "".join(f"{line}\n" for line in LINES).encode()


def said(seqloom: Any, run: Path, *arguments: object) -> list[str]:
    result = seqloom("translate", run, "--no-guard", *arguments, input=TEXT)
    assert (result.code, result.err) == (0, ""), result.err
    lines: list[str] = result.out.split("\n")[:-1]
    return lines


def test_a_prefix_is_what_translations_begin_with(seqloom: Any, trained: Path) -> None:
    one = said(seqloom, trained, "--prefix", "j Žž")
    assert [line.startswith("j Žž") for line in one] == [True, False, True] and one[1] == ""
    (seqloom.folder / "begun").write_text("i j\nx\n\n")
    first, second, third = said(seqloom, trained, "--prefixes", "begun")
    assert first.startswith("i j") and second == "" and third == said(seqloom, trained)[2]


@pytest.mark.parametrize(
    ("text", "out", "sentence"),
    [
        ("i\n", 0, "begun has fewer lines than the input: each line needs a prefix, if an empty one"),
        ("i\n\nj\nk\n", 3, "begun has more lines than the input: which line has which prefix is in doubt"),
    ],
)
def test_each_line_needs_one_prefix(seqloom: Any, trained: Path, text: str, out: int, sentence: str) -> None:
    (seqloom.folder / "begun").write_text(text)
    result = seqloom("translate", trained, "--prefixes", "begun", input=TEXT)
    assert (result.code, result.err, result.out.count("\n")) == (1, f"seqloom: {sentence}\n", out)


def test_what_is_forbidden_is_not_written(seqloom: Any, trained: Path) -> None:
    usual = said(seqloom, trained)
    first, *_, last = usual[0].split()
    (seqloom.folder / "never").write_text(f"\n {first} \n")
    for arguments in (["--forbid", first], ["--forbid-file", "never"], ["--forbid", "q q q", "--forbid", first]):
        assert first not in " ".join(said(seqloom, trained, *arguments)).split()
    phrase = " ".join(usual[0].split()[:2])
    assert not said(seqloom, trained, "--forbid", phrase)[0].startswith(phrase)
    assert last in usual[0]


def test_rules_reach_the_search(seqloom: Any, trained: Path) -> None:
    for line in said(seqloom, trained, "--no-repeat-ngram", "1", "--min-length", "6"):
        assert not line or len(set(line.split())) == len(line.split()) >= 5
    scores = {
        kind: json.loads(said(seqloom, trained, "--json", "-b", "1", "--length-penalty-kind", kind)[0])["score"]
        for kind in ("gnmt", "average", "none")
    }
    assert scores["none"] < scores["gnmt"] < 0 and scores["none"] < scores["average"] < 0
    covered = json.loads(said(seqloom, trained, "--json", "-b", "1", "--coverage-penalty", "1")[0])["score"]
    assert covered <= scores["gnmt"]
    groups = said(seqloom, trained, "-b", "4", "--n-best", "4", "--diverse-groups", "2", "--diversity", "3")
    texts = [line.split(" ||| ")[:2] for line in groups]
    assert len({tuple(row) for row in texts}) == len(texts)


def test_alignments_are_pairs_of_words(seqloom: Any, trained: Path) -> None:
    plain = said(seqloom, trained)
    hard = said(seqloom, trained, "--alignment", "hard")
    assert [line.partition(" ||| ")[0] for line in hard] == plain
    for source, line in zip(LINES, hard, strict=True):
        target, _, pairs = line.partition(" ||| ")
        found = [tuple(map(int, pair.split("-"))) for pair in pairs.split()]
        assert all(0 <= s < len(source.split()) and 0 <= t < len(target.split()) for s, t in found)
        assert found == sorted(found) and len({t for _, t in found}) == len(found)
    (row, *_), (soft, *_) = (
        [json.loads(line) for line in said(seqloom, trained, "--json", "--alignment", kind)]
        for kind in ("hard", "soft")
    )
    assert " ".join(f"{s}-{t}" for s, t in sorted(row["alternatives"][0]["alignment"])) == hard[0].split(" ||| ")[1]
    shares = soft["alternatives"][0]["alignment"]
    assert len(shares) == len(soft["target"].split()) and {len(one) for one in shares} == {4}
    assert all(sum(one) == pytest.approx(1, abs=1e-3) for one in shares)
    listed = said(seqloom, trained, "--n-best", "2", "--alignment", "hard")
    assert all(re.fullmatch(r"\d+ \|\|\| .* \|\|\| [-\d ]* \|\|\| F0= \S+ \|\|\| \S+", line) for line in listed)


def test_candidates_come_in_another_order(seqloom: Any, trained: Path) -> None:
    usual = [line.split(" ||| ") for line in said(seqloom, trained, "-b", "4", "--n-best", "4")]
    for arguments, names in (
        (["--mbr", "chrf"], ["F0", "chrF"]),
        (["--mbr", "bleu"], ["F0", "BLEU"]),
        (["--rerank-with", trained, "--reverse-weight", "0.5"], ["F0", "Model", "Reverse", "Length"]),
    ):
        again = [line.split(" ||| ") for line in said(seqloom, trained, "-b", "4", "--n-best", "4", *arguments)]
        assert sorted(row[:2] for row in again) == sorted(row[:2] for row in usual)
        assert all(re.findall(r"(\w+)=", row[2]) == names for row in again if row[0] != "1")
        for number in ("0", "2"):
            scores = [float(row[3]) for row in again if row[0] == number]
            assert scores == sorted(scores, reverse=True)
        best = said(seqloom, trained, "-b", "4", *arguments)
        assert [best[0], best[2]] == [next(row[1] for row in again if row[0] == number) for number in ("0", "2")]
    sampled = said(seqloom, trained, "--sample", "--mbr", "chrf", "--candidates", "7", "--n-best", "3")
    assert [line.split(" ||| ")[0] for line in sampled] == ["0"] * 3 + ["1"] + ["2"] * 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--prefix", "a", "--prefixes", "b"],
            "--prefix is the same for all lines and --prefixes are of each; choose one",
        ),
        (["--alignment", "pharaoh"], "--alignment must be hard or soft, got 'pharaoh'"),
        (["--alignment", "soft"], "--alignment soft is a table for each line, so it needs --json"),
        (["--mbr", "ter"], "a utility must be chrf or bleu, got 'ter'"),
        (
            ["--mbr", "chrf", "--rerank-with", "run"],
            "--mbr and --rerank-with each give an order of their own; choose one",
        ),
        (["--reverse-weight", "1"], "--reverse-weight is for --rerank-with"),
        (["--length-weight", "0"], "--length-weight is for --rerank-with"),
        (["--rerank-with", "x", "--length-weight", "nan"], "--length-weight must be a finite number, got nan"),
        (["--rerank-with", "x", "--reverse-weight", "-inf"], "--reverse-weight must be a finite number, got -inf"),
        (
            ["--mbr", "chrf", "--candidates", "10"],
            "a beam of 3 has no 10 candidates: say --beam-size 10, or fewer --candidates",
        ),
        (
            ["--candidates", "3"],
            "--candidates is for --mbr and --rerank-with; --n-best says how many translations you get",
        ),
        (
            ["--mbr", "chrf", "-b", "1"],
            "there is nothing to choose from 1 for --n-best 1: say --candidates, or make the beam wider",
        ),
        (["--length-penalty-kind", "wu"], "length_penalty_kind must be gnmt, average or none, got 'wu'"),
        (["--diverse-groups", "2"], "beam_size must be a multiple of diverse_groups, got 3 and 2"),
    ],
)
def test_what_can_not_be_meant(seqloom: Any, trained: Path, arguments: list[str], sentence: str) -> None:
    assert seqloom.refused("translate", trained, *arguments, input=TEXT, code=2) == f"seqloom: {sentence}\n"


def test_what_looks_at_nothing_can_not_align_or_cover(seqloom: Any, blind: Path) -> None:
    for arguments, sentence in (
        (["--alignment", "hard"], "--alignment needs attention over the source, and this model has none"),
        (
            ["--coverage-penalty", "0.2"],
            "coverage_penalty needs attention over the source, and this model has none; leave it out",
        ),
    ):
        assert seqloom.refused("translate", blind, *arguments, input=TEXT, code=2) == f"seqloom: {sentence}\n"


def test_scores_are_those_of_the_search(seqloom: Any, trained: Path) -> None:
    rows = [json.loads(line) for line in said(seqloom, trained, "--json")]
    (seqloom.folder / "source").write_bytes(TEXT)
    (seqloom.folder / "target").write_text("".join(f"{row['target']}\n" for row in rows))
    result = seqloom("score", trained, "--source", "source", "--target", "target")
    assert result.code == 0, result.err
    assert list(map(float, result.out.split())) == pytest.approx([row["score"] for row in rows], abs=1e-5)
    tokens = sum(len(row["alternatives"][0]["tokens"]) + 1 for row in rows if row["alternatives"])
    log_prob = sum(row["alternatives"][0]["log_prob"] for row in rows if row["alternatives"])
    assert result.err == (
        f"seqloom: 3 lines, {tokens} tokens, log-probability {log_prob:.2f}, "
        f"perplexity {2.718281828 ** (-log_prob / tokens):.2f} per token\n"
    )
    plain = seqloom("score", trained, "--source", "source", "--target", "target", "--json", "--length-penalty", "0")
    for row, line in zip(rows, plain.out.splitlines(), strict=True):
        scored = json.loads(line)
        assert (scored["source"], scored["target"]) == (row["source"], row["target"])
        assert scored["score"] == scored["log_prob"] == pytest.approx(sum(scored["token_log_probs"]))
        if row["alternatives"]:
            assert scored["words"] == [
                [word, pytest.approx(sure, abs=1e-5)] for word, sure in row["alternatives"][0]["words"]
            ]


def test_a_line_that_is_impossible_is_left_out_of_the_sum_and_said_to_be(seqloom: Any, trained: Path) -> None:
    (seqloom.folder / "source").write_text("a\n\n")
    (seqloom.folder / "target").write_text("b\nc\n")
    result = seqloom("score", trained, "--source", "source", "--target", "target")
    assert result.code == 0 and result.out.endswith("-inf\n")
    assert result.err.endswith(" per token; 1 impossible and left out: of an empty source\n")


def test_how_far_a_search_goes_is_no_matter_of_scores(seqloom: Any, trained: Path) -> None:
    texts = ["--source", "source", "--target", "target"]
    assert "No such option" in seqloom.refused("score", trained, *texts, "--patience", "2", code=2)


def test_texts_that_do_not_belong_together_can_not_be_scored(seqloom: Any, trained: Path) -> None:
    (seqloom.folder / "source").write_text("a\nb\n")
    (seqloom.folder / "target").write_text("a\n")
    result = seqloom("score", trained, "--source", "source", "--target", "target")
    assert result.code == 1 and "source" in result.err and "Traceback" not in result.err
    assert seqloom.refused("score", trained, "--source", "none", "--target", "target", code=1) == (
        "seqloom: none: no such file\n"
    )
