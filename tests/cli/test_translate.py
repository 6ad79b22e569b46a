"""`seqloom translate`: one line in is one line out, whatever the line."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from seqloom.cli.options import Search, search
from seqloom.search import SearchOptions

STRANGE = ["a b c", "", "   ", "a\u2028b", "\ufeffa b", "a\tb", "😀 a", "مرحبا", "x" * 1_000_000, "\0 a", "a b\r", "j"]


def fed(seqloom: Any, run: Path, lines: list[str], *arguments: str) -> list[str]:
    """The lines that come out."""
    result = seqloom("translate", run, *arguments, input="".join(f"{line}\n" for line in lines).encode())
    assert result.code == 0, result.err
    assert result.out.endswith("\n")
    return result.out.split("\n")[:-1]


def test_every_line_in_is_a_line_out(seqloom: Any, trained: Path) -> None:
    together = fed(seqloom, trained, STRANGE)
    assert len(together) == len(STRANGE)
    assert [line for line in together if not line] == ["", ""], "only empty lines become empty ones"
    assert together[:2] + together[-1:] == [fed(seqloom, trained, [line])[0] for line in ("a b c", "", "j")]
    assert together[0] == fed(seqloom, trained, ["\ufeffa b c\r"])[0]


def test_the_last_line_needs_no_end_and_no_lines_are_no_lines(seqloom: Any, trained: Path) -> None:
    assert seqloom("translate", trained, input=b"a b\nc").out.count("\n") == 2
    assert seqloom("translate", trained, input=b"").out == ""


def test_a_line_that_is_too_long_is_said_to_be(seqloom: Any, trained: Path) -> None:
    result = seqloom("translate", trained, input=("a b\n" + "a " * 5120 + "\nc\n").encode())
    assert (result.code, result.out.count("\n")) == (0, 3)
    assert result.err == "seqloom: line 2 is longer than 512 tokens: only its beginning was translated\n"


def test_a_file_is_read_as_standard_input_is(seqloom: Any, trained: Path) -> None:
    text = "\ufeffa b c\r\n\nj i\n".encode()
    (seqloom.folder / "text").write_bytes(text)
    assert seqloom("translate", trained, "--input", "text").out == seqloom("translate", trained, input=text).out
    assert seqloom.refused("translate", trained, "-i", "txet", code=1) == (
        "seqloom: txet: no such file; did you mean 'text'?\n"
    )


@pytest.mark.parametrize(
    "line, place", [(b"a \xff b", "0xff at column 3"), ("ä".encode() + b"\xfe", "0xfe at column 2")]
)
def test_a_line_that_is_not_utf8_is_named(seqloom: Any, trained: Path, line: bytes, place: str) -> None:
    result = seqloom("translate", trained, input=b"a b\n" + line + b"\nc\n")
    assert (result.code, result.err) == (1, f"seqloom: standard input: line 2 is not UTF-8 (byte {place})\n")
    assert result.out == seqloom("translate", trained, input=b"a b\n").out, "the line before it is answered"
    said = seqloom.refused("translate", trained, input=b"\xef\xbb\xbf" + line + b"\n", code=1)
    assert said == f"seqloom: standard input: line 1 is not UTF-8 (byte {place})\n"


def test_n_best_lines_have_number_text_features_and_falling_scores(seqloom: Any, trained: Path) -> None:
    """As Moses and Marian write them: 0 ||| text ||| F0= -3.2000 ||| -0.4100."""
    lines = fed(seqloom, trained, ["a b c", "", "d e"], "--n-best", "3")
    rows = [line.split(" ||| ") for line in lines]
    assert [row[0] for row in rows] == ["0", "0", "0", "1", "2", "2", "2"]
    assert lines[3] == "1 |||  ||| F0= 0.0000 ||| 0.0000"
    for sentence in ("0", "2"):
        scores = [float(row[3]) for row in rows if row[0] == sentence]
        assert all(float(row[2].removeprefix("F0= ")) < 0 for row in rows if row[0] == sentence)
        assert scores == sorted(scores, reverse=True)
    assert [rows[0][1], rows[4][1]] == fed(seqloom, trained, ["a b c", "d e"])


def test_json_has_everything(seqloom: Any, trained: Path) -> None:
    arguments = ("--json", "--beam-size", "4", "--n-best", "2")
    rows = [json.loads(line) for line in fed(seqloom, trained, ["a b", "", "ä"], *arguments)]
    assert [row["id"] for row in rows] == [0, 1, 2]
    assert [row["source"] for row in rows] == ["a b", "", "ä"]
    assert [len(row["alternatives"]) for row in rows] == [2, 0, 2]
    for row in rows:
        known = {"id", "source", "target", "score", "confidence", "source_tokens", "source_words", "alternatives"}
        assert set(row) == known | {"truncated", "warnings", "redecoded"}
        assert row["truncated"] is False
        if row["alternatives"]:
            best = row["alternatives"][0]
            assert (row["target"], row["score"]) == (best["text"], best["score"])
            assert best["text"].split() == best["tokens"] == [word for word, _ in best["words"]]
            assert all(0 < confidence <= 1 for confidence in (best["confidence"], *(sure for _, sure in best["words"])))
    assert rows[0]["source_tokens"] == ["a", "b"]


def test_options_reach_the_search(seqloom: Any, trained: Path) -> None:
    (short,) = fed(seqloom, trained, ["a b c d"], "--max-length", "2")
    assert len(short.split()) < 2
    scores = [
        json.loads(fed(seqloom, trained, ["a b c d"], "--json", "-b", "1", "--length-penalty", penalty)[0])["score"]
        for penalty in ("0", "1")
    ]
    assert scores[0] < scores[1] < 0
    assert fed(seqloom, trained, ["a b"], "--checkpoint", "30") == fed(
        seqloom, trained, ["a b"], "--checkpoint", "last"
    )


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--unknown", "copied"], "unknown must be never, show or copy, got 'copied'"),
        (["--unknown", "show", "--dictionary", "words"], "a dictionary is for unknown: copy, got unknown: show"),
    ],
)
def test_what_unknown_words_can_not_become(seqloom: Any, trained: Path, arguments: list[str], sentence: str) -> None:
    assert seqloom.refused("translate", trained, *arguments, code=2) == f"seqloom: {sentence}\n"


def test_a_faulty_dictionary_is_named(seqloom: Any, trained: Path) -> None:
    (seqloom.folder / "words").write_text("a b\n")
    assert seqloom.refused("translate", trained, "--dictionary", "words", input=b"a\n", code=1) == (
        "seqloom: words: line 1: a dictionary has lines like source TAB target, or source TAB target TAB probability\n"
    )


def test_a_dictionary_of_the_run_is_left_aside_where_nothing_is_copied() -> None:
    run = SearchOptions(unknown="copy", dictionary=Path("words"))
    assert search(run, Search(beam_size=2, unknown="show")) == SearchOptions(beam_size=2, unknown="show")
    assert search(run, Search(beam_size=2)) == SearchOptions(beam_size=2, unknown="copy", dictionary=Path("words"))


def test_a_tag_that_a_run_does_not_know_is_named_before_input_is_awaited(seqloom: Any, trained: Path) -> None:
    assert seqloom.refused("translate", trained, "--tag", "<2de>", code=2) == (
        "seqloom: this model was trained without tags, so it can't be told '<2de>'\n"
    )


def test_samples_follow_from_the_seed_and_the_line(seqloom: Any, trained: Path) -> None:
    lines = ["a b c d e f", "", "j i h g f e"] * 3
    arguments = ("--sample", "--temperature", "2", "--n-best", "2", "--json")
    first, again, other = (
        [
            [a["text"] for a in json.loads(row)["alternatives"]]
            for row in fed(seqloom, trained, lines, *arguments, *seed)
        ]
        for seed in ([], ["--seed", "1"], ["--seed", "2"])
    )
    assert first == again != other
    assert len({tuple(row) for row in first[::3]}) > 1, "the same line, drawn three times"


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (
            ["--sample", "--beam-size", "2"],
            "--beam-size is for beam search; with --sample, --n-best says how many translations are drawn",
        ),
        (["--seed", "2"], "--seed is for --sample: beam search leaves nothing to chance"),
        (["--top-k", "2"], "top_k is for sample: true, got top_k 2 and sample: false"),
        (["--sample", "--temperature", "0"], "temperature must be above 0, got 0.0"),
    ],
)
def test_what_sampling_can_not_be_told(seqloom: Any, trained: Path, arguments: list[str], sentence: str) -> None:
    assert seqloom.refused("translate", trained, *arguments, code=2) == f"seqloom: {sentence}\n"


def test_a_beam_size_makes_a_run_that_samples_search() -> None:
    run = SearchOptions(sample=True, temperature=2.0, top_k=3)
    assert search(run, Search(beam_size=4)) == SearchOptions(beam_size=4)
    assert search(run, Search(beam_size=None, seed=3)) == SearchOptions(sample=True, temperature=2.0, top_k=3, seed=3)


def test_input_that_is_mostly_unknown_is_said_to_be_once(seqloom: Any, trained: Path) -> None:
    """OpenNMT-py#2139: raw text for a model of prepared text becomes nonsense, and nothing says why."""
    lines = "Abc. Def! a Xyz " * 3 + "\nUvw\n"
    said = seqloom("translate", trained, input=lines.encode()).err
    assert said == (
        "seqloom: 10 of the input's first 13 tokens are unknown to this model; its input must be cut into words and "
        "cased as its training data were\n"
    )
    assert seqloom("translate", trained, input=b"a b Xyz\n\n").err == ""
    assert seqloom("translate", trained, input="ä ö ü\n".encode()).err == ""


