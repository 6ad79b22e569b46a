"""Terms and the guard on the command line: what is said of them, and when."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def terms(seqloom: Any) -> Path:
    path: Path = seqloom.folder / "terms.tsv"
    path.write_text("# letters\na\te\n" + "b c\tf f\td d\n" + "d\tü\tö\n", "utf8")
    return path


def test_terms_are_honoured_and_counted(seqloom: Any, trained: Path, terms: Path) -> None:
    lines = b"a b c\n\ne a\nd\n"
    result = seqloom("translate", trained, "--glossary", terms, "--json", input=lines)
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert [[term["source"] for term in row["glossary"]] for row in rows] == [["a", "b c"], [], ["a"], ["d"]]
    assert [term["found"] in term["targets"] for row in rows[:3] for term in row["glossary"]] == [True] * 3
    assert "e" in rows[2]["target"].split()
    assert rows[3]["glossary"] == [
        {"source": "d", "targets": ["ü", "ö"], "found": None, "problem": "the model has no symbols for it"}
    ]
    said = [line for line in result.err.splitlines() if not line.startswith("guard: ")]
    assert said == [
        "seqloom: line 4: 'd' did not become 'ü' or 'ö': the model has no symbols for it",
        "glossary: 3 of 4 terms honoured",
    ]
    assert result.code == 0


def test_evaluate_counts_them_too(seqloom: Any, trained: Path, toy: Path, terms: Path) -> None:
    files = ["--source", toy / "valid.source", "--reference", toy / "valid.target", "--bootstrap", "0"]
    result = seqloom("evaluate", trained, *files, "--glossary", terms, "-o", "out.txt")
    assert result.code == 0
    assert result.err.splitlines()[-1].startswith("glossary: ")
    assert (seqloom.folder / "out.txt").read_text().count("\n") == len((toy / "valid.source").read_text().splitlines())


def test_a_glossary_is_read_before_anyone_waits_for_input(seqloom: Any, trained: Path, terms: Path) -> None:
    terms.write_text("a\te\na\tf\n")
    assert seqloom.refused("translate", trained, "--glossary", terms, code=1) == (
        f"seqloom: {terms}: line 2: 'a' is there already; write all targets of a term in one line, with tabs between "
        "them\n"
    )
    assert seqloom.refused("translate", trained, "--glossary", terms, "--sample", code=2) == (
        "seqloom: a glossary steers beam search, and nothing that is drawn; leave sample out\n"
    )
    assert seqloom.refused("translate", trained, "--glossary", "trems.tsv", code=1) == (
        "seqloom: trems.tsv: no such file; did you mean 'terms.tsv'?\n"
    )


def test_a_guard_says_how_much_it_replaced(seqloom: Any, trained: Path) -> None:
    text = b"a\nb b b b b b b b\nc d e f g h i j a b\n" + b"a b " * 50 + b"\n"
    guarded = seqloom("translate", trained, "--json", input=text)
    rows = [json.loads(line) for line in guarded.out.splitlines()]
    degenerate, replaced = sum(bool(row["warnings"]) for row in rows), sum(row["redecoded"] for row in rows)
    summary = [line for line in guarded.err.splitlines() if line.startswith("guard: ")]
    assert len(summary) == (degenerate > 0)
    for line in summary:
        assert line.startswith(f"guard: {degenerate} of 4 translations degenerate (")
        assert line.endswith(f"), {replaced} replaced")
    free = seqloom("translate", trained, "--json", "--no-guard", input=text)
    assert free.err == ""
    assert all("warnings" not in json.loads(line) for line in free.out.splitlines())