def test_a_conversation_tells_of_a_line_that_is_too_long(seqloom: Any, trained: Path) -> None:
    result = seqloom("translate", trained, "--interactive", "--max-length", "3", input=b"a\n" + b"a " * 600 + b"\n")
    assert (result.code, result.out.count("\n")) == (0, 2)
    assert result.err == "seqloom: line 2 is longer than 512 tokens: only its beginning was translated\n"


def test_a_conversation_can_be_interrupted_at_any_time(seqloom: Any, trained: Path) -> None:
    lines = b"a b c d e f g h i j\n" * 5000
    process = seqloom.start("translate", trained, "--interactive", "-b", "20", "--min-length", "60", input=lines)
    process.wait_for(lambda: "\n" in process.said("out"), "a translation")
    process.send(signal.SIGINT)
    result = process.wait()
    assert (result.code, result.err) == (130, "seqloom: interrupted\n")


def test_bars_within_a_text_divide_no_fields(seqloom: Any, trained: Path) -> None:
    for arguments in (["--n-best", "1"], ["--alignment", "hard"]):
        (line,) = fed(seqloom, trained, ["a b"], "--prefix", "i ||| j", *arguments)
        assert " i &#124;&#124;&#124; j" in f" {line}" and "i |||" not in line
    assert fed(seqloom, trained, ["a b"], "--prefix", "i ||| j")[0].startswith("i ||| j")
